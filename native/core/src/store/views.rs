//! Pinned views: snapshots that a scan keeps from page to page. Bounded in number and in life.

use rustc_hash::FxHashMap;

use super::StoreError;
use super::options::StoreLimits;
use super::read::ReadView;

/// Ids: 29 bits of the seed, then 24 bits of a counter that begins at 2. Below 2^53; 0 and 1 mean something else.
const COUNTER_BITS: u32 = 24;
const SEED_MASK: u64 = (1 << 29) - 1;
const COUNTER_FIRST: u64 = 2;

pub(super) struct Views {
    pinned: FxHashMap<u64, Pinned>,
    seed: u64,
    counter: u64,
    limits: StoreLimits,
}

struct Pinned {
    view: ReadView,
    used_ms: u64,
}

impl Views {
    pub(super) fn new(seed: u64, limits: StoreLimits) -> Views {
        Views {
            pinned: FxHashMap::default(),
            seed: (seed & SEED_MASK) << COUNTER_BITS,
            counter: COUNTER_FIRST,
            limits,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pinned.len()
    }

    /// Keeps a view, and returns its id. `TooManyViews` when all places are taken by views in use: a newcomer waits
    /// rather than breaking the scans that are under way.
    pub(super) fn pin(&mut self, view: ReadView, now_ms: u64) -> Result<u64, StoreError> {
        self.expire(now_ms);
        if self.pinned.len() >= self.limits.views_max {
            return Err(StoreError::TooManyViews);
        }
        let id = loop {
            let id = self.seed | self.counter;
            self.counter = (self.counter + 1) % (1 << COUNTER_BITS);
            self.counter = self.counter.max(COUNTER_FIRST);
            if !self.pinned.contains_key(&id) {
                break id;
            }
        };
        self.pinned.insert(
            id,
            Pinned {
                view,
                used_ms: now_ms,
            },
        );
        Ok(id)
    }

    /// The view with this id, used now.
    pub(super) fn get(&mut self, id: u64, group: u32, now_ms: u64) -> Result<ReadView, StoreError> {
        self.expire(now_ms);
        match self.pinned.get_mut(&id) {
            Some(pinned) if pinned.view.group() == group => {
                pinned.used_ms = pinned.used_ms.max(now_ms);
                Ok(pinned.view.clone())
            }
            _ => Err(StoreError::SnapshotLost),
        }
    }

    pub(super) fn release(&mut self, id: u64) {
        self.pinned.remove(&id);
    }

    /// Releases the views that nobody has used for too long.
    pub(super) fn expire(&mut self, now_ms: u64) {
        let idle_ms = self.limits.view_idle_ms;
        self.pinned
            .retain(|_, pinned| now_ms.saturating_sub(pinned.used_ms) <= idle_ms);
    }
}

//! One group in memory: where each record lies, its term, and the records that are still in memory.
//!
//! Two views of the same group live here. *Submitted*: everything that was accepted; readers and replication see it.
//! *Written*: what is durable; only this goes into a checkpoint.

use std::collections::VecDeque;
use std::sync::Arc;

use super::items::GroupItem;
use super::types::{Base, Chunk, Damage, DurableGroup, GroupState, GroupStatus, HardState};

/// Where a record lies. 12 bytes: a million retained entries cost 12 MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// 0: not yet durable; then `offset` holds the low bits of the record's serial number.
    pub segment: u32,
    pub offset: u32,
    pub length: u32,
}

/// A record in memory.
struct TailEntry {
    bytes: Arc<Vec<u8>>,
    offset: u32,
    serial: u64,
}

/// The durable facts of a group.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub hard_state: HardState,
    pub conf: Option<(u64, Arc<[u8]>)>,
    /// (index, term) behind which the log begins.
    pub compacted: (u64, u64),
    pub last_index: u64,
    pub last_term: u64,
    pub last_time: u64,
    pub next_revision: u64,
}

impl Written {
    /// The log begins behind `base`; what the log held behind that entry stays if it `keeps`. Where that is nothing, the base
    /// tells of the last entry.
    pub fn begin_behind(&mut self, base: &Base, keeps: bool) {
        self.compacted = (base.index, base.term);
        if !keeps || self.last_index == base.index {
            (self.last_index, self.last_term) = (base.index, base.term);
            (self.last_time, self.next_revision) = (base.time, base.next_revision);
        }
    }
}

#[derive(Default)]
pub struct Group {
    /// Of what is submitted; `written.compacted` is behind it while a base is on its way.
    pub compacted_index: u64,
    pub compacted_term: u64,
    /// Of compacted_index + 1 and following.
    entries: VecDeque<Location>,
    /// (first index, term) of runs, of compacted_index + 1 and following.
    terms: VecDeque<(u64, u64)>,
    /// Of the last `tail.len()` entries; serial numbers ascend.
    tail: VecDeque<TailEntry>,
    /// The latest accepted hard state.
    pub submitted: HardState,
    /// Nobody needs entries up to here; their segments may go.
    pub wanted: u64,
    pub written: Written,
    /// Bases on their way to the disk.
    pub pending_bases: u32,
    /// Index of the last base in this life: a commit index that is submitted with less is raised to it.
    pub base_index: u64,
    /// See `GroupState::damage`.
    pub damage: Option<Damage>,
    /// Largest size of a conf item so far: bounds the next checkpoint.
    pub conf_item_bytes: usize,
}

impl Group {
    pub fn last_index(&self) -> u64 {
        self.compacted_index + self.entries.len() as u64
    }

    pub fn first_index(&self) -> u64 {
        self.compacted_index + 1
    }

    fn tail_first(&self) -> u64 {
        self.last_index() + 1 - self.tail.len() as u64
    }

    /// The term of an entry, or of the last compacted one.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.compacted_index {
            return Some(self.compacted_term);
        }
        if index < self.compacted_index || index > self.last_index() {
            return None;
        }
        let run = self.terms.partition_point(|&(first, _)| first <= index);
        Some(self.terms[run - 1].1)
    }

    /// The location of a retained entry.
    pub fn location(&self, index: u64) -> Option<Location> {
        let position = index.checked_sub(self.first_index())?;
        self.entries.get(position as usize).copied()
    }

    /// Notes that nobody needs the entries up to `index`. What is not durable is needed in any case.
    pub fn unwant(&mut self, index: u64) {
        let durable = self.entries.partition_point(|entry| entry.segment != 0) as u64;
        self.wanted = self.wanted.max(index.min(self.compacted_index + durable));
    }

    /// Drops `index` and everything above it. `index` lies above the compacted one.
    fn supersede(&mut self, index: u64) {
        let dropped = (self.last_index() + 1 - index) as usize;
        self.tail.truncate(self.tail.len().saturating_sub(dropped));
        self.entries.truncate(self.entries.len() - dropped);
        while self.terms.back().is_some_and(|&(first, _)| first >= index) {
            self.terms.pop_back();
        }
    }

    /// Appends an entry, in place of those from `index` on. At most one above the last.
    pub fn push(&mut self, index: u64, term: u64, location: Location) {
        assert!(
            index > self.compacted_index && index <= self.last_index() + 1,
            "a gap in the log"
        );
        if index <= self.last_index() {
            self.supersede(index);
        }
        self.entries.push_back(location);
        if self.terms.back().is_none_or(|&(_, last)| last != term) {
            self.terms.push_back((index, term));
        }
    }

    /// `push` of a record that is not durable yet: it stays in memory.
    pub fn push_pending(
        &mut self,
        (index, term): (u64, u64),
        bytes: &Arc<Vec<u8>>,
        (offset, length): (u32, u32),
        serial: u64,
    ) {
        self.push(
            index,
            term,
            Location {
                segment: 0,
                offset: serial as u32,
                length,
            },
        );
        self.tail.push_back(TailEntry {
            bytes: bytes.clone(),
            offset,
            serial,
        });
    }

    /// Notes where a pending record became durable. Does nothing if it was superseded meanwhile.
    pub fn locate(&mut self, index: u64, serial: u64, segment: u32, offset: u32) {
        let Some(position) = index.checked_sub(self.first_index()) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(position as usize)
            && entry.segment == 0
            && entry.offset == serial as u32
        {
            *entry = Location {
                segment,
                offset,
                length: entry.length,
            };
        }
    }

    /// Forgets entries up to `index`; at most the last one.
    pub fn compact(&mut self, index: u64) {
        if index <= self.compacted_index {
            return;
        }
        self.compacted_term = self.term_at(index).expect("only what exists is compacted");
        let dropped = (index - self.compacted_index) as usize;
        let beyond_tail = self.entries.len() - self.tail.len();
        self.tail.drain(..dropped.saturating_sub(beyond_tail));
        self.entries.drain(..dropped);
        self.compacted_index = index;
        while self
            .terms
            .get(1)
            .is_some_and(|&(first, _)| first <= index + 1)
        {
            self.terms.pop_front();
        }
        match self.terms.front_mut() {
            Some(run) if !self.entries.is_empty() => run.0 = run.0.max(index + 1),
            _ => self.terms.clear(),
        }
    }

    /// A base was accepted.
    pub fn begin_behind(&mut self, base: &Base, keeps: bool) {
        match keeps {
            true => self.compact(base.index),
            false => self.rebase(base.index, base.term),
        }
        self.pending_bases += 1;
        self.base_index = base.index;
        self.submitted.commit = self.submitted.commit.max(base.index);
    }

    /// A base has become durable.
    pub fn publish_base(&mut self, base: &Base, keeps: bool) {
        self.pending_bases -= 1;
        self.written.begin_behind(base, keeps);
        self.wanted = self.wanted.max(base.index);
    }

    /// (index, term) behind which the log begins when entries up to `gone` go, if any do.
    pub fn compaction(&self, gone: Option<u64>) -> (u64, u64) {
        let index = gone.filter(|gone| *gone > self.written.compacted.0);
        let entry = index.map(|index| (index, self.term_at(index)));
        entry.map_or(self.written.compacted, |(index, term)| {
            (index, term.expect("only what exists is compacted"))
        })
    }

    /// The log starts behind `index`, whatever was before.
    pub fn rebase(&mut self, index: u64, term: u64) {
        self.entries.clear();
        self.terms.clear();
        self.tail.clear();
        (self.compacted_index, self.compacted_term) = (index, term);
    }

    /// Drops from memory the records up to serial number `serial`.
    pub fn evict(&mut self, serial: u64) {
        while self
            .tail
            .front()
            .is_some_and(|entry| entry.serial <= serial)
        {
            self.tail.pop_front();
        }
        if self.tail.is_empty() && self.tail.capacity() > 1024 {
            self.tail.shrink_to(1024);
        }
    }

    /// Records `from` to `to` from memory, up to `bytes_max` and at least one; and the index of the last. `None` if the
    /// first is not there.
    pub fn chunks(&self, from: u64, to: u64, bytes_max: usize) -> Option<(Vec<Chunk>, u64)> {
        if from < self.tail_first() || from > self.last_index().min(to) {
            return None;
        }
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut bytes = 0;
        let mut index = from;
        let skipped = (from - self.tail_first()) as usize;
        for entry in self.tail.iter().skip(skipped) {
            let length = self
                .location(index)
                .expect("a record in memory has an entry")
                .length as usize;
            if index > to || (index > from && bytes + length > bytes_max) {
                break;
            }
            bytes += length;
            index += 1;
            let offset = entry.offset as usize;
            match chunks.last_mut() {
                Some(last)
                    if Arc::ptr_eq(&last.bytes, &entry.bytes) && last.range.end == offset =>
                {
                    last.range.end += length;
                }
                _ => chunks.push(Chunk {
                    bytes: entry.bytes.clone(),
                    range: offset..offset + length,
                }),
            }
        }
        Some((chunks, index - 1))
    }

    /// What a checkpoint says of this group.
    pub fn item(&self, (compacted_index, compacted_term): (u64, u64)) -> GroupItem {
        GroupItem {
            hard_state: self.written.hard_state,
            compacted_index,
            compacted_term,
            last_index: self.written.last_index,
            last_term: self.written.last_term,
            last_time: self.written.last_time,
            next_revision: self.written.next_revision,
        }
    }

    pub fn status(&self, group: u32) -> GroupStatus {
        GroupStatus {
            group,
            first_index: self.first_index(),
            last_index: self.last_index(),
        }
    }

    /// See `Wal::durable_group`.
    pub fn durable(&self) -> DurableGroup {
        DurableGroup {
            hard_state: self.written.hard_state,
            first_index: self.written.compacted.0 + 1,
            last_index: self.written.last_index,
            last_term: self.written.last_term,
        }
    }

    /// What recovery reports.
    pub fn state(&self, group: u32) -> GroupState {
        GroupState {
            group,
            hard_state: self.written.hard_state,
            compacted_index: self.compacted_index,
            compacted_term: self.compacted_term,
            last_index: self.last_index(),
            term_runs: self.terms.iter().copied().collect(),
            sizes: self.entries.iter().map(|entry| entry.length).collect(),
            last_time: self.written.last_time,
            next_revision: self.written.next_revision,
            conf: self
                .written
                .conf
                .as_ref()
                .map(|(index, conf)| (*index, conf.to_vec())),
            damage: self.damage.clone(),
        }
    }
}

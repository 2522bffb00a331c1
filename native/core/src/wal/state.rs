//! What the log's threads share under one lock: groups, the queue, segments, and what has gone wrong.
//!
//! The lock is held for bookkeeping only, never across a system call or a copy of records.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::WalError;
use super::group::Group;
use super::items::{self, Item};
use super::layout::FRAME_OVERHEAD_BYTES;
use super::types::Base;
use crate::sys::File;

/// A segment file that holds frames. Readers keep clones of the `Arc`; a file with readers is never recycled.
pub struct Segment {
    pub number: u64,
    pub path: PathBuf,
    /// Reads; also writes, unless the writer has a handle of its own for direct I/O.
    pub file: Arc<dyn File>,
    /// Length of the file.
    pub bytes: AtomicU64,
}

/// A segment and what it holds.
pub struct SegmentEntry {
    pub segment: Arc<Segment>,
    /// Highest index of each group that was ever written into it, superseded ones included.
    pub last: BTreeMap<u32, u64>,
}

/// A prepared file: zeros, or the bytes of an earlier life.
pub struct Spare {
    pub path: PathBuf,
    pub file: Arc<dyn File>,
}

/// Facts of a queued record that its publication needs.
pub struct QueuedRecord {
    pub group: u32,
    pub index: u64,
    pub offset: u32,
    pub length: u32,
}

/// See `rebase`.
#[derive(Clone, Copy)]
pub struct QueuedBase {
    pub group: u32,
    pub base: Base,
    /// The entries behind it stay.
    pub keeps: bool,
}

/// A submission on its way to the disk.
pub struct Queued {
    pub ticket: u64,
    pub bytes: Arc<Vec<u8>>,
    /// Comes before the records.
    pub base: Option<QueuedBase>,
    pub records: Vec<QueuedRecord>,
    /// Serial number of the first record.
    pub first_serial: u64,
    /// Records that are durable already: a large submission takes several frames.
    pub done: usize,
    /// (group, commit), in order, with the last record.
    pub commits: Vec<(u32, u64)>,
    pub confs: Vec<(u32, u64, Arc<[u8]>)>,
}

/// A submission's records in memory.
pub struct Resident {
    pub ticket: u64,
    pub bytes: Arc<Vec<u8>>,
    pub last_serial: u64,
    pub groups: Vec<u32>,
}

/// (index, term) of each group behind which its log begins.
pub type Compaction = BTreeMap<u32, (u64, u64)>;

/// How the log ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// What is queued is still written.
    Drain,
    /// Nothing is written any more.
    Abandon,
}

#[derive(Default)]
pub struct State {
    pub groups: BTreeMap<u32, Group>,
    pub queue: VecDeque<Queued>,
    /// Groups whose term or vote goes into the next frame.
    pub urgent: Vec<u32>,
    pub queued_bytes: usize,
    /// The last ticket given out.
    pub ticket: u64,
    pub durable: u64,
    pub durable_votes: u64,
    /// Serial number of the last record accepted.
    pub serial: u64,
    pub segments: BTreeMap<u64, SegmentEntry>,
    pub retired: VecDeque<Arc<Segment>>,
    pub spares: Vec<Spare>,
    /// Threads only: the writer waits for one.
    pub spare_wanted: bool,
    pub resident: VecDeque<Resident>,
    pub resident_bytes: usize,
    pub disk_full: bool,
    pub failure: Option<WalError>,
    pub closing: Option<Closing>,
    /// Items that raise what recovery reads to what the next checkpoint says.
    pub restated: Vec<u8>,
    /// `truncate` was called since the writer looked.
    pub release_asked: bool,
    /// Threads only: the writer has ended, so no spare is needed any more.
    pub writer_ended: bool,
}

impl State {
    /// Whether anything may be submitted.
    pub fn check_open(&self) -> Result<(), WalError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.closing.is_some() => Err(WalError::Closed),
            None => Ok(()),
        }
    }

    /// Number of the first segment that is needed when those at the front whose entries nobody wants are gone.
    /// `newest` is needed in any case, and so are those of a group whose log is about to begin anew: until then, recovery
    /// counts on what it is.
    pub fn oldest_needed(&self, newest: u64) -> u64 {
        let wanted = |entry: &SegmentEntry| {
            entry.last.iter().any(|(group, last)| {
                let group = &self.groups[group];
                group.pending_bases > 0 || *last > group.wanted
            })
        };
        let mut older = self.segments.range(..newest);
        older
            .find(|(_, entry)| wanted(entry))
            .map_or(newest, |(number, _)| *number)
    }

    /// True if a checkpoint in segment `newest` would free a segment.
    pub fn can_release(&self, newest: u64) -> bool {
        self.segments
            .keys()
            .next()
            .is_some_and(|first| *first < self.oldest_needed(newest))
    }

    /// The highest (index, term) of each group in segments before `oldest`: what goes with them.
    pub fn compaction(&self, oldest: u64) -> Compaction {
        let gone: Vec<_> = self.segments.range(..oldest).collect();
        let compacted = self.groups.iter().map(|(number, group)| {
            let last = gone.iter().filter_map(|(_, entry)| entry.last.get(number));
            (*number, group.compaction(last.max().copied()))
        });
        compacted.collect()
    }

    /// The items of a checkpoint: the durable state of every group.
    pub fn checkpoint(&self, oldest: u64, compaction: &Compaction) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.checkpoint_bytes());
        bytes.extend_from_slice(&self.restated);
        Item::Oldest { segment: oldest }.encode(&mut bytes);
        for (&group, state) in &self.groups {
            Item::Group {
                group,
                item: state.item(compaction[&group]),
            }
            .encode(&mut bytes);
            if let Some((index, conf)) = &state.written.conf {
                Item::Conf {
                    group,
                    index: *index,
                    conf,
                }
                .encode(&mut bytes);
            }
        }
        bytes
    }

    /// At least the size of a checkpoint frame now.
    pub fn checkpoint_bytes(&self) -> usize {
        let groups = self
            .groups
            .values()
            .map(|group| items::GROUP_BYTES + group.conf_item_bytes);
        FRAME_OVERHEAD_BYTES + self.restated.len() + items::OLDEST_BYTES + groups.sum::<usize>()
    }

    /// A checkpoint with `oldest` and `compaction` is durable: older segments are leftovers.
    pub fn release(&mut self, oldest: u64, compaction: &Compaction) {
        for (number, compacted) in compaction {
            let group = self.groups.get_mut(number);
            let group = group.expect("groups are never removed");
            group.compact(compacted.0);
            group.written.compacted = *compacted;
        }
        let kept = self.segments.split_off(&oldest);
        let gone = std::mem::replace(&mut self.segments, kept);
        self.retired
            .extend(gone.into_values().map(|entry| entry.segment));
    }

    /// Takes the oldest durable records out of memory until `tail_bytes` suffice. Drop the result without the lock:
    /// freeing megabytes takes longer than all the rest.
    pub fn evict(&mut self, tail_bytes: usize) -> Vec<Resident> {
        let mut evicted = Vec::new();
        while self.resident_bytes > tail_bytes {
            match self.resident.front() {
                Some(oldest) if oldest.ticket <= self.durable => {}
                _ => break,
            }
            let oldest = self.resident.pop_front().expect("just seen");
            for group in &oldest.groups {
                let group = self.groups.get_mut(group).expect("records have a group");
                group.evict(oldest.last_serial);
            }
            self.resident_bytes -= oldest.bytes.capacity();
            evicted.push(oldest);
        }
        evicted
    }

    /// Bytes of all files.
    pub fn bytes(&self, spare_bytes: u64) -> u64 {
        let segments = self
            .segments
            .values()
            .map(|entry| &entry.segment)
            .chain(&self.retired);
        segments
            .map(|segment| segment.bytes.load(Ordering::Relaxed))
            .sum::<u64>()
            + self.spares.len() as u64 * spare_bytes
    }
}

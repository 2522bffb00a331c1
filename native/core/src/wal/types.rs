//! What goes into the log and what comes out: options, batches, recovered groups, status.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::WalError;

/// Where a log page starts; segments are whole pages.
pub(super) const PAGE_BYTES: usize = 4096;

/// Limits and modes of a log. Every field is the caller's choice; nothing is corrected.
#[derive(Clone)]
pub struct WalOptions {
    /// Length of a segment file: whole pages of 4096 bytes, at most 1 GiB. A record may take half of it, so 16 MiB and
    /// more hold every legal record. May differ from one opening to the next.
    pub segment_bytes: u64,
    /// Records kept in memory for replication and apply, in bytes; what is not yet durable is kept beyond it.
    pub tail_bytes: usize,
    /// A frame takes no further record beyond this, so that a vote never waits for more than one such write.
    pub frame_bytes_max: usize,
    /// True: own threads write and prepare segments. False: nothing happens but in `step`.
    pub threads: bool,
    /// Write past the page cache where the file system can. Saves 20 to 40 µs of a lone small write.
    pub direct_io: bool,
    /// Random, and another one at each opening: bytes of earlier lives never validate under it.
    pub salt: u64,
    /// Not empty: a damaged log is opened with what stands before the damage, instead of being refused. The groups that it
    /// may hold: they are reported as damaged, seen or not, and so are others that are seen. See `repair`.
    pub repair: Vec<u32>,
    /// Monotonic clock in microseconds: measures syncs, decides nothing.
    pub clock_micros: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl WalOptions {
    pub(super) fn check(&self) -> Result<(), WalError> {
        let reason = if !self.segment_bytes.is_multiple_of(PAGE_BYTES as u64) {
            "segment_bytes must be a multiple of 4096"
        } else if self.segment_bytes < PAGE_BYTES as u64 || self.segment_bytes > 1 << 30 {
            "segment_bytes must lie between 4096 and 1 GiB"
        } else if self.frame_bytes_max == 0 {
            "frame_bytes_max must not be 0"
        } else {
            return Ok(());
        };
        Err(WalError::Options { reason })
    }
}

/// Raft's own durable state of a group. `vote` 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    pub term: u64,
    pub vote: u32,
    pub commit: u64,
}

/// One submission. Empty parts are fine.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// (group, state). Term and vote become durable with the next frame, ahead of records that wait; commit in order.
    pub hard_states: Vec<(u32, HardState)>,
    /// (group, index of the entry, ConfState): the latest one is kept.
    pub confs: Vec<(u32, u64, Vec<u8>)>,
    /// Sealed records, one behind the other. Of each group they are consecutive; the first may lie within what the log
    /// holds: then it and its successors replace what was there.
    pub records: Vec<u8>,
}

/// An entry behind which a group's log begins anew: a snapshot holds it, and all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    pub index: u64,
    pub term: u64,
    /// Log time of that entry.
    pub time: u64,
    /// First revision that the entry behind it may have.
    pub next_revision: u64,
}

/// What damage may have taken from a group, as far as it can be told from what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Where the log was damaged, and how, for people.
    pub description: String,
    /// The highest index that anything shows, before the damage or behind it.
    pub maybe_index: u64,
    /// The highest term that anything shows, and the vote in it. The recovered hard state has at least these.
    pub maybe_term: u64,
    pub maybe_vote: u32,
    /// Nothing that the group has promised can be beyond these numbers: something sound behind the damage repeats them. If
    /// false, they are the least: entries or a vote beyond them may have been lost with all that has told of them.
    pub known: bool,
}

/// What recovery found of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    pub group: u32,
    pub hard_state: HardState,
    /// Entries up to and including this are gone; 0 and 0 if none ever went.
    pub compacted_index: u64,
    pub compacted_term: u64,
    pub last_index: u64,
    /// (first index, term), of compacted_index + 1 to last_index.
    pub term_runs: Vec<(u64, u64)>,
    /// Bytes of each whole record, of compacted_index + 1 to last_index.
    pub sizes: Vec<u32>,
    /// Log time of the last record; 0 if there never was one.
    pub last_time: u64,
    /// First revision that the next record may have; 0 if there never was a record.
    pub next_revision: u64,
    /// The latest ConfState and its index.
    pub conf: Option<(u64, Vec<u8>)>,
    /// The log was damaged, and nobody has called `Wal::set_repaired` since: it may lack what it has acknowledged.
    pub damage: Option<Damage>,
}

/// What the log would hold of a group after a crash now, as far as completed syncs tell; a crash may leave more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurableGroup {
    pub hard_state: HardState,
    /// First entry that is held; last_index + 1 if there is none.
    pub first_index: u64,
    pub last_index: u64,
    pub last_term: u64,
}

/// Answer of `Wal::read_tail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailRead {
    /// Whole records up to and including index `last` were appended.
    Read { last: u64 },
    /// The first record asked for is not in memory, or does not exist.
    Missing,
}

/// Whole records of one group, in order, shared with the log. Iterate with `record::records_trusted`.
#[derive(Clone)]
pub struct Chunk {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) range: Range<usize>,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.range.len())
    }
}

/// Upper bounds of the buckets of `WalStatus::sync_buckets`, in microseconds; a last bucket takes the rest.
pub const SYNC_BUCKET_MICROS: [u64; 16] = [
    64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288,
    1_048_576, 2_097_152,
];

/// The part of `WalStatus` that whoever submits looks at all the time, and how far the disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalProgress {
    /// As `Wal::durable`.
    pub durable: u64,
    /// As `Wal::durable_votes`.
    pub durable_votes: u64,
    pub bytes: u64,
    pub queued_bytes: usize,
    pub sync_pending_micros: u64,
    pub disk_full: bool,
}

/// The log at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalStatus {
    /// On disk, spare segments included.
    pub bytes: u64,
    pub segments: usize,
    pub groups: Vec<GroupStatus>,
    /// Submitted and not yet durable.
    pub queued_bytes: usize,
    /// Held in memory, queued ones included.
    pub tail_bytes: usize,
    pub sync_count: u64,
    /// Sum over all syncs.
    pub sync_micros: u64,
    /// Syncs that took at most `SYNC_BUCKET_MICROS[i]` and longer than the bucket before; not cumulative.
    pub sync_buckets: [u64; SYNC_BUCKET_MICROS.len() + 1],
    /// Since the sync that runs now began; 0 if none runs.
    pub sync_pending_micros: u64,
    /// No segment can be prepared for lack of space. Refuse new writes while it lasts.
    pub disk_full: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    pub group: u32,
    /// First entry that can be read; last_index + 1 if there is none.
    pub first_index: u64,
    pub last_index: u64,
}

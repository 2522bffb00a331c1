//! What the bytes behind a damage still show: how far log and votes once were. Nothing of it becomes a part of the log.
//!
//! SAFETY: `Damage::known` is claimed only if nothing that a group has promised can be missing from what is told.
//! Claim:   if `known`, term and vote are those of the last hard state that was durable, and `maybe_index` is at least the
//!          last index that was.
//! Why:     every frame has a sequence. A frame that is missing between two that are there, or whose hard states cannot be
//!          read, makes every group unknown; a hard state of a group in a later sound frame is its latest one again, since
//!          terms never go back, and so does a record for its indexes. A frame whose payload alone is damaged has sound
//!          items all the same: their checksum covers the records' checksums, not their bytes.
//! Rests:   frames behind the last sound one were never acknowledged, or are counted as missing by the sequence of what
//!          follows: another frame, or the next segment's header.
//! Checked: tests/wal_repair.rs, every bit of a small log.

use std::collections::{BTreeMap, BTreeSet};

use super::items::{GroupItem, Item, items};
use super::layout::{
    END_MAGIC, FRAME_HEADER_BYTES, FRAME_TRAILER_BYTES, FrameHeader, FrameKind, SegmentHeader,
    commit_checksum, get_u32, verify_frame,
};
use super::types::HardState;
use crate::record;

/// What of a group was seen anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub term: u64,
    pub vote: u32,
    pub last_index: u64,
    pub last_time: u64,
    pub next_revision: u64,
}

/// Groups of which something is known for certain.
#[derive(Default)]
struct Certain {
    all: bool,
    groups: BTreeSet<u32>,
}

impl Certain {
    fn lose(&mut self) {
        self.all = false;
        self.groups.clear();
    }

    fn has(&self, group: u32) -> bool {
        self.all || self.groups.contains(&group)
    }
}

/// The latest sound checkpoint.
#[derive(Default)]
pub struct Latest {
    pub oldest: u64,
    pub groups: BTreeMap<u32, GroupItem>,
}

pub struct Evidence {
    pub groups: BTreeMap<u32, Seen>,
    pub latest: Option<Latest>,
    /// Configurations by group and index.
    pub confs: BTreeMap<u32, BTreeMap<u64, Vec<u8>>>,
    votes: Certain,
    indexes: Certain,
    /// Of the frame that must follow.
    sequence: u64,
    /// The last thing seen was the end of a segment that has a successor.
    sealed: bool,
    salts: BTreeSet<u64>,
}

impl Evidence {
    /// Behind a cut whose next frame would have `sequence`; everything before is known.
    pub fn new(sequence: u64, salts: BTreeSet<u64>) -> Self {
        let all = || Certain {
            all: true,
            ..Certain::default()
        };
        Self {
            groups: BTreeMap::new(),
            latest: None,
            confs: BTreeMap::new(),
            votes: all(),
            indexes: all(),
            sequence,
            sealed: false,
            salts,
        }
    }

    /// Whether anything was seen behind a cut before this sequence.
    pub fn is_behind(&self, sequence: u64) -> bool {
        self.sealed || self.sequence > sequence
    }

    pub fn is_known(&self, group: u32) -> bool {
        self.votes.has(group) && self.indexes.has(group)
    }

    /// Segment `number` from `offset` on. Sound segments, and what of others is readable, in ascending order.
    pub fn look(&mut self, number: u64, bytes: &[u8], offset: usize) {
        if let Ok(header) = SegmentHeader::decode(bytes)
            && header.segment == number
        {
            self.expect(header.first_sequence);
        }
        self.sealed = false;
        // Where the body of a damaged frame may go on: records there are of this life of the file.
        let mut inside = true;
        let mut place = offset;
        while place + 8 <= bytes.len() {
            let rest = &bytes[place..];
            place += match FrameHeader::decode(rest) {
                Some(header) if header.segment == number && self.salts.contains(&header.salt) => {
                    inside = true;
                    self.frame(rest, &header)
                }
                Some(_) => {
                    inside = false;
                    8
                }
                None if get_u32(rest, 4) == END_MAGIC => {
                    inside = false;
                    8
                }
                None if inside => self.record(rest).unwrap_or(8),
                None => 8,
            };
        }
    }

    /// Nothing more is to be seen. `whole`: the last segment was as long as it should be, and is the last.
    pub fn close(&mut self, cut: u64, whole: bool) {
        if !whole || self.sealed || self.sequence == cut {
            self.votes.lose();
            self.indexes.lose();
        }
    }

    /// A frame or segment of this sequence exists: those before it did, too.
    fn expect(&mut self, sequence: u64) {
        if sequence > self.sequence {
            self.votes.lose();
            self.indexes.lose();
            self.sequence = sequence;
        }
    }

    /// A frame whose header is sound. Returns how many bytes of it are done with.
    fn frame(&mut self, bytes: &[u8], header: &FrameHeader) -> usize {
        if header.kind == FrameKind::Seal {
            self.expect(header.sequence);
            self.sealed = true;
            return FRAME_HEADER_BYTES + FRAME_TRAILER_BYTES;
        }
        self.expect(header.sequence);
        self.sealed = false;
        self.sequence = self.sequence.max(header.sequence + 1);
        if header.first_index > 0 {
            let seen = self.groups.entry(header.group).or_default();
            seen.last_index = seen.last_index.max(header.last_index);
        }
        if let Some(found) = verify_frame(bytes, header) {
            self.items(header, found.items);
            for view in record::records_trusted(found.records).map_while(Result::ok) {
                self.note_record(&view.header());
            }
            return header.frame_bytes();
        }
        match proven_items(bytes, header) {
            Some(items) => self.items(header, items),
            None if header.items > 0 => {
                self.votes.lose();
                self.indexes.lose(); // a base, or a checkpoint
            }
            None => {}
        }
        if header.length > header.items && header.first_index == 0 {
            self.indexes.lose();
        }
        FRAME_HEADER_BYTES // what of its body is sound is looked for
    }

    fn items(&mut self, header: &FrameHeader, bytes: &[u8]) {
        let mut latest = Latest::default();
        for item in items(bytes).flatten() {
            match item {
                Item::HardState { group, state } => self.note_votes(group, state),
                Item::Group { group, item } => {
                    self.note_votes(group, item.hard_state);
                    let seen = self.groups.entry(group).or_default();
                    seen.last_index = seen.last_index.max(item.last_index);
                    seen.last_time = seen.last_time.max(item.last_time);
                    seen.next_revision = seen.next_revision.max(item.next_revision);
                    self.indexes.groups.insert(group);
                    latest.groups.insert(group, item);
                }
                Item::Base { group, base, .. } => {
                    let seen = self.groups.entry(group).or_default();
                    seen.last_index = seen.last_index.max(base.index);
                    seen.last_time = seen.last_time.max(base.time);
                    seen.next_revision = seen.next_revision.max(base.next_revision);
                }
                Item::Oldest { segment } => latest.oldest = segment,
                Item::Conf { group, index, conf } => {
                    let confs = self.confs.entry(group).or_default();
                    confs.insert(index, conf.to_vec());
                }
            }
        }
        if header.kind == FrameKind::Checkpoint {
            self.latest = Some(latest);
        }
    }

    fn note_votes(&mut self, group: u32, state: HardState) {
        let seen = self.groups.entry(group).or_default();
        if (state.term, state.vote) > (seen.term, seen.vote) {
            (seen.term, seen.vote) = (state.term, state.vote);
        }
        self.votes.groups.insert(group);
    }

    fn note_record(&mut self, header: &record::Header) {
        let seen = self.groups.entry(header.group).or_default();
        seen.last_index = seen.last_index.max(header.index);
        seen.last_time = seen.last_time.max(header.time);
        seen.next_revision = seen.next_revision.max(header.next_revision());
        self.indexes.groups.insert(header.group);
    }

    /// A record in the body of a damaged frame: it was there, whatever became of those around it.
    fn record(&mut self, bytes: &[u8]) -> Option<usize> {
        // By its form alone it is a record: its payload is not looked into, where a client may have put what it liked.
        let form = record::parse_trusted(bytes).ok()?;
        let Ok(view) = record::parse(bytes) else {
            return Some(form.bytes().len());
        };
        let certain = self.indexes.has(view.header().group);
        self.note_record(&view.header());
        if !certain {
            self.indexes.groups.remove(&view.header().group);
        }
        Some(view.bytes().len())
    }
}

/// The items of a frame that does not verify, if nothing but payload is damaged.
fn proven_items<'a>(bytes: &'a [u8], header: &FrameHeader) -> Option<&'a [u8]> {
    let bytes = bytes.get(..header.frame_bytes())?;
    let (covered, trailer) = bytes.split_at(bytes.len() - FRAME_TRAILER_BYTES);
    let (head, body) = covered.split_at(FRAME_HEADER_BYTES);
    let (items, records) = body.split_at(header.items as usize);
    let mut sound = true;
    let checksums = record::records_trusted(records).map_while(|record| {
        sound = record.is_ok();
        Some(record.ok()?.checksum())
    });
    let commit = commit_checksum(head, items, checksums);
    (sound && get_u32(trailer, 0) == commit).then_some(items)
}

//! Turns the frames of a log, in order, back into the state of its groups.

use std::collections::BTreeMap;
use std::path::Path;

use super::WalError;
use super::damage::{GroupNote, Note};
use super::group::{Group, Location};
use super::items::{self, GroupItem, Item, items};
use super::layout::{FrameHeader, FrameKind, SegmentHeader};
use super::scan::{Found, Scan};
use super::types::Base;
use crate::record;

#[derive(Default)]
pub struct Rebuild {
    groups: BTreeMap<u32, Group>,
    /// (index, term) of the latest checkpoint.
    compacted: BTreeMap<u32, (u64, u64)>,
    segment: u64,
    /// See `SegmentEntry::last`, by segment.
    last: BTreeMap<u64, BTreeMap<u32, u64>>,
    /// Sequence and commit checksum that the next segment must begin with; `None` before the first.
    end: Option<(u64, u32)>,
    /// The next checkpoint is the first of all: the groups begin with what it says.
    begun: bool,
    path: std::path::PathBuf,
}

/// The oldest needed segment that a checkpoint names.
pub fn oldest_in(checkpoint: &[u8]) -> Option<u64> {
    items(checkpoint).find_map(|item| match item {
        Some(Item::Oldest { segment }) => Some(segment),
        _ => None,
    })
}

impl Rebuild {
    pub fn enter(&mut self, segment: u64, path: &Path) {
        self.segment = segment;
        self.path = path.to_path_buf();
    }

    /// A segment must begin where the one before ended.
    pub fn check_start(&self, path: &Path, header: &SegmentHeader) -> Result<(), WalError> {
        match self.end {
            Some(end) if end != (header.first_sequence, header.previous) => {
                Err(self.damaged(path, 0, "it does not follow the segment before"))
            }
            _ => Ok(()),
        }
    }

    pub fn leave(&mut self, scan: &Scan<'_>) {
        self.end = Some((scan.sequence, scan.previous));
    }

    pub fn take_last(&mut self, segment: u64) -> BTreeMap<u32, u64> {
        self.last.remove(&segment).unwrap_or_default()
    }

    pub fn apply(&mut self, path: &Path, offset: u64, found: &Found<'_>) -> Result<(), WalError> {
        let malformed = |this: &Self| this.damaged(path, offset, "a frame's content is malformed");
        let checkpoint = found.header.kind == FrameKind::Checkpoint;
        if !checkpoint && !self.begun {
            return Err(self.damaged(path, offset, "its first checkpoint does not verify"));
        }
        for item in items(found.items) {
            match item.ok_or_else(|| malformed(self))? {
                Item::HardState { group, state } => {
                    self.groups.entry(group).or_default().written.hard_state = state;
                }
                Item::Conf { group, index, conf } => {
                    let group = self.groups.entry(group).or_default();
                    group.conf_item_bytes =
                        group.conf_item_bytes.max(items::conf_bytes(conf.len()));
                    group.written.conf = Some((index, conf.into()));
                }
                Item::Group { group, item } => {
                    if !self.apply_group(group, &item) {
                        return Err(self.damaged(path, offset, "a checkpoint contradicts the log"));
                    }
                }
                Item::Base { group, base, keeps } => self.apply_base(group, &base, keeps),
                Item::Oldest { .. } => {}
            }
        }
        self.begun = true;
        let mut place = found.records_offset as u32;
        for view in record::records_trusted(found.records) {
            let view = view.map_err(|_| malformed(self))?;
            let length = view.bytes().len() as u32;
            if !self.apply_record(&view.header(), place, length) {
                return Err(self.damaged(path, offset, "entries are missing before this frame"));
            }
            place += length;
        }
        Ok(())
    }

    /// The first checkpoint of all tells what went before; later ones repeat what is known, or something is wrong.
    fn apply_group(&mut self, number: u32, item: &GroupItem) -> bool {
        self.compacted
            .insert(number, (item.compacted_index, item.compacted_term));
        let group = self.groups.entry(number).or_default();
        let written = &mut group.written;
        if self.begun {
            return written.hard_state == item.hard_state
                && (written.last_index, written.last_term) == (item.last_index, item.last_term)
                && (written.last_time, written.next_revision)
                    == (item.last_time, item.next_revision);
        }
        written.hard_state = item.hard_state;
        (written.last_index, written.last_term) = (item.last_index, item.last_term);
        (written.last_time, written.next_revision) = (item.last_time, item.next_revision);
        group.rebase(item.last_index, item.last_term);
        true
    }

    /// See `rebase`.
    fn apply_base(&mut self, number: u32, base: &Base, keeps: bool) {
        let group = self.groups.entry(number).or_default();
        group.written.begin_behind(base, keeps);
        let commit = &mut group.written.hard_state.commit;
        *commit = base.index.max(*commit);
        self.compacted.insert(number, (base.index, base.term));
        if !keeps {
            group.rebase(base.index, base.term);
            for last in self.last.values_mut() {
                last.remove(&number);
            }
        }
    }

    /// False if entries are missing before this one.
    fn apply_record(&mut self, header: &record::Header, offset: u32, length: u32) -> bool {
        let group = self.groups.entry(header.group).or_default();
        if header.index == 0 || header.index > group.last_index() + 1 {
            return false;
        }
        if header.index <= group.compacted_index {
            // It replaces entries of segments that are gone. What went with them is told by the last checkpoint.
            group.rebase(header.index - 1, 0);
        }
        let location = Location {
            segment: self.segment as u32,
            offset,
            length,
        };
        group.push(header.index, header.term, location);
        let written = &mut group.written;
        (written.last_index, written.last_term) = (header.index, header.term);
        (written.last_time, written.next_revision) = (header.time, header.next_revision());
        let last = self.last.entry(self.segment).or_default();
        let last = last.entry(header.group).or_default();
        *last = (*last).max(header.index);
        true
    }

    /// The log was cut: what later checkpoints have told of truncation holds all the same. Returns the items that say so.
    pub fn begin_behind(&mut self, note: &Note) -> Vec<u8> {
        let mut items = Vec::new();
        for GroupNote { group, base, .. } in &note.groups {
            let compacted = self.compacted.get(group).copied().unwrap_or_default();
            if base.index > compacted.0 {
                let known = self.groups.entry(*group).or_default();
                let keeps = known.term_at(base.index) == Some(base.term);
                self.apply_base(*group, base, keeps);
                let (group, base) = (*group, *base);
                Item::Base { group, base, keeps }.encode(&mut items);
            }
        }
        items
    }

    /// Takes the last checkpoint's word for what is truncated.
    pub fn finish(mut self) -> Result<BTreeMap<u32, Group>, WalError> {
        let mut groups = std::mem::take(&mut self.groups);
        for (number, group) in &mut groups {
            let (index, term) = self.compacted.get(number).copied().unwrap_or_default();
            if group.compacted_index > index || group.last_index() < index {
                return Err(WalError::Damaged {
                    file: self.path.clone(),
                    offset: 0,
                    group: Some(*number),
                    first_index: group.last_index().min(index) + 1,
                    last_index: Some(group.compacted_index.max(index)),
                    reason: "entries that were not truncated are missing",
                });
            }
            group.compact(index);
            group.compacted_term = term;
            group.written.compacted = (index, term);
            let last = group.last_index();
            let hard_state = &mut group.written.hard_state;
            hard_state.commit = hard_state.commit.min(last);
            group.submitted = *hard_state;
            group.wanted = index;
        }
        Ok(groups)
    }

    /// Damage whose extent no later frame tells.
    pub fn damaged(&self, file: &Path, offset: u64, reason: &'static str) -> WalError {
        let only = (self.groups.len() == 1)
            .then(|| self.groups.iter().next())
            .flatten();
        WalError::Damaged {
            file: file.to_path_buf(),
            offset,
            group: only.map(|(group, _)| *group),
            first_index: only.map_or(1, |(_, group)| group.last_index() + 1),
            last_index: None,
            reason,
        }
    }

    /// A frame that was durable does not verify. `header`: its own, if that part is sound; `later`: a sound one behind.
    pub fn lost(
        &self,
        file: &Path,
        offset: u64,
        header: Option<FrameHeader>,
        later: Option<FrameHeader>,
    ) -> WalError {
        let reason = "a frame that was durable does not verify";
        let mut error = self.damaged(file, offset, reason);
        let WalError::Damaged {
            group,
            first_index,
            last_index,
            ..
        } = &mut error
        else {
            return error;
        };
        if let Some(header) = header.filter(|header| header.first_index > 0) {
            *group = Some(header.group);
            *first_index = header.first_index;
            *last_index = Some(header.last_index);
        } else if let Some(later) = later.filter(|later| later.first_index > *first_index)
            && *group == Some(later.group)
        {
            *last_index = Some(later.first_index - 1);
        }
        error
    }
}

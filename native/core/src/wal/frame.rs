//! Gathers what waits in the queue into one frame, and publishes it once it is durable.
//!
//! SAFETY: term and vote overtake records that wait in the queue, commit does not.
//! Claim:   no recovered state asserts more than the submitter meant at some moment.
//! Why:     a vote in a later term, early, only makes this replica refuse more. A commit index, early, could cover an
//!          old entry that a queued record was about to replace, and recovery would take that one for committed. So
//!          the early hard state carries the commit index of what is written, and each commit goes with the last
//!          record of its batch.
//! Rests:   terms never go back and a term's vote never changes (`submit` refuses both).
//! Checked: tests/wal_votes.rs (early_vote_carries_the_old_commit).

use std::ops::Range;
use std::sync::Arc;

use super::items::{BASE_BYTES, HARD_STATE_BYTES, Item, conf_bytes};
use super::layout::FRAME_OVERHEAD_BYTES;
use super::state::{Queued, QueuedBase, QueuedRecord, State};
use super::types::HardState;
use crate::record;

/// A frame's content, borrowed from the queue by reference counts.
#[derive(Default)]
pub struct Frame {
    pub items: Vec<u8>,
    pub parts: Vec<(Arc<Vec<u8>>, Range<usize>)>,
    /// Items and records.
    pub body_bytes: usize,
    /// Of the records, if they are of one group: (group, first index, last index).
    pub range: Option<(u32, u64, u64)>,
    several_groups: bool,
    hard_states: Vec<(u32, HardState)>,
    confs: Vec<(u32, u64, Arc<[u8]>)>,
    bases: Vec<QueuedBase>,
    /// Whole submissions at the front of the queue.
    complete: usize,
    /// Records of the submission behind those.
    partial: usize,
    votes_ticket: u64,
}

pub enum Gathered {
    /// Nothing waits.
    Idle,
    /// Something waits, but not even its first part fits.
    NoRoom,
    Frame(Frame),
}

/// The next frame, in at most `room` bytes; with no further record beyond `bytes_max`. Changes nothing.
pub fn gather(state: &State, room: usize, bytes_max: usize) -> Gathered {
    if state.queue.is_empty() && state.urgent.is_empty() {
        return Gathered::Idle;
    }
    let urgent_bytes = state.urgent.len() * HARD_STATE_BYTES;
    let Some(body_max) = room
        .checked_sub(FRAME_OVERHEAD_BYTES)
        .filter(|max| urgent_bytes <= *max)
    else {
        return Gathered::NoRoom;
    };
    let mut frame = Frame {
        votes_ticket: state.ticket,
        ..Frame::default()
    };
    for &group in &state.urgent {
        let commit = state.groups[&group].written.hard_state.commit;
        frame.set_hard_state(state, group, commit);
    }
    for queued in &state.queue {
        // Recovery meets the items of a frame before its records.
        if queued.base.is_some() && !frame.parts.is_empty() {
            break;
        }
        frame.partial = frame.take_records(queued, body_max, bytes_max);
        if queued.done + frame.partial < queued.records.len()
            || !frame.take_items(state, queued, body_max)
        {
            break;
        }
        frame.complete += 1;
        frame.partial = 0;
        if frame.body_bytes >= bytes_max {
            break;
        }
    }
    if frame.body_bytes == 0 {
        return Gathered::NoRoom;
    }
    frame.encode_items();
    Gathered::Frame(frame)
}

impl Frame {
    /// Adds records from the front of `queued`; returns how many.
    fn take_records(&mut self, queued: &Queued, body_max: usize, bytes_max: usize) -> usize {
        let waiting = &queued.records[queued.done..];
        let mut count = 0;
        for record in waiting {
            let first = self.parts.is_empty() && count == 0;
            let limit = if first {
                body_max
            } else {
                body_max.min(bytes_max)
            };
            if self.body_bytes + record.length as usize > limit {
                break;
            }
            self.body_bytes += record.length as usize;
            self.widen(record);
            count += 1;
        }
        if count > 0 {
            let (first, last) = (&waiting[0], &waiting[count - 1]);
            let range = first.offset as usize..(last.offset + last.length) as usize;
            self.parts.push((queued.bytes.clone(), range));
        }
        count
    }

    /// Adds what goes with the last record of `queued`; false if there is no room.
    fn take_items(&mut self, state: &State, queued: &Queued, body_max: usize) -> bool {
        let states = queued.commits.len() * HARD_STATE_BYTES; // at most: some may be in the frame already
        let confs: usize = queued
            .confs
            .iter()
            .map(|(.., conf)| conf_bytes(conf.len()))
            .sum();
        let base = queued.base.map_or(0, |_| BASE_BYTES);
        if self.body_bytes + states + confs + base > body_max {
            return false;
        }
        self.body_bytes += confs + base;
        self.bases.extend(queued.base);
        self.confs.extend(queued.confs.iter().cloned());
        for &(group, commit) in &queued.commits {
            self.set_hard_state(state, group, commit);
        }
        true
    }

    /// Term and vote are the latest submitted ones, whichever submission brings the commit index.
    fn set_hard_state(&mut self, state: &State, group: u32, commit: u64) {
        let HardState { term, vote, .. } = state.groups[&group].submitted;
        let hard_state = HardState { term, vote, commit };
        match self
            .hard_states
            .iter_mut()
            .find(|(known, _)| *known == group)
        {
            Some(entry) => entry.1 = hard_state,
            None => {
                self.hard_states.push((group, hard_state));
                self.body_bytes += HARD_STATE_BYTES;
            }
        }
    }

    fn widen(&mut self, record: &QueuedRecord) {
        self.range = match self.range {
            None if !self.several_groups => Some((record.group, record.index, record.index)),
            Some((group, first, last)) if group == record.group => {
                Some((group, first.min(record.index), last.max(record.index)))
            }
            _ => {
                self.several_groups = true;
                None
            }
        };
    }

    fn encode_items(&mut self) {
        for &(group, state) in &self.hard_states {
            Item::HardState { group, state }.encode(&mut self.items);
        }
        for (group, index, conf) in &self.confs {
            Item::Conf {
                group: *group,
                index: *index,
                conf,
            }
            .encode(&mut self.items);
        }
        for &QueuedBase { group, base, keeps } in &self.bases {
            Item::Base { group, base, keeps }.encode(&mut self.items);
        }
    }
}

/// The frame is durable; its records begin at byte `offset` of `segment`. Takes it off the queue.
pub fn publish(state: &mut State, frame: Frame, segment: u64, mut offset: u32) {
    for _ in 0..frame.complete {
        let queued = state
            .queue
            .pop_front()
            .expect("what was gathered is queued");
        if let Some(base) = &queued.base {
            publish_base(state, base);
        }
        publish_records(
            state,
            &queued,
            queued.done..queued.records.len(),
            segment,
            &mut offset,
        );
        state.queued_bytes -= queued.bytes.len();
        state.durable = queued.ticket;
    }
    if frame.partial > 0 {
        let mut queued = state
            .queue
            .pop_front()
            .expect("what was gathered is queued");
        let range = queued.done..queued.done + frame.partial;
        publish_records(state, &queued, range.clone(), segment, &mut offset);
        queued.done = range.end;
        state.queue.push_front(queued);
    }
    for (group, hard_state) in frame.hard_states {
        let group = state
            .groups
            .get_mut(&group)
            .expect("hard states have a group");
        group.written.hard_state = hard_state;
    }
    for (group, index, conf) in frame.confs {
        let group = state
            .groups
            .get_mut(&group)
            .expect("configurations have a group");
        group.written.conf = Some((index, conf));
    }
    for QueuedBase { group, base, .. } in frame.bases {
        let group = state.groups.get_mut(&group).expect("bases have a group");
        let commit = &mut group.written.hard_state.commit;
        *commit = base.index.max(*commit);
    }
    // Those submitted since have put their groups back among the urgent ones, unless they were there already: keep a
    // group whose term or vote has moved on.
    let State { urgent, groups, .. } = state;
    urgent.retain(|group| {
        let group = &groups[group];
        let (new, old) = (group.submitted, group.written.hard_state);
        (new.term, new.vote) != (old.term, old.vote)
    });
    state.durable_votes = frame.votes_ticket;
}

fn publish_base(state: &mut State, QueuedBase { group, base, keeps }: &QueuedBase) {
    let known = state.groups.get_mut(group).expect("bases have a group");
    known.publish_base(base, *keeps);
    if !keeps {
        // Nobody reads the entries before it any more, however high their indexes are.
        for segment in state.segments.values_mut() {
            segment.last.remove(group);
        }
    }
}

fn publish_records(
    state: &mut State,
    queued: &Queued,
    range: Range<usize>,
    segment: u64,
    offset: &mut u32,
) {
    let entry = state
        .segments
        .get_mut(&segment)
        .expect("frames go into a known segment");
    for position in range {
        let record = &queued.records[position];
        let last = entry.last.entry(record.group).or_default();
        *last = (*last).max(record.index);
        let group = state
            .groups
            .get_mut(&record.group)
            .expect("records have a group");
        let serial = queued.first_serial + position as u64;
        group.locate(record.index, serial, segment as u32, *offset);
        *offset += record.length;
        let bytes = &queued.bytes[record.offset as usize..];
        let header = record::parse_trusted(bytes)
            .expect("checked by submit")
            .header();
        group.written.last_index = header.index;
        group.written.last_term = header.term;
        group.written.last_time = header.time;
        group.written.next_revision = header.next_revision();
    }
}

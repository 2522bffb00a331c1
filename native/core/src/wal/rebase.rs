//! A group's log begins anew behind an entry that a snapshot holds.
//!
//! SAFETY: what a base drops is exactly what Raft lets a snapshot replace, after a crash as before it.
//! Claim:   behind a base at (index, term) the log holds the entries that it held behind that same entry, if it held that
//!          entry, and else none. Recovery comes to the same, and hard states are as they were, but for a commit index that
//!          has reached the base.
//! Why:     whether the entries stay is decided here, where everything before the base is known, and written into the item.
//!          Recovery need not decide: it may not know the entry's term any more, when the entry has gone with its segment.
//!          In a frame the base stands before the records, and it shares no frame with records that were submitted before it
//!          (`gather`), so recovery meets both in the order of submission. Until the base is durable, checkpoints speak of
//!          what is, and no segment goes that holds entries of the group (`State::oldest_needed`).
//! Rests:   the submitter has the snapshot's state on disk before it comes here (the engine).
//! Checked: tests/wal_rebase.rs: a model, crashes at every operation, every bit of a small log.

use std::sync::Arc;

use super::WalError;
use super::items;
use super::state::{Queued, QueuedBase, State};
use super::submit::{Ends, check_checkpoint};
use super::types::{Base, Batch};

/// Checks and queues. Returns the ticket. `conf`: index and ConfState, recorded unless the entries that stay have a later one.
pub fn accept(
    state: &mut State,
    number: u32,
    base: Base,
    conf: Option<(u64, Vec<u8>)>,
    segment_bytes: u64,
) -> Result<u64, WalError> {
    let keeps = check(state, number, &base)?;
    let conf = conf.filter(|(index, _)| !keeps || known_conf(state, number) <= Some(*index));
    let batch = Batch {
        confs: conf
            .into_iter()
            .map(|(index, conf)| (number, index, conf))
            .collect(),
        ..Batch::default()
    };
    let ends = Ends::from([(number, (base.index, base.term))]);
    check_checkpoint(state, &batch, &ends, segment_bytes)?;
    let group = state.groups.entry(number).or_default();
    group.begin_behind(&base, keeps);
    let mut confs = Vec::new();
    for (number, index, conf) in batch.confs {
        group.conf_item_bytes = group.conf_item_bytes.max(items::conf_bytes(conf.len()));
        confs.push((number, index, Arc::from(conf)));
    }
    state.ticket += 1;
    state.queue.push_back(Queued {
        ticket: state.ticket,
        bytes: Arc::default(),
        base: Some(QueuedBase {
            group: number,
            base,
            keeps,
        }),
        records: Vec::new(),
        first_serial: state.serial + 1,
        done: 0,
        commits: Vec::new(),
        confs,
    });
    Ok(state.ticket)
}

/// Whether the entries behind the base stay; or why it cannot be.
fn check(state: &State, number: u32, base: &Base) -> Result<bool, WalError> {
    let refuse = |reason| {
        Err(WalError::Invalid {
            group: number,
            index: base.index,
            reason,
        })
    };
    if base.index == 0 {
        return refuse("indexes begin at 1");
    }
    let Some(group) = state.groups.get(&number) else {
        return Ok(false);
    };
    let truncated = group.compacted_index.max(group.wanted);
    if base.index < truncated {
        return refuse("its base is older than what is truncated");
    }
    let keeps = group.term_at(base.index) == Some(base.term);
    if !keeps && base.index <= truncated.max(group.submitted.commit) {
        return refuse("its base contradicts a committed entry");
    }
    Ok(keeps)
}

/// Index of the latest configuration of the group that was accepted.
fn known_conf(state: &State, number: u32) -> Option<u64> {
    let queued = state.queue.iter().rev();
    let mut queued = queued.flat_map(|queued| queued.confs.iter().rev());
    let of_group = queued.find(|(group, ..)| *group == number);
    let written = || Some(state.groups.get(&number)?.written.conf.as_ref()?.0);
    of_group.map(|(_, index, _)| *index).or_else(written)
}

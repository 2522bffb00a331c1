//! The entrance: a batch is checked as a whole, then accepted as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::WalError;
use super::items;
use super::state::{Queued, QueuedRecord, Resident, State};
use super::types::{Batch, HardState};
use crate::record;

/// The last (index, term) of each group that the batch touches, as if it were accepted.
pub type Ends = BTreeMap<u32, (u64, u64)>;

/// What stands in a batch, before the lock is taken.
pub struct Parsed {
    records: Vec<QueuedRecord>,
    terms: Vec<u64>,
    batch: Batch,
}

/// Finds the records. Their checksums are the submitter's: it has sealed or inspected these bytes.
pub fn parse(batch: Batch) -> Result<Parsed, WalError> {
    let mut records = Vec::new();
    let mut terms = Vec::new();
    let mut offset = 0;
    for parsed in record::records_trusted(&batch.records) {
        let view = parsed.map_err(|_| WalError::Invalid {
            group: 0,
            index: 0,
            reason: "its records are malformed",
        })?;
        let header = view.header();
        let length = view.bytes().len() as u32;
        records.push(QueuedRecord {
            group: header.group,
            index: header.index,
            offset,
            length,
        });
        terms.push(header.term);
        offset += length;
    }
    Ok(Parsed {
        records,
        terms,
        batch: latest_only(batch),
    })
}

/// Of several hard states or configurations of a group the last one counts.
fn latest_only(batch: Batch) -> Batch {
    let hard_states: BTreeMap<u32, HardState> = batch.hard_states.into_iter().collect();
    let confs = batch
        .confs
        .into_iter()
        .map(|(group, index, conf)| (group, (index, conf)));
    let confs: BTreeMap<u32, (u64, Vec<u8>)> = confs.collect();
    Batch {
        hard_states: hard_states.into_iter().collect(),
        confs: confs
            .into_iter()
            .map(|(group, (index, conf))| (group, index, conf))
            .collect(),
        records: batch.records,
    }
}

/// Checks and queues. Returns the ticket; that of the last batch if this one is empty.
pub fn accept(state: &mut State, parsed: Parsed, segment_bytes: u64) -> Result<u64, WalError> {
    let Parsed {
        records,
        terms,
        batch,
    } = parsed;
    let ends = check_records(state, &records, &terms, segment_bytes)?;
    check_hard_states(state, &batch.hard_states, &ends)?;
    check_checkpoint(state, &batch, &ends, segment_bytes)?;
    if records.is_empty() && batch.hard_states.is_empty() && batch.confs.is_empty() {
        return Ok(state.ticket);
    }
    state.ticket += 1;
    let bytes = Arc::new(batch.records);
    let first_serial = state.serial + 1;
    for (record, &term) in records.iter().zip(&terms) {
        state.serial += 1;
        let group = state.groups.entry(record.group).or_default();
        let place = (record.offset, record.length);
        group.push_pending((record.index, term), &bytes, place, state.serial);
    }
    let mut commits = Vec::with_capacity(batch.hard_states.len());
    for (group, mut hard_state) in batch.hard_states {
        let known = state.groups.entry(group).or_default();
        // Its submitter may not know yet that the log has begun anew.
        hard_state.commit = hard_state.commit.max(known.base_index);
        let submitted = &mut known.submitted;
        if (submitted.term, submitted.vote) != (hard_state.term, hard_state.vote)
            && !state.urgent.contains(&group)
        {
            state.urgent.push(group);
        }
        *submitted = hard_state;
        commits.push((group, hard_state.commit));
    }
    let mut confs = Vec::with_capacity(batch.confs.len());
    for (group, index, conf) in batch.confs {
        let state = state.groups.entry(group).or_default();
        state.conf_item_bytes = state.conf_item_bytes.max(items::conf_bytes(conf.len()));
        confs.push((group, index, conf.into()));
    }
    if !records.is_empty() {
        let groups = ends.into_keys().collect();
        state.resident_bytes += bytes.capacity();
        state.resident.push_back(Resident {
            ticket: state.ticket,
            bytes: bytes.clone(),
            last_serial: state.serial,
            groups,
        });
    }
    state.queued_bytes += bytes.len();
    let ticket = state.ticket;
    state.queue.push_back(Queued {
        ticket,
        bytes,
        base: None,
        records,
        first_serial,
        done: 0,
        commits,
        confs,
    });
    Ok(ticket)
}

fn check_records(
    state: &State,
    records: &[QueuedRecord],
    terms: &[u64],
    segment_bytes: u64,
) -> Result<Ends, WalError> {
    let mut ends = Ends::new();
    for (
        &QueuedRecord {
            group,
            index,
            length,
            ..
        },
        &term,
    ) in records.iter().zip(terms)
    {
        let refuse = |reason| {
            Err(WalError::Invalid {
                group,
                index,
                reason,
            })
        };
        if u64::from(length) > segment_bytes / 2 {
            return refuse("a record takes more than half a segment");
        }
        if index == 0 {
            return refuse("indexes begin at 1");
        }
        let before = match (ends.get(&group), state.groups.get(&group)) {
            (Some(&(last, term)), _) if index == last + 1 => Some(term),
            (Some(_), _) => return refuse("its records are not consecutive"),
            (None, Some(group)) if index <= group.wanted => None,
            (None, Some(group)) => group.term_at(index - 1),
            (None, None) => (index == 1).then_some(0),
        };
        match before {
            None => return refuse("it leaves a gap, or replaces truncated entries"),
            Some(before) if before > term => {
                return refuse("its term is older than the entry before");
            }
            Some(_) => ends.insert(group, (index, term)),
        };
    }
    Ok(ends)
}

fn check_hard_states(
    state: &State,
    hard_states: &[(u32, HardState)],
    ends: &Ends,
) -> Result<(), WalError> {
    for &(group, next) in hard_states {
        let known = state.groups.get(&group);
        let before = known.map(|group| group.submitted).unwrap_or_default();
        let last = ends
            .get(&group)
            .map(|end| end.0)
            .or(known.map(|group| group.last_index()))
            .unwrap_or(0);
        let reason = if next.term < before.term {
            "its term goes back"
        } else if next.term == before.term && before.vote != 0 && next.vote != before.vote {
            "it changes the vote of a term"
        } else if next.commit > last {
            "it commits an entry that does not exist"
        } else {
            continue;
        };
        return Err(WalError::Invalid {
            group,
            index: next.commit,
            reason,
        });
    }
    Ok(())
}

/// Bounds the checkpoint, so that every segment has room for one at its start, one more for a release, and a record.
pub fn check_checkpoint(
    state: &State,
    batch: &Batch,
    ends: &Ends,
    segment_bytes: u64,
) -> Result<(), WalError> {
    let named = batch.hard_states.iter().map(|(group, _)| *group);
    let named = named
        .chain(batch.confs.iter().map(|(group, ..)| *group))
        .chain(ends.keys().copied());
    let mut new_groups: Vec<u32> = named
        .filter(|group| !state.groups.contains_key(group))
        .collect();
    if new_groups.is_empty() && batch.confs.is_empty() {
        return Ok(());
    }
    new_groups.sort_unstable();
    new_groups.dedup();
    let mut bytes = state.checkpoint_bytes() + new_groups.len() * items::GROUP_BYTES;
    for (group, _, conf) in &batch.confs {
        let known = state
            .groups
            .get(group)
            .map_or(0, |group| group.conf_item_bytes);
        bytes += items::conf_bytes(conf.len()).saturating_sub(known);
    }
    if bytes as u64 > segment_bytes / 8 {
        let group = new_groups
            .first()
            .copied()
            .or(batch.confs.first().map(|(g, ..)| *g));
        let reason = "the state of all groups takes more than an eighth of a segment";
        return Err(WalError::Invalid {
            group: group.unwrap_or(0),
            index: 0,
            reason,
        });
    }
    Ok(())
}

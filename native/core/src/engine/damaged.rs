//! A folder whose log was damaged, opened for repair: log and store belong together again, and it is said what is missing.
//!
//! SAFETY: what is applied is never asked for twice, nor taken from the log that was left.
//! Claim:   after opening, compacted <= applied <= last, as of any replica, and every entry of the log follows the one before.
//! Why:     the store holds committed entries alone. If they go beyond what is left of the log, then the log begins anew
//!          behind them, durably, before anybody sees it; what was left is a part of them. So it does if what is left has
//!          another entry where they end: one that was replaced before it was committed, by a frame behind the damage. A log
//!          with the same entry there agrees with them on all before (Raft's Log Matching). Where that entry is the log's last
//!          and only its number is left, time and revision are of a log that had gone on: it begins anew as well.
//!          The term of what is applied was this replica's, whatever is left to tell so: it is noted again. A vote in it is lost,
//!          and the host asks the others before it gives one.
//! Rests:   `Wal::rebase`; a host that takes `Damaged` for what it is, and neither votes nor acknowledges before it has
//!          everything back.
//! Checked: tests/engine_repair.rs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::error::{EngineError, ErrorCode};
use crate::store::Store;
use crate::wal::{Batch, GroupState, Wal, WalError};

/// How often to look whether the log's thread is done.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Has the log of a damaged group begin behind what the store has flushed, where that is more than is left of the log, or
/// not the same. Returns those groups. Blocks.
///
/// @throws ERAFT_IO, ERAFT_DISK_FULL
pub(super) fn begin_behind_store(
    dir: &Path,
    wal: &Wal,
    stepped: bool,
    store: &Store,
    logs: &mut [GroupState],
) -> Result<BTreeSet<u32>, EngineError> {
    let mut ahead = BTreeSet::new();
    for log in logs {
        if log.damage.is_none() {
            continue;
        }
        let (applied, flushed) = (store.applied(log.group), store.flushed(log.group));
        let (time, next_revision) = (applied.time, applied.revision + 1);
        let holds = term_at(log, flushed) == Some(applied.term);
        let tells =
            flushed < log.last_index || (log.last_time, log.next_revision) == (time, next_revision);
        let durable = |submitted: Result<u64, WalError>| {
            submitted
                .map_err(|error| failed(dir, ErrorCode::Io, &error.to_string()))
                .and_then(|ticket| await_durable(dir, wal, stepped, ticket))
        };
        if log.hard_state.term < applied.term {
            (log.hard_state.term, log.hard_state.vote) = (applied.term, 0);
            let hard_states = vec![(log.group, log.hard_state)];
            durable(wal.submit(Batch {
                hard_states,
                ..Batch::default()
            }))?;
        }
        if flushed == 0 || flushed < log.compacted_index || holds && tells {
            continue;
        }
        durable(wal.rebase(log.group, flushed, applied.term, time, next_revision, None))?;
        (log.compacted_index, log.compacted_term) = (flushed, applied.term);
        (log.last_index, log.last_time) = (flushed, time);
        log.next_revision = next_revision;
        log.hard_state.commit = log.hard_state.commit.max(flushed);
        log.term_runs.clear();
        log.sizes.clear();
        if !holds {
            ahead.insert(log.group);
        }
    }
    Ok(ahead)
}

/// Of the entry at `index`; None: it is gone, or not there.
fn term_at(log: &GroupState, index: u64) -> Option<u64> {
    if index == log.compacted_index {
        return Some(log.compacted_term);
    }
    let runs = log.term_runs.iter().rev();
    let run = runs.into_iter().find(|(first, _)| *first <= index);
    run.filter(|_| index <= log.last_index)
        .map(|(_, term)| *term)
}

fn await_durable(dir: &Path, wal: &Wal, stepped: bool, ticket: u64) -> Result<(), EngineError> {
    while wal.durable() < ticket {
        if let Some(error) = wal.failure() {
            return Err(failed(dir, ErrorCode::Io, &error.to_string()));
        }
        if wal.progress().disk_full {
            return Err(failed(
                dir,
                ErrorCode::DiskFull,
                "there is no space for its log",
            ));
        }
        if !stepped {
            std::thread::sleep(LOOK_AGAIN);
        } else if !wal.step() && wal.failure().is_none() && !wal.progress().disk_full {
            return Err(failed(dir, ErrorCode::Failed, "its log stands still"));
        }
    }
    Ok(())
}

fn failed(dir: &Path, code: ErrorCode, why: &str) -> EngineError {
    EngineError::told(
        code,
        &format!(
            "the damaged folder {} cannot be put in order",
            dir.display()
        ),
        why,
        "check space and device, then open it again",
        "what was damaged is set aside, and nothing is lost by this attempt",
    )
}

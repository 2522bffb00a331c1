//! A piece of either work, with everything that follows from it, and how it may end.

use std::sync::atomic::Ordering;

use super::queue::Job;
use crate::engine::core::{Core, Group};
use crate::engine::error::{EngineError, ErrorCode};
use crate::record::{self, RecordView};
use crate::store::{Applied, ApplyMode, StoreError};
use crate::wal::WalError;

/// Log bytes evaluated in one call: so long do others wait for the store's sessions.
const EVALUATE_BYTES_MAX: usize = 1024 * 1024;
/// A store error other than "disk full" ends the replica when the same work has met it this often in a row.
const ATTEMPTS_MAX: u32 = 5;

/// How a piece of work ended.
pub(super) enum End {
    /// All of it.
    Done,
    /// Some of it.
    Partly,
    /// Nothing now: it would have to wait, or the disk is full.
    Later,
}

/// Why a piece of work could not be done.
pub(super) enum Refusal {
    Busy,
    DiskFull,
    /// The same may succeed when tried again.
    Passing(String),
    /// It never will.
    Final(EngineError),
}

/// Some of a job, with everything that follows from it.
pub(super) fn evaluate_some(
    core: &Core,
    job: &mut Job,
    memory_only: bool,
) -> Result<End, EngineError> {
    let group = job.group.clone();
    let from = group.evaluated.load(Ordering::Acquire) + 1;
    if from > job.to {
        return Ok(End::Done);
    }
    let mut results = Vec::new();
    match read_and_evaluate(core, job, from, memory_only, &mut results) {
        Ok((evaluated, bytes)) => {
            job.attempts = 0;
            // Results are queued before the index moves: who sees the index finds the results.
            job.owner.push_results(group.id, results);
            group.evaluated.store(evaluated.index, Ordering::Release);
            if job.results {
                group.answered.store(evaluated.index, Ordering::Release);
            }
            core.upkeep.evaluated(core, bytes);
            Ok(if evaluated.index >= job.to {
                End::Done
            } else {
                End::Partly
            })
        }
        Err(refusal) => judge(core, refusal, &mut job.attempts, |why| {
            apply_failed(group.id, from, why)
        }),
    }
}

/// Writes what is evaluated; then it is applied.
pub(super) fn write_all(core: &Core, group: &Group, memory_only: bool) -> Result<(), Refusal> {
    let applied = core
        .store
        .write(group.id, memory_only)
        .map_err(|error| refusal(error, |why| write_failed(group.id, why)))?;
    core.store_full.store(false, Ordering::Relaxed);
    group.revision.store(applied.revision, Ordering::Release);
    group.applied.store(applied.index, Ordering::Release);
    core.upkeep.apply_runs.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Counts what may pass; `failed` makes the error of what does not.
pub(super) fn judge(
    core: &Core,
    refusal: Refusal,
    attempts: &mut u32,
    failed: impl Fn(&str) -> EngineError,
) -> Result<End, EngineError> {
    match refusal {
        Refusal::Busy => Ok(End::Later),
        Refusal::DiskFull => {
            core.store_full.store(true, Ordering::Relaxed);
            Ok(End::Later)
        }
        Refusal::Passing(why) => {
            *attempts += 1;
            if *attempts < ATTEMPTS_MAX {
                return Ok(End::Later);
            }
            Err(failed(&why))
        }
        Refusal::Final(error) => Err(error),
    }
}

/// Hands the records from `from` on to the store: out of memory without a copy, else from disk.
fn read_and_evaluate(
    core: &Core,
    job: &Job,
    from: u64,
    memory_only: bool,
    results: &mut Vec<u8>,
) -> Result<(Applied, usize), Refusal> {
    let group = job.group.id;
    let mode = ApplyMode {
        results: job.results,
        no_slowdown: memory_only,
    };
    if let Some((chunks, _)) = core
        .wal
        .tail_chunks(group, from, job.to, EVALUATE_BYTES_MAX)
    {
        let bytes = chunks.iter().map(|chunk| chunk.len()).sum();
        let mut records = chunks
            .iter()
            .flat_map(|chunk| record::records_trusted(chunk))
            .map_while(Result::ok);
        return Ok((
            evaluate_records(core, group, from, &mut records, mode, results)?,
            bytes,
        ));
    }
    if memory_only {
        return Err(Refusal::Busy);
    }
    let chunk = core
        .wal
        .read(group, from, job.to, EVALUATE_BYTES_MAX)
        .map_err(|error| log_refusal(group, from, &error))?;
    let mut records = record::records_trusted(&chunk).map_while(Result::ok);
    Ok((
        evaluate_records(core, group, from, &mut records, mode, results)?,
        chunk.len(),
    ))
}

fn evaluate_records<'r>(
    core: &Core,
    group: u32,
    from: u64,
    records: &mut dyn Iterator<Item = RecordView<'r>>,
    mode: ApplyMode,
    results: &mut Vec<u8>,
) -> Result<Applied, Refusal> {
    let evaluated = core
        .store
        .evaluate(group, records, mode, results)
        .map_err(|error| refusal(error, |why| apply_failed(group, from, why)))?;
    // A store that reports success without moving would be asked for ever.
    if evaluated.index < from {
        return Err(Refusal::Final(apply_failed(
            group,
            from,
            "the log held no record there",
        )));
    }
    Ok(evaluated)
}

fn refusal(error: StoreError, failed: impl Fn(&str) -> EngineError) -> Refusal {
    match error {
        StoreError::Busy => Refusal::Busy,
        StoreError::DiskFull { .. } => Refusal::DiskFull,
        StoreError::Io { .. } => Refusal::Passing(error.to_string()),
        other => Refusal::Final(failed(&other.to_string())),
    }
}

fn log_refusal(group: u32, from: u64, error: &WalError) -> Refusal {
    match error {
        WalError::Io { .. } => Refusal::Passing(error.to_string()),
        other => Refusal::Final(apply_failed(group, from, &other.to_string())),
    }
}

fn apply_failed(group: u32, index: u64, why: &str) -> EngineError {
    EngineError::told(
        ErrorCode::Failed,
        &format!("entry {index} of group {group} cannot be applied, and this replica has stopped"),
        why,
        "an eraft that knows the entry's kind and version goes on from here; damage needs a copy from another replica",
        "the store holds nothing of that entry, nor of any behind it",
    )
}

pub(super) fn write_failed(group: u32, why: &str) -> EngineError {
    EngineError::told(
        ErrorCode::Failed,
        &format!("the store of group {group} cannot be written, and this replica has stopped"),
        why,
        "check the device and its file system, then start again",
        "what was acknowledged is in the log, and is applied again from there",
    )
}

//! Committed records into the store, in log order: on the caller's thread while that is quick, else on the apply thread.
//!
//! SAFETY: each group's records are applied in log order, each once.
//! Claim:   no record is applied before its predecessor, twice, or beside another burst.
//! Why:     `busy` is held by whoever applies, inline or not, and nobody applies inline while a job is queued. A burst
//!          starts behind `group.applied`, which moves only after the store has taken the burst before.
//! Rests:   the store takes a burst as a whole or not at all; one engine has one apply queue.
//! Checked: tests/engine_apply.rs, tests/engine_crash.rs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::core::{Core, Group};
use super::error::{EngineError, ErrorCode};
use super::queues::Queues;
use crate::record::{self, RecordView};
use crate::store::{Applied, ApplyMode, StoreError};
use crate::wal::WalError;

/// Log bytes handed to the store at once: large enough to sort well, small enough to bound memory.
const BURST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A store error other than "disk full" ends the replica when the same burst has met it this often in a row.
const ATTEMPTS_MAX: u32 = 5;
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct ApplyQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    busy: bool,
}

struct Job {
    group: Arc<Group>,
    to: u64,
    owner: Arc<Queues>,
    results: bool,
    attempts: u32,
}

/// How a burst ended.
enum Burst {
    /// Applied up to the job's end.
    Done,
    /// Some of it.
    Partly,
    /// Nothing now: memory only, or a full disk.
    Later,
}

/// Why a burst could not be applied.
enum Refusal {
    Busy,
    DiskFull,
    /// The same burst may succeed when tried again.
    Passing(String),
    /// It never will.
    Final(EngineError),
}

impl ApplyQueue {
    pub fn interrupt(&self) {
        let _held = self.state.lock();
        self.wake.notify_all();
    }

    pub fn clear(&self) {
        self.state.lock().jobs.clear();
    }

    fn push(&self, job: Job) {
        let mut state = self.state.lock();
        match state.jobs.back_mut() {
            Some(last) if last.is_continued_by(&job) => last.to = last.to.max(job.to),
            _ => state.jobs.push_back(job),
        }
        self.wake.notify_all();
    }

    /// Takes the right to apply inline: only while nobody applies and nothing is queued.
    fn take_if_idle(&self) -> Option<Busy<'_>> {
        let mut state = self.state.lock();
        let idle = !state.busy && state.jobs.is_empty();
        idle.then(|| {
            state.busy = true;
            Busy(self)
        })
    }

    /// Takes the oldest job and the right to apply it.
    fn take_job(&self) -> Option<(Job, Busy<'_>)> {
        let mut state = self.state.lock();
        if state.busy {
            return None;
        }
        let job = state.jobs.pop_front()?;
        state.busy = true;
        Some((job, Busy(self)))
    }
}

/// The right to apply; given back on drop, also by a panic.
struct Busy<'a>(&'a ApplyQueue);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.busy = false;
        if !state.jobs.is_empty() {
            self.0.wake.notify_all();
        }
    }
}

impl Job {
    fn is_continued_by(&self, next: &Job) -> bool {
        self.group.id == next.group.id
            && self.results == next.results
            && Arc::ptr_eq(&self.owner, &next.owner)
    }
}

/// Applies the group's records up to `to`: at once where that is quick (true), else by the apply thread (false).
///
/// @throws ERAFT_BAD_REQUEST when `to` is not on this disk yet (rule 4: apply <= min(commit, own durable))
pub(crate) fn apply(
    core: &Core,
    group: u32,
    to: u64,
    results: bool,
    owner: &Arc<Queues>,
) -> Result<bool, EngineError> {
    let group = core.group(group);
    let durable = group.durable_index(core.wal.durable());
    if to > durable {
        return Err(EngineError::bad_request(format!(
            "apply of group {} up to {to}, but only {durable} is on disk",
            group.id
        )));
    }
    let mut job = Job {
        group,
        to,
        owner: owner.clone(),
        results,
        attempts: 0,
    };
    if let Some(busy) = core.applying.take_if_idle() {
        if to <= job.group.applied.load(Ordering::Acquire) {
            return Ok(true);
        }
        let inline = core.options.inline_bytes_max;
        if inline > 0 && owner.results_room() && fits_inline(core, &job, inline) {
            // A refusal is not the caller's to see: the apply thread tries the same burst again and judges it.
            if let Ok(Burst::Done) = burst(core, &mut job, true) {
                return Ok(true);
            }
        }
        drop(busy);
    }
    core.applying.push(job);
    Ok(false)
}

/// Are the records that the job still wants in memory, and small?
fn fits_inline(core: &Core, job: &Job, bytes_max: usize) -> bool {
    let from = job.group.applied.load(Ordering::Acquire) + 1;
    let Some((chunks, last)) = core.wal.tail_chunks(job.group.id, from, job.to, bytes_max) else {
        return false;
    };
    let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    bytes <= bytes_max && last == job.to
}

/// One burst of a job, with everything that follows from it.
fn burst(core: &Core, job: &mut Job, memory_only: bool) -> Result<Burst, EngineError> {
    let group = job.group.clone();
    let from = group.applied.load(Ordering::Acquire) + 1;
    if from > job.to {
        return Ok(Burst::Done);
    }
    let mut results = Vec::new();
    match read_and_apply(core, job, from, memory_only, &mut results) {
        Ok((applied, bytes)) => {
            job.attempts = 0;
            core.store_full.store(false, Ordering::Relaxed);
            // Results are queued before the index moves: who sees the index finds the results.
            job.owner.push_results(group.id, results);
            group.revision.store(applied.revision, Ordering::Release);
            group.applied.store(applied.index, Ordering::Release);
            core.upkeep.applied(core, bytes);
            Ok(if applied.index >= job.to {
                Burst::Done
            } else {
                Burst::Partly
            })
        }
        Err(Refusal::Busy) => Ok(Burst::Later),
        Err(Refusal::DiskFull) => {
            core.store_full.store(true, Ordering::Relaxed);
            Ok(Burst::Later)
        }
        Err(Refusal::Passing(why)) => {
            job.attempts += 1;
            if job.attempts < ATTEMPTS_MAX {
                return Ok(Burst::Later);
            }
            Err(apply_failed(group.id, from, &why))
        }
        Err(Refusal::Final(error)) => Err(error),
    }
}

/// Hands the records from `from` on to the store: out of memory without a copy, else from disk.
fn read_and_apply(
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
    if let Some((chunks, _)) = core.wal.tail_chunks(group, from, job.to, BURST_BYTES_MAX) {
        let bytes = chunks.iter().map(|chunk| chunk.len()).sum();
        let mut records = chunks
            .iter()
            .flat_map(|chunk| record::records_trusted(chunk))
            .map_while(Result::ok);
        return Ok((
            apply_records(core, group, from, &mut records, mode, results)?,
            bytes,
        ));
    }
    if memory_only {
        return Err(Refusal::Busy);
    }
    let chunk = core
        .wal
        .read(group, from, job.to, BURST_BYTES_MAX)
        .map_err(|error| log_refusal(group, from, &error))?;
    let mut records = record::records_trusted(&chunk).map_while(Result::ok);
    Ok((
        apply_records(core, group, from, &mut records, mode, results)?,
        chunk.len(),
    ))
}

fn apply_records<'a>(
    core: &Core,
    group: u32,
    from: u64,
    records: &mut dyn Iterator<Item = RecordView<'a>>,
    mode: ApplyMode,
    results: &mut Vec<u8>,
) -> Result<Applied, Refusal> {
    let applied = core
        .store
        .apply(group, records, mode, results)
        .map_err(|error| match error {
            StoreError::Busy => Refusal::Busy,
            StoreError::DiskFull { .. } => Refusal::DiskFull,
            StoreError::Io { .. } => Refusal::Passing(error.to_string()),
            other => Refusal::Final(apply_failed(group, from, &other.to_string())),
        })?;
    // A store that reports success without moving would be asked for ever.
    if applied.index < from {
        return Err(Refusal::Final(apply_failed(
            group,
            from,
            "the log held no record there",
        )));
    }
    Ok(applied)
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
        "the store holds exactly what came before that entry",
    )
}

/// Body of the apply thread. Returns when the engine stops.
pub(crate) fn run(core: &Core) {
    while !core.stopped() {
        let Some((mut job, busy)) = core.applying.take_job() else {
            let mut state = core.applying.state.lock();
            if (state.jobs.is_empty() || state.busy) && !core.stopped() {
                core.applying.wake.wait(&mut state);
            }
            continue;
        };
        run_job(core, &mut job);
        drop(busy);
    }
}

fn run_job(core: &Core, job: &mut Job) {
    let mut pause = PAUSE_FIRST;
    while !core.stopped() {
        if job.results {
            job.owner.wait_for_results_room(&|| core.stopped());
        }
        match burst(core, job, false) {
            Ok(Burst::Done) => return job.owner.wake(),
            Ok(Burst::Partly) => {
                pause = PAUSE_FIRST;
                job.owner.wake();
            }
            Ok(Burst::Later) => {
                let mut state = core.applying.state.lock();
                if !core.stopped() {
                    core.applying.wake.wait_for(&mut state, pause);
                }
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
            Err(error) => return core.fail(error),
        }
    }
}

/// Stepped mode: one burst of the oldest job. False when there is none, or it can do nothing now.
pub(crate) fn step(core: &Core) -> bool {
    let Some((mut job, busy)) = core.applying.take_job() else {
        return false;
    };
    if job.results && !job.owner.results_room() {
        core.applying.state.lock().jobs.push_front(job);
        return false;
    }
    let end = burst(core, &mut job, false);
    let (again, progress) = match end {
        Ok(Burst::Done) => (false, true),
        Ok(Burst::Partly) => (true, true),
        Ok(Burst::Later) => (true, false),
        Err(error) => {
            core.fail(error);
            (false, true)
        }
    };
    if again {
        core.applying.state.lock().jobs.push_front(job);
    }
    drop(busy);
    progress
}

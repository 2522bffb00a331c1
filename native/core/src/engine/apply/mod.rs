//! Committed records into the store: evaluated in log order, at once where somebody waits, and written late and in bulk.
//!
//! Both are done on the caller's thread while that is quick, else on the apply thread. What each step means, and why results
//! may be out before anything is written, stands in `store/store.rs`.
//!
//! ```text
//! mod      what callers ask for, and what of it is done at once
//! queue    what is left to the apply thread, and who may do it
//! thread   the apply thread
//! steps    a piece of either work, and how it may end
//! ```
//! SAFETY: each group's records are evaluated in log order, each once.
//! Claim:   no record is evaluated before its predecessor, twice, or beside another.
//! Why:     the right to evaluate is held by whoever does, inline or not, and nobody evaluates inline while a job is queued.
//!          A call starts behind `group.evaluated`, which moves only after the store has taken the records before.
//! Rests:   the store takes the records of a call as a whole or not at all; one engine has one apply queue.
//! Checked: tests/engine_apply.rs, tests/engine_crash.rs.
//!
//! SAFETY: nothing is read before it is written, and nothing evaluated is forgotten.
//! Claim:   at `group.applied` = n, a read sees all records up to n and none behind; those come to be written.
//! Why:     `applied` moves after the store's write has succeeded, by the right to write alone. A write that fails leaves its
//!          burst closed in the store and its demand in the queue, so the apply thread tries again until the engine fails.
//!          The log is cut behind what the store has flushed, which is never more than `applied`.
//! Rests:   the store writes closed bursts in order; `Store::write` leaves nothing behind that was evaluated before it.
//! Checked: tests/engine_evaluate.rs.

mod queue;
mod steps;
mod thread;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) use self::queue::ApplyQueue;
use self::queue::{Due, Job};
use self::steps::{End, evaluate_some, write_all};
pub(crate) use self::thread::{run, step};
use super::core::{Core, Group};
use super::error::EngineError;
use super::queues::Queues;

/// Evaluated and not closed: when it is more, evaluation waits for the write.
const OPEN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Evaluating costs so much less than writing: so much more of it is done inline.
const EVALUATE_INLINE_FACTOR: usize = 8;

/// Evaluates the group's records up to `to` for their results: at once where that is quick (true), else on the apply thread.
///
/// @throws ERAFT_BAD_REQUEST when `to` is not on this disk yet (rule 4: apply <= min(commit, own durable))
pub(crate) fn evaluate(
    core: &Core,
    group: u32,
    to: u64,
    owner: &Arc<Queues>,
) -> Result<bool, EngineError> {
    let mut job = accept(core, group, to, true, owner)?;
    let done = evaluate_inline(core, &mut job);
    if !done {
        core.applying.push(job);
    }
    Ok(done)
}

/// Evaluates the group's records up to `to` and writes them: at once where that is quick (true), else on the apply thread.
///
/// @throws ERAFT_BAD_REQUEST as `evaluate` does
pub(crate) fn apply(
    core: &Core,
    group: u32,
    to: u64,
    results: bool,
    owner: &Arc<Queues>,
) -> Result<bool, EngineError> {
    let mut job = accept(core, group, to, results, owner)?;
    if to <= job.group.applied.load(Ordering::Acquire) {
        return Ok(true);
    }
    if !evaluate_inline(core, &mut job) {
        job.write = true;
        core.applying.push(job);
        return Ok(false);
    }
    Ok(write_soon(core, &job.group, owner))
}

/// Whether reads see all that was answered here. If not, it is written: at once where that is quick, else it is on its way.
///
/// For whoever asks for the present and not for an index: a client that reads where it has written finds its writes.
pub(crate) fn show(core: &Core, group: u32, owner: &Arc<Queues>) -> bool {
    let group = core.group(group);
    let answered = group.answered.load(Ordering::Acquire);
    answered <= group.applied.load(Ordering::Acquire) || write_soon(core, &group, owner)
}

fn accept(
    core: &Core,
    group: u32,
    to: u64,
    results: bool,
    owner: &Arc<Queues>,
) -> Result<Job, EngineError> {
    let group = core.group(group);
    let durable = group.durable_index(core.wal.durable());
    if to > durable {
        return Err(EngineError::bad_request(format!(
            "apply of group {} up to {to}, but only {durable} is on disk",
            group.id
        )));
    }
    Ok(Job {
        group,
        to,
        owner: owner.clone(),
        results,
        write: false,
        attempts: 0,
    })
}

/// False: nothing is done, and the job is for the apply thread. A refusal, too, is tried again and judged there.
fn evaluate_inline(core: &Core, job: &mut Job) -> bool {
    let Some(_right) = core.applying.evaluate_if_idle() else {
        return false;
    };
    if job.to <= job.group.evaluated.load(Ordering::Acquire) {
        return true;
    }
    fits_inline(core, job) && matches!(evaluate_some(core, job, true), Ok(End::Done))
}

/// Are the records that the job still wants in memory, and few; and is there room for what comes of them?
fn fits_inline(core: &Core, job: &Job) -> bool {
    let group = job.group.id;
    if !job.owner.results_room() || core.store.open_bytes(group) >= OPEN_BYTES_MAX {
        return false;
    }
    let from = job.group.evaluated.load(Ordering::Acquire) + 1;
    let bytes_max = core.options.inline_bytes_max * EVALUATE_INLINE_FACTOR;
    let Some((chunks, last)) = core.wal.tail_chunks(group, from, job.to, bytes_max) else {
        return false;
    };
    let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    bytes <= bytes_max && last == job.to
}

/// Writes what is evaluated: at once if it is little and nobody is at work (true), else on the apply thread.
fn write_soon(core: &Core, group: &Arc<Group>, owner: &Arc<Queues>) -> bool {
    let done = write_inline(core, group);
    if !done {
        core.applying.push_due(Due::new(group, owner));
    }
    done
}

fn write_inline(core: &Core, group: &Group) -> bool {
    let Some(_right) = core.applying.write_if_idle() else {
        return false;
    };
    core.store.open_bytes(group.id) <= core.options.inline_bytes_max
        && write_all(core, group, true).is_ok()
}

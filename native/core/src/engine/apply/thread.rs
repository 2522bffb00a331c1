//! The apply thread: what is due is written, then what is queued is evaluated.

use std::time::Duration;

use super::OPEN_BYTES_MAX;
use super::queue::{Due, Job, Work};
use super::steps::{End, evaluate_some, judge, write_all, write_failed};
use crate::engine::core::Core;

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Body of the apply thread. Returns when the engine stops.
pub(crate) fn run(core: &Core) {
    let mut pause = PAUSE_FIRST;
    while !core.stopped() {
        match work(core, true) {
            Some(true) => pause = PAUSE_FIRST,
            Some(false) => {
                core.applying.pause(pause, || core.stopped());
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
            None => core.applying.wait_for_work(|| core.stopped()),
        }
    }
}

/// Stepped mode: one piece of work. False when there is none, or nothing can be done about it now.
pub(crate) fn step(core: &Core) -> bool {
    work(core, false) == Some(true)
}

/// One piece of the oldest work; what is left of it goes back to the front. None: there is none; false: it has to wait.
fn work(core: &Core, may_wait: bool) -> Option<bool> {
    match core.applying.take_work()? {
        Work::Write(due, _right) => Some(write_due(core, due)),
        Work::Evaluate(job, _right) => Some(evaluate_job(core, job, may_wait)),
    }
}

fn write_due(core: &Core, mut due: Due) -> bool {
    let end = match write_all(core, &due.group, false) {
        Ok(()) => Ok(End::Done),
        Err(refusal) => {
            let failed = |why: &str| write_failed(due.group.id, why);
            judge(core, refusal, &mut due.attempts, failed)
        }
    };
    match end {
        Ok(End::Later) => {
            core.applying.push_failed(due);
            return false;
        }
        Ok(_) => due.owner.wake(),
        Err(error) => core.fail(error),
    }
    true
}

fn evaluate_job(core: &Core, mut job: Job, may_wait: bool) -> bool {
    if job.results && may_wait {
        job.owner.wait_for_results_room(&|| core.stopped());
    } else if job.results && !job.owner.results_room() {
        core.applying.push_rest(job);
        return false;
    }
    if core.store.open_bytes(job.group.id) >= OPEN_BYTES_MAX {
        core.applying.push_due(job.due());
        core.applying.push_rest(job);
        return true;
    }
    match evaluate_some(core, &mut job, false) {
        Ok(End::Done) => {
            if job.write {
                core.applying.push_due(job.due());
            }
            job.owner.wake();
        }
        Ok(End::Partly) => {
            job.owner.wake();
            core.applying.push_rest(job);
        }
        Ok(End::Later) => {
            core.applying.push_rest(job);
            return false;
        }
        Err(error) => core.fail(error),
    }
    true
}

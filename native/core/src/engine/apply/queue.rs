//! What is left to the apply thread, and the rights to evaluate and to write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::engine::core::Group;
use crate::engine::queues::Queues;

#[derive(Default)]
pub(crate) struct ApplyQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// To be evaluated, in order.
    jobs: VecDeque<Job>,
    evaluating: bool,
    /// To be written.
    due: VecDeque<Due>,
    writing: bool,
    /// Both rights are taken until `readmit`.
    excluded: bool,
}

/// Records to be evaluated, up to `to`.
pub(super) struct Job {
    pub group: Arc<Group>,
    pub to: u64,
    pub owner: Arc<Queues>,
    pub results: bool,
    /// Then to be written.
    pub write: bool,
    pub attempts: u32,
}

/// What is evaluated by now is to be written.
pub(super) struct Due {
    pub group: Arc<Group>,
    pub owner: Arc<Queues>,
    pub attempts: u32,
}

pub(super) enum Work<'a> {
    Write(Due, Right<'a>),
    Evaluate(Job, Right<'a>),
}

/// The right to evaluate, or to write; given back on drop, also by a panic.
pub(super) struct Right<'a> {
    queue: &'a ApplyQueue,
    of: fn(&mut State) -> &mut bool,
}

impl Drop for Right<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        *(self.of)(&mut state) = false;
        if !state.jobs.is_empty() || !state.due.is_empty() {
            self.queue.wake.notify_all();
        }
    }
}

impl ApplyQueue {
    pub fn interrupt(&self) {
        let _held = self.state.lock();
        self.wake.notify_all();
    }

    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.jobs.clear();
        state.due.clear();
    }

    pub(super) fn push(&self, job: Job) {
        let mut state = self.state.lock();
        match state.jobs.back_mut() {
            Some(last) if last.is_continued_by(&job) => {
                last.to = last.to.max(job.to);
                last.write |= job.write;
            }
            _ => state.jobs.push_back(job),
        }
        self.wake.notify_all();
    }

    /// What is left of a job, in front of those behind it.
    pub(super) fn push_rest(&self, job: Job) {
        self.state.lock().jobs.push_front(job);
    }

    pub(super) fn push_due(&self, due: Due) {
        let mut state = self.state.lock();
        if !state.due.iter().any(|other| other.is_met_with(&due)) {
            state.due.push_back(due);
        }
        self.wake.notify_all();
    }

    /// A write that has failed, to be tried again before anything else.
    pub(super) fn push_failed(&self, due: Due) {
        self.state.lock().due.push_front(due);
    }

    /// Takes the right to evaluate inline: only while nobody evaluates and nothing is queued for it. Somebody may write.
    pub(super) fn evaluate_if_idle(&self) -> Option<Right<'_>> {
        let state = &mut *self.state.lock();
        let idle = !state.evaluating && state.jobs.is_empty();
        idle.then(|| self.take(state, |state| &mut state.evaluating))
    }

    /// Takes the right to write inline: only while there is nothing else to do.
    pub(super) fn write_if_idle(&self) -> Option<Right<'_>> {
        let state = &mut *self.state.lock();
        let busy = state.evaluating || state.writing;
        let idle = !busy && state.jobs.is_empty() && state.due.is_empty();
        idle.then(|| self.take(state, |state| &mut state.writing))
    }

    /// Takes the oldest work and the right to it. Writes come first: they were asked for before, and bound the memory.
    pub(super) fn take_work(&self) -> Option<Work<'_>> {
        let state = &mut *self.state.lock();
        if !state.has_work() {
            return None;
        }
        if let Some(due) = state.due.pop_front() {
            let right = self.take(state, |state| &mut state.writing);
            return Some(Work::Write(due, right));
        }
        let job = state.jobs.pop_front()?;
        let right = self.take(state, |state| &mut state.evaluating);
        Some(Work::Evaluate(job, right))
    }

    /// Takes both rights until `readmit`, if nobody has them and nothing is asked for; else false. What is asked for from then
    /// on waits.
    pub(crate) fn exclude(&self) -> bool {
        let state = &mut *self.state.lock();
        let busy =
            state.evaluating || state.writing || !state.jobs.is_empty() || !state.due.is_empty();
        if busy || state.excluded {
            return false;
        }
        (state.excluded, state.evaluating, state.writing) = (true, true, true);
        true
    }

    /// Gives back what `exclude` took; nothing if it took nothing.
    pub(crate) fn readmit(&self) {
        let state = &mut *self.state.lock();
        if state.excluded {
            (state.excluded, state.evaluating, state.writing) = (false, false, false);
            self.wake.notify_all();
        }
    }

    fn take(&self, state: &mut State, of: fn(&mut State) -> &mut bool) -> Right<'_> {
        *of(state) = true;
        Right { queue: self, of }
    }

    /// Sleeps until there may be work.
    pub(super) fn wait_for_work(&self, stopped: impl Fn() -> bool) {
        let mut state = self.state.lock();
        if !state.has_work() && !stopped() {
            self.wake.wait(&mut state);
        }
    }

    /// Sleeps, however much is asked for meanwhile: what has just failed would only fail again.
    pub(super) fn pause(&self, pause: Duration, stopped: impl Fn() -> bool) {
        let until = Instant::now() + pause;
        let mut state = self.state.lock();
        while !stopped() && !self.wake.wait_until(&mut state, until).timed_out() {}
    }
}

impl State {
    /// Whether the apply thread can do anything. It evaluates beside nobody's write: a record that has to look into RocksDB
    /// would only be refused.
    fn has_work(&self) -> bool {
        !self.writing && (!self.due.is_empty() || !self.evaluating && !self.jobs.is_empty())
    }
}

impl Job {
    fn is_continued_by(&self, next: &Job) -> bool {
        self.group.id == next.group.id
            && self.results == next.results
            && Arc::ptr_eq(&self.owner, &next.owner)
    }

    pub(super) fn due(&self) -> Due {
        Due::new(&self.group, &self.owner)
    }
}

impl Due {
    pub(super) fn new(group: &Arc<Group>, owner: &Arc<Queues>) -> Due {
        Due {
            group: group.clone(),
            owner: owner.clone(),
            attempts: 0,
        }
    }

    /// Whether writing for the one is writing for the other.
    fn is_met_with(&self, other: &Due) -> bool {
        self.group.id == other.group.id && Arc::ptr_eq(&self.owner, &other.owner)
    }
}

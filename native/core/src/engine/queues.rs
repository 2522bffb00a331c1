//! What waits for one JavaScript thread: results of applied commands, answers of reads, and the call that says so.
//!
//! The call is coalesced: it is made once, and not again before `poll` has armed it anew, however much happens.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use super::error::{EngineError, ErrorCode};

/// Called from any thread when there is something to poll. Must neither block nor panic.
pub type Notify = Box<dyn Fn() + Send + Sync>;

/// Head of one record's results as JavaScript gets them:
///
/// ```text
/// 0       8      16        20      24      28
/// | index | term | batches | bytes | group | zero | results of each batch …
/// ```
/// `bytes` counts what follows the head. The store writes the first 24 bytes, without group.
pub const RESULT_HEAD_BYTES: usize = 32;
const STORE_HEAD_BYTES: usize = 24;

/// `length u32, tag u32, status u32, zero u32`, then `length` bytes, padded to 8.
pub const ANSWER_HEAD_BYTES: usize = 16;

struct ResultRun {
    group: u32,
    bytes: Vec<u8>,
    taken: usize,
}

#[derive(Default)]
struct Answers {
    ready: VecDeque<Vec<u8>>,
    /// Requests on their way, and the bytes that they hold: an answer comes for each, so they count as well.
    underway: usize,
    underway_bytes: usize,
}

/// The completion queues of one attachment. Bounded in bytes: see `results_room` and `reserve_answer`.
pub struct Queues {
    notify: Option<Notify>,
    armed: AtomicBool,
    results: Mutex<VecDeque<ResultRun>>,
    results_bytes: AtomicUsize,
    results_bytes_max: usize,
    drained: Condvar,
    detached: AtomicBool,
    answers: Mutex<Answers>,
    answers_bytes: AtomicUsize,
    answers_bytes_max: usize,
}

/// Requests for answers that may be underway or waiting at once, whatever their size.
pub const ANSWERS_UNDERWAY_MAX: usize = 65_536;

impl Queues {
    pub fn new(
        notify: Option<Notify>,
        results_bytes_max: usize,
        answers_bytes_max: usize,
    ) -> Queues {
        Queues {
            notify,
            armed: AtomicBool::new(true),
            results: Mutex::default(),
            results_bytes: AtomicUsize::new(0),
            results_bytes_max,
            drained: Condvar::new(),
            detached: AtomicBool::new(false),
            answers: Mutex::default(),
            answers_bytes: AtomicUsize::new(0),
            answers_bytes_max,
        }
    }

    /// Lets the next event call `notify` again. To be called before the counters are read: what happens in between is
    /// then seen by the reader, or told by a call, or both, never neither.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Tells the JavaScript thread that something is there, unless it has been told already.
    pub fn wake(&self) {
        if let Some(notify) = &self.notify
            && self.armed.swap(false, Ordering::SeqCst)
        {
            notify();
        }
    }

    /// The attachment is gone: nobody will drain these queues, so nobody may wait for that.
    pub fn detach(&self) {
        self.detached.store(true, Ordering::SeqCst);
        self.armed.store(false, Ordering::SeqCst);
        let mut results = self.results.lock();
        results.clear();
        self.results_bytes.store(0, Ordering::Relaxed);
        self.drained.notify_all();
    }

    /// May another burst leave its results here? The limit is a threshold: the burst that passes it still fits.
    pub fn results_room(&self) -> bool {
        self.detached.load(Ordering::Relaxed)
            || self.results_bytes.load(Ordering::Relaxed) < self.results_bytes_max
    }

    /// Waits until there is room, or `stop` says that it does not matter any more. For the apply thread.
    pub fn wait_for_results_room(&self, stop: &dyn Fn() -> bool) {
        let mut results = self.results.lock();
        while !self.results_room() && !stop() {
            self.drained.wait(&mut results);
        }
    }

    /// Wakes a waiter of `wait_for_results_room`, so that it asks `stop` again.
    pub fn interrupt(&self) {
        let _held = self.results.lock();
        self.drained.notify_all();
    }

    /// Takes what a store's apply wrote for `group`: whole records, each with a head of 24 bytes.
    pub fn push_results(&self, group: u32, bytes: Vec<u8>) {
        let mut results = self.results.lock();
        if bytes.is_empty() || self.detached.load(Ordering::Relaxed) {
            return;
        }
        self.results_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        results.push_back(ResultRun {
            group,
            bytes,
            taken: 0,
        });
    }

    /// Moves as many whole records as fit to the front of `out`, oldest first.
    ///
    /// Returns the bytes written; 0 when there are none; -n when the first one needs n bytes.
    pub fn take_results(&self, out: &mut [u8]) -> i64 {
        let mut results = self.results.lock();
        let mut written = 0;
        let mut taken_total = 0;
        while let Some(run) = results.front_mut() {
            let (wrote, taken) = copy_records(run, &mut out[written..]);
            written += wrote;
            taken_total += taken;
            if run.taken < run.bytes.len() {
                break;
            }
            results.pop_front();
        }
        let needed = match results.front() {
            Some(run) if written == 0 => {
                record_bytes(&run.bytes[run.taken..]) + RESULT_HEAD_BYTES - STORE_HEAD_BYTES
            }
            _ => 0,
        };
        self.results_bytes.fetch_sub(taken_total, Ordering::Relaxed);
        if self.results_room() {
            self.drained.notify_all();
        }
        if needed > 0 {
            -(needed as i64)
        } else {
            written as i64
        }
    }

    pub fn results_bytes(&self) -> usize {
        self.results_bytes.load(Ordering::Relaxed)
    }

    /// Announces a request that holds so many bytes until it is answered here.
    ///
    /// @throws ERAFT_OVERLOADED when too much is unanswered or unread; nothing is queued then
    pub fn reserve_answer(&self, bytes: usize) -> Result<(), EngineError> {
        let mut answers = self.answers.lock();
        let waiting = answers.underway + answers.ready.len();
        let held = answers.underway_bytes + self.answers_bytes.load(Ordering::Relaxed);
        if waiting >= ANSWERS_UNDERWAY_MAX || held >= self.answers_bytes_max {
            return Err(EngineError::new(
                ErrorCode::Overloaded,
                "too many reads are unanswered, or their answers are not taken",
            ));
        }
        answers.underway += 1;
        answers.underway_bytes += bytes;
        Ok(())
    }

    /// The answer to a request that has reserved so many bytes, or to none that has (refused at the door).
    pub fn push_answer(&self, answer: Answer, reserved: Option<usize>) {
        let bytes = answer.finish();
        let mut answers = self.answers.lock();
        if let Some(bytes) = reserved {
            answers.underway -= 1;
            answers.underway_bytes -= bytes;
        }
        if !self.detached.load(Ordering::Relaxed) {
            self.answers_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
            answers.ready.push_back(bytes);
        }
        drop(answers);
        self.wake();
    }

    /// As `take_results`, for answers.
    pub fn take_answers(&self, out: &mut [u8]) -> i64 {
        let mut answers = self.answers.lock();
        let mut written = 0;
        while let Some(answer) = answers.ready.front() {
            if answer.len() > out.len() - written {
                break;
            }
            out[written..written + answer.len()].copy_from_slice(answer);
            written += answer.len();
            answers.ready.pop_front();
        }
        self.answers_bytes.fetch_sub(written, Ordering::Relaxed);
        match answers.ready.front() {
            Some(answer) if written == 0 => -(answer.len() as i64),
            _ => written as i64,
        }
    }

    pub fn answers_bytes(&self) -> usize {
        self.answers_bytes.load(Ordering::Relaxed)
    }
}

/// Copies whole records from `run` to `out`, widening each head by the group. Returns (bytes written, bytes taken).
fn copy_records(run: &mut ResultRun, out: &mut [u8]) -> (usize, usize) {
    let start = run.taken;
    let mut written = 0;
    while run.taken < run.bytes.len() {
        let record = &run.bytes[run.taken..];
        let length = record_bytes(record);
        let wide = length + RESULT_HEAD_BYTES - STORE_HEAD_BYTES;
        if wide > out.len() - written {
            break;
        }
        let to = &mut out[written..written + wide];
        to[..STORE_HEAD_BYTES].copy_from_slice(&record[..STORE_HEAD_BYTES]);
        to[24..28].copy_from_slice(&run.group.to_le_bytes());
        to[28..32].fill(0);
        to[RESULT_HEAD_BYTES..].copy_from_slice(&record[STORE_HEAD_BYTES..length]);
        written += wide;
        run.taken += length;
    }
    (written, run.taken - start)
}

/// Length of the record at the front of what the store wrote, head included.
fn record_bytes(record: &[u8]) -> usize {
    STORE_HEAD_BYTES + u32::from_le_bytes([record[20], record[21], record[22], record[23]]) as usize
}

/// An answer in the making: head room, then whatever the answerer appends.
pub struct Answer {
    tag: u32,
    status: u16,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn new(tag: u32) -> Answer {
        Answer {
            tag,
            status: 0,
            bytes: vec![0; ANSWER_HEAD_BYTES],
        }
    }

    /// What was written so far gives way to the error.
    pub fn refused(tag: u32, error: &EngineError) -> Answer {
        let mut answer = Answer::new(tag);
        answer.status = error.code.wire();
        answer.bytes.extend_from_slice(error.message.as_bytes());
        answer
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len() - ANSWER_HEAD_BYTES;
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes[0..4].copy_from_slice(&(length as u32).to_le_bytes());
        self.bytes[4..8].copy_from_slice(&self.tag.to_le_bytes());
        self.bytes[8..12].copy_from_slice(&u32::from(self.status).to_le_bytes());
        self.bytes
    }
}

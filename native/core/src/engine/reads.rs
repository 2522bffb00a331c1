//! What may have to wait for a disk: point reads that memory could not answer, scans, records of the log, parts of snapshots.
//!
//! Requests are answered by a few threads, in any order; each answer carries the asker's tag.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::core::{Core, store_error};
use super::error::{EngineError, ErrorCode};
use super::queues::{Answer, Queues};
use super::snapshots;
use crate::snapshot::SnapshotId;
use crate::store::{ReadView, Tier};
use crate::wal::WalError;

pub(crate) enum Request {
    /// A `ReadBatch`, over the view that the rest of its turn was read from.
    Read { view: ReadView, batch: Vec<u8> },
    /// A `ScanRequest`.
    Scan { group: u32, request: Vec<u8> },
    /// Records [from, to] of the log, whole ones up to `bytes_max`, at least one.
    Fetch {
        group: u32,
        from: u64,
        to: u64,
        bytes_max: usize,
    },
    /// A part of a snapshot, about so many bytes.
    SnapshotPart {
        id: SnapshotId,
        number: u32,
        bytes: usize,
    },
}

impl Request {
    /// What it holds until it is answered; what reads much counts as its answer.
    fn bytes(&self) -> usize {
        match self {
            Request::Read { batch, .. } => batch.len(),
            Request::Scan { request, .. } => request.len(),
            Request::Fetch { bytes_max, .. } => *bytes_max,
            Request::SnapshotPart { bytes, .. } => *bytes,
        }
    }
}

struct Job {
    request: Request,
    bytes: usize,
    tag: u32,
    asker: Arc<Queues>,
}

#[derive(Default)]
pub(crate) struct ReadQueue {
    jobs: Mutex<VecDeque<Job>>,
    wake: Condvar,
}

impl ReadQueue {
    pub fn interrupt(&self) {
        let _held = self.jobs.lock();
        self.wake.notify_all();
    }

    /// Drops what is queued, and with it the views that keep the store open.
    pub fn clear(&self) {
        self.jobs.lock().clear();
    }

    /// Queues a request. Too many of them: the answer is ERAFT_OVERLOADED.
    pub fn ask(&self, request: Request, tag: u32, asker: &Arc<Queues>) {
        let bytes = request.bytes();
        match asker.reserve_answer(bytes) {
            Ok(()) => {
                self.jobs.lock().push_back(Job {
                    request,
                    bytes,
                    tag,
                    asker: asker.clone(),
                });
                self.wake.notify_one();
            }
            Err(error) => asker.push_answer(Answer::refused(tag, &error), None),
        }
    }
}

/// Body of a read thread. Returns when the engine stops.
pub(crate) fn run(core: &Core) {
    while !core.stopped() {
        let job = {
            let mut jobs = core.reading.jobs.lock();
            match jobs.pop_front() {
                Some(job) => job,
                None if core.stopped() => return,
                None => {
                    core.reading.wake.wait(&mut jobs);
                    continue;
                }
            }
        };
        answer(core, job);
    }
}

/// Stepped mode: answers the oldest request. False when there is none.
pub(crate) fn step(core: &Core) -> bool {
    let job = core.reading.jobs.lock().pop_front();
    let found = job.is_some();
    if let Some(job) = job {
        answer(core, job);
    }
    found
}

fn answer(core: &Core, job: Job) {
    let mut answer = Answer::new(job.tag);
    let outcome = match job.request {
        Request::Read { view, batch } => core
            .store
            .read(&view, &batch, Tier::All, &mut answer.bytes)
            .map(drop)
            .map_err(|e| store_error(&e)),
        Request::Scan { group, request } => core
            .store
            .scan(group, &request, core.clock.ms(), &mut answer.bytes)
            .map_err(|e| store_error(&e)),
        Request::Fetch {
            group,
            from,
            to,
            bytes_max,
        } => core
            .wal
            .read(group, from, to, bytes_max)
            .map(|records| answer.bytes.extend_from_slice(&records))
            .map_err(|e| log_error(&e)),
        Request::SnapshotPart { id, number, .. } => {
            snapshots::read_part(core, &id, number, &mut answer.bytes)
        }
    };
    if let Err(error) = outcome {
        answer = Answer::refused(job.tag, &error);
    }
    job.asker.push_answer(answer, Some(job.bytes));
}

/// A log's refusal to read, for the one who asked.
fn log_error(error: &WalError) -> EngineError {
    let code = match error {
        WalError::Damaged { .. } => ErrorCode::DataDamaged,
        WalError::Version { .. } => ErrorCode::DataVersion,
        WalError::Io { .. } => ErrorCode::Io,
        WalError::Closed => ErrorCode::Closed,
        WalError::Panicked { .. } => ErrorCode::Failed,
        WalError::Options { .. } => ErrorCode::Config,
        WalError::Invalid { .. } | WalError::Compacted { .. } | WalError::OutOfRange { .. } => {
            ErrorCode::BadRequest
        }
    };
    EngineError::new(code, error.to_string())
}

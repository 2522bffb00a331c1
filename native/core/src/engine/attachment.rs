//! One JavaScript thread's hold on an engine: every call of the border ends here. Each has queues of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::core::{Core, Group, store_error};
use super::error::{EngineError, ErrorCode};
use super::identity::Identity;
use super::queues::{Answer, Notify, Queues};
use super::reads::Request;
use super::{Engine, GroupRecovery, apply, reads, upkeep};
use crate::record;
use crate::store::{Peek, StoreStatus, Tier};
use crate::wal::{Batch, HardState, WalError, WalStatus};

pub struct Attachment {
    engine: Arc<Engine>,
    queues: Arc<Queues>,
    scratch: Mutex<Vec<u8>>,
    attached: AtomicBool,
}

/// What `poll` tells: see `Progress` in ts/storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every ticket up to here is on disk.
    pub durable: u64,
    /// Terms and votes of every ticket up to here are: they overtake queued records.
    pub durable_votes: u64,
    /// Wire number of the error that ended the engine; 0 while it is well.
    pub failed: u16,
    pub disk_full: bool,
    /// How long the oldest unfinished sync has been running; 0 when there is none.
    pub sync_pending_micros: u64,
    pub results_bytes: u64,
    pub answers_bytes: u64,
    pub log_bytes: u64,
    pub store_bytes: u64,
    /// Submitted and not yet on disk.
    pub queued_bytes: u64,
    pub apply_runs: u64,
    pub flush_runs: u64,
}

/// Numbers for metrics.
pub struct Stats {
    pub log: WalStatus,
    pub store: StoreStatus,
    pub flush_refusals: u64,
}

/// What `read` did.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// So many bytes of answers stand at the front of `out`; the rest comes through `answers`.
    Written(usize),
    /// Nothing was done: the answers from memory need so many bytes.
    Needs(usize),
}

const FRAME_HEAD_BYTES: usize = 8;

impl Attachment {
    pub fn new(engine: Arc<Engine>, notify: Option<Notify>) -> Result<Attachment, EngineError> {
        let queues = engine.with(|core| {
            let notify = notify.filter(|_| !core.options.stepped);
            let (results, answers) = (
                core.options.results_bytes_max,
                core.options.answers_bytes_max,
            );
            let queues = Arc::new(Queues::new(notify, results, answers));
            core.listeners.add(&queues);
            Ok(queues)
        })?;
        engine.attachments.fetch_add(1, Ordering::SeqCst);
        Ok(Attachment {
            engine,
            queues,
            scratch: Mutex::default(),
            attached: AtomicBool::new(true),
        })
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Lets go: nothing is called or queued any more. The last one to go closes the engine. Idempotent.
    pub fn detach(&self) {
        if self.attached.swap(false, Ordering::SeqCst) {
            self.queues.detach();
            if self.engine.attachments.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.engine.close(false);
            }
        }
    }

    fn with<R>(
        &self,
        work: impl FnOnce(&Core) -> Result<R, EngineError>,
    ) -> Result<R, EngineError> {
        if !self.attached.load(Ordering::SeqCst) {
            return Err(EngineError::closed());
        }
        self.engine.with(work)
    }

    /// As `with`, refused once the engine has failed.
    fn live<R>(
        &self,
        work: impl FnOnce(&Core) -> Result<R, EngineError>,
    ) -> Result<R, EngineError> {
        self.with(|core| {
            core.check()?;
            work(core)
        })
    }

    pub fn recovered(&self) -> &[GroupRecovery] {
        self.engine.recovered()
    }

    pub fn identity(&self) -> Result<Identity, EngineError> {
        self.with(|core| Ok(*core.identity.lock()))
    }

    /// Marks the folder as one that may have promised something. Durable when this returns.
    pub fn set_member_known(&self) -> Result<(), EngineError> {
        self.live(|core| {
            let mut identity = core.identity.lock();
            if identity.blank {
                let known = Identity {
                    blank: false,
                    ..*identity
                };
                known.write(&*core.fs, &core.dir)?;
                *identity = known;
            }
            Ok(())
        })
    }

    /// Lets the next event call again, and tells how far everything is. A closed engine has failed with ERAFT_CLOSED.
    pub fn poll(&self) -> Progress {
        self.queues.arm();
        let told = self.with(|core| {
            let log = core.wal.status();
            Ok(Progress {
                durable: core.wal.durable(),
                durable_votes: core.wal.durable_votes(),
                failed: core.failure().map_or(0, |error| error.code.wire()),
                disk_full: log.disk_full || core.store_full.load(Ordering::Relaxed),
                sync_pending_micros: log.sync_pending_micros,
                results_bytes: self.queues.results_bytes() as u64,
                answers_bytes: self.queues.answers_bytes() as u64,
                log_bytes: log.bytes,
                store_bytes: core.upkeep.store_bytes.load(Ordering::Relaxed),
                queued_bytes: log.queued_bytes as u64,
                apply_runs: core.upkeep.apply_runs.load(Ordering::Relaxed),
                flush_runs: core.upkeep.flush_runs.load(Ordering::Relaxed),
            })
        });
        told.unwrap_or_else(|error| Progress {
            failed: error.code.wire(),
            ..Progress::default()
        })
    }

    pub fn failure(&self) -> Option<EngineError> {
        self.with(|core| Ok(core.failure().cloned()))
            .unwrap_or_else(Some)
    }

    /// Queues hard states, then records, as one unit for the log. Returns its ticket.
    ///
    /// @throws ERAFT_OVERLOADED when records are refused because too much is not on disk yet; ERAFT_BAD_REQUEST for
    /// bytes that are no records
    pub fn submit(
        &self,
        records: &[u8],
        hard_states: Vec<(u32, HardState)>,
    ) -> Result<u64, EngineError> {
        self.live(|core| {
            if !records.is_empty()
                && core.wal.status().queued_bytes as u64 > core.options.queue_bytes_max
            {
                return Err(EngineError::new(
                    ErrorCode::Overloaded,
                    "the disk does not keep up with the log",
                ));
            }
            let mut ends: Vec<(Arc<Group>, u64)> = Vec::new();
            for view in record::records_trusted(records) {
                let header = view
                    .map_err(|e| EngineError::bad_request(e.to_string()))?
                    .header();
                match ends.last_mut() {
                    Some((group, last)) if group.id == header.group => *last = header.index,
                    _ => ends.push((core.group(header.group), header.index)),
                }
            }
            let batch = Batch {
                hard_states,
                records: records.to_vec(),
                ..Batch::default()
            };
            let ticket = core.wal.submit(batch).map_err(|e| submit_error(core, &e))?;
            for (group, last) in ends {
                group.submitted(ticket, last);
            }
            Ok(ticket)
        })
    }

    /// Queues a group's membership as of `index`. Returns its ticket.
    pub fn save_conf(&self, group: u32, index: u64, conf: &[u8]) -> Result<u64, EngineError> {
        self.live(|core| {
            let batch = Batch {
                confs: vec![(group, index, conf.to_vec())],
                ..Batch::default()
            };
            core.wal.submit(batch).map_err(|e| submit_error(core, &e))
        })
    }

    /// Whole records [from, to] from memory, up to `bytes_max`, at least one. Returns the bytes written; 0 when `from` is
    /// not in memory; -n when n bytes of room are needed.
    pub fn read_tail(
        &self,
        group: u32,
        from: u64,
        to: u64,
        bytes_max: usize,
        out: &mut [u8],
    ) -> Result<i64, EngineError> {
        self.with(|core| {
            let Some((chunks, _)) = core.wal.tail_chunks(group, from, to, bytes_max) else {
                return Ok(0);
            };
            let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
            if bytes > out.len() {
                return Ok(-(bytes as i64));
            }
            let mut rest = out;
            for chunk in &chunks {
                let (front, behind) = rest.split_at_mut(chunk.len());
                front.copy_from_slice(chunk);
                rest = behind;
            }
            Ok(bytes as i64)
        })
    }

    /// The same from disk, as an answer under `tag`.
    pub fn fetch(
        &self,
        group: u32,
        from: u64,
        to: u64,
        bytes_max: usize,
        tag: u32,
    ) -> Result<(), EngineError> {
        self.live(|core| {
            core.reading.ask(
                Request::Fetch {
                    group,
                    from,
                    to,
                    bytes_max,
                },
                tag,
                &self.queues,
            );
            Ok(())
        })
    }

    /// Nobody needs entries up to `index` any more. Done in the background, as far as the store has flushed.
    pub fn truncate(&self, group: u32, index: u64) -> Result<(), EngineError> {
        self.live(|core| {
            core.group(group)
                .truncatable
                .fetch_max(index, Ordering::Relaxed);
            core.upkeep.ask_truncate();
            Ok(())
        })
    }

    /// The index before the first one that the log still holds.
    pub fn compacted(&self, group: u32) -> Result<u64, EngineError> {
        self.with(|core| {
            let status = core.wal.status();
            let found = status.groups.iter().find(|status| status.group == group);
            Ok(found.map_or(0, |status| status.first_index.saturating_sub(1)))
        })
    }

    /// See `apply::apply`.
    pub fn apply(&self, group: u32, to: u64, results: bool) -> Result<bool, EngineError> {
        self.live(|core| apply::apply(core, group, to, results, &self.queues))
    }

    pub fn results(&self, out: &mut [u8]) -> i64 {
        self.queues.take_results(out)
    }

    pub fn answers(&self, out: &mut [u8]) -> i64 {
        self.queues.take_answers(out)
    }

    /// Answers the `ReadBatch`es in `frames` over one view of the group: from memory into `out`, else later, as answers.
    ///
    /// `frames` and `out`: repeated { length u32, tag u32, bytes, padding to 8 }.
    pub fn read(
        &self,
        group: u32,
        frames: &[u8],
        out: &mut [u8],
    ) -> Result<ReadOutcome, EngineError> {
        self.live(|core| {
            let view = core.store.view(group);
            let mut scratch = self.scratch.lock();
            scratch.clear();
            let mut missed = Vec::new();
            let mut refused = Vec::new();
            for frame in Frames(frames) {
                let (tag, batch) = frame?;
                let start = scratch.len();
                scratch.resize(start + FRAME_HEAD_BYTES, 0);
                match core.store.read(&view, batch, Tier::Memory, &mut scratch) {
                    Ok(true) => finish_frame(&mut scratch, start, tag),
                    other => {
                        scratch.truncate(start);
                        match other {
                            Err(error) => refused.push(Answer::refused(tag, &store_error(&error))),
                            Ok(_) => missed.push((tag, batch)),
                        }
                    }
                }
            }
            if scratch.len() > out.len() {
                return Ok(ReadOutcome::Needs(scratch.len()));
            }
            out[..scratch.len()].copy_from_slice(&scratch);
            for (tag, batch) in missed {
                core.reading.ask(
                    Request::Read {
                        view: view.clone(),
                        batch: batch.to_vec(),
                    },
                    tag,
                    &self.queues,
                );
            }
            refused
                .into_iter()
                .for_each(|answer| self.queues.push_answer(answer, false));
            Ok(ReadOutcome::Written(scratch.len()))
        })
    }

    /// One page of a scan, as an answer under `tag`.
    pub fn scan(&self, group: u32, tag: u32, request: &[u8]) -> Result<(), EngineError> {
        self.live(|core| {
            core.reading.ask(
                Request::Scan {
                    group,
                    request: request.to_vec(),
                },
                tag,
                &self.queues,
            );
            Ok(())
        })
    }

    pub fn close_view(&self, view: u64) -> Result<(), EngineError> {
        self.with(|core| {
            core.store.close_view(view);
            Ok(())
        })
    }

    /// A value from memory alone, as of now. The value's bytes written; -1 absent; -2 not in memory; -3 - n: n bytes of
    /// room are needed.
    pub fn peek(&self, group: u32, key: &[u8], out: &mut [u8]) -> Result<i64, EngineError> {
        self.live(|core| {
            let mut scratch = self.scratch.lock();
            scratch.clear();
            match core
                .store
                .peek(group, key, &mut scratch)
                .map_err(|e| store_error(&e))?
            {
                Peek::Absent => Ok(-1),
                Peek::NotInMemory => Ok(-2),
                Peek::Found if scratch.len() > out.len() => Ok(-3 - scratch.len() as i64),
                Peek::Found => {
                    out[..scratch.len()].copy_from_slice(&scratch);
                    Ok(scratch.len() as i64)
                }
            }
        })
    }

    /// Really applied.
    pub fn applied(&self, group: u32) -> Result<u64, EngineError> {
        self.with(|core| Ok(core.group(group).applied.load(Ordering::Acquire)))
    }

    /// The last revision applied.
    pub fn revision(&self, group: u32) -> Result<u64, EngineError> {
        self.with(|core| Ok(core.group(group).revision.load(Ordering::Acquire)))
    }

    /// Applied and on disk, as last looked at.
    pub fn flushed(&self, group: u32) -> Result<u64, EngineError> {
        self.with(|core| Ok(core.store.flushed(group)))
    }

    /// Starts a flush of the store in the background.
    pub fn flush(&self) -> Result<(), EngineError> {
        self.live(|core| {
            core.upkeep.ask_flush();
            Ok(())
        })
    }

    pub fn stats(&self) -> Result<Stats, EngineError> {
        self.with(|core| {
            let flush_refusals = core.upkeep.flush_refusals.load(Ordering::Relaxed);
            Ok(Stats {
                log: core.wal.status(),
                store: core.store.status(),
                flush_refusals,
            })
        })
    }

    /// Stepped mode: one unit of work, the first of these that has any: a log frame, a burst of apply, a read, upkeep.
    pub fn step(&self) -> Result<bool, EngineError> {
        self.with(|core| {
            if !core.options.stepped {
                return Err(EngineError::bad_request(
                    "step() is for stepped mode: this engine has threads",
                ));
            }
            let dead = core.failure().is_some();
            Ok(!dead
                && (core.wal.step()
                    || apply::step(core)
                    || reads::step(core)
                    || upkeep::step(core)))
        })
    }

    /// Stepped mode: the time that the life of views and the latency of syncs are judged by.
    pub fn set_now(&self, ms: u64) -> Result<(), EngineError> {
        self.with(|core| {
            core.clock.set_ms(ms);
            Ok(())
        })
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.detach();
    }
}

/// The log's refusal of a batch, for the one who submitted it.
fn submit_error(core: &Core, error: &WalError) -> EngineError {
    match error {
        WalError::Closed => EngineError::closed(),
        WalError::Invalid { .. } | WalError::Compacted { .. } | WalError::OutOfRange { .. } => {
            EngineError::bad_request(error.to_string())
        }
        _ => core
            .failure()
            .cloned()
            .unwrap_or_else(|| EngineError::new(ErrorCode::Failed, error.to_string())),
    }
}

/// Writes the head of the frame that begins at `start` and ends with `bytes`, and pads it.
fn finish_frame(bytes: &mut Vec<u8>, start: usize, tag: u32) {
    let length = bytes.len() - start - FRAME_HEAD_BYTES;
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
    bytes[start + 4..start + 8].copy_from_slice(&tag.to_le_bytes());
}

/// Iterates { length u32, tag u32, bytes, padding to 8 }: (tag, bytes).
struct Frames<'a>(&'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = Result<(u32, &'a [u8]), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let whole = std::mem::take(&mut self.0);
        let cut = || EngineError::bad_request("read: a frame ends behind the slab");
        let Some(head) = whole.get(..FRAME_HEAD_BYTES) else {
            return Some(Err(cut()));
        };
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let tag = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let Some(bytes) = whole.get(FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + length) else {
            return Some(Err(cut()));
        };
        self.0 = whole
            .get((FRAME_HEAD_BYTES + length).next_multiple_of(8)..)
            .unwrap_or_default();
        Some(Ok((tag, bytes)))
    }
}

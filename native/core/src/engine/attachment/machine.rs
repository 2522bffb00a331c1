//! The state machine's part of an attachment: apply, results, reads.

use std::sync::atomic::Ordering;

use super::super::apply;
use super::super::core::store_error;
use super::super::error::EngineError;
use super::super::queues::Answer;
use super::super::reads::Request;
use super::Attachment;
use crate::store::{Peek, Tier};

/// What `read` did.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// So many bytes of answers stand at the front of `out`; the rest comes through `answers`.
    Written(usize),
    /// Nothing was done: the answers from memory need so many bytes.
    Needs(usize),
}

/// { length u32, tag u32 }, then the bytes, padded to 8.
const FRAME_HEAD_BYTES: usize = 8;

impl Attachment {
    /// See `apply::evaluate`.
    pub fn evaluate(&self, group: u32, to: u64) -> Result<bool, EngineError> {
        self.live(|core| apply::evaluate(core, group, to, &self.queues))
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
            apply::show(core, group, &self.queues);
            let view = core.store.view(group).map_err(|e| store_error(&e))?;
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
                .for_each(|answer| self.queues.push_answer(answer, None));
            Ok(ReadOutcome::Written(scratch.len()))
        })
    }

    /// One page of a scan, as an answer under `tag`.
    pub fn scan(&self, group: u32, tag: u32, request: &[u8]) -> Result<(), EngineError> {
        self.live(|core| {
            apply::show(core, group, &self.queues);
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

    /// A value from memory alone, as of now. The value's bytes written; -1 absent; -2 not in memory, or not yet as it was
    /// answered; -3 - n: n bytes of room are needed.
    pub fn peek(&self, group: u32, key: &[u8], out: &mut [u8]) -> Result<i64, EngineError> {
        self.live(|core| {
            if !apply::show(core, group, &self.queues) {
                return Ok(-2);
            }
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

    /// How far the group is applied, and what to compare replicas by there. Reads the whole group.
    pub fn digest(&self, group: u32) -> Result<(u64, String), EngineError> {
        self.live(|core| {
            let (applied, digest) = core.store.digest(group).map_err(|e| store_error(&e))?;
            Ok((applied.index, digest))
        })
    }

    /// Starts a flush of the store in the background.
    pub fn flush(&self) -> Result<(), EngineError> {
        self.live(|core| {
            core.upkeep.ask_flush();
            Ok(())
        })
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

//! The class `Engine`: see the contract of each method in its documentation, which becomes native/index.d.ts.

use std::sync::Arc;

use eraft_core::engine::{
    Attachment, Engine as CoreEngine, EngineError, ErrorCode, Progress, ReadOutcome, forget_disk,
};
use eraft_core::record::{self, Header};
use eraft_core::sys::Fault;
use eraft_core::wal::HardState;
use napi::bindgen_prelude::{AsyncTask, Float64ArraySlice, Function, Uint8ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;

use crate::convert::{Thrown, disjoint, integer, number, range, refused, room, to_js};
use crate::options::EngineOptions;
use crate::recovery::{EngineGroup, EngineIdentity, EngineStats};
use crate::tasks::{CloseTask, OpenTask, notify_of};

/// Numbers that `inspect` writes for one record.
const INSPECTED: usize = 8;

/// One data folder, as one JavaScript thread holds it.
///
/// Indexes, terms, revisions and tickets are integers below 2^53. Byte ranges are lent for the length of the call;
/// what outlives it is copied. Every method but `open`, `close` and `setMemberKnown` returns without touching a disk.
/// Thrown errors carry an ERAFT_* name as `code`.
#[napi]
pub struct Engine {
    attachment: Arc<Attachment>,
    owner: bool,
}

impl Engine {
    /// Wraps an attachment, and has it let go when its JavaScript environment ends without `close`.
    pub fn adopt(env: &Env, attachment: Arc<Attachment>, owner: bool) -> napi::Result<Engine> {
        let weak = Arc::downgrade(&attachment);
        env.add_env_cleanup_hook(weak, |weak| {
            if let Some(attachment) = weak.upgrade() {
                attachment.detach();
            }
        })?;
        Ok(Engine { attachment, owner })
    }
}

fn plain(error: napi::Error) -> napi::Error<ErrorCode> {
    refused(error.reason)
}

#[napi]
impl Engine {
    /// Opens or formats a data folder. `onProgress` is called, once until `poll`, when there is something to poll; it
    /// does not keep the process alive, and is never called in stepped mode.
    ///
    /// Rejects with ERAFT_DATA_LOCKED, ERAFT_DATA_MISMATCH, ERAFT_DATA_DAMAGED, ERAFT_DATA_VERSION, ERAFT_IO,
    /// ERAFT_CONFIG.
    #[napi(
        catch_unwind,
        ts_args_type = "options: EngineOptions, onProgress: () => void",
        ts_return_type = "Promise<Engine>"
    )]
    pub fn open(
        options: EngineOptions,
        on_progress: Function<'_, (), ()>,
    ) -> Result<AsyncTask<OpenTask>, ErrorCode> {
        let notify = notify_of(&on_progress).map_err(plain)?;
        Ok(AsyncTask::new(OpenTask {
            options: Some(options.into_core()?),
            notify: Some(notify),
        }))
    }

    /// Attaches another worker thread to an open engine: it has completion queues of its own.
    ///
    /// Throws ERAFT_CLOSED when no open engine has this token.
    #[napi(catch_unwind, ts_args_type = "token: number, onProgress: () => void")]
    pub fn attach(
        env: &Env,
        token: u32,
        on_progress: Function<'_, (), ()>,
    ) -> Result<Engine, ErrorCode> {
        let engine = CoreEngine::find(token).ok_or_else(|| to_js(EngineError::closed()))?;
        let notify = notify_of(&on_progress).map_err(plain)?;
        let attachment = Attachment::new(engine, Some(notify)).map_err(to_js)?;
        Engine::adopt(env, Arc::new(attachment), false).map_err(plain)
    }

    /// Forgets an in-memory disk that no engine uses any more.
    #[napi(catch_unwind)]
    pub fn forget_memory(name: String) {
        forget_disk(&name);
    }

    /// Names this engine within the process, for `attach`.
    #[napi(getter)]
    pub fn token(&self) -> u32 {
        self.attachment.engine().token()
    }

    /// Whose folder this is.
    #[napi(catch_unwind)]
    pub fn identity(&self) -> Result<EngineIdentity, ErrorCode> {
        self.attachment
            .identity()
            .map(EngineIdentity::from)
            .map_err(to_js)
    }

    /// What log and store held when the folder was opened. Empty for a new folder.
    #[napi(catch_unwind)]
    pub fn groups(&self) -> Vec<EngineGroup> {
        self.attachment
            .recovered()
            .iter()
            .map(EngineGroup::from)
            .collect()
    }

    /// Marks the folder as one that may have promised something; durable on return. Blocks: once in a replica's life,
    /// before its first vote or acknowledgement.
    #[napi(catch_unwind)]
    pub fn set_member_known(&self) -> Result<(), ErrorCode> {
        self.attachment.set_member_known().map_err(to_js)
    }

    /// Checks the CommandBatch bytes[start..end): its number of top-level commands, or -(wire number of the error).
    #[napi(catch_unwind)]
    pub fn verify_batch(
        &self,
        bytes: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
    ) -> Result<i32, ErrorCode> {
        let batch = range(&bytes, start, end)?;
        Ok(match eraft_core::command::verify_batch(batch) {
            Ok(summary) => summary.commands as i32,
            Err(error) => -i32::from(error.wire()),
        })
    }

    /// Completes the record whose payload ends at `payloadEnd` of the slab: header and checksum go into the 56 bytes
    /// from `start`, zeros behind the payload. Returns the end of the record, a multiple of 8 from `start`.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // an object would cost more than the call
    pub fn seal(
        &self,
        mut slab: Uint8ArraySlice<'_>,
        start: u32,
        payload_end: u32,
        kind: u8,
        group: u32,
        index: f64,
        term: f64,
        time: f64,
        first_revision: f64,
        count: u32,
    ) -> Result<u32, ErrorCode> {
        let header = Header {
            kind,
            group,
            index: integer("index", index)?,
            term: integer("term", term)?,
            time: integer("time", time)?,
            first_revision: integer("firstRevision", first_revision)?,
            count,
        };
        let payload =
            (payload_end as usize).checked_sub(start as usize + record::RECORD_HEADER_BYTES);
        let payload =
            payload.filter(|&bytes| bytes <= record::RECORD_PAYLOAD_BYTES_MAX && kind != 0);
        let payload = payload.ok_or_else(|| {
            refused(format!(
                "no record of kind {kind} spans {start}..{payload_end}"
            ))
        })?;
        let bytes = record::padded(payload);
        let room = room(&mut slab, start)?;
        let room = room
            .get_mut(..bytes)
            .ok_or_else(|| refused(format!("the slab has no room for {bytes} bytes at {start}")))?;
        record::seal_payload(room, payload, &header);
        Ok(start + bytes as u32)
    }

    /// Checks the records slab[start..end) and writes eight numbers for each into `out`: index, term, time,
    /// firstRevision, count, bytes, kind, group. Returns their number, or -1 - offset (from `start`) of the first bad one.
    #[napi(catch_unwind)]
    pub fn inspect(
        &self,
        slab: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
        mut out: Float64ArraySlice<'_>,
    ) -> Result<i64, ErrorCode> {
        let mut rest = range(&slab, start, end)?;
        let whole = rest.len();
        // SAFETY: as in `convert::room`; a Float64Array and a Uint8Array over the same memory are excluded by ts/storage,
        // which allocates `out` by itself.
        let out = unsafe { out.as_mut() };
        let mut count = 0;
        while !rest.is_empty() {
            let Ok(view) = record::parse(rest) else {
                return Ok(-1 - (whole - rest.len()) as i64);
            };
            let header = view.header();
            let place = out.get_mut(count * INSPECTED..(count + 1) * INSPECTED);
            let place =
                place.ok_or_else(|| refused(format!("no room for more than {count} records")))?;
            place.copy_from_slice(&[
                number(header.index),
                number(header.term),
                number(header.time),
                number(header.first_revision),
                f64::from(header.count),
                view.bytes().len() as f64,
                f64::from(header.kind),
                f64::from(header.group),
            ]);
            rest = &rest[view.bytes().len()..];
            count += 1;
        }
        Ok(count as i64)
    }

    /// Queues hard states (quadruples group, term, vote, commit), then the sealed records slab[start..end), as one unit.
    /// Copied before this returns. Returns the ticket: durable when `poll` reports it.
    ///
    /// Throws ERAFT_OVERLOADED (records only, nothing queued), ERAFT_FAILED, ERAFT_CLOSED, ERAFT_BAD_REQUEST.
    #[napi(catch_unwind)]
    pub fn submit(
        &self,
        slab: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
        hard_states: Float64ArraySlice<'_>,
        hard_state_count: u32,
    ) -> Result<f64, ErrorCode> {
        let states = hard_states
            .get(..hard_state_count as usize * 4)
            .ok_or_else(|| refused("too few hard states".to_owned()))?;
        let states = states
            .chunks_exact(4)
            .map(hard_state)
            .collect::<Thrown<Vec<_>>>()?;
        self.attachment
            .submit(range(&slab, start, end)?, states)
            .map(number)
            .map_err(to_js)
    }

    /// Queues a group's membership as of `index`. Returns the ticket.
    #[napi(catch_unwind)]
    pub fn save_conf(
        &self,
        group: u32,
        index: f64,
        conf: Uint8ArraySlice<'_>,
    ) -> Result<f64, ErrorCode> {
        self.attachment
            .save_conf(group, integer("index", index)?, &conf)
            .map(number)
            .map_err(to_js)
    }

    /// Copies whole records [from, to] from memory to `out` at `outStart`, up to `maxBytes`, at least one. Returns the
    /// bytes written; 0: not in memory; -n: n bytes of room are needed.
    #[napi(catch_unwind)]
    pub fn read_tail(
        &self,
        group: u32,
        from: f64,
        to: f64,
        max_bytes: u32,
        mut out: Uint8ArraySlice<'_>,
        out_start: u32,
    ) -> Result<i64, ErrorCode> {
        let (from, to) = (integer("from", from)?, integer("to", to)?);
        self.attachment
            .read_tail(
                group,
                from,
                to,
                max_bytes as usize,
                room(&mut out, out_start)?,
            )
            .map_err(to_js)
    }

    /// The same from disk, checksums verified; the records come through `answers`, under `tag`.
    #[napi(catch_unwind)]
    pub fn fetch(
        &self,
        group: u32,
        from: f64,
        to: f64,
        max_bytes: u32,
        tag: u32,
    ) -> Result<(), ErrorCode> {
        let (from, to) = (integer("from", from)?, integer("to", to)?);
        self.attachment
            .fetch(group, from, to, max_bytes as usize, tag)
            .map_err(to_js)
    }

    /// Nobody needs entries up to `index` any more. Never goes past what the store has flushed.
    #[napi(catch_unwind)]
    pub fn truncate(&self, group: u32, index: f64) -> Result<(), ErrorCode> {
        self.attachment
            .truncate(group, integer("index", index)?)
            .map_err(to_js)
    }

    /// The index before the first one that the log still holds.
    #[napi(catch_unwind)]
    pub fn compacted(&self, group: u32) -> Result<f64, ErrorCode> {
        self.attachment.compacted(group).map(number).map_err(to_js)
    }

    /// Applies committed and durable records up to `to`, in order. True: done, inline. False: queued; `applied` tells.
    ///
    /// Throws ERAFT_BAD_REQUEST for an index that is not on this disk.
    #[napi(catch_unwind)]
    pub fn apply(&self, group: u32, to: f64, want_results: bool) -> Result<bool, ErrorCode> {
        self.attachment
            .apply(group, integer("to", to)?, want_results)
            .map_err(to_js)
    }

    /// Takes results of applied records, in log order: { index u64, term u64, batches u32, bytes u32, group u32, zero u32 },
    /// then for each batch { length u32, zero u32, ResultBatch, padding to 8 }. Returns the bytes written, whole records
    /// only; 0: none; -n: n bytes of room are needed.
    #[napi(catch_unwind)]
    pub fn results(&self, mut out: Uint8ArraySlice<'_>, out_start: u32) -> Result<i64, ErrorCode> {
        Ok(self.attachment.results(room(&mut out, out_start)?))
    }

    /// Answers ReadBatches over one view: slab[start..end) and `out` hold { length u32, tag u32, bytes, padding to 8 }.
    /// Returns the bytes written for those answered from memory; the others come through `answers`, over the same view.
    /// -n: n bytes of room are needed, and nothing was done.
    #[napi(catch_unwind)]
    pub fn read(
        &self,
        group: u32,
        slab: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
        mut out: Uint8ArraySlice<'_>,
        out_start: u32,
    ) -> Result<i64, ErrorCode> {
        disjoint(&slab, &out)?;
        let outcome =
            self.attachment
                .read(group, range(&slab, start, end)?, room(&mut out, out_start)?);
        Ok(match outcome.map_err(to_js)? {
            ReadOutcome::Written(bytes) => bytes as i64,
            ReadOutcome::Needs(bytes) => -(bytes as i64),
        })
    }

    /// One page of the ScanRequest slab[start..end); the ScanPage comes through `answers`, under `tag`.
    #[napi(catch_unwind)]
    pub fn scan(
        &self,
        group: u32,
        tag: u32,
        slab: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
    ) -> Result<(), ErrorCode> {
        self.attachment
            .scan(group, tag, range(&slab, start, end)?)
            .map_err(to_js)
    }

    /// Releases a pinned view of scans. Unknown ones are fine.
    #[napi(catch_unwind)]
    pub fn close_view(&self, view: f64) -> Result<(), ErrorCode> {
        self.attachment
            .close_view(integer("view", view)?)
            .map_err(to_js)
    }

    /// Takes answers of `fetch`, `read` and `scan`: { length u32, tag u32, status u32, zero u32, bytes, padding to 8 }.
    /// A status other than 0 is the wire number of an error, and the bytes are its message. Returns the bytes written,
    /// whole answers only; 0: none; -n: n bytes of room are needed.
    #[napi(catch_unwind)]
    pub fn answers(&self, mut out: Uint8ArraySlice<'_>, out_start: u32) -> Result<i64, ErrorCode> {
        Ok(self.attachment.answers(room(&mut out, out_start)?))
    }

    /// A value from memory, as of now: its bytes written to `out`; -1 absent; -2 not in memory; -3 - n: n bytes of room
    /// are needed.
    #[napi(catch_unwind)]
    pub fn peek(
        &self,
        group: u32,
        key: Uint8ArraySlice<'_>,
        mut out: Uint8ArraySlice<'_>,
    ) -> Result<i64, ErrorCode> {
        disjoint(&key, &out)?;
        self.attachment
            .peek(group, &key, room(&mut out, 0)?)
            .map_err(to_js)
    }

    /// Lets `onProgress` be called again, and writes into `out`: durable, failed, diskFull, syncPendingMicros,
    /// resultsBytes, answersBytes, logBytes, storeBytes, queuedBytes, applyRuns, flushRuns, durableVotes.
    #[napi(catch_unwind)]
    pub fn poll(&self, mut out: Float64ArraySlice<'_>) -> Result<(), ErrorCode> {
        let p: Progress = self.attachment.poll();
        let numbers = [
            number(p.durable),
            f64::from(p.failed),
            f64::from(u8::from(p.disk_full)),
            number(p.sync_pending_micros),
            number(p.results_bytes),
            number(p.answers_bytes),
            number(p.log_bytes),
            number(p.store_bytes),
            number(p.queued_bytes),
            number(p.apply_runs),
            number(p.flush_runs),
            number(p.durable_votes),
        ];
        // SAFETY: as in `convert::room`; this is the only range of the call.
        let place = unsafe { out.as_mut() }.get_mut(..numbers.len());
        place
            .ok_or_else(|| refused(format!("poll writes {} numbers", numbers.len())))?
            .copy_from_slice(&numbers);
        Ok(())
    }

    /// The message of the error that `poll` reports as failed; null while all is well.
    #[napi(catch_unwind)]
    pub fn failure(&self) -> Option<String> {
        self.attachment.failure().map(|error| error.message)
    }

    /// The last index really applied.
    #[napi(catch_unwind)]
    pub fn applied(&self, group: u32) -> Result<f64, ErrorCode> {
        self.attachment.applied(group).map(number).map_err(to_js)
    }

    /// The last revision applied.
    #[napi(catch_unwind)]
    pub fn revision(&self, group: u32) -> Result<f64, ErrorCode> {
        self.attachment.revision(group).map(number).map_err(to_js)
    }

    /// The last index that the store has on disk: the log may be truncated up to there.
    #[napi(catch_unwind)]
    pub fn flushed(&self, group: u32) -> Result<f64, ErrorCode> {
        self.attachment.flushed(group).map(number).map_err(to_js)
    }

    /// Starts a flush of the store; `flushRuns` of `poll` counts those done.
    #[napi(catch_unwind)]
    pub fn flush(&self) -> Result<(), ErrorCode> {
        self.attachment.flush().map_err(to_js)
    }

    /// Numbers for metrics. Allocates.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<EngineStats, ErrorCode> {
        self.attachment
            .stats()
            .map(|stats| EngineStats::from(&stats))
            .map_err(to_js)
    }

    /// Stepped mode: one unit of work. False: idle.
    #[napi(catch_unwind)]
    pub fn step(&self) -> Result<bool, ErrorCode> {
        self.attachment.step().map_err(to_js)
    }

    /// Stepped mode: the time by which views of scans grow old, in ms.
    #[napi(catch_unwind)]
    pub fn set_now(&self, ms: f64) -> Result<(), ErrorCode> {
        self.attachment.set_now(integer("ms", ms)?).map_err(to_js)
    }

    /// In-memory disk: the power fails. What was not synced is lost or torn, as `seed` decides, and this engine is closed.
    #[napi(catch_unwind)]
    pub fn crash(&self, seed: f64) -> Result<(), ErrorCode> {
        self.attachment
            .engine()
            .crash(integer("seed", seed)?)
            .map_err(to_js)
    }

    /// In-memory disk: the n-th file operation from now (1 = the next) fails.
    #[napi(
        catch_unwind,
        ts_args_type = "n: number, kind: 'error' | 'full' | 'short' | 'power-loss'"
    )]
    pub fn fail_operation(&self, n: f64, kind: String) -> Result<(), ErrorCode> {
        let fault = match kind.as_str() {
            "error" => Fault::Error,
            "full" => Fault::Full,
            "short" => Fault::Short,
            "power-loss" => Fault::PowerLoss,
            other => return Err(refused(format!("'{other}' is no fault"))),
        };
        self.attachment
            .engine()
            .fail_operation(integer("n", n)?, fault)
            .map_err(to_js)
    }

    /// Closes the engine for every attachment (called on what `open` gave), or lets go of it (on what `attach` gave).
    /// Waits for the running sync and burst. Idempotent.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<CloseTask> {
        AsyncTask::new(CloseTask {
            attachment: self.attachment.clone(),
            owner: self.owner,
        })
    }
}

fn hard_state(quadruple: &[f64]) -> Thrown<(u32, HardState)> {
    let small = |name: &str, value: f64| {
        let value = integer(name, value)?;
        u32::try_from(value).map_err(|_| refused(format!("{name} is {value}, above 2^32 - 1")))
    };
    let state = HardState {
        term: integer("term", quadruple[1])?,
        vote: small("vote", quadruple[2])?,
        commit: integer("commit", quadruple[3])?,
    };
    Ok((small("group", quadruple[0])?, state))
}

//! The class `Engine`: see the contract of each method in its documentation, which becomes native/index.d.ts.

use std::sync::Arc;

use eraft_core::engine::{
    self, Attachment, Engine as CoreEngine, EngineError, ErrorCode, Progress,
};
use eraft_core::sys::Fault;
use napi::bindgen_prelude::{AsyncTask, Float64ArraySlice, Function};
use napi::{Env, Result};
use napi_derive::napi;

use crate::convert::{integer, number, refused, to_js};
use crate::options::EngineOptions;
use crate::recovery::{EngineGroup, EngineIdentity, EngineStats};
use crate::tasks::{CloseTask, OpenTask, notify_of};

/// One data folder, as one JavaScript thread holds it.
///
/// Indexes, terms, revisions and tickets are integers below 2^53. Byte ranges are lent for the length of the call;
/// what outlives it is copied. Every method but `open`, `close`, `setMemberKnown`,
/// `setRepaired` and `digest` returns without touching a disk.
/// Thrown errors carry an ERAFT_* name as `code`.
#[napi]
pub struct Engine {
    pub(crate) attachment: Arc<Attachment>,
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

/// -1 is None: unlimited.
fn capacity(bytes: f64) -> Result<Option<u64>, ErrorCode> {
    if bytes == -1.0 {
        return Ok(None);
    }
    integer("bytes", bytes).map(Some)
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
        engine::forget_memory(&name);
    }

    /// Limits the bytes of an in-memory disk: of the log's files, and as many of the store's tables. -1: unlimited.
    #[napi(catch_unwind)]
    pub fn limit_memory(name: String, bytes: f64) -> Result<(), ErrorCode> {
        engine::limit_memory(&name, capacity(bytes)?).map_err(to_js)
    }

    /// The next so many writes into the store on this in-memory disk fail, and the next so many flushes of it.
    #[napi(catch_unwind)]
    pub fn fail_memory_store(name: String, writes: u32, flushes: u32) -> Result<(), ErrorCode> {
        let store = engine::memory_store(&name).map_err(to_js)?;
        store.refuse_writes(writes);
        store.refuse_flushes(flushes);
        Ok(())
    }

    /// Stores opened on this in-memory disk from now on keep at most so many sessions of a group. All replicas of a cluster
    /// must keep as many.
    #[napi(catch_unwind)]
    pub fn limit_memory_sessions(name: String, sessions: u32) -> Result<(), ErrorCode> {
        engine::limit_memory_sessions(&name, sessions as usize).map_err(to_js)
    }

    /// Changes a few bits in one frame of a log on an in-memory disk that nobody has open, chosen by `seed` among those that
    /// were durable. Returns what was done, in one line; '' when there is no such frame.
    ///
    /// Throws ERAFT_DATA_LOCKED while the disk is open.
    #[napi(catch_unwind)]
    pub fn rot_memory(name: String, seed: f64) -> Result<String, ErrorCode> {
        engine::rot_memory(&name, integer("seed", seed)?).map_err(to_js)
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

    /// In-memory disk: see `limitMemory`.
    #[napi(catch_unwind)]
    pub fn set_capacity(&self, bytes: f64) -> Result<(), ErrorCode> {
        self.attachment
            .engine()
            .set_capacity(capacity(bytes)?)
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

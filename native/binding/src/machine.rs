//! `Engine`: the methods of the state machine.

use eraft_core::engine::{ErrorCode, ReadOutcome};
use napi::Result;
use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;

use crate::convert::{disjoint, integer, number, range, room, to_js};
use crate::engine::Engine;
use crate::recovery::EngineDigest;

#[napi]
impl Engine {
    /// Evaluates committed and durable records up to `to`, in order, for their results. True: done, inline. False: queued, and
    /// `onProgress` tells.
    ///
    /// Throws ERAFT_BAD_REQUEST for an index that is not on this disk.
    #[napi(catch_unwind)]
    pub fn evaluate(&self, group: u32, to: f64) -> Result<bool, ErrorCode> {
        self.attachment
            .evaluate(group, integer("to", to)?)
            .map_err(to_js)
    }

    /// Applies committed and durable records up to `to`, in order: evaluates and writes them. True: done, inline. False: queued;
    /// `applied` tells.
    ///
    /// Throws ERAFT_BAD_REQUEST for an index that is not on this disk.
    #[napi(catch_unwind)]
    pub fn apply(&self, group: u32, to: f64, want_results: bool) -> Result<bool, ErrorCode> {
        self.attachment
            .apply(group, integer("to", to)?, want_results)
            .map_err(to_js)
    }

    /// Takes results of evaluated records, in log order: { index u64, term u64, batches u32, bytes u32, group u32, zero u32 },
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

    /// A value from memory, as of now: its bytes written to `out`; -1 absent; -2 not in memory, or answered and not yet
    /// written; -3 - n: n bytes of room are needed.
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

    /// What to compare replicas by. Reads the whole group, from the disk where it is there.
    #[napi(catch_unwind)]
    pub fn digest(&self, group: u32) -> Result<EngineDigest, ErrorCode> {
        let (applied, digest) = self.attachment.digest(group).map_err(to_js)?;
        Ok(EngineDigest {
            applied: number(applied),
            digest,
        })
    }

    /// Starts a flush of the store; `flushRuns` of `poll` counts those done.
    #[napi(catch_unwind)]
    pub fn flush(&self) -> Result<(), ErrorCode> {
        self.attachment.flush().map_err(to_js)
    }
}

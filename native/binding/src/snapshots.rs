//! `Engine`: the methods of snapshots.

use std::path::PathBuf;

use eraft_core::engine::{ErrorCode, SnapshotInfo, parse_cluster};
use eraft_core::snapshot::{Received, SnapshotId};
use napi::Result;
use napi::bindgen_prelude::{AsyncTask, Uint8Array, Uint8ArraySlice};
use napi_derive::napi;

use crate::convert::{Thrown, integer, number, range, refused, to_js};
use crate::engine::Engine;
use crate::options::EngineOptions;
use crate::tasks::{InspectTask, RestoreTask};

/// A complete snapshot in the folder.
#[napi(object)]
pub struct EngineSnapshot {
    /// 32 hexadecimal digits, drawn when it was made.
    pub id: String,
    pub index: f64,
    pub term: f64,
    /// Pieces that travel, header and trailer included: 0 to chunks - 1.
    pub chunks: u32,
    /// Of the whole file.
    pub bytes: f64,
    /// Log time of the last record in it, ms.
    pub time: f64,
    /// The first revision that the record behind it may have.
    pub next_revision: f64,
    pub conf_index: f64,
    /// Empty: no membership was saved.
    pub conf: Uint8Array,
}

impl From<SnapshotInfo> for EngineSnapshot {
    fn from(info: SnapshotInfo) -> EngineSnapshot {
        EngineSnapshot {
            id: info.id.iter().map(|byte| format!("{byte:02x}")).collect(),
            index: number(info.index),
            term: number(info.term),
            chunks: info.parts,
            bytes: number(info.bytes),
            time: number(info.time),
            next_revision: number(info.next_revision),
            conf_index: number(info.conf_index),
            conf: Uint8Array::new(info.conf),
        }
    }
}

fn snapshot_id(text: &str) -> Thrown<SnapshotId> {
    parse_cluster(text).ok_or_else(|| {
        refused(format!(
            "'{text}' is no id of a snapshot: 32 hexadecimal digits"
        ))
    })
}

#[napi]
impl Engine {
    /// Has a snapshot of what is applied made, beside the work. An answer without bytes comes under `tag` when it is durable, or
    /// when the latest one is of the present.
    #[napi(catch_unwind)]
    pub fn create_snapshot(&self, group: u32, tag: u32) -> Result<(), ErrorCode> {
        self.attachment.create_snapshot(group, tag).map_err(to_js)
    }

    /// The snapshot of the group that was completed last, made here or received; null: there is none. Allocates.
    #[napi(catch_unwind)]
    pub fn latest_snapshot(&self, group: u32) -> Result<Option<EngineSnapshot>, ErrorCode> {
        let latest = self.attachment.latest_snapshot(group).map_err(to_js)?;
        Ok(latest.map(EngineSnapshot::from))
    }

    /// Keeps a snapshot, however many are completed meanwhile, until `releaseSnapshot` was called as often. False: it is gone.
    #[napi(catch_unwind)]
    pub fn hold_snapshot(&self, id: String) -> Result<bool, ErrorCode> {
        self.attachment
            .hold_snapshot(&snapshot_id(&id)?)
            .map_err(to_js)
    }

    #[napi(catch_unwind)]
    pub fn release_snapshot(&self, id: String) -> Result<(), ErrorCode> {
        self.attachment
            .release_snapshot(&snapshot_id(&id)?)
            .map_err(to_js)
    }

    /// Chunk `chunk` of a snapshot, checksum verified; its bytes come through `answers`, under `tag`.
    #[napi(catch_unwind)]
    pub fn read_snapshot(&self, id: String, chunk: u32, tag: u32) -> Result<(), ErrorCode> {
        self.attachment
            .read_snapshot(&snapshot_id(&id)?, chunk, tag)
            .map_err(to_js)
    }

    /// A snapshot is going to come, or to go on. The number of the chunk that is wanted comes under `tag`: u32; `chunks` when it is
    /// complete and durable.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // an object would cost more than the call
    pub fn receive_snapshot(
        &self,
        group: u32,
        index: f64,
        term: f64,
        id: String,
        chunks: u32,
        bytes: f64,
        tag: u32,
    ) -> Result<(), ErrorCode> {
        let announced = Received {
            index: integer("index", index)?,
            term: integer("term", term)?,
            id: snapshot_id(&id)?,
            parts: chunks,
            bytes: integer("bytes", bytes)?,
        };
        self.attachment
            .receive_snapshot(group, announced, tag)
            .map_err(to_js)
    }

    /// Chunk `chunk` of it is slab[start..end). Copied before this returns; verified before it is written. Answered as
    /// `receiveSnapshot`.
    #[napi(catch_unwind)]
    pub fn receive_chunk(
        &self,
        chunk: u32,
        slab: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
        tag: u32,
    ) -> Result<(), ErrorCode> {
        self.attachment
            .receive_part(chunk, range(&slab, start, end)?, tag)
            .map_err(to_js)
    }

    /// Puts a received snapshot in the place of what the group has, log and state. An answer without bytes comes under `tag` when
    /// it is done and durable. `conf`: noted, with `confIndex`, instead of the snapshot's; empty: the snapshot's is.
    #[napi(catch_unwind)]
    pub fn install_snapshot(
        &self,
        group: u32,
        index: f64,
        term: f64,
        conf_index: f64,
        conf: Uint8ArraySlice<'_>,
        tag: u32,
    ) -> Result<(), ErrorCode> {
        let conf = match conf.is_empty() {
            true => None,
            false => Some((integer("confIndex", conf_index)?, conf.to_vec())),
        };
        self.attachment
            .install_snapshot(
                group,
                integer("index", index)?,
                integer("term", term)?,
                conf,
                tag,
            )
            .map_err(to_js)
    }

    /// Makes the folder of `options`, absent or empty, out of the snapshot `file`: for another cluster, with `conf` as its membership.
    ///
    /// Rejects with ERAFT_DATA_DAMAGED or ERAFT_DATA_VERSION for such a file, ERAFT_CONFIG for a folder that is not empty,
    /// ERAFT_IO, ERAFT_DISK_FULL.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn restore(
        file: String,
        conf: Uint8ArraySlice<'_>,
        options: EngineOptions,
    ) -> Result<AsyncTask<RestoreTask>, ErrorCode> {
        Ok(AsyncTask::new(RestoreTask {
            file: PathBuf::from(file),
            conf: conf.to_vec(),
            options: Some(options.into_core()?),
        }))
    }

    /// What is in a snapshot, a log's folder or a data folder, without changing it: an object as JSON.
    ///
    /// Rejects with ERAFT_DATA_DAMAGED, ERAFT_DATA_VERSION, ERAFT_IO, ERAFT_CONFIG when the path is none of these.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn inspect_files(path: String) -> AsyncTask<InspectTask> {
        AsyncTask::new(InspectTask {
            path: PathBuf::from(path),
        })
    }
}

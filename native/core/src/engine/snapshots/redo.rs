//! Completes, when a folder is opened, the installation that a crash has interrupted: see `install.rs`.

use std::path::Path;

use super::install::{applied_of, check_header, rebase};
use super::marker::Marker;
use super::{PAUSE_FIRST, file, snapshot_error};
use crate::engine::core::store_error;
use crate::engine::error::{EngineError, ErrorCode};
use crate::engine::identity::Identity;
use crate::engine::lock::io_error;
use crate::snapshot::{Header, Reader};
use crate::store::Store;
use crate::sys::FileSystem;
use crate::wal::{Batch, GroupState, HardState, Wal};

/// An opened folder that nobody uses yet.
pub(in crate::engine) struct Opened<'a> {
    pub fs: &'a dyn FileSystem,
    pub dir: &'a Path,
    pub identity: &'a Identity,
    pub wal: &'a Wal,
    pub wal_has_threads: bool,
    pub logs: &'a [GroupState],
    pub store: &'a Store,
}

impl Opened<'_> {
    /// True: there was such an installation, it is complete, and the log has to be read again. Blocks.
    ///
    /// @throws ERAFT_DATA_DAMAGED, ERAFT_DATA_MISMATCH, ERAFT_IO, ERAFT_DISK_FULL
    pub fn redo(&self) -> Result<bool, EngineError> {
        let Some(marker) = Marker::read(self.fs, self.dir)? else {
            return Ok(false);
        };
        let group = marker.group;
        // A store that is beyond it, and whole, has refused it: see `install.rs`.
        if self.store.is_replacing(group) || self.store.applied(group).index <= marker.index {
            self.install(&marker)
                .map_err(|error| interrupted(self.dir, &error))?;
        }
        Marker::remove(self.fs, self.dir).map_err(|e| io_error(self.dir, &e))?;
        Ok(true)
    }

    fn install(&self, marker: &Marker) -> Result<(), EngineError> {
        let path = file(self.dir, marker.index, marker.term);
        let mut reader = Reader::open(self.fs, &path).map_err(|e| snapshot_error(&e))?;
        check_header(reader.header(), marker, self.identity, &path)?;
        while !reader
            .check_next(&mut |(key, value)| Store::is_row(key, value))
            .map_err(|e| snapshot_error(&e))?
        {}
        replace(self.store, marker.group, &mut reader)?;
        self.await_log(rebase(self.wal, marker, reader.header())?)?;
        self.raise_term(marker.group, reader.header())
    }

    /// A folder that is made of a backup has no term yet, and must not be behind its own log.
    fn raise_term(&self, group: u32, header: &Header) -> Result<(), EngineError> {
        let known = self.logs.iter().find(|log| log.group == group);
        if known.is_some_and(|log| log.hard_state.term >= header.term) {
            return Ok(());
        }
        let state = HardState {
            term: header.term,
            vote: 0,
            commit: header.index,
        };
        let batch = Batch {
            hard_states: vec![(group, state)],
            ..Batch::default()
        };
        let ticket = self.wal.submit(batch);
        self.await_log(ticket.map_err(|e| EngineError::new(ErrorCode::Io, e.to_string()))?)
    }

    /// The log's disk is waited for: by its thread, or by stepping it.
    fn await_log(&self, ticket: u64) -> Result<(), EngineError> {
        while self.wal.durable() < ticket {
            if let Some(failure) = self.wal.failure() {
                return Err(EngineError::new(ErrorCode::Io, failure.to_string()));
            }
            if self.wal.progress().disk_full {
                return Err(EngineError::new(
                    ErrorCode::DiskFull,
                    "there is no space for the log",
                ));
            }
            if self.wal_has_threads {
                std::thread::sleep(PAUSE_FIRST);
            } else {
                self.wal.step();
            }
        }
        Ok(())
    }
}

fn replace(store: &Store, group: u32, reader: &mut Reader) -> Result<(), EngineError> {
    store.replace_begin(group).map_err(|e| store_error(&e))?;
    reader.rewind();
    loop {
        let last = reader
            .check_next(&mut |_| true)
            .map_err(|e| snapshot_error(&e))?;
        store
            .replace_rows(group, &mut reader.rows().flatten())
            .map_err(|e| store_error(&e))?;
        if last {
            return store
                .replace_end(group, applied_of(reader.header()))
                .map_err(|e| store_error(&e));
        }
    }
}

fn interrupted(dir: &Path, error: &EngineError) -> EngineError {
    EngineError::told(
        error.code,
        &format!(
            "cannot open {}: the installation of a snapshot was interrupted, and cannot be completed",
            dir.display()
        ),
        &error.message,
        "check the device and free space, then open again; if the snapshot in it is damaged, replace this replica through a \
         membership change, or restore the whole folder from a backup",
        "the old state is gone, the new one is not complete; nothing is served from either",
    )
}

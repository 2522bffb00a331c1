//! What can go wrong with a store. None of it is ever the result of a command.

use crate::command::BatchError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Evaluating would have waited for a write, or, with `no_slowdown`, either of them for a disk. Nothing has changed:
    /// write first, or work on another thread.
    #[error("applying would wait for the disk")]
    Busy,
    #[error("the store belongs to another cluster or replica")]
    Identity,
    #[error("the store has format {found}; this eraft knows {known}")]
    Version { found: u32, known: u32 },
    #[error("the store is damaged: {what}")]
    Damaged { what: String },
    #[error("the disk is full: {what}")]
    DiskFull { what: String },
    #[error("the store cannot be read or written: {what}")]
    Io { what: String },
    /// The record cannot be applied, here or anywhere: apply must stop.
    #[error("log entry {index} cannot be applied: {what}")]
    Log { index: u64, what: String },
    #[error("{0}")]
    Request(#[from] BatchError),
    /// The pinned view does not exist any more, or never did.
    #[error("the pinned view is gone")]
    SnapshotLost,
    /// The group's state is being replaced by a snapshot: there is nothing to read until that is done.
    #[error("the state of this replica is being replaced by a snapshot")]
    Replacing,
    /// Every place for a pinned view is in use.
    #[error("too many pinned views are in use")]
    TooManyViews,
}

impl StoreError {
    /// The error's number in `ts/base/errors.ts`.
    pub fn wire(&self) -> u16 {
        match self {
            StoreError::Busy | StoreError::TooManyViews | StoreError::Replacing => 3,
            StoreError::DiskFull { .. } => 4,
            StoreError::SnapshotLost => 10,
            StoreError::Request(error) => error.wire(),
            StoreError::Identity => 42,
            StoreError::Damaged { .. } => 43,
            StoreError::Version { .. } => 44,
            StoreError::Io { .. } => 45,
            StoreError::Log { .. } => 48,
        }
    }

    pub(super) fn damaged(what: &str) -> StoreError {
        StoreError::Damaged {
            what: what.to_owned(),
        }
    }

    pub(super) fn log(index: u64, what: impl Into<String>) -> StoreError {
        StoreError::Log {
            index,
            what: what.into(),
        }
    }
}

impl From<rocksdb::Error> for StoreError {
    /// RocksDB's C interface has no error codes: kind and cause are in the text (`ErrorKind` reads it, too).
    fn from(error: rocksdb::Error) -> StoreError {
        let kind = error.kind();
        let what = error.into_string();
        match kind {
            rocksdb::ErrorKind::Corruption | rocksdb::ErrorKind::InvalidArgument => {
                StoreError::Damaged { what }
            }
            _ if what.contains("No space left on device") => StoreError::DiskFull { what },
            _ => StoreError::Io { what },
        }
    }
}

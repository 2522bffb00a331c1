//! What can go wrong with a snapshot file.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes are not what was written.
    #[error("the snapshot {} is damaged at byte {offset}: {what}", file.display())]
    Damaged {
        file: PathBuf,
        offset: u64,
        what: &'static str,
    },
    #[error("the snapshot {} has format {found}; this eraft reads format {known}", file.display())]
    Version {
        file: PathBuf,
        found: u32,
        known: u32,
    },
    /// What a sender offers, or asks to be taken, cannot be.
    #[error("{what}")]
    Refused { what: String },
    #[error("no space for the snapshot {}", file.display())]
    Full { file: PathBuf },
    #[error("cannot {what} {}: {reason}", file.display())]
    Io {
        what: &'static str,
        file: PathBuf,
        reason: String,
    },
}

impl SnapshotError {
    pub(super) fn io<'a>(
        what: &'static str,
        file: &'a Path,
    ) -> impl FnOnce(io::Error) -> SnapshotError + 'a {
        move |error| {
            if crate::sys::is_full(&error) {
                return SnapshotError::Full {
                    file: file.to_path_buf(),
                };
            }
            SnapshotError::Io {
                what,
                file: file.to_path_buf(),
                reason: error.to_string(),
            }
        }
    }

    pub(super) fn refused(what: impl Into<String>) -> SnapshotError {
        SnapshotError::Refused { what: what.into() }
    }
}

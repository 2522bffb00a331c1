//! Everything that can go wrong in the log, as types: what, where, and what it means for the caller.

use std::io;
use std::path::{Path, PathBuf};

use crate::sys;

/// Cloneable, since a failure is latched and told to everyone who asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// Bytes that were durable have changed or are gone. Nothing was written or removed. `group` is `None` if several
    /// groups or an unknown one are concerned; `last_index` is `None` if the end of the loss cannot be told.
    #[error(
        "the log is damaged: {} at byte {offset}: {reason}; entries from index {first_index} {} may be lost",
        .file.display(), Until(.last_index)
    )]
    Damaged {
        file: PathBuf,
        offset: u64,
        group: Option<u32>,
        first_index: u64,
        last_index: Option<u64>,
        reason: &'static str,
    },
    /// Written by a newer eraft. Nothing was touched.
    #[error("{} has log format {found}; this eraft reads format {}", .file.display(), super::layout::FORMAT_VERSION)]
    Version { file: PathBuf, found: u32 },
    /// The operating system refused. From a writing operation of an open log this is latched.
    #[error("cannot {operation} {}: {message}", .file.display())]
    Io {
        operation: &'static str,
        file: PathBuf,
        /// errno, where there is one
        code: Option<i32>,
        full: bool,
        not_found: bool,
        message: String,
    },
    /// The thread that writes the log has panicked; latched.
    #[error("the log's thread has failed: {message}")]
    Panicked { message: String },
    /// The caller broke the contract of `submit`; nothing was queued.
    #[error("a batch was refused: {reason} (group {group}, index {index})")]
    Invalid {
        group: u32,
        index: u64,
        reason: &'static str,
    },
    /// `WalOptions` that cannot work; nothing was touched.
    #[error("wrong log option: {reason}")]
    Options { reason: &'static str },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// The entries were truncated: the first one that can be read is `first_index`.
    #[error("entries of group {group} before index {first_index} are truncated")]
    Compacted { group: u32, first_index: u64 },
    /// No such entries: the last one is `last_index`.
    #[error("group {group} ends at index {last_index}")]
    OutOfRange { group: u32, last_index: u64 },
}

impl WalError {
    /// Names the operation and the file of an I/O error.
    pub(super) fn io(operation: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io {
            operation,
            file: file.to_path_buf(),
            code: error.raw_os_error(),
            full: sys::is_full(&error),
            not_found: error.kind() == io::ErrorKind::NotFound,
            message: error.to_string(),
        }
    }

    /// True if the only trouble is that there is no space.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { full: true, .. })
    }
}

struct Until<'a>(&'a Option<u64>);

impl std::fmt::Display for Until<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(last) => write!(f, "to {last}"),
            None => f.write_str("on"),
        }
    }
}

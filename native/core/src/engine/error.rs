//! What an engine refuses or fails with: a code that TypeScript knows, and a text that a person can act on.

use std::fmt;

/// The codes of `ts/base/errors.ts` that native code answers with. `wire` is the number there; a test compares both tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ErrorCode {
    Overloaded = 3,
    DiskFull = 4,
    SnapshotLost = 10,
    Closed = 12,
    KeyEmpty = 20,
    KeyTooLarge = 21,
    ValueTooLarge = 22,
    BatchTooLarge = 23,
    FrameTooLarge = 24,
    BadRequest = 25,
    NotANumber = 26,
    OutOfRange = 27,
    Config = 40,
    DataLocked = 41,
    DataMismatch = 42,
    DataDamaged = 43,
    DataVersion = 44,
    Io = 45,
    Failed = 48,
}

impl ErrorCode {
    pub const ALL: [ErrorCode; 19] = [
        ErrorCode::Overloaded,
        ErrorCode::DiskFull,
        ErrorCode::SnapshotLost,
        ErrorCode::Closed,
        ErrorCode::KeyEmpty,
        ErrorCode::KeyTooLarge,
        ErrorCode::ValueTooLarge,
        ErrorCode::BatchTooLarge,
        ErrorCode::FrameTooLarge,
        ErrorCode::BadRequest,
        ErrorCode::NotANumber,
        ErrorCode::OutOfRange,
        ErrorCode::Config,
        ErrorCode::DataLocked,
        ErrorCode::DataMismatch,
        ErrorCode::DataDamaged,
        ErrorCode::DataVersion,
        ErrorCode::Io,
        ErrorCode::Failed,
    ];

    /// The number on the wire.
    pub fn wire(self) -> u16 {
        self as u16
    }

    /// The code with this number; `Failed` for one that this list does not have.
    pub fn from_wire(wire: u16) -> ErrorCode {
        ErrorCode::ALL
            .into_iter()
            .find(|code| code.wire() == wire)
            .unwrap_or(ErrorCode::Failed)
    }

    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::Overloaded => "ERAFT_OVERLOADED",
            ErrorCode::DiskFull => "ERAFT_DISK_FULL",
            ErrorCode::SnapshotLost => "ERAFT_SNAPSHOT_LOST",
            ErrorCode::Closed => "ERAFT_CLOSED",
            ErrorCode::KeyEmpty => "ERAFT_KEY_EMPTY",
            ErrorCode::KeyTooLarge => "ERAFT_KEY_TOO_LARGE",
            ErrorCode::ValueTooLarge => "ERAFT_VALUE_TOO_LARGE",
            ErrorCode::BatchTooLarge => "ERAFT_BATCH_TOO_LARGE",
            ErrorCode::FrameTooLarge => "ERAFT_FRAME_TOO_LARGE",
            ErrorCode::BadRequest => "ERAFT_BAD_REQUEST",
            ErrorCode::NotANumber => "ERAFT_NOT_A_NUMBER",
            ErrorCode::OutOfRange => "ERAFT_OUT_OF_RANGE",
            ErrorCode::Config => "ERAFT_CONFIG",
            ErrorCode::DataLocked => "ERAFT_DATA_LOCKED",
            ErrorCode::DataMismatch => "ERAFT_DATA_MISMATCH",
            ErrorCode::DataDamaged => "ERAFT_DATA_DAMAGED",
            ErrorCode::DataVersion => "ERAFT_DATA_VERSION",
            ErrorCode::Io => "ERAFT_IO",
            ErrorCode::Failed => "ERAFT_FAILED",
        }
    }
}

impl AsRef<str> for ErrorCode {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

/// A code, and a message of the form: what, then `why:`, `do:` where there is something to do, and what was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    pub code: ErrorCode,
    pub message: String,
}

impl EngineError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> EngineError {
        EngineError {
            code,
            message: message.into(),
        }
    }

    /// The four parts of a message that a person reads: see `docs/errors.md`.
    pub fn told(
        code: ErrorCode,
        what: &str,
        why: &str,
        remedy: &str,
        touched: &str,
    ) -> EngineError {
        let message = format!(
            "eraft: {what}\n  why:  {why}\n  do:   {remedy}\n  code: {}; {touched}",
            code.name()
        );
        EngineError { code, message }
    }

    pub fn closed() -> EngineError {
        EngineError::new(ErrorCode::Closed, "the storage is closed")
    }

    pub fn bad_request(message: impl Into<String>) -> EngineError {
        EngineError::new(ErrorCode::BadRequest, message)
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EngineError {}

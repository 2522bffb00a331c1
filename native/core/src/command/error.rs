//! Why a batch, or a read, is refused.

use super::limits;

/// A refusal of bytes from a client. Says the same on every replica: it follows from the bytes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("a key is empty")]
    KeyEmpty,
    #[error("a key has {bytes} bytes, the most is {max}", max = limits::KEY_BYTES_MAX)]
    KeyTooLarge { bytes: usize },
    #[error("a value has {bytes} bytes, the most is {max}", max = limits::VALUE_BYTES_MAX)]
    ValueTooLarge { bytes: usize },
    #[error("a request of {bytes} bytes and {commands} commands is over the limit")]
    TooLarge { bytes: usize, commands: usize },
    #[error("malformed: {what}")]
    Malformed { what: &'static str },
}

impl BatchError {
    /// The error's number in `ts/base/errors.ts`.
    pub fn wire(self) -> u16 {
        match self {
            BatchError::KeyEmpty => 20,
            BatchError::KeyTooLarge { .. } => 21,
            BatchError::ValueTooLarge { .. } => 22,
            BatchError::TooLarge { .. } => 23,
            BatchError::Malformed { .. } => 25,
        }
    }
}

pub(super) fn malformed<T>(what: &'static str) -> Result<T, BatchError> {
    Err(BatchError::Malformed { what })
}

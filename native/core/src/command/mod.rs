//! What a client may send into the log: the shape of a `CommandBatch`, and the limits that every replica shares.
//!
//! In:   bytes of a `CommandBatch` (`proto/command.fbs`), as a client sent them.
//! Out:  a verdict before the batch is proposed (`verify_batch`), and the parsed batch for apply (`parse_batch`).
//! Not:  what a command does (`store`), or any state: the verdict follows from the bytes alone.
//! May import: `generated`.
//!
//! Apply parses with the same function, so nothing unverified is ever evaluated. Start at `batch.rs`.

mod batch;
mod error;
pub mod limits;
mod payload;
mod requests;

pub use batch::{BatchSummary, BatchView, Command, Commands, parse_batch, verify_batch};
pub use error::BatchError;
pub use payload::{PayloadError, batches, push_batch};
pub use requests::{ReadRequest, ScanPlan, parse_read, parse_scan};

/// The kinds of `CommandHeader.kind`.
pub mod kind {
    pub const PUT: u8 = 1;
    pub const APPEND: u8 = 2;
    pub const DELETE: u8 = 3;
    pub const INCREMENT: u8 = 4;
    pub const DELETE_RANGE: u8 = 5;
    pub const TRANSACT: u8 = 6;
    pub const REGISTER: u8 = 7;
    pub const REVISION_IS: u8 = 16;
    pub const VALUE_IS: u8 = 17;
    pub const EXISTS: u8 = 18;
    pub const ABSENT: u8 = 19;
}

/// The bits of `CommandHeader.flags`.
pub mod flag {
    /// Return the previous entry (put, delete).
    pub const PREVIOUS: u8 = 1;
    /// Begin at the end (deleteRange with a limit).
    pub const FROM_END: u8 = 2;
}

/// Bytes of a `CommandHeader`.
pub const COMMAND_HEADER_BYTES: usize = 24;

/// Numbers that JavaScript must hold exactly stay within this, on either side of zero.
pub const NUMBER_MAX: i64 = (1 << 53) - 1;

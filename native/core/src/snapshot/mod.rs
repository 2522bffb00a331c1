//! The state of one group at one index, as a file: for a member that lags, for a backup, for inspection.
//!
//! In:   facts and rows (`Writer`), or the parts of a file as they come from a disk or a peer (`Reader`, `Receiver`).
//! Out:  a file that is complete, durable and verified under its own name, or nothing; its parts, each verified.
//! Not:  where rows come from and go to (`store`), when a snapshot is made or installed (`engine`).
//! May import: `sys`.
//!
//! A file is a row of parts: part 0 is the header, then the chunks, and the last part is the trailer. Parts are what travels,
//! and where a transfer goes on after a break. `docs/snapshot-format.md` has the bytes. Start at `format.rs`.

mod compress;
mod error;
mod format;
mod reader;
mod receiver;
mod rows;
mod verify;
mod writer;

pub use error::SnapshotError;
pub use format::{
    CHUNK_BYTES_MAX, CHUNK_TARGET_BYTES, CONF_BYTES_MAX, Header, PART_BYTES_MAX, SnapshotId,
    VERSION, snapshot_name, snapshot_of,
};
pub use reader::Reader;
pub use receiver::{Received, Receiver};
pub use rows::{Row, Rows};
pub use verify::{Summary, verify};
pub use writer::Writer;

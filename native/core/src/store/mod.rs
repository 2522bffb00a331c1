//! The state machine: what the log says, in RocksDB.
//!
//! ```text
//! store      one database: open, evaluate, write, read, scan, flush
//! ├── burst        evaluates consecutive records, in log order
//! │   ├── evaluate, transact, delete_range   what each command does
//! │   └── rows                               results
//! ├── open_burst   what is evaluated and not yet handed to be written
//! │   ├── overlay                            what it has done to keys
//! │   ├── drafts                             what it has done to sessions
//! │   └── representation                     all of it, as one WriteBatch
//! ├── sessions     the session table and its stored form
//! ├── export, replace                        all of a group, out of the store and into it
//! ├── inspect                                what a closed store holds
//! ├── read, scan, views                      one snapshot, two tiers, pinned views
//! ├── digest                                 the whole state, to compare replicas by
//! └── database, compactions, keys, options, error   RocksDB itself
//! ```
//! In:   log records, `ReadBatch` and `ScanRequest` bytes.
//! Out:  `ResultBatch`, `ReadResult` and `ScanPage` bytes; the applied and the flushed index.
//! Not:  the log, threads, clocks (the caller says what time it is; compactions rest by their own), Raft.
//! May import: `command`, `record`, `generated`.
//!
//! Everything that a record changes, sessions and applied index included, is in one WriteBatch without RocksDB's own
//! log: the Raft log is the log, and what a crash takes from the memtable is applied again. Closing is a crash.

mod burst;
mod compactions;
mod database;
mod delete_range;
mod digest;
mod drafts;
mod encode;
mod error;
mod evaluate;
mod export;
mod inspect;
mod keys;
mod open_burst;
mod options;
mod overlay;
mod read;
mod recent;
mod replace;
mod representation;
mod rows;
mod scan;
mod sessions;
mod status;
#[allow(clippy::module_inception)]
mod store;
mod transact;
mod views;

pub use error::StoreError;
pub use export::Export;
pub use inspect::{StoredGroup, inspect_store};
pub use options::{Compression, MemoryDisk, StoreLimits, StoreOptions};
pub use read::{Peek, ReadView, Tier};
pub use status::StoreStatus;
pub use store::{Applied, ApplyMode, Store};

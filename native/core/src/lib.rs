//! The hot path of eraft: log, state machine and the threads that serve them. Knows nothing of Node.
//!
//! ```text
//! engine     one data folder: identity, lock, log, store, threads, completion queues
//! ├── wal    the replicated log on disk: group commit, recovery, reads
//! ├── store  the state machine on RocksDB: evaluation of commands, sessions, reads
//! ├── snapshot  the state of a group as a file: made, verified, received
//! ├── command  what a client may send: verified before it is proposed
//! ├── record   the bytes of one log entry, the same on disk, on the wire and in apply
//! └── sys      the file system behind a trait, so that tests can break it
//! ```
//! Each module imports only from those below it.

pub mod command;
pub mod engine;
pub mod generated;
pub mod record;
pub mod snapshot;
pub mod store;
pub mod sys;
pub mod wal;

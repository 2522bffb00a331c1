//! Batches, records, reads and scans for tests, encoded as a client encodes them; replies are in `replies.rs`.
#![allow(dead_code, unused_imports)]

use eraft_core::command::{flag, kind, push_batch};
use eraft_core::generated::command::eraft::command as fbs;
use eraft_core::record::{self, Header, KIND_COMMANDS, RecordView};
use flatbuffers::FlatBufferBuilder;

#[path = "replies.rs"]
mod replies;
pub use replies::*;

/// Log time of the record before the first.
pub const TIME: u64 = 1_000;
pub const GROUP: u32 = 1;

/// A `CommandBatch` in the making. Knows no rules: what it builds may be refused.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub session: u64,
    pub sequence: u64,
    pub acknowledged: u64,
    pub headers: Vec<fbs::CommandHeader>,
    pub data: Vec<u8>,
}

impl Batch {
    pub fn new() -> Batch {
        Batch::default()
    }

    pub fn of(session: u64, sequence: u64, acknowledged: u64) -> Batch {
        Batch {
            session,
            sequence,
            acknowledged,
            ..Batch::default()
        }
    }

    pub fn register() -> Batch {
        Batch::new().command(kind::REGISTER, 0, 0, b"", b"", 0)
    }

    pub fn command(
        mut self,
        kind: u8,
        flags: u8,
        parts: u16,
        key: &[u8],
        value: &[u8],
        number: i64,
    ) -> Batch {
        let header = fbs::CommandHeader::new(
            kind,
            flags,
            parts,
            key.len() as u32,
            value.len() as u32,
            0,
            number,
        );
        self.headers.push(header);
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
        self
    }

    pub fn put(self, key: &[u8], value: &[u8]) -> Batch {
        self.command(kind::PUT, 0, 0, key, value, 0)
    }

    pub fn put_previous(self, key: &[u8], value: &[u8]) -> Batch {
        self.command(kind::PUT, flag::PREVIOUS, 0, key, value, 0)
    }

    pub fn append(self, key: &[u8], suffix: &[u8]) -> Batch {
        self.command(kind::APPEND, 0, 0, key, suffix, 0)
    }

    pub fn delete(self, key: &[u8]) -> Batch {
        self.command(kind::DELETE, 0, 0, key, b"", 0)
    }

    pub fn delete_previous(self, key: &[u8]) -> Batch {
        self.command(kind::DELETE, flag::PREVIOUS, 0, key, b"", 0)
    }

    pub fn increment(self, key: &[u8], by: i64) -> Batch {
        self.command(kind::INCREMENT, 0, 0, key, b"", by)
    }

    pub fn delete_range(self, first: &[u8], end: &[u8], limit: i64, from_end: bool) -> Batch {
        let flags = if from_end { flag::FROM_END } else { 0 };
        self.command(kind::DELETE_RANGE, flags, 0, first, end, limit)
    }

    /// The parts follow.
    pub fn transact(self, parts: u16) -> Batch {
        self.command(kind::TRANSACT, 0, parts, b"", b"", 0)
    }

    pub fn revision_is(self, key: &[u8], revision: u64) -> Batch {
        self.command(kind::REVISION_IS, 0, 0, key, b"", revision as i64)
    }

    pub fn value_is(self, key: &[u8], value: &[u8]) -> Batch {
        self.command(kind::VALUE_IS, 0, 0, key, value, 0)
    }

    pub fn exists(self, key: &[u8]) -> Batch {
        self.command(kind::EXISTS, 0, 0, key, b"", 0)
    }

    pub fn absent(self, key: &[u8]) -> Batch {
        self.command(kind::ABSENT, 0, 0, key, b"", 0)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let data = builder.create_vector(&self.data);
        let commands = builder.create_vector(&self.headers);
        let arguments = fbs::CommandBatchArgs {
            session: self.session,
            sequence: self.sequence,
            acknowledged: self.acknowledged,
            commands: Some(commands),
            data: Some(data),
        };
        let batch = fbs::CommandBatch::create(&mut builder, &arguments);
        builder.finish(batch, None);
        builder.finished_data().to_vec()
    }

    /// Commands that take a revision.
    pub fn count(&self) -> u32 {
        let mut parts = 0;
        let mut count = 0;
        for header in &self.headers {
            if parts > 0 {
                parts -= 1;
                continue;
            }
            parts = header.parts();
            count += 1;
        }
        count
    }
}

/// Makes the records of a group, one after the other.
#[derive(Clone, Copy)]
pub struct Log {
    pub index: u64,
    pub term: u64,
    pub next_revision: u64,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            index: 0,
            term: 1,
            next_revision: 1,
        }
    }
}

impl Log {
    /// The next record, with these batches.
    pub fn record(&mut self, batches: &[Batch]) -> Vec<u8> {
        let mut payload = Vec::new();
        for batch in batches {
            push_batch(&mut payload, &batch.encode());
        }
        let count = batches.iter().map(Batch::count).sum();
        self.seal(KIND_COMMANDS, &payload, count)
    }

    /// The next record, whatever it is.
    pub fn seal(&mut self, kind: u8, payload: &[u8], count: u32) -> Vec<u8> {
        self.index += 1;
        let header = Header {
            kind,
            group: GROUP,
            index: self.index,
            term: self.term,
            time: TIME + self.index,
            first_revision: self.next_revision,
            count,
        };
        self.next_revision += u64::from(count);
        record::build(payload, &header)
    }
}

/// The records in `bytes`.
pub fn views(bytes: &[u8]) -> impl Iterator<Item = RecordView<'_>> {
    record::records(bytes).map(|record| record.expect("a sealed record"))
}

pub fn read_batch(keys: &[&[u8]], no_values: bool) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let data = builder.create_vector(&keys.concat());
    let lengths: Vec<u32> = keys.iter().map(|key| key.len() as u32).collect();
    let key_lengths = builder.create_vector(&lengths);
    let arguments = fbs::ReadBatchArgs {
        flags: u8::from(no_values),
        key_lengths: Some(key_lengths),
        data: Some(data),
        ..Default::default()
    };
    let batch = fbs::ReadBatch::create(&mut builder, &arguments);
    builder.finish(batch, None);
    builder.finished_data().to_vec()
}

/// A `ScanRequest`; every key, forwards, unless changed.
#[derive(Clone, Debug)]
pub struct Scan {
    pub first: Vec<u8>,
    pub end: Vec<u8>,
    pub reverse: bool,
    pub keys_only: bool,
    pub limit: u32,
    pub page_bytes: u32,
    pub snapshot: u64,
}

impl Default for Scan {
    fn default() -> Scan {
        Scan {
            first: Vec::new(),
            end: Vec::new(),
            reverse: false,
            keys_only: false,
            limit: 1000,
            page_bytes: 1 << 20,
            snapshot: 0,
        }
    }
}

impl Scan {
    pub fn encode(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let first = builder.create_vector(&self.first);
        let end = builder.create_vector(&self.end);
        let arguments = fbs::ScanRequestArgs {
            first: Some(first),
            end: Some(end),
            reverse: self.reverse,
            keys_only: self.keys_only,
            limit: self.limit,
            page_bytes: self.page_bytes,
            snapshot: self.snapshot,
            ..Default::default()
        };
        let request = fbs::ScanRequest::create(&mut builder, &arguments);
        builder.finish(request, None);
        builder.finished_data().to_vec()
    }
}

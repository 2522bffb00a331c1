//! What the store answers, decoded: results of batches, of reads and of scans.
#![allow(dead_code)]

use eraft_core::generated::command::eraft::command as fbs;

/// What a `ResultBatch` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u8,
    pub first_revision: u64,
    pub count: u32,
    pub last_sequence: u64,
    pub rows: Vec<Row>,
}

/// What a `CommandResult` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub status: u8,
    pub count: u16,
    pub number: i64,
    pub of_condition: bool,
    pub entry: Option<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Vec<u8>,
    pub revision: u64,
    /// None: left out.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    pub fn of(revision: u64, value: &[u8]) -> Option<Entry> {
        Some(Entry {
            key: Vec::new(),
            revision,
            value: Some(value.to_vec()),
        })
    }
}

impl Row {
    pub fn number(number: i64) -> Row {
        Row {
            number,
            ..Row::default()
        }
    }

    pub fn status(status: u8) -> Row {
        Row {
            status,
            ..Row::default()
        }
    }

    pub fn entry(entry: Option<Entry>) -> Row {
        Row {
            entry,
            ..Row::default()
        }
    }
}

pub fn reply(bytes: &[u8]) -> Reply {
    let batch = flatbuffers::root::<fbs::ResultBatch>(bytes).expect("a ResultBatch");
    let mut data = batch.data().map_or(&[][..], |data| data.bytes());
    let rows = batch
        .results()
        .into_iter()
        .flatten()
        .map(|row| row_of(row, &mut data))
        .collect();
    assert!(data.is_empty(), "data that belongs to no result");
    Reply {
        status: batch.status(),
        first_revision: batch.first_revision(),
        count: batch.count(),
        last_sequence: batch.last_sequence(),
        rows,
    }
}

fn row_of(row: &fbs::CommandResult, data: &mut &[u8]) -> Row {
    let present = row.flags() & 1 != 0;
    let left_out = row.flags() & 4 != 0;
    let value = take(data, if left_out { 0 } else { row.value_length() });
    Row {
        status: row.status(),
        count: row.count(),
        number: row.number(),
        of_condition: row.flags() & 2 != 0,
        entry: present.then(|| Entry {
            key: Vec::new(),
            revision: row.revision(),
            value: (!left_out).then_some(value),
        }),
    }
}

fn take(data: &mut &[u8], length: u32) -> Vec<u8> {
    let (taken, rest) = data.split_at(length as usize);
    *data = rest;
    taken.to_vec()
}

/// The slab that apply writes: the replies of each record, by index.
pub fn replies(mut slab: &[u8]) -> Vec<(u64, Vec<Reply>)> {
    let mut records = Vec::new();
    while !slab.is_empty() {
        let number = |at: usize| u64::from_le_bytes(slab[at..at + 8].try_into().unwrap());
        let small = |at: usize| u32::from_le_bytes(slab[at..at + 4].try_into().unwrap());
        let (index, batches, bytes) = (number(0), small(16), small(20) as usize);
        let mut of_record = &slab[24..24 + bytes];
        let mut found = Vec::new();
        for _ in 0..batches {
            let length = u32::from_le_bytes(of_record[..4].try_into().unwrap()) as usize;
            assert_eq!(of_record[4..8], [0; 4]);
            found.push(reply(&of_record[8..8 + length]));
            of_record = &of_record[8 + length.next_multiple_of(8)..];
        }
        assert!(of_record.is_empty());
        records.push((index, found));
        slab = &slab[24 + bytes..];
    }
    records
}

/// Revision, and the entry of each key.
pub fn read_result(bytes: &[u8]) -> (u64, Vec<Option<Entry>>) {
    let result = flatbuffers::root::<fbs::ReadResult>(bytes).expect("a ReadResult");
    let mut data = result.data().map_or(&[][..], |data| data.bytes());
    let entries = result
        .entries()
        .into_iter()
        .flatten()
        .map(|entry| entry_of(entry, &mut data))
        .collect();
    assert!(data.is_empty(), "data that belongs to no entry");
    (result.revision(), entries)
}

fn entry_of(entry: &fbs::EntryHeader, data: &mut &[u8]) -> Option<Entry> {
    let flags = entry.key_length_and_flags();
    let left_out = flags & 1 << 30 != 0;
    let key = take(data, flags & ((1 << 30) - 1));
    let value = take(data, if left_out { 0 } else { entry.value_length() });
    (flags & 1 << 31 != 0).then(|| Entry {
        key,
        revision: entry.revision(),
        value: (!left_out).then_some(value),
    })
}

pub struct Page {
    pub revision: u64,
    pub more: bool,
    pub snapshot: u64,
    pub entries: Vec<Entry>,
}

impl Page {
    pub fn keys(&self) -> Vec<&[u8]> {
        self.entries.iter().map(|entry| &entry.key[..]).collect()
    }
}

pub fn scan_page(bytes: &[u8]) -> Page {
    let page = flatbuffers::root::<fbs::ScanPage>(bytes).expect("a ScanPage");
    let mut data = page.data().map_or(&[][..], |data| data.bytes());
    let entries = page
        .entries()
        .into_iter()
        .flatten()
        .map(|entry| entry_of(entry, &mut data).expect("present"))
        .collect();
    assert!(data.is_empty(), "data that belongs to no entry");
    Page {
        revision: page.revision(),
        more: page.more(),
        snapshot: page.snapshot(),
        entries,
    }
}

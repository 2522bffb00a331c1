//! A log built by hand from docs/log-format.md opens, and what the log writes has those bytes.

#[path = "common/logs.rs"]
mod logs;

use std::io::IoSlice;
use std::path::Path;

use eraft_core::record::{RECORD_HEADER_BYTES, RECORD_PAYLOAD_BYTES_MAX};
use eraft_core::sys::{FileSystem, MemoryFileSystem, Open};
use eraft_core::wal::{GroupState, HardState, layout};
use logs::*;

const SALT: u64 = 0x5a17;

/// Bytes at an offset, as a line of the document says.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(length: usize) -> Self {
        Self(vec![0; length])
    }
    fn put(mut self, offset: usize, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }
    fn u32(self, offset: usize, value: u32) -> Self {
        self.put(offset, value.to_le_bytes())
    }
    fn u64(self, offset: usize, value: u64) -> Self {
        self.put(offset, value.to_le_bytes())
    }
    fn checked(self) -> Vec<u8> {
        let checksum = crc32c::crc32c(&self.0[4..]);
        self.u32(0, checksum).0
    }
}

/// Returns the frame and its commit checksum.
fn frame(
    kind: u8,
    sequence: u64,
    previous: u32,
    items: &[u8],
    records: &[Vec<u8>],
    (group, first, last): (u32, u64, u64),
) -> (Vec<u8>, u32) {
    let body = [items, &records.concat()].concat();
    let header = Bytes::new(80)
        .put(4, b"eFRM")
        .u64(8, SALT)
        .u64(16, 1)
        .u64(24, sequence)
        .u64(32, sequence - 1)
        .u64(40, first)
        .u64(48, last)
        .u32(56, group)
        .u32(60, body.len() as u32)
        .u32(64, items.len() as u32)
        .u32(68, previous)
        .put(72, [kind, 2])
        .checked();
    let sums: Vec<u8> = records
        .iter()
        .flat_map(|record| record[..4].to_vec())
        .collect();
    let commit = crc32c::crc32c(&[&header, items, &sums].concat());
    let trailer = Bytes::new(8).u32(0, commit).put(4, b"eEND").0;
    ([header, body, trailer].concat(), commit)
}

/// Segment 1: an empty checkpoint, a batch of everything, a mark.
fn by_hand() -> Vec<u8> {
    let header = Bytes::new(64)
        .put(4, b"eSEG")
        .u32(8, 2)
        .u64(16, 1)
        .u64(24, SALT)
        .u64(32, SEGMENT_BYTES)
        .u64(40, 1)
        .checked();
    let oldest = Bytes::new(16).put(0, [4]).u64(8, 1).0;
    let (checkpoint, commit) = frame(2, 1, 0, &oldest, &[], (0, 0, 0));
    let hard_state = Bytes::new(32)
        .put(0, [1])
        .u32(4, 6)
        .u64(8, 9)
        .u64(16, 1)
        .u32(24, 3)
        .0;
    let conf = Bytes::new(32)
        .put(0, [2])
        .u32(4, 6)
        .u64(8, 2)
        .u32(16, 5)
        .put(24, b"conf!")
        .0;
    let records = [entry(6, 1, 8, 10), entry(6, 2, 9, 20)];
    let items = [hard_state, conf].concat();
    let (batch, commit) = frame(1, 2, commit, &items, &records, (6, 1, 2));
    let (mark, _) = frame(3, 3, commit, &[], &[], (0, 0, 0));
    let mut bytes = [header, checkpoint, batch, mark].concat();
    bytes.resize(SEGMENT_BYTES as usize, 0);
    bytes
}

#[test]
fn a_log_built_by_hand_opens() {
    let fs = MemoryFileSystem::new();
    fs.create_dir(Path::new(DIR)).unwrap();
    let path = Path::new(DIR).join("0000000000000001.log");
    let file = fs.open(&path, Open::Create).unwrap();
    file.write_at(0, &[IoSlice::new(&by_hand())]).unwrap();
    let (_, groups) = open(&fs, 1).unwrap();
    let expected = GroupState {
        group: 6,
        hard_state: HardState {
            term: 9,
            vote: 3,
            commit: 1,
        },
        last_index: 2,
        term_runs: vec![(1, 8), (2, 9)],
        sizes: vec![72, 80],
        last_time: 9002,
        next_revision: 6,
        conf: Some((2, b"conf!".to_vec())),
        ..GroupState::default()
    };
    assert_eq!(groups, [expected]);
}

#[test]
fn the_log_writes_those_bytes() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, SALT).unwrap();
    let mut batch = hard_state(6, 9, 3, 1);
    batch.confs = vec![(6, 2, b"conf!".to_vec())];
    batch.records = [entry(6, 1, 8, 10), entry(6, 2, 9, 20)].concat();
    wal.submit(batch).unwrap();
    wal.close().unwrap();
    assert!(files(&fs)["0000000000000001.log"] == by_hand());
}

#[test]
fn the_document_has_the_sizes_of_the_code() {
    let text = include_str!("../../../docs/log-format.md");
    let says = |line: String| assert!(text.contains(&line), "docs/log-format.md misses: {line}");
    says(format!(
        "| segment header | {} |",
        layout::SEGMENT_HEADER_BYTES
    ));
    says(format!("take {} bytes", layout::FRAME_OVERHEAD_BYTES));
    says(format!(
        "{} items, then records",
        layout::FRAME_HEADER_BYTES
    ));
    says(format!("{RECORD_HEADER_BYTES} payload, then zeros"));
    says(format!("at most {} MiB", RECORD_PAYLOAD_BYTES_MAX >> 20));
    says(format!("version u32         {}", layout::FORMAT_VERSION));
}

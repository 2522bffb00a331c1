//! The bytes of a snapshot: as docs/snapshot-format.md says, and nothing else is believed.

use std::io::IoSlice;
use std::path::Path;

use eraft_core::snapshot::{Header, Reader, SnapshotError, Summary, Writer, verify};
use eraft_core::sys::{self, FileSystem, MemoryFileSystem, Open};

const FILE: &str = "/s/a.snap";

fn disk() -> MemoryFileSystem {
    let fs = MemoryFileSystem::new();
    fs.create_dir(Path::new("/s")).unwrap();
    fs
}

fn header(id: u8) -> Header {
    Header {
        cluster: [7; 16],
        group: 1,
        id: [id; 16],
        index: 90,
        term: 4,
        time: 1234,
        revision: 500,
        next_revision: 501,
        conf_index: 80,
        conf: b"members".to_vec(),
    }
}

/// Rows of a store: `key-…` to `value-…`, with `filler` bytes more.
fn row(at: u64, filler: usize) -> (Vec<u8>, Vec<u8>) {
    let key = [&[3, 0, 0][..], format!("key-{at:04}").as_bytes()].concat();
    let mut value = vec![1, at as u8, 0, 0, 0, 0, 0, 0, 0];
    // Not to be compressed away.
    let mut state = at + 1;
    value.extend((0..filler).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    }));
    (key, value)
}

fn write(
    fs: &MemoryFileSystem,
    header: &Header,
    rows: std::ops::Range<u64>,
    per_chunk: u64,
    filler: usize,
) -> Vec<u8> {
    let mut writer = Writer::begin(fs, Path::new(FILE), Path::new("/s/a.made"), header).unwrap();
    for at in rows {
        let (key, value) = row(at, filler);
        writer.row(&key, &value);
        if at % per_chunk == per_chunk - 1 {
            writer.end_chunk().unwrap();
        }
    }
    writer.finish(fs).unwrap();
    sys::read_file(fs, Path::new(FILE)).unwrap()
}

fn put(fs: &MemoryFileSystem, bytes: &[u8]) {
    let _ = fs.remove(Path::new(FILE)); // there may be none
    let file = fs.open(Path::new(FILE), Open::Create).unwrap();
    sys::write_all_at(&*file, 0, &mut [IoSlice::new(bytes)]).unwrap();
}

fn check(fs: &MemoryFileSystem) -> Result<(Header, Summary), SnapshotError> {
    verify(fs, Path::new(FILE), &mut |_| true)
}

fn is_damaged<T: std::fmt::Debug>(outcome: Result<T, SnapshotError>, what: &str) {
    assert!(
        matches!(outcome, Err(SnapshotError::Damaged { .. })),
        "{what}: {outcome:?}"
    );
}

#[test]
fn what_was_written_is_read() {
    let fs = disk();
    write(&fs, &header(1), 0..25, 10, 100);
    let mut rows = Vec::new();
    let (found, summary) = verify(&fs, Path::new(FILE), &mut |(key, value)| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    })
    .unwrap();
    assert_eq!(found, header(1));
    assert_eq!(rows, (0..25).map(|at| row(at, 100)).collect::<Vec<_>>());
    assert_eq!((summary.chunks, summary.rows), (3, 25));
    let reader = Reader::open(&fs, Path::new(FILE)).unwrap();
    let mut whole = Vec::new();
    for number in 0..reader.parts() {
        reader.read_part(number, &mut whole).unwrap();
    }
    assert_eq!(
        whole,
        sys::read_file(&fs, Path::new(FILE)).unwrap(),
        "the parts are the file"
    );
    assert!(matches!(
        reader.read_part(5, &mut whole),
        Err(SnapshotError::Refused { .. })
    ));
}

#[test]
fn an_empty_state_is_a_snapshot_too() {
    let fs = disk();
    write(
        &fs,
        &Header {
            conf: Vec::new(),
            conf_index: 0,
            ..header(1)
        },
        0..0,
        1,
        0,
    );
    assert_eq!(check(&fs).unwrap().1, Summary::default());
}

#[test]
fn the_bytes_are_those_of_the_document() {
    let fs = disk();
    let written = write(&fs, &header(9), 0..2, 10, 0);
    let u32s = |numbers: &[u32]| {
        numbers
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let u64s = |numbers: &[u64]| {
        numbers
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let mut head = [b"ERAFTSNP".to_vec(), u32s(&[1, 128, 2 << 20, 1])].concat();
    head.extend([7; 16]);
    head.extend([9; 16]);
    head.extend(u64s(&[90, 4, 1234, 500, 501, 80]));
    head.extend(u32s(&[7, 0]));
    head.extend(b"members\0");
    let head_crc = crc32c::crc32c(&head);
    head.extend(u32s(&[head_crc, 0]));

    let mut raw = Vec::new();
    for at in 0..2u8 {
        raw.extend(u32s(&[11, 9]));
        raw.extend([3, 0, 0]);
        raw.extend(format!("key-{at:04}").as_bytes());
        raw.extend([1, at, 0, 0, 0, 0, 0, 0, 0]);
    }
    assert_eq!(raw.len(), 56);
    // LZ4 finds the second row in the first: what it makes of it is its own affair, and comes back.
    let stored = u32::from_le_bytes(written[head.len() + 20..][..4].try_into().unwrap()) as usize;
    let chunk_end = head.len() + 32 + stored.next_multiple_of(8);
    let mut chunk = [b"eCHK".to_vec(), u32s(&[0, 1, 2, 56, stored as u32, 0])].concat();
    let body = &written[head.len() + 32..chunk_end];
    let chunk_crc = crc32c::crc32c(&[&chunk[..], body].concat());
    chunk.extend(u32s(&[chunk_crc]));
    chunk.extend(body);
    assert!(body[stored..].iter().all(|&byte| byte == 0));

    let mut trailer = [b"eSNPTAIL".to_vec(), u32s(&[1, 0]), u64s(&[2, 56])].concat();
    trailer.extend(u32s(&[crc32c::crc32c(&u32s(&[head_crc, chunk_crc]))]));
    trailer.extend(u32s(&[crc32c::crc32c(&trailer)]));
    assert_eq!(written, [head, chunk, trailer].concat());
    let mut rows = Vec::new();
    verify(&fs, Path::new(FILE), &mut |(key, value)| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    })
    .unwrap();
    assert_eq!(rows, [row(0, 0), row(1, 0)]);
}

#[test]
fn every_flipped_bit_is_found() {
    let fs = disk();
    let good = write(&fs, &header(1), 0..9, 3, 10);
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            put(&fs, &bad);
            is_damaged(check(&fs), &format!("byte {at}"));
        }
    }
    put(&fs, &good);
    check(&fs).unwrap();
}

#[test]
fn every_cut_and_every_addition_is_found() {
    let fs = disk();
    let good = write(&fs, &header(1), 0..9, 3, 10);
    for length in 0..good.len() {
        put(&fs, &good[..length]);
        is_damaged(check(&fs), &format!("cut at {length}"));
    }
    for more in [&[0; 8][..], &good[..], b"x"] {
        put(&fs, &[&good[..], more].concat());
        is_damaged(check(&fs), "something follows");
    }
}

#[test]
fn parts_that_are_sound_each_make_no_snapshot_in_another_order_or_company() {
    let fs = disk();
    let cut = |bytes: &[u8]| {
        put(&fs, bytes);
        let reader = Reader::open(&fs, Path::new(FILE)).unwrap();
        (0..reader.parts())
            .map(|number| {
                let mut part = Vec::new();
                reader.read_part(number, &mut part).unwrap();
                part
            })
            .collect::<Vec<_>>()
    };
    let one = cut(&write(&fs, &header(1), 0..9, 3, 10));
    let other = cut(&write(&fs, &header(2), 0..9, 3, 11));
    let mut wrong = vec![
        vec![&one[0], &one[1], &one[3], &one[4]],
        vec![&one[0], &one[2], &one[1], &one[3], &one[4]],
        vec![&one[0], &one[1], &one[1], &one[2], &one[3], &one[4]],
        vec![&one[0], &one[1], &one[2], &one[4]],
        vec![&one[1], &one[2], &one[3], &one[4]],
    ];
    for swapped in 0..5 {
        let mut mixed: Vec<&Vec<u8>> = one.iter().collect();
        mixed[swapped] = &other[swapped];
        wrong.push(mixed);
    }
    for parts in wrong {
        put(
            &fs,
            &parts.into_iter().flatten().copied().collect::<Vec<u8>>(),
        );
        is_damaged(check(&fs), "parts that do not belong together");
    }
}

#[test]
fn a_newer_version_is_no_damage() {
    let fs = disk();
    let mut bytes = write(&fs, &header(1), 0..1, 1, 0);
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..120]);
    bytes[120..124].copy_from_slice(&checksum.to_le_bytes());
    put(&fs, &bytes);
    let found = check(&fs);
    assert!(
        matches!(
            found,
            Err(SnapshotError::Version {
                found: 2,
                known: 1,
                ..
            })
        ),
        "{found:?}"
    );
}

#[test]
fn no_length_is_believed_beyond_its_bound() {
    let fs = disk();
    let good = write(&fs, &header(1), 0..3, 3, 10);
    // Header length, conf length, raw and stored length of the chunk: as large as they can be written, checksums right.
    for at in [12, 104, 128 + 16, 128 + 20] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&0xFFFF_FFF8u32.to_le_bytes());
        let head_crc = crc32c::crc32c(&bad[..120]);
        bad[120..124].copy_from_slice(&head_crc.to_le_bytes());
        put(&fs, &bad);
        is_damaged(check(&fs), &format!("length at {at}"));
    }
}

#[test]
fn rows_have_to_ascend_and_to_please() {
    let fs = disk();
    let mut writer =
        Writer::begin(&fs, Path::new(FILE), Path::new("/s/a.made"), &header(1)).unwrap();
    for at in [1, 2, 2] {
        let (key, value) = row(at, 0);
        writer.row(&key, &value);
        writer.end_chunk().unwrap();
    }
    writer.finish(&fs).unwrap();
    is_damaged(check(&fs), "a key comes twice");
    write(&fs, &header(1), 0..3, 3, 10);
    let refused = verify(&fs, Path::new(FILE), &mut |(key, _)| key != row(1, 0).0);
    is_damaged(refused, "a row that no store can hold");
}

//! The bytes of one record: what is sealed is read back, and no damaged byte is ever taken for a record.

use eraft_core::record::*;

fn header(index: u64) -> Header {
    Header {
        kind: KIND_COMMANDS,
        group: 1,
        index,
        term: 3,
        time: 77,
        first_revision: 10 * index,
        count: 4,
    }
}

#[test]
fn a_sealed_record_is_read_back() {
    for length in [0, 1, 7, 8, 9, 63, 4096] {
        let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let mut bytes = build(&payload, &header(9));
        assert_eq!(bytes.len(), padded(length));
        bytes.extend_from_slice(b"what follows");
        let view = parse(&bytes).unwrap();
        assert_eq!(view.header(), header(9));
        assert_eq!(view.payload(), payload);
        assert_eq!(view.bytes().len(), padded(length));
        assert_eq!(view.header().next_revision(), 94);
    }
}

#[test]
fn the_layout_is_frozen() {
    let bytes = build(
        b"abc",
        &Header {
            kind: 2,
            group: 1,
            index: 2,
            term: 3,
            time: 4,
            first_revision: 5,
            count: 6,
        },
    );
    let mut expected = vec![0; 64];
    expected[4] = 3;
    expected[8..10].copy_from_slice(&[1, 2]);
    expected[12] = 1;
    expected[16] = 2;
    expected[24] = 3;
    expected[32] = 4;
    expected[40] = 5;
    expected[48] = 6;
    expected[56..59].copy_from_slice(b"abc");
    let checksum = crc32c::crc32c(&expected[4..]);
    expected[0..4].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(bytes, expected);
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bytes = build(b"thirteen byte", &header(1));
    for position in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[position / 8] ^= 1 << (position % 8);
        assert!(parse(&damaged).is_err(), "bit {position}");
    }
    for length in 0..bytes.len() {
        assert!(parse(&bytes[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let mut bytes = build(b"", &header(1));
    bytes[8] = 2;
    assert!(matches!(parse(&bytes), Err(RecordError::Checksum { .. })));
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[0..4].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(
        parse(&bytes).unwrap_err(),
        RecordError::Version { found: 2 }
    );
    assert!(parse(&[0; 64]).is_err(), "zeros are no record");
}

#[test]
fn records_end_after_the_first_error() {
    let mut bytes = [
        build(b"a", &header(1)),
        build(b"b", &header(2)),
        build(b"c", &header(3)),
    ]
    .concat();
    let indexes: Vec<u64> = records(&bytes).map(|r| r.unwrap().header().index).collect();
    assert_eq!(indexes, [1, 2, 3]);
    bytes[64 + 56] ^= 1;
    let found: Vec<bool> = records(&bytes).map(|r| r.is_ok()).collect();
    assert_eq!(found, [true, false]);
    assert_eq!(records_trusted(&bytes).count(), 3);
}

//! One log entry as bytes: the same on the leader's disk, on the peer wire, on the follower's disk and in apply.
//!
//! In:   a payload and the facts of its entry (`seal`), or bytes from a disk or a peer (`parse`, `records`).
//! Out:  sealed bytes; views that borrow them. Nothing is copied.
//! Not:  what a payload means (`command`), where records lie on a disk (`wal`).
//! May import: nothing of this crate.
//!
//! The checksum is made once, by the leader, and checked at every hop and every read.

use std::iter::FusedIterator;

/// Bytes before the payload.
pub const RECORD_HEADER_BYTES: usize = 56;
/// Records start and end at multiples of this.
pub const RECORD_ALIGN: usize = 8;
/// Largest payload. Equals `LIMITS.entryBytesMax` of `ts/base/limits.ts`.
pub const RECORD_PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest whole record.
pub const RECORD_BYTES_MAX: usize = padded(RECORD_PAYLOAD_BYTES_MAX);
/// The version of the layout below.
pub const RECORD_VERSION: u8 = 1;

/// A new leader's empty entry.
pub const KIND_BLANK: u8 = 1;
/// Command batches of clients.
pub const KIND_COMMANDS: u8 = 2;
/// A new configuration: the payload is a `ConfState`.
pub const KIND_CONF: u8 = 3;

const _: () = assert!(RECORD_HEADER_BYTES.is_multiple_of(RECORD_ALIGN));
const _: () = assert!(RECORD_BYTES_MAX < u32::MAX as usize);

/// The facts of an entry. `kind` is never 0; `time` is log time in milliseconds; `count` is the number of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    pub group: u32,
    pub index: u64,
    pub term: u64,
    pub time: u64,
    pub first_revision: u64,
    pub count: u32,
}

impl Header {
    /// The revision that the next record may start with.
    pub fn next_revision(&self) -> u64 {
        self.first_revision + u64::from(self.count)
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the record ends after {bytes} bytes, before its end")]
    Short { bytes: usize },
    #[error("the record claims a payload of {bytes} bytes, more than {RECORD_PAYLOAD_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error("the record's checksum is {found:#010x}, its bytes give {computed:#010x}")]
    Checksum { found: u32, computed: u32 },
    #[error("the record has version {found}; this eraft reads version {RECORD_VERSION}")]
    Version { found: u8 },
    #[error("the record has kind 0, or a reserved field or padding that is not zero")]
    Reserved,
}

/// The whole size of a record with such a payload: header, payload, padding.
pub const fn padded(payload_bytes: usize) -> usize {
    (RECORD_HEADER_BYTES + payload_bytes).next_multiple_of(RECORD_ALIGN)
}

/// Fills in the header and checksum of `record`, whose payload stands at `RECORD_HEADER_BYTES` already.
///
/// ```text
/// 0        4        8         9      10      12      16      24     32     40               48      52     56
/// | crc32c | length | version | kind | flags | group | index | term | time | first revision | count | zero | payload … | zero … |
/// ```
/// Little-endian. `length` counts the payload alone; `crc32c` covers all that follows it, padding too. `kind` is never
/// 0, so prepared zeros never read as a record. `record` is one whole record: `payload_bytes` of payload, then padding.
///
/// Panics if `record.len()` is not `padded(payload_bytes)`, or the payload is too large, or `kind` is 0.
pub fn seal_payload(record: &mut [u8], payload_bytes: usize, header: &Header) {
    assert!(
        payload_bytes <= RECORD_PAYLOAD_BYTES_MAX,
        "payload of {payload_bytes} bytes"
    );
    assert_eq!(
        record.len(),
        padded(payload_bytes),
        "a record is exactly one payload long"
    );
    assert!(header.kind != 0, "kind 0 is the absence of a record");
    record[4..8].copy_from_slice(&(payload_bytes as u32).to_le_bytes());
    record[8] = RECORD_VERSION;
    record[9] = header.kind;
    record[10..12].fill(0);
    record[12..16].copy_from_slice(&header.group.to_le_bytes());
    record[16..24].copy_from_slice(&header.index.to_le_bytes());
    record[24..32].copy_from_slice(&header.term.to_le_bytes());
    record[32..40].copy_from_slice(&header.time.to_le_bytes());
    record[40..48].copy_from_slice(&header.first_revision.to_le_bytes());
    record[48..52].copy_from_slice(&header.count.to_le_bytes());
    record[52..56].fill(0);
    record[RECORD_HEADER_BYTES + payload_bytes..].fill(0);
    let checksum = crc32c::crc32c(&record[4..]);
    record[0..4].copy_from_slice(&checksum.to_le_bytes());
}

/// `seal_payload` for a payload that needs no padding: its length is a multiple of `RECORD_ALIGN`, as that of every
/// commands payload is. The header's room is the first `RECORD_HEADER_BYTES` of `record`.
pub fn seal(record: &mut [u8], header: &Header) {
    assert!(
        record.len() >= RECORD_HEADER_BYTES,
        "no room for a header in {} bytes",
        record.len()
    );
    seal_payload(record, record.len() - RECORD_HEADER_BYTES, header);
}

/// A new sealed record with a copy of `payload`.
pub fn build(payload: &[u8], header: &Header) -> Vec<u8> {
    let mut record = vec![0; padded(payload.len())];
    record[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + payload.len()].copy_from_slice(payload);
    seal_payload(&mut record, payload.len(), header);
    record
}

/// One whole record, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    payload_bytes: usize,
}

impl<'a> RecordView<'a> {
    /// The entry's facts.
    pub fn header(&self) -> Header {
        Header {
            kind: self.bytes[9],
            group: u32_at(self.bytes, 12),
            index: u64_at(self.bytes, 16),
            term: u64_at(self.bytes, 24),
            time: u64_at(self.bytes, 32),
            first_revision: u64_at(self.bytes, 40),
            count: u32_at(self.bytes, 48),
        }
    }

    /// What the entry carries, without padding.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + self.payload_bytes]
    }

    /// The whole record, header and padding included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The checksum in the header.
    pub fn checksum(&self) -> u32 {
        u32_at(self.bytes, 0)
    }
}

/// The record at the front of `bytes`, its checksum verified. More may follow it.
pub fn parse(bytes: &[u8]) -> Result<RecordView<'_>, RecordError> {
    let view = frame(bytes)?;
    let computed = crc32c::crc32c(&view.bytes[4..]);
    if computed != view.checksum() {
        return Err(RecordError::Checksum {
            found: view.checksum(),
            computed,
        });
    }
    check_fixed(view)
}

/// `parse` without computing the checksum: for bytes that this process has sealed or parsed before.
pub fn parse_trusted(bytes: &[u8]) -> Result<RecordView<'_>, RecordError> {
    check_fixed(frame(bytes)?)
}

/// The records in `bytes`, one after the other, each verified by `parse`. Ends after the first error.
pub fn records(bytes: &[u8]) -> Records<'_> {
    Records { rest: bytes, parse }
}

/// `records` without computing checksums: for bytes that this process has sealed or parsed before.
pub fn records_trusted(bytes: &[u8]) -> Records<'_> {
    Records {
        rest: bytes,
        parse: parse_trusted,
    }
}

/// Iterator of `records` and `records_trusted`.
pub struct Records<'a> {
    rest: &'a [u8],
    parse: fn(&[u8]) -> Result<RecordView<'_>, RecordError>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = (self.parse)(self.rest);
        self.rest = match parsed {
            Ok(view) => &self.rest[view.bytes.len()..],
            Err(_) => &[],
        };
        Some(parsed)
    }
}

impl FusedIterator for Records<'_> {}

/// Finds the extent of the first record, and nothing more.
fn frame(bytes: &[u8]) -> Result<RecordView<'_>, RecordError> {
    if bytes.len() < RECORD_HEADER_BYTES {
        return Err(RecordError::Short { bytes: bytes.len() });
    }
    let payload_bytes = u32_at(bytes, 4) as usize;
    if payload_bytes > RECORD_PAYLOAD_BYTES_MAX {
        return Err(RecordError::TooLarge {
            bytes: payload_bytes,
        });
    }
    match bytes.get(..padded(payload_bytes)) {
        Some(bytes) => Ok(RecordView {
            bytes,
            payload_bytes,
        }),
        None => Err(RecordError::Short { bytes: bytes.len() }),
    }
}

/// The version comes after the checksum: a flipped bit is damage, not a newer eraft.
fn check_fixed(view: RecordView<'_>) -> Result<RecordView<'_>, RecordError> {
    let bytes = view.bytes;
    if bytes[8] != RECORD_VERSION {
        return Err(RecordError::Version { found: bytes[8] });
    }
    let padding = &bytes[RECORD_HEADER_BYTES + view.payload_bytes..];
    let zeros = [&bytes[10..12], &bytes[52..56], padding];
    if bytes[9] == 0 || zeros.iter().any(|part| part.iter().any(|&byte| byte != 0)) {
        return Err(RecordError::Reserved);
    }
    Ok(view)
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

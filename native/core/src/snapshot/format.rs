//! The bytes of a snapshot: docs/snapshot-format.md. Frozen: a change raises the version.
//!
//! ```text
//! header   0        8         12             16                20      24        40   56      64     72     80         88
//!          | magic  | version | header bytes | chunk bytes max | group | cluster | id | index | term | time | revision |
//!          88              96           104           108    112
//!          | next revision | conf index | conf length | zero | conf …, zeros up to 8 | crc32c | zero |
//! chunk    0       4          8             12     16           20              24     28       32
//!          | magic | sequence | compression | rows | raw length | stored length | zero | crc32c | stored …, zeros up to 8 |
//! trailer  0       8        12     16     24          32               36       40
//!          | magic | chunks | zero | rows | raw bytes | crc32c of all | crc32c |
//! ```
//! Little-endian. A header's checksum covers all before it; a chunk's its first 28 bytes, then all that follows it;
//! a trailer's all before it. `crc32c of all` is taken of the checksums of the header and of every chunk, in order.

use std::path::Path;

use super::SnapshotError;

pub const VERSION: u32 = 1;
/// Rows are gathered up to so many raw bytes; a single larger row makes a chunk of its own. A chunk is what is worked on without a
/// rest: 1 MiB took a processor from others for up to 10 ms.
pub const CHUNK_TARGET_BYTES: usize = 256 * 1024;
/// Raw bytes of a chunk at most, as this eraft writes them: the largest row is a key and a value within the limits.
pub const CHUNK_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The same, of any header that is believed: what a reader may have to allocate.
const CHUNK_BYTES_READ_MAX: usize = 8 * 1024 * 1024;
pub const CONF_BYTES_MAX: usize = 64 * 1024;
/// Of a part that travels.
pub const PART_BYTES_MAX: usize = CHUNK_HEAD_BYTES + CHUNK_BYTES_READ_MAX;

pub(super) const HEADER_FIXED_BYTES: usize = 112;
const HEADER_END_BYTES: usize = 8;
pub(super) const HEADER_BYTES_MIN: usize = HEADER_FIXED_BYTES + HEADER_END_BYTES;
pub(super) const HEADER_BYTES_MAX: usize = HEADER_BYTES_MIN + CONF_BYTES_MAX;
pub(super) const CHUNK_HEAD_BYTES: usize = 32;
pub(super) const TRAILER_BYTES: usize = 40;

const HEADER_MAGIC: [u8; 8] = *b"ERAFTSNP";
const CHUNK_MAGIC: [u8; 4] = *b"eCHK";
const TRAILER_MAGIC: [u8; 8] = *b"eSNPTAIL";

const _: () =
    assert!(CHUNK_TARGET_BYTES <= CHUNK_BYTES_MAX && CHUNK_BYTES_MAX <= CHUNK_BYTES_READ_MAX);
const _: () = assert!(HEADER_BYTES_MAX <= PART_BYTES_MAX && PART_BYTES_MAX < u32::MAX as usize);

/// Drawn for each snapshot that is made: says whether two files are one.
pub type SnapshotId = [u8; 16];

/// What a snapshot is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub cluster: [u8; 16],
    /// Of the group that it was made of; rows carry no group.
    pub group: u32,
    pub id: SnapshotId,
    /// Of the last record that is in it.
    pub index: u64,
    pub term: u64,
    /// That record's log time, ms.
    pub time: u64,
    /// The last revision that any record up to there has taken.
    pub revision: u64,
    /// What the next record's first revision may be.
    pub next_revision: u64,
    /// The membership as of that index; empty if none was saved.
    pub conf_index: u64,
    pub conf: Vec<u8>,
}

/// Why bytes are no part of a snapshot: what is wrong, and how far from their start.
pub(super) type Fault = (usize, &'static str);

impl Header {
    pub(super) fn bytes(&self) -> usize {
        HEADER_BYTES_MIN + self.conf.len().next_multiple_of(8)
    }

    /// Panics if `conf` is longer than CONF_BYTES_MAX.
    pub(super) fn encode(&self) -> Vec<u8> {
        assert!(
            self.conf.len() <= CONF_BYTES_MAX,
            "conf of {} bytes",
            self.conf.len()
        );
        let bytes = self.bytes();
        let mut out = vec![0; bytes];
        out[0..8].copy_from_slice(&HEADER_MAGIC);
        put_u32(&mut out, 8, VERSION);
        put_u32(&mut out, 12, bytes as u32);
        put_u32(&mut out, 16, CHUNK_BYTES_MAX as u32);
        put_u32(&mut out, 20, self.group);
        out[24..40].copy_from_slice(&self.cluster);
        out[40..56].copy_from_slice(&self.id);
        let numbers = [
            self.index,
            self.term,
            self.time,
            self.revision,
            self.next_revision,
            self.conf_index,
        ];
        for (position, number) in numbers.into_iter().enumerate() {
            put_u64(&mut out, 56 + position * 8, number);
        }
        put_u32(&mut out, 104, self.conf.len() as u32);
        out[HEADER_FIXED_BYTES..][..self.conf.len()].copy_from_slice(&self.conf);
        let checksum = crc32c::crc32c(&out[..bytes - HEADER_END_BYTES]);
        put_u32(&mut out, bytes - HEADER_END_BYTES, checksum);
        out
    }

    /// A whole header: what it says, the raw bytes of its largest chunk, and its checksum.
    pub(super) fn decode(bytes: &[u8], file: &Path) -> Result<(Header, usize, u32), SnapshotError> {
        let damaged = |(offset, what): Fault| SnapshotError::Damaged {
            file: file.to_path_buf(),
            offset: offset as u64,
            what,
        };
        let length = header_length(bytes).map_err(damaged)?;
        if length != bytes.len() {
            return Err(damaged((12, "its header has another length")));
        }
        let end = length - HEADER_END_BYTES;
        let checksum = get_u32(bytes, end);
        if crc32c::crc32c(&bytes[..end]) != checksum {
            return Err(damaged((0, "its header does not verify")));
        }
        let found = get_u32(bytes, 8);
        if found != VERSION {
            return Err(SnapshotError::Version {
                file: file.to_path_buf(),
                found,
                known: VERSION,
            });
        }
        let chunk_bytes_max = get_u32(bytes, 16) as usize;
        let conf_length = get_u32(bytes, 104) as usize;
        let conf = bytes[HEADER_FIXED_BYTES..end].get(..conf_length);
        let whole =
            conf.is_some_and(|conf| conf.len().next_multiple_of(8) == end - HEADER_FIXED_BYTES);
        let zeros = [
            &bytes[108..112],
            &bytes[(HEADER_FIXED_BYTES + conf_length).min(end)..end],
            &bytes[end + 4..],
        ];
        if !whole
            || chunk_bytes_max > CHUNK_BYTES_READ_MAX
            || !zeros.iter().all(|part| is_zero(part))
        {
            return Err(damaged((0, "its header is malformed")));
        }
        let header = Header {
            cluster: bytes[24..40].try_into().expect("16 bytes"),
            group: get_u32(bytes, 20),
            id: bytes[40..56].try_into().expect("16 bytes"),
            index: get_u64(bytes, 56),
            term: get_u64(bytes, 64),
            time: get_u64(bytes, 72),
            revision: get_u64(bytes, 80),
            next_revision: get_u64(bytes, 88),
            conf_index: get_u64(bytes, 96),
            conf: conf.unwrap_or_default().to_vec(),
        };
        // Numbers of which one more, or the number itself, has to be a legal one elsewhere.
        let sane = header.index > 0
            && header.index < INTEGER_MAX
            && header.term < INTEGER_MAX
            && header.time < INTEGER_MAX
            && header.revision < header.next_revision
            && header.next_revision < INTEGER_MAX
            && header.conf_index <= header.index;
        if !sane {
            return Err(damaged((56, "its header says what cannot be")));
        }
        Ok((header, chunk_bytes_max, checksum))
    }
}

/// JavaScript holds integers up to here exactly.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// The length of the header that begins with `bytes`, HEADER_BYTES_MIN of them or more: not verified, but bounded.
pub(super) fn header_length(bytes: &[u8]) -> Result<usize, Fault> {
    if bytes.len() < HEADER_BYTES_MIN {
        return Err((bytes.len(), "it ends within its header"));
    }
    if bytes[0..8] != HEADER_MAGIC {
        return Err((0, "it does not begin as a snapshot does"));
    }
    let length = get_u32(bytes, 12) as usize;
    if !(HEADER_BYTES_MIN..=HEADER_BYTES_MAX).contains(&length) || !length.is_multiple_of(8) {
        return Err((12, "its header cannot have such a length"));
    }
    Ok(length)
}

/// What stands before the rows of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHead {
    pub sequence: u32,
    pub compression: u32,
    pub rows: u32,
    pub raw_length: u32,
    pub stored_length: u32,
}

pub(super) const COMPRESSION_NONE: u32 = 0;
pub(super) const COMPRESSION_LZ4: u32 = 1;

impl ChunkHead {
    /// Of the whole chunk: head, stored bytes, padding.
    pub fn part_bytes(&self) -> usize {
        CHUNK_HEAD_BYTES + (self.stored_length as usize).next_multiple_of(8)
    }

    /// Fills in the head of `part`, whose stored bytes and padding stand in place. Returns the checksum.
    pub fn seal(&self, part: &mut [u8]) -> u32 {
        assert_eq!(
            part.len(),
            self.part_bytes(),
            "a chunk is exactly one part long"
        );
        part[0..4].copy_from_slice(&CHUNK_MAGIC);
        let numbers = [
            self.sequence,
            self.compression,
            self.rows,
            self.raw_length,
            self.stored_length,
            0,
        ];
        for (position, number) in numbers.into_iter().enumerate() {
            put_u32(part, 4 + position * 4, number);
        }
        let checksum = chunk_checksum(part);
        put_u32(part, 28, checksum);
        checksum
    }

    /// The head at the front of `bytes`, if it is one: bounded by `raw_max`, not verified.
    pub fn decode(bytes: &[u8], raw_max: usize) -> Result<ChunkHead, Fault> {
        if bytes.len() < CHUNK_HEAD_BYTES {
            return Err((bytes.len(), "it ends within a chunk"));
        }
        if bytes[0..4] != CHUNK_MAGIC {
            return Err((0, "no chunk begins here"));
        }
        let head = ChunkHead {
            sequence: get_u32(bytes, 4),
            compression: get_u32(bytes, 8),
            rows: get_u32(bytes, 12),
            raw_length: get_u32(bytes, 16),
            stored_length: get_u32(bytes, 20),
        };
        if head.raw_length as usize > raw_max || head.stored_length > head.raw_length {
            return Err((16, "a chunk is larger than its header allows"));
        }
        Ok(head)
    }

    /// The head of the whole chunk `part`, its checksum verified; and the checksum.
    pub fn open(part: &[u8], raw_max: usize) -> Result<(ChunkHead, u32), Fault> {
        let head = ChunkHead::decode(part, raw_max)?;
        if part.len() != head.part_bytes() {
            return Err((20, "a chunk has another length than its head says"));
        }
        let checksum = get_u32(part, 28);
        if chunk_checksum(part) != checksum {
            return Err((0, "a chunk does not verify"));
        }
        let padding = &part[CHUNK_HEAD_BYTES + head.stored_length as usize..];
        if get_u32(part, 24) != 0 || !is_zero(padding) {
            return Err((24, "a chunk is malformed"));
        }
        Ok((head, checksum))
    }
}

fn chunk_checksum(part: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&part[..28]), &part[CHUNK_HEAD_BYTES..])
}

/// What proves that a snapshot is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trailer {
    pub chunks: u32,
    pub rows: u64,
    pub raw_bytes: u64,
    pub all: u32,
}

impl Trailer {
    pub fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut out = [0; TRAILER_BYTES];
        out[0..8].copy_from_slice(&TRAILER_MAGIC);
        put_u32(&mut out, 8, self.chunks);
        put_u64(&mut out, 16, self.rows);
        put_u64(&mut out, 24, self.raw_bytes);
        put_u32(&mut out, 32, self.all);
        let checksum = crc32c::crc32c(&out[..36]);
        put_u32(&mut out, 36, checksum);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Trailer, Fault> {
        if bytes.len() != TRAILER_BYTES {
            return Err((
                bytes.len().min(TRAILER_BYTES),
                "its trailer is cut off, or more follows it",
            ));
        }
        if bytes[0..8] != TRAILER_MAGIC || get_u32(bytes, 36) != crc32c::crc32c(&bytes[..36]) {
            return Err((0, "its trailer does not verify"));
        }
        if get_u32(bytes, 12) != 0 {
            return Err((12, "its trailer is malformed"));
        }
        Ok(Trailer {
            chunks: get_u32(bytes, 8),
            rows: get_u64(bytes, 16),
            raw_bytes: get_u64(bytes, 24),
            all: get_u32(bytes, 32),
        })
    }
}

/// How long the part is that begins with `begin`; None if none does. Bounded by PART_BYTES_MAX, not verified. `begin`: at least
/// HEADER_BYTES_MIN bytes, or as many as there are.
pub(super) fn part_bytes(begin: &[u8], first: bool) -> Option<usize> {
    if first {
        return header_length(begin).ok();
    }
    if is_trailer(begin) {
        return Some(TRAILER_BYTES);
    }
    let head = ChunkHead::decode(begin, CHUNK_BYTES_READ_MAX).ok()?;
    Some(head.part_bytes())
}

/// True where a trailer begins and not a chunk: not verified.
pub(super) fn is_trailer(bytes: &[u8]) -> bool {
    bytes.starts_with(&TRAILER_MAGIC)
}

/// The file's name: made of numbers alone, whoever sent it.
pub fn snapshot_name(index: u64, term: u64) -> String {
    format!("{index:016x}-{term:016x}.snap")
}

/// Index and term in a name of ours, without what follows `.snap`.
pub fn snapshot_of(name: &str) -> Option<(u64, u64)> {
    let digits = name.strip_suffix(".snap")?;
    let (index, term) = digits.split_once('-')?;
    let number = |digits: &str| {
        let ours = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        ours.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    Some((number(index)?, number(term)?))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

pub(super) fn put_u32(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

fn put_u64(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}

pub(super) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

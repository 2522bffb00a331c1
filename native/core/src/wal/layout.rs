//! The bytes of segments and frames. `docs/log-format.md` says the same for people; a test compares the numbers.
//!
//! All integers are little-endian; everything starts and ends at multiples of 8 bytes.

use crate::record;

/// In every segment header and frame. Any change to what stands in a segment raises it, so that an older eraft refuses
/// the newest segment instead of taking what it does not know for a torn tail.
pub const FORMAT_VERSION: u32 = 2;
/// The oldest format that is read: all that stands in it has the same meaning now.
const FORMAT_VERSION_OLDEST: u32 = 1;
pub const SEGMENT_HEADER_BYTES: usize = 64;
pub const FRAME_HEADER_BYTES: usize = 80;
pub const FRAME_TRAILER_BYTES: usize = 8;
/// What a frame costs beside its body.
pub const FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + FRAME_TRAILER_BYTES;

const SEGMENT_MAGIC: u32 = u32::from_le_bytes(*b"eSEG");
const FRAME_MAGIC: u32 = u32::from_le_bytes(*b"eFRM");
pub(super) const END_MAGIC: u32 = u32::from_le_bytes(*b"eEND");

const _: () =
    assert!(SEGMENT_HEADER_BYTES.is_multiple_of(8) && FRAME_OVERHEAD_BYTES.is_multiple_of(8));

/// ```text
/// 0        4       8         12     16        24     32              40               48         52     56     64
/// | crc32c | magic | version | zero | segment | salt | segment bytes | first sequence | previous | zero | zero |
/// ```
/// `crc32c` covers bytes 4 to 64. `segment`: this file's number, also its name. `first sequence`: of the frame behind
/// this header, always a checkpoint. `previous`: the commit checksum of the frame before that one, in the segment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    pub segment: u64,
    pub salt: u64,
    pub segment_bytes: u64,
    pub first_sequence: u64,
    pub previous: u32,
}

/// Why bytes are not a segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentFault {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        put_u32(&mut bytes, 4, SEGMENT_MAGIC);
        put_u32(&mut bytes, 8, FORMAT_VERSION);
        put_u64(&mut bytes, 16, self.segment);
        put_u64(&mut bytes, 24, self.salt);
        put_u64(&mut bytes, 32, self.segment_bytes);
        put_u64(&mut bytes, 40, self.first_sequence);
        put_u32(&mut bytes, 48, self.previous);
        let checksum = crc32c::crc32c(&bytes[4..]);
        put_u32(&mut bytes, 0, checksum);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentFault> {
        let bytes = bytes
            .get(..SEGMENT_HEADER_BYTES)
            .ok_or(SegmentFault::Damaged)?;
        if get_u32(bytes, 0) != crc32c::crc32c(&bytes[4..]) || get_u32(bytes, 4) != SEGMENT_MAGIC {
            return Err(SegmentFault::Damaged);
        }
        match get_u32(bytes, 8) {
            FORMAT_VERSION_OLDEST..=FORMAT_VERSION => Ok(Self {
                segment: get_u64(bytes, 16),
                salt: get_u64(bytes, 24),
                segment_bytes: get_u64(bytes, 32),
                first_sequence: get_u64(bytes, 40),
                previous: get_u32(bytes, 48),
            }),
            found => Err(SegmentFault::Version(found)),
        }
    }
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Hard states, configurations, records.
    Batch = 1,
    /// The state of every group, and the oldest segment that is still needed.
    Checkpoint = 2,
    /// Nothing: it covers the frame before it, when no other follows soon.
    Mark = 3,
    /// The next segment exists. Has the sequence of that segment's checkpoint.
    Seal = 4,
}

/// ```text
/// 0        4       8      16        24         32       40            48           56      60       64
/// | crc32c | magic | salt | segment | sequence | synced | first index | last index | group | length | …
/// 64      68         72     73        74     80
/// | items | previous | kind | version | zero | items … | records … | commit u32 | magic u32 |
/// ```
/// `crc32c` covers bytes 4 to 80, so the length can be trusted before the body is read. `length`: of the body, `items`
/// and records together; `items`: of the first part of it. `synced`: every frame up to this sequence was durable before
/// this one was written, hence always `sequence - 1`. `first index`, `last index`, `group`: of the records inside; group
/// and indexes are 0 if there are none, or records of several groups. `previous`: the commit checksum of the frame
/// before. `commit`: see `commit_checksum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub salt: u64,
    pub segment: u64,
    pub sequence: u64,
    pub synced: u64,
    pub first_index: u64,
    pub last_index: u64,
    pub group: u32,
    pub length: u32,
    pub items: u32,
    pub previous: u32,
    pub kind: FrameKind,
}

impl FrameHeader {
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        put_u32(&mut bytes, 4, FRAME_MAGIC);
        put_u64(&mut bytes, 8, self.salt);
        put_u64(&mut bytes, 16, self.segment);
        put_u64(&mut bytes, 24, self.sequence);
        put_u64(&mut bytes, 32, self.synced);
        put_u64(&mut bytes, 40, self.first_index);
        put_u64(&mut bytes, 48, self.last_index);
        put_u32(&mut bytes, 56, self.group);
        put_u32(&mut bytes, 60, self.length);
        put_u32(&mut bytes, 64, self.items);
        put_u32(&mut bytes, 68, self.previous);
        bytes[72] = self.kind as u8;
        bytes[73] = FORMAT_VERSION as u8;
        let checksum = crc32c::crc32c(&bytes[4..]);
        put_u32(&mut bytes, 0, checksum);
        bytes
    }

    /// `None`: no frame begins here.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        if get_u32(bytes, 4) != FRAME_MAGIC || get_u32(bytes, 0) != crc32c::crc32c(&bytes[4..]) {
            return None;
        }
        let header = Self {
            salt: get_u64(bytes, 8),
            segment: get_u64(bytes, 16),
            sequence: get_u64(bytes, 24),
            synced: get_u64(bytes, 32),
            first_index: get_u64(bytes, 40),
            last_index: get_u64(bytes, 48),
            group: get_u32(bytes, 56),
            length: get_u32(bytes, 60),
            items: get_u32(bytes, 64),
            previous: get_u32(bytes, 68),
            kind: match bytes[72] {
                1 => FrameKind::Batch,
                2 => FrameKind::Checkpoint,
                3 => FrameKind::Mark,
                4 => FrameKind::Seal,
                _ => return None,
            },
        };
        let sound = header.items <= header.length && header.length.is_multiple_of(8);
        let known = FORMAT_VERSION_OLDEST..=FORMAT_VERSION;
        (sound && known.contains(&u32::from(bytes[73]))).then_some(header)
    }

    /// Header, body and trailer.
    pub fn frame_bytes(&self) -> usize {
        FRAME_OVERHEAD_BYTES + self.length as usize
    }
}

/// The last 8 bytes of a frame.
pub fn encode_trailer(commit: u32) -> [u8; FRAME_TRAILER_BYTES] {
    let mut bytes = [0; FRAME_TRAILER_BYTES];
    put_u32(&mut bytes, 0, commit);
    put_u32(&mut bytes, 4, END_MAGIC);
    bytes
}

/// The commit checksum of a frame: the CRC32C of its header, its items, and the checksum field of each of its records.
///
/// The records' own checksums cover the rest of their bytes. They were made or verified before the records came here,
/// so the payload is not read a second time.
pub fn commit_checksum(header: &[u8], items: &[u8], records: impl Iterator<Item = u32>) -> u32 {
    let commit = crc32c::crc32c_append(crc32c::crc32c(header), items);
    records.fold(commit, |commit, record| {
        crc32c::crc32c_append(commit, &record.to_le_bytes())
    })
}

/// A frame that verifies.
pub struct Verified<'a> {
    pub commit: u32,
    pub items: &'a [u8],
    pub records: &'a [u8],
}

/// Verifies the whole frame at the front of `bytes`, whose header is `header`: every record, and the commit checksum.
pub fn verify_frame<'a>(bytes: &'a [u8], header: &FrameHeader) -> Option<Verified<'a>> {
    let bytes = bytes.get(..header.frame_bytes())?;
    let (covered, trailer) = bytes.split_at(bytes.len() - FRAME_TRAILER_BYTES);
    let (head, body) = covered.split_at(FRAME_HEADER_BYTES);
    let (items, records) = body.split_at(header.items as usize);
    let mut sound = true;
    let checksums = record::records(records).map_while(|record| {
        sound = record.is_ok();
        Some(record.ok()?.checksum())
    });
    let commit = commit_checksum(head, items, checksums);
    sound &= get_u32(trailer, 0) == commit && get_u32(trailer, 4) == END_MAGIC;
    sound.then_some(Verified {
        commit,
        items,
        records,
    })
}

pub(super) fn put_u32(bytes: &mut [u8], offset: usize, value: u32) {
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(bytes: &mut [u8], offset: usize, value: u64) {
    bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn get_u32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

pub(super) fn get_u64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

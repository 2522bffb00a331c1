//! Takes the parts of a snapshot in order, and says of each whether it is the one that belongs there.
//!
//! SAFETY: what is installed is what was made, all of it and nothing else.
//! Claim:   a row of parts that ends here `whole` is, byte for byte, what one `Writer` wrote.
//! Why:     every byte of a part is under its checksum or must be zero. Chunks count from 0, and the trailer has the number
//!          of chunks and rows and a checksum over the checksums of the header and of every chunk, in order: a chunk
//!          that is missing, comes twice, or is of another snapshot changes it.
//! Rests:   CRC32C finds accidents; it does not keep out who can forge. Peers are let in by their certificates.
//! Checked: snapshot_format.rs, which flips every byte, cuts at every length, and swaps parts of two snapshots.

use std::path::{Path, PathBuf};

use super::SnapshotError;
use super::compress::decompress;
use super::format::{CHUNK_HEAD_BYTES, ChunkHead, Fault, Header, Trailer, is_trailer};
use super::reader::Reader;
use super::rows::{Row, Rows};
use crate::sys::FileSystem;

/// How much a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub chunks: u32,
    pub rows: u64,
    pub raw_bytes: u64,
}

/// A snapshot in the reading: what it has told so far.
pub(super) struct Verifier {
    file: PathBuf,
    /// Where the next part begins.
    offset: u64,
    header: Option<(Header, usize)>,
    all: u32,
    seen: Summary,
    last_key: Vec<u8>,
    raw: Vec<u8>,
    whole: bool,
}

impl Verifier {
    /// `file`: for messages.
    pub fn new(file: &Path) -> Verifier {
        Verifier {
            file: file.to_path_buf(),
            offset: 0,
            header: None,
            all: 0,
            seen: Summary::default(),
            last_key: Vec::new(),
            raw: Vec::new(),
            whole: false,
        }
    }

    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref().map(|(header, _)| header)
    }

    /// The trailer was there, and agrees.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Bytes of the parts so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next part, whole. On an error nothing has changed, and the right one may still come.
    pub fn part(
        &mut self,
        part: &[u8],
        check: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<(), SnapshotError> {
        let Some((_, raw_max)) = &self.header else {
            let (header, raw_max, checksum) = Header::decode(part, &self.file)?;
            self.all = crc32c::crc32c(&checksum.to_le_bytes());
            self.header = Some((header, raw_max));
            self.offset = part.len() as u64;
            return Ok(());
        };
        let raw_max = *raw_max;
        let taken = if self.whole {
            Err((0, "more follows its trailer"))
        } else if is_trailer(part) {
            self.trailer(part)
        } else {
            self.chunk(part, raw_max, check)
        };
        taken.map_err(|fault| self.damaged(fault))?;
        self.offset += part.len() as u64;
        Ok(())
    }

    fn chunk(
        &mut self,
        part: &[u8],
        raw_max: usize,
        check: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<(), Fault> {
        let (head, checksum) = ChunkHead::open(part, raw_max)?;
        if head.sequence != self.seen.chunks {
            return Err((4, "its chunks do not follow each other"));
        }
        let stored = &part[CHUNK_HEAD_BYTES..][..head.stored_length as usize];
        let raw_length = head.raw_length as usize;
        if head.rows == 0 || !decompress(head.compression, stored, raw_length, &mut self.raw) {
            return Err((8, "a chunk cannot be unpacked"));
        }
        let last_key = check_rows(&self.raw, head.rows, &self.last_key, check)?;
        self.last_key.clear();
        self.last_key.extend_from_slice(last_key);
        self.all = crc32c::crc32c_append(self.all, &checksum.to_le_bytes());
        self.seen.chunks += 1;
        self.seen.rows += u64::from(head.rows);
        self.seen.raw_bytes += u64::from(head.raw_length);
        Ok(())
    }

    fn trailer(&mut self, part: &[u8]) -> Result<(), Fault> {
        let trailer = Trailer::decode(part)?;
        let expected = Trailer {
            chunks: self.seen.chunks,
            rows: self.seen.rows,
            raw_bytes: self.seen.raw_bytes,
            all: self.all,
        };
        if trailer != expected {
            return Err((8, "its trailer counts other chunks than there are"));
        }
        self.whole = true;
        Ok(())
    }

    /// The rows of the last chunk that was taken.
    pub fn rows(&self) -> Rows<'_> {
        Rows::of(&self.raw)
    }

    pub fn damaged(&self, (offset, what): Fault) -> SnapshotError {
        SnapshotError::Damaged {
            file: self.file.clone(),
            offset: self.offset + offset as u64,
            what,
        }
    }
}

/// As many rows as the head says, keys ascending, all of them to the caller's taste. Returns the last key.
fn check_rows<'a>(
    raw: &'a [u8],
    count: u32,
    before: &[u8],
    check: &mut dyn FnMut(Row<'_>) -> bool,
) -> Result<&'a [u8], Fault> {
    let malformed = (CHUNK_HEAD_BYTES, "the rows of a chunk are malformed");
    let mut found = 0u32;
    let mut last: Option<&[u8]> = None;
    for row in Rows::of(raw) {
        let (key, value) = row.ok_or(malformed)?;
        if key <= last.unwrap_or(before) {
            return Err((CHUNK_HEAD_BYTES, "the rows of a chunk are not in order"));
        }
        if !check((key, value)) {
            return Err((
                CHUNK_HEAD_BYTES,
                "a row of a chunk is none that a store can hold",
            ));
        }
        last = Some(key);
        found += 1;
    }
    match last {
        Some(last) if found == count => Ok(last),
        _ => Err(malformed),
    }
}

/// Reads all of a file; `check` sees every row. The file is sound if this returns.
///
/// Errors: `Damaged`, `Version`, `Io`.
pub fn verify(
    fs: &dyn FileSystem,
    path: &Path,
    check: &mut dyn FnMut(Row<'_>) -> bool,
) -> Result<(Header, Summary), SnapshotError> {
    let mut reader = Reader::open(fs, path)?;
    while !reader.check_next(check)? {}
    Ok((reader.header().clone(), reader.summary()))
}

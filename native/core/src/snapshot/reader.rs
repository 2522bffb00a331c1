//! A snapshot file, to be read by its parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SnapshotError;
use super::format::{
    CHUNK_HEAD_BYTES, ChunkHead, HEADER_BYTES_MIN, Header, TRAILER_BYTES, Trailer, header_length,
    is_trailer,
};
use super::rows::{Row, Rows};
use super::verify::{Summary, Verifier};
use crate::sys::{self, File, FileSystem, Open};

/// A snapshot whose header and trailer are sound, and whose chunks follow each other as far as their heads say. Each part is
/// verified when it is read; `check_next` goes through all of them.
pub struct Reader {
    file: Arc<dyn File>,
    path: PathBuf,
    header: Header,
    raw_max: usize,
    summary: Summary,
    /// Where each part begins, and where the last one ends.
    offsets: Vec<u64>,
    checking: Verifier,
    checked: usize,
    part: Vec<u8>,
}

impl Reader {
    /// Reads header, trailer, and the head of every chunk.
    ///
    /// Errors: `Damaged`, `Version`, `Io`.
    pub fn open(fs: &dyn FileSystem, path: &Path) -> Result<Reader, SnapshotError> {
        let file = fs
            .open(path, Open::Read)
            .map_err(SnapshotError::io("open", path))?;
        let length = file.len().map_err(SnapshotError::io("measure", path))?;
        let whole = Scan {
            file: &*file,
            path,
            length,
        };
        let header = whole.header()?;
        let (header, raw_max, _) = Header::decode(&header, path)?;
        let mut offsets = vec![0];
        let mut end = header.bytes() as u64;
        let summary = loop {
            offsets.push(end);
            match whole.next(end, offsets.len() as u32 - 2, raw_max)? {
                Found::Chunk(bytes) => end += bytes,
                Found::Trailer(trailer) => break trailer,
            }
        };
        offsets.push(length);
        Ok(Reader {
            file: file.clone(),
            path: path.to_path_buf(),
            header,
            raw_max,
            summary: Summary {
                chunks: summary.chunks,
                rows: summary.rows,
                raw_bytes: summary.raw_bytes,
            },
            offsets,
            checking: Verifier::new(path),
            checked: 0,
            part: Vec::new(),
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the trailer says.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Header, chunks and trailer.
    pub fn parts(&self) -> u32 {
        self.offsets.len() as u32 - 1
    }

    /// Of the file.
    pub fn bytes(&self) -> u64 {
        self.offsets[self.offsets.len() - 1]
    }

    /// Appends part `number` to `out`, as it stands in the file, its checksum verified.
    ///
    /// Errors: `Refused` for a number that is none, `Damaged`, `Io`; `out` is as before then.
    pub fn read_part(&self, number: u32, out: &mut Vec<u8>) -> Result<(), SnapshotError> {
        let start = out.len();
        let number = number as usize;
        let read = self.read_raw(number, out).and_then(|()| {
            let part = &out[start..];
            let sound = match number {
                0 => return Header::decode(part, &self.path).map(drop),
                last if last == self.offsets.len() - 2 => Trailer::decode(part).map(drop),
                _ => ChunkHead::open(part, self.raw_max).map(drop),
            };
            sound.map_err(|(at, what)| SnapshotError::Damaged {
                file: self.path.clone(),
                offset: self.offsets[number] + at as u64,
                what,
            })
        });
        if read.is_err() {
            out.truncate(start);
        }
        read
    }

    fn read_raw(&self, number: usize, out: &mut Vec<u8>) -> Result<(), SnapshotError> {
        let Some(&[from, to]) = self.offsets.get(number..number + 2) else {
            return Err(SnapshotError::refused(format!(
                "the snapshot has {} parts, and no part {number}",
                self.parts()
            )));
        };
        let start = out.len();
        out.resize(start + (to - from) as usize, 0);
        sys::read_exact_at(&*self.file, from, &mut out[start..])
            .map_err(SnapshotError::io("read", &self.path))
    }

    /// Begins again with the first part.
    pub fn rewind(&mut self) {
        self.checking = Verifier::new(&self.path);
        self.checked = 0;
    }

    /// Reads and verifies the next part; `check` sees its rows, and may refuse them. True: that was the last one, and the whole
    /// file is sound.
    ///
    /// Errors: `Damaged`, `Io`. The next call tries the same part again.
    pub fn check_next(
        &mut self,
        check: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<bool, SnapshotError> {
        let mut part = std::mem::take(&mut self.part);
        part.clear();
        let taken = self
            .read_raw(self.checked, &mut part)
            .and_then(|()| self.checking.part(&part, check));
        self.part = part;
        taken?;
        self.checked += 1;
        Ok(self.checking.is_whole())
    }

    /// The rows of the part that `check_next` has read; none if it was no chunk.
    pub fn rows(&self) -> Rows<'_> {
        match self.checked {
            0 | 1 => Rows::of(&[]),
            _ if self.checking.is_whole() => Rows::of(&[]),
            _ => self.checking.rows(),
        }
    }
}

/// A file whose parts are looked for.
struct Scan<'a> {
    file: &'a dyn File,
    path: &'a Path,
    length: u64,
}

enum Found {
    /// So many bytes long.
    Chunk(u64),
    Trailer(Trailer),
}

impl Scan<'_> {
    fn damaged(&self, offset: u64, what: &'static str) -> SnapshotError {
        SnapshotError::Damaged {
            file: self.path.to_path_buf(),
            offset,
            what,
        }
    }

    /// Up to `bytes` of what stands at `offset`.
    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, SnapshotError> {
        let rest = self.length.saturating_sub(offset);
        let mut read = vec![0; rest.min(bytes as u64) as usize];
        sys::read_exact_at(self.file, offset, &mut read)
            .map_err(SnapshotError::io("read", self.path))?;
        Ok(read)
    }

    fn header(&self) -> Result<Vec<u8>, SnapshotError> {
        let begin = self.read(0, HEADER_BYTES_MIN)?;
        let length = header_length(&begin).map_err(|(at, what)| self.damaged(at as u64, what))?;
        let header = self.read(0, length)?;
        if header.len() < length {
            return Err(self.damaged(self.length, "it ends within its header"));
        }
        Ok(header)
    }

    /// The part that begins at `offset`, and should be chunk `sequence` if it is one.
    fn next(&self, offset: u64, sequence: u32, raw_max: usize) -> Result<Found, SnapshotError> {
        let damaged = |(at, what): (usize, &'static str)| self.damaged(offset + at as u64, what);
        let head = self.read(offset, TRAILER_BYTES)?;
        if is_trailer(&head) {
            let trailer = Trailer::decode(&head).map_err(damaged)?;
            if self.length != offset + TRAILER_BYTES as u64 {
                return Err(self.damaged(offset + TRAILER_BYTES as u64, "more follows its trailer"));
            }
            if trailer.chunks != sequence {
                return Err(damaged((
                    8,
                    "its trailer counts other chunks than there are",
                )));
            }
            return Ok(Found::Trailer(trailer));
        }
        let chunk = ChunkHead::decode(&head, raw_max).map_err(damaged)?;
        let bytes = chunk.part_bytes() as u64;
        if chunk.sequence != sequence {
            return Err(damaged((4, "its chunks do not follow each other")));
        }
        if offset + bytes > self.length {
            return Err(damaged((CHUNK_HEAD_BYTES, "it ends within a chunk")));
        }
        Ok(Found::Chunk(bytes))
    }
}

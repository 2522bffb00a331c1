//! The note beside a log that was damaged: what of it is left, what is set aside, and what it may have promised.
//!
//! It is durable before anything is changed, and stays until every group is repaired. Without damage there is no note.
//!
//! ```text
//!  0 crc32c u32 of the rest | 4 magic "eDMG" | 8 version u32 1 | 12 stage u32 1 planned, 2 set aside
//! 16 id u64 | 24 first segment u64 | 32 last segment u64, 0: none is left | 40 offset u64 | 48 sequence u64
//! 56 previous u32 | 60 groups u32 | 64 set aside u32 | 68 zero u32
//! 72 numbers of the segments to set aside, u64 each; then for each group:
//!    0 group u32 | 4 known u32 | 8 maybe index u64 | 16 maybe term u64 | 24 maybe vote u32 | 28 text u32
//!   32 term u64 | 40 vote u32 | 44 repaired u32 | 48 base: index, term, time, next revision, u64 each
//!   80 maybe time u64 | 88 configuration's index u64 | 96 its length u32 | 100 zero u32
//!  104 text, padded to 8, then the configuration, padded to 8
//! ```

use std::path::{Path, PathBuf};

use super::WalError;
use super::layout::{get_u32, get_u64, put_u32, put_u64};
use super::types::{Base, Damage};
use crate::sys::{self, FileSystem};

const MAGIC: u32 = u32::from_le_bytes(*b"eDMG");
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 72;
const GROUP_BYTES: usize = 96;
/// Of one text: more is cut off.
const TEXT_CHARS_MAX: usize = 1024;

/// How far the log is put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What has to be set aside may still have its old name.
    Planned = 1,
    /// Segments behind the cut are new ones.
    SetAside = 2,
}

/// Where the sound part of a log begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    pub first: u64,
    /// 0: nothing is left.
    pub last: u64,
    /// In segment `last`.
    pub offset: u64,
    /// Of the frame that would have followed.
    pub sequence: u64,
    /// Commit checksum of the last sound frame.
    pub previous: u32,
}

/// What is known of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupNote {
    pub group: u32,
    pub damage: Damage,
    /// Term and vote that the log must come back with at least.
    pub term: u64,
    pub vote: u32,
    /// Entries up to this were truncated; the log must not begin before it. Zeros: there is no such.
    pub base: Base,
    /// For a log that is left without one.
    pub conf: Option<(u64, Vec<u8>)>,
    pub repaired: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub stage: Stage,
    /// In the names of what is set aside.
    pub id: u64,
    pub cut: Cut,
    /// Segments behind the cut, and the one that it lies in.
    pub aside: Vec<u64>,
    pub groups: Vec<GroupNote>,
}

pub fn note_path(dir: &Path) -> PathBuf {
    dir.join("damage")
}

/// Where a segment goes that is set aside: kept for people to look at, never read again.
pub fn aside_path(dir: &Path, segment: u64, id: u64) -> PathBuf {
    dir.join(format!("{segment:016x}-{id:016x}.damaged"))
}

impl Note {
    /// The note beside the log in `dir`, if there is one.
    pub fn read(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Self>, WalError> {
        let path = note_path(dir);
        let bytes = match sys::read_file(fs, &path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(WalError::io("read", &path)(error)),
        };
        let version = bytes.get(8..12).map(|_| get_u32(&bytes, 8));
        match Self::decode(&bytes) {
            Some(note) => Ok(Some(note)),
            None if version.is_some_and(|version| version > VERSION && is_sound(&bytes)) => {
                Err(WalError::Version {
                    file: path,
                    found: version.unwrap_or_default(),
                })
            }
            None => Err(WalError::Damaged {
                file: path,
                offset: 0,
                group: None,
                first_index: 1,
                last_index: None,
                reason: "the note of an earlier damage does not verify",
            }),
        }
    }

    /// Replaces the note, durably.
    pub fn write(&self, fs: &dyn FileSystem, dir: &Path) -> Result<(), WalError> {
        let path = note_path(dir);
        sys::write_file_durably(fs, &path, &self.encode()).map_err(WalError::io("write", &path))
    }

    /// Removes the note, durably.
    pub fn remove(fs: &dyn FileSystem, dir: &Path) -> Result<(), WalError> {
        let path = note_path(dir);
        fs.remove(&path).map_err(WalError::io("remove", &path))?;
        fs.sync_dir(dir).map_err(WalError::io("sync", dir))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        put_u32(&mut bytes, 4, MAGIC);
        put_u32(&mut bytes, 8, VERSION);
        put_u32(&mut bytes, 12, self.stage as u32);
        let Cut {
            first,
            last,
            offset,
            sequence,
            previous,
        } = self.cut;
        for (place, value) in [self.id, first, last, offset, sequence].iter().enumerate() {
            put_u64(&mut bytes, 16 + 8 * place, *value);
        }
        put_u32(&mut bytes, 56, previous);
        put_u32(&mut bytes, 60, self.groups.len() as u32);
        put_u32(&mut bytes, 64, self.aside.len() as u32);
        for segment in &self.aside {
            bytes.extend_from_slice(&segment.to_le_bytes());
        }
        for group in &self.groups {
            group.encode(&mut bytes);
        }
        let checksum = crc32c::crc32c(&bytes[4..]);
        put_u32(&mut bytes, 0, checksum);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if !is_sound(bytes) || get_u32(bytes, 8) != VERSION {
            return None;
        }
        let stage = match get_u32(bytes, 12) {
            1 => Stage::Planned,
            2 => Stage::SetAside,
            _ => return None,
        };
        let numbers = get_u32(bytes, 64) as usize;
        let (aside, mut rest) = bytes[HEAD_BYTES..].split_at_checked(numbers * 8)?;
        let mut groups = Vec::new();
        for _ in 0..get_u32(bytes, 60) {
            let (group, length) = GroupNote::decode(rest)?;
            groups.push(group);
            rest = rest.get(length..)?;
        }
        Some(Self {
            stage,
            id: get_u64(bytes, 16),
            cut: Cut {
                first: get_u64(bytes, 24),
                last: get_u64(bytes, 32),
                offset: get_u64(bytes, 40),
                sequence: get_u64(bytes, 48),
                previous: get_u32(bytes, 56),
            },
            aside: aside
                .chunks_exact(8)
                .map(|number| get_u64(number, 0))
                .collect(),
            groups,
        })
    }
}

fn is_sound(bytes: &[u8]) -> bool {
    bytes.len() >= HEAD_BYTES
        && get_u32(bytes, 0) == crc32c::crc32c(&bytes[4..])
        && get_u32(bytes, 4) == MAGIC
}

impl GroupNote {
    fn encode(&self, out: &mut Vec<u8>) {
        let text: String = self
            .damage
            .description
            .chars()
            .take(TEXT_CHARS_MAX)
            .collect();
        let start = out.len();
        out.resize(start + GROUP_BYTES, 0);
        let bytes = &mut out[start..];
        put_u32(bytes, 0, self.group);
        put_u32(bytes, 4, u32::from(self.damage.known));
        put_u64(bytes, 8, self.damage.maybe_index);
        put_u64(bytes, 16, self.damage.maybe_term);
        put_u32(bytes, 24, self.damage.maybe_vote);
        put_u32(bytes, 28, text.len() as u32);
        put_u64(bytes, 32, self.term);
        put_u32(bytes, 40, self.vote);
        put_u32(bytes, 44, u32::from(self.repaired));
        let Base {
            index,
            term,
            time,
            next_revision,
        } = self.base;
        for (place, value) in [index, term, time, next_revision].iter().enumerate() {
            put_u64(bytes, 48 + 8 * place, *value);
        }
        if let Some((index, conf)) = &self.conf {
            put_u64(bytes, 80, *index);
            put_u32(bytes, 88, conf.len() as u32);
        }
        for part in [
            text.as_bytes(),
            self.conf.as_ref().map_or(&[], |conf| &conf.1),
        ] {
            out.extend_from_slice(part);
            out.resize(out.len().next_multiple_of(8), 0);
        }
    }

    fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let head = bytes.get(..GROUP_BYTES)?;
        let length = get_u32(head, 28) as usize;
        let text = bytes.get(GROUP_BYTES..GROUP_BYTES + length)?;
        let conf_index = get_u64(head, 80);
        let conf_start = GROUP_BYTES + length.next_multiple_of(8);
        let conf_end = conf_start + get_u32(head, 88) as usize;
        let conf = bytes.get(conf_start..conf_end)?;
        let note = Self {
            group: get_u32(head, 0),
            damage: Damage {
                description: String::from_utf8_lossy(text).into_owned(),
                maybe_index: get_u64(head, 8),
                maybe_term: get_u64(head, 16),
                maybe_vote: get_u32(head, 24),
                known: get_u32(head, 4) != 0,
            },
            term: get_u64(head, 32),
            vote: get_u32(head, 40),
            base: Base {
                index: get_u64(head, 48),
                term: get_u64(head, 56),
                time: get_u64(head, 64),
                next_revision: get_u64(head, 72),
            },
            conf: (!conf.is_empty()).then(|| (conf_index, conf.to_vec())),
            repaired: get_u32(head, 44) != 0,
        };
        Some((note, conf_end.next_multiple_of(8)))
    }
}

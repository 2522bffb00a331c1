//! What a log folder says when it is opened: every group's state, or exactly what is damaged. Writes nothing but the
//! last frame, once more, as it stands.
//!
//! | the last segment                                     | conclusion                                          |
//! |------------------------------------------------------|-----------------------------------------------------|
//! | header or first checkpoint does not verify           | damaged: both were durable before it had its name   |
//! | file shorter than its header says                    | damaged: its length was durable before that         |
//! | a seal follows the last good frame                   | damaged: its successor was durable, and is missing  |
//! | no frame follows, and no later one exists            | the end; what stands there is a torn tail, or old   |
//! | no frame follows, but a later one exists             | damaged: the missing one was durable before it      |
//!
//! | an older segment                                     | conclusion                                          |
//! |------------------------------------------------------|-----------------------------------------------------|
//! | before the oldest that the last checkpoint names     | a leftover, not read                                |
//! | missing, or header does not verify                   | damaged                                             |
//! | frames up to the successor's first sequence verify   | sound; what stands behind them is not looked at     |
//! | one of them does not                                 | damaged                                             |

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::WalError;
use super::damage::Note;
use super::layout::{FrameKind, SEGMENT_HEADER_BYTES, SegmentFault, SegmentHeader};
use super::output::Output;
use super::rebuild::Rebuild;
use super::scan::Scan;
use super::shared::segment_path;
use super::state::{Segment, SegmentEntry, State};
use super::writer::{Active, Writer};
use crate::sys::{self, File, FileSystem, Open};

/// A sound log.
pub struct Recovered {
    pub state: State,
    pub writer: Writer,
}

/// A segment file, opened; its header verified.
struct Candidate {
    number: u64,
    path: PathBuf,
    file: Arc<dyn File>,
    bytes: u64,
    header: SegmentHeader,
}

/// Reads the segments `numbers`, ascending. With the note of a damage, up to its cut, if no newer segment exists yet.
pub fn recover(
    fs: &dyn FileSystem,
    dir: &Path,
    numbers: &[u64],
    note: Option<&Note>,
) -> Result<Recovered, WalError> {
    let mut rebuild = Rebuild::default();
    let Some(&last) = numbers.last() else {
        let restated = note.map_or(Vec::new(), |note| rebuild.begin_behind(note));
        let writer = Writer {
            active: None,
            segment: 0,
            sequence: 1,
            previous: 0,
            uncovered: false,
        };
        return Ok(Recovered {
            state: State {
                groups: rebuild.finish()?,
                restated,
                ..State::default()
            },
            writer,
        });
    };
    let newest = open_segment(fs, dir, last, &rebuild)?;
    fs.sync_dir(dir).map_err(WalError::io("sync", dir))?;
    let note = note.filter(|note| note.cut.last == last);
    let oldest = match note {
        Some(note) => note.cut.first,
        None => oldest_named(&newest, &rebuild)?,
    };
    let mut candidates = Vec::new();
    for number in oldest..last {
        candidates.push(open_segment(fs, dir, number, &rebuild)?);
    }
    candidates.push(newest);
    let mut segments = BTreeMap::new();
    let mut end = None;
    for (position, candidate) in candidates.iter().enumerate() {
        let next = candidates.get(position + 1).map(|next| &next.header);
        let bytes = read_segment(candidate)?;
        rebuild.enter(candidate.number, &candidate.path);
        let until = match (next, note) {
            (Some(next), _) => Until::Sequence(next.first_sequence),
            (None, Some(note)) => Until::Sequence(note.cut.sequence),
            (None, None) => Until::LastFrame,
        };
        let scan = read_frames(candidate, &bytes, until, &mut rebuild)?;
        if next.is_none() {
            end = Some((scan.offset, scan.sequence, scan.previous));
            write_again(candidate, &bytes, scan.last_offset..scan.offset)?;
        }
        let segment = Arc::new(Segment {
            number: candidate.number,
            path: candidate.path.clone(),
            file: candidate.file.clone(),
            bytes: AtomicU64::new(candidate.bytes),
        });
        segments.insert(
            candidate.number,
            SegmentEntry {
                segment,
                last: BTreeMap::new(),
            },
        );
    }
    let restated = note.map_or(Vec::new(), |note| rebuild.begin_behind(note));
    for (number, entry) in &mut segments {
        entry.last = rebuild.take_last(*number);
    }
    let (offset, sequence, previous) = end.expect("there is a last segment");
    let groups = rebuild.finish()?;
    let newest = candidates.pop().expect("there is a last segment");
    let active = Active {
        segment: segments[&last].segment.clone(),
        output: Output::cached(newest.file),
        salt: newest.header.salt,
        offset,
        bytes: newest.bytes as usize,
        recovered: true,
    };
    let writer = Writer {
        active: Some(active),
        segment: last,
        sequence,
        previous,
        uncovered: false,
    };
    Ok(Recovered {
        state: State {
            groups,
            segments,
            restated,
            ..State::default()
        },
        writer,
    })
}

/// Writes the last frame over itself, and syncs.
///
/// SAFETY: what recovery reports stays true after the next power loss.
/// Claim:   every reported frame is on the disk, not only in the page cache.
/// Why:     all but the last were synced before the one behind them was written. The last may have been left in the
///          cache by a process that ended; worse, its sync may have failed, and then the kernel takes its pages for
///          clean, so that a sync alone would succeed and save nothing. Written again they are dirty again.
/// Rests:   a sector is written whole or not at all, and these hold the same bytes before and after.
/// Checked: tests/wal_crash.rs (a_failed_sync_is_not_believed_after_a_restart).
fn write_again(
    candidate: &Candidate,
    bytes: &[u8],
    frame: std::ops::Range<usize>,
) -> Result<(), WalError> {
    let path = &candidate.path;
    let mut parts = [IoSlice::new(&bytes[frame.clone()])];
    let written = sys::write_all_at(&*candidate.file, frame.start as u64, &mut parts);
    written.map_err(WalError::io("write", path))?;
    candidate.file.sync().map_err(WalError::io("sync", path))
}

fn open_segment(
    fs: &dyn FileSystem,
    dir: &Path,
    number: u64,
    rebuild: &Rebuild,
) -> Result<Candidate, WalError> {
    let path = segment_path(dir, number);
    let file = match fs.open(&path, Open::Write) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(rebuild.damaged(&path, 0, "the segment is missing"));
        }
        Err(error) => return Err(WalError::io("open", &path)(error)),
    };
    let bytes = file.len().map_err(WalError::io("measure", &path))?;
    let mut header = [0; SEGMENT_HEADER_BYTES];
    if bytes < header.len() as u64 {
        return Err(rebuild.damaged(&path, bytes, "the segment is cut off"));
    }
    sys::read_exact_at(&*file, 0, &mut header).map_err(WalError::io("read", &path))?;
    match SegmentHeader::decode(&header) {
        Ok(header) if header.segment == number => Ok(Candidate {
            number,
            path,
            file,
            bytes,
            header,
        }),
        Ok(_) => Err(rebuild.damaged(&path, 0, "the segment belongs under another name")),
        Err(SegmentFault::Damaged) => Err(rebuild.damaged(&path, 0, "its header does not verify")),
        Err(SegmentFault::Version(found)) => Err(WalError::Version { file: path, found }),
    }
}

fn read_segment(candidate: &Candidate) -> Result<Vec<u8>, WalError> {
    let mut bytes = vec![0; candidate.bytes as usize];
    let read = sys::read_exact_at(&*candidate.file, 0, &mut bytes);
    read.map_err(WalError::io("read", &candidate.path))?;
    Ok(bytes)
}

/// The oldest segment that is needed, as the latest checkpoint in the newest segment says.
fn oldest_named(newest: &Candidate, rebuild: &Rebuild) -> Result<u64, WalError> {
    if newest.bytes != newest.header.segment_bytes {
        return Err(rebuild.damaged(&newest.path, newest.bytes, "the segment is cut off"));
    }
    let bytes = read_segment(newest)?;
    let mut scan = Scan::new(&bytes, newest.header);
    let mut oldest = None;
    while let Some(found) = scan.next_frame() {
        if found.header.kind == FrameKind::Seal {
            break;
        }
        if found.header.kind == FrameKind::Checkpoint {
            oldest = super::rebuild::oldest_in(found.items).or(oldest);
        }
    }
    match oldest {
        Some(oldest) if oldest <= newest.number => Ok(oldest),
        _ => {
            let offset = SEGMENT_HEADER_BYTES as u64;
            Err(rebuild.damaged(&newest.path, offset, "its first checkpoint does not verify"))
        }
    }
}

/// Where the frames of a segment end.
#[derive(Clone, Copy)]
enum Until {
    /// With the one before this: it is the next segment's first, or damaged.
    Sequence(u64),
    /// As far as they go.
    LastFrame,
}

/// Reads the frames of one segment.
fn read_frames<'a>(
    candidate: &Candidate,
    bytes: &'a [u8],
    until: Until,
    rebuild: &mut Rebuild,
) -> Result<Scan<'a>, WalError> {
    let path = &candidate.path;
    rebuild.check_start(path, &candidate.header)?;
    let mut scan = Scan::new(bytes, candidate.header);
    loop {
        if let Until::Sequence(end) = until
            && scan.sequence >= end
        {
            break;
        }
        let offset = scan.offset;
        let Some(found) = scan.next_frame() else {
            let later = scan.covering();
            if matches!(until, Until::Sequence(_)) || later.is_some() {
                return Err(rebuild.lost(path, offset as u64, scan.header(), later));
            }
            break;
        };
        if found.header.kind == FrameKind::Seal {
            return Err(rebuild.damaged(path, offset as u64, "the segment behind it is missing"));
        }
        rebuild.apply(path, offset as u64, &found)?;
    }
    rebuild.leave(&scan);
    Ok(scan)
}

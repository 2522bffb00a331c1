//! Bit rot on an in-memory disk: what was acknowledged changes while nobody looks.

use std::collections::BTreeSet;
use std::path::Path;

use super::disk;
use super::error::{EngineError, ErrorCode};
use crate::sys::{MemoryFileSystem, Random};
use crate::wal::{FramePlace, durable_frames};

/// Bits that rot at once, at most. So few are always found: CRC32C tells any three in a record.
const BITS_MAX: u64 = 3;

/// Changes a few bits in one frame of a log on the disk of this name, chosen by `seed` among those of which something behind
/// them says that they were durable. Returns what was done, in one line; '' when there is no such frame.
///
/// @throws ERAFT_DATA_LOCKED while somebody has the disk open
pub fn rot_memory(name: &str, seed: u64) -> Result<String, EngineError> {
    let files = disk::disk(name)?.files;
    if files.is_locked() {
        return Err(EngineError::new(
            ErrorCode::DataLocked,
            format!("the disk '{name}' is open, and rots only while it is not"),
        ));
    }
    let frames = frames_on(&files)?;
    if frames.is_empty() {
        return Ok(String::new());
    }
    let mut random = Random::new(seed);
    let frame = &frames[random.below(frames.len() as u64) as usize];
    let bits_max = 1 + random.below(BITS_MAX);
    let length = frame.bytes.end - frame.bytes.start;
    let bits: BTreeSet<(u64, u8)> = (0..bits_max)
        .map(|_| {
            (
                frame.bytes.start + random.below(length),
                random.below(8) as u8,
            )
        })
        .collect();
    for &(offset, bit) in &bits {
        files.rot(&frame.file, offset, 1 << bit);
    }
    Ok(describe(frame, &bits))
}

fn frames_on(files: &MemoryFileSystem) -> Result<Vec<FramePlace>, EngineError> {
    let paths = files.paths();
    let segments = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|name| name == "log"));
    let folders: BTreeSet<&Path> = segments.filter_map(|path| path.parent()).collect();
    let looked_at = files.copy(); // so that looking counts as no operation
    let mut frames = Vec::new();
    for folder in folders {
        let found = durable_frames(&looked_at, folder)
            .map_err(|error| EngineError::new(ErrorCode::Io, error.to_string()))?;
        frames.extend(found);
    }
    Ok(frames)
}

fn describe(frame: &FramePlace, bits: &BTreeSet<(u64, u8)>) -> String {
    let places: Vec<String> = bits
        .iter()
        .map(|(offset, bit)| format!("{offset}.{bit}"))
        .collect();
    let FramePlace { file, header, .. } = frame;
    let what = match (header.first_index, header.last_index) {
        (0, _) => format!("{:?}", header.kind),
        (first, last) => format!("entries {first} to {last} of group {}", header.group),
    };
    format!(
        "bits {} of {}, in frame {} ({what})",
        places.join(", "),
        file.display(),
        header.sequence
    )
}

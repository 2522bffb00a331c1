//! Where the frames of a closed log lie, for tools and tests. Changes nothing.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::WalError;
use super::layout::{FrameHeader, FrameKind, SegmentHeader};
use super::rebuild::oldest_in;
use super::scan::Scan;
use super::shared::{segment_numbers, segment_path};
use crate::sys::{self, FileSystem};

/// A frame of a log, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramePlace {
    pub file: PathBuf,
    pub bytes: Range<u64>,
    pub header: FrameHeader,
}

/// The frames that recovery reads, that verify, and of which another frame or segment says that they were durable, in
/// order. Ends at the first that does not verify.
pub fn durable_frames(fs: &dyn FileSystem, dir: &Path) -> Result<Vec<FramePlace>, WalError> {
    let names = fs.list(dir).map_err(WalError::io("list", dir))?;
    let mut places: Vec<FramePlace> = Vec::new();
    let mut oldest = 0;
    let mut end = None;
    for number in segment_numbers(&names) {
        let file = segment_path(dir, number);
        let bytes = sys::read_file(fs, &file).map_err(WalError::io("read", &file))?;
        let Ok(header) = SegmentHeader::decode(&bytes) else {
            break;
        };
        // Behind the end of a segment may stand what the next one has replaced.
        places.retain(|place| place.header.sequence < header.first_sequence);
        if end.is_some_and(|end| end < header.first_sequence) {
            break;
        }
        let mut scan = Scan::new(&bytes, header);
        let mut start = scan.offset;
        while let Some(found) = scan.next_frame() {
            if found.header.kind == FrameKind::Seal {
                break;
            }
            if found.header.kind == FrameKind::Checkpoint {
                oldest = oldest_in(found.items).unwrap_or(oldest);
            }
            places.push(FramePlace {
                file: file.clone(),
                bytes: start as u64..scan.offset as u64,
                header: found.header,
            });
            start = scan.offset;
        }
        end = Some(scan.sequence);
    }
    places.pop(); // nothing says of the last one that it was durable
    places.retain(|place| place.header.segment >= oldest);
    Ok(places)
}

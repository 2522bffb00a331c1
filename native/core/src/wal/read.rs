//! Reads records back: from memory without a copy, from disk with every checksum verified.

use std::sync::Arc;

use super::WalError;
use super::group::Location;
use super::shared::Shared;
use super::state::Segment;
use super::types::{Chunk, TailRead};
use crate::{record, sys};

/// Records of one segment that lie close together: read at once.
struct Run {
    segment: Arc<Segment>,
    first_index: u64,
    locations: Vec<Location>,
}

/// Between two records of a run lie at most a trailer, a header and items; more is not worth reading.
const GAP_BYTES_MAX: u32 = 4096;

impl Run {
    fn end(&self) -> u32 {
        let last = self.locations[self.locations.len() - 1];
        last.offset + last.length
    }
}

/// See `Wal::tail_chunks`.
pub fn tail_chunks(
    shared: &Shared,
    group: u32,
    from: u64,
    to: u64,
    bytes_max: usize,
) -> Option<(Vec<Chunk>, u64)> {
    shared
        .state
        .lock()
        .groups
        .get(&group)?
        .chunks(from, to, bytes_max)
}

/// See `Wal::read_tail`.
pub fn read_tail(
    shared: &Shared,
    group: u32,
    (from, to): (u64, u64),
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> TailRead {
    match tail_chunks(shared, group, from, to, bytes_max) {
        Some((chunks, last)) => {
            out.reserve(chunks.iter().map(|chunk| chunk.len()).sum());
            chunks.iter().for_each(|chunk| out.extend_from_slice(chunk));
            TailRead::Read { last }
        }
        None => TailRead::Missing,
    }
}

/// See `Wal::read`.
pub fn read(
    shared: &Shared,
    group: u32,
    (from, to): (u64, u64),
    bytes_max: usize,
) -> Result<Vec<u8>, WalError> {
    let runs = locate(shared, group, (from, to), bytes_max)?;
    let mut out = Vec::new();
    if runs.is_empty() {
        // Not durable yet, hence in memory; or durable since the look, and then evicted: look again.
        return match read_tail(shared, group, (from, to), bytes_max, &mut out) {
            TailRead::Read { .. } => Ok(out),
            TailRead::Missing => read(shared, group, (from, to), bytes_max),
        };
    }
    for run in &runs {
        read_run(group, run, &mut out)?;
    }
    Ok(out)
}

/// Where the durable ones of the records lie. Holds their files against recycling.
fn locate(
    shared: &Shared,
    number: u32,
    (from, to): (u64, u64),
    bytes_max: usize,
) -> Result<Vec<Run>, WalError> {
    let state = shared.state.lock();
    let unknown = WalError::OutOfRange {
        group: number,
        last_index: 0,
    };
    let group = state.groups.get(&number).ok_or(unknown)?;
    if from < group.first_index() {
        return Err(WalError::Compacted {
            group: number,
            first_index: group.first_index(),
        });
    }
    if from > to || from > group.last_index() {
        return Err(WalError::OutOfRange {
            group: number,
            last_index: group.last_index(),
        });
    }
    let mut runs: Vec<Run> = Vec::new();
    let mut bytes = 0;
    for index in from..=to.min(group.last_index()) {
        let location = group.location(index).expect("within the group");
        if location.segment == 0 || (index > from && bytes + location.length as usize > bytes_max) {
            break;
        }
        bytes += location.length as usize;
        let segment = &state.segments[&u64::from(location.segment)].segment;
        match runs.last_mut() {
            Some(run)
                if run.segment.number == segment.number
                    && location.offset >= run.end()
                    && location.offset - run.end() <= GAP_BYTES_MAX =>
            {
                run.locations.push(location);
            }
            _ => runs.push(Run {
                segment: segment.clone(),
                first_index: index,
                locations: vec![location],
            }),
        }
    }
    Ok(runs)
}

fn read_run(group: u32, run: &Run, out: &mut Vec<u8>) -> Result<(), WalError> {
    let start = run.locations[0].offset;
    let mut bytes = vec![0; (run.end() - start) as usize];
    let path = &run.segment.path;
    sys::read_exact_at(&*run.segment.file, u64::from(start), &mut bytes)
        .map_err(WalError::io("read", path))?;
    for (index, location) in (run.first_index..).zip(&run.locations) {
        let place = (location.offset - start) as usize;
        let bytes = &bytes[place..place + location.length as usize];
        let sound = record::parse(bytes).is_ok_and(|view| {
            let header = view.header();
            view.bytes().len() == bytes.len() && (header.group, header.index) == (group, index)
        });
        if !sound {
            return Err(WalError::Damaged {
                file: path.clone(),
                offset: u64::from(location.offset),
                group: Some(group),
                first_index: index,
                last_index: Some(index),
                reason: "a record does not verify",
            });
        }
        out.extend_from_slice(bytes);
    }
    Ok(())
}

//! The one writer of segments: frames, marks, checkpoints, and the step from one segment to the next.
//!
//! SAFETY: at most one frame is written and not yet synced.
//! Claim:   a frame that does not verify is a torn tail, unless a later frame exists: then it is damage.
//! Why:     every write is followed by a sync, and nothing is written before that sync has succeeded. So any frame
//!          after this one, however torn itself, proves that this one was durable.
//! Rests:   a sync that fails is never repeated and nothing is written after it (`fail`). The seal is the one write
//!          without a sync of its own, and no frame ever follows it in its file.
//! Checked: tests/wal_crash.rs (a crash at every operation), tests/wal_damage.rs (every bit of a small log).

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::WalError;
use super::frame::{self, Frame, Gathered};
use super::layout::{self, FRAME_HEADER_BYTES, FRAME_OVERHEAD_BYTES, FrameHeader, FrameKind};
use super::layout::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::output::Output;
use super::shared::{Shared, segment_path};
use super::state::{Compaction, Segment, SegmentEntry, Spare};
use super::types::PAGE_BYTES;
use crate::record;

/// What a turn of the writer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was written and synced.
    Done,
    /// Nothing is to be done.
    Idle,
    /// Something waits for a spare segment.
    Blocked,
}

/// The segment that frames go into.
pub struct Active {
    pub segment: Arc<Segment>,
    pub output: Output,
    pub salt: u64,
    /// Where the next frame goes.
    pub offset: usize,
    /// Where frames end.
    pub bytes: usize,
    /// True after recovery: this segment only waits to be sealed and cut off at `offset`.
    pub recovered: bool,
}

pub struct Writer {
    pub active: Option<Active>,
    /// Number of the last segment, 0 before the first.
    pub segment: u64,
    /// Of the next frame.
    pub sequence: u64,
    /// Commit checksum of the last frame.
    pub previous: u32,
    /// No frame covers the last one yet.
    pub uncovered: bool,
}

impl Writer {
    /// Writes one frame if something waits; else frees segments; else, if `idle`, covers the last frame by a mark.
    /// After a failure, nothing.
    pub fn turn(&mut self, shared: &Shared, idle: bool) -> Result<Turn, WalError> {
        let (gathered, reserve) = {
            let state = shared.state.lock();
            if state.failure.is_some() {
                return Ok(Turn::Idle);
            }
            // Room for a checkpoint stays free, so that a full disk can always be given back what nobody wants.
            let reserve = state.checkpoint_bytes() + FRAME_OVERHEAD_BYTES;
            let room = self.room().saturating_sub(reserve);
            (
                frame::gather(&state, room, shared.options.frame_bytes_max),
                reserve,
            )
        };
        match gathered {
            Gathered::Frame(frame) => self.write_batch(shared, frame),
            Gathered::NoRoom => match shared.take_spare() {
                Some(spare) => self.rotate(shared, spare),
                None if self.release(shared)? => Ok(Turn::Done),
                None => Ok(Turn::Blocked),
            },
            Gathered::Idle if self.release(shared)? => Ok(Turn::Done),
            Gathered::Idle
                if idle && self.uncovered && self.room() >= reserve + FRAME_OVERHEAD_BYTES =>
            {
                self.write_frame(shared, FrameKind::Mark, &[], &[], None)?;
                self.uncovered = false;
                Ok(Turn::Done)
            }
            Gathered::Idle => Ok(Turn::Idle),
        }
    }

    /// Bytes that frames may still take, the seal's aside.
    fn room(&self) -> usize {
        match &self.active {
            Some(active) if !active.recovered => active
                .bytes
                .saturating_sub(active.offset + FRAME_OVERHEAD_BYTES),
            _ => 0,
        }
    }

    fn write_batch(&mut self, shared: &Shared, frame: Frame) -> Result<Turn, WalError> {
        let start = self.active.as_ref().expect("room means a segment").offset;
        let parts: Vec<&[u8]> = frame
            .parts
            .iter()
            .map(|(bytes, range)| &bytes[range.clone()])
            .collect();
        self.write_frame(shared, FrameKind::Batch, &frame.items, &parts, frame.range)?;
        let records_offset = start + FRAME_HEADER_BYTES + frame.items.len();
        let evicted = {
            let mut state = shared.state.lock();
            frame::publish(&mut state, frame, self.segment, records_offset as u32);
            state.evict(shared.options.tail_bytes)
        };
        (shared.notify)();
        drop(evicted);
        Ok(Turn::Done)
    }

    /// Writes one frame into the active segment and syncs it.
    fn write_frame(
        &mut self,
        shared: &Shared,
        kind: FrameKind,
        items: &[u8],
        records: &[&[u8]],
        range: Option<(u32, u64, u64)>,
    ) -> Result<(), WalError> {
        let header = self.header(shared, kind, (items, records), range);
        let active = self.active.as_mut().expect("frames need a segment");
        let views = records
            .iter()
            .flat_map(|part| record::records_trusted(part));
        let checksums = views.map(|view| view.expect("checked by submit").checksum());
        let commit = layout::commit_checksum(&header, items, checksums);
        let trailer = layout::encode_trailer(commit);
        let mut parts = Vec::with_capacity(records.len() + 4);
        parts.extend([IoSlice::new(&header), IoSlice::new(items)]);
        parts.extend(records.iter().map(|part| IoSlice::new(part)));
        parts.push(IoSlice::new(&trailer));
        let end = active.offset + parts.iter().map(|part| part.len()).sum::<usize>();
        let path = &active.segment.path;
        active
            .output
            .write(active.offset, parts)
            .map_err(WalError::io("write", path))?;
        let synced = shared.timed(|| active.output.sync());
        synced.map_err(WalError::io("sync", path))?;
        active.offset = end;
        self.sequence += 1;
        self.previous = commit;
        self.uncovered = true;
        Ok(())
    }

    fn header(
        &self,
        shared: &Shared,
        kind: FrameKind,
        (items, records): (&[u8], &[&[u8]]),
        range: Option<(u32, u64, u64)>,
    ) -> [u8; FRAME_HEADER_BYTES] {
        let (group, first_index, last_index) = range.unwrap_or_default();
        let records: usize = records.iter().map(|part| part.len()).sum();
        let header = FrameHeader {
            salt: shared.options.salt,
            segment: self.segment,
            sequence: self.sequence,
            synced: self.sequence - 1,
            first_index,
            last_index,
            group,
            length: (items.len() + records) as u32,
            items: items.len() as u32,
            previous: self.previous,
            kind,
        };
        header.encode()
    }

    /// Frees segments by a checkpoint in the active one. False if there is nothing to free, or no room.
    fn release(&mut self, shared: &Shared) -> Result<bool, WalError> {
        let (oldest, compaction, items) = {
            let state = shared.state.lock();
            if !state.can_release(self.segment) || self.room() < state.checkpoint_bytes() {
                return Ok(false);
            }
            let oldest = state.oldest_needed(self.segment);
            let compaction = state.compaction(oldest);
            let items = state.checkpoint(oldest, &compaction);
            (oldest, compaction, items)
        };
        self.write_frame(shared, FrameKind::Checkpoint, &items, &[], None)?;
        shared.state.lock().release(oldest, &compaction);
        shared.wake_spares.notify_all();
        (shared.notify)();
        Ok(true)
    }

    /// Goes on in a new segment: file, name and folder are durable before the first frame behind its checkpoint.
    ///
    /// SAFETY: what lies behind the last good frame of the segment before can never come back.
    /// Claim:   a torn frame that recovery has rejected is rejected for ever, whatever its sectors turn out to be.
    /// Why:     the new segment's header names its first sequence and the commit checksum before it. Recovery reads
    ///          the older segment up to that sequence and no further. Then the older one is also cut off.
    /// Rests:   after recovery nothing is written but through here; the cut comes after the new segment is durable.
    /// Checked: tests/wal_crash.rs (crashes while recovering from crashes).
    pub fn rotate(&mut self, shared: &Shared, spare: Spare) -> Result<Turn, WalError> {
        let number = self.segment + 1;
        assert!(
            number <= u64::from(u32::MAX),
            "locations hold 32 bits of it"
        );
        let (oldest, compaction, items) = {
            let state = shared.state.lock();
            let oldest = state.oldest_needed(number);
            let compaction = state.compaction(oldest);
            let items = state.checkpoint(oldest, &compaction);
            (oldest, compaction, items)
        };
        let segment_header = SegmentHeader {
            segment: number,
            salt: shared.options.salt,
            segment_bytes: shared.options.segment_bytes,
            first_sequence: self.sequence,
            previous: self.previous,
        };
        let header = segment_header.encode();
        let path = segment_path(&shared.dir, number);
        let mut output = Output::open(shared, &spare)?;
        let written = output.write(0, vec![IoSlice::new(&header)]);
        written.map_err(WalError::io("write", &spare.path))?;
        let before = std::mem::replace(&mut self.segment, number);
        let old = self.active.replace(Active {
            segment: Arc::new(Segment {
                number,
                path: spare.path.clone(),
                file: spare.file.clone(),
                bytes: AtomicU64::new(shared.options.segment_bytes),
            }),
            output,
            salt: shared.options.salt,
            offset: SEGMENT_HEADER_BYTES,
            bytes: shared.options.segment_bytes as usize,
            recovered: false,
        });
        let (sequence, previous) = (self.sequence, self.previous);
        self.write_frame(shared, FrameKind::Checkpoint, &items, &[], None)?;
        shared
            .fs
            .rename(&spare.path, &path)
            .map_err(WalError::io("rename", &spare.path))?;
        shared
            .fs
            .sync_dir(&shared.dir)
            .map_err(WalError::io("sync", &shared.dir))?;
        self.enter(shared, path, &spare, (oldest, &compaction));
        self.uncovered = false; // a segment whose checkpoint does not verify is damaged, whatever follows
        if let Some(old) = old {
            seal(old, (before, sequence, previous))?;
        }
        Ok(Turn::Done)
    }

    /// The new segment is durable: makes it known, and lets go of those before `oldest`.
    fn enter(
        &mut self,
        shared: &Shared,
        path: PathBuf,
        spare: &Spare,
        (oldest, compaction): (u64, &Compaction),
    ) {
        let segment = Arc::new(Segment {
            number: self.segment,
            path,
            file: spare.file.clone(),
            bytes: AtomicU64::new(shared.options.segment_bytes),
        });
        self.active.as_mut().expect("just made").segment = segment.clone();
        {
            let mut state = shared.state.lock();
            state.segments.insert(
                self.segment,
                SegmentEntry {
                    segment,
                    last: Default::default(),
                },
            );
            state.release(oldest, compaction);
            state.restated.clear();
        }
        shared.wake_spares.notify_all();
        (shared.notify)();
    }
}

/// Writes the end mark behind the last frame of a segment that has a successor: if that one vanishes, recovery knows.
/// A segment that recovery found is also cut off there.
fn seal(mut old: Active, (segment, sequence, previous): (u64, u64, u32)) -> Result<(), WalError> {
    let header = FrameHeader {
        salt: old.salt,
        segment,
        sequence,
        synced: sequence - 1,
        first_index: 0,
        last_index: 0,
        group: 0,
        length: 0,
        items: 0,
        previous,
        kind: FrameKind::Seal,
    };
    let header = header.encode();
    let commit = layout::commit_checksum(&header, &[], std::iter::empty());
    let trailer = layout::encode_trailer(commit);
    let path = old.segment.path.clone();
    let end = old.offset + FRAME_OVERHEAD_BYTES;
    let parts = vec![IoSlice::new(&header), IoSlice::new(&trailer)];
    old.output
        .write(old.offset, parts)
        .map_err(WalError::io("write", &path))?;
    if old.recovered {
        let bytes = end.next_multiple_of(PAGE_BYTES) as u64;
        old.segment
            .file
            .set_len(bytes)
            .map_err(WalError::io("shorten", &path))?;
        old.segment.bytes.store(bytes, Ordering::Relaxed);
        old.output.sync().map_err(WalError::io("sync", &path))?;
    }
    Ok(())
}

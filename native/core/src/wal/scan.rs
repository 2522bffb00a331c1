//! Walks the frames of one segment and verifies each.

use super::layout::{
    FrameHeader, FrameKind, SEGMENT_HEADER_BYTES, SegmentHeader, Verified, verify_frame,
};

/// A frame that verifies, and is the one that had to follow.
pub struct Found<'a> {
    pub header: FrameHeader,
    pub items: &'a [u8],
    pub records: &'a [u8],
    /// Where the records begin in the segment.
    pub records_offset: usize,
}

pub struct Scan<'a> {
    bytes: &'a [u8],
    segment: SegmentHeader,
    /// Behind the last frame found.
    pub offset: usize,
    /// Where the last frame found begins.
    pub last_offset: usize,
    /// Of the frame that must follow.
    pub sequence: u64,
    /// Commit checksum of the last frame found.
    pub previous: u32,
}

impl<'a> Scan<'a> {
    pub fn new(bytes: &'a [u8], segment: SegmentHeader) -> Self {
        let SegmentHeader {
            first_sequence,
            previous,
            ..
        } = segment;
        Self {
            bytes,
            segment,
            offset: SEGMENT_HEADER_BYTES,
            last_offset: SEGMENT_HEADER_BYTES,
            sequence: first_sequence,
            previous,
        }
    }

    fn is_ours(&self, header: &FrameHeader) -> bool {
        header.salt == self.segment.salt && header.segment == self.segment.segment
    }

    /// The header at `offset`, if it is the frame that must follow, or the seal in its place.
    pub fn header(&self) -> Option<FrameHeader> {
        let header = FrameHeader::decode(self.bytes.get(self.offset..)?)?;
        let follows = self.is_ours(&header)
            && header.sequence == self.sequence
            && header.synced + 1 == header.sequence
            && header.previous == self.previous;
        follows.then_some(header)
    }

    /// The next frame; `None` if what stands there is none, or a torn or damaged one.
    pub fn next_frame(&mut self) -> Option<Found<'a>> {
        let header = self.header()?;
        let Verified {
            commit,
            items,
            records,
        } = verify_frame(&self.bytes[self.offset..], &header)?;
        let records_offset = self.offset + super::layout::FRAME_HEADER_BYTES + items.len();
        if header.kind != FrameKind::Seal {
            self.last_offset = self.offset;
            self.offset += header.frame_bytes();
            self.sequence += 1;
            self.previous = commit;
        }
        Some(Found {
            header,
            items,
            records,
            records_offset,
        })
    }

    /// A frame behind `offset` that says that the one at `offset` was durable.
    pub fn covering(&self) -> Option<FrameHeader> {
        let covers = |header: &FrameHeader| self.is_ours(header) && header.synced >= self.sequence;
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let places = (0..rest.len()).step_by(8);
        places
            .filter_map(|place| FrameHeader::decode(&rest[place..]))
            .find(covers)
    }
}

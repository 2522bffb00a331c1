//! The snapshots' part of an attachment: made, read for sending, received, installed. All of it answers later, under a tag.

use super::super::core::Core;
use super::super::error::EngineError;
use super::super::reads;
use super::super::snapshots::{Request, SnapshotInfo};
use super::Attachment;
use crate::snapshot::{PART_BYTES_MAX, Received, SnapshotId};

impl Attachment {
    /// Has a snapshot of what is applied now made, beside the work. Answered, with nothing, when it is durable, or when the
    /// latest one is of the present.
    pub fn create_snapshot(&self, group: u32, tag: u32) -> Result<(), EngineError> {
        self.ask_snapshots(Request::Create { group }, tag)
    }

    /// The snapshot of the group that was completed last.
    pub fn latest_snapshot(&self, group: u32) -> Result<Option<SnapshotInfo>, EngineError> {
        self.with(|core| {
            let catalog = core.snapshots.catalog.lock();
            Ok(catalog.latest(group).map(|reader| SnapshotInfo::of(reader)))
        })
    }

    /// Keeps a snapshot, however many are completed meanwhile, until `release_snapshot` was called as often. False: it is gone.
    pub fn hold_snapshot(&self, id: &SnapshotId) -> Result<bool, EngineError> {
        self.with(|core| Ok(core.snapshots.catalog.lock().hold(id)))
    }

    pub fn release_snapshot(&self, id: &SnapshotId) -> Result<(), EngineError> {
        self.with(|core| {
            core.snapshots.change(|catalog| catalog.release(id));
            Ok(())
        })
    }

    /// One part of a snapshot: answered with its bytes, as they stand in the file.
    pub fn read_snapshot(&self, id: &SnapshotId, number: u32, tag: u32) -> Result<(), EngineError> {
        self.live(|core| {
            let bytes = part_bytes(core, id);
            let request = reads::Request::SnapshotPart {
                id: *id,
                number,
                bytes,
            };
            core.reading.ask(request, tag, &self.queues);
            Ok(())
        })
    }

    /// A snapshot is going to come, or to go on. Answered with the number of the part that is wanted: u32; the number of parts when
    /// it is complete.
    pub fn receive_snapshot(
        &self,
        group: u32,
        announced: Received,
        tag: u32,
    ) -> Result<(), EngineError> {
        self.ask_snapshots(Request::Begin { group, announced }, tag)
    }

    /// Part `number` of it; copied. Answered as `receive_snapshot`.
    pub fn receive_part(&self, number: u32, bytes: &[u8], tag: u32) -> Result<(), EngineError> {
        if bytes.len() > PART_BYTES_MAX {
            return Err(EngineError::bad_request(
                "no part of a snapshot is so large",
            ));
        }
        let bytes = bytes.to_vec();
        self.ask_snapshots(Request::Part { number, bytes }, tag)
    }

    /// Puts a received snapshot in the place of what the group has. `conf`: index and ConfState to be noted instead of the
    /// snapshot's. Answered, with nothing, when it is done and durable; nothing is to be appended or applied before.
    pub fn install_snapshot(
        &self,
        group: u32,
        index: u64,
        term: u64,
        conf: Option<(u64, Vec<u8>)>,
        tag: u32,
    ) -> Result<(), EngineError> {
        let request = Request::Install {
            group,
            index,
            term,
            conf,
        };
        self.ask_snapshots(request, tag)
    }

    fn ask_snapshots(&self, request: Request, tag: u32) -> Result<(), EngineError> {
        self.live(|core| {
            core.snapshots.ask(request, tag, &self.queues);
            Ok(())
        })
    }
}

/// About: what the answer is going to hold.
fn part_bytes(core: &Core, id: &SnapshotId) -> usize {
    let catalog = core.snapshots.catalog.lock();
    catalog.find(id).map_or(0, |reader| {
        (reader.bytes() / u64::from(reader.parts().max(1))) as usize
    })
}

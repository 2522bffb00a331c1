//! A snapshot that a peer sends. One at a time; what is there of it survives a restart.

use super::{PART_SUFFIX, Work, file, folder, snapshot_error, tidy, with_suffix};
use crate::engine::core::Core;
use crate::engine::error::EngineError;
use crate::engine::lock::io_error;
use crate::snapshot::{Reader, Received, Receiver, SnapshotError};
use crate::store::Store;

/// The number of a part, as an answer.
type Next = [u8; 4];

/// Begins, or goes on with what is kept of the same snapshot. Answers the part that is wanted next; the number of parts if it is
/// complete.
pub(super) fn begin(
    core: &Core,
    work: &mut Work,
    group: u32,
    announced: Received,
) -> Result<Next, EngineError> {
    let known = core.snapshots.catalog.lock().find(&announced.id).cloned();
    if let Some(known) = known {
        let header = known.header();
        let same = (
            header.group,
            header.index,
            header.term,
            known.parts(),
            known.bytes(),
        ) == (
            group,
            announced.index,
            announced.term,
            announced.parts,
            announced.bytes,
        );
        return match same {
            true => Ok(announced.parts.to_le_bytes()),
            false => Err(EngineError::bad_request(
                "a complete snapshot has this id, and is another one",
            )),
        };
    }
    let applied = core.store.applied(group).index;
    if announced.index <= applied {
        return Err(EngineError::bad_request(format!(
            "a snapshot of index {} is no use where {applied} is applied",
            announced.index
        )));
    }
    work.receiving = None;
    let folder = folder(&core.dir);
    core.fs
        .create_dir(&folder)
        .map_err(|e| io_error(&folder, &e))?;
    let path = file(&core.dir, announced.index, announced.term);
    let part_path = with_suffix(&path, PART_SUFFIX);
    remove_others(core, &part_path)?;
    let receiver = Receiver::begin(&*core.fs, &path, &part_path, announced, &mut |(
        key,
        value,
    )| {
        Store::is_row(key, value)
    });
    let receiver = receiver.map_err(|e| snapshot_error(&e))?;
    take_over(core, work, receiver)
}

/// The parts of snapshots that nobody sends any more.
fn remove_others(core: &Core, part_path: &std::path::Path) -> Result<(), EngineError> {
    let folder = folder(&core.dir);
    let names = core.fs.list(&folder).map_err(|e| io_error(&folder, &e))?;
    for name in names.iter().filter(|name| name.ends_with(PART_SUFFIX)) {
        let path = folder.join(name);
        if path != part_path {
            core.fs.remove(&path).map_err(|e| io_error(&path, &e))?;
        }
    }
    Ok(())
}

/// Takes part `number`. Answers as `begin` does.
pub(super) fn part(
    core: &Core,
    work: &mut Work,
    number: u32,
    bytes: &[u8],
) -> Result<Next, EngineError> {
    let Some(mut receiver) = work.receiving.take() else {
        return Err(EngineError::bad_request("no snapshot is being received"));
    };
    let fs = &*core.fs;
    match receiver.part(fs, number, bytes, &mut |(key, value)| {
        Store::is_row(key, value)
    }) {
        Ok(()) => take_over(core, work, receiver),
        Err(error) => {
            // What was refused has changed nothing; after a failure of the disk the sender has to begin again.
            if matches!(
                error,
                SnapshotError::Refused { .. } | SnapshotError::Damaged { .. }
            ) {
                work.receiving = Some(receiver);
            }
            Err(snapshot_error(&error))
        }
    }
}

fn take_over(core: &Core, work: &mut Work, receiver: Receiver) -> Result<Next, EngineError> {
    let next = receiver.next();
    if receiver.is_done() {
        let Received { index, term, .. } = *receiver.announced();
        let reader = Reader::open(&*core.fs, &file(&core.dir, index, term))
            .map_err(|e| snapshot_error(&e))?;
        core.snapshots.catalog.lock().add(reader);
        tidy(core);
    } else {
        work.receiving = Some(receiver);
    }
    Ok(next.to_le_bytes())
}

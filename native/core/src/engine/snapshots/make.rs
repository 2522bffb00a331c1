//! A snapshot of the present, made beside the work: from a view of the store, a chunk at a time.
//!
//! SAFETY: a snapshot is the state after its last record, and nothing else.
//! Claim:   its rows, its index and its revision are of one moment between two bursts; what is applied meanwhile is not in it.
//! Why:     rows and applied index are read over one view of RocksDB, which a burst changes as a whole. Term, time and
//!          revision stand beside the index; the membership is the latest one that was saved for an index up to it.
//! Rests:   `store/store.rs`.
//! Checked: engine_snapshot.rs, with applies between any two chunks.

use super::{
    Asker, MADE_SUFFIX, Turn, Work, busy, file, folder, snapshot_error, tidy, with_suffix,
};
use crate::engine::core::{Core, store_error};
use crate::engine::error::EngineError;
use crate::engine::lock::io_error;
use crate::snapshot::{Header, Reader, SnapshotId, Writer};
use crate::store::Export;

pub(super) struct Making {
    export: Export,
    writer: Writer,
    header: Header,
}

impl Making {
    /// The temporary file goes.
    pub(super) fn abandon(self, core: &Core) {
        self.writer.abandon(&*core.fs);
    }
}

/// Whether there is something to be done, and what.
enum Plan {
    Make(Box<Making>),
    /// The latest one is of the present.
    Stands,
}

pub(super) fn begin(core: &Core, work: &mut Work, group: u32, asker: Asker) {
    if work.making.is_some() || work.installing.is_some() {
        return asker.tell(Err(&busy("another snapshot is being made or installed")));
    }
    match plan(core, group, work.made) {
        Ok(Plan::Stands) => asker.tell(Ok(&[])),
        Ok(Plan::Make(making)) => {
            work.made += 1;
            work.making = Some((*making, asker));
        }
        Err(error) => asker.tell(Err(&error)),
    }
}

/// The next chunk.
pub(super) fn turn(core: &Core, work: &mut Work, mut making: Making, asker: Asker) -> Turn {
    match next_chunk(&mut making) {
        Ok(false) => work.making = Some((making, asker)),
        Ok(true) => asker.tell(finish(core, making).as_ref().map(|()| &[][..])),
        Err(error) => {
            making.abandon(core);
            asker.tell(Err(&error));
        }
    }
    Turn::Done
}

fn plan(core: &Core, group: u32, made: u64) -> Result<Plan, EngineError> {
    let export = core.store.export(group).map_err(|e| store_error(&e))?;
    let applied = export.applied();
    if applied.index == 0 {
        return Err(EngineError::bad_request(
            "nothing is applied: there is nothing to make a snapshot of",
        ));
    }
    let latest = core
        .snapshots
        .catalog
        .lock()
        .latest(group)
        .map(|reader| reader.header().index);
    if latest == Some(applied.index) {
        return Ok(Plan::Stands);
    }
    let identity = *core.identity.lock();
    let (conf_index, conf) = core.group(group).conf_at(applied.index).unwrap_or_default();
    let header = Header {
        cluster: identity.cluster,
        group,
        id: draw_id(core, identity.uid, applied.index, made),
        index: applied.index,
        term: applied.term,
        time: applied.time,
        revision: applied.revision,
        next_revision: applied.revision + 1,
        conf_index,
        conf,
    };
    let folder = folder(&core.dir);
    core.fs
        .create_dir(&folder)
        .map_err(|e| io_error(&folder, &e))?;
    let path = file(&core.dir, applied.index, applied.term);
    let writer = Writer::begin(&*core.fs, &path, &with_suffix(&path, MADE_SUFFIX), &header);
    Ok(Plan::Make(Box::new(Making {
        export,
        writer: writer.map_err(|e| snapshot_error(&e))?,
        header,
    })))
}

/// Others for each opening, each replica and each snapshot.
fn draw_id(core: &Core, uid: u64, index: u64, made: u64) -> SnapshotId {
    let mix = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let first = core.options.entropy_u64(8) ^ mix(uid ^ mix(index));
    let second = core.options.entropy_u64(0) ^ mix(first ^ mix(made));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&first.to_le_bytes());
    id[8..].copy_from_slice(&second.to_le_bytes());
    id
}

/// True: there are no more rows.
fn next_chunk(making: &mut Making) -> Result<bool, EngineError> {
    let writer = &mut making.writer;
    let ended = making
        .export
        .rows(&mut |key, value| writer.row(key, value))
        .map_err(|e| store_error(&e))?;
    making.writer.end_chunk().map_err(|e| snapshot_error(&e))?;
    Ok(ended)
}

fn finish(core: &Core, making: Making) -> Result<(), EngineError> {
    let Making {
        writer,
        header,
        export,
    } = making;
    drop(export); // lets RocksDB forget what was overwritten
    let fs = &*core.fs;
    let path = file(&core.dir, header.index, header.term);
    let finished = writer.finish(fs).and_then(|_| Reader::open(fs, &path));
    match finished {
        Ok(reader) => {
            core.snapshots.catalog.lock().add(reader);
            tidy(core);
            Ok(())
        }
        Err(error) => {
            // Whichever name it has by now. What cannot be removed goes at the next opening, or is found to be whole.
            let _ = fs
                .remove(&with_suffix(&path, MADE_SUFFIX))
                .or_else(|_| fs.remove(&path));
            Err(snapshot_error(&error))
        }
    }
}

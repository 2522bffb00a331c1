//! A received snapshot in place of what a group has: store and log together, or neither.
//!
//! SAFETY: an installation happens entirely or not at all, whenever the power fails.
//! Claim:   an opened folder has the old state and the old log, or the snapshot's state and a log that begins behind it.
//! Why:     the file is read and verified to its last byte before anything is touched. Then the marker is made durable, then
//!          the store is replaced and flushed, then the log is cut and that is durable, and only then the marker goes,
//!          durably. Who opens a folder with a marker begins again with the store: each step comes to the same end however
//!          often it is done. Nothing is appended or applied between marker and end: apply is excluded here, and the host
//!          is told only behind the last step.
//! Rests:   the file was made durable under its name before it could be chosen (`snapshot/receiver.rs`); `store/replace.rs`; the
//!          log keeps what follows an entry that it holds with the same term, and drops everything else (`Wal::rebase`).
//! Checked: snapshot_crash.rs, where the power fails at every file operation and between any two steps.
//!
//! SAFETY: an older snapshot never wins.
//! Claim:   what is applied never goes back.
//! Why:     `begin` refuses an index that is evaluated, and asks again when apply is excluded. At an opening, a store that is
//!          beyond the marker's snapshot and not in the middle of it has refused it: the marker was never in force.
//! Rests:   the mark that `Store::replace_begin` leaves is in the same batch that removes the old state.
//! Checked: engine_install_refused.rs, `an_older_snapshot_changes_nothing` and the test behind it.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::marker::{Marker, Origin};
use super::{Asker, Turn, Work, busy, file, snapshot_error};
use crate::engine::core::{Core, store_error};
use crate::engine::error::{EngineError, ErrorCode};
use crate::engine::identity::Identity;
use crate::engine::lock::io_error;
use crate::snapshot::{CONF_BYTES_MAX, Header, Reader};
use crate::store::{Applied, Store, StoreError};
use crate::sys;
use crate::wal::Wal;

pub(super) struct Installing {
    marker: Marker,
    reader: Reader,
    stage: Stage,
}

/// What comes next.
enum Stage {
    /// The parts are read and verified, one at a time.
    Verify,
    /// Apply comes to an end, and is shut out.
    Exclude,
    Mark,
    Empty,
    /// The rows of each part are written, one at a time; `read` is a part whose rows are not written yet.
    Fill {
        read: bool,
        last: bool,
    },
    Complete,
    Rebase,
    /// Until this ticket is durable.
    LogDurable(u64),
    Unmark,
}

pub(super) fn begin(
    core: &Core,
    work: &mut Work,
    (group, index, term): (u32, u64, u64),
    conf: Option<(u64, Vec<u8>)>,
    asker: Asker,
) {
    if work.installing.is_some() {
        return asker.tell(Err(&busy("another snapshot is being installed")));
    }
    match prepare(core, (group, index, term), conf) {
        Ok(installing) => {
            // The one that is being made would be older than what is there then.
            if let Some((making, asker)) = work.making.take() {
                making.abandon(core);
                asker.tell(Err(&busy("a snapshot is going to be installed")));
            }
            work.installing = Some((installing, asker));
        }
        Err(error) => asker.tell(Err(&error)),
    }
}

fn prepare(
    core: &Core,
    (group, index, term): (u32, u64, u64),
    conf: Option<(u64, Vec<u8>)>,
) -> Result<Installing, EngineError> {
    refuse_older(core, group, index)?;
    let path = file(&core.dir, index, term);
    let reader = Reader::open(&*core.fs, &path).map_err(|e| snapshot_error(&e))?;
    let header = reader.header();
    let (conf_index, conf) = conf.unwrap_or_else(|| (header.conf_index, header.conf.clone()));
    if conf.len() > CONF_BYTES_MAX || conf_index > index {
        return Err(EngineError::bad_request(
            "no snapshot has such a membership",
        ));
    }
    let marker = Marker {
        origin: Origin::Leader,
        group,
        index,
        term,
        id: header.id,
        conf_index,
        conf,
    };
    check_header(header, &marker, &core.identity.lock(), &path)?;
    Ok(Installing {
        marker,
        reader,
        stage: Stage::Verify,
    })
}

fn refuse_older(core: &Core, group: u32, index: u64) -> Result<(), EngineError> {
    let evaluated = core.group(group).evaluated.load(Ordering::Acquire);
    if index > evaluated {
        return Ok(());
    }
    Err(EngineError::bad_request(format!(
        "a snapshot of index {index} is not installed where {evaluated} is applied"
    )))
}

/// Is this the snapshot that the marker names, and may this replica have it?
pub(super) fn check_header(
    header: &Header,
    marker: &Marker,
    identity: &Identity,
    path: &Path,
) -> Result<(), EngineError> {
    let named = (header.group, header.index, header.term, header.id)
        == (marker.group, marker.index, marker.term, marker.id);
    if !named {
        return Err(EngineError::new(
            ErrorCode::DataDamaged,
            format!("{} is another snapshot than its name says", path.display()),
        ));
    }
    if marker.origin == Origin::Leader && header.cluster != identity.cluster {
        return Err(EngineError::new(
            ErrorCode::DataMismatch,
            format!("{} is a snapshot of another cluster", path.display()),
        ));
    }
    Ok(())
}

/// One step of it.
pub(super) fn turn(core: &Core, work: &mut Work, mut installing: Installing, asker: Asker) -> Turn {
    match advance(core, &mut installing) {
        Ok(Some(turn)) => {
            work.installing = Some((installing, asker));
            turn
        }
        Ok(None) => {
            asker.tell(Ok(&[]));
            Turn::Done
        }
        Err(error) => {
            core.applying.readmit();
            // Behind the marker there is no way back but an opening, which does it again.
            if installing.stage.is_in_force() {
                core.fail(failed(&installing.marker, &error));
            }
            asker.tell(Err(&error));
            Turn::Done
        }
    }
}

impl Stage {
    fn is_in_force(&self) -> bool {
        !matches!(self, Stage::Verify | Stage::Exclude)
    }
}

/// None: it is done. An error ends it.
fn advance(core: &Core, installing: &mut Installing) -> Result<Option<Turn>, EngineError> {
    let Installing {
        marker,
        reader,
        stage,
    } = installing;
    let group = marker.group;
    let next = match stage {
        Stage::Verify => match reader.check_next(&mut |(key, value)| Store::is_row(key, value)) {
            Ok(true) => Stage::Exclude,
            Ok(false) => Stage::Verify,
            Err(error) => return Err(snapshot_error(&error)),
        },
        Stage::Exclude => {
            if !core.applying.exclude() {
                return Ok(Some(Turn::Later));
            }
            refuse_older(core, group, marker.index)?;
            Stage::Mark
        }
        Stage::Mark => match mark(core, marker)? {
            true => Stage::Empty,
            false => {
                *stage = Stage::Exclude; // nothing is in force
                return Err(EngineError::new(
                    ErrorCode::DiskFull,
                    "no space to install a snapshot",
                ));
            }
        },
        Stage::Empty => match core.store.replace_begin(group) {
            Ok(()) => {
                reader.rewind();
                Stage::Fill {
                    read: false,
                    last: false,
                }
            }
            Err(error) => return wait_for_space(core, &error),
        },
        Stage::Fill { read, last } => {
            if !*read {
                *last = reader
                    .check_next(&mut |_| true)
                    .map_err(|e| snapshot_error(&e))?;
                *read = true;
            }
            if let Err(error) = core.store.replace_rows(group, &mut reader.rows().flatten()) {
                return wait_for_space(core, &error);
            }
            let rows = reader.rows().flatten();
            let bytes = rows.map(|(key, value)| key.len() + value.len()).sum();
            *stage = match last {
                true => Stage::Complete,
                false => Stage::Fill {
                    read: false,
                    last: false,
                },
            };
            return Ok(Some(Turn::Wrote(bytes)));
        }
        Stage::Complete => match core.store.replace_end(group, applied_of(reader.header())) {
            Ok(()) => Stage::Rebase,
            Err(error) => return wait_for_space(core, &error),
        },
        Stage::Rebase => Stage::LogDurable(rebase(&core.wal, marker, reader.header())?),
        Stage::LogDurable(ticket) => {
            if core.wal.durable() < *ticket {
                core.check()?;
                return Ok(Some(Turn::Later));
            }
            Stage::Unmark
        }
        Stage::Unmark => {
            Marker::remove(&*core.fs, &core.dir).map_err(|e| io_error(&core.dir, &e))?;
            publish(core, marker, reader.header());
            return Ok(None);
        }
    };
    *stage = next;
    Ok(Some(Turn::Done))
}

/// False: there is no space for it, and it is not in force.
fn mark(core: &Core, marker: &Marker) -> Result<bool, EngineError> {
    let Err(error) = marker.write(&*core.fs, &core.dir) else {
        return Ok(true);
    };
    if sys::is_full(&error) && Marker::remove(&*core.fs, &core.dir).is_ok() {
        return Ok(false);
    }
    Err(io_error(&core.dir, &error))
}

/// A full disk is no failure: the same is tried again.
fn wait_for_space(core: &Core, error: &StoreError) -> Result<Option<Turn>, EngineError> {
    if !matches!(error, StoreError::DiskFull { .. }) {
        return Err(store_error(error));
    }
    core.store_full.store(true, Ordering::Relaxed);
    Ok(Some(Turn::Later))
}

pub(super) fn applied_of(header: &Header) -> Applied {
    Applied {
        index: header.index,
        term: header.term,
        time: header.time,
        revision: header.revision,
    }
}

/// Has the group's log begin behind the snapshot. Returns the ticket.
pub(super) fn rebase(wal: &Wal, marker: &Marker, header: &Header) -> Result<u64, EngineError> {
    let conf = (!marker.conf.is_empty()).then(|| (marker.conf_index, marker.conf.clone()));
    let ticket = wal.rebase(
        marker.group,
        marker.index,
        marker.term,
        header.time,
        header.next_revision,
        conf,
    );
    ticket.map_err(|e| EngineError::new(ErrorCode::Failed, e.to_string()))
}

/// It is the state of this replica from here on: apply goes on behind it.
fn publish(core: &Core, marker: &Marker, header: &Header) {
    let group = core.group(marker.group);
    let status = core.wal.status();
    let log = status
        .groups
        .iter()
        .find(|status| status.group == marker.group);
    let conf = (!marker.conf.is_empty()).then(|| (marker.conf_index, marker.conf.clone()));
    group.installed(
        &applied_of(header),
        conf,
        log.map_or(0, |log| log.last_index),
    );
    core.store_full.store(false, Ordering::Relaxed);
    core.applying.readmit();
    core.upkeep.ask_truncate();
    core.upkeep.apply_runs.fetch_add(1, Ordering::Relaxed);
}

fn failed(marker: &Marker, error: &EngineError) -> EngineError {
    EngineError::told(
        ErrorCode::Failed,
        &format!(
            "a snapshot of index {} could not be installed, and this replica has stopped",
            marker.index
        ),
        &error.message,
        "check the device and its file system, then start again: opening the folder goes on with the installation",
        "what this replica had is in the snapshot, or going to be replaced by it",
    )
}

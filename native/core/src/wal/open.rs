//! From a folder to a running log: recovery, clean-up, and a new segment for the new life.

use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::WalError;
use super::recovery::Recovered;
use super::repair;
use super::shared::{Shared, number_in, segment_numbers, spare_path};
use super::spares::{SPARES_KEPT, Spares};
use super::state::{Spare, State};
use super::types::WalOptions;
use super::writer::Turn;
use crate::sys::{FileSystem, Open};

/// Recovers, and begins a new segment with a checkpoint of everything: nothing is ever appended to a file that has seen
/// a crash. On a full disk that segment waits; everything can be read meanwhile.
pub fn open(
    fs: Arc<dyn FileSystem>,
    dir: &Path,
    options: WalOptions,
    notify: Arc<dyn Fn() + Send + Sync>,
) -> Result<Shared, WalError> {
    options.check()?;
    fs.create_dir(dir).map_err(WalError::io("create", dir))?;
    let list = || fs.list(dir).map_err(WalError::io("list", dir));
    let numbers = || Ok(segment_numbers(&list()?));
    let repair = (&options.repair[..], options.salt);
    let (Recovered { mut state, writer }, note) = repair::open(&*fs, dir, numbers, repair)?;
    let names = list()?;
    remove_leftovers(&*fs, dir, &names, &state)?;
    let (spares, number) = adopt_spares(&*fs, dir, &names, options.segment_bytes)?;
    state.spares = spares;
    let shared = Shared {
        fs,
        dir: dir.to_path_buf(),
        options,
        notify,
        state: Mutex::new(state),
        wake_writer: Condvar::new(),
        wake_spares: Condvar::new(),
        writer: Mutex::new(writer),
        spares: Mutex::new(Spares::after(number)),
        syncs: Default::default(),
        note: Mutex::new(note),
    };
    begin_segment(&shared)?;
    repair::forget_if_repaired(&shared)?;
    Ok(shared)
}

/// Files that were being prepared, and segments that the last checkpoint no longer needs.
fn remove_leftovers(
    fs: &dyn FileSystem,
    dir: &Path,
    names: &[String],
    state: &State,
) -> Result<(), WalError> {
    let oldest = state.segments.keys().next().copied().unwrap_or(0);
    for name in names {
        let old = number_in(name, ".log").is_some_and(|number| number < oldest);
        if old || number_in(name, ".tmp").is_some() {
            let path = dir.join(name);
            fs.remove(&path).map_err(WalError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Keeps spares of the right length, as many as are kept; removes the others. Also returns the highest number among them.
fn adopt_spares(
    fs: &dyn FileSystem,
    dir: &Path,
    names: &[String],
    segment_bytes: u64,
) -> Result<(Vec<Spare>, u64), WalError> {
    let mut adopted = Vec::new();
    let mut highest = 0;
    for number in names.iter().filter_map(|name| number_in(name, ".spare")) {
        highest = highest.max(number);
        let path = spare_path(dir, number);
        let file = fs
            .open(&path, Open::Write)
            .map_err(WalError::io("open", &path))?;
        let whole = file.len().map_err(WalError::io("measure", &path))? == segment_bytes;
        if whole && adopted.len() < SPARES_KEPT {
            adopted.push(Spare { path, file });
        } else {
            fs.remove(&path).map_err(WalError::io("remove", &path))?;
        }
    }
    Ok((adopted, highest))
}

fn begin_segment(shared: &Shared) -> Result<(), WalError> {
    while shared.state.lock().spares.is_empty() {
        if !shared.spares.lock().turn(shared)? {
            break;
        }
    }
    if let Some(spare) = shared.take_spare() {
        let turn = shared.writer.lock().rotate(shared, spare)?;
        debug_assert_eq!(turn, Turn::Done);
    }
    Ok(())
}

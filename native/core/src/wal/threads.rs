//! The two threads of a log: one writes, one prepares segments. Each runs the turns that `Wal::step` runs by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::WalError;
use super::shared::Shared;
use super::state::Closing;
use super::writer::Turn;

/// After so long without work the last frame is covered by a mark.
const IDLE: Duration = Duration::from_millis(50);
/// Between two pieces of a file that is prepared or given back, while nobody waits for it.
const REST: Duration = Duration::from_millis(6);
/// While the disk is full, so often is space looked for.
const FULL_RETRY: Duration = Duration::from_millis(250);

pub fn spawn(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, WalError> {
    let dir = shared.dir.clone();
    let start = |name: &str, body: fn(&Shared) -> Result<(), WalError>| {
        let shared = shared.clone();
        let run = move || {
            let failure = match catch_unwind(AssertUnwindSafe(|| body(&shared))) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(panic) => WalError::Panicked {
                    message: panic_text(&*panic),
                },
            };
            shared.fail(failure);
        };
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
        spawned.map_err(WalError::io("start a thread for", &dir))
    };
    Ok(vec![
        start("eraft-log", write)?,
        start("eraft-segments", prepare)?,
    ])
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// While one sync runs, the next batch gathers in the queue: group commit needs no timer.
fn write(shared: &Shared) -> Result<(), WalError> {
    let mut idle = false;
    loop {
        let turn = shared.writer.lock().turn(shared, idle)?;
        let mut state = shared.state.lock();
        if state.failure.is_some() || state.closing == Some(Closing::Abandon) {
            return Ok(());
        }
        let draining = state.closing.is_some();
        idle = match turn {
            Turn::Done => false,
            Turn::Blocked if draining && state.disk_full => return Ok(()),
            Turn::Idle if draining && idle => return Ok(()),
            Turn::Idle if draining => true,
            Turn::Blocked => {
                if state.spares.is_empty() {
                    state.spare_wanted = true;
                    shared.wake_spares.notify_all();
                    shared.wake_writer.wait_for(&mut state, IDLE);
                }
                false
            }
            Turn::Idle if state.queue.is_empty() && !state.release_asked => {
                shared.wake_writer.wait_for(&mut state, IDLE).timed_out()
            }
            Turn::Idle => false,
        };
        state.release_asked = false;
    }
}

fn prepare(shared: &Shared) -> Result<(), WalError> {
    loop {
        let (done, amid) = {
            let mut spares = shared.spares.lock();
            (spares.turn(shared)?, spares.is_amid())
        };
        let mut state = shared.state.lock();
        if state.failure.is_some() {
            return Ok(());
        }
        if state.writer_ended {
            drop(state);
            return shared.spares.lock().abandon(shared);
        }
        if done && amid && state.retired.is_empty() && !state.spare_wanted {
            shared.wake_spares.wait_for(&mut state, REST);
        }
        if done {
            continue;
        }
        if state.disk_full {
            shared.wake_spares.wait_for(&mut state, FULL_RETRY);
        } else if state.retired.is_empty() && !state.spares.is_empty() {
            shared.wake_spares.wait(&mut state);
        }
    }
}

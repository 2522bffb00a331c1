//! Snapshots of a data folder: made beside the work, received part by part, installed so that a crash cannot split them.
//!
//! ```text
//! mod      what is asked for, and by whom it is done: one thread, or `step`
//! catalog  the complete ones, who reads them, and which may go
//! make     from a view of the store, a chunk at a time
//! receive  from a peer, a part at a time
//! install  in place of store and log
//! marker   the file that has an interrupted installation done again
//! redo     doing it again, when the folder is opened
//! ```
//! In the folder `snapshots`: `<index>-<term>.snap`, complete; with `.made` behind it, being made, removed when the folder is
//! opened; with `.part` behind it, being received, kept. Names are made of numbers here, never of what a peer says.

mod catalog;
mod install;
mod make;
mod marker;
mod receive;
mod redo;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

pub(super) use self::catalog::Catalog;
pub use self::catalog::SnapshotInfo;
use self::install::Installing;
use self::make::Making;
pub use self::marker::MARKER_FILE;
pub(super) use self::marker::{Marker, Origin};
pub(super) use self::redo::Opened;
use super::core::Core;
use super::error::{EngineError, ErrorCode};
use super::queues::{Answer, Queues};
use crate::snapshot::{Received, Receiver, SnapshotError, SnapshotId, snapshot_name};

pub(super) const SNAPSHOT_FOLDER: &str = "snapshots";
/// Behind the name of a snapshot that is being made, and of one that is being received.
const MADE_SUFFIX: &str = ".made";
const PART_SUFFIX: &str = ".part";

/// What cannot go on now is looked at again: it waits for space, for the log's disk, or for the applying of a burst.
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// After a piece of work. That it waited long for the disk is no reason to rest as long.
const REST_LONGEST: Duration = Duration::from_millis(50);
/// Keys and values.
const INSTALLED_BYTES_PER_SECOND: f64 = 32.0 * 1024.0 * 1024.0;

/// What is wanted.
pub(crate) enum Request {
    /// One of the present.
    Create { group: u32 },
    /// One is going to come.
    Begin { group: u32, announced: Received },
    /// A part of it.
    Part { number: u32, bytes: Vec<u8> },
    /// It is to take the place of what is there. `conf`: the membership to be noted, instead of the snapshot's.
    Install {
        group: u32,
        index: u64,
        term: u64,
        conf: Option<(u64, Vec<u8>)>,
    },
}

/// Whom to tell what came of a request.
struct Asker {
    queues: Arc<Queues>,
    tag: u32,
    reserved: usize,
}

impl Asker {
    fn tell(self, outcome: Result<&[u8], &EngineError>) {
        let answer = match outcome {
            Ok(bytes) => {
                let mut answer = Answer::new(self.tag);
                answer.bytes.extend_from_slice(bytes);
                answer
            }
            Err(error) => Answer::refused(self.tag, error),
        };
        self.queues.push_answer(answer, Some(self.reserved));
    }
}

enum Job {
    Asked(Request, Asker),
    /// Files that nobody needs any more go. One that cannot be removed goes at the next opening.
    Tidy,
}

#[derive(Default)]
pub(crate) struct Snapshots {
    jobs: Mutex<VecDeque<Job>>,
    wake: Condvar,
    work: Mutex<Work>,
    pub catalog: Mutex<Catalog>,
}

/// What is under way; touched by whoever does the work, and by nobody else.
#[derive(Default)]
struct Work {
    /// How many were made since the opening.
    made: u64,
    making: Option<(Making, Asker)>,
    receiving: Option<Receiver>,
    installing: Option<(Installing, Asker)>,
}

/// What a look at the work has brought.
enum Turn {
    Done,
    /// So many bytes of keys and values into the store.
    Wrote(usize),
    /// There is some, and it cannot go on now.
    Later,
    Nothing,
}

impl Snapshots {
    pub fn interrupt(&self) {
        let _held = self.jobs.lock();
        self.wake.notify_all();
    }

    /// Drops what is under way, and with it the view that keeps the store open. Received parts stay.
    pub fn clear(&self) {
        self.jobs.lock().clear();
        *self.work.lock() = Work::default();
    }

    /// Changes the catalog, and has files removed that nobody needs then.
    pub fn change(&self, change: impl FnOnce(&mut Catalog)) {
        change(&mut self.catalog.lock());
        self.jobs.lock().push_back(Job::Tidy);
        self.wake.notify_all();
    }

    /// The log of a group begins behind `compacted`: snapshots that it does not follow go.
    pub fn cut(&self, group: u32, compacted: u64) {
        if self.catalog.lock().drop_outrun(group, compacted) {
            self.jobs.lock().push_back(Job::Tidy);
            self.wake.notify_all();
        }
    }

    /// Queues a request; its answer comes under `tag`. Too many of them: the answer is ERAFT_OVERLOADED.
    pub fn ask(&self, request: Request, tag: u32, asker: &Arc<Queues>) {
        let reserved = match &request {
            Request::Part { bytes, .. } => bytes.len(),
            _ => 0,
        };
        match asker.reserve_answer(reserved) {
            Ok(()) => {
                let asker = Asker {
                    queues: asker.clone(),
                    tag,
                    reserved,
                };
                self.jobs.lock().push_back(Job::Asked(request, asker));
                self.wake.notify_all();
            }
            Err(error) => asker.push_answer(Answer::refused(tag, &error), None),
        }
    }
}

/// Body of the snapshot thread. Returns when the engine stops.
///
/// Nobody waits for a snapshot as clients wait for their answers, and what it takes is taken from them. So the thread rests
/// after each piece of work as long as that took; and the store, which pays several times for what is written to it, is given
/// no more than `INSTALLED_BYTES_PER_SECOND`.
pub(crate) fn run(core: &Core) {
    let mut pause = PAUSE_FIRST;
    while !core.stopped() {
        let started = Instant::now();
        match turn(core) {
            Turn::Done => {
                pause = PAUSE_FIRST;
                wait(core, started.elapsed().min(REST_LONGEST));
            }
            Turn::Wrote(bytes) => {
                pause = PAUSE_FIRST;
                let due = Duration::from_secs_f64(bytes as f64 / INSTALLED_BYTES_PER_SECOND);
                wait(core, due.saturating_sub(started.elapsed()));
            }
            Turn::Later => {
                wait(core, pause);
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
            Turn::Nothing => {
                let mut jobs = core.snapshots.jobs.lock();
                if jobs.is_empty() && !core.stopped() {
                    core.snapshots.wake.wait(&mut jobs);
                }
            }
        }
    }
}

fn wait(core: &Core, pause: Duration) {
    let mut jobs = core.snapshots.jobs.lock();
    if jobs.is_empty() && !core.stopped() {
        core.snapshots.wake.wait_for(&mut jobs, pause);
    }
}

/// Stepped mode: one request, or one chunk of what is under way. False: there is nothing, or nothing to be done about it now.
pub(crate) fn step(core: &Core) -> bool {
    matches!(turn(core), Turn::Done | Turn::Wrote(_))
}

fn turn(core: &Core) -> Turn {
    let work = &mut *core.snapshots.work.lock();
    let job = core.snapshots.jobs.lock().pop_front();
    if let Some(job) = job {
        begin(core, work, job);
        return Turn::Done;
    }
    if let Some((installing, asker)) = work.installing.take() {
        return install::turn(core, work, installing, asker);
    }
    if let Some((making, asker)) = work.making.take() {
        return make::turn(core, work, making, asker);
    }
    Turn::Nothing
}

fn begin(core: &Core, work: &mut Work, job: Job) {
    let (request, asker) = match job {
        Job::Asked(request, asker) => (request, asker),
        Job::Tidy => return tidy(core),
    };
    match request {
        Request::Create { group } => make::begin(core, work, group, asker),
        Request::Begin { group, announced } => {
            let next = receive::begin(core, work, group, announced);
            asker.tell(next.as_ref().map(|next| &next[..]));
        }
        Request::Part { number, bytes } => {
            let next = receive::part(core, work, number, &bytes);
            asker.tell(next.as_ref().map(|next| &next[..]));
        }
        Request::Install {
            group,
            index,
            term,
            conf,
        } => install::begin(core, work, (group, index, term), conf, asker),
    }
}

fn tidy(core: &Core) {
    let gone = core.snapshots.catalog.lock().take_gone();
    for path in gone {
        let _ = core.fs.remove(&path);
    }
}

pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join(SNAPSHOT_FOLDER)
}

fn file(dir: &Path, index: u64, term: u64) -> PathBuf {
    folder(dir).join(snapshot_name(index, term))
}

/// The same file under another name.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Appends a part of a complete snapshot to `out`. Reads the disk. A damaged one is not offered any more.
pub(super) fn read_part(
    core: &Core,
    id: &SnapshotId,
    number: u32,
    out: &mut Vec<u8>,
) -> Result<(), EngineError> {
    let reader = core.snapshots.catalog.lock().find(id).cloned();
    let Some(reader) = reader else {
        return Err(EngineError::new(
            ErrorCode::SnapshotLost,
            "there is no such snapshot any more",
        ));
    };
    reader.read_part(number, out).map_err(|error| {
        if matches!(error, SnapshotError::Damaged { .. }) {
            core.snapshots.change(|catalog| catalog.drop_damaged(id));
        }
        snapshot_error(&error)
    })
}

fn busy(what: &str) -> EngineError {
    EngineError::new(ErrorCode::Overloaded, what)
}

/// A snapshot file's refusal, for the one who asked.
pub(super) fn snapshot_error(error: &SnapshotError) -> EngineError {
    let code = match error {
        SnapshotError::Damaged { .. } => ErrorCode::DataDamaged,
        SnapshotError::Version { .. } => ErrorCode::DataVersion,
        SnapshotError::Refused { .. } => ErrorCode::BadRequest,
        SnapshotError::Full { .. } => ErrorCode::DiskFull,
        SnapshotError::Io { .. } => ErrorCode::Io,
    };
    EngineError::new(code, error.to_string())
}

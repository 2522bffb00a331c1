//! The log's writer beside the least that any log must do: write a record, sync, next.
//!
//! ```text
//! log_append DIR cached|direct BYTES SECONDS ROUNDS
//! ```
//! Appends records of BYTES bytes, one sync for each, by every system in turn, ROUNDS times SECONDS seconds. Each measurement
//! is one line of JSON. `npm run bench:micro` runs this and compares.
//!
//! - `bare`: one thread, one file that was written before, `write` and `fdatasync` (direct: `O_DIRECT | O_DSYNC`).
//! - `bare-fdatasync`: direct only, `O_DIRECT` and `fdatasync` as two calls.
//! - `log`: `Wal` with its threads; the next record waits already when a sync ends, and no two share a sync.
//! - `log-lone`: the same, but a record is submitted only when the one before is durable: one caller, awaited.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use eraft_core::record::{self, Header, KIND_COMMANDS, RECORD_HEADER_BYTES};
use eraft_core::sys::{DIRECT_ALIGN, RealFileSystem};
use eraft_core::wal::{Batch, Wal, WalOptions};

type Outcome<T> = Result<T, Box<dyn Error>>;

const MIB: usize = 1 << 20;
const BARE_BYTES: u64 = 256 << 20;
const SEGMENT_BYTES: u64 = 64 << 20;
const QUEUED: u64 = 4;
const WARM_UP: Duration = Duration::from_millis(300);

struct Plan {
    dir: PathBuf,
    direct: bool,
    bytes: usize,
    time: Duration,
    rounds: u32,
}

fn main() -> Outcome<()> {
    let plan = parse(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let mut log = Log::open(&plan)?;
    let mut bare = vec![("bare", Bare::open(&plan, true)?)];
    if plan.direct {
        bare.push(("bare-fdatasync", Bare::open(&plan, false)?));
    }
    log.queued(WARM_UP)?;
    for (_, loop_) in &mut bare {
        loop_.run(WARM_UP)?;
    }
    for round in 1..=plan.rounds {
        for (name, loop_) in &mut bare {
            tell(round, name, loop_.run(plan.time)?);
        }
        tell(round, "log", log.queued(plan.time)?);
        tell(round, "log-lone", log.lone(plan.time)?);
    }
    log.wal.close()?;
    Ok(())
}

fn parse(arguments: &[String]) -> Outcome<Plan> {
    let [dir, mode, bytes, seconds, rounds] = arguments else {
        return Err("usage: log_append DIR cached|direct BYTES SECONDS ROUNDS".into());
    };
    let bytes: usize = bytes.parse()?;
    if bytes == 0 || !bytes.is_multiple_of(DIRECT_ALIGN) || bytes > MIB {
        return Err(format!("BYTES must be a multiple of {DIRECT_ALIGN}, at most {MIB}").into());
    }
    let direct = match mode.as_str() {
        "cached" => false,
        "direct" => true,
        _ => return Err(format!("{mode} is neither cached nor direct").into()),
    };
    Ok(Plan {
        dir: dir.into(),
        direct,
        bytes,
        time: Duration::try_from_secs_f64(seconds.parse()?)?,
        rounds: rounds.parse()?,
    })
}

/// Nanoseconds of each record: what `bare` and `log-lone` waited for it, and in `log` the time since the one before.
fn tell(round: u32, system: &str, mut nanos: Vec<u64>) {
    let total: u64 = nanos.iter().sum();
    nanos.sort_unstable();
    let micros = |share: f64| {
        let at = ((nanos.len() as f64 * share) as usize).min(nanos.len() - 1);
        nanos[at] as f64 / 1e3
    };
    println!(
        r#"{{"round":{round},"system":"{system}","operations":{},"seconds":{:.6},"p50Micros":{:.1},"p99Micros":{:.1}}}"#,
        nanos.len(),
        total as f64 / 1e9,
        micros(0.5),
        micros(0.99),
    );
}

/// Write, sync, next; round and round in one file that was written before.
struct Bare {
    file: File,
    buffer: Vec<u8>,
    /// Where the aligned part of `buffer` begins.
    start: usize,
    bytes: usize,
    offset: u64,
    /// The write itself is durable on return.
    synced: bool,
}

impl Bare {
    /// `dsync` counts in direct mode only.
    fn open(plan: &Plan, dsync: bool) -> Outcome<Self> {
        let path = plan.dir.join(format!("bare-{dsync}"));
        write_file(&path)?;
        let synced = plan.direct && dsync;
        let mut flags = if plan.direct { direct_flag()? } else { 0 };
        if synced {
            flags |= libc::O_DSYNC;
        }
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path)?;
        let buffer = vec![0xa5; plan.bytes + DIRECT_ALIGN];
        let start = buffer.as_ptr().align_offset(DIRECT_ALIGN);
        Ok(Self {
            file,
            buffer,
            start,
            bytes: plan.bytes,
            offset: 0,
            synced,
        })
    }

    fn run(&mut self, time: Duration) -> Outcome<Vec<u64>> {
        let record = &self.buffer[self.start..self.start + self.bytes];
        let mut nanos = Vec::new();
        let started = Instant::now();
        while started.elapsed() < time {
            let before = Instant::now();
            self.file.write_all_at(record, self.offset)?;
            if !self.synced {
                self.file.sync_data()?;
            }
            nanos.push(before.elapsed().as_nanos() as u64);
            self.offset += self.bytes as u64;
            if self.offset + self.bytes as u64 > BARE_BYTES {
                self.offset = 0;
            }
        }
        Ok(nanos)
    }
}

fn write_file(path: &Path) -> Outcome<()> {
    let file = File::create_new(path)?;
    let zeros = vec![0; MIB];
    for offset in (0..BARE_BYTES).step_by(MIB) {
        file.write_all_at(&zeros, offset)?;
    }
    Ok(file.sync_all()?)
}

#[cfg(target_os = "linux")]
fn direct_flag() -> Outcome<i32> {
    Ok(libc::O_DIRECT)
}

#[cfg(not(target_os = "linux"))]
fn direct_flag() -> Outcome<i32> {
    Err("direct needs Linux".into())
}

/// The log as it ships, but for one thing: a frame takes one record, so that each record has a sync of its own.
struct Log {
    wal: Wal,
    notified: Receiver<()>,
    /// A notification is on its way: as in the engine, no second one goes out before it is looked at.
    pending: Arc<AtomicBool>,
    payload: Vec<u8>,
    last: u64,
    /// The log is cut so often, in records, as the state machine would have it cut: its files are used again.
    cut_every: u64,
}

impl Log {
    fn open(plan: &Plan) -> Outcome<Self> {
        let (sender, notified) = channel();
        let started = Instant::now();
        let options = WalOptions {
            segment_bytes: SEGMENT_BYTES,
            tail_bytes: 64 << 20,
            frame_bytes_max: 1,
            threads: true,
            direct_io: plan.direct,
            salt: 1,
            repair: Vec::new(),
            clock_micros: Arc::new(move || started.elapsed().as_micros() as u64),
        };
        let pending = Arc::new(AtomicBool::new(false));
        let flag = pending.clone();
        let notify = move || {
            if !flag.swap(true, Ordering::AcqRel) {
                _ = sender.send(());
            }
        };
        let (wal, _) = Wal::open(
            Arc::new(RealFileSystem),
            &plan.dir.join("log"),
            options,
            Arc::new(notify),
        )?;
        Ok(Self {
            wal,
            notified,
            pending,
            payload: vec![0xa5; plan.bytes - RECORD_HEADER_BYTES],
            last: 0,
            cut_every: SEGMENT_BYTES / 4 / plan.bytes as u64,
        })
    }

    /// A record is durable as soon as the writer gets round to it: it never waits for the submitter.
    fn queued(&mut self, time: Duration) -> Outcome<Vec<u64>> {
        let mut nanos = Vec::new();
        let mut ticket = 0;
        for _ in 0..QUEUED {
            ticket = self.submit()?;
        }
        let mut durable = ticket - QUEUED;
        let started = Instant::now();
        let mut before = started;
        while before - started < time {
            self.notification()?;
            let now_durable = self.durable()?;
            if now_durable == durable {
                continue; // about something else
            }
            let now = Instant::now();
            let count = now_durable - durable;
            let each = (now - before).as_nanos() as u64 / count;
            nanos.extend((0..count).map(|_| each));
            (durable, before) = (now_durable, now);
            while ticket < durable + QUEUED {
                ticket = self.submit()?;
            }
        }
        self.wait_for(ticket)?;
        Ok(nanos)
    }

    fn lone(&mut self, time: Duration) -> Outcome<Vec<u64>> {
        let mut nanos = Vec::new();
        let started = Instant::now();
        while started.elapsed() < time {
            let batch = self.next();
            let before = Instant::now();
            let ticket = self.wal.submit(batch)?;
            self.wait_for(ticket)?;
            nanos.push(before.elapsed().as_nanos() as u64);
        }
        Ok(nanos)
    }

    fn submit(&mut self) -> Outcome<u64> {
        let batch = self.next();
        Ok(self.wal.submit(batch)?)
    }

    fn next(&mut self) -> Batch {
        if self.last.is_multiple_of(self.cut_every) {
            self.wal.truncate(1, self.last.saturating_sub(QUEUED));
        }
        self.last += 1;
        let header = Header {
            kind: KIND_COMMANDS,
            group: 1,
            index: self.last,
            term: 1,
            time: self.last,
            first_revision: self.last,
            count: 1,
        };
        Batch {
            records: record::build(&self.payload, &header),
            ..Batch::default()
        }
    }

    fn durable(&self) -> Outcome<u64> {
        match self.wal.failure() {
            Some(failure) => Err(failure.into()),
            None => Ok(self.wal.durable()),
        }
    }

    fn wait_for(&self, ticket: u64) -> Outcome<()> {
        while self.durable()? < ticket {
            self.notification()?;
        }
        Ok(())
    }

    fn notification(&self) -> Outcome<()> {
        self.notified.recv()?;
        self.pending.store(false, Ordering::Release);
        Ok(())
    }
}

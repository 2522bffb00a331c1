//! An engine on an in-memory disk, and what a host does with it, for tests.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use eraft_core::engine::{
    ANSWER_HEAD_BYTES, Attachment, Compression, Engine, EngineError, ErrorCode, Notify, Options,
    RESULT_HEAD_BYTES, ReadOutcome,
};
use eraft_core::wal::HardState;

use super::batches::{Batch, Entry, GROUP, Log, Reply, read_batch, read_result, reply};

pub const MIB: usize = 1 << 20;

/// Small sizes; stepped; on an in-memory disk if it has a name, else in `dir`.
pub fn options(dir: &Path, memory: Option<&str>) -> Options {
    Options {
        dir: dir.to_path_buf(),
        replica: 1,
        cluster: Some([7; 16]),
        entropy: [3; 32],
        stepped: true,
        memory: memory.map(str::to_owned),
        repair: false,
        segment_bytes: 64 * 1024,
        tail_bytes: 64 * 1024,
        frame_bytes_max: 16 * 1024,
        direct_io: false,
        cache_bytes: MIB,
        memtable_bytes: 4 * MIB,
        compression: Compression::None,
        read_threads: 1,
        inline_bytes_max: 4096,
        queue_bytes_max: MIB as u64,
        results_bytes_max: MIB,
        answers_bytes_max: MIB,
        flush_log_bytes: MIB as u64,
        views_max: 8,
        view_idle_ms: 1_000,
    }
}

/// A name that no other test of this process uses.
pub fn disk_name(test: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{test}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn memory(name: &str) -> Options {
    options(&PathBuf::from("/data"), Some(name))
}

pub fn open(options: Options) -> Result<Attachment, EngineError> {
    Attachment::new(Engine::open(options)?, None)
}

/// The code of an error that must be one.
pub fn refusal<T>(outcome: Result<T, EngineError>) -> ErrorCode {
    match outcome {
        Ok(_) => panic!("not refused"),
        Err(error) => error.code,
    }
}

pub fn hard_state(term: u64, vote: u32, commit: u64) -> Vec<(u32, HardState)> {
    vec![(GROUP, HardState { term, vote, commit })]
}

/// Submits the next record of `log` with these batches; returns its ticket and index.
pub fn submit(
    held: &Attachment,
    log: &mut Log,
    batches: &[Batch],
) -> Result<(u64, u64), EngineError> {
    let record = log.record(batches);
    Ok((held.submit(&record, Vec::new())?, log.index))
}

/// Steps until idle.
pub fn settle(held: &Attachment) {
    while held.step().expect("an open engine") {}
}

pub fn put(key: u64, value: u64) -> Batch {
    Batch::new().put(
        format!("key-{key:04}").as_bytes(),
        format!("value-{value}").as_bytes(),
    )
}

/// All results that wait: (index, group, replies).
pub fn take_results(held: &Attachment) -> Vec<(u64, u32, Vec<Reply>)> {
    let mut room = vec![0; 4 * MIB];
    let taken = held.results(&mut room);
    assert!(taken >= 0, "4 MiB of room are too few");
    let mut slab = &room[..taken as usize];
    let mut found = Vec::new();
    while !slab.is_empty() {
        let number = |at: usize| u64::from_le_bytes(slab[at..at + 8].try_into().unwrap());
        let small = |at: usize| u32::from_le_bytes(slab[at..at + 4].try_into().unwrap());
        let bytes = small(20) as usize;
        let mut rest = &slab[RESULT_HEAD_BYTES..RESULT_HEAD_BYTES + bytes];
        let mut replies = Vec::new();
        for _ in 0..small(16) {
            let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
            replies.push(reply(&rest[8..8 + length]));
            rest = &rest[8 + length.next_multiple_of(8)..];
        }
        assert!(rest.is_empty());
        found.push((number(0), small(24), replies));
        slab = &slab[RESULT_HEAD_BYTES + bytes..];
    }
    found
}

/// All answers that wait: (tag, status, bytes).
pub fn take_answers(held: &Attachment) -> Vec<(u32, u32, Vec<u8>)> {
    let mut room = vec![0; 4 * MIB];
    let taken = held.answers(&mut room);
    assert!(taken >= 0, "4 MiB of room are too few");
    let mut slab = &room[..taken as usize];
    let mut found = Vec::new();
    while !slab.is_empty() {
        let small = |at: usize| u32::from_le_bytes(slab[at..at + 4].try_into().unwrap());
        let length = small(0) as usize;
        let bytes = slab[ANSWER_HEAD_BYTES..ANSWER_HEAD_BYTES + length].to_vec();
        found.push((small(4), small(8), bytes));
        slab = &slab[(ANSWER_HEAD_BYTES + length).next_multiple_of(8)..];
    }
    found
}

/// { length, tag, bytes, padding }, as `read` takes it.
pub fn frame(tag: u32, bytes: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    framed.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    framed.extend_from_slice(&tag.to_le_bytes());
    framed.extend_from_slice(bytes);
    framed.resize(framed.len().next_multiple_of(8), 0);
    framed
}

/// Reads keys from memory; panics if they are not there.
pub fn read(held: &Attachment, keys: &[&[u8]]) -> (u64, Vec<Option<Entry>>) {
    let mut room = vec![0; MIB];
    let outcome = held.read(GROUP, &frame(9, &read_batch(keys, false)), &mut room);
    let Ok(ReadOutcome::Written(bytes)) = outcome else {
        panic!("the read needs more room: {outcome:?}")
    };
    assert!(bytes > 0, "not in memory");
    let length = u32::from_le_bytes(room[..4].try_into().unwrap()) as usize;
    assert_eq!(u32::from_le_bytes(room[4..8].try_into().unwrap()), 9);
    read_result(&room[8..8 + length])
}

pub fn value(held: &Attachment, key: u64) -> Option<Vec<u8>> {
    let (_, mut entries) = read(held, &[format!("key-{key:04}").as_bytes()]);
    entries.remove(0).and_then(|entry| entry.value)
}

/// A clean end: flushed, marked, let go.
pub fn close(held: Attachment) {
    held.engine().close(true);
}

pub fn threaded(name: &str) -> Options {
    Options {
        stepped: false,
        ..memory(name)
    }
}

/// A notify that sends, and what it sends to.
pub fn signal() -> (Notify, Receiver<()>) {
    let (send, receive) = channel();
    let send = Mutex::new(send);
    let notify = move || {
        let _ = send.lock().unwrap().send(());
    };
    (Box::new(notify), receive)
}

/// Waits, woken by calls alone, until `done`. The limit only ends a test that hangs.
pub fn wait(held: &Attachment, calls: &Receiver<()>, done: impl Fn() -> bool) {
    loop {
        held.poll();
        if done() {
            return;
        }
        calls
            .recv_timeout(Duration::from_secs(30))
            .expect("no call although something was to come");
    }
}

//! A leader with a snapshot to give, and a follower that gets it.
#![allow(dead_code)]

use std::path::Path;

use eraft_core::engine::{Attachment, MARKER_FILE, Options, SnapshotInfo, memory_files};
use eraft_core::sys::FileSystem;

use super::batches::{self, Batch, GROUP, Log};
use super::engines::*;
use super::snapshots::*;

/// Submits and applies; returns the replies.
pub fn write(held: &Attachment, log: &mut Log, batches: &[Batch]) -> Vec<batches::Reply> {
    let (_, index) = submit(held, log, batches).unwrap();
    settle(held);
    held.apply(GROUP, index, true).unwrap();
    settle(held);
    take_results(held).pop().expect("applied").2
}

/// A leader with twenty entries, keys 0 to 19, and a session that has sent two batches.
pub fn leader(name: &str) -> (Attachment, Log) {
    let held = open(memory(name)).unwrap();
    let mut log = Log {
        term: 3,
        ..Log::default()
    };
    held.submit(&[], hard_state(3, 1, 0)).unwrap();
    for n in 0..17 {
        write(&held, &mut log, &[put(n, n)]);
    }
    let session = write(&held, &mut log, &[Batch::register()])[0].first_revision;
    assert_eq!(session, 18);
    for sequence in 1..=2 {
        write(
            &held,
            &mut log,
            &[Batch::of(18, sequence, 0).increment(b"counter", 1)],
        );
    }
    held.save_conf(GROUP, 5, b"members").unwrap();
    settle(&held);
    (held, log)
}

pub fn second(name: &str) -> Options {
    Options {
        replica: 2,
        ..memory(name)
    }
}

/// A follower that has gone its own way for `entries` entries: other keys, an own session.
pub fn follower(name: &str, entries: u64, term: u64) -> (Attachment, Log) {
    let held = open(second(name)).unwrap();
    let mut log = Log {
        term,
        ..Log::default()
    };
    held.submit(&[], hard_state(4, 0, 0)).unwrap();
    for n in 0..entries {
        let batch = match n {
            2 => Batch::register(),
            _ => put(100 + n, n),
        };
        write(&held, &mut log, &[batch]);
    }
    (held, log)
}

pub fn transfer(from: &Attachment, to: &Attachment) -> SnapshotInfo {
    let info = create(from);
    send(&parts(from, &info), &info, to);
    info
}

pub fn marker(name: &str) -> bool {
    memory_files(name)
        .unwrap()
        .list(Path::new("/data"))
        .unwrap()
        .iter()
        .any(|file| file == MARKER_FILE)
}

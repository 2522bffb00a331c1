//! raft-engine's log faults that the other tests do not reach: errors of reads, errors while a log is being recovered,
//! old bytes exactly where the next frame goes, and empty batches among others.

#[path = "common/driver.rs"]
mod driver;
#[path = "common/logs.rs"]
mod logs;

use std::io::IoSlice;
use std::path::Path;

use driver::{Action, Driver};
use eraft_core::sys::{Fault, FileSystem, MemoryFileSystem, Open};
use eraft_core::wal::*;
use logs::*;

/// `read_error`: a read that the disk refuses is that read's error. The log goes on, and so does the next read.
#[test]
fn a_failed_read_is_the_error_of_that_read_alone() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    let ticket = wal.submit(entries(1, 1..=60, 1)).unwrap();
    step_until_durable(&wal, ticket);
    settle(&wal);
    let whole = entries(1, 1..=60, 1).records;
    let before = fs.operations();
    assert_eq!(wal.read(1, 1, 60, usize::MAX).unwrap(), whole);
    let operations = fs.operations() - before;
    assert!(operations > 1, "most of it has left memory");
    for operation in 1..=operations {
        fs.fail_at(fs.operations() + operation, Fault::Error);
        let failed = wal.read(1, 1, 60, usize::MAX);
        assert!(matches!(failed, Err(WalError::Io { .. })), "{failed:?}");
        assert_eq!(wal.failure(), None, "read {operation}");
        assert_eq!(wal.read(1, 1, 60, usize::MAX).unwrap(), whole);
    }
    let ticket = wal.submit(entries(1, 61..=61, 1)).unwrap();
    step_until_durable(&wal, ticket);
}

/// Appends, replaced suffixes, votes and truncations, then the power goes in the middle of a write.
fn torn_log() -> Driver {
    let mut driver = Driver::new(MemoryFileSystem::new());
    driver.open().unwrap();
    for round in 0..30 {
        let appended = Action::Append {
            group: 1 + round % 2,
            count: 4,
            bytes: 120,
        };
        let replaced = Action::Replace {
            group: 1,
            back: 3,
            count: 2,
        };
        let truncated = Action::Truncate { group: 1, back: 30 };
        for action in [appended, replaced, truncated, Action::Settle] {
            driver.act(&action).unwrap();
        }
    }
    let last = Action::Append {
        group: 1,
        count: 6,
        bytes: 150,
    };
    driver.act(&last).unwrap();
    driver.act(&Action::Step { count: 1 }).unwrap();
    driver
}

/// `error_during_repair`: recovery may fail at any operation, several times over, and finds everything in the end.
#[test]
fn recovery_that_fails_at_any_operation_can_be_tried_again() {
    let undisturbed = torn_log().fs.crash(5);
    let before = undisturbed.operations();
    drop(open(&undisturbed, 1 << 40).unwrap());
    let operations = undisturbed.operations() - before;
    assert!(operations > 20, "{operations}");
    let mut refused = 0;
    for operation in 1..=operations {
        for fault in [Fault::Error, Fault::Full, Fault::Short] {
            let mut driver = torn_log();
            driver.wal = None;
            let fs = driver.fs.crash(5);
            for (attempt, at) in [operation, operation, 1 + operation / 2]
                .into_iter()
                .enumerate()
            {
                fs.fail_at(fs.operations() + at, fault);
                let opened = open(&fs, (1 << 40) + attempt as u64);
                if let Err(error) = opened {
                    assert!(matches!(error, WalError::Io { .. }), "{operation}: {error}");
                    refused += 1;
                }
            }
            let what = |error| panic!("operation {operation}, {fault:?}: {error}");
            driver.restart(fs.copy()).unwrap_or_else(what);
            driver
                .act(&Action::PowerLoss { seed: operation })
                .unwrap_or_else(what);
            driver
                .act(&Action::Mixed { bytes: 50 })
                .unwrap_or_else(what);
        }
    }
    assert!(refused > 0);
}

/// Where frames begin in a file.
fn frames_in(bytes: &[u8]) -> Vec<usize> {
    let places = (0..bytes.len().saturating_sub(88)).step_by(8);
    places
        .filter(|&place| &bytes[place + 4..place + 8] == b"eFRM")
        .collect()
}

/// `recycle_with_stale_logbatch_at_tail`: a recycled file is full of whole old frames, and one of them may stand exactly where
/// the next one goes. None is taken for one of this log, be it of this file, of another one or of an earlier opening.
#[test]
fn whole_old_frames_behind_the_end_are_no_frames() {
    let fs = MemoryFileSystem::new();
    let mut last = 0;
    for salt in 1..=2 {
        let (wal, _) = open(&fs, salt).unwrap();
        for index in last + 1..=last + 150 {
            let ticket = wal.submit(entries(1, index..=index, salt)).unwrap();
            step_until_durable(&wal, ticket);
            wal.truncate(1, index.saturating_sub(60));
        }
        last += 150; // and the process ends
    }
    let files = files(&fs);
    let newest = files.keys().rfind(|name| name.ends_with(".log")).unwrap();
    let record = entry(1, last, 2, 100);
    let written = files[newest]
        .windows(record.len())
        .position(|window| window == record);
    let trailer = 8;
    let end = written.expect("the last record is in the newest file") + record.len() + trailer;
    let (whole, expected) = {
        let (wal, groups) = open(&fs.copy(), 3).unwrap();
        let first = groups[0].compacted_index + 1;
        (wal.read(1, first, last, usize::MAX).unwrap(), groups)
    };
    let mut tried = 0;
    for bytes in files.values() {
        for pair in frames_in(bytes).windows(2) {
            let old = &bytes[pair[0]..pair[1]];
            let damaged = fs.copy();
            let path = Path::new(DIR).join(newest);
            let file = damaged.open(&path, Open::Write).unwrap();
            file.write_at(end as u64, &[IoSlice::new(old)]).unwrap();
            let (wal, groups) = open(&damaged, 3).unwrap();
            assert_eq!(groups, expected, "a frame of {} bytes", old.len());
            let first = groups[0].compacted_index + 1;
            assert_eq!(wal.read(1, first, last, usize::MAX).unwrap(), whole);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

/// `concurrent_write_empty_log_batch`: nothing to write is durable with what was submitted before it, and harms nobody.
#[test]
fn empty_batches_among_others() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    let nothing = wal.submit(Batch::default()).unwrap();
    assert!(nothing <= wal.durable(), "there is nothing to wait for");
    let threaded = WalOptions {
        threads: true,
        ..options(2)
    };
    drop(wal);
    let (wal, _) = open_with(&fs, threaded).unwrap();
    std::thread::scope(|scope| {
        for group in 1..=3 {
            let wal = &wal;
            scope.spawn(move || {
                for index in 1..=100 {
                    let ticket = wal.submit(entries(group, index..=index, 1)).unwrap();
                    assert!(wal.submit(Batch::default()).unwrap() >= ticket);
                }
            });
        }
    });
    wal.close().unwrap();
    drop(wal);
    let (_, groups) = open(&fs.crash(1), 3).unwrap();
    assert_eq!(
        groups
            .iter()
            .map(|group| group.last_index)
            .collect::<Vec<_>>(),
        [100; 3]
    );
}

//! A full disk: nothing fails, writes wait, reads go on, and all goes well again when space returns.

#[path = "common/driver.rs"]
mod driver;
#[path = "common/lingering.rs"]
mod lingering;
#[path = "common/logs.rs"]
mod logs;

use std::path::Path;
use std::sync::Arc;

use driver::{Action, Driver};
use eraft_core::sys::{Fault, MemoryFileSystem};
use eraft_core::wal::*;
use lingering::Lingering;
use logs::*;

#[test]
fn writes_wait_until_space_returns() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    settle(&wal);
    fs.set_capacity(Some(fs.used()));
    let mut model = Model::default();
    let mut ticket = 0;
    for index in 1..=200 {
        let batch = entries(1, index..=index, 1);
        model.apply(&batch);
        ticket = wal.submit(batch).unwrap();
        settle(&wal);
    }
    let status = wal.status();
    assert!(
        status.disk_full && wal.durable() > 30 && wal.durable() < ticket,
        "{status:?}"
    );
    assert_eq!(wal.failure(), None);
    assert!(!wal.step(), "it waits, it does not spin");
    assert_eq!(
        wal.read(1, 1, 200, usize::MAX).unwrap().len(),
        160 * wal.durable() as usize
    );
    let mut out = Vec::new();
    assert!(matches!(
        wal.read_tail(1, 200, 200, 1, &mut out),
        TailRead::Read { .. }
    ));
    fs.set_capacity(None);
    step_until_durable(&wal, ticket);
    assert!(!wal.status().disk_full);
    drop(wal);
    let (wal, groups) = open(&fs.crash(1), 2).unwrap();
    model.matches(&wal, &groups).unwrap();
}

/// The log itself fills the disk. What nobody wants must come free without a new file.
#[test]
fn truncation_frees_a_full_disk() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    settle(&wal);
    fs.set_capacity(Some(5 * SEGMENT_BYTES));
    let mut index = 0;
    for _ in 0..20 {
        while !wal.status().disk_full || wal.status().queued_bytes == 0 {
            index += 1;
            // A frame is smaller than a checkpoint: without room kept for one, none would be left.
            let records = entry(1, index, 1, 8);
            wal.submit(Batch {
                records,
                ..Batch::default()
            })
            .unwrap();
            settle(&wal);
        }
        assert!(wal.durable() < index);
        wal.truncate(1, wal.durable());
        settle(&wal);
        assert_eq!(wal.durable(), index, "all that waited is written");
    }
    drop(wal);
    let (_, groups) = open(&fs.crash(1), 2).unwrap();
    assert_eq!(groups[0].last_index, index);
}

/// Files that nobody needs go back to the disk a piece at a time; when there is no space, all that is left of them at once.
#[test]
fn what_was_removed_makes_room_at_once_when_there_is_none() {
    const SEGMENT: u64 = 2 << 20;
    const SEGMENTS: u64 = 6;
    let fs = Lingering::new(SEGMENTS * SEGMENT + 4096);
    let options = WalOptions {
        segment_bytes: SEGMENT,
        frame_bytes_max: 64 * 1024,
        ..options(1)
    };
    let (wal, _) = Wal::open(
        Arc::new(fs.clone()),
        Path::new(DIR),
        options,
        Arc::new(|| {}),
    )
    .unwrap();
    settle(&wal);
    let mut index = 0;
    let mut submit = |count: u64| {
        for _ in 0..count {
            index += 1;
            let records = entry(1, index, 1, 30_000);
            let batch = Batch {
                records,
                ..Batch::default()
            };
            wal.submit(batch).unwrap();
        }
        index
    };
    while !wal.status().disk_full {
        submit(10);
        settle(&wal);
    }
    // All but the newest segment: two become spares, the others linger.
    wal.truncate(1, wal.durable());
    while fs.lingering() < 2 * SEGMENT {
        assert!(wal.step());
    }
    // More than the spares hold, and what is free beside them, before anything is given back.
    let last = submit(4 * SEGMENT / 30_000);
    let ticket = wal.submit(entries(1, last + 1..=last + 1, 1)).unwrap();
    step_until_durable(&wal, ticket);
    assert_eq!((fs.lingering(), wal.status().disk_full), (0, false));
}

#[test]
fn a_log_opens_on_a_full_disk() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=30, 1)).unwrap();
    settle(&wal);
    drop(wal);
    fs.set_capacity(Some(fs.used()));
    for salt in 2..6 {
        // The first opening takes the spare segment that is there; the others find none.
        let (wal, groups) = open(&fs, salt).unwrap();
        assert_eq!(groups[0].last_index, 30);
        settle(&wal);
        assert!(wal.status().disk_full || salt < 3, "{salt}");
        assert_eq!(
            wal.read(1, 1, 30, usize::MAX).unwrap(),
            entries(1, 1..=30, 1).records
        );
    }
    let (wal, _) = open(&fs, 9).unwrap();
    let ticket = wal.submit(entries(1, 31..=31, 1)).unwrap();
    assert!(!wal.step());
    fs.set_capacity(None);
    step_until_durable(&wal, ticket);
    drop(wal);
    assert_eq!(open(&fs.crash(4), 10).unwrap().1[0].last_index, 31);
}

/// Growing and being cut at one pace, the log goes round among the files that it has.
#[test]
fn a_log_that_is_cut_as_it_grows_needs_no_new_file() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    let kept = 2 * SEGMENT_BYTES / 160;
    for index in 1..=2000 {
        let ticket = wal.submit(entries(1, index..=index, 1)).unwrap();
        settle(&wal);
        if index == 500 {
            fs.set_capacity(Some(fs.used()));
        }
        assert_eq!((wal.durable(), wal.status().disk_full), (ticket, false));
        wal.truncate(1, index.saturating_sub(kept));
    }
}

#[test]
fn closing_with_a_full_disk_says_so() {
    let fs = MemoryFileSystem::new();
    for threads in [false, true] {
        let (wal, _) = open_with(
            &fs,
            WalOptions {
                threads,
                ..options(1)
            },
        )
        .unwrap();
        fs.set_capacity(Some(fs.used()));
        let first = wal
            .status()
            .groups
            .first()
            .map_or(0, |group| group.last_index)
            + 1;
        wal.submit(entries(1, first..=first + 400, 1)).unwrap();
        assert!(wal.close().unwrap_err().is_full());
        fs.set_capacity(None);
    }
}

/// No space at any operation, once: never a failure of the log where a new file was being prepared.
#[test]
fn no_space_at_every_operation() {
    let actions: Vec<Action> = (0..40)
        .flat_map(|_| {
            [
                Action::Append {
                    group: 1,
                    count: 3,
                    bytes: 200,
                },
                Action::Settle,
            ]
        })
        .collect();
    let undisturbed = MemoryFileSystem::new();
    let mut driver = Driver::new(undisturbed.clone());
    driver.open().unwrap();
    actions
        .iter()
        .for_each(|action| driver.act(action).unwrap());
    let mut waited = 0;
    for operation in 1..=undisturbed.operations() {
        let fs = MemoryFileSystem::new();
        fs.fail_at(operation, Fault::Full);
        let mut driver = Driver::new(fs.clone());
        let answer = driver.open().and_then(|()| {
            actions.iter().try_for_each(|action| {
                driver.act(action)?;
                waited += usize::from(driver.wal.as_ref().unwrap().status().disk_full);
                Ok(())
            })
        });
        if let Err(error) = answer {
            assert!(error.is_full(), "operation {operation}: {error}");
        }
        driver.restart(fs.crash(operation)).unwrap();
    }
    assert!(waited > 0, "some of them met the preparation of a file");
}

/// Segments of several pieces: each piece is a turn of its own, and the turns of the writer come between them.
#[test]
fn large_segments_are_prepared_and_given_back_in_pieces() {
    const PIECES: usize = 4;
    let fs = MemoryFileSystem::new();
    let large = |salt| WalOptions {
        segment_bytes: (PIECES as u64) << 20,
        frame_bytes_max: 1 << 20,
        ..options(salt)
    };
    let (wal, _) = open_with(&fs, large(1)).unwrap();
    let mut index = 0;
    let mut rotate = |wal: &Wal| {
        let before = fs.paths().len();
        let mut steps = 0;
        while fs.paths().len() == before {
            index += 1;
            let records = entry(1, index, 1, 400_000);
            let ticket = wal.submit(Batch {
                records,
                ..Batch::default()
            });
            step_until_durable(wal, ticket.unwrap());
            steps = (0..).take_while(|_| wal.step()).count();
        }
        (index, steps)
    };
    settle(&wal);
    for _ in 0..4 {
        let (_, steps) = rotate(&wal);
        assert!(steps >= PIECES, "a spare took {steps} steps");
    }
    let (last, _) = rotate(&wal);
    let files = fs.paths().len();
    wal.truncate(1, last - 1);
    let steps = (0..).take_while(|_| wal.step()).count();
    let removed = files - fs.paths().len();
    assert!(removed >= 2, "{removed} removed");
    assert!(
        steps >= removed * PIECES,
        "{removed} files took {steps} steps"
    );
    drop(wal);
    let (wal, _) = open_with(&fs.crash(1), large(2)).unwrap();
    assert_eq!(
        wal.read(1, last, last, usize::MAX).unwrap(),
        entry(1, last, 1, 400_000)
    );
}

//! The log when nothing goes wrong: order, reads from memory and disk, rotation, truncation, groups, status.

#[path = "common/logs.rs"]
mod logs;

use std::path::Path;
use std::sync::Arc;

use eraft_core::record::{self, records, records_trusted};
use eraft_core::sys::MemoryFileSystem;
use eraft_core::wal::*;
use logs::*;

fn indexes(bytes: &[u8]) -> Vec<u64> {
    records(bytes)
        .map(|record| record.unwrap().header().index)
        .collect()
}

#[test]
fn a_fresh_log_is_empty_and_a_closed_one_comes_back() {
    let fs = MemoryFileSystem::new();
    let (wal, groups) = open(&fs, 1).unwrap();
    assert_eq!(groups, []);
    let mut batch = entries(1, 1..=3, 2);
    batch.hard_states = vec![(
        1,
        HardState {
            term: 2,
            vote: 3,
            commit: 2,
        },
    )];
    batch.confs = vec![(1, 1, b"three members".to_vec())];
    let ticket = wal.submit(batch).unwrap();
    assert_eq!(wal.durable(), ticket - 1);
    settle(&wal);
    assert_eq!((wal.durable(), wal.durable_votes()), (ticket, ticket));
    wal.close().unwrap();
    assert_eq!(wal.submit(entries(1, 4..=4, 2)), Err(WalError::Closed));
    drop(wal);
    let (wal, groups) = open(&fs, 2).unwrap();
    let expected = GroupState {
        group: 1,
        hard_state: HardState {
            term: 2,
            vote: 3,
            commit: 2,
        },
        last_index: 3,
        term_runs: vec![(1, 2)],
        sizes: vec![160; 3],
        last_time: 2003,
        next_revision: 8,
        conf: Some((1, b"three members".to_vec())),
        ..GroupState::default()
    };
    assert_eq!(groups, [expected]);
    assert_eq!(indexes(&wal.read(1, 1, 3, usize::MAX).unwrap()), [1, 2, 3]);
}

#[test]
fn records_are_read_before_they_are_durable_and_after_they_left_memory() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    let mut out = Vec::new();
    for index in 1..=60 {
        wal.submit(entries(1, index..=index, 1)).unwrap();
        out.clear();
        let read = wal.read_tail(1, index, u64::MAX, usize::MAX, &mut out);
        assert_eq!(read, TailRead::Read { last: index });
        assert_eq!(indexes(&wal.read(1, 1, u64::MAX, 1).unwrap()), [1]);
        settle(&wal);
        assert!(wal.status().tail_bytes <= 2048);
    }
    assert_eq!(
        wal.read_tail(1, 1, 60, usize::MAX, &mut out),
        TailRead::Missing
    );
    assert_eq!(
        wal.read_tail(1, 61, 61, usize::MAX, &mut out),
        TailRead::Missing
    );
    assert_eq!(
        wal.read_tail(2, 1, 1, usize::MAX, &mut out),
        TailRead::Missing
    );
    let all: Vec<u64> = (1..=60).collect();
    assert_eq!(indexes(&wal.read(1, 1, 60, usize::MAX).unwrap()), all);
    assert_eq!(indexes(&wal.read(1, 7, 60, 500).unwrap()), [7, 8, 9]);
    assert_eq!(indexes(&wal.read(1, 7, 8, 500).unwrap()), [7, 8]);
    assert!(matches!(
        wal.read(1, 61, 61, 1),
        Err(WalError::OutOfRange { last_index: 60, .. })
    ));
    assert!(matches!(
        wal.read(9, 1, 1, 1),
        Err(WalError::OutOfRange { last_index: 0, .. })
    ));
    let (chunks, last) = wal.tail_chunks(1, 58, 60, 400).unwrap();
    assert_eq!(last, 59);
    let found: Vec<u64> = chunks
        .iter()
        .flat_map(|c| records_trusted(c).map(|r| r.unwrap().header().index))
        .collect();
    assert_eq!(found, [58, 59]);
}

#[test]
fn a_large_batch_takes_several_frames_and_one_ticket() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    settle(&wal);
    let before = wal.status().sync_count;
    let ticket = wal.submit(entries(1, 1..=100, 1)).unwrap();
    step_until_durable(&wal, ticket);
    let syncs = wal.status().sync_count - before;
    assert!(syncs >= 16, "160 bytes each, 1024 a frame: {syncs}");
    assert_eq!(
        wal.read(1, 1, 100, usize::MAX).unwrap(),
        entries(1, 1..=100, 1).records
    );
    // Many small ones share a frame.
    let before = wal.status().sync_count;
    let tickets: Vec<u64> = (101..=106)
        .map(|index| wal.submit(entries(1, index..=index, 1)).unwrap())
        .collect();
    step_until_durable(&wal, tickets[5]);
    assert_eq!(wal.status().sync_count - before, 1);
}

#[test]
fn later_records_replace_a_suffix() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    let mut model = Model::default();
    for batch in [
        entries(1, 1..=30, 1),
        entries(1, 20..=22, 2),
        entries(1, 22..=40, 3),
    ] {
        model.apply(&batch);
        wal.submit(batch).unwrap(); // the second replaces what is still queued
    }
    settle(&wal);
    let batch = entries(1, 10..=12, 4); // and this one what is on disk
    model.apply(&batch);
    wal.submit(batch).unwrap();
    assert!(matches!(
        wal.read(1, 13, 13, 1),
        Err(WalError::OutOfRange { last_index: 12, .. })
    ));
    settle(&wal);
    drop(wal);
    let (wal, groups) = open(&fs, 2).unwrap();
    model.matches(&wal, &groups).unwrap();
    assert_eq!(groups[0].term_runs, [(1, 1), (10, 4)]);
}

#[test]
fn whole_segments_go_when_every_group_agrees() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    let mut model = Model::default();
    for index in 1..=200 {
        for batch in [entries(1, index..=index, 1), entries(2, index..=index, 1)] {
            model.apply(&batch);
            wal.submit(batch).unwrap();
        }
        settle(&wal);
    }
    let full = wal.status();
    assert!(full.segments > 8);
    wal.truncate(1, 150);
    settle(&wal);
    assert_eq!(
        wal.status().segments,
        full.segments,
        "group 2 needs them all"
    );
    wal.truncate(2, 100);
    settle(&wal);
    let status = wal.status();
    assert!(status.segments < full.segments && status.bytes < full.bytes);
    let first = status.groups[1].first_index;
    assert!(first > 1 && first <= 101, "{first}");
    assert!(matches!(
        wal.read(2, 1, 1, 1),
        Err(WalError::Compacted { .. })
    ));
    assert_eq!(
        wal.read(2, first, 200, usize::MAX).unwrap(),
        entries(2, first..=200, 1).records
    );
    assert!(matches!(
        wal.submit(entries(1, first - 1..=first, 1)),
        Err(WalError::Invalid { .. })
    ));
    drop(wal);
    let (wal, groups) = open(&fs, 2).unwrap();
    model.matches(&wal, &groups).unwrap();
    assert_eq!(groups[1].compacted_index + 1, first);
    assert_eq!(groups[1].compacted_term, 1);
    // Everything may go but the last segment; an idle group's vote stays.
    wal.submit(hard_state(2, 7, 3, 200)).unwrap();
    settle(&wal);
    for index in 201..=400 {
        wal.submit(entries(1, index..=index, 1)).unwrap();
        wal.truncate(1, index - 1);
        wal.truncate(2, 200);
        settle(&wal);
        assert!(wal.status().segments <= 3 && files(&fs).len() <= 4);
    }
    drop(wal);
    let (_, groups) = open(&fs, 3).unwrap();
    assert_eq!(
        groups[1].hard_state,
        HardState {
            term: 7,
            vote: 3,
            commit: 200
        }
    );
    assert_eq!(
        (groups[1].compacted_index, groups[1].compacted_term),
        (200, 1)
    );
    assert_eq!((groups[1].last_index, groups[1].next_revision), (200, 402));
}

#[test]
fn wrong_batches_are_refused_whole() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=5, 3)).unwrap();
    wal.submit(hard_state(1, 3, 2, 4)).unwrap();
    settle(&wal);
    let gap = [entry(1, 6, 3, 8), entry(1, 8, 3, 8)].concat();
    let mut truncated = entry(1, 6, 3, 8);
    truncated.pop();
    let two = |first: Batch, second: Batch| Batch {
        hard_states: second.hard_states,
        ..first
    };
    let wrong = [
        entries(1, 7..=7, 3),
        entries(2, 2..=2, 1),
        entries(1, 0..=0, 3),
        entries(1, 6..=6, 2),
        Batch {
            records: gap,
            ..Batch::default()
        },
        Batch {
            records: truncated,
            ..Batch::default()
        },
        Batch {
            records: entry(1, 6, 3, 5000),
            ..Batch::default()
        },
        hard_state(1, 2, 2, 4),
        hard_state(1, 3, 1, 4),
        two(entries(1, 6..=6, 3), hard_state(1, 3, 2, 7)),
        Batch {
            confs: vec![(1, 1, vec![0; 1024])],
            ..Batch::default()
        },
    ];
    for (number, batch) in wrong.into_iter().enumerate() {
        let answer = wal.submit(batch);
        assert!(
            matches!(answer, Err(WalError::Invalid { .. })),
            "{number}: {answer:?}"
        );
    }
    assert!(!wal.step(), "nothing was queued");
    let ticket = wal.submit(Batch::default()).unwrap();
    assert_eq!(
        ticket,
        wal.durable(),
        "an empty batch is as durable as the last"
    );
    assert_eq!(
        wal.submit(two(entries(1, 6..=6, 3), hard_state(1, 3, 2, 6))),
        Ok(ticket + 1)
    );
}

#[test]
fn wrong_options_are_refused() {
    let fs = MemoryFileSystem::new();
    for (segment_bytes, frame_bytes_max) in [(0, 1), (5000, 1), (2 << 30, 1), (8192, 0)] {
        let options = WalOptions {
            segment_bytes,
            frame_bytes_max,
            ..options(1)
        };
        assert!(matches!(
            open_with(&fs, options),
            Err(WalError::Options { .. })
        ));
    }
    assert!(fs.operations() == 0, "nothing was touched");
}

#[test]
fn segments_may_have_another_size_next_time() {
    let fs = MemoryFileSystem::new();
    let mut model = Model::default();
    for (life, segment_bytes) in [8192, 4096, 16384, 8192].into_iter().enumerate() {
        let options = WalOptions {
            segment_bytes,
            ..options(life as u64)
        };
        let (wal, groups) = open_with(&fs, options).unwrap();
        model.matches(&wal, &groups).unwrap();
        let first = model.last(1) + 1;
        let batch = entries(1, first..=first + 90, 1);
        model.apply(&batch);
        wal.submit(batch).unwrap();
        settle(&wal);
    }
    let (wal, groups) = open(&fs, 9).unwrap();
    model.matches(&wal, &groups).unwrap();
}

#[test]
fn the_largest_record_goes_through() {
    let fs = MemoryFileSystem::new();
    let options = WalOptions {
        segment_bytes: 16 << 20,
        frame_bytes_max: 1 << 20,
        ..options(1)
    };
    let (wal, _) = open_with(&fs, options.clone()).unwrap();
    let mut records = Vec::new();
    for index in 1..=5 {
        records.extend(entry(1, index, 1, record::RECORD_PAYLOAD_BYTES_MAX));
    }
    let ticket = wal
        .submit(Batch {
            records: records.clone(),
            ..Batch::default()
        })
        .unwrap();
    step_until_durable(&wal, ticket);
    drop(wal);
    let (wal, _) = open_with(&fs, options).unwrap();
    assert!(wal.read(1, 1, 5, usize::MAX).unwrap() == records);
}

#[test]
fn the_mark_is_written_once() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=1, 1)).unwrap();
    settle(&wal);
    let syncs = wal.status().sync_count;
    assert!(!wal.step() && !wal.step());
    assert_eq!(wal.status().sync_count, syncs);
    assert_eq!(wal.status().sync_buckets.iter().sum::<u64>(), syncs);
    assert_eq!(wal.status().sync_pending_micros, 0);
    assert_eq!(wal.status().queued_bytes, 0);
    let _: Arc<dyn Send> = Arc::new(wal); // may be shared by threads
    let _ = Path::new(DIR);
}

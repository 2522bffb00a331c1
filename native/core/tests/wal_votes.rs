//! A vote never waits behind records, and never says more than was true.

#[path = "common/logs.rs"]
mod logs;

use std::sync::Arc;

use eraft_core::sys::MemoryFileSystem;
use eraft_core::wal::*;
use logs::*;
use parking_lot::Mutex;

#[test]
fn a_vote_overtakes_what_is_queued() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    settle(&wal);
    let slow = wal.submit(entries(1, 1..=100, 1)).unwrap();
    let vote = wal.submit(hard_state(1, 9, 2, 0)).unwrap();
    assert!(wal.step());
    assert!(wal.durable() < slow);
    assert_eq!(wal.durable_votes(), vote);
    drop(wal);
    let (_, groups) = open(&fs.crash(3), 2).unwrap();
    assert_eq!(
        groups[0].hard_state,
        HardState {
            term: 9,
            vote: 2,
            commit: 0
        }
    );
    assert!(groups[0].last_index < 100);
}

/// Old entries 1 to 10 are on disk; new ones replace them and are committed, all of it still queued. The vote that
/// overtakes them must not say that the old ones are committed.
#[test]
fn early_vote_carries_the_old_commit() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=10, 1)).unwrap();
    wal.submit(hard_state(1, 1, 1, 2)).unwrap();
    settle(&wal);
    wal.submit(entries(2, 1..=50, 1)).unwrap(); // fills the next frames
    wal.submit(entries(1, 3..=10, 2)).unwrap();
    let commit = wal.submit(hard_state(1, 2, 1, 10)).unwrap();
    assert!(wal.step());
    assert!(wal.durable() < commit && wal.durable_votes() == commit);
    let (_, groups) = open(&fs.crash(1), 2).unwrap();
    assert_eq!(
        groups[0].hard_state,
        HardState {
            term: 2,
            vote: 1,
            commit: 2
        }
    );
    assert_eq!(groups[0].term_runs, [(1, 1)]);
    step_until_durable(&wal, commit);
    let (_, groups) = open(&fs.crash(1), 2).unwrap();
    assert_eq!(
        groups[0].hard_state,
        HardState {
            term: 2,
            vote: 1,
            commit: 10
        }
    );
    assert_eq!(groups[0].term_runs, [(1, 1), (3, 2)]);
}

/// A vote submitted while a frame is under way goes with the next one, even if its group had one in this frame.
#[test]
fn votes_in_quick_succession() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    for term in 1..=20 {
        let ticket = wal
            .submit(hard_state(1, term, 1 + term as u32 % 3, 0))
            .unwrap();
        if term % 3 == 0 {
            assert!(wal.step());
            assert_eq!((wal.durable(), wal.durable_votes()), (ticket, ticket));
        }
    }
    settle(&wal);
    let (_, groups) = open(&fs.crash(1), 2).unwrap();
    assert_eq!(
        groups[0].hard_state,
        HardState {
            term: 20,
            vote: 3,
            commit: 0
        }
    );
}

/// A vote that comes while a frame with an older vote of its group is under way: it overtakes in the next frame, and is
/// not reported before.
#[test]
fn a_vote_during_a_sync() {
    type Hook = Box<dyn FnOnce() + Send>;
    let hook: Arc<Mutex<Option<Hook>>> = Arc::default();
    let during = hook.clone();
    // The clock is read before and after a sync, hence after the frame was gathered.
    let clock = move || {
        let hook = during.lock().take();
        hook.into_iter().for_each(|hook| hook());
        0
    };
    let fs = MemoryFileSystem::new();
    let options = WalOptions {
        clock_micros: Arc::new(clock),
        ..options(1)
    };
    let wal = Arc::new(open_with(&fs, options).unwrap().0);
    let first = wal.submit(hard_state(1, 1, 1, 0)).unwrap();
    let submitter = wal.clone();
    *hook.lock() = Some(Box::new(move || {
        submitter.submit(entries(2, 1..=50, 1)).unwrap();
        submitter.submit(hard_state(1, 2, 3, 0)).unwrap();
    }));
    assert!(wal.step());
    assert_eq!((wal.durable(), wal.durable_votes()), (first, first));
    assert!(wal.step());
    assert_eq!((wal.durable(), wal.durable_votes()), (first, first + 2));
    let (_, groups) = open(&fs.crash(1), 2).unwrap();
    assert_eq!(
        groups[0].hard_state,
        HardState {
            term: 2,
            vote: 3,
            commit: 0
        }
    );
}

/// The vote of a group that never writes again stays when every segment that held it is gone.
#[test]
fn an_idle_group_keeps_its_vote() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(hard_state(5, 4, 3, 0)).unwrap();
    for index in 1..=300 {
        wal.submit(entries(1, index..=index, 1)).unwrap();
        wal.truncate(1, index - 1);
        settle(&wal);
    }
    assert!(files(&fs).keys().next().unwrap().as_str() > "0000000000000005.log");
    let (_, groups) = open(&fs.crash(1), 2).unwrap();
    let idle = groups.iter().find(|state| state.group == 5).unwrap();
    assert_eq!(
        idle.hard_state,
        HardState {
            term: 4,
            vote: 3,
            commit: 0
        }
    );
}

//! A group's log that begins anew behind a snapshot: what stays and what goes, through crashes and damage.

#[path = "common/driver.rs"]
mod driver;
#[path = "common/logs.rs"]
mod logs;
#[path = "common/seeds.rs"]
mod seeds;

use std::io::IoSlice;
use std::path::Path;

use driver::{Action, Driver, Random};
use eraft_core::sys::{Fault, FileSystem, MemoryFileSystem, Open};
use eraft_core::wal::*;
use logs::*;
use proptest::prelude::*;

fn script(seed: u64, length: usize) -> Vec<Action> {
    let mut random = Random(seed);
    (0..length).map(|_| random.action_or_base()).collect()
}

fn run(driver: &mut Driver, actions: &[Action]) {
    if driver.open().is_ok() {
        for action in actions {
            if driver.act(action).is_err() {
                return;
            }
        }
    }
}

fn state_of(states: &[GroupState], group: u32) -> &GroupState {
    let found = states.iter().find(|state| state.group == group);
    found.expect("the group is known")
}

#[test]
fn a_crash_at_every_operation() {
    let actions = script(5, 160);
    let undisturbed = MemoryFileSystem::new();
    run(&mut Driver::new(undisturbed.clone()), &actions);
    let operations = undisturbed.operations();
    assert!(operations > 400, "{operations}");
    for operation in 1..=operations {
        let fs = MemoryFileSystem::new();
        fs.fail_at(operation, Fault::PowerLoss);
        let mut driver = Driver::new(fs.clone());
        let verdict = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(&mut driver, &actions);
            let fs = driver.fs.crash(operation);
            fs.fail_at(1 + operation % 40, Fault::PowerLoss);
            let _ = logs::open(&fs, operation | 1 << 40); // dies while it recovers
            driver.restart(fs.crash(operation + 1)).unwrap();
            driver.restart(driver.fs.crash(operation + 2)).unwrap();
            for action in script(operation, 8) {
                driver.act(&action).unwrap();
            }
            driver.act(&Action::PowerLoss { seed: operation }).unwrap();
        }));
        assert!(verdict.is_ok(), "power loss at operation {operation}");
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    let rebase = (1u32..4, -20i64..20, any::<bool>());
    prop_oneof![
        8 => any::<u64>().prop_map(|seed| Random(seed).action()),
        3 => rebase.prop_map(|(group, offset, keep)| Action::Rebase { group, offset, keep }),
        1 => any::<u64>().prop_map(|seed| Action::PowerLoss { seed }),
        1 => Just(Action::Kill),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(seeds::config("wal_rebase", 300))]

    /// Against the plain model. Proptest prints the smallest failing list of actions.
    #[test]
    fn any_history_with_bases(actions in prop::collection::vec(any_action(), 1..60)) {
        let mut driver = Driver::new(MemoryFileSystem::new());
        driver.open().unwrap();
        for action in &actions {
            driver.act(action).unwrap();
        }
        driver.act(&Action::Reopen).unwrap();
        // Recovering what was recovered finds the same.
        driver.act(&Action::Reopen).unwrap();
        driver.act(&Action::Kill).unwrap();
    }
}

/// Group 1 begins anew twice, once keeping what it has; groups 2 and 3 share its log. Closed, hence covered to its end.
fn small_log() -> (MemoryFileSystem, Model) {
    let fs = MemoryFileSystem::new();
    let mut model = Model::default();
    let options = WalOptions {
        segment_bytes: 4096,
        ..options(77)
    };
    let (wal, _) = open_with(&fs, options).unwrap();
    let submit = |model: &mut Model, batch: Batch| {
        model.apply(&batch);
        let ticket = wal.submit(batch).unwrap();
        step_until_durable(&wal, ticket);
    };
    let rebase = |model: &mut Model, group: u32, index: u64, term: u64| {
        let (time, next_revision) = (term * 1000 + index, index * 2 + 2);
        let base = Base {
            index,
            term,
            time,
            next_revision,
        };
        let conf = Some((index, b"conf".to_vec()));
        model.rebase(group, base, conf.clone());
        let ticket = wal
            .rebase(group, index, term, time, next_revision, conf)
            .unwrap();
        step_until_durable(&wal, ticket);
    };
    for index in 1..=12 {
        submit(&mut model, entries(1, index..=index, 1));
        submit(&mut model, entries(2, index..=index, 2));
    }
    submit(&mut model, hard_state(1, 5, 2, 4));
    rebase(&mut model, 1, 8, 1);
    submit(&mut model, entries(1, 13..=14, 5));
    rebase(&mut model, 1, 20, 5);
    rebase(&mut model, 3, 7, 4);
    submit(&mut model, entries(1, 21..=23, 5));
    submit(&mut model, entries(2, 13..=15, 2));
    settle(&wal);
    wal.close().unwrap();
    (fs, model)
}

#[test]
fn a_flipped_bit_in_every_byte_is_found() {
    let (fs, model) = small_log();
    let (mut whole, mut refused) = (0, 0);
    for (name, bytes) in files(&fs).iter().filter(|(name, _)| name.ends_with(".log")) {
        let path = Path::new(DIR).join(name);
        for position in 0..bytes.len() {
            let damaged = fs.copy();
            damaged.rot(&path, position as u64, 1 << (position % 8));
            let options = WalOptions {
                segment_bytes: 4096,
                ..options(78)
            };
            match open_with(&damaged, options) {
                Ok((wal, groups)) => {
                    model.matches(&wal, &groups).unwrap();
                    assert!(model.has_votes(&groups), "{name} {position}");
                    whole += 1;
                }
                Err(WalError::Damaged { .. }) => refused += 1,
                Err(error) => panic!("{name} {position}: {error}"),
            }
        }
    }
    assert!(
        refused > 2000 && whole > 100,
        "{refused} refused, {whole} whole"
    );
}

/// Everything is still queued: entries, the base that replaces them, and entries behind it.
#[test]
fn what_is_queued_keeps_its_order() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=6, 1)).unwrap();
    wal.submit(entries(2, 1..=6, 1)).unwrap();
    wal.submit(hard_state(1, 4, 3, 2)).unwrap();
    wal.rebase(1, 9, 3, 500, 70, Some((9, b"conf".to_vec())))
        .unwrap();
    assert!(matches!(
        wal.read(1, 6, 6, 1000),
        Err(WalError::Compacted {
            first_index: 10,
            ..
        })
    ));
    wal.submit(entries(1, 10..=11, 4)).unwrap();
    // The submitter's own commit index may lag behind: it does not know yet.
    wal.submit(hard_state(1, 5, 0, 2)).unwrap();
    assert_eq!(
        wal.read(1, 10, 11, 1000).unwrap(),
        entries(1, 10..=11, 4).records
    );
    settle(&wal);
    let durable = wal.durable_group(1).unwrap();
    assert_eq!(
        (durable.first_index, durable.last_index, durable.last_term),
        (10, 11, 4)
    );
    for fs in [fs.clone(), fs.crash(1)] {
        let (wal, states) = open(&fs, 2).unwrap();
        let group = state_of(&states, 1);
        assert_eq!((group.compacted_index, group.compacted_term), (9, 3));
        assert_eq!(group.term_runs, [(10, 4)]);
        assert_eq!(
            group.hard_state,
            HardState {
                term: 5,
                vote: 0,
                commit: 9
            }
        );
        assert_eq!(group.conf, Some((9, b"conf".to_vec())));
        assert_eq!(state_of(&states, 2).sizes.len(), 6);
        assert_eq!(
            wal.read(1, 10, 11, 1000).unwrap(),
            entries(1, 10..=11, 4).records
        );
    }
}

#[test]
fn the_suffix_stays_if_the_log_holds_the_base() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=10, 2)).unwrap();
    wal.submit(Batch {
        confs: vec![(1, 8, b"later".to_vec())],
        ..Batch::default()
    })
    .unwrap();
    wal.rebase(1, 6, 2, 0, 0, Some((6, b"older".to_vec())))
        .unwrap();
    settle(&wal);
    let (_, states) = open(&fs, 2).unwrap();
    let group = state_of(&states, 1);
    assert_eq!(
        (group.compacted_index, group.last_index, group.last_time),
        (6, 10, 2010)
    );
    assert_eq!(
        group.conf,
        Some((8, b"later".to_vec())),
        "that of the entries that stayed"
    );
    assert_eq!(group.hard_state.commit, 6);

    // Another term at that index: nothing of it can stay.
    let (wal, _) = open(&fs, 3).unwrap();
    wal.rebase(1, 7, 3, 44, 99, Some((7, b"newer".to_vec())))
        .unwrap();
    settle(&wal);
    let (_, states) = open(&fs, 4).unwrap();
    let group = state_of(&states, 1);
    assert_eq!(
        (
            group.compacted_index,
            group.compacted_term,
            group.last_index
        ),
        (7, 3, 7)
    );
    assert_eq!((group.last_time, group.next_revision), (44, 99));
    assert_eq!(group.conf, Some((7, b"newer".to_vec())));
}

#[test]
fn a_base_that_cannot_be_is_refused_and_changes_nothing() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=10, 2)).unwrap();
    wal.submit(hard_state(1, 2, 0, 8)).unwrap();
    settle(&wal);
    wal.truncate(1, 5);
    let refused = |index, term| {
        let outcome = wal.rebase(1, index, term, 0, 0, None);
        assert!(
            matches!(outcome, Err(WalError::Invalid { .. })),
            "{index}, {term}: {outcome:?}"
        );
    };
    refused(0, 0);
    refused(4, 2); // behind what is truncated
    refused(5, 1); // truncated, and of another term
    refused(8, 3); // committed, and of another term
    assert_eq!(wal.status().groups[0].last_index, 10);
    wal.rebase(1, 9, 2, 0, 0, None).unwrap();
    wal.rebase(1, 9, 2, 0, 0, None)
        .expect("once more is the same");
    refused(8, 2);
    settle(&wal);
    assert_eq!(
        wal.durable_group(1).map(|group| group.first_index),
        Some(10)
    );
}

/// A submitter that does not know of the base yet does not take its commit index back.
#[test]
fn a_later_hard_state_keeps_the_commit_index_of_the_base() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=6, 1)).unwrap();
    wal.rebase(1, 9, 3, 0, 0, None).unwrap();
    settle(&wal);
    wal.submit(hard_state(1, 5, 2, 4)).unwrap();
    settle(&wal);
    let (_, states) = open(&fs, 2).unwrap();
    let expected = HardState {
        term: 5,
        vote: 2,
        commit: 9,
    };
    assert_eq!(states[0].hard_state, expected);
}

/// Segments could go, and the log goes from one to the next, while a base waits behind what is still to be written.
#[test]
fn a_log_that_is_cut_while_a_base_waits_can_be_recovered_at_any_time() {
    let run = |fs: &MemoryFileSystem| -> Option<()> {
        let (wal, _) = open(fs, 1).ok()?;
        let ticket = wal.submit(entries(1, 1..=150, 1)).ok()?;
        while wal.durable() < ticket && wal.step() {}
        wal.truncate(1, 140);
        wal.submit(entries(1, 151..=300, 1)).ok()?;
        wal.rebase(1, 400, 2, 7, 9, None).ok()?;
        settle(&wal);
        wal.failure().is_none().then_some(())
    };
    let undisturbed = MemoryFileSystem::new();
    run(&undisturbed).expect("nothing fails");
    for operation in 1..=undisturbed.operations() {
        let fs = MemoryFileSystem::new();
        fs.fail_at(operation, Fault::PowerLoss);
        assert_eq!(run(&fs), None);
        let (_, states) = open(&fs.crash(operation), 2).unwrap();
        let Some(group) = states.first() else {
            continue;
        };
        match group.compacted_index {
            400 => assert_eq!((group.last_index, group.compacted_term), (400, 2)),
            compacted => assert!(compacted <= 140 && group.last_index <= 300, "{group:?}"),
        }
    }
}

/// Old segments go, even if what they hold of the group has higher indexes than the base.
#[test]
fn what_a_base_has_replaced_takes_no_space() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    let ticket = wal.submit(entries(1, 1..=400, 1)).unwrap();
    step_until_durable(&wal, ticket);
    let before = wal.status().segments;
    assert!(before > 5, "{before}");
    wal.rebase(1, 50, 2, 0, 0, None).unwrap();
    settle(&wal);
    let ticket = wal.submit(entries(1, 51..=52, 2)).unwrap();
    step_until_durable(&wal, ticket);
    settle(&wal);
    assert!(wal.status().segments <= 2, "{}", wal.status().segments);
    let (_, states) = open(&fs.crash(3), 2).unwrap();
    assert_eq!((states[0].compacted_index, states[0].last_index), (50, 52));
}

/// Bytes of format 1 are read as they are, and go on in format 2.
#[test]
fn a_log_of_the_first_format_opens() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    wal.submit(entries(1, 1..=3, 1)).unwrap();
    wal.close().unwrap();
    let path = Path::new(DIR).join("0000000000000001.log");
    let mut header = eraft_core::sys::read_file(&fs, &path).unwrap()[..64].to_vec();
    header[8] = 1;
    let checksum = crc32c::crc32c(&header[4..]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    let file = fs.open(&path, Open::Write).unwrap();
    file.write_at(0, &[IoSlice::new(&header)]).unwrap();
    let (_, states) = open(&fs, 2).unwrap();
    assert_eq!(states[0].last_index, 3);
}

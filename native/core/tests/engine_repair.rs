//! A folder whose log has rotted, opened for repair: log and store fit, and it is known as damaged until it is repaired.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;
#[path = "common/snapshots.rs"]
mod snapshots;

use batches::{GROUP, Log, TIME, read_batch, read_result};
use engines::{
    close, disk_name, frame, hard_state, memory, open, put, refusal, settle, submit, take_answers,
};
use eraft_core::engine::{Attachment, ErrorCode, Options, ReadOutcome, forget_memory, rot_memory};
use snapshots::create;

const ENTRIES: u64 = 40;

/// Entries with commits, `flushed` of them in tables; a clean end, or none.
fn lived(name: &str, flushed: u64, clean: bool) {
    let held = open(memory(name)).unwrap();
    held.set_member_known().unwrap();
    let mut log = Log::default();
    for n in 1..=ENTRIES {
        log.term = 1 + n / 9;
        let record = log.record(&[put(n, n)]);
        held.submit(&record, hard_state(log.term, 2, n - 1))
            .unwrap();
        settle(&held);
        if n == flushed {
            held.apply(GROUP, n, false).unwrap();
            settle(&held);
            held.flush().unwrap();
            settle(&held);
        }
    }
    match clean {
        true => close(held),
        false => held.engine().crash(1).unwrap(),
    }
}

fn repairing(name: &str) -> Options {
    Options {
        repair: true,
        ..memory(name)
    }
}

/// A value from wherever it is.
fn value(held: &Attachment, key: u64) -> Option<Vec<u8>> {
    let key = format!("key-{key:04}");
    let mut room = vec![0; 4096];
    let frame = frame(9, &read_batch(&[key.as_bytes()], false));
    let bytes = match held.read(GROUP, &frame, &mut room).unwrap() {
        ReadOutcome::Written(0) => {
            settle(held);
            take_answers(held).remove(0).2
        }
        outcome => {
            assert!(matches!(outcome, ReadOutcome::Written(_)));
            let length = u32::from_le_bytes(room[..4].try_into().unwrap()) as usize;
            room[8..8 + length].to_vec()
        }
    };
    let (_, mut entries) = read_result(&bytes);
    entries.remove(0).and_then(|entry| entry.value)
}

/// The only group's recovery; checked for what holds of any replica.
fn found(held: &Attachment) -> eraft_core::engine::GroupRecovery {
    let [group] = held.recovered() else {
        panic!("{:?}", held.recovered())
    };
    let log = &group.log;
    assert!(log.compacted_index <= group.applied.index, "{group:?}");
    assert!(group.applied.index <= log.last_index, "{group:?}");
    assert!(log.hard_state.commit <= log.last_index, "{group:?}");
    assert!(log.hard_state.term >= group.applied.term, "{group:?}");
    let run = log
        .term_runs
        .iter()
        .rfind(|(first, _)| *first <= group.applied.index);
    let term = run.map_or(log.compacted_term, |(_, term)| *term);
    assert_eq!(
        term, group.applied.term,
        "the log has the entry that was applied last: {group:?}"
    );
    if log.last_index == group.applied.index && log.last_index > 0 {
        let facts = (log.last_time, log.next_revision);
        assert_eq!(
            facts,
            (TIME + log.last_index, log.last_index + 1),
            "{group:?}"
        );
    }
    group.clone()
}

#[test]
fn rot_anywhere_is_repaired_without_losing_what_is_applied() {
    let mut ahead = 0;
    for seed in 0..120 {
        let name = disk_name("repair");
        let flushed = [0, 12, 25, ENTRIES][seed as usize % 4];
        lived(&name, flushed, seed % 3 > 0);
        let rot = rot_memory(&name, seed).unwrap();
        let what = format!("seed {seed}: {rot}");
        assert_eq!(
            refusal(open(memory(&name))),
            ErrorCode::DataDamaged,
            "{what}"
        );
        let held = open(repairing(&name)).unwrap_or_else(|error| panic!("{what}: {error}"));
        let first = found(&held);
        let damage = first.log.damage.clone().expect("damaged");
        assert_eq!(first.applied.index, flushed, "{what}");
        assert!(damage.maybe_index <= ENTRIES, "{what}");
        if damage.known {
            assert_eq!(damage.maybe_index, ENTRIES, "{what}");
            assert_eq!(
                (damage.maybe_term, damage.maybe_vote),
                (1 + ENTRIES / 9, 2),
                "{what}"
            );
        }
        assert_eq!(
            first.store_ahead,
            first.log.sizes.is_empty() && flushed > 0,
            "{what}"
        );
        ahead += u32::from(first.store_ahead);
        for key in 1..=flushed {
            assert_eq!(
                value(&held, key),
                Some(format!("value-{key}").into_bytes()),
                "{what}"
            );
        }
        // The power fails; what was said stays said, and the log is the same.
        held.engine().crash(seed).unwrap();
        let held = open(memory(&name)).unwrap();
        let again = found(&held);
        assert_eq!(again.log.damage, Some(damage), "{what}");
        assert_eq!(again.log.last_index, first.log.last_index, "{what}");
        assert_eq!(again.log.hard_state, first.log.hard_state, "{what}");

        // A leader gives it back, from where its log ends.
        let mut log = Log {
            index: again.log.last_index,
            next_revision: again.log.next_revision.max(1),
            term: 9,
        };
        held.submit(&[], hard_state(9, 0, again.log.hard_state.commit))
            .unwrap();
        while log.index < ENTRIES + 2 {
            let key = log.index + 1;
            submit(&held, &mut log, &[put(key, key)]).unwrap();
        }
        settle(&held);
        held.apply(GROUP, log.index, false).unwrap();
        settle(&held);
        held.set_repaired(GROUP).unwrap();
        for key in 1..=ENTRIES + 2 {
            assert_eq!(
                value(&held, key),
                Some(format!("value-{key}").into_bytes()),
                "{what}"
            );
        }
        close(held);
        let held = open(memory(&name)).unwrap();
        assert_eq!(found(&held).log.damage, None, "{what}");
        drop(held);
        forget_memory(&name);
    }
    assert!(ahead > 20, "{ahead}");
}

/// Also a leader that commits nothing before a follower has its snapshot can make one.
#[test]
fn a_log_of_which_nothing_is_left_knows_the_entry_that_was_applied_last() {
    let mut nothing_left = 0;
    for seed in 0..60 {
        let name = disk_name("repair-empty");
        lived(&name, ENTRIES, seed % 3 > 0);
        let rot = rot_memory(&name, seed).unwrap();
        let held = open(repairing(&name)).unwrap_or_else(|error| panic!("{rot}: {error}"));
        let group = found(&held);
        if !group.log.sizes.is_empty() {
            drop(held);
            forget_memory(&name);
            continue;
        }
        nothing_left += 1;
        held.set_repaired(GROUP).unwrap();
        settle(&held);
        close(held);
        let held = open(memory(&name)).unwrap();
        let again = found(&held);
        assert_eq!((again.log.damage, again.log.sizes), (None, vec![]), "{rot}");
        let made = create(&held);
        assert_eq!((made.index, made.time), (ENTRIES, TIME + ENTRIES), "{rot}");
        drop(held);
        forget_memory(&name);
    }
    assert!(nothing_left > 20, "{nothing_left}");
}

/// Entries 8 to 10 of term 1 are replaced before they are committed; those in their place are applied, and in tables.
#[test]
fn what_was_replaced_does_not_come_back_under_what_is_applied() {
    let mut anew = 0;
    for seed in 0..60 {
        let name = disk_name("repair-replaced");
        let held = open(memory(&name)).unwrap();
        held.set_member_known().unwrap();
        for (from, to, term) in [(1, 10, 1), (8, 14, 2)] {
            let mut log = Log {
                index: from - 1,
                next_revision: from,
                term,
            };
            while log.index < to {
                let record = log.record(&[put(log.index, term)]);
                held.submit(&record, hard_state(term, 2, 0)).unwrap();
                settle(&held);
            }
        }
        held.apply(GROUP, 9, false).unwrap();
        settle(&held);
        held.flush().unwrap();
        settle(&held);
        held.engine().crash(1).unwrap();
        let rot = rot_memory(&name, seed).unwrap();
        let held = open(repairing(&name)).unwrap_or_else(|error| panic!("{rot}: {error}"));
        let group = found(&held);
        assert_eq!((group.applied.index, group.applied.term), (9, 2), "{rot}");
        anew += u32::from(group.store_ahead && group.log.last_index == 9);
        held.engine().crash(seed).unwrap();
        let held = open(memory(&name)).unwrap();
        assert_eq!(found(&held).log.hard_state, group.log.hard_state, "{rot}");
        drop(held);
        forget_memory(&name);
    }
    assert!(anew > 5, "{anew}");
}

#[test]
fn a_repair_with_threads_waits_for_its_log() {
    let name = disk_name("repair-threads");
    lived(&name, ENTRIES, true);
    rot_memory(&name, 3).unwrap();
    let options = Options {
        stepped: false,
        ..repairing(&name)
    };
    let held = open(options).unwrap();
    let group = found(&held);
    assert!(group.log.damage.is_some());
    assert_eq!(group.log.last_index, ENTRIES);
    held.set_repaired(GROUP).unwrap();
    close(held);
    assert_eq!(found(&open(memory(&name)).unwrap()).log.damage, None);
}

/// A sound folder is opened as ever, whoever asks for a repair.
#[test]
fn nothing_is_repaired_that_is_not_damaged() {
    let name = disk_name("repair-sound");
    lived(&name, 12, true);
    let held = open(repairing(&name)).unwrap();
    let group = found(&held);
    assert_eq!((group.log.last_index, &group.log.damage), (ENTRIES, &None));
    assert!(!group.store_ahead);
    held.set_repaired(GROUP).expect("nothing to do");
}

//! A damaged log opened all the same: what is left was there once, what is lost is owned up to, and nothing is destroyed.

#[path = "common/logs.rs"]
mod logs;

use std::collections::BTreeMap;
use std::path::Path;

use eraft_core::record;
use eraft_core::sys::{Fault, FileSystem, MemoryFileSystem, Open, read_file};
use eraft_core::wal::*;
use logs::*;

const GROUPS: [u32; 3] = [1, 2, 3];

fn small(salt: u64, repair: &[u32]) -> WalOptions {
    WalOptions {
        segment_bytes: 4096,
        repair: repair.to_vec(),
        ..options(salt)
    }
}

/// A log, and all that it has been: after each record and each submission.
struct Lived {
    fs: MemoryFileSystem,
    history: Vec<Model>,
    /// Entries up to these were truncated.
    wanted: BTreeMap<u32, u64>,
}

impl Lived {
    fn now(&self) -> &Model {
        &self.history[self.history.len() - 1]
    }

    fn submit(&mut self, wal: &Wal, batch: Batch) {
        let mut model = self.now().clone();
        for view in record::records(&batch.records).map(Result::unwrap) {
            model.push(view);
            self.history.push(model.clone());
        }
        model.apply_items(&batch);
        self.history.push(model);
        let ticket = wal.submit(batch).unwrap();
        step_until_durable(wal, ticket);
    }
}

/// Three groups over several segments, some recycled; one begins anew. Closed, hence covered to its end.
fn lived() -> Lived {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open_with(&fs, small(77, &[])).unwrap();
    let mut log = Lived {
        fs: fs.clone(),
        history: vec![Model::default()],
        wanted: BTreeMap::new(),
    };
    for index in 1..=30u64 {
        let mut batch = entries(1, index..=index, 1 + index / 8);
        if index % 8 == 3 {
            batch.hard_states = hard_state(1, 1 + index / 8, 2, index - 1).hard_states;
        }
        log.submit(&wal, batch);
        wal.truncate(1, index.saturating_sub(14));
        log.wanted.insert(1, index.saturating_sub(14));
    }
    log.submit(&wal, entries(2, 1..=4, 3));
    log.submit(&wal, entries(2, 3..=5, 4));
    log.submit(&wal, hard_state(2, 5, 2, 4));
    let conf = (1, 9, b"configuration".to_vec());
    log.submit(
        &wal,
        Batch {
            confs: vec![conf],
            ..Batch::default()
        },
    );
    log.submit(&wal, entries(3, 1..=6, 1));
    let base = Base {
        index: 8,
        term: 2,
        time: 5,
        next_revision: 90,
    };
    let mut model = log.now().clone();
    model.rebase(3, base, None);
    log.history.push(model);
    let ticket = wal.rebase(3, 8, 2, 5, 90, None).unwrap();
    step_until_durable(&wal, ticket);
    log.submit(&wal, entries(1, 31..=33, 9));
    log.submit(&wal, hard_state(1, 11, 3, 31));
    log.submit(&wal, entries(1, 33..=34, 11));
    settle(&wal);
    let status = wal.status();
    assert!(status.segments >= 3 && status.groups[0].first_index > 1);
    wal.close().unwrap();
    log
}

fn vote(state: HardState) -> (u64, u32) {
    (state.term, state.vote)
}

/// Whether a group is what it was at `model`, but for the vote; or begins behind what was truncated since.
fn is_left(wal: &Wal, state: &GroupState, model: &ModelGroup, wanted: u64) -> bool {
    if state.last_index == state.compacted_index && state.last_index > model.entries.len() as u64 {
        return state.last_index <= wanted;
    }
    let last = model.facts(state.last_index).unwrap_or_default();
    let kept = model.entries.get(state.compacted_index as usize..);
    let (from, facts) = (state.compacted_index + 1, (last.time, last.next_revision));
    state.last_index == model.entries.len() as u64
        && state.compacted_index >= model.floor
        && facts == (state.last_time, state.next_revision)
        && state.hard_state.commit >= model.hard_state.commit
        && state.hard_state.commit <= model.hard_state.commit.max(state.compacted_index)
        && kept.is_some_and(|kept| {
            let read = || wal.read(state.group, from, u64::MAX, usize::MAX).unwrap();
            term_runs(kept, from) == state.term_runs && (kept.is_empty() || read() == kept.concat())
        })
}

/// Checks what was recovered of a damaged disk against all that the log has been. `None`: nothing was lost.
fn check(log: &Lived, wal: &Wal, states: &[GroupState], what: &str) -> Option<bool> {
    if states.iter().all(|state| state.damage.is_none()) {
        log.now()
            .matches(wal, states)
            .unwrap_or_else(|reason| panic!("{what}: {reason}"));
        assert!(log.now().has_votes(states), "{what}");
        return None;
    }
    let empty = ModelGroup::default();
    let wanted = |group| log.wanted.get(&group).copied().unwrap_or(0);
    let moment = log.history.iter().find(|model| {
        let group = |state: &GroupState| model.groups.get(&state.group).unwrap_or(&empty);
        states
            .iter()
            .all(|state| is_left(wal, state, group(state), wanted(state.group)))
    });
    let moment = moment.unwrap_or_else(|| panic!("{what}: never was so: {states:?}"));
    let mut all_known = true;
    for number in GROUPS {
        let state = states.iter().find(|state| state.group == number);
        let state = state.unwrap_or_else(|| panic!("{what}: nothing is said of group {number}"));
        let damage = state.damage.as_ref().expect("all groups are damaged");
        let at = |model: &Model| model.groups.get(&number).cloned().unwrap_or_default();
        let (then, now) = (at(moment).hard_state, at(log.now()).hard_state);
        let found = vote(state.hard_state);
        assert!(
            found >= vote(then) && found <= vote(now),
            "{what}: {state:?}"
        );
        assert_eq!(found, (damage.maybe_term, damage.maybe_vote), "{what}");
        let last = |model: &Model| model.last(number);
        let highest = log.history.iter().map(last).max().unwrap();
        assert!(damage.maybe_index <= highest, "{what}: {damage:?}");
        assert!(damage.maybe_index >= state.last_index, "{what}: {damage:?}");
        if damage.known {
            assert_eq!(found, vote(now), "{what}: {damage:?}");
            assert!(
                damage.maybe_index >= log.now().last(number),
                "{what}: {damage:?}"
            );
        }
        all_known &= damage.known;
    }
    Some(all_known)
}

/// Every file is where it was, or set aside as it was.
fn nothing_is_destroyed(before: &BTreeMap<String, Vec<u8>>, after: &MemoryFileSystem, what: &str) {
    let after = files(after);
    for (name, bytes) in before.iter().filter(|(name, _)| name.ends_with(".log")) {
        let number = name.trim_end_matches(".log");
        let aside = after
            .iter()
            .find(|(name, _)| name.starts_with(number) && name.ends_with(".damaged"));
        match aside {
            Some((_, aside)) => assert!(aside == bytes, "{what}: {name}"),
            None => assert!(after.get(name) == Some(bytes), "{what}: {name}"),
        }
    }
}

fn without_damage(states: &[GroupState]) -> Vec<GroupState> {
    let mut states = states.to_vec();
    states.iter_mut().for_each(|state| state.damage = None);
    states
}

/// Refuses, or opens whole; repaired, it stays damaged until it is said to be repaired. See `check`.
fn repair(log: &Lived, damaged: &MemoryFileSystem, what: &str) -> Option<bool> {
    let before = files(damaged);
    let fs = damaged.copy();
    match open_with(&fs, small(78, &[])) {
        Ok((wal, states)) => {
            assert_eq!(check(log, &wal, &states, what), None);
            return None;
        }
        Err(WalError::Damaged { .. }) => assert!(files(&fs) == before, "{what}"),
        Err(error) => panic!("{what}: {error}"),
    }
    let (wal, states) =
        open_with(&fs, small(79, &GROUPS)).unwrap_or_else(|e| panic!("{what}: {e}"));
    let known = check(log, &wal, &states, what);
    assert!(known.is_some(), "{what}: not a word of the damage");
    nothing_is_destroyed(&before, &fs, what);
    drop(wal);
    // The power fails, and nobody asks for a repair any more: it is as it was found.
    let fs = fs.crash(1);
    let (wal, again) = open_with(&fs, small(80, &[])).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(again, states, "{what}");
    for group in GROUPS {
        wal.set_repaired(group).unwrap();
    }
    let last = states
        .iter()
        .find(|state| state.group == 1)
        .unwrap()
        .last_index;
    let batch = entries(1, last + 1..=last + 3, 20);
    let ticket = wal.submit(batch.clone()).unwrap();
    step_until_durable(&wal, ticket);
    drop(wal);
    let fs = fs.crash(2);
    assert!(!files(&fs).contains_key("damage"), "{what}");
    let (wal, mut whole) = open_with(&fs, small(81, &[])).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(
        wal.read(1, last + 1, last + 3, 10_000).unwrap(),
        batch.records
    );
    assert!(whole.iter().all(|state| state.damage.is_none()), "{what}");
    let others = |states: &mut Vec<GroupState>| states.retain(|state| state.group > 1);
    let mut states = without_damage(&states);
    others(&mut states);
    others(&mut whole);
    assert_eq!(whole, states, "{what}");
    known
}

fn logs_of(fs: &MemoryFileSystem) -> Vec<(String, usize)> {
    let logs = files(fs).into_iter();
    let logs = logs.filter(|(name, _)| name.ends_with(".log"));
    logs.map(|(name, bytes)| (name, bytes.len())).collect()
}

#[test]
fn a_flipped_bit_in_every_byte() {
    let log = lived();
    let mut counts: BTreeMap<Option<bool>, u32> = BTreeMap::new();
    for (name, length) in logs_of(&log.fs) {
        for position in 0..length {
            let damaged = log.fs.copy();
            let bit = position % 8;
            damaged.rot(&Path::new(DIR).join(&name), position as u64, 1 << bit);
            let outcome = repair(&log, &damaged, &format!("{name} byte {position}"));
            *counts.entry(outcome).or_default() += 1;
        }
    }
    let count = |outcome| counts.get(&outcome).copied().unwrap_or(0);
    println!("{counts:?}");
    assert!(count(None) > 100 && count(Some(true)) > 3000, "{counts:?}");
    assert!(count(Some(false)) < count(Some(true)), "{counts:?}");
}

#[test]
fn a_cut_at_every_byte() {
    let log = lived();
    for (name, length) in logs_of(&log.fs) {
        for cut in 0..length {
            let damaged = log.fs.copy();
            let file = damaged
                .open(&Path::new(DIR).join(&name), Open::Write)
                .unwrap();
            file.set_len(cut as u64).unwrap();
            file.sync().unwrap();
            repair(&log, &damaged, &format!("{name} cut at {cut}"));
        }
    }
}

#[test]
fn a_missing_or_exchanged_segment() {
    let log = lived();
    let logs = logs_of(&log.fs);
    let path = |at: usize| Path::new(DIR).join(&logs[at].0);
    for missing in 0..logs.len() {
        let damaged = log.fs.copy();
        damaged.remove(&path(missing)).unwrap();
        damaged.sync_dir(Path::new(DIR)).unwrap();
        let known = repair(&log, &damaged, &format!("without segment {missing}"));
        assert_eq!(known, Some(missing + 1 < logs.len()), "segment {missing}");
    }
    for right in 1..logs.len() {
        let damaged = log.fs.copy();
        let aside = Path::new(DIR).join("aside");
        damaged.rename(&path(0), &aside).unwrap();
        damaged.rename(&path(right), &path(0)).unwrap();
        damaged.rename(&aside, &path(right)).unwrap();
        damaged.sync_dir(Path::new(DIR)).unwrap();
        repair(&log, &damaged, &format!("segment {right} exchanged"));
    }
}

/// The power fails at every operation of a repair, and of the word that it is done.
#[test]
fn a_crash_at_every_operation_of_a_repair() {
    let log = lived();
    let logs = logs_of(&log.fs);
    let places = logs.iter().flat_map(|(name, length)| {
        let positions = (70..*length as u64).step_by(411);
        positions.map(move |position| (Path::new(DIR).join(name), position))
    });
    for (path, position) in places {
        let damaged = log.fs.copy();
        damaged.rot(&path, position, 2);
        let run = |fs: &MemoryFileSystem, salt| {
            let (wal, states) = open_with(fs, small(salt, &GROUPS))?;
            let repaired = GROUPS.map(|group| wal.set_repaired(group));
            repaired.into_iter().collect::<Result<Vec<()>, _>>()?;
            Ok::<_, WalError>(states)
        };
        let undisturbed = damaged.copy();
        let expected = run(&undisturbed, 79).unwrap();
        if expected.iter().all(|state| state.damage.is_none()) {
            continue;
        }
        for operation in 1..=undisturbed.operations() {
            let what = format!("{} byte {position}, operation {operation}", path.display());
            let fs = damaged.copy();
            fs.fail_at(operation, Fault::PowerLoss);
            assert!(
                run(&fs, 80).is_err() || operation == undisturbed.operations(),
                "{what}"
            );
            let fs = fs.crash(operation);
            let (wal, states) =
                open_with(&fs, small(81, &GROUPS)).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(without_damage(&states), without_damage(&expected), "{what}");
            if states.iter().any(|state| state.damage.is_none()) {
                continue; // it was told that it is repaired
            }
            assert_eq!(states, expected, "{what}");
            check(&log, &wal, &states, &what);
            nothing_is_destroyed(&files(&damaged), &fs, &what);
        }
    }
}

/// What the second damage takes is told beside what the first one has taken.
#[test]
fn a_second_damage_before_the_first_is_repaired() {
    let log = lived();
    let name = &logs_of(&log.fs)[1].0;
    let fs = log.fs.copy();
    fs.rot(&Path::new(DIR).join(name), 2000, 1);
    let (wal, first) = open_with(&fs, small(79, &GROUPS)).unwrap();
    wal.set_repaired(3).unwrap();
    drop(wal);
    let (wal, states) = open_with(&fs.crash(4), small(82, &[])).unwrap();
    let damaged: Vec<bool> = states.iter().map(|state| state.damage.is_some()).collect();
    assert_eq!(damaged, [true, true, false], "each group for itself");
    drop(wal);
    let (wal, _) = open_with(&fs, small(83, &[])).unwrap();
    let last = first[0].last_index;
    let ticket = wal.submit(entries(1, last + 1..=last + 1, 20)).unwrap();
    step_until_durable(&wal, ticket);
    let ticket = wal.submit(hard_state(1, 21, 1, 0)).unwrap();
    step_until_durable(&wal, ticket);
    settle(&wal);
    wal.close().unwrap();
    let newest = logs_of(&fs).pop().unwrap().0;
    let bytes = read_file(&fs, &Path::new(DIR).join(&newest)).unwrap();
    let record = entry(1, last + 1, 20, 100);
    let place = bytes
        .windows(record.len())
        .position(|window| window == record);
    fs.rot(&Path::new(DIR).join(newest), place.unwrap() as u64 + 70, 1);
    assert!(matches!(
        open_with(&fs, small(80, &[])),
        Err(WalError::Damaged { .. })
    ));
    let (_, second) = open_with(&fs, small(81, &GROUPS)).unwrap();
    let (first, second) = (&first[0], &second[0]);
    assert_eq!(second.last_index, last);
    assert_eq!(vote(second.hard_state), (21, 1));
    let (before, after) = (
        first.damage.as_ref().unwrap(),
        second.damage.as_ref().unwrap(),
    );
    assert_eq!(after.maybe_index, before.maybe_index.max(last + 1));
    assert!(after.description.contains(&before.description), "{after:?}");
    let aside = files(&fs)
        .into_keys()
        .filter(|name| name.ends_with(".damaged"));
    assert!(aside.count() >= 2);
}

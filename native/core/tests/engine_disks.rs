//! The controls of in-memory disks: sizes, rot, and what is known to be durable.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;

use batches::{GROUP, Log};
use engines::*;
use eraft_core::engine::{ErrorCode, forget_memory, limit_memory, memory_files, rot_memory};

/// Twenty entries, one a frame, and a clean end.
fn fill(name: &str) {
    let held = open(memory(name)).unwrap();
    let mut log = Log::default();
    held.submit(&[], hard_state(3, 2, 0)).unwrap();
    for n in 0..20 {
        submit(&held, &mut log, &[put(n, n)]).unwrap();
        held.step().unwrap();
    }
    settle(&held);
    close(held);
}

#[test]
fn rot_is_always_found_and_follows_its_seed() {
    let name = disk_name("rot");
    let mut places = std::collections::BTreeSet::new();
    for seed in 0..60 {
        fill(&name);
        let before = memory_files(&name).unwrap().operations();
        let done = rot_memory(&name, seed).unwrap();
        let files = memory_files(&name).unwrap();
        assert_eq!(files.operations(), before, "looking is no operation");
        assert!(done.contains("/data/log/0000000000000001.log"), "{done}");
        assert_eq!(
            refusal(open(memory(&name))),
            ErrorCode::DataDamaged,
            "seed {seed}: {done}"
        );
        forget_memory(&name);
        fill(&name);
        assert_eq!(rot_memory(&name, seed).unwrap(), done, "seed {seed}");
        forget_memory(&name);
        places.insert(done);
    }
    assert!(places.len() > 50, "{places:?}");
}

#[test]
fn rot_spares_open_disks_and_finds_nothing_on_empty_ones() {
    let name = disk_name("rot-open");
    assert_eq!(rot_memory(&name, 1).unwrap(), "");
    let held = open(memory(&name)).unwrap();
    assert_eq!(refusal(rot_memory(&name, 1)), ErrorCode::DataLocked);
    drop(held);
    fill(&name);
    assert_ne!(rot_memory(&name, 1).unwrap(), "");
}

#[test]
fn a_disk_that_is_full_says_so_and_goes_on_when_it_has_space() {
    let name = disk_name("full");
    let held = open(memory(&name)).unwrap();
    let mut log = Log::default();
    settle(&held);
    let engine = held.engine();
    engine.set_capacity(Some(0)).unwrap();
    let mut ticket = 0;
    let big = vec![7; 20_000];
    for _ in 0..10 {
        let batch = batches::Batch::new().put(b"key", &big);
        ticket = submit(&held, &mut log, &[batch]).unwrap().0;
        settle(&held);
    }
    let full = held.poll();
    assert!(
        full.disk_full && full.durable < ticket && full.failed == 0,
        "{full:?}"
    );
    engine.set_capacity(None).unwrap();
    settle(&held);
    assert!(!held.poll().disk_full && held.poll().durable >= ticket);

    // The store meets it when it is flushed, and then refuses to be written, as RocksDB does.
    held.apply(GROUP, 5, false).unwrap();
    settle(&held);
    engine.set_capacity(Some(0)).unwrap();
    held.flush().unwrap();
    settle(&held);
    assert!(held.poll().disk_full && held.flushed(GROUP).unwrap() == 0);
    held.apply(GROUP, 10, false).unwrap();
    settle(&held);
    assert_eq!(held.applied(GROUP).unwrap(), 5);
    engine.set_capacity(None).unwrap();
    settle(&held);
    assert_eq!(held.applied(GROUP).unwrap(), 10);
    held.flush().unwrap();
    settle(&held);
    assert_eq!(held.flushed(GROUP).unwrap(), 10);
    assert!(!held.poll().disk_full && held.poll().failed == 0);
    close(held);
    limit_memory(&name, Some(0)).unwrap();
    assert_eq!(refusal(open(memory(&name))), ErrorCode::Io);
}

/// Whoever hears that the disk is full writes nothing: nothing but time shows that there is space again.
#[test]
fn a_store_that_was_full_finds_out_by_itself() {
    let name = disk_name("full-store");
    let held = open(memory(&name)).unwrap();
    let mut log = Log::default();
    submit(&held, &mut log, &[put(1, 1)]).unwrap();
    settle(&held);
    held.apply(GROUP, 1, false).unwrap();
    settle(&held);
    let engine = held.engine();
    engine.set_capacity(Some(0)).unwrap();
    held.flush().unwrap();
    settle(&held);
    assert!(held.poll().disk_full);
    held.set_now(1_000).unwrap();
    settle(&held);
    assert!(held.poll().disk_full, "there is still no space");
    engine.set_capacity(None).unwrap();
    held.set_now(1_500).unwrap();
    settle(&held);
    assert!(held.poll().disk_full, "it is not looked at all the time");
    held.set_now(2_000).unwrap();
    settle(&held);
    assert!(!held.poll().disk_full && held.poll().failed == 0);
    assert_eq!(held.flushed(GROUP).unwrap(), 1);
    close(held);
}

/// At any moment a crash leaves at least what `durable` says.
#[test]
fn a_crash_leaves_what_was_durable() {
    for seed in 0..40 {
        let name = disk_name("durable");
        let held = open(memory(&name)).unwrap();
        let mut log = Log::default();
        let nothing = held.durable(GROUP).unwrap();
        assert_eq!((nothing.first_index, nothing.last_index), (1, 0));
        for n in 0..seed {
            let record = log.record(&[put(n, n)]);
            held.submit(&record, hard_state(1 + n / 4, 1 + (n / 4 % 3) as u32, n))
                .unwrap();
            if n % 3 == 0 {
                held.step().unwrap();
            }
        }
        let durable = held.durable(GROUP).unwrap();
        assert!(seed < 4 || durable.last_index > 0);
        held.engine().crash(seed).unwrap();
        let again = open(memory(&name)).unwrap();
        let Some(found) = again.recovered().first() else {
            assert_eq!(durable.last_index, 0);
            continue;
        };
        assert!(found.log.last_index >= durable.last_index, "seed {seed}");
        assert!(
            found.log.hard_state.term >= durable.hard_state.term,
            "seed {seed}"
        );
        assert!(
            found.log.hard_state.commit >= durable.hard_state.commit,
            "seed {seed}"
        );
        assert_eq!(
            again.durable(GROUP).unwrap().last_index,
            found.log.last_index
        );
        forget_memory(&name);
    }
}

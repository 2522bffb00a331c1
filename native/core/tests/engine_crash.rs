//! The power fails at every file operation of a scripted run: what was acknowledged is found again, and the store that
//! comes back is exactly what some prefix of the log says.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;

use std::collections::BTreeMap;

use batches::{Batch, GROUP, Log};
use engines::*;
use eraft_core::engine::{
    Attachment, EngineError, Options, crash_memory, forget_memory, memory_files,
};
use eraft_core::sys::Fault;

/// What the outside world was told, and what was asked for.
#[derive(Default)]
struct Told {
    uid: Option<u64>,
    /// `set_member_known` has returned.
    known: bool,
    term: u64,
    /// The last index reported durable, the last one submitted, the last one whose results were handed out.
    durable: u64,
    submitted: u64,
    applied: u64,
    /// (ticket, term, last index) of what was submitted.
    tickets: Vec<(u64, u64, u64)>,
}

/// Record n writes these: unique values, one key often overwritten, one appended to.
fn commands(n: u64) -> Vec<Batch> {
    let filler = vec![n as u8; 700];
    let unique = put(n, n).put(b"often", format!("{n}").as_bytes());
    vec![
        unique,
        Batch::new()
            .append(b"all", &[n as u8])
            .put(b"filler", &filler),
    ]
}

/// What a store says that has applied records 1 to n.
fn expected(n: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut map = BTreeMap::new();
    for n in 1..=n {
        map.insert(
            format!("key-{n:04}").into_bytes(),
            format!("value-{n}").into_bytes(),
        );
        map.insert(b"often".to_vec(), format!("{n}").into_bytes());
        map.insert(b"all".to_vec(), (1..=n).map(|n| n as u8).collect());
        map.insert(b"filler".to_vec(), vec![n as u8; 700]);
    }
    map
}

fn small(name: &str) -> Options {
    Options {
        segment_bytes: 8 * 1024,
        tail_bytes: 4 * 1024,
        frame_bytes_max: 4 * 1024,
        inline_bytes_max: 2_000,
        ..memory(name)
    }
}

/// Submits the next record of the script; returns its ticket and index.
fn next(held: &Attachment, log: &mut Log) -> Result<(u64, u64), EngineError> {
    let n = log.index + 1;
    submit(held, log, &commands(n))
}

fn note(held: &Attachment, told: &mut Told) {
    let durable = held.poll().durable;
    for &(ticket, term, index) in &told.tickets {
        if ticket <= durable {
            told.term = told.term.max(term);
            told.durable = told.durable.max(index);
        }
    }
    told.applied = told.applied.max(held.applied(GROUP).unwrap_or(0));
}

/// Steps until idle, asking after each step; an error when the engine has failed.
fn run(held: &Attachment, told: &mut Told) -> Result<(), EngineError> {
    loop {
        let more = held.step()?;
        note(held, told);
        if let Some(failure) = held.failure() {
            return Err(failure);
        }
        if !more {
            return Ok(());
        }
    }
}

/// The scripted run, from an empty disk. Ends early when the disk does.
fn script(name: &str, told: &mut Told) -> Result<(), EngineError> {
    let held = open(small(name))?;
    told.uid = Some(held.identity()?.uid);
    let mut log = Log::default();
    held.set_member_known()?;
    told.known = true;
    for term in 1..=4 {
        let ticket = held.submit(&[], hard_state(term, 1, log.index))?;
        told.tickets.push((ticket, term, 0));
        log.term = term;
        for _ in 0..10 {
            let (ticket, index) = next(&held, &mut log)?;
            told.submitted = index;
            told.tickets.push((ticket, term, index));
            if index % 3 == 0 {
                run(&held, told)?;
                held.apply(GROUP, told.durable, index % 2 == 0)?;
                take_results(&held);
            }
        }
        run(&held, told)?;
        held.apply(GROUP, told.durable, true)?;
        run(&held, told)?;
        take_results(&held);
        // The owner allows more than the store has flushed: only every other time is there a flush.
        held.truncate(GROUP, told.applied)?;
        run(&held, told)?;
        if term % 2 == 0 {
            held.flush()?;
            run(&held, told)?;
        }
    }
    held.engine().close(true);
    Ok(())
}

/// Opens what the crash has left, and holds it against what was told.
fn check(name: &str, told: &Told, seed: u64) {
    let held = open(small(name)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    let identity = held.identity().unwrap();
    if let Some(uid) = told.uid {
        assert_eq!(identity.uid, uid, "another replica, seed {seed}");
    }
    assert!(
        !told.known || !identity.blank,
        "a promise forgotten, seed {seed}"
    );
    let Some(group) = held.recovered().first().cloned() else {
        assert_eq!(
            (told.term, told.durable),
            (0, 0),
            "everything is gone, seed {seed}"
        );
        return;
    };
    assert!(
        group.log.hard_state.term >= told.term,
        "a vote is lost, seed {seed}"
    );
    let last = group.log.last_index;
    assert!(
        (told.durable..=told.submitted).contains(&last),
        "{last}, told {}, seed {seed}",
        told.durable
    );
    assert!(group.flushed >= group.log.compacted_index && group.flushed <= last);
    assert_eq!(
        group.applied.index, group.flushed,
        "closing is a crash for the store"
    );
    matches(&held, group.applied.index, seed);
    held.apply(GROUP, last, false).unwrap();
    settle(&held);
    assert!(
        held.failure().is_none(),
        "seed {seed}: {:?}",
        held.failure()
    );
    matches(&held, last, seed);
    // And it lives on.
    let mut log = Log {
        index: last,
        term: group.log.hard_state.term.max(1),
        next_revision: group.log.next_revision.max(1),
    };
    submit(&held, &mut log, &commands(last + 1)).unwrap();
    settle(&held);
    held.apply(GROUP, last + 1, true).unwrap();
    settle(&held);
    matches(&held, last + 1, seed);
    held.engine().close(true);
}

fn matches(held: &Attachment, index: u64, seed: u64) {
    let expected = expected(index);
    let keys: Vec<Vec<u8>> = expected
        .keys()
        .cloned()
        .chain([b"absent".to_vec()])
        .collect();
    if index == 0 {
        return;
    }
    let frames = frame(
        1,
        &batches::read_batch(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>(), false),
    );
    let mut room = vec![0; MIB];
    held.read(GROUP, &frames, &mut room).unwrap();
    settle(held); // what is not in memory comes as an answer
    let (_, entries) = match take_answers(held).pop() {
        Some((1, 0, bytes)) => batches::read_result(&bytes),
        Some(other) => panic!("seed {seed}: {other:?}"),
        None => {
            let length = u32::from_le_bytes(room[..4].try_into().unwrap()) as usize;
            batches::read_result(&room[8..8 + length])
        }
    };
    for (key, entry) in keys.iter().zip(entries) {
        let found = entry.and_then(|entry| entry.value);
        assert_eq!(
            found.as_ref(),
            expected.get(key),
            "key {:?} at {index}, seed {seed}",
            String::from_utf8_lossy(key)
        );
    }
}

#[test]
fn the_script_itself_runs_to_its_end() {
    let name = disk_name("script");
    let mut told = Told::default();
    script(&name, &mut told).unwrap();
    assert_eq!((told.durable, told.applied, told.term), (40, 40, 4));
    let held = open(small(&name)).unwrap();
    let group = &held.recovered()[0];
    assert!(group.log.compacted_index > 0, "the script must truncate");
    assert_eq!((group.applied.index, group.flushed), (40, 40));
}

#[test]
fn power_fails_at_every_file_operation() {
    let counted = disk_name("count");
    script(&counted, &mut Told::default()).unwrap();
    let operations = memory_files(&counted).unwrap().operations();
    forget_memory(&counted);
    eprintln!("{operations} operations");
    for operation in 1..=operations {
        let name = disk_name("power");
        memory_files(&name)
            .unwrap()
            .fail_at(operation, Fault::PowerLoss);
        let mut told = Told::default();
        // A run whose lost operation was one of the last may not notice.
        let _ = script(&name, &mut told);
        crash_memory(&name, operation).unwrap();
        check(&name, &told, operation);
        forget_memory(&name);
    }
}

#[test]
fn the_engine_itself_can_be_crashed_between_any_two_steps() {
    for steps in 0..60 {
        let name = disk_name("between");
        let held = open(small(&name)).unwrap();
        let mut told = Told {
            uid: Some(held.identity().unwrap().uid),
            ..Told::default()
        };
        let mut log = Log::default();
        let ticket = held.submit(&[], hard_state(1, 1, 0)).unwrap();
        told.tickets.push((ticket, 1, 0));
        for n in 0..steps {
            let (ticket, index) = next(&held, &mut log).unwrap();
            told.submitted = index;
            told.tickets.push((ticket, 1, index));
            held.step().unwrap();
            note(&held, &mut told);
            if n % 4 == 3 {
                held.apply(GROUP, told.durable, false).unwrap();
            }
            if n % 10 == 9 {
                held.flush().unwrap();
            }
        }
        held.engine().crash(steps).unwrap();
        assert_eq!(
            held.poll().failed,
            eraft_core::engine::ErrorCode::Closed.wire()
        );
        check(&name, &told, steps);
        forget_memory(&name);
    }
}

#[test]
fn a_full_disk_refuses_nothing_that_was_taken() {
    let name = disk_name("full");
    let held = open(small(&name)).unwrap();
    let files = memory_files(&name).unwrap();
    let mut log = Log::default();
    files.set_capacity(Some(files.used() + 8 * 1024));
    let mut tickets = Vec::new();
    while !held.poll().disk_full {
        assert!(log.index < 500, "never full");
        tickets.push(next(&held, &mut log).unwrap().0);
        settle(&held);
    }
    assert_eq!(held.poll().failed, 0, "a full disk is no failure");
    held.apply(GROUP, 1, false).unwrap(); // reads and applies go on
    settle(&held);
    assert_eq!(value(&held, 1), Some(b"value-1".to_vec()));
    files.set_capacity(None);
    settle(&held);
    assert!(!held.poll().disk_full);
    assert_eq!(held.poll().durable, *tickets.last().unwrap());
}

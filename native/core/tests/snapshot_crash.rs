//! The power fails at every file operation, and between any two steps, of making, receiving and installing a snapshot: what
//! is opened then is the old state or the new one, entirely.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;
#[path = "common/snapshots.rs"]
mod snapshots;

use std::path::Path;

use batches::{Batch, GROUP, Log};
use engines::*;
use eraft_core::engine::{
    Attachment, EngineError, Options, SnapshotInfo, crash_memory, forget_memory, memory_files,
};
use eraft_core::sys::{Fault, FileSystem};
use snapshots::*;

/// What was sent, and what the sender's state is.
struct Sent {
    info: SnapshotInfo,
    parts: Vec<Vec<u8>>,
    digest: (u64, String),
}

/// A snapshot of `entries` entries of term 3.
fn sent(entries: u64, bytes: usize) -> Sent {
    let name = disk_name("sender");
    let held = open(Options {
        segment_bytes: 256 * 1024,
        ..memory(&name)
    })
    .unwrap();
    let mut log = Log {
        term: 3,
        ..Log::default()
    };
    submit(&held, &mut log, &[Batch::register()]).unwrap();
    submit(
        &held,
        &mut log,
        &[Batch::of(1, 1, 0).put_previous(b"of a session", b"x")],
    )
    .unwrap();
    fill(&held, &mut log, 500, entries, bytes);
    let info = create(&held);
    let sent = Sent {
        parts: parts(&held, &info),
        digest: digest(&held),
        info,
    };
    drop(held);
    forget_memory(&name);
    sent
}

/// Small memtables, so that RocksDB flushes by itself in the middle of things.
fn small(name: &str) -> Options {
    Options {
        replica: 2,
        segment_bytes: 8 * 1024,
        tail_bytes: 4 * 1024,
        frame_bytes_max: 4 * 1024,
        memtable_bytes: 64 * 1024,
        ..memory(name)
    }
}

/// A receiver with five entries of its own, of which two are flushed, and a session.
fn receiver(name: &str) -> Result<(Attachment, (u64, String)), EngineError> {
    let held = open(small(name))?;
    held.set_member_known()?;
    let mut log = Log {
        term: 2,
        ..Log::default()
    };
    held.submit(&[], hard_state(3, 0, 0))?;
    submit(&held, &mut log, &[Batch::register()])?;
    submit(&held, &mut log, &[put(2, 2)])?;
    settle(&held);
    held.apply(GROUP, 2, false)?;
    settle(&held);
    held.flush()?;
    settle(&held);
    for n in 3..6 {
        submit(&held, &mut log, &[put(n, n)])?;
    }
    settle(&held);
    held.apply(GROUP, 5, false)?;
    settle(&held);
    let before = digest(&held);
    Ok((held, before))
}

fn receive(held: &Attachment, sent: &Sent) -> Result<(), EngineError> {
    held.receive_snapshot(GROUP, announced(&sent.info), 1)?;
    let mut next = number(&try_answer(held, 1)?);
    while next < sent.info.parts {
        held.receive_part(next, &sent.parts[next as usize], 2)?;
        next = number(&try_answer(held, 2)?);
    }
    Ok(())
}

fn install_it(held: &Attachment, sent: &Sent) -> Result<(), EngineError> {
    held.install_snapshot(GROUP, sent.info.index, sent.info.term, None, 3)?;
    try_answer(held, 3).map(drop)
}

/// Opens what the crash has left: the old state or the new one. Then receives and installs what is still missing.
fn check(name: &str, sent: &Sent, before: &(u64, String), told: bool, what: &str) {
    let held = open(small(name)).unwrap_or_else(|e| panic!("{what}: {e}"));
    let log = held
        .recovered()
        .first()
        .map(|group| group.log.clone())
        .unwrap_or_default();
    let new = held.applied(GROUP).unwrap() >= sent.info.index;
    assert!(
        new || !told,
        "{what}: an installation that was told of is undone"
    );
    if new {
        assert_eq!(digest(&held), sent.digest, "{what}");
        assert_eq!(
            (log.compacted_index, log.compacted_term),
            (sent.info.index, sent.info.term),
            "{what}"
        );
        assert_eq!(log.last_index, sent.info.index, "{what}");
        assert!(
            log.hard_state.commit >= sent.info.index && log.hard_state.term == 3,
            "{what}"
        );
    } else {
        assert_eq!((log.compacted_index, log.last_index), (0, 5), "{what}");
        held.apply(GROUP, 5, false).unwrap();
        settle(&held);
        assert_eq!(&digest(&held), before, "{what}");
        receive(&held, sent).unwrap_or_else(|e| panic!("{what}: {e}"));
        install_it(&held, sent).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(digest(&held), sent.digest, "{what}");
    }
    let fs = memory_files(name).unwrap();
    assert!(
        !fs.list(Path::new("/data"))
            .unwrap()
            .contains(&"install".to_owned()),
        "{what}"
    );
    // And it lives on.
    let mut log = Log {
        index: sent.info.index,
        term: 3,
        next_revision: sent.info.next_revision,
    };
    submit(&held, &mut log, &[put(1, 1)]).unwrap();
    settle(&held);
    held.apply(GROUP, log.index, false).unwrap();
    settle(&held);
    assert_eq!(value(&held, 1), Some(b"value-1".to_vec()), "{what}");
    close(held);
    let again = open(small(name)).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(again.applied(GROUP).unwrap(), log.index, "{what}");
}

/// How many operations the setup takes, and all of it.
fn count(sent: &Sent) -> (u64, u64) {
    let name = disk_name("count");
    let (held, _) = receiver(&name).unwrap();
    let setup = memory_files(&name).unwrap().operations();
    receive(&held, sent).unwrap();
    install_it(&held, sent).unwrap();
    let all = memory_files(&name).unwrap().operations();
    drop(held);
    forget_memory(&name);
    (setup, all)
}

fn fail_everywhere(sent: &Sent, fault: Fault) {
    let (setup, all) = count(sent);
    assert!(all - setup > 30, "{setup} to {all}");
    for operation in setup + 1..=all {
        let name = disk_name("power");
        let (held, before) = receiver(&name).unwrap();
        memory_files(&name).unwrap().fail_at(operation, fault);
        let told = receive(&held, sent).and_then(|()| install_it(&held, sent));
        // The process ends with the power, so nothing is flushed that was not.
        held.engine().crash(operation).unwrap();
        check(
            &name,
            sent,
            &before,
            told.is_ok(),
            &format!("{fault:?} at operation {operation} ({told:?})"),
        );
        forget_memory(&name);
    }
}

#[test]
fn power_fails_at_every_operation() {
    fail_everywhere(&sent(12, 200), Fault::PowerLoss);
}

#[test]
fn power_fails_at_every_operation_and_rocksdb_has_flushed_some() {
    fail_everywhere(&sent(10, 40_000), Fault::PowerLoss);
}

#[test]
fn every_operation_fails_once() {
    fail_everywhere(&sent(12, 200), Fault::Error);
}

#[test]
fn the_disk_is_full_at_every_operation_once() {
    fail_everywhere(&sent(12, 200), Fault::Full);
}

#[test]
fn a_crash_between_any_two_steps() {
    let sent = sent(30, 40_000);
    let mut steps = 0;
    loop {
        let name = disk_name("steps");
        let (held, before) = receiver(&name).unwrap();
        receive(&held, &sent).unwrap();
        held.install_snapshot(GROUP, sent.info.index, sent.info.term, None, 3)
            .unwrap();
        let more = (0..steps).all(|_| held.step().unwrap());
        let told = take_answers(&held).iter().any(|answer| answer.0 == 3);
        if steps % 2 == 0 {
            held.engine().crash(steps).unwrap();
        } else {
            held.engine().close(true); // flushes what is there of it
        }
        check(&name, &sent, &before, told, &format!("after {steps} steps"));
        forget_memory(&name);
        if !more {
            break;
        }
        steps += 1;
    }
    assert!(steps > 8, "{steps}");
}

#[test]
fn the_marker_stays_until_the_log_is_durable() {
    let sent = sent(80, 50);
    let name = disk_name("waits");
    let (held, before) = receiver(&name).unwrap();
    receive(&held, &sent).unwrap();
    // The log cannot go on, for want of space; what is small still finds some.
    let fs = memory_files(&name).unwrap();
    fs.set_capacity(Some(fs.used() + 2000));
    let mut log = Log {
        index: 5,
        term: 2,
        next_revision: 6,
    };
    loop {
        let filler = Batch::new().put(b"filler", &[1; 700]);
        let (ticket, index) = submit(&held, &mut log, &[filler]).unwrap();
        settle(&held);
        if held.poll().durable < ticket {
            break;
        }
        assert!(index < 60, "never full");
    }
    held.install_snapshot(GROUP, sent.info.index, sent.info.term, None, 3)
        .unwrap();
    settle(&held);
    assert_eq!(held.failure(), None);
    assert_eq!(take_answers(&held), []);
    held.engine().crash(7).unwrap();
    memory_files(&name).unwrap().set_capacity(None);
    let what = "a log that waits for space";
    assert_eq!(digest(&open(small(&name)).unwrap()), sent.digest, "{what}");
    check(&name, &sent, &before, true, what);
}

#[test]
fn a_crash_while_an_opening_goes_on_with_an_installation() {
    let sent = sent(12, 200);
    let interrupted = || {
        let name = disk_name("again");
        let (held, before) = receiver(&name).unwrap();
        receive(&held, &sent).unwrap();
        held.install_snapshot(GROUP, sent.info.index, sent.info.term, None, 3)
            .unwrap();
        let fs = memory_files(&name).unwrap();
        while !fs
            .list(Path::new("/data"))
            .unwrap()
            .contains(&"install".to_owned())
        {
            held.step().unwrap();
        }
        held.step().unwrap();
        held.engine().crash(1).unwrap();
        (name, before)
    };
    let (name, _) = interrupted();
    let fs = memory_files(&name).unwrap();
    let start = fs.operations();
    drop(open(small(&name)).unwrap());
    let operations = fs.operations() - start;
    for operation in 1..=operations {
        let (name, before) = interrupted();
        let fs = memory_files(&name).unwrap();
        fs.fail_at(fs.operations() + operation, Fault::PowerLoss);
        let opened = open(small(&name));
        if let Ok(held) = opened {
            let _ = held.engine().crash(operation); // the lost operation was one of the last
        } else {
            crash_memory(&name, operation).unwrap();
        }
        let held = open(small(&name)).unwrap_or_else(|e| panic!("operation {operation}: {e}"));
        assert_eq!(
            digest(&held),
            sent.digest,
            "operation {operation}: an installation in force is completed"
        );
        drop(held);
        check(
            &name,
            &sent,
            &before,
            true,
            &format!("operation {operation}"),
        );
        forget_memory(&name);
    }
}

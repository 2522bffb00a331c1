//! A received snapshot takes the place of everything, on a replica that lives: what is there then, and what is seen meanwhile.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;
#[path = "common/installs.rs"]
mod installs;
#[path = "common/snapshots.rs"]
mod snapshots;

use batches::{Batch, GROUP, Scan};
use engines::*;
use eraft_core::engine::{Attachment, ErrorCode, Options, rot_memory};
use installs::*;
use snapshots::*;

#[test]
fn it_replaces_state_sessions_and_log() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, log) = leader(&from);
    let (held, _) = follower(&to, 6, 2);
    // Read before, so that it is remembered; evaluated and not written, so that it is pending.
    assert_eq!(value(&held, 101), Some(b"value-1".to_vec()));
    let info = transfer(&leader, &held);
    install(&held, &info);
    assert_eq!(digest(&held), digest(&leader));
    assert_eq!(
        value(&held, 101),
        None,
        "keys that are not in the snapshot are gone"
    );
    assert_eq!(value(&held, 16), Some(b"value-16".to_vec()));
    assert_eq!(
        (held.applied(GROUP).unwrap(), held.flushed(GROUP).unwrap()),
        (20, 20)
    );
    assert_eq!(held.revision(GROUP).unwrap(), 20);
    assert_eq!(held.compacted(GROUP).unwrap(), 20);
    assert!(!marker(&to));
    assert_eq!(
        held.latest_snapshot(GROUP).unwrap(),
        Some(info),
        "it can be sent on"
    );

    // The log goes on behind it, and the session is known: a duplicate changes nothing, the next batch counts on.
    let duplicate = Batch::of(18, 2, 0).increment(b"counter", 1);
    let next = Batch::of(18, 3, 2).increment(b"counter", 1);
    for held in [&leader, &held] {
        let mut log = log;
        let replies = write(held, &mut log, &[duplicate.clone(), next.clone()]);
        let numbers: Vec<i64> = replies.iter().map(|reply| reply.rows[0].number).collect();
        assert_eq!(numbers, [2, 3]);
    }
    assert_eq!(digest(&held), digest(&leader));
    close(held);
    let again = open(second(&to)).unwrap();
    let group = &again.recovered()[0];
    assert_eq!(
        (
            group.log.compacted_index,
            group.log.compacted_term,
            group.log.last_index
        ),
        (20, 3, 21)
    );
    assert_eq!(
        (group.log.hard_state.term, group.log.hard_state.commit),
        (4, 20),
        "the term stays"
    );
    assert_eq!(group.log.conf, Some((5, b"members".to_vec())));
    assert_eq!(digest(&again), digest(&leader));
}

/// What was written behind the snapshot is lost with its revisions and times: a leader gives the same entries again.
/// Also when it is repaired, and opened again, before it gets any.
#[test]
fn a_damaged_log_begins_behind_the_snapshot_with_its_revisions_and_times() {
    let mut anew = 0;
    for seed in 0..40 {
        let (from, to) = (disk_name("from"), disk_name("to"));
        let (leader, mut log) = leader(&from);
        let held = open(second(&to)).unwrap();
        let info = transfer(&leader, &held);
        install(&held, &info);
        let mut held = held;
        for n in 0..6 {
            submit(&held, &mut log, &[put(n, n)]).unwrap();
            settle(&held);
            if n % 2 == 1 {
                held.engine().crash(seed).unwrap();
                held = open(second(&to)).unwrap();
            }
        }
        held.engine().crash(seed).unwrap();
        rot_memory(&to, seed).unwrap();
        let repairing = Options {
            repair: true,
            ..second(&to)
        };
        let held = open(repairing).unwrap();
        let group = &held.recovered()[0];
        assert!(group.log.damage.is_some());
        assert_eq!((group.applied.index, group.applied.revision), (20, 20));
        let behind = group.log.last_index - 20;
        assert_eq!(
            group.log.next_revision,
            21 + behind,
            "seed {seed}: {group:?}"
        );
        if behind > 0 || group.store_ahead {
            continue;
        }
        anew += 1;
        assert_eq!(group.log.last_time, info.time, "seed {seed}");
        held.set_repaired(GROUP).unwrap();
        close(held);
        let held = open(second(&to)).unwrap();
        let log = &held.recovered()[0].log;
        assert_eq!((&log.damage, log.last_index), (&None, 20), "seed {seed}");
        let facts = (log.last_time, log.next_revision);
        assert_eq!(facts, (info.time, 21), "seed {seed}: as it was repaired");
    }
    assert!(anew > 0);
}

#[test]
fn an_empty_replica_gets_everything() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, log) = leader(&from);
    let held = open(second(&to)).unwrap();
    let info = transfer(&leader, &held);
    // The host notes a membership of its own.
    held.install_snapshot(
        GROUP,
        info.index,
        info.term,
        Some((7, b"merged".to_vec())),
        8,
    )
    .unwrap();
    good(&held, 8);
    assert_eq!(digest(&held), digest(&leader));
    assert_eq!(write(&held, &mut log.clone(), &[put(1, 1)]).len(), 1);
    close(held);
    let again = open(second(&to)).unwrap();
    let group = &again.recovered()[0];
    assert_eq!(
        (
            group.log.next_revision,
            group.applied.revision,
            group.flushed
        ),
        (22, 21, 21)
    );
    assert_eq!(group.log.conf, Some((7, b"merged".to_vec())));
}

#[test]
fn what_the_log_holds_behind_that_very_entry_stays() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, mut log) = leader(&from);
    let info = create(&leader);
    let held = open(second(&to)).unwrap();
    held.submit(&[], hard_state(3, 0, 0)).unwrap();
    // The follower has the leader's log, and three entries more, and has applied four.
    let mut bytes = vec![0; MIB];
    let read = leader.read_tail(GROUP, 1, 20, MIB, &mut bytes).unwrap();
    held.submit(&bytes[..read as usize], Vec::new()).unwrap();
    for n in 0..3 {
        submit(&held, &mut log, &[put(50 + n, n)]).unwrap();
    }
    settle(&held);
    held.apply(GROUP, 4, false).unwrap();
    settle(&held);
    send(&parts(&leader, &info), &info, &held);
    install(&held, &info);
    assert_eq!(digest(&held), digest(&leader));
    held.apply(GROUP, 23, false).unwrap();
    settle(&held);
    assert_eq!(value(&held, 52), Some(b"value-2".to_vec()));
}

#[test]
fn reads_are_refused_while_it_lasts_and_older_views_keep_what_they_see() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, _) = follower(&to, 6, 2);
    let info = transfer(&leader, &held);
    let scan = |snapshot: u64| {
        Scan {
            limit: 2,
            snapshot,
            ..Scan::default()
        }
        .encode()
    };
    held.scan(GROUP, 30, &scan(1)).unwrap();
    let page = batches::scan_page(&good(&held, 30));
    assert_eq!(page.entries[0].key, b"key-0100");
    held.install_snapshot(GROUP, info.index, info.term, None, 31)
        .unwrap();
    let (mut old, mut refusals, mut new) = (0, 0, 0);
    while held.poll().answers_bytes == 0 {
        assert!(held.step().unwrap());
        let mut room = vec![0; 4096];
        let keys = batches::read_batch(&[b"key-0100", b"key-0016"], false);
        held.read(GROUP, &frame(9, &keys), &mut room).map_or_else(
            |error| {
                assert_eq!(error.code, ErrorCode::Overloaded);
                assert_eq!(
                    held.peek(GROUP, b"key-0100", &mut [0; 64])
                        .unwrap_err()
                        .code,
                    ErrorCode::Overloaded
                );
                refusals += 1;
            },
            |_| {
                let length = u32::from_le_bytes(room[..4].try_into().unwrap()) as usize;
                let (_, entries) = batches::read_result(&room[8..8 + length]);
                match (&entries[0], &entries[1]) {
                    (Some(_), None) => old += 1,
                    (None, Some(_)) => new += 1,
                    mixture => panic!("neither the old state nor the new one: {mixture:?}"),
                }
            },
        );
    }
    assert!(
        old > 2 && refusals > 2,
        "old {old}, refused {refusals}, new {new}"
    );
    good(&held, 31);
    held.scan(GROUP, 32, &scan(page.snapshot)).unwrap();
    let second = batches::scan_page(&good(&held, 32));
    assert_eq!(
        second.entries[0].key, b"key-0100",
        "a pinned view is of one moment"
    );
    assert_eq!(value(&held, 16), Some(b"value-16".to_vec()));
}

#[test]
fn nothing_is_made_or_applied_meanwhile() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, _) = follower(&to, 6, 2);
    let info = transfer(&leader, &held);
    held.create_snapshot(GROUP, 40).unwrap();
    held.step().unwrap();
    held.install_snapshot(GROUP, info.index, info.term, None, 41)
        .unwrap();
    held.create_snapshot(GROUP, 42).unwrap();
    held.install_snapshot(GROUP, info.index, info.term, None, 43)
        .unwrap();
    // An apply that comes too late finds it done.
    for _ in 0..8 {
        held.step().unwrap();
    }
    held.apply(GROUP, 6, true).unwrap();
    settle(&held);
    let answers: Vec<(u32, u32)> = take_answers(&held)
        .into_iter()
        .map(|(tag, status, _)| (tag, status))
        .collect();
    let overloaded = u32::from(ErrorCode::Overloaded.wire());
    assert_eq!(
        answers,
        [
            (40, overloaded),
            (42, overloaded),
            (43, overloaded),
            (41, 0)
        ]
    );
    assert_eq!(digest(&held), digest(&leader));
}

#[test]
fn with_threads_it_is_the_same() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, mut log) = leader(&from);
    let info = create(&leader);
    let parts = parts(&leader, &info);
    let (notify, calls) = signal();
    let engine = eraft_core::engine::Engine::open(Options {
        replica: 2,
        ..threaded(&to)
    })
    .unwrap();
    let held = Attachment::new(engine, Some(notify)).unwrap();
    let answer = |tag: u32| {
        wait(&held, &calls, || held.poll().answers_bytes > 0);
        let (of, status, bytes) = take_answers(&held).pop().unwrap();
        assert_eq!(
            (of, status),
            (tag, 0),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
        bytes
    };
    held.receive_snapshot(GROUP, announced(&info), 1).unwrap();
    assert_eq!(number(&answer(1)), 0);
    for (at, part) in parts.iter().enumerate() {
        held.receive_part(at as u32, part, 2).unwrap();
        assert_eq!(number(&answer(2)), at as u32 + 1);
    }
    held.install_snapshot(GROUP, info.index, info.term, None, 3)
        .unwrap();
    answer(3);
    assert_eq!(digest(&held), digest(&leader));
    let (ticket, index) = submit(&held, &mut log, &[put(1, 5)]).unwrap();
    held.write().unwrap();
    wait(&held, &calls, || held.poll().durable >= ticket);
    held.apply(GROUP, index, true).unwrap();
    wait(&held, &calls, || held.applied(GROUP).unwrap() == index);
    held.engine().close(true);
    assert!(!marker(&to));
}

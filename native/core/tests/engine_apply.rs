//! Apply: in log order, each record once, inline or on the thread; results in the same order.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use batches::{Batch, GROUP, Log};
use engines::*;
use eraft_core::engine::{Attachment, Engine, ErrorCode, Options};

#[test]
fn nothing_is_applied_that_is_not_on_this_disk() {
    let held = open(memory(&disk_name("apply"))).unwrap();
    let mut log = Log::default();
    let (ticket, index) = submit(&held, &mut log, &[put(1, 1)]).unwrap();
    assert!(held.poll().durable < ticket);
    assert_eq!(
        refusal(held.apply(GROUP, index, true)),
        ErrorCode::BadRequest
    );
    settle(&held);
    assert!(held.poll().durable >= ticket);
    assert_eq!(
        refusal(held.apply(GROUP, index + 1, true)),
        ErrorCode::BadRequest
    );
    assert!(held.apply(GROUP, index, true).unwrap());
    assert!(
        held.apply(GROUP, index, true).unwrap(),
        "applying again does nothing"
    );
    assert_eq!(take_results(&held).len(), 1);
    assert_eq!(
        (held.applied(GROUP).unwrap(), held.revision(GROUP).unwrap()),
        (1, 1)
    );
}

#[test]
fn small_bursts_are_inline_and_large_ones_are_not() {
    let held = open(memory(&disk_name("inline"))).unwrap();
    let mut log = Log::default();
    submit(&held, &mut log, &[put(1, 1), put(2, 2)]).unwrap();
    let (_, large) = submit(&held, &mut log, &[Batch::new().put(b"large", &[1; 8000])]).unwrap();
    let (_, last) = submit(&held, &mut log, &[put(1, 3)]).unwrap();
    settle(&held);
    assert!(held.apply(GROUP, 1, true).unwrap());
    assert!(!held.apply(GROUP, large, true).unwrap());
    assert!(
        !held.apply(GROUP, last, true).unwrap(),
        "small, but behind a large one"
    );
    assert_eq!(held.applied(GROUP).unwrap(), 1);
    settle(&held);
    assert_eq!(held.applied(GROUP).unwrap(), last);
    let results = take_results(&held);
    let order: Vec<_> = results
        .iter()
        .map(|(index, group, replies)| (*index, *group, replies.len()))
        .collect();
    assert_eq!(order, [(1, GROUP, 2), (2, GROUP, 1), (3, GROUP, 1)]);
    assert_eq!(results[2].2[0].first_revision, 4);
    assert_eq!(value(&held, 1), Some(b"value-3".to_vec()));
}

#[test]
fn results_wait_only_for_those_who_want_them() {
    let held = open(memory(&disk_name("wants"))).unwrap();
    let mut log = Log::default();
    for n in 0..3 {
        submit(&held, &mut log, &[put(n, n)]).unwrap();
    }
    settle(&held);
    held.apply(GROUP, 2, false).unwrap();
    held.apply(GROUP, 3, true).unwrap();
    assert_eq!(
        take_results(&held).iter().map(|r| r.0).collect::<Vec<_>>(),
        [3]
    );
}

#[test]
fn results_go_out_in_whole_records() {
    let held = open(memory(&disk_name("room"))).unwrap();
    let mut log = Log::default();
    for n in 0..4 {
        submit(&held, &mut log, &[put(n, n)]).unwrap();
    }
    settle(&held);
    held.apply(GROUP, 4, true).unwrap();
    let whole = held.poll().results_bytes as usize + 4 * 8; // each head is 8 bytes wider outside
    let needed = held.results(&mut []);
    assert!(needed < 0 && -needed as usize <= whole / 4);
    let mut room = vec![0; (-needed) as usize + 3];
    let mut total = 0;
    for left in (0..4).rev() {
        let taken = held.results(&mut room);
        assert!(taken > 0, "{left} left: {taken}");
        assert_eq!(u64::from_le_bytes(room[..8].try_into().unwrap()), 4 - left);
        total += taken as usize;
    }
    assert_eq!((held.results(&mut room), total), (0, whole));
    assert_eq!(held.poll().results_bytes, 0);
}

#[test]
fn apply_waits_while_results_are_not_taken() {
    let options = Options {
        results_bytes_max: 100,
        ..memory(&disk_name("full"))
    };
    let held = open(options).unwrap();
    let mut log = Log::default();
    for n in 0..200 {
        submit(&held, &mut log, &[put(n, n)]).unwrap();
    }
    settle(&held);
    held.apply(GROUP, 2, true).unwrap(); // passes the threshold, and still fits
    assert!(
        !held.apply(GROUP, 3, true).unwrap(),
        "there is no room for more"
    );
    settle(&held);
    assert_eq!(held.applied(GROUP).unwrap(), 2);
    assert_eq!(take_results(&held).len(), 2);
    // Room again, nobody applies, a small burst: but 3 is queued, and its results are wanted.
    assert!(!held.apply(GROUP, 4, false).unwrap());
    settle(&held);
    assert_eq!(held.applied(GROUP).unwrap(), 4);
    let results = take_results(&held);
    assert_eq!(results.iter().map(|r| r.0).collect::<Vec<_>>(), [3]);
}

#[test]
fn the_apply_thread_waits_for_room_and_goes_on() {
    let (notify, calls) = signal();
    let options = Options {
        results_bytes_max: 100,
        inline_bytes_max: 0,
        ..threaded(&disk_name("thread"))
    };
    let held = Attachment::new(Engine::open(options).unwrap(), Some(notify)).unwrap();
    let mut log = Log::default();
    let (mut ticket, mut applied) = (0, 0);
    for n in 0..50 {
        ticket = submit(&held, &mut log, &[put(n, n)]).unwrap().0;
        wait(&held, &calls, || held.poll().durable >= ticket);
        held.apply(GROUP, log.index, true).unwrap();
    }
    assert!(ticket > 0);
    while applied < 50 {
        wait(&held, &calls, || held.poll().results_bytes > 0);
        for (index, ..) in take_results(&held) {
            applied += 1;
            assert_eq!(index, applied);
        }
    }
    close(held);
}

#[test]
fn inline_and_threaded_applies_keep_one_order() {
    let (notify, calls) = signal();
    let held = Attachment::new(
        Engine::open(threaded(&disk_name("order"))).unwrap(),
        Some(notify),
    )
    .unwrap();
    let mut log = Log::default();
    let (mut inline, mut next) = (0, 1);
    for n in 0..300u64 {
        let value = vec![n as u8; if n % 3 == 0 { 6000 } else { 10 }];
        let batch = Batch::new().append(b"all", &[n as u8]).put(b"last", &value);
        let (ticket, index) = submit(&held, &mut log, &[batch]).unwrap();
        if n % 7 == 0 {
            wait(&held, &calls, || held.poll().durable >= ticket);
            inline += usize::from(held.apply(GROUP, index, true).unwrap());
        }
    }
    let ticket = held.submit(&[], hard_state(1, 1, 300)).unwrap();
    wait(&held, &calls, || held.poll().durable >= ticket);
    held.apply(GROUP, 300, true).unwrap();
    wait(&held, &calls, || held.applied(GROUP).unwrap() == 300);
    for (index, ..) in take_results(&held) {
        assert_eq!(index, next);
        next += 1;
    }
    assert_eq!(next, 301);
    let (revision, entries) = read(&held, &[b"all"]);
    assert_eq!(revision, 600);
    let all = entries[0].as_ref().unwrap().value.clone().unwrap();
    assert_eq!(all, (0..300u64).map(|n| n as u8).collect::<Vec<_>>());
    eprintln!("{inline} of 43 applies were inline");
    close(held);
}

#[test]
fn the_call_is_coalesced_until_it_is_armed_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, (inner, woken)) = (calls.clone(), signal());
    let notify = Box::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        inner();
    });
    let held = Attachment::new(
        Engine::open(threaded(&disk_name("calls"))).unwrap(),
        Some(notify),
    )
    .unwrap();
    let mut log = Log::default();
    let mut ticket = 0;
    for n in 0..100 {
        ticket = submit(&held, &mut log, &[put(n, n)]).unwrap().0;
    }
    woken.recv_timeout(Duration::from_secs(30)).unwrap();
    // Not armed again: however much becomes durable, nobody calls.
    let second = Attachment::new(held.engine().clone(), Some(signal().0)).unwrap();
    while second.poll().durable < ticket {
        std::thread::yield_now();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    held.poll();
    let ticket = submit(&held, &mut log, &[put(1, 1)]).unwrap().0;
    wait(&held, &woken, || held.poll().durable >= ticket);
    assert!(calls.load(Ordering::SeqCst) >= 2);
    drop(second);
    close(held);
}

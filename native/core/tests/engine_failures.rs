//! What ends an engine, and what it merely refuses: unknown kinds, failed disks, panics, too much at once, garbage.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use batches::{Batch, GROUP, Log};
use engines::*;
use eraft_core::engine::{Attachment, Engine, ErrorCode, Notify, Options};
use eraft_core::record::KIND_BLANK;

#[test]
fn an_unknown_record_kind_stops_the_replica_before_it() {
    let name = disk_name("kind");
    let held = open(memory(&name)).unwrap();
    let mut log = Log::default();
    submit(&held, &mut log, &[put(1, 1)]).unwrap();
    held.submit(&log.seal(99, b"", 0), Vec::new()).unwrap();
    submit(&held, &mut log, &[put(1, 2)]).unwrap();
    settle(&held);
    held.apply(GROUP, 3, true).unwrap();
    settle(&held);
    let failure = held.failure().expect("failed");
    assert_eq!(failure.code, ErrorCode::Failed);
    assert!(
        failure.message.contains("group 1 cannot be applied"),
        "{failure}"
    );
    assert_eq!(held.poll().failed, ErrorCode::Failed.wire());
    assert_eq!(
        refusal(held.submit(&[], hard_state(2, 1, 0))),
        ErrorCode::Failed
    );
    assert_eq!(refusal(held.apply(GROUP, 3, true)), ErrorCode::Failed);
    let mut room = [0; 64];
    assert_eq!(refusal(held.read(GROUP, &[], &mut room)), ErrorCode::Failed);
    close(held);
    // What was acknowledged is there, and what cannot be applied still cannot.
    let held = open(memory(&name)).unwrap();
    assert_eq!(held.recovered()[0].log.last_index, 3);
    assert!(held.failure().is_none());
}

#[test]
fn a_failed_log_fails_the_engine() {
    use eraft_core::sys::Fault;
    let held = open(memory(&disk_name("failed"))).unwrap();
    let mut log = Log::default();
    submit(&held, &mut log, &[put(1, 1)]).unwrap();
    held.engine().fail_operation(1, Fault::Error).unwrap();
    while held.step().unwrap() {}
    assert_eq!(held.poll().durable, 0);
    assert_eq!(held.poll().failed, ErrorCode::Failed.wire());
    assert!(held.failure().unwrap().message.contains("never retried"));
    assert_eq!(
        refusal(held.submit(&[], hard_state(2, 1, 0))),
        ErrorCode::Failed
    );
}

/// Notify that panics at its first call from a thread of this name.
fn panics_in(thread: &'static str) -> (Notify, Receiver<()>) {
    let (inner, calls) = signal();
    let done = AtomicBool::new(false);
    let notify = move || {
        inner(); // before the panic: a call that was lost would leave the test waiting
        let here = std::thread::current();
        if here.name() == Some(thread) && !done.swap(true, Ordering::SeqCst) {
            panic!("a defect, for this test");
        }
    };
    (Box::new(notify), calls)
}

#[test]
fn a_panic_in_a_thread_ends_the_engine_and_not_the_process() {
    for thread in ["eraft-apply", "eraft-read-0"] {
        let (notify, calls) = panics_in(thread);
        let options = Options {
            inline_bytes_max: 0,
            ..threaded(&disk_name("panic"))
        };
        let held = Attachment::new(Engine::open(options).unwrap(), Some(notify)).unwrap();
        let mut log = Log::default();
        let (ticket, index) = submit(&held, &mut log, &[put(1, 1)]).unwrap();
        wait(&held, &calls, || held.poll().durable >= ticket);
        held.apply(GROUP, index, true).unwrap();
        if thread == "eraft-read-0" {
            wait(&held, &calls, || held.applied(GROUP).unwrap() == index);
            held.poll();
            held.fetch(GROUP, 1, 1, 1000, 5).unwrap();
        }
        wait(&held, &calls, || held.poll().failed != 0);
        let failure = held.failure().unwrap();
        assert!(failure.message.contains(thread), "{failure}");
        assert!(
            failure.message.contains("a defect, for this test"),
            "{failure}"
        );
        assert_eq!(
            refusal(held.submit(&[], hard_state(2, 1, 0))),
            ErrorCode::Failed
        );
        close(held);
    }
}

#[test]
fn too_much_in_the_queue_is_refused_but_votes_are_not() {
    let options = Options {
        queue_bytes_max: 1000,
        ..memory(&disk_name("queue"))
    };
    let held = open(options).unwrap();
    let mut log = Log::default();
    submit(&held, &mut log, &[Batch::new().put(b"k", &[0; 2000])]).unwrap();
    let before = log;
    assert_eq!(
        refusal(submit(&held, &mut log, &[put(1, 1)])),
        ErrorCode::Overloaded
    );
    held.submit(&[], hard_state(1, 1, 0)).unwrap();
    settle(&held);
    log = before;
    submit(&held, &mut log, &[put(1, 1)]).unwrap();
    settle(&held);
    held.apply(GROUP, 2, false).unwrap();
    assert_eq!(value(&held, 1), Some(b"value-1".to_vec()));
}

#[test]
fn garbage_is_refused_and_nothing_is_queued() {
    let held = open(memory(&disk_name("garbage"))).unwrap();
    assert_eq!(
        refusal(held.submit(&[1; 100], Vec::new())),
        ErrorCode::BadRequest
    );
    let mut gap = Log {
        index: 5,
        ..Log::default()
    };
    let record = gap.seal(KIND_BLANK, b"", 0);
    assert_eq!(
        refusal(held.submit(&record, Vec::new())),
        ErrorCode::BadRequest
    );
    assert_eq!(held.poll().queued_bytes, 0);
    assert!(held.failure().is_none());
}

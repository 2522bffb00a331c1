//! Results before the write: what reads see meanwhile, what brings the write about, and what a failed one or a crash takes.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;

use batches::{Batch, GROUP, Log, Reply, Row};
use engines::*;
use eraft_core::engine::{Attachment, Engine, ErrorCode, Options, memory_store};

/// Submits a record, and sees to it that it is on the disk.
fn durable(held: &Attachment, log: &mut Log, batches: &[Batch]) -> u64 {
    let index = submit(held, log, batches).unwrap().1;
    settle(held);
    index
}

/// The same, and evaluates it inline; its replies.
fn evaluate(held: &Attachment, log: &mut Log, batches: &[Batch]) -> Vec<Reply> {
    let index = durable(held, log, batches);
    assert!(held.evaluate(GROUP, index).unwrap(), "not inline");
    let mut results = take_results(held);
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].0, index);
    results.remove(0).2
}

fn applied(held: &Attachment) -> u64 {
    held.applied(GROUP).unwrap()
}

fn peek(held: &Attachment, key: &[u8]) -> Result<Vec<u8>, i64> {
    let mut room = vec![0; MIB];
    let length = held.peek(GROUP, key, &mut room).unwrap();
    usize::try_from(length)
        .map(|length| room[..length].to_vec())
        .map_err(|_| length)
}

/// More than is written inline.
const LARGE: [u8; 5000] = [7; 5000];

#[test]
fn results_are_out_before_the_write_and_the_index_of_reads_stays() {
    let held = open(memory(&disk_name("before"))).unwrap();
    let mut log = Log::default();
    let index = durable(&held, &mut log, &[put(1, 1)]);
    assert_eq!(
        refusal(held.evaluate(GROUP, index + 1)),
        ErrorCode::BadRequest
    );
    assert!(held.evaluate(GROUP, index).unwrap());
    assert!(held.evaluate(GROUP, index).unwrap(), "again does nothing");
    assert_eq!(take_results(&held)[0].2[0].first_revision, 1);
    settle(&held);
    assert_eq!((applied(&held), held.revision(GROUP).unwrap()), (0, 0));
    assert!(held.apply(GROUP, index, true).unwrap());
    assert_eq!((applied(&held), held.revision(GROUP).unwrap()), (1, 1));
    assert!(take_results(&held).is_empty(), "results go out once");
}

/// A read for an index asks for `apply` up to it.
#[test]
fn a_demand_writes_what_was_evaluated_small_or_large() {
    let held = open(memory(&disk_name("demand"))).unwrap();
    let mut log = Log::default();
    for n in 1..=3 {
        evaluate(&held, &mut log, &[put(n, n)]);
    }
    assert!(held.apply(GROUP, 3, false).unwrap());
    assert_eq!(applied(&held), 3);
    evaluate(&held, &mut log, &[Batch::new().put(b"large", &LARGE)]);
    assert!(
        !held.apply(GROUP, 4, false).unwrap(),
        "the thread writes it"
    );
    assert_eq!(applied(&held), 3);
    settle(&held);
    assert_eq!(applied(&held), 4);
    assert_eq!(value(&held, 3), Some(b"value-3".to_vec()));
}

/// Whoever asks for no index finds at least what was answered here.
#[test]
fn what_was_answered_is_shown_or_on_its_way() {
    let held = open(memory(&disk_name("show"))).unwrap();
    let mut log = Log::default();
    evaluate(&held, &mut log, &[put(1, 1)]);
    assert_eq!(value(&held, 1), Some(b"value-1".to_vec()));
    evaluate(&held, &mut log, &[put(1, 2)]);
    assert_eq!(peek(&held, b"key-0001"), Ok(b"value-2".to_vec()));
    evaluate(&held, &mut log, &[Batch::new().put(b"large", &LARGE)]);
    assert_eq!(peek(&held, b"large"), Err(-2), "ask again, or read");
    settle(&held);
    assert_eq!(peek(&held, b"large"), Ok(LARGE.to_vec()));
    // What nobody was answered may stay as it is.
    durable(&held, &mut log, &[Batch::new().put(b"large", b"small now")]);
    held.apply(GROUP, 4, false).unwrap();
    let index = durable(&held, &mut log, &[Batch::new().put(b"l", &LARGE)]);
    assert!(!held.apply(GROUP, index, false).unwrap());
    assert_eq!(peek(&held, b"large"), Ok(b"small now".to_vec()));
}

#[test]
fn a_failed_write_is_tried_again_and_nothing_of_it_is_forgotten() {
    let name = disk_name("refused");
    let held = open(memory(&name)).unwrap();
    let store = memory_store(&name).unwrap();
    let mut log = Log::default();
    for attempts in 1..=4 {
        let n = log.index + 1;
        evaluate(&held, &mut log, &[put(n, n)]);
        let before = applied(&held);
        store.refuse_writes(attempts);
        assert!(!held.apply(GROUP, n, false).unwrap());
        for _ in 1..attempts {
            assert!(!held.step().unwrap());
        }
        assert_eq!(applied(&held), before);
        // Evaluation goes on meanwhile: blind writes at once, others behind the write.
        evaluate(&held, &mut log, &[put(1000, n)]);
        let index = durable(&held, &mut log, &[Batch::new().append(b"all", &[n as u8])]);
        if applied(&held) == before {
            assert!(!held.evaluate(GROUP, index).unwrap());
        }
        held.evaluate(GROUP, index).unwrap();
        settle(&held);
        assert_eq!(take_results(&held).last().unwrap().0, index);
        held.apply(GROUP, index, false).unwrap();
        settle(&held);
        assert_eq!((applied(&held), held.poll().failed), (index, 0));
        assert_eq!(value(&held, n), Some(format!("value-{n}").into_bytes()));
        assert_eq!(value(&held, 1000), Some(format!("value-{n}").into_bytes()));
    }
    let (_, entries) = read(&held, &[b"all"]);
    assert_eq!(entries[0].as_ref().unwrap().value, Some(vec![1, 4, 7, 10]));
}

#[test]
fn a_write_that_never_succeeds_ends_the_replica_and_takes_nothing() {
    let name = disk_name("never");
    let held = open(memory(&name)).unwrap();
    let store = memory_store(&name).unwrap();
    let mut log = Log::default();
    evaluate(&held, &mut log, &[put(1, 1)]);
    store.refuse_writes(u32::MAX);
    assert!(!held.apply(GROUP, 1, false).unwrap());
    for _ in 0..10 {
        held.step().unwrap();
    }
    let failure = held.failure().expect("failed");
    assert!(failure.message.contains("cannot be written"), "{failure}");
    close(held);
    store.refuse_writes(0);
    let held = open(memory(&name)).unwrap();
    assert_eq!(held.recovered()[0].log.last_index, 1);
    held.apply(GROUP, 1, false).unwrap();
    settle(&held);
    assert_eq!(value(&held, 1), Some(b"value-1".to_vec()));
}

#[test]
fn a_flush_that_fails_ends_the_replica_and_takes_nothing() {
    let name = disk_name("unflushed");
    let held = open(memory(&name)).unwrap();
    let mut log = Log::default();
    evaluate(&held, &mut log, &[put(1, 1)]);
    held.apply(GROUP, 1, false).unwrap();
    memory_store(&name).unwrap().refuse_flushes(1);
    held.flush().unwrap();
    while held.step().unwrap() {}
    let failure = held.failure().expect("failed");
    assert!(failure.message.contains("cannot be flushed"), "{failure}");
    close(held);
    let held = open(memory(&name)).unwrap();
    held.apply(GROUP, 1, false).unwrap();
    settle(&held);
    assert_eq!(value(&held, 1), Some(b"value-1".to_vec()));
}

#[test]
fn the_log_is_kept_until_the_store_has_it() {
    let held = open(memory(&disk_name("kept"))).unwrap();
    let mut log = Log::default();
    for n in 1..=200 {
        evaluate(&held, &mut log, &[put(n, n).put(b"filler", &[1; 1000])]);
    }
    held.flush().unwrap();
    held.truncate(GROUP, 200).unwrap();
    settle(&held);
    assert_eq!(held.compacted(GROUP).unwrap(), 0, "nothing is written");
    held.apply(GROUP, 200, false).unwrap();
    settle(&held);
    held.flush().unwrap();
    held.truncate(GROUP, 200).unwrap();
    settle(&held);
    assert!(held.compacted(GROUP).unwrap() > 0);
}

#[test]
fn a_clean_end_writes_what_was_answered() {
    let name = disk_name("end");
    let held = open(memory(&name)).unwrap();
    let mut log = Log::default();
    evaluate(&held, &mut log, &[put(1, 1)]);
    close(held);
    let held = open(memory(&name)).unwrap();
    assert_eq!(held.recovered()[0].flushed, 1);
    assert_eq!(value(&held, 1), Some(b"value-1".to_vec()));
}

/// A session's increments, each answered before it is written; crashes, writes and flushes fall anywhere between. Whatever
/// the crash took, a duplicate of any unacknowledged batch is answered as the first copy was, and counts once.
#[test]
fn a_crash_between_answer_and_write_changes_no_answer() {
    for crash_at in 1..=24u64 {
        let name = disk_name("crash");
        let mut held = open(memory(&name)).unwrap();
        let mut log = Log::default();
        let id = evaluate(&held, &mut log, &[Batch::register()])[0].first_revision;
        let batch = |n: u64| Batch::of(id, n, n.saturating_sub(30)).increment(b"n", 1);
        let mut answers = Vec::new();
        for n in 1..=24u64 {
            answers.push(evaluate(
                &held,
                &mut log,
                &[batch(n).put_previous(b"k", &[n as u8])],
            ));
            assert_eq!(answers[n as usize - 1][0].rows[0], Row::number(n as i64));
            if n % 5 == 0 {
                held.apply(GROUP, log.index, false).unwrap();
            }
            if n % 7 == 0 {
                held.flush().unwrap();
                settle(&held);
            }
            if n == crash_at {
                held.engine().crash(n).unwrap();
                held = open(memory(&name)).unwrap();
                let group = &held.recovered()[0];
                assert_eq!(group.log.last_index, log.index, "answered is durable");
                assert!(group.applied.index < log.index || n % 35 == 0);
                held.apply(GROUP, log.index, n % 2 == 0).unwrap();
                settle(&held);
                let again = take_results(&held);
                assert_eq!(again.is_empty(), n % 2 == 1);
                for (index, _, replies) in again.into_iter().filter(|result| result.0 > 1) {
                    assert_eq!(replies, answers[index as usize - 2], "crash at {n}");
                }
            }
        }
        for n in 1..=24u64 {
            let again = evaluate(&held, &mut log, &[batch(n).put_previous(b"k", &[n as u8])]);
            let first = &answers[n as usize - 1];
            assert_eq!(
                (again[0].status, &again[0].rows),
                (first[0].status, &first[0].rows)
            );
            assert_eq!(again[0].first_revision, first[0].first_revision);
        }
        held.apply(GROUP, log.index, false).unwrap();
        settle(&held);
        let (_, entries) = read(&held, &[b"n", b"k"]);
        let values: Vec<_> = entries
            .into_iter()
            .map(|entry| entry.unwrap().value.unwrap())
            .collect();
        assert_eq!(values, [b"24".to_vec(), vec![24]], "crash at {crash_at}");
    }
}

/// With threads: evaluated inline while the apply thread writes, small and large, blind and not; in order, nothing twice.
#[test]
fn evaluation_goes_on_beside_writes() {
    let (notify, calls) = signal();
    let options = Options {
        inline_bytes_max: 512,
        results_bytes_max: 8 * MIB,
        ..threaded(&disk_name("beside"))
    };
    let held = Attachment::new(Engine::open(options).unwrap(), Some(notify)).unwrap();
    let mut log = Log::default();
    let mut next = 1;
    let mut take = |held: &Attachment| {
        for (index, _, replies) in take_results(held) {
            assert_eq!(index, next);
            assert_eq!(
                replies[0].rows[0],
                Row::number(next as i64),
                "counts its records"
            );
            next += 1;
        }
        next
    };
    const RECORDS: u64 = 600;
    for n in 1..=RECORDS {
        let size = if n % 5 == 0 { 3000 } else { 10 };
        let batch = Batch::new()
            .increment(b"count", 1)
            .put(b"last", &vec![n as u8; size]);
        let (ticket, index) = submit(&held, &mut log, &[batch]).unwrap();
        if n % 3 == 0 || n == RECORDS {
            wait(&held, &calls, || held.poll().durable >= ticket);
            held.evaluate(GROUP, index).unwrap();
        }
        if n % 21 == 0 {
            held.apply(GROUP, index, true).unwrap();
        }
        if n % 10 == 0 {
            // No read sees a part of a record, or less than `applied` says.
            let before = held.revision(GROUP).unwrap();
            let (revision, entries) = read(&held, &[b"count"]);
            let count = entries[0].as_ref().map(|entry| entry.revision);
            assert!(revision >= before && revision % 2 == 0);
            assert_eq!(count, (revision > 0).then(|| revision - 1));
        }
        take(&held);
    }
    while take(&held) <= RECORDS {
        wait(&held, &calls, || held.poll().results_bytes > 0);
    }
    held.apply(GROUP, RECORDS, true).unwrap();
    wait(&held, &calls, || held.applied(GROUP).unwrap() == RECORDS);
    assert!(held.failure().is_none());
    close(held);
}

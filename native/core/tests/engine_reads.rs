//! Reads: from memory at once, the rest as answers over the same view; scans, records of the log; limits.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;

use batches::{Batch, GROUP, Log, Scan, read_batch, read_result, scan_page};
use engines::*;
use eraft_core::engine::{Attachment, Engine, ErrorCode, Options, ReadOutcome};
use eraft_core::record;

/// Records 1 to `count` applied; everything flushed, reopened without a warm cache.
fn cold(name: &str, count: u64) -> Attachment {
    let held = open(memory(name)).unwrap();
    let mut log = Log::default();
    for n in 1..=count {
        // The large values stand between the keys and the blocks that opening reads.
        let filler = Batch::new().put(format!("filler-{n}").as_bytes(), &[n as u8; 8_192]);
        submit(&held, &mut log, &[put(n, n), filler]).unwrap();
    }
    settle(&held);
    held.apply(GROUP, count, false).unwrap();
    settle(&held);
    close(held);
    open(memory(name)).unwrap()
}

#[test]
fn what_is_not_in_memory_comes_as_an_answer_over_the_same_view() {
    let held = cold(&disk_name("cold"), 20);
    let mut log = Log {
        index: 20,
        next_revision: 41,
        ..Log::default()
    };
    submit(&held, &mut log, &[put(100, 1)]).unwrap();
    settle(&held);
    held.apply(GROUP, 21, false).unwrap();
    let frames = [
        frame(1, &read_batch(&[b"key-0003"], false)),
        frame(2, &read_batch(&[b"key-0100"], false)),
    ]
    .concat();
    let mut room = vec![0; MIB];
    let outcome = held.read(GROUP, &frames, &mut room).unwrap();
    assert!(
        matches!(outcome, ReadOutcome::Written(bytes) if bytes > 0),
        "{outcome:?}"
    );
    assert_eq!(
        room[4..8],
        2u32.to_le_bytes(),
        "the one in the memtable is answered at once"
    );
    // What is applied meanwhile is not in the view.
    submit(&held, &mut log, &[put(3, 999)]).unwrap();
    settle_log(&held);
    held.apply(GROUP, 22, false).unwrap();
    settle(&held);
    let answers = take_answers(&held);
    assert_eq!((answers.len(), answers[0].0, answers[0].1), (1, 1, 0));
    let (revision, entries) = read_result(&answers[0].2);
    assert_eq!(revision, 41);
    assert_eq!(
        entries[0].as_ref().unwrap().value,
        Some(b"value-3".to_vec())
    );
    assert_eq!(value(&held, 3), Some(b"value-999".to_vec()));
}

/// Steps the log alone, so that queued reads stay queued: log frames come first.
fn settle_log(held: &Attachment) {
    while held.poll().queued_bytes > 0 {
        assert!(held.step().unwrap());
    }
}

#[test]
fn too_little_room_does_nothing() {
    let held = open(memory(&disk_name("little"))).unwrap();
    let mut log = Log::default();
    submit(&held, &mut log, &[put(1, 1)]).unwrap();
    settle(&held);
    held.apply(GROUP, 1, false).unwrap();
    let frames = [
        frame(1, &read_batch(&[b"key-0001"], false)),
        frame(2, b"garbage."),
    ]
    .concat();
    let ReadOutcome::Needs(bytes) = held.read(GROUP, &frames, &mut [0; 10]).unwrap() else {
        panic!("it fits?")
    };
    assert!(take_answers(&held).is_empty());
    let mut room = vec![0; bytes];
    assert_eq!(
        held.read(GROUP, &frames, &mut room).unwrap(),
        ReadOutcome::Written(bytes)
    );
    let answers = take_answers(&held);
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (answers[0].0, answers[0].1),
        (2, u32::from(ErrorCode::BadRequest.wire()))
    );
    assert!(!answers[0].2.is_empty(), "a refusal has a message");
    for cut in [frames.len() - 9, 5] {
        assert_eq!(
            refusal(held.read(GROUP, &frames[..cut], &mut room)),
            ErrorCode::BadRequest,
            "cut at {cut}"
        );
    }
}

#[test]
fn scans_page_over_a_pinned_view_until_it_is_closed() {
    let held = cold(&disk_name("scan"), 10);
    let ask = |tag, snapshot| {
        held.scan(
            GROUP,
            tag,
            &Scan {
                limit: 4,
                snapshot,
                ..Scan::default()
            }
            .encode(),
        )
        .unwrap();
        settle(&held);
        take_answers(&held).pop().expect("an answer")
    };
    let (tag, status, bytes) = ask(1, 1);
    assert_eq!((tag, status), (1, 0));
    let page = scan_page(&bytes);
    assert!(page.more && page.snapshot > 1 && page.keys().len() == 4);
    let mut log = Log {
        index: 10,
        next_revision: 21,
        ..Log::default()
    };
    submit(&held, &mut log, &[Batch::new().delete(b"filler-1")]).unwrap();
    settle(&held);
    held.apply(GROUP, 11, false).unwrap();
    settle(&held);
    assert_eq!(scan_page(&ask(2, page.snapshot).2).keys()[0], b"filler-1");
    assert_eq!(scan_page(&ask(3, 0).2).keys()[0], b"filler-10");
    held.close_view(page.snapshot).unwrap();
    assert_eq!(
        ask(4, page.snapshot).1,
        u32::from(ErrorCode::SnapshotLost.wire())
    );
    held.scan(GROUP, 5, b"garbage").unwrap();
    settle(&held);
    assert_eq!(
        take_answers(&held)[0].1,
        u32::from(ErrorCode::BadRequest.wire())
    );
}

#[test]
fn an_idle_view_is_released_by_time() {
    let held = cold(&disk_name("idle"), 3);
    held.set_now(10_000).unwrap();
    held.scan(
        GROUP,
        1,
        &Scan {
            limit: 1,
            snapshot: 1,
            ..Scan::default()
        }
        .encode(),
    )
    .unwrap();
    settle(&held);
    let view = scan_page(&take_answers(&held)[0].2).snapshot;
    held.set_now(11_500).unwrap();
    held.scan(
        GROUP,
        2,
        &Scan {
            snapshot: view,
            ..Scan::default()
        }
        .encode(),
    )
    .unwrap();
    settle(&held);
    assert_eq!(
        take_answers(&held)[0].1,
        u32::from(ErrorCode::SnapshotLost.wire())
    );
}

#[test]
fn records_come_from_memory_or_from_disk() {
    let name = disk_name("records");
    let held = cold(&name, 30);
    let mut room = vec![0; MIB];
    assert_eq!(
        held.read_tail(GROUP, 1, 30, MIB, &mut room).unwrap(),
        0,
        "nothing is in memory after opening"
    );
    held.fetch(GROUP, 5, 9, 100_000, 7).unwrap();
    held.fetch(GROUP, 5, 30, 1, 8).unwrap();
    held.fetch(GROUP, 31, 40, 100_000, 9).unwrap();
    settle(&held);
    let answers = take_answers(&held);
    let indexes = |bytes: &[u8]| -> Vec<u64> {
        record::records(bytes)
            .map(|r| r.unwrap().header().index)
            .collect()
    };
    assert_eq!(
        (answers[0].0, indexes(&answers[0].2)),
        (7, vec![5, 6, 7, 8, 9])
    );
    assert_eq!((answers[1].0, indexes(&answers[1].2)), (8, vec![5]));
    assert_eq!(
        (answers[2].0, answers[2].1),
        (9, u32::from(ErrorCode::BadRequest.wire()))
    );
    let mut log = Log {
        index: 30,
        next_revision: 61,
        ..Log::default()
    };
    submit(&held, &mut log, &[put(1, 2)]).unwrap();
    submit(&held, &mut log, &[put(1, 3)]).unwrap();
    let needed = held.read_tail(GROUP, 31, 32, MIB, &mut room[..8]).unwrap();
    assert!(needed < 0);
    assert_eq!(
        held.read_tail(GROUP, 31, 32, MIB, &mut room).unwrap(),
        -needed
    );
    assert_eq!(indexes(&room[..-needed as usize]), [31, 32]);
}

#[test]
fn answers_that_nobody_takes_are_bounded() {
    let options = Options {
        answers_bytes_max: 1000,
        ..memory(&disk_name("bounded"))
    };
    let held = open(options).unwrap();
    let mut log = Log::default();
    submit(&held, &mut log, &[Batch::new().put(b"k", &[1; 2000])]).unwrap();
    settle(&held);
    held.fetch(GROUP, 1, 1, MIB, 1).unwrap();
    settle(&held);
    held.fetch(GROUP, 1, 1, MIB, 2).unwrap();
    let needed = held.answers(&mut [0; 20]);
    assert!(needed < -2000, "{needed}");
    let answers = take_answers(&held);
    assert_eq!(
        answers.iter().map(|a| (a.0, a.1)).collect::<Vec<_>>(),
        [(1, 0), (2, u32::from(ErrorCode::Overloaded.wire()))]
    );
    held.fetch(GROUP, 1, 1, MIB, 3).unwrap();
    settle(&held);
    assert_eq!(take_answers(&held)[0].1, 0, "taken: there is room again");
}

#[test]
fn requests_that_are_not_answered_yet_are_bounded_too() {
    let options = Options {
        answers_bytes_max: 1000,
        ..memory(&disk_name("requests"))
    };
    let held = open(options).unwrap();
    let mut log = Log::default();
    submit(&held, &mut log, &[put(1, 1)]).unwrap();
    settle(&held);
    held.fetch(GROUP, 1, 1, 2000, 1).unwrap();
    held.scan(GROUP, 2, &Scan::default().encode()).unwrap();
    let refused = take_answers(&held);
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].0, refused[0].1),
        (2, u32::from(ErrorCode::Overloaded.wire()))
    );
    settle(&held);
    assert_eq!(take_answers(&held)[0].0, 1);
    held.scan(GROUP, 3, &Scan::default().encode()).unwrap();
    settle(&held);
    assert_eq!(take_answers(&held)[0].1, 0);
}

#[test]
fn peek_looks_into_memory_alone() {
    let held = cold(&disk_name("peek"), 3);
    let mut room = [0; 64];
    assert_eq!(held.peek(GROUP, b"key-0001", &mut room).unwrap(), -2);
    let mut log = Log {
        index: 3,
        next_revision: 7,
        ..Log::default()
    };
    submit(
        &held,
        &mut log,
        &[put(1, 5), Batch::new().delete(b"key-0002")],
    )
    .unwrap();
    settle(&held);
    held.apply(GROUP, 4, false).unwrap();
    assert_eq!(held.peek(GROUP, b"key-0001", &mut room).unwrap(), 7);
    assert_eq!(&room[..7], b"value-5");
    assert_eq!(
        held.peek(GROUP, b"key-0001", &mut room[..3]).unwrap(),
        -3 - 7
    );
    assert_eq!(held.peek(GROUP, b"key-0002", &mut room).unwrap(), -1);
}

#[test]
fn each_attachment_gets_its_own_answers_and_results() {
    let one = open(memory(&disk_name("two"))).unwrap();
    let two = Attachment::new(Engine::find(one.engine().token()).unwrap(), None).unwrap();
    let mut log = Log::default();
    submit(&one, &mut log, &[put(1, 1)]).unwrap();
    submit(&one, &mut log, &[put(2, 2)]).unwrap();
    settle(&one);
    one.apply(GROUP, 1, true).unwrap();
    two.apply(GROUP, 2, true).unwrap();
    one.fetch(GROUP, 1, 1, MIB, 1).unwrap();
    two.fetch(GROUP, 2, 2, MIB, 1).unwrap();
    settle(&one);
    for (held, index) in [(&one, 1), (&two, 2)] {
        assert_eq!(
            take_results(held).iter().map(|r| r.0).collect::<Vec<_>>(),
            [index]
        );
        let answers = take_answers(held);
        assert_eq!(answers.len(), 1);
        assert_eq!(record::parse(&answers[0].2).unwrap().header().index, index);
    }
    one.engine().close(true);
    assert_eq!(
        refusal(two.submit(&[], hard_state(1, 1, 0))),
        ErrorCode::Closed
    );
    assert_eq!(two.poll().failed, ErrorCode::Closed.wire());
}

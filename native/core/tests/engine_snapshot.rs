//! Snapshots are made beside the work: each is the state of one moment, whole, and the newest one is offered.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;
#[path = "common/snapshots.rs"]
mod snapshots;

use std::path::Path;

use batches::{Batch, GROUP, Log};
use engines::*;
use eraft_core::engine::{Attachment, ErrorCode, Options, memory_files};
use eraft_core::snapshot::{Header, verify};
use eraft_core::sys::{self, Fault, FileSystem, MemoryFileSystem, Open};
use snapshots::*;

const FOLDER: &str = "/data/snapshots";

/// Segments that hold large values.
fn roomy(name: &str) -> Options {
    Options {
        segment_bytes: MIB as u64,
        frame_bytes_max: MIB,
        ..memory(name)
    }
}

/// Writes entry n, with `bytes` that do not shrink; durable and applied.
fn write(held: &Attachment, log: &mut Log, bytes: usize) {
    let n = log.index + 1;
    let mut state = n;
    let noise: Vec<u8> = (0..bytes)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    let batch = put(n, n).put(format!("large-{:03}", n % 40).as_bytes(), &noise);
    submit(held, log, &[batch]).unwrap();
    settle(held);
    held.apply(GROUP, n, false).unwrap();
    settle(held);
}

fn files(name: &str) -> Vec<String> {
    memory_files(name)
        .unwrap()
        .list(Path::new(FOLDER))
        .unwrap_or_default()
}

/// The only snapshot on the disk, verified: its header, and all its rows one behind the other.
fn only(fs: &MemoryFileSystem) -> (Header, Vec<u8>) {
    let names = fs.list(Path::new(FOLDER)).unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    let mut rows = Vec::new();
    let found = verify(fs, &Path::new(FOLDER).join(&names[0]), &mut |(
        key,
        value,
    )| {
        rows.extend_from_slice(key);
        rows.extend_from_slice(value);
        true
    });
    (found.unwrap().0, rows)
}

#[test]
fn it_says_of_what_it_is() {
    let name = disk_name("facts");
    let held = open(roomy(&name)).unwrap();
    let mut log = Log::default();
    for _ in 0..3 {
        write(&held, &mut log, 10);
    }
    held.save_conf(GROUP, 2, b"two members").unwrap();
    held.save_conf(GROUP, 9, b"not yet").unwrap();
    let info = create(&held);
    assert_eq!((info.index, info.term, info.next_revision), (3, 1, 7));
    assert_eq!((info.conf_index, &info.conf[..]), (2, &b"two members"[..]));
    assert_eq!(files(&name), ["0000000000000003-0000000000000001.snap"]);
    let (header, _) = only(&memory_files(&name).unwrap());
    assert_eq!(
        (header.cluster, header.group, header.revision),
        ([7; 16], GROUP, 6)
    );
    assert_eq!(parts(&held, &info).concat().len() as u64, info.bytes);
    // The present is in it already.
    assert_eq!(create(&held), info);
}

#[test]
fn what_is_applied_meanwhile_is_not_in_it() {
    let (name, still) = (disk_name("busy"), disk_name("still"));
    let held = open(roomy(&name)).unwrap();
    let other = open(roomy(&still)).unwrap();
    let (mut log, mut other_log) = (Log::default(), Log::default());
    for _ in 0..60 {
        write(&held, &mut log, 100_000);
        write(&other, &mut other_log, 100_000);
    }
    held.create_snapshot(GROUP, 5).unwrap();
    let mut between = 0;
    while held.poll().answers_bytes == 0 {
        between += 1;
        assert!(between < 500, "never made");
        // Into the same keys, while it is being made.
        let change = Batch::new().put(b"large-007", b"new").delete(b"large-039");
        submit(&held, &mut log, &[change]).unwrap();
        for _ in 0..3 {
            held.step().unwrap();
        }
        held.apply(GROUP, held.poll().durable, false).unwrap();
    }
    assert!(between >= 3, "{between} changes are no test");
    settle(&held);
    assert!(held.applied(GROUP).unwrap() > 60);
    assert!(good(&held, 5).is_empty());
    create(&other);
    let (header, rows) = only(&memory_files(&name).unwrap());
    let (other_header, other_rows) = only(&memory_files(&still).unwrap());
    assert_eq!(header.index, 60);
    assert_eq!(
        Header {
            id: header.id,
            ..other_header
        },
        header
    );
    assert!(rows == other_rows, "the same records make the same rows");
}

#[test]
fn time_and_term_are_those_of_the_last_applied_record() {
    let name = disk_name("time");
    let held = open(roomy(&name)).unwrap();
    let mut log = Log::default();
    write(&held, &mut log, 10);
    log.term = 5;
    write(&held, &mut log, 10);
    // Behind it in the log, and not applied.
    log.term = 6;
    submit(&held, &mut log, &[put(8, 8)]).unwrap();
    settle(&held);
    let info = create(&held);
    assert_eq!((info.index, info.term), (2, 5));
    close(held);
    // Nothing is evaluated after the opening.
    memory_files(&name)
        .unwrap()
        .remove(&Path::new(FOLDER).join("0000000000000002-0000000000000005.snap"))
        .unwrap();
    let again = open(Options {
        entropy: [4; 32],
        ..roomy(&name)
    })
    .unwrap();
    assert_eq!(again.latest_snapshot(GROUP).unwrap(), None);
    let other = create(&again);
    assert_eq!((other.index, other.term, other.time), (2, 5, info.time));
    assert_ne!(other.id, info.id);
}

#[test]
fn the_newer_replaces_the_older_unless_it_is_held() {
    let name = disk_name("held");
    let held = open(roomy(&name)).unwrap();
    let mut log = Log::default();
    write(&held, &mut log, 10);
    let first = create(&held);
    assert!(held.hold_snapshot(&first.id).unwrap());
    write(&held, &mut log, 10);
    let second = create(&held);
    assert_eq!(files(&name).len(), 2);
    part(&held, &first, 1);
    held.release_snapshot(&first.id).unwrap();
    settle(&held);
    assert_eq!(files(&name), ["0000000000000002-0000000000000001.snap"]);
    held.read_snapshot(&first.id, 1, 9).unwrap();
    assert_eq!(refused(&held, 9), ErrorCode::SnapshotLost);
    assert!(!held.hold_snapshot(&first.id).unwrap());
    write(&held, &mut log, 10);
    create(&held);
    assert_eq!(files(&name), ["0000000000000003-0000000000000001.snap"]);
    held.read_snapshot(&second.id, 1, 9).unwrap();
    assert_eq!(refused(&held, 9), ErrorCode::SnapshotLost);
}

#[test]
fn refusals_leave_nothing_behind() {
    let name = disk_name("refused");
    let held = open(roomy(&name)).unwrap();
    held.create_snapshot(GROUP, 1).unwrap();
    assert_eq!(
        refused(&held, 1),
        ErrorCode::BadRequest,
        "nothing is applied"
    );
    let mut log = Log::default();
    for _ in 0..20 {
        write(&held, &mut log, 100_000);
    }
    held.create_snapshot(GROUP, 2).unwrap();
    held.step().unwrap();
    held.create_snapshot(GROUP, 3).unwrap();
    held.step().unwrap();
    let (tag, status, _) = take_answers(&held).pop().expect("refused at once");
    assert_eq!((tag, status), (3, u32::from(ErrorCode::Overloaded.wire())));
    settle(&held);
    assert!(good(&held, 2).is_empty());

    write(&held, &mut log, 10);
    let fs = memory_files(&name).unwrap();
    fs.set_capacity(Some(fs.used() + 100_000));
    held.create_snapshot(GROUP, 4).unwrap();
    assert_eq!(refused(&held, 4), ErrorCode::DiskFull);
    fs.set_capacity(None);
    assert_eq!(
        files(&name),
        ["0000000000000014-0000000000000001.snap"],
        "the older one stays, nothing else"
    );
    for operation in 1..12 {
        held.create_snapshot(GROUP, 5).unwrap();
        fs.fail_at(fs.operations() + operation, Fault::Error);
        settle(&held);
        let (_, status, _) = take_answers(&held).pop().unwrap();
        assert!(
            held.failure().is_none(),
            "a snapshot that cannot be made ends nothing"
        );
        if status == 0 {
            assert!(operation > 5, "{operation}");
            break;
        }
        assert_eq!(
            files(&name),
            ["0000000000000014-0000000000000001.snap"],
            "{operation}"
        );
    }
}

#[test]
fn an_opening_finds_the_newest_and_tidies_up() {
    let name = disk_name("tidy");
    let held = open(roomy(&name)).unwrap();
    let mut log = Log::default();
    write(&held, &mut log, 10);
    let first = create(&held);
    held.hold_snapshot(&first.id).unwrap();
    write(&held, &mut log, 10);
    let second = create(&held);
    close(held);
    let fs = memory_files(&name).unwrap();
    for left in [
        "0000000000000009-0000000000000001.snap.made",
        "0000000000000008-0000000000000001.snap.part",
        "mine.txt",
    ] {
        fs.open(&Path::new(FOLDER).join(left), Open::Create)
            .unwrap();
    }
    fs.open(
        &Path::new(FOLDER).join("0000000000000007-0000000000000001.snap"),
        Open::Create,
    )
    .unwrap();
    let again = open(roomy(&name)).unwrap();
    assert_eq!(again.latest_snapshot(GROUP).unwrap(), Some(second.clone()));
    assert_eq!(
        files(&name),
        [
            "0000000000000002-0000000000000001.snap",
            "0000000000000008-0000000000000001.snap.part",
            "mine.txt"
        ]
    );
    assert_eq!(parts(&again, &second).len() as u32, second.parts);
}

#[test]
fn one_that_the_log_no_longer_follows_goes_when_nobody_holds_it() {
    let name = disk_name("outrun");
    let held = open(roomy(&name)).unwrap();
    let mut log = Log::default();
    write(&held, &mut log, 10);
    let info = create(&held);
    held.hold_snapshot(&info.id).unwrap();
    let cut = |log: &mut Log| {
        for _ in 0..40 {
            write(&held, log, 100_000); // segments of 1 MiB
        }
        held.flush().unwrap();
        settle(&held);
        held.truncate(GROUP, log.index).unwrap();
        settle(&held);
    };
    cut(&mut log);
    assert!(held.compacted(GROUP).unwrap() > info.index);
    assert_eq!(held.latest_snapshot(GROUP).unwrap(), Some(info.clone()));
    held.release_snapshot(&info.id).unwrap();
    cut(&mut log);
    assert_eq!(held.latest_snapshot(GROUP).unwrap(), None);
    assert_eq!(files(&name), [""; 0]);
    let next = create(&held);
    held.truncate(GROUP, log.index).unwrap();
    settle(&held);
    assert_eq!(
        held.latest_snapshot(GROUP).unwrap(),
        Some(next),
        "of the present: the log follows it"
    );
}

#[test]
fn a_damaged_one_is_found_when_it_is_read_and_not_offered_again() {
    let name = disk_name("rotten");
    let held = open(roomy(&name)).unwrap();
    let mut log = Log::default();
    write(&held, &mut log, 1000);
    let info = create(&held);
    let fs = memory_files(&name).unwrap();
    let path = Path::new(FOLDER).join(&files(&name)[0]);
    let mut bytes = sys::read_file(&*fs, &path).unwrap();
    bytes[500] ^= 1;
    let file = fs.open(&path, Open::Write).unwrap();
    sys::write_all_at(&*file, 0, &mut [std::io::IoSlice::new(&bytes)]).unwrap();
    held.read_snapshot(&info.id, 1, 7).unwrap();
    let (status, message) = answer(&held, 7);
    assert_eq!(status, u32::from(ErrorCode::DataDamaged.wire()));
    let message = String::from_utf8(message).unwrap();
    assert!(
        message.contains("0000000000000001.snap is damaged at byte"),
        "{message}"
    );
    assert_eq!(held.latest_snapshot(GROUP).unwrap(), None);
    assert_ne!(create(&held).id, info.id, "another one can be made");
}

#[test]
fn with_threads_applies_and_reads_go_on() {
    let name = disk_name("threads");
    let (notify, calls) = signal();
    let engine = eraft_core::engine::Engine::open(Options {
        memtable_bytes: 1 << 20,
        ..Options {
            stepped: false,
            ..roomy(&name)
        }
    })
    .unwrap();
    let held = Attachment::new(engine, Some(notify)).unwrap();
    let mut log = Log::default();
    let mut ticket = 0;
    let go = |held: &Attachment, ticket: u64, index: u64| {
        held.write().unwrap();
        wait(held, &calls, || held.poll().durable >= ticket);
        held.apply(GROUP, index, false).unwrap();
        wait(held, &calls, || held.applied(GROUP).unwrap() >= index);
    };
    for n in 0..300u64 {
        ticket = submit(
            &held,
            &mut log,
            &[put(n, n).put(format!("large-{n}").as_bytes(), &[n as u8; 20_000])],
        )
        .unwrap()
        .0;
        if n % 10 == 9 {
            go(&held, ticket, log.index);
        }
    }
    go(&held, ticket, log.index);
    held.create_snapshot(GROUP, 3).unwrap();
    while held.poll().answers_bytes == 0 {
        let n = log.index;
        ticket = submit(&held, &mut log, &[put(1, n)]).unwrap().0;
        go(&held, ticket, log.index);
    }
    let (tag, status, _) = take_answers(&held).pop().unwrap();
    assert_eq!((tag, status), (3, 0));
    let info = held.latest_snapshot(GROUP).unwrap().unwrap();
    assert!(info.index >= 300 && info.parts > 5);
    verify(
        &*memory_files(&name).unwrap(),
        &Path::new(FOLDER).join(&files(&name)[0]),
        &mut |_| true,
    )
    .unwrap();
    held.engine().close(true);
}

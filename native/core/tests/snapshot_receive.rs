//! A snapshot comes in part by part: verified before it is written, resumed where it broke, complete or not there.

use std::path::Path;

use eraft_core::snapshot::{Header, Reader, Received, Receiver, SnapshotError, Writer, verify};
use eraft_core::sys::{self, Fault, FileSystem, MemoryFileSystem};

const FILE: &str = "/s/b.snap";
const PART: &str = "/s/b.snap.part";

fn disk() -> MemoryFileSystem {
    let fs = MemoryFileSystem::new();
    fs.create_dir(Path::new("/s")).unwrap();
    fs
}

/// The parts of a snapshot, and what is announced of it.
fn sample(id: u8, rows: u32) -> (Vec<Vec<u8>>, Received) {
    let fs = disk();
    let header = Header {
        id: [id; 16],
        index: 9,
        term: 2,
        next_revision: 1,
        ..Header::default()
    };
    let path = Path::new("/s/a.snap");
    let mut writer = Writer::begin(&fs, path, Path::new("/s/a.made"), &header).unwrap();
    for at in 0..rows {
        writer.row(&[&[3, 0, 0][..], &at.to_be_bytes()].concat(), &[id; 700]);
        writer.end_chunk().unwrap();
    }
    writer.finish(&fs).unwrap();
    let reader = Reader::open(&fs, path).unwrap();
    let parts = (0..reader.parts()).map(|number| {
        let mut part = Vec::new();
        reader.read_part(number, &mut part).unwrap();
        part
    });
    let announced = Received {
        index: 9,
        term: 2,
        id: [id; 16],
        parts: reader.parts(),
        bytes: reader.bytes(),
    };
    (parts.collect(), announced)
}

fn begin(fs: &MemoryFileSystem, announced: Received) -> Result<Receiver, SnapshotError> {
    Receiver::begin(fs, Path::new(FILE), Path::new(PART), announced, &mut |_| {
        true
    })
}

/// Sends what is wanted, up to part `until`.
fn send(
    fs: &MemoryFileSystem,
    receiver: &mut Receiver,
    parts: &[Vec<u8>],
    until: u32,
) -> Result<(), SnapshotError> {
    while receiver.next() < until {
        let next = receiver.next();
        receiver.part(fs, next, &parts[next as usize], &mut |_| true)?;
    }
    Ok(())
}

#[test]
fn parts_in_order_make_the_file() {
    let fs = disk();
    let (parts, announced) = sample(1, 5);
    let mut receiver = begin(&fs, announced).unwrap();
    send(&fs, &mut receiver, &parts, 6).unwrap();
    assert!(!receiver.is_done() && fs.list(Path::new("/s")).unwrap() == ["b.snap.part"]);
    send(&fs, &mut receiver, &parts, 7).unwrap();
    assert!(receiver.is_done());
    assert_eq!(fs.list(Path::new("/s")).unwrap(), ["b.snap"]);
    assert_eq!(
        sys::read_file(&fs, Path::new(FILE)).unwrap(),
        parts.concat()
    );
}

#[test]
fn what_is_not_wanted_or_not_sound_is_refused_and_changes_nothing() {
    let fs = disk();
    let (parts, announced) = sample(1, 5);
    let (others, _) = sample(2, 5);
    let mut receiver = begin(&fs, announced).unwrap();
    let refused = |receiver: &mut Receiver, number: u32, part: &[u8]| {
        let before = (
            receiver.next(),
            sys::read_file(&fs, Path::new(PART)).unwrap(),
        );
        let outcome = receiver.part(&fs, number, part, &mut |_| true);
        assert!(
            matches!(
                outcome,
                Err(SnapshotError::Refused { .. } | SnapshotError::Damaged { .. })
            ),
            "{number}: {outcome:?}"
        );
        assert_eq!(
            (
                receiver.next(),
                sys::read_file(&fs, Path::new(PART)).unwrap()
            ),
            before
        );
    };
    refused(&mut receiver, 0, &others[0]);
    refused(&mut receiver, 1, &parts[1]);
    for next in 0..parts.len() as u32 {
        let part = &parts[next as usize];
        refused(&mut receiver, next + 1, part);
        refused(
            &mut receiver,
            next,
            &parts[(next as usize + 1) % parts.len()],
        );
        refused(&mut receiver, next, &part[..part.len() - 8]);
        refused(&mut receiver, next, &[&part[..], &[0; 8]].concat());
        refused(&mut receiver, next, b"");
        for at in [0, 5, 12, 20, 28, part.len() - 1] {
            let mut flipped = part.clone();
            flipped[at] ^= 1;
            refused(&mut receiver, next, &flipped);
        }
        if next < parts.len() as u32 - 1 {
            send(&fs, &mut receiver, &parts, next + 1).unwrap();
        }
    }
    send(&fs, &mut receiver, &parts, parts.len() as u32).unwrap();
    assert!(receiver.is_done());
    let again = receiver.part(&fs, 7, &parts[6], &mut |_| true);
    assert!(
        matches!(again, Err(SnapshotError::Refused { .. })),
        "{again:?}"
    );
}

#[test]
fn a_row_that_no_store_can_hold_is_refused() {
    let fs = disk();
    let (parts, announced) = sample(1, 1);
    let mut receiver = begin(&fs, announced).unwrap();
    send(&fs, &mut receiver, &parts, 1).unwrap();
    let refused = receiver.part(&fs, 1, &parts[1], &mut |_| false);
    assert!(
        matches!(refused, Err(SnapshotError::Damaged { .. })),
        "{refused:?}"
    );
}

#[test]
fn announcements_that_cannot_be_are_refused() {
    let (parts, good) = sample(1, 3);
    for bad in [
        Received { parts: 1, ..good },
        Received {
            bytes: u64::MAX,
            ..good
        },
    ] {
        assert!(matches!(
            begin(&disk(), bad),
            Err(SnapshotError::Refused { .. })
        ));
    }
    // Fewer or more parts or bytes than there are: found out at the latest with the last one.
    for lie in [
        Received {
            parts: good.parts - 1,
            ..good
        },
        Received {
            parts: good.parts + 1,
            ..good
        },
        Received {
            bytes: good.bytes + 8,
            ..good
        },
        Received {
            bytes: good.bytes - 8,
            ..good
        },
        Received { index: 8, ..good },
        Received { term: 1, ..good },
    ] {
        let fs = disk();
        let mut receiver = begin(&fs, lie).unwrap();
        let sent = send(&fs, &mut receiver, &parts, good.parts);
        assert!(sent.is_err() && !receiver.is_done(), "{lie:?}");
        assert!(
            !fs.list(Path::new("/s"))
                .unwrap()
                .contains(&"b.snap".to_owned())
        );
    }
}

#[test]
fn it_goes_on_behind_what_is_kept() {
    let (parts, announced) = sample(1, 5);
    for kept in 0..parts.len() as u32 {
        let fs = disk();
        let mut receiver = begin(&fs, announced).unwrap();
        send(&fs, &mut receiver, &parts, kept).unwrap();
        drop(receiver);
        let mut resumed = begin(&fs, announced).unwrap();
        assert_eq!(resumed.next(), kept);
        send(&fs, &mut resumed, &parts, announced.parts).unwrap();
        verify(&fs, Path::new(FILE), &mut |_| true).unwrap();
    }
}

#[test]
fn what_is_kept_of_another_snapshot_goes() {
    let fs = disk();
    let (parts, announced) = sample(1, 5);
    let (others, other) = sample(2, 5);
    let mut receiver = begin(&fs, announced).unwrap();
    send(&fs, &mut receiver, &parts, 4).unwrap();
    let mut second = begin(&fs, other).unwrap();
    assert_eq!(second.next(), 0);
    send(&fs, &mut second, &others, other.parts).unwrap();
    assert_eq!(
        sys::read_file(&fs, Path::new(FILE)).unwrap(),
        others.concat()
    );
}

/// Receives all of it, in two lives; begins again where an operation fails.
fn script(fs: &MemoryFileSystem) -> Result<(), SnapshotError> {
    let (parts, announced) = sample(1, 4);
    for until in [3, announced.parts] {
        let mut receiver = begin(fs, announced)?;
        if receiver.is_done() {
            return Ok(());
        }
        send(fs, &mut receiver, &parts, until)?;
    }
    Ok(())
}

#[test]
fn power_fails_at_every_operation_and_the_rest_is_sent_again() {
    let counted = disk();
    script(&counted).unwrap();
    for operation in 2..=counted.operations() {
        for seed in 0..6 {
            let fs = disk();
            fs.fail_at(operation, Fault::PowerLoss);
            let _ = script(&fs); // ends early, unless the lost operation was the last
            let fs = fs.crash(operation * 100 + seed);
            let names = fs.list(Path::new("/s")).unwrap();
            if names.contains(&"b.snap".to_owned()) {
                verify(&fs, Path::new(FILE), &mut |_| true)
                    .unwrap_or_else(|e| panic!("operation {operation}, seed {seed}: {e}"));
            }
            script(&fs).unwrap_or_else(|e| panic!("operation {operation}, seed {seed}: {e}"));
            // And what is there then stays.
            let fs = fs.crash(seed);
            verify(&fs, Path::new(FILE), &mut |_| true)
                .unwrap_or_else(|e| panic!("{operation}, {seed}: {e}"));
        }
    }
}

#[test]
fn a_sync_that_failed_is_not_believed_later() {
    let counted = disk();
    script(&counted).unwrap();
    for operation in 2..=counted.operations() {
        for chance in 0..8 {
            let fs = disk();
            for _ in 0..chance {
                fs.list(Path::new("/s")).unwrap(); // what a failed sync loses depends on when it comes
            }
            fs.fail_at(operation + chance, Fault::Error);
            if script(&fs).is_ok() {
                continue; // an operation that nothing depends on
            }
            let what = format!("operation {operation}, chance {chance}");
            script(&fs).unwrap_or_else(|e| panic!("{what}: {e}"));
            let fs = fs.crash(operation);
            verify(&fs, Path::new(FILE), &mut |_| true).unwrap_or_else(|e| panic!("{what}: {e}"));
        }
    }
}

#[test]
fn a_full_disk_stops_it_and_space_lets_it_go_on() {
    let fs = disk();
    let (parts, announced) = sample(1, 5);
    let mut receiver = begin(&fs, announced).unwrap();
    fs.set_capacity(Some(300));
    let sent = send(&fs, &mut receiver, &parts, announced.parts);
    assert!(matches!(sent, Err(SnapshotError::Full { .. })), "{sent:?}");
    fs.set_capacity(None);
    let mut receiver = begin(&fs, announced).unwrap();
    assert!(receiver.next() > 0, "what was there is kept");
    send(&fs, &mut receiver, &parts, announced.parts).unwrap();
    verify(&fs, Path::new(FILE), &mut |_| true).unwrap();
}

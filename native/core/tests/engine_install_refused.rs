//! Snapshots that are not received or not installed: what is refused, what waits, what ends the replica; nothing is lost by it.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;
#[path = "common/installs.rs"]
mod installs;
#[path = "common/snapshots.rs"]
mod snapshots;

use std::path::Path;

use batches::GROUP;
use engines::*;
use eraft_core::engine::{ErrorCode, MARKER_FILE, Options, memory_files};
use eraft_core::snapshot::Received;
use eraft_core::sys::{self, FileSystem};
use installs::*;
use snapshots::*;

#[test]
fn an_older_snapshot_changes_nothing() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let info = create(&leader);
    for entries in [20, 21] {
        let (held, _) = follower(&to, entries, 3);
        let before = digest(&held);
        held.receive_snapshot(GROUP, announced(&info), 1).unwrap();
        assert_eq!(refused(&held, 1), ErrorCode::BadRequest);
        drop(held);
        eraft_core::engine::forget_memory(&to);
        // It was wanted when it came, and no more when it is to be installed.
        let (held, mut log) = follower(&to, 6, 3);
        send(&parts(&leader, &info), &info, &held);
        for n in 6..entries {
            write(&held, &mut log, &[put(100 + n, n)]);
        }
        held.install_snapshot(GROUP, info.index, info.term, None, 2)
            .unwrap();
        assert_eq!(refused(&held, 2), ErrorCode::BadRequest);
        // Or while its file is read.
        assert_eq!(digest(&held), before);
        assert!(!marker(&to));
        write(&held, &mut log, &[put(1, 1)]);
        drop(held);
        eraft_core::engine::forget_memory(&to);
    }
}

#[test]
fn one_that_is_overtaken_while_it_is_verified_changes_nothing() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, mut log) = follower(&to, 6, 3);
    let info = transfer(&leader, &held);
    for n in 6..20 {
        submit(&held, &mut log, &[put(100 + n, n)]).unwrap();
    }
    settle(&held);
    held.install_snapshot(GROUP, info.index, info.term, None, 2)
        .unwrap();
    held.step().unwrap();
    held.apply(GROUP, 20, false).unwrap();
    assert_eq!(refused(&held, 2), ErrorCode::BadRequest);
    assert_eq!(held.applied(GROUP).unwrap(), 20);
    assert_eq!(value(&held, 119), Some(b"value-19".to_vec()));
    write(&held, &mut log, &[put(1, 1)]);
}

#[test]
fn a_damaged_or_foreign_file_is_refused_before_anything_is_touched() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, _) = follower(&to, 6, 2);
    let before = digest(&held);
    held.install_snapshot(GROUP, 20, 3, None, 1).unwrap();
    assert_eq!(refused(&held, 1), ErrorCode::Io, "there is none");
    let info = transfer(&leader, &held);
    let fs = memory_files(&to).unwrap();
    let path = Path::new("/data/snapshots/0000000000000014-0000000000000003.snap");
    let good_bytes = sys::read_file(&*fs, path).unwrap();
    for at in [30, 200, good_bytes.len() - 60, good_bytes.len() - 1] {
        let mut bad = good_bytes.clone();
        bad[at] ^= 4;
        let file = fs.open(path, sys::Open::Write).unwrap();
        sys::write_all_at(&*file, 0, &mut [std::io::IoSlice::new(&bad)]).unwrap();
        held.install_snapshot(GROUP, 20, 3, None, 2).unwrap();
        assert_eq!(refused(&held, 2), ErrorCode::DataDamaged, "byte {at}");
        assert_eq!(digest(&held), before);
    }
    assert!(!marker(&to) && held.failure().is_none());
    drop(held);
    eraft_core::engine::forget_memory(&to);
    let stranger = open(Options {
        cluster: Some([9; 16]),
        ..second(&to)
    })
    .unwrap();
    send(&parts(&leader, &info), &info, &stranger);
    stranger.install_snapshot(GROUP, 20, 3, None, 3).unwrap();
    assert_eq!(refused(&stranger, 3), ErrorCode::DataMismatch);
    assert_eq!(stranger.applied(GROUP).unwrap(), 0);
}

#[test]
fn a_part_out_of_order_or_of_nothing_is_refused() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, _) = follower(&to, 6, 2);
    let info = create(&leader);
    let parts = parts(&leader, &info);
    held.receive_part(0, &parts[0], 1).unwrap();
    assert_eq!(
        refused(&held, 1),
        ErrorCode::BadRequest,
        "nothing was announced"
    );
    held.receive_snapshot(GROUP, announced(&info), 2).unwrap();
    assert_eq!(number(&good(&held, 2)), 0);
    held.receive_part(1, &parts[1], 3).unwrap();
    assert_eq!(refused(&held, 3), ErrorCode::BadRequest);
    held.receive_part(0, &parts[0], 4).unwrap();
    assert_eq!(number(&good(&held, 4)), 1);
    // A restart of the receiver: it goes on there.
    close(held);
    let held = open(second(&to)).unwrap();
    held.receive_snapshot(GROUP, announced(&info), 5).unwrap();
    assert_eq!(number(&good(&held, 5)), 1);
    // Another snapshot is announced: that one begins.
    let other = Received {
        id: [1; 16],
        index: 21,
        ..announced(&info)
    };
    held.receive_snapshot(GROUP, other, 6).unwrap();
    assert_eq!(number(&good(&held, 6)), 0);
    let names = memory_files(&to)
        .unwrap()
        .list(Path::new("/data/snapshots"))
        .unwrap();
    assert_eq!(names, ["0000000000000015-0000000000000003.snap.part"]);
    send(&parts, &info, &held);
    held.receive_snapshot(GROUP, announced(&info), 7).unwrap();
    assert_eq!(
        number(&good(&held, 7)),
        info.parts,
        "it is complete already"
    );
}

#[test]
fn no_space_for_the_marker_refuses_and_no_space_behind_it_waits() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, mut log) = follower(&to, 6, 2);
    let info = transfer(&leader, &held);
    let before = digest(&held);
    let fs = memory_files(&to).unwrap();
    fs.set_capacity(Some(fs.used()));
    held.install_snapshot(GROUP, info.index, info.term, None, 1)
        .unwrap();
    assert_eq!(refused(&held, 1), ErrorCode::DiskFull);
    fs.set_capacity(None);
    assert_eq!(digest(&held), before);
    assert!(!marker(&to));
    write(&held, &mut log, &[put(1, 1)]);

    let store = eraft_core::engine::memory_store(&to).unwrap();
    store.set_capacity(Some(1));
    held.install_snapshot(GROUP, info.index, info.term, None, 2)
        .unwrap();
    settle(&held);
    assert!(take_answers(&held).is_empty() && held.failure().is_none());
    assert!(held.poll().disk_full && marker(&to));
    store.set_capacity(None);
    good(&held, 2);
    assert!(!held.poll().disk_full);
    assert_eq!(digest(&held), digest(&leader));
}

#[test]
fn a_failure_behind_the_marker_ends_the_replica_and_an_opening_goes_on() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, _) = follower(&to, 6, 2);
    let info = transfer(&leader, &held);
    let store = eraft_core::engine::memory_store(&to).unwrap();
    held.install_snapshot(GROUP, info.index, info.term, None, 1)
        .unwrap();
    while !marker(&to) {
        held.step().unwrap();
    }
    store.refuse_writes(1);
    while held.failure().is_none() {
        held.step().unwrap();
    }
    let failure = held.failure().unwrap();
    assert!(
        failure
            .message
            .contains("opening the folder goes on with the installation"),
        "{failure}"
    );
    assert_eq!(held.poll().failed, ErrorCode::Failed.wire());
    held.engine().close(true);
    let again = open(second(&to)).unwrap();
    assert_eq!(digest(&again), digest(&leader));
    assert_eq!(again.recovered()[0].log.compacted_index, 20);
    assert!(!marker(&to));
}

#[test]
fn a_store_in_the_middle_and_no_marker_is_refused() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, _) = follower(&to, 6, 2);
    let info = transfer(&leader, &held);
    held.install_snapshot(GROUP, info.index, info.term, None, 1)
        .unwrap();
    while held.read(GROUP, &[], &mut []).is_ok() {
        held.step().unwrap();
    }
    held.engine().close(true); // flushes what is there of it
    let fs = memory_files(&to).unwrap();
    let marker_path = Path::new("/data").join(MARKER_FILE);
    let bytes = sys::read_file(&*fs, &marker_path).unwrap();
    fs.remove(&marker_path).unwrap();
    let refusal = open(second(&to)).err().expect("refused");
    assert_eq!(refusal.code, ErrorCode::DataDamaged);
    assert!(
        refusal.message.contains("being replaced by a snapshot"),
        "{refusal}"
    );
    for at in [0, 9, 30, bytes.len() - 1] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        sys::write_file_durably(&*fs, &marker_path, &bad).unwrap();
        let refusal = open(second(&to)).err().expect("refused");
        assert_eq!(refusal.code, ErrorCode::DataDamaged, "byte {at}: {refusal}");
    }
    sys::write_file_durably(&*fs, &marker_path, &bytes).unwrap();
    assert_eq!(digest(&open(second(&to)).unwrap()), digest(&leader));
}

#[test]
fn it_waits_for_an_apply_that_waits() {
    let (from, to) = (disk_name("from"), disk_name("to"));
    let (leader, _) = leader(&from);
    let (held, mut log) = follower(&to, 6, 2);
    let info = transfer(&leader, &held);
    let store = eraft_core::engine::memory_store(&to).unwrap();
    store.set_capacity(Some(1));
    held.flush().unwrap();
    let (_, index) = submit(&held, &mut log, &[put(7, 7)]).unwrap();
    settle(&held);
    held.apply(GROUP, index, false).unwrap();
    settle(&held);
    assert_eq!(held.applied(GROUP).unwrap(), 6, "there is no space for it");
    held.install_snapshot(GROUP, info.index, info.term, None, 1)
        .unwrap();
    settle(&held);
    assert!(take_answers(&held).is_empty() && !marker(&to));
    store.set_capacity(None);
    assert!(good(&held, 1).is_empty());
    assert_eq!(digest(&held), digest(&leader));
}

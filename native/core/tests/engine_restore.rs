//! A backup becomes a new cluster's folder, and what is in files is told without changing them.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;
#[path = "common/snapshots.rs"]
mod snapshots;

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use batches::{Batch, GROUP, Log};
use engines::*;
use eraft_core::engine::{
    Attachment, ErrorCode, Options, crash_memory, forget_memory, inspect_files, memory_files,
    restore_folder,
};
use eraft_core::sys::{self, Fault, FileSystem, Open};
use snapshots::*;

fn filled(held: &Attachment) -> Log {
    let mut log = Log {
        term: 3,
        ..Log::default()
    };
    held.submit(&[], hard_state(3, 1, 0)).unwrap();
    for n in 0..9 {
        submit(held, &mut log, &[put(n, n)]).unwrap();
    }
    submit(held, &mut log, &[Batch::register()]).unwrap();
    settle(held);
    held.apply(GROUP, 10, false).unwrap();
    settle(held);
    log
}

/// The parts of a snapshot, one behind the other, and the digest of its state.
fn backup() -> (Vec<u8>, (u64, String)) {
    let name = disk_name("backup");
    let held = open(memory(&name)).unwrap();
    filled(&held);
    let info = create(&held);
    let found = (parts(&held, &info).concat(), digest(&held));
    drop(held);
    forget_memory(&name);
    found
}

fn restored(name: &str) -> Options {
    Options {
        cluster: Some([8; 16]),
        replica: 3,
        ..memory(name)
    }
}

fn put_file(name: &str, bytes: &[u8]) -> PathBuf {
    let fs = memory_files(name).unwrap();
    fs.create_dir(Path::new("/backup")).unwrap();
    let path = PathBuf::from("/backup/file");
    let _ = fs.remove(&path); // there may be none
    let file = fs.open(&path, Open::Create).unwrap();
    sys::write_all_at(&*file, 0, &mut [IoSlice::new(bytes)]).unwrap();
    file.sync().unwrap();
    fs.sync_dir(Path::new("/backup")).unwrap();
    path
}

#[test]
fn a_restored_folder_is_a_new_replica_with_the_old_state() {
    let (bytes, state) = backup();
    let name = disk_name("restored");
    let file = put_file(&name, &bytes);
    restore_folder(&file, b"new members".to_vec(), restored(&name)).unwrap();
    let held = open(Options {
        entropy: [5; 32],
        ..restored(&name)
    })
    .unwrap();
    let identity = held.identity().unwrap();
    assert_eq!((identity.replica, identity.blank), (3, true));
    assert_ne!(
        identity.cluster, [8; 16],
        "who begins blank under this id belongs to another cluster"
    );
    assert_eq!(digest(&held), state);
    let group = held.recovered()[0].clone();
    assert_eq!(
        (
            group.log.compacted_index,
            group.log.compacted_term,
            group.log.last_index
        ),
        (10, 3, 10)
    );
    assert_eq!(
        (
            group.log.hard_state.term,
            group.log.hard_state.vote,
            group.log.hard_state.commit
        ),
        (3, 0, 10)
    );
    assert_eq!(group.log.conf, Some((10, b"new members".to_vec())));
    assert_eq!(
        (group.log.next_revision, group.applied.revision),
        (11, 10),
        "no revision comes again"
    );
    let mut log = Log {
        index: 10,
        term: 4,
        next_revision: group.log.next_revision,
    };
    submit(&held, &mut log, &[put(1, 77)]).unwrap();
    settle(&held);
    held.apply(GROUP, 11, false).unwrap();
    settle(&held);
    assert_eq!(value(&held, 1), Some(b"value-77".to_vec()));
    // It can be backed up in turn, under its own cluster.
    assert_eq!(create(&held).index, 11);
    close(held);
    let stranger = Options {
        cluster: Some([9; 16]),
        ..restored(&name)
    };
    let Err(refusal) = open(stranger) else {
        panic!("another cluster's folder was opened");
    };
    assert_eq!(refusal.code, ErrorCode::DataMismatch);
    for id in ["08".repeat(16), identity.cluster_hex(), "09".repeat(16)] {
        assert!(refusal.message.contains(&id), "{refusal}");
    }
}

#[test]
fn a_damaged_file_a_folder_in_use_and_a_missing_cluster_change_nothing() {
    let (bytes, _) = backup();
    let name = disk_name("refused");
    let fs = memory_files(&name).unwrap();
    for at in [0, 8, 60, bytes.len() / 2, bytes.len() - 1] {
        let mut bad = bytes.clone();
        bad[at] ^= 0x20;
        let file = put_file(&name, &bad);
        let refusal = restore_folder(&file, Vec::new(), restored(&name)).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::DataDamaged, "byte {at}");
        assert!(
            refusal.message.contains("/backup/file is damaged at byte"),
            "{refusal}"
        );
        assert!(
            fs.list(Path::new("/data")).is_err(),
            "the folder was not even made"
        );
    }
    let file = put_file(&name, &bytes);
    let nobody = Options {
        cluster: None,
        ..restored(&name)
    };
    assert_eq!(
        restore_folder(&file, Vec::new(), nobody).unwrap_err().code,
        ErrorCode::Config
    );
    let held = open(restored(&name)).unwrap();
    let code = |outcome: Result<(), eraft_core::engine::EngineError>| outcome.unwrap_err().code;
    assert_eq!(
        code(restore_folder(&file, Vec::new(), restored(&name))),
        ErrorCode::DataLocked
    );
    close(held);
    assert_eq!(
        code(restore_folder(&file, Vec::new(), restored(&name))),
        ErrorCode::Config
    );
    assert_eq!(open(restored(&name)).unwrap().applied(GROUP).unwrap(), 0);
}

#[test]
fn power_fails_at_every_operation_of_restoring() {
    let (bytes, state) = backup();
    let counted = disk_name("count");
    let file = put_file(&counted, &bytes);
    let start = memory_files(&counted).unwrap().operations();
    restore_folder(&file, b"m".to_vec(), restored(&counted)).unwrap();
    let all = memory_files(&counted).unwrap().operations();
    forget_memory(&counted);
    let (mut empty, mut refused, mut complete) = (0, 0, 0);
    for operation in start + 1..=all {
        let name = disk_name("restoring");
        let file = put_file(&name, &bytes);
        memory_files(&name)
            .unwrap()
            .fail_at(operation, Fault::PowerLoss);
        let told = restore_folder(&file, b"m".to_vec(), restored(&name));
        crash_memory(&name, operation).unwrap();
        let what = format!("operation {operation} ({told:?})");
        match open(restored(&name)) {
            Err(error) => {
                assert!(
                    error.message.contains("backup was being restored"),
                    "{what}: {error}"
                );
                refused += 1;
            }
            Ok(held) if held.applied(GROUP).unwrap() == 0 => {
                assert!(held.recovered().is_empty() && told.is_err(), "{what}");
                let names = memory_files(&name)
                    .unwrap()
                    .list(Path::new("/data/snapshots"));
                assert!(names.unwrap_or_default().is_empty(), "{what}");
                empty += 1;
            }
            Ok(held) => {
                assert_eq!(digest(&held), state, "{what}");
                assert_eq!(
                    held.recovered()[0].log.conf,
                    Some((10, b"m".to_vec())),
                    "{what}"
                );
                complete += 1;
            }
        }
        forget_memory(&name);
    }
    assert!(
        empty > 0 && refused > 0 && complete > 0,
        "{empty}, {refused}, {complete}"
    );
}

/// Every file below, with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn inspecting_tells_what_is_there_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let held = open(options(&data, None)).unwrap();
    let mut log = filled(&held);
    held.save_conf(GROUP, 4, b"AB").unwrap();
    settle(&held);
    create(&held);
    held.flush().unwrap();
    settle(&held);
    submit(&held, &mut log, &[put(1, 2)]).unwrap();
    settle(&held);
    held.engine().close(false);
    let before = files(dir.path());
    let snapshot = data.join("snapshots/000000000000000a-0000000000000003.snap");
    let told = inspect_files(&snapshot).unwrap();
    for fact in [
        r#"{"kind":"snapshot","version":1,"#,
        r#""cluster":"07070707070707070707070707070707","group":1,"index":10,"term":3,"time":1010,"revision":10,"nextRevision":11,"#,
        r#""confIndex":4,"conf":"4142","#,
        r#""chunks":1,"rows":10,"#,
        r#""keys":9,"sessions":1,"#,
    ] {
        assert!(told.contains(fact), "{fact} in {told}");
    }
    let told = inspect_files(&data.join("log")).unwrap();
    let fact = r#""groups":[{"group":1,"term":3,"vote":1,"commit":0,"compactedIndex":0,"compactedTerm":0,"lastIndex":11,"lastTerm":3,"#;
    assert!(
        told.starts_with(r#"{"kind":"log","segments":"#) && told.contains(fact),
        "{told}"
    );
    let told = inspect_files(&data).unwrap();
    for fact in [
        r#"{"kind":"data","cluster":"07070707070707070707070707070707","replica":1,"uid":""#,
        r#""installing":null,"log":{"kind":"log","#,
        r#""store":[{"group":1,"index":10,"term":3,"revision":10,"replacing":false,"keys":9,"sessions":1,"#,
        r#""snapshots":[{"kind":"snapshot","#,
    ] {
        assert!(told.contains(fact), "{fact} in {told}");
    }
    assert_eq!(files(dir.path()), before);
    let mut bad = before[&snapshot].clone();
    bad[300] ^= 1;
    std::fs::write(&snapshot, &bad).unwrap();
    for path in [&snapshot, &data] {
        assert_eq!(
            inspect_files(path).unwrap_err().code,
            ErrorCode::DataDamaged
        );
    }
    assert_eq!(
        inspect_files(dir.path()).unwrap_err().code,
        ErrorCode::Config
    );
    assert_eq!(
        inspect_files(&dir.path().join("no")).unwrap_err().code,
        ErrorCode::Io
    );
}

//! Whose folder is it, and do its parts belong together: what opening accepts, and how it refuses.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use batches::{GROUP, Log};
use engines::*;
use eraft_core::engine::{Attachment, Engine, ErrorCode, IDENTITY_FILE, Options};

fn on_disk(dir: &Path) -> Options {
    options(dir, None)
}

/// Ten entries, durable, applied and flushed.
fn fill(held: &Attachment) {
    let mut log = Log::default();
    held.set_member_known().unwrap();
    held.submit(&[], hard_state(1, 1, 0)).unwrap();
    for n in 0..10 {
        submit(held, &mut log, &[put(n, n)]).unwrap();
    }
    settle(held);
    held.apply(GROUP, 10, false).unwrap();
    settle(held);
    held.flush().unwrap();
    settle(held);
    assert_eq!(held.flushed(GROUP).unwrap(), 10);
}

fn message(options: Options) -> String {
    open(options).err().expect("refused").message
}

#[test]
fn a_folder_is_formatted_once_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/data");
    let held = open(on_disk(&path)).unwrap();
    let first = held.identity().unwrap();
    assert!(first.blank && held.recovered().is_empty());
    assert_eq!((first.cluster, first.replica), ([7; 16], 1));
    fill(&held);
    assert!(!held.identity().unwrap().blank);
    close(held);

    // Other randomness, no cluster asked for: the folder knows.
    let again = open(Options {
        entropy: [9; 32],
        cluster: None,
        ..on_disk(&path)
    })
    .unwrap();
    let second = again.identity().unwrap();
    assert_eq!(second.uid, first.uid);
    assert!(!second.blank);
    let group = &again.recovered()[0];
    assert_eq!((group.log.last_index, group.applied.index), (10, 10));
    assert_eq!(value(&again, 7), Some(b"value-7".to_vec()));
}

#[test]
fn another_cluster_or_replica_is_refused_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    close(open(on_disk(dir.path())).unwrap());
    let before = fs::read(dir.path().join(IDENTITY_FILE)).unwrap();
    let stranger = Options {
        cluster: Some([8; 16]),
        ..on_disk(dir.path())
    };
    assert_eq!(refusal(open(stranger)), ErrorCode::DataMismatch);
    let other = Options {
        replica: 2,
        ..on_disk(dir.path())
    };
    assert!(message(other).contains("replica 1, asked for was replica 2"));
    assert_eq!(fs::read(dir.path().join(IDENTITY_FILE)).unwrap(), before);
    drop(open(on_disk(dir.path())).expect("the refusals have let the folder go"));
}

#[test]
fn one_opener_in_this_process() {
    let dir = tempfile::tempdir().unwrap();
    let held = open(on_disk(dir.path())).unwrap();
    let refused = message(on_disk(
        &dir.path().join("../").join(dir.path().file_name().unwrap()),
    ));
    let pid = std::process::id();
    assert!(
        refused.contains(&format!("this process (pid {pid})")),
        "{refused}"
    );
    assert!(refused.contains("ERAFT_DATA_LOCKED"));
    close(held);
    drop(open(on_disk(dir.path())).unwrap());
}

#[test]
fn a_damaged_or_newer_identity_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    close(open(on_disk(dir.path())).unwrap());
    let path = dir.path().join(IDENTITY_FILE);
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        assert_eq!(
            refusal(open(on_disk(dir.path()))),
            ErrorCode::DataDamaged,
            "byte {at}"
        );
    }
    fs::write(&path, &good[..40]).unwrap();
    assert_eq!(refusal(open(on_disk(dir.path()))), ErrorCode::DataDamaged);
    let mut newer = good.clone();
    newer[8] = 2;
    let checksum = crc32c::crc32c(&newer[..60]);
    newer[60..].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, &newer).unwrap();
    assert_eq!(refusal(open(on_disk(dir.path()))), ErrorCode::DataVersion);
    fs::write(&path, &good).unwrap();
    drop(open(on_disk(dir.path())).unwrap());
}

#[test]
fn data_without_an_identity_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    close(open(on_disk(dir.path())).unwrap());
    fs::remove_file(dir.path().join(IDENTITY_FILE)).unwrap();
    let refused = message(on_disk(dir.path()));
    assert!(refused.contains("a log but no identity"), "{refused}");
}

#[test]
fn an_emptied_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let held = open(on_disk(dir.path())).unwrap();
    fill(&held);
    close(held);
    fs::rename(dir.path().join("log"), dir.path().join("elsewhere")).unwrap();
    let refused = message(on_disk(dir.path()));
    assert!(refused.contains("its log is gone"), "{refused}");
    // With files, but of another life: the store knows more than the log.
    let other = tempfile::tempdir().unwrap();
    close(open(on_disk(other.path())).unwrap());
    fs::rename(other.path().join("log"), dir.path().join("log")).unwrap();
    let refused = message(on_disk(dir.path()));
    assert!(
        refused.contains("ERAFT_DATA_DAMAGED") && refused.contains("the log was"),
        "{refused}"
    );
    // Put back together, all is well.
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    fs::rename(dir.path().join("elsewhere"), dir.path().join("log")).unwrap();
    drop(open(on_disk(dir.path())).unwrap());
}

#[test]
fn an_older_copy_of_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (log_folder, copy) = (dir.path().join("log"), dir.path().join("copy"));
    let held = open(on_disk(dir.path())).unwrap();
    fill(&held);
    close(held);
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(&log_folder).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let held = open(on_disk(dir.path())).unwrap();
    let mut log = Log {
        index: 10,
        next_revision: 11,
        ..Log::default()
    };
    submit(&held, &mut log, &[put(1, 11)]).unwrap();
    settle(&held);
    held.apply(GROUP, 11, false).unwrap();
    settle(&held);
    close(held);
    fs::remove_dir_all(&log_folder).unwrap();
    fs::rename(&copy, &log_folder).unwrap();
    let refused = message(on_disk(dir.path()));
    assert!(
        refused.contains("contains entry 11 of group 1, its log ends at entry 10"),
        "{refused}"
    );
}

#[test]
fn an_emptied_store_is_replayed_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let held = open(on_disk(dir.path())).unwrap();
    fill(&held);
    close(held);
    // The log still has everything: nothing is lost.
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let held = open(on_disk(dir.path())).unwrap();
    assert_eq!(held.recovered()[0].applied.index, 0);
    held.apply(GROUP, 10, false).unwrap();
    settle(&held);
    assert_eq!(value(&held, 9), Some(b"value-9".to_vec()));
    held.flush().unwrap();
    settle(&held);
    // Entries that only the store has: segments full of them go.
    let mut log = Log {
        index: 10,
        next_revision: 11,
        ..Log::default()
    };
    while held.compacted(GROUP).unwrap() == 0 {
        assert!(log.index < 1000, "nothing is truncated");
        let big = batches::Batch::new().put(b"big", &[1; 8192]);
        submit(&held, &mut log, &[big]).unwrap();
        settle(&held);
        held.apply(GROUP, log.index, false).unwrap();
        settle(&held);
        held.flush().unwrap();
        held.truncate(GROUP, log.index).unwrap();
        settle(&held);
    }
    close(held);
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let refused = message(on_disk(dir.path()));
    assert!(refused.contains("the store was emptied"), "{refused}");
}

#[test]
fn a_store_of_another_replica_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    close(open(on_disk(one.path())).unwrap());
    let second = Options {
        entropy: [5; 32],
        ..on_disk(two.path())
    };
    close(open(second.clone()).unwrap());
    fs::remove_dir_all(two.path().join("store")).unwrap();
    fs::rename(one.path().join("store"), two.path().join("store")).unwrap();
    assert_eq!(refusal(open(second)), ErrorCode::DataMismatch);
}

#[test]
fn a_folder_without_permission_is_an_io_error() {
    // SAFETY: geteuid has no arguments and no effects.
    if unsafe { libc::geteuid() } == 0 {
        // Permissions do not hold root back: a file where the folder should be does.
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(
            refusal(open(on_disk(&dir.path().join("file")))),
            ErrorCode::Io
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let refused = message(on_disk(&dir.path().join("data")));
    assert!(
        refused.contains("ERAFT_IO") && refused.contains("permission"),
        "{refused}"
    );
}

#[test]
fn options_that_cannot_work_are_refused() {
    let name = disk_name("options");
    assert_eq!(
        refusal(open(Options {
            replica: 0,
            ..memory(&name)
        })),
        ErrorCode::Config
    );
    let threadless = Options {
        stepped: false,
        read_threads: 0,
        ..memory(&name)
    };
    assert_eq!(refusal(open(threadless)), ErrorCode::Config);
    assert_eq!(
        refusal(open(Options {
            segment_bytes: 5000,
            ..memory(&name)
        })),
        ErrorCode::Config
    );
}

#[test]
fn an_engine_is_found_by_its_token_while_it_is_open() {
    let held = open(memory(&disk_name("token"))).unwrap();
    let token = held.engine().token();
    let second = Attachment::new(Engine::find(token).unwrap(), None).unwrap();
    drop(held); // the second one keeps it open
    second.identity().unwrap();
    drop(second);
    assert!(Engine::find(token).is_none());
}

//! The power fails at every file operation of making a snapshot: the one before stays, or the new one is there, whole.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;
#[path = "common/snapshots.rs"]
mod snapshots;

use std::path::Path;

use batches::{GROUP, Log};
use engines::*;
use eraft_core::engine::{forget_memory, memory_files};
use eraft_core::snapshot::verify;
use eraft_core::sys::{Fault, FileSystem};
use snapshots::*;

#[test]
fn power_fails_at_every_operation_of_making() {
    let made = |name: &str| {
        let held = open(memory(name)).unwrap();
        let mut log = Log::default();
        fill(&held, &mut log, 1, 8, 200);
        held.flush().unwrap();
        settle(&held);
        let first = create(&held);
        fill(&held, &mut log, 9, 1, 200);
        (held, first)
    };
    let counted = disk_name("count");
    let (held, _) = made(&counted);
    let setup = memory_files(&counted).unwrap().operations();
    create(&held);
    let all = memory_files(&counted).unwrap().operations();
    for operation in setup + 1..=all {
        let name = disk_name("made");
        let (held, first) = made(&name);
        memory_files(&name)
            .unwrap()
            .fail_at(operation, Fault::PowerLoss);
        held.create_snapshot(GROUP, 1).unwrap();
        let told = try_answer(&held, 1).is_ok();
        held.engine().crash(operation).unwrap();
        let held = open(memory(&name)).unwrap_or_else(|e| panic!("operation {operation}: {e}"));
        let latest = held
            .latest_snapshot(GROUP)
            .unwrap()
            .expect("the first one at least");
        assert!(
            latest == first || latest.index == 9,
            "operation {operation}: {latest:?}"
        );
        assert!(
            !told || latest.index == 9,
            "operation {operation}: one that was told of is gone"
        );
        let fs = memory_files(&name).unwrap();
        let names = fs.list(Path::new("/data/snapshots")).unwrap();
        assert_eq!(names.len(), 1, "operation {operation}: {names:?}");
        verify(
            &*fs,
            &Path::new("/data/snapshots").join(&names[0]),
            &mut |_| true,
        )
        .unwrap_or_else(|e| panic!("operation {operation}: {e}"));
        forget_memory(&name);
    }
}

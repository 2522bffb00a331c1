//! The log dies at every operation of the file system, and at random moments, and comes back with what it promised.

#[path = "common/driver.rs"]
mod driver;
#[path = "common/logs.rs"]
mod logs;
#[path = "common/seeds.rs"]
mod seeds;

use driver::{Action, Driver, Random};
use eraft_core::sys::{Fault, MemoryFileSystem};
use proptest::prelude::*;

/// A run with rotation, truncation, recycling, three groups, votes, commits, configurations and replaced suffixes.
fn script(seed: u64, length: usize) -> Vec<Action> {
    let mut random = Random(seed);
    (0..length).map(|_| random.action()).collect()
}

/// Runs `actions` until the disk fails. Panics if the log breaks a promise.
fn run(driver: &mut Driver, actions: &[Action]) {
    if driver.open().is_ok() {
        for action in actions {
            if driver.act(action).is_err() {
                return;
            }
        }
    }
}

#[test]
fn a_crash_at_every_operation() {
    let actions = script(7, 200);
    let undisturbed = MemoryFileSystem::new();
    let mut driver = Driver::new(undisturbed.clone());
    run(&mut driver, &actions);
    let operations = undisturbed.operations();
    let status = driver.wal.as_ref().unwrap().status();
    assert!(
        operations > 500 && status.groups.iter().all(|group| group.first_index > 1),
        "{status:?}"
    );
    for operation in 1..=operations {
        for seed in 0..2 {
            let fs = MemoryFileSystem::new();
            fs.fail_at(operation, Fault::PowerLoss);
            let mut driver = Driver::new(fs.clone());
            let seed = operation * 31 + seed;
            let verdict = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                run(&mut driver, &actions);
                crash_while_recovering(&mut driver, seed);
            }));
            assert!(
                verdict.is_ok(),
                "power loss at operation {operation}, seed {seed}"
            );
        }
    }
}

/// The machine comes back, dies while it recovers, comes back, and goes on. What one recovery has told stays true.
fn crash_while_recovering(driver: &mut Driver, seed: u64) {
    let fs = driver.fs.crash(seed);
    fs.fail_at(1 + seed % 40, Fault::PowerLoss);
    let _ = logs::open(&fs, seed | 1 << 40);
    driver
        .restart(fs.crash(seed + 1))
        .expect("the second recovery is undisturbed");
    driver
        .restart(driver.fs.crash(seed + 2))
        .expect("and so is the third");
    for action in script(seed, 8) {
        driver.act(&action).expect("the disk is sound again");
    }
    driver
        .act(&Action::PowerLoss { seed })
        .expect("and the fourth");
}

#[test]
fn a_failure_at_every_operation_is_latched_and_survived() {
    let actions = script(11, 80);
    let undisturbed = MemoryFileSystem::new();
    run(&mut Driver::new(undisturbed.clone()), &actions);
    for operation in 1..=undisturbed.operations() {
        for fault in [Fault::Error, Fault::Short] {
            let fs = MemoryFileSystem::new();
            fs.fail_at(operation, fault);
            let mut driver = Driver::new(fs.clone());
            run(&mut driver, &actions);
            if let Some(wal) = &driver.wal
                && let Some(failure) = wal.failure()
            {
                assert_eq!(fault, Fault::Error, "a short write is gone on with");
                let written = fs.operations();
                assert!(!wal.step(), "nothing is tried again");
                assert_eq!(wal.submit(logs::entries(1, 1..=1, 1)), Err(failure.clone()));
                assert_eq!(wal.close(), Err(failure));
                assert_eq!(
                    fs.operations(),
                    written,
                    "nothing is written after a failure"
                );
            }
            // The process starts again on the same machine, then the machine itself.
            driver
                .restart(fs.copy())
                .unwrap_or_else(|error| panic!("{operation}: {error}"));
            driver.act(&Action::PowerLoss { seed: operation }).unwrap();
            driver.act(&Action::Mixed { bytes: 10 }).unwrap();
        }
    }
}

/// After a failed sync the bytes read well from the cache, a later sync succeeds, and yet they may be gone.
#[test]
fn a_failed_sync_is_not_believed_after_a_restart() {
    let actions = script(13, 60);
    let undisturbed = MemoryFileSystem::new();
    run(&mut Driver::new(undisturbed.clone()), &actions);
    for operation in 1..=undisturbed.operations() {
        let failed = || {
            let fs = MemoryFileSystem::new();
            fs.fail_at(operation, Fault::Error);
            let mut driver = Driver::new(fs.clone());
            run(&mut driver, &actions);
            (driver, fs)
        };
        let explain = |error| panic!("operation {operation}: {error}");
        // The power goes at once; after a restart of the process; during that restart.
        let (mut driver, fs) = failed();
        driver.restart(fs.crash(operation)).unwrap_or_else(explain);
        let (mut driver, fs) = failed();
        driver.restart(fs.clone()).unwrap_or_else(explain);
        driver.restart(fs.crash(operation)).unwrap_or_else(explain);
        for during in (1 + operation % 5..30).step_by(5) {
            let (mut driver, fs) = failed();
            driver.wal = None;
            fs.fail_at(fs.operations() + during, Fault::PowerLoss);
            let _ = logs::open(&fs, 1 << 40);
            driver.restart(fs.crash(during)).unwrap_or_else(explain);
        }
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => any::<u64>().prop_map(|seed| Random(seed).action()),
        1 => any::<u64>().prop_map(|seed| Action::PowerLoss { seed }),
        1 => Just(Action::Kill),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(seeds::config("wal_crash", 300))]

    /// Kills between any two bursts, against the plain model. Proptest prints the smallest failing list of actions.
    #[test]
    fn any_history_with_kills(actions in prop::collection::vec(any_action(), 1..60)) {
        let mut driver = Driver::new(MemoryFileSystem::new());
        driver.open().unwrap();
        for action in &actions {
            driver.act(action).unwrap();
        }
        driver.act(&Action::Reopen).unwrap();
    }
}

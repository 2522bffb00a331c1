//! Seeds of randomized tests: printed, and taken from the environment to replay a failure.
#![allow(dead_code)]

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// A configuration for so many cases. When the test fails, its output says how to run it again.
pub fn config(file: &str, cases: u32) -> ProptestConfig {
    let seed = seed();
    eprintln!("replay: ERAFT_SEED={seed} cargo test --release -p eraft-core --test {file}");
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    }
}

fn seed() -> u64 {
    match std::env::var("ERAFT_SEED") {
        Ok(text) => text.parse().expect("ERAFT_SEED is a number"),
        Err(_) => {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .expect("after 1970");
            now.as_nanos() as u64
        }
    }
}

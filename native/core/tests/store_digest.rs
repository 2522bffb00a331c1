//! The digest of a group: the same wherever bursts and crashes fall, another for any other state.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/seeds.rs"]
mod seeds;
#[path = "common/stores.rs"]
mod stores;

use batches::{Batch, GROUP};
use eraft_core::store::StoreLimits;
use proptest::prelude::*;
use stores::Machine;

fn machine() -> Machine {
    Machine::with(StoreLimits {
        sessions_max: 3,
        ..StoreLimits::default()
    })
}

fn digest(machine: &Machine) -> String {
    let (applied, digest) = machine.store().digest(GROUP).unwrap();
    assert_eq!(applied, machine.applied());
    digest
}

/// Numbers that a batch is made of; sessions are those that were registered, evicted ones and duplicates included.
type Draft = (u8, u8, u8, u8);

/// One record of each draft.
fn records(drafts: &[Draft]) -> Machine {
    let mut log = machine();
    let mut sessions: Vec<(u64, u64)> = Vec::new();
    for &(what, session, key, value) in drafts {
        let (key, value) = ([b'k', key % 5], [value]);
        let revision = log.log.next_revision;
        let mut head = || match sessions.len() {
            0 => Batch::new(),
            count => {
                let (id, sequence) = &mut sessions[session as usize % count];
                *sequence += u64::from(session % 4 != 0); // else the batch before once more
                let acknowledged = sequence.saturating_sub(u64::from(session % 3) + 1);
                Batch::of(*id, (*sequence).max(1), acknowledged)
            }
        };
        let batch = match what % 8 {
            0 => {
                sessions.push((revision, 0));
                Batch::register()
            }
            1 => Batch::new().put(&key, &value),
            2 => head().put(&key, &value).put_previous(&key, b"again"),
            3 => head().append(&key, &value).delete_previous(&key),
            4 => Batch::new().delete(&key),
            5 => head().delete_range(b"k", b"l", 2, false),
            6 => head().append(&key, &value).increment(b"n", 3),
            _ => head().put_previous(&key, &value),
        };
        let record = log.log.record(&[batch]);
        log.records.push(record);
    }
    log
}

/// The records applied in bursts of these lengths, again and again; 0 is a crash, 9 a flush.
fn applied_in(drafts: &[Draft], bursts: &[usize]) -> Machine {
    let mut machine = records(drafts);
    let mut bursts = bursts.iter().cycle();
    while (machine.applied().index as usize) < machine.records.len() {
        let at = machine.applied().index as usize;
        match bursts.next() {
            Some(0) => machine.reopen(),
            Some(9) => machine.store().flush().unwrap(),
            burst => {
                let end = machine
                    .records
                    .len()
                    .min(at + burst.map_or(usize::MAX / 2, |&n| n));
                let bytes = machine.records[at..end].concat();
                let mut records = batches::views(&bytes);
                let store = machine.store();
                store
                    .apply(GROUP, &mut records, stores::BLIND, &mut Vec::new())
                    .unwrap();
            }
        }
    }
    machine
}

proptest! {
    #![proptest_config(seeds::config("store_digest", 200))]

    #[test]
    fn bursts_and_crashes_do_not_show(
        drafts in prop::collection::vec(any::<Draft>(), 1..40),
        bursts in prop::collection::vec(prop::sample::select(&[1usize, 1, 2, 3, 7, 9, 0][..]), 1..8),
    ) {
        let whole = digest(&applied_in(&drafts, &[]));
        // Each round ends with a burst that no crash takes back.
        let bursts = [&bursts[..], &[2, 9]].concat();
        prop_assert_eq!(digest(&applied_in(&drafts, &bursts)), whole);
    }

    /// One byte of one value, and nothing else, differs.
    #[test]
    fn any_differing_byte_shows(
        drafts in prop::collection::vec(any::<Draft>(), 1..20),
        position in 0usize..64,
        mask in 1u8..=255,
    ) {
        let value = [7; 64];
        let mut other = value;
        other[position] ^= mask;
        let of = |value: &[u8]| {
            let mut machine = applied_in(&drafts, &[]);
            machine.one(Batch::new().put(b"the value", value));
            digest(&machine)
        };
        prop_assert_ne!(of(&value), of(&other));
    }
}

/// Flushes in memory merge what they have made before; a digest that is asked for again is the one of now.
#[test]
fn flushes_and_merges_do_not_show() {
    let mut flushed = machine();
    let mut plain = machine();
    for n in 0..20u8 {
        for machine in [&mut flushed, &mut plain] {
            machine.one(Batch::new().put(&[b'k', n % 3], &[n]));
        }
        assert_eq!(digest(&flushed), digest(&plain));
        flushed.store().flush().unwrap();
        assert_eq!(digest(&flushed), digest(&plain));
    }
    flushed.reopen();
    assert_eq!(digest(&flushed), digest(&plain));
}

/// Same data, and yet another state: what decides how the log goes on counts as well.
#[test]
fn what_is_not_data_counts_too() {
    let mut digests = std::collections::BTreeSet::new();
    let mut put = machine();
    put.one(Batch::new().put(b"k", b"v"));
    digests.insert(digest(&put));
    put.one(Batch::register());
    digests.insert(digest(&put));
    let id = put.applied().revision;
    put.one(Batch::of(id, 1, 0).put(b"k", b"v"));
    digests.insert(digest(&put));
    put.one(Batch::of(id, 1, 0).put(b"k", b"v")); // refused as a duplicate; the index has moved all the same
    digests.insert(digest(&put));
    assert_eq!(digests.len(), 4);
    // The same data at the same index and revision, by a session or without.
    let written = |of: fn(u64) -> Batch| {
        let mut machine = machine();
        machine.one(Batch::register());
        machine.one(of(1).put(b"k", b"v"));
        assert_eq!(machine.applied().revision, 2);
        digest(&machine)
    };
    assert_ne!(written(|id| Batch::of(id, 1, 0)), written(|_| Batch::new()));
    assert_eq!(machine().store().digest(GROUP).unwrap().0.index, 0);
    let untouched = digest(&put);
    assert_eq!(put.store().digest(GROUP + 1).unwrap().0.index, 0);
    assert_eq!(digest(&put), untouched, "looking changes nothing");
}

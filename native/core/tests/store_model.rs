//! The store against a plain model: random records of every command and of sessions, evaluated and written wherever it falls,
//! with a crash between any two.

use eraft_core::command::verify_batch;
use eraft_core::store::{ApplyMode, StoreError, StoreLimits};
use proptest::prelude::*;

#[path = "common/batches.rs"]
mod batches;
#[path = "common/model.rs"]
mod model;
#[path = "common/seeds.rs"]
mod seeds;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, GROUP, Reply, Scan, replies, views};
use model::{Model, range};
use stores::Machine;

const LIMITS: fn() -> StoreLimits = || StoreLimits {
    sessions_max: 3,
    delete_range_keys_max: 4,
    ..StoreLimits::default()
};

#[derive(Clone, Debug)]
enum Step {
    /// A record with these batches; not applied yet.
    Record(Vec<Draft>),
    /// What was recorded is evaluated, into the open burst.
    Evaluate,
    /// The open burst is written, or that fails.
    Write(bool),
    Flush,
    /// What a crash lost is applied again, this many records in one burst.
    Crash(usize),
    Scan(Scan),
}

#[derive(Clone, Debug)]
enum Draft {
    Register,
    /// Of the session that was registered as this one; `ahead`: 0 is its next batch, less a duplicate, more a gap.
    Of {
        session: Option<usize>,
        ahead: i64,
        unacknowledged: u64,
        commands: Vec<Piece>,
    },
}

/// Appends one command to a batch.
#[derive(Clone, Debug)]
enum Piece {
    Put(Vec<u8>, Vec<u8>, bool),
    Append(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>, bool),
    Increment(Vec<u8>, i64),
    Range(Vec<u8>, Vec<u8>, i64, bool),
    Transact(Vec<Test>, Vec<Piece>),
}

#[derive(Clone, Debug)]
enum Test {
    RevisionIs(Vec<u8>, u64),
    ValueIs(Vec<u8>, Vec<u8>),
    Exists(Vec<u8>),
    Absent(Vec<u8>),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(&[b'a', b'b', 0xff][..]), 1..3)
}

fn bound() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(&[b'a', b'b', 0xff][..]), 0..3)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(VALUES).prop_map(|text| text.as_bytes().to_vec())
}

fn operation() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Piece::Put(key, value, false)),
        2 => (key(), value()).prop_map(|(key, value)| Piece::Append(key, value)),
        2 => key().prop_map(|key| Piece::Delete(key, false)),
        2 => (key(), -5i64..5).prop_map(|(key, by)| Piece::Increment(key, by)),
    ]
}

fn condition() -> impl Strategy<Value = Test> {
    prop_oneof![
        (key(), 0u64..40).prop_map(|(key, revision)| Test::RevisionIs(key, revision)),
        (key(), value()).prop_map(|(key, value)| Test::ValueIs(key, value)),
        key().prop_map(Test::Exists),
        key().prop_map(Test::Absent),
    ]
}

fn piece() -> impl Strategy<Value = Piece> {
    let parts = (
        prop::collection::vec(condition(), 0..2),
        prop::collection::vec(operation(), 1..4),
    );
    prop_oneof![
        8 => operation(),
        1 => (key(), value()).prop_map(|(key, value)| Piece::Put(key, value, true)),
        1 => key().prop_map(|key| Piece::Delete(key, true)),
        1 => (bound(), bound(), -1i64..4, any::<bool>()).prop_map(|(first, end, limit, from_end)| {
            Piece::Range(first, end, limit, from_end && limit >= 0)
        }),
        3 => parts.prop_map(|(conditions, operations)| Piece::Transact(conditions, operations)),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let commands = prop::collection::vec(piece(), 1..6);
    let of = (
        prop::option::weighted(0.7, 0usize..5),
        prop_oneof![8 => Just(0i64), 3 => -3i64..0, 1 => Just(1i64)],
        0u64..4,
        commands,
    );
    prop_oneof![
        1 => Just(Draft::Register),
        6 => of.prop_map(|(session, ahead, unacknowledged, commands)| Draft::Of { session, ahead, unacknowledged, commands }),
    ]
}

fn scan() -> impl Strategy<Value = Scan> {
    (bound(), bound(), any::<bool>(), any::<bool>(), 1u32..5).prop_map(
        |(first, end, reverse, keys_only, limit)| Scan {
            first,
            end,
            reverse,
            keys_only,
            limit,
            ..Scan::default()
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(draft(), 1..4).prop_map(Step::Record),
        6 => Just(Step::Evaluate),
        3 => any::<bool>().prop_map(Step::Write),
        1 => Just(Step::Flush),
        2 => (1usize..4).prop_map(Step::Crash),
        2 => scan().prop_map(Step::Scan),
    ]
}

fn add(batch: Batch, piece: &Piece) -> Batch {
    match piece {
        Piece::Put(key, value, false) => batch.put(key, value),
        Piece::Put(key, value, true) => batch.put_previous(key, value),
        Piece::Append(key, value) => batch.append(key, value),
        Piece::Delete(key, false) => batch.delete(key),
        Piece::Delete(key, true) => batch.delete_previous(key),
        Piece::Increment(key, by) => batch.increment(key, *by),
        Piece::Range(first, end, limit, from_end) => {
            batch.delete_range(first, end, *limit, *from_end)
        }
        Piece::Transact(conditions, operations) => {
            let batch = batch.transact((conditions.len() + operations.len()) as u16);
            let batch = conditions.iter().fold(batch, |batch, test| match test {
                Test::RevisionIs(key, revision) => batch.revision_is(key, *revision),
                Test::ValueIs(key, value) => batch.value_is(key, value),
                Test::Exists(key) => batch.exists(key),
                Test::Absent(key) => batch.absent(key),
            });
            operations.iter().fold(batch, add)
        }
    }
}

/// Numbers, and what is none.
const VALUES: &[&str] = &["", "0", "7", "-3", "9007199254740990", "01", "text"];

/// The store and the model, side by side.
struct Pair {
    machine: Machine,
    model: Model,
    /// Ids as they were registered; some are evicted.
    registered: Vec<u64>,
    /// What the model says about each record.
    expected: Vec<Vec<Reply>>,
    /// Records that the store has evaluated since it was created, and how many of them reads see.
    evaluated: usize,
    written: usize,
    /// A write was refused, and no other has come since.
    closed: bool,
}

impl Pair {
    fn new() -> Pair {
        let machine = Machine::with(LIMITS());
        let model = Model {
            limits: LIMITS(),
            ..Model::default()
        };
        Pair {
            machine,
            model,
            registered: Vec::new(),
            expected: Vec::new(),
            evaluated: 0,
            written: 0,
            closed: false,
        }
    }

    /// Turns a draft into a batch that the verifier lets through, as the model stands.
    fn batch(&self, draft: &Draft) -> Batch {
        let Draft::Of {
            session,
            ahead,
            unacknowledged,
            commands,
        } = draft
        else {
            return Batch::register();
        };
        let id = session
            .and_then(|nth| self.registered.iter().rev().nth(nth))
            .copied()
            .unwrap_or(0);
        let head = if id == 0 {
            Batch::new()
        } else {
            let last = self
                .model
                .sessions
                .get(&id)
                .map_or(0, |session| session.sequence);
            let sequence = last.saturating_add_signed(1 + ahead).max(1);
            Batch::of(id, sequence, (sequence - 1).saturating_sub(*unacknowledged))
        };
        commands.iter().fold(head, add)
    }

    fn record(&mut self, drafts: &[Draft]) {
        let mut revision = self.machine.log.next_revision;
        let mut batches = Vec::new();
        let mut expected = Vec::new();
        for draft in drafts {
            let batch = self.batch(draft);
            verify_batch(&batch.encode()).expect("a good batch");
            if matches!(draft, Draft::Register) {
                self.registered.push(revision);
            }
            expected.push(self.model.batch(&batch, revision));
            revision += u64::from(batch.count());
            batches.push(batch);
        }
        let record = self.machine.log.record(&batches);
        self.machine.records.push(record);
        self.expected.push(expected);
    }

    /// Evaluates the next `count` records and compares every reply.
    fn evaluate(&mut self, count: usize) -> Result<(), TestCaseError> {
        let end = self.expected.len().min(self.evaluated + count);
        let bytes = self.machine.records[self.evaluated..end].concat();
        let mut results = Vec::new();
        // As on the JS thread first; what is not in memory then goes to another, and what waits for a write to the writer.
        let inline = ApplyMode {
            results: true,
            no_slowdown: true,
        };
        let mut done = Err(StoreError::Busy);
        for mode in [inline, stores::WITH_RESULTS] {
            if done == Err(StoreError::Busy) {
                prop_assert!(results.is_empty());
                let store = self.machine.store();
                done = store.evaluate(GROUP, &mut views(&bytes), mode, &mut results);
            }
        }
        if done == Err(StoreError::Busy) {
            prop_assert!(self.closed, "nothing waits to be written");
            self.write()?;
            return self.evaluate(count);
        }
        prop_assert_eq!(done.map(|evaluated| evaluated.index), Ok(end as u64));
        let found: Vec<_> = replies(&results)
            .into_iter()
            .map(|(_, replies)| replies)
            .collect();
        prop_assert_eq!(&found[..], &self.expected[self.evaluated..end]);
        self.evaluated = end;
        prop_assert_eq!(self.machine.applied().index, self.written as u64);
        Ok(())
    }

    fn write(&mut self) -> Result<(), TestCaseError> {
        let written = self.machine.store().write(GROUP, false);
        prop_assert_eq!(written, Ok(self.machine.applied()));
        (self.written, self.closed) = (self.evaluated, false);
        prop_assert_eq!(self.machine.applied().index, self.written as u64);
        Ok(())
    }

    fn refused_write(&mut self) -> Result<(), TestCaseError> {
        self.machine.disk.refuse_writes(1);
        let written = self.machine.store().write(GROUP, false);
        self.machine.disk.refuse_writes(0);
        let nothing_to_write = self.written == self.evaluated;
        prop_assert_eq!(written.is_ok(), nothing_to_write);
        self.closed = !nothing_to_write;
        prop_assert_eq!(self.machine.applied().index, self.written as u64);
        Ok(())
    }

    fn apply_all(&mut self) -> Result<(), TestCaseError> {
        self.evaluate(self.expected.len())?;
        self.write()
    }

    fn crash(&mut self, burst: usize) -> Result<(), TestCaseError> {
        self.machine.reopen();
        self.written = self.machine.applied().index as usize;
        (self.evaluated, self.closed) = (self.written, false);
        while self.evaluated < self.expected.len() {
            self.evaluate(burst)?;
        }
        Ok(())
    }

    fn scan(&self, scan: &Scan) -> Result<(), TestCaseError> {
        let mut wanted = range(&self.model.entries, &scan.first, &scan.end);
        if scan.reverse {
            wanted.reverse();
        }
        let page = self.machine.scan(scan);
        prop_assert_eq!(page.more, wanted.len() > scan.limit as usize);
        wanted.truncate(scan.limit as usize);
        prop_assert_eq!(
            page.keys(),
            wanted.iter().map(|key| &key[..]).collect::<Vec<_>>()
        );
        for entry in &page.entries {
            let (revision, value) = &self.model.entries[&entry.key];
            prop_assert_eq!(entry.revision, *revision);
            prop_assert_eq!(
                entry.value.as_deref().unwrap(),
                if scan.keys_only { &[] } else { &value[..] }
            );
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let wanted: Vec<_> = self
            .model
            .entries
            .iter()
            .map(|(key, (revision, value))| (key.clone(), *revision, value.clone()))
            .collect();
        prop_assert_eq!(self.machine.entries(), wanted);
        prop_assert_eq!(
            self.machine.applied().revision,
            self.machine.log.next_revision - 1
        );
        prop_assert_eq!(
            self.machine.store().status().sessions,
            Some(self.model.sessions.len() as u64)
        );
        Ok(())
    }
}

proptest! {
    #![proptest_config(seeds::config("store_model", 400))]

    #[test]
    fn the_store_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        let mut pair = Pair::new();
        for step in &steps {
            match step {
                Step::Record(drafts) => pair.record(drafts),
                Step::Evaluate => pair.evaluate(steps.len())?,
                Step::Write(false) => pair.refused_write()?,
                Step::Write(true) => pair.write()?,
                Step::Flush => pair.machine.store().flush().unwrap(),
                Step::Crash(burst) => pair.crash(*burst)?,
                Step::Scan(scan) => {
                    pair.apply_all()?;
                    pair.scan(scan)?;
                }
            }
        }
        pair.apply_all()?;
        pair.check()?;
        pair.crash(2)?;
        pair.write()?;
        pair.check()?;
    }
}

//! What the log's tests share: a small log in memory, records, and a plain model of what must come back.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use eraft_core::record::{self, Header, KIND_COMMANDS, RecordView};
use eraft_core::sys::{FileSystem, MemoryFileSystem};
use eraft_core::wal::{Base, Batch, GroupState, HardState, Wal, WalError, WalOptions};

pub const DIR: &str = "/log";
pub const SEGMENT_BYTES: u64 = 8192;

/// Small segments, stepped.
pub fn options(salt: u64) -> WalOptions {
    WalOptions {
        segment_bytes: SEGMENT_BYTES,
        tail_bytes: 2048,
        frame_bytes_max: 1024,
        threads: false,
        direct_io: false,
        salt,
        repair: Vec::new(),
        clock_micros: Arc::new(|| 0),
    }
}

pub fn open_with(
    fs: &MemoryFileSystem,
    options: WalOptions,
) -> Result<(Wal, Vec<GroupState>), WalError> {
    Wal::open(
        Arc::new(fs.clone()),
        Path::new(DIR),
        options,
        Arc::new(|| {}),
    )
}

pub fn open(fs: &MemoryFileSystem, salt: u64) -> Result<(Wal, Vec<GroupState>), WalError> {
    open_with(fs, options(salt))
}

/// The record that these tests put at (group, index, term): its payload follows from them.
pub fn entry(group: u32, index: u64, term: u64, payload_bytes: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..payload_bytes as u64)
        .map(|i| (i ^ index ^ term << 3 ^ u64::from(group)) as u8)
        .collect();
    record::build(&payload, &header(group, index, term))
}

pub fn header(group: u32, index: u64, term: u64) -> Header {
    let (time, first_revision) = (term * 1000 + index, index * 2);
    Header {
        kind: KIND_COMMANDS,
        group,
        index,
        term,
        time,
        first_revision,
        count: 2,
    }
}

pub fn entries(group: u32, indexes: std::ops::RangeInclusive<u64>, term: u64) -> Batch {
    let records = indexes
        .flat_map(|index| entry(group, index, term, 100))
        .collect();
    Batch {
        records,
        ..Batch::default()
    }
}

pub fn hard_state(group: u32, term: u64, vote: u32, commit: u64) -> Batch {
    Batch {
        hard_states: vec![(group, HardState { term, vote, commit })],
        ..Batch::default()
    }
}

/// Steps until there is nothing to do.
pub fn settle(wal: &Wal) {
    while wal.step() {}
}

/// Steps until all is durable, leaving idle work (marks, spares) undone where possible.
pub fn step_until_durable(wal: &Wal, ticket: u64) {
    while wal.durable() < ticket {
        assert!(
            wal.step(),
            "stuck at {}: {:?}",
            wal.durable(),
            wal.failure()
        );
    }
}

/// Every log file of a disk, by name.
pub fn files(fs: &MemoryFileSystem) -> BTreeMap<String, Vec<u8>> {
    let names = fs.list(Path::new(DIR)).unwrap();
    let read = |name: &String| eraft_core::sys::read_file(fs, &Path::new(DIR).join(name)).unwrap();
    names
        .iter()
        .map(|name| (name.clone(), read(name)))
        .collect()
}

/// What a group must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelGroup {
    /// From index 1 on; those that a base has dropped are empty.
    pub entries: Vec<Arc<[u8]>>,
    /// The last base that has dropped entries.
    pub base: Base,
    /// Index of the last base.
    pub floor: u64,
    pub hard_state: HardState,
    pub conf: Option<(u64, Vec<u8>)>,
}

/// The plain model: what a log that never fails would hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub groups: BTreeMap<u32, ModelGroup>,
}

impl Model {
    pub fn apply(&mut self, batch: &Batch) {
        for view in record::records(&batch.records).map(Result::unwrap) {
            self.push(view);
        }
        self.apply_items(batch);
    }

    pub fn push(&mut self, view: RecordView<'_>) {
        let Header { group, index, .. } = view.header();
        let group = self.groups.entry(group).or_default();
        group.entries.truncate(index as usize - 1);
        group.entries.push(view.bytes().into());
    }

    pub fn apply_items(&mut self, batch: &Batch) {
        for &(group, hard_state) in &batch.hard_states {
            self.groups.entry(group).or_default().hard_state = hard_state;
        }
        for (group, index, conf) in &batch.confs {
            self.groups.entry(*group).or_default().conf = Some((*index, conf.clone()));
        }
    }

    /// What `Wal::rebase` does.
    pub fn rebase(&mut self, group: u32, base: Base, conf: Option<(u64, Vec<u8>)>) {
        let group = self.groups.entry(group).or_default();
        let keeps = group
            .facts(base.index)
            .is_some_and(|facts| facts.term == base.term);
        if !keeps {
            group.entries = vec![Arc::default(); base.index as usize];
            group.base = base;
        }
        let later = |conf: &(u64, Vec<u8>)| Some(conf.0) >= group.conf.as_ref().map(|old| old.0);
        if let Some(conf) = conf.filter(|conf| !keeps || later(conf)) {
            group.conf = Some(conf);
        }
        group.floor = base.index;
        group.hard_state.commit = group.hard_state.commit.max(base.index);
    }

    pub fn floor(&self, group: u32) -> u64 {
        self.groups.get(&group).map_or(0, |group| group.floor)
    }

    pub fn last(&self, group: u32) -> u64 {
        self.groups
            .get(&group)
            .map_or(0, |group| group.entries.len() as u64)
    }

    /// True if `states` have exactly the votes of this.
    pub fn has_votes(&self, states: &[GroupState]) -> bool {
        let vote = |state: HardState| (state.term, state.vote);
        let found = |group: &u32| {
            let state = states.iter().find(|state| state.group == *group);
            vote(state.map_or(HardState::default(), |state| state.hard_state))
        };
        let known = |state: &GroupState| self.groups.contains_key(&state.group);
        self.groups
            .iter()
            .all(|(group, model)| found(group) == vote(model.hard_state))
            && states
                .iter()
                .all(|state| known(state) || vote(state.hard_state) == (0, 0))
    }

    /// Whether the open log `wal`, recovered as `states`, holds exactly this; votes and truncated entries aside.
    pub fn matches(&self, wal: &Wal, states: &[GroupState]) -> Result<(), String> {
        for state in states {
            let empty = ModelGroup::default();
            self.groups
                .get(&state.group)
                .unwrap_or(&empty)
                .matches(wal, state)?;
        }
        let known: Vec<u32> = states.iter().map(|state| state.group).collect();
        let missing = |(group, model): (&u32, &ModelGroup)| {
            let durable =
                model.hard_state.commit > 0 || !model.entries.is_empty() || model.conf.is_some();
            (durable && !known.contains(group)).then(|| format!("group {group} is missing"))
        };
        self.groups.iter().find_map(missing).map_or(Ok(()), Err)
    }
}

impl ModelGroup {
    /// What an entry leaves behind.
    pub fn facts(&self, index: u64) -> Option<Base> {
        if index == self.base.index {
            return Some(self.base).filter(|base| base.index > 0);
        }
        let entry = self.entries.get((index as usize).checked_sub(1)?)?;
        let header = record::parse(entry).ok()?.header();
        Some(Base {
            index,
            term: header.term,
            time: header.time,
            next_revision: header.next_revision(),
        })
    }

    fn matches(&self, wal: &Wal, state: &GroupState) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {state:?}"));
        if state.hard_state.commit != self.hard_state.commit || state.conf != self.conf {
            return wrong("commit or configuration");
        }
        if state.last_index != self.entries.len() as u64 || state.compacted_index > state.last_index
        {
            return wrong("last index");
        }
        if state.compacted_index < self.floor {
            return wrong("the log begins before its base");
        }
        let kept = &self.entries[state.compacted_index as usize..];
        let sizes: Vec<u32> = kept.iter().map(|entry| entry.len() as u32).collect();
        if state.sizes != sizes || state.term_runs != term_runs(kept, state.compacted_index + 1) {
            return wrong("sizes or terms");
        }
        let last = self.facts(state.last_index).unwrap_or_default();
        let facts = (last.time, last.next_revision);
        // Of an entry that a base has dropped only the base's own term is known.
        let term = self.facts(state.compacted_index).map(|facts| facts.term);
        if facts != (state.last_time, state.next_revision)
            || term.unwrap_or_default() != state.compacted_term
        {
            return wrong("time, revision or compacted term");
        }
        if !kept.is_empty() {
            let read = wal.read(state.group, state.compacted_index + 1, u64::MAX, usize::MAX);
            if read.as_deref() != Ok(&kept.concat()[..]) {
                return wrong(&format!(
                    "what can be read is {:?}",
                    read.map(|bytes| bytes.len())
                ));
            }
        }
        Ok(())
    }
}

pub fn term_runs(entries: &[Arc<[u8]>], first: u64) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (index, entry) in (first..).zip(entries) {
        let term = record::parse(entry).unwrap().header().term;
        if runs.last().is_none_or(|&(_, last)| last != term) {
            runs.push((index, term));
        }
    }
    runs
}

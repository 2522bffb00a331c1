//! Drives a log through actions, kills it, and checks that what comes back is what had to.
//!
//! Acknowledged ⊆ recovered, and recovered is a prefix of what was submitted, record by record. Votes may be ahead of
//! the prefix: they overtake queued records.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, VecDeque};

use eraft_core::record;
use eraft_core::sys::MemoryFileSystem;
use eraft_core::wal::{Batch, GroupState, HardState, Wal, WalError};

use super::logs::{self, Model};

/// Numbers are reduced to what is legal at the moment.
#[derive(Clone, Debug)]
pub enum Action {
    Append {
        group: u32,
        count: u64,
        bytes: usize,
    },
    /// Replaces the last `back` entries by `count` of a newer term.
    Replace {
        group: u32,
        back: u64,
        count: u64,
    },
    Vote {
        group: u32,
    },
    Commit {
        group: u32,
        back: u64,
    },
    Conf {
        group: u32,
        bytes: usize,
    },
    /// All of these in one batch, of several groups.
    Mixed {
        bytes: usize,
    },
    Truncate {
        group: u32,
        back: u64,
    },
    Step {
        count: u8,
    },
    Settle,
    /// Closes and opens.
    Reopen,
    /// The process ends; the machine goes on.
    Kill,
    /// The machine ends: what was not synced may be lost or torn.
    PowerLoss {
        seed: u64,
    },
}

pub struct Driver {
    pub fs: MemoryFileSystem,
    pub wal: Option<Wal>,
    /// What the log may hold: after what is acknowledged, one more for each record or batch submitted.
    history: VecDeque<Model>,
    /// (ticket, its place in the history), of those not yet acknowledged.
    tickets: VecDeque<(u64, usize)>,
    vote_tickets: VecDeque<(u64, usize)>,
    /// Place in the history whose votes are acknowledged.
    votes: usize,
    wanted: BTreeMap<u32, u64>,
    salt: u64,
}

impl Driver {
    pub fn new(fs: MemoryFileSystem) -> Self {
        Self {
            fs,
            wal: None,
            history: [Model::default()].into(),
            tickets: VecDeque::new(),
            vote_tickets: VecDeque::new(),
            votes: 0,
            wanted: BTreeMap::new(),
            salt: 0,
        }
    }

    /// Opens, and checks what was found. Errors are those of the log.
    pub fn open(&mut self) -> Result<(), WalError> {
        self.salt += 1;
        let (wal, states) = logs::open(&self.fs, self.salt)?;
        let settled = self.find(&wal, &states);
        self.history = [settled].into();
        (self.tickets, self.vote_tickets, self.votes) = Default::default();
        self.wal = Some(wal);
        Ok(())
    }

    /// The model that was recovered; panics if none could be.
    fn find(&self, wal: &Wal, states: &[GroupState]) -> Model {
        let mut reasons = Vec::new();
        for state in states {
            let wanted = self.wanted.get(&state.group).copied().unwrap_or(0);
            assert!(
                state.compacted_index <= wanted,
                "{state:?}, but {wanted} was truncated"
            );
        }
        for (place, model) in self.history.iter().enumerate() {
            if let Err(reason) = model.matches(wal, states) {
                reasons.push(reason);
                continue;
            }
            let mut ahead = self.history.iter().skip(place.max(self.votes));
            let votes = ahead
                .find(|model| model.has_votes(states))
                .expect("votes went back");
            let mut model = model.clone();
            for (group, state) in &votes.groups {
                let HardState { term, vote, .. } = state.hard_state;
                let hard_state = &mut model.groups.entry(*group).or_default().hard_state;
                (hard_state.term, hard_state.vote) = (term, vote);
            }
            return model;
        }
        panic!("recovered what was never there, or lost what was acknowledged: {reasons:#?}");
    }

    fn now(&self) -> &Model {
        self.history.back().expect("never empty")
    }

    /// Index of the last entry known to be durable.
    fn durable_last(&self, group: u32) -> u64 {
        let lasts = self.history.iter().map(|model| model.last(group));
        lasts.min().expect("never empty")
    }

    /// Forgets models that the log can no longer come back with.
    fn acknowledge(&mut self) {
        let wal = self.wal.as_ref().expect("open");
        let mut gone = 0;
        while let Some(&(_, place)) = self.tickets.front().filter(|(t, _)| *t <= wal.durable()) {
            gone = place;
            self.tickets.pop_front();
        }
        while let Some(&(_, place)) = self
            .vote_tickets
            .front()
            .filter(|(ticket, _)| *ticket <= wal.durable_votes())
        {
            self.votes = place;
            self.vote_tickets.pop_front();
        }
        self.history.drain(..gone);
        self.votes = self.votes.saturating_sub(gone);
        for (_, place) in self.tickets.iter_mut().chain(&mut self.vote_tickets) {
            *place = place.saturating_sub(gone);
        }
    }

    /// What is read while the log is open, from disk where it left memory, is what was submitted last.
    fn check_reads(&self) {
        let wal = self.wal.as_ref().expect("open");
        if wal.failure().is_some() {
            return;
        }
        for group in wal
            .status()
            .groups
            .iter()
            .filter(|group| group.first_index <= group.last_index)
        {
            let entries = &self.now().groups[&group.group].entries;
            let expected = entries[group.first_index as usize - 1..].concat();
            match wal.read(group.group, group.first_index, u64::MAX, usize::MAX) {
                Ok(read) => assert!(read == expected, "{group:?}"),
                Err(error) => assert!(matches!(error, WalError::Io { .. }), "{group:?}: {error}"),
            }
        }
    }

    fn submit(&mut self, batch: Batch) -> Result<(), WalError> {
        let mut model = self.now().clone();
        let mut models = Vec::new();
        for view in record::records(&batch.records).map(Result::unwrap) {
            model.push(view);
            models.push(model.clone());
        }
        model.apply_items(&batch);
        models.push(model);
        let ticket = self.wal.as_ref().expect("open").submit(batch)?;
        self.history.extend(models);
        self.tickets.push_back((ticket, self.history.len() - 1));
        self.vote_tickets
            .push_back((ticket, self.history.len() - 1));
        Ok(())
    }

    fn term(&self, group: u32) -> u64 {
        self.now()
            .groups
            .get(&group)
            .map_or(1, |group| group.hard_state.term.max(1))
    }

    fn hard_state(&self, group: u32) -> HardState {
        self.now()
            .groups
            .get(&group)
            .map_or(HardState::default(), |group| group.hard_state)
    }

    fn records(&self, group: u32, first: u64, count: u64, bytes: usize) -> Batch {
        let term = self.term(group);
        let records =
            (first..first + count).flat_map(|index| logs::entry(group, index, term, bytes));
        Batch {
            records: records.collect(),
            ..Batch::default()
        }
    }

    fn vote(&self, group: u32) -> Batch {
        let HardState { commit, .. } = self.hard_state(group);
        let term = self.term(group) + 1;
        logs::hard_state(group, term, 1 + (term % 3) as u32, commit)
    }

    /// What the log answers. After an error call `open` again, or stop.
    pub fn act(&mut self, action: &Action) -> Result<(), WalError> {
        match *action {
            Action::Append {
                group,
                count,
                bytes,
            } => {
                self.submit(self.records(group, self.now().last(group) + 1, count, bytes))?;
            }
            Action::Replace { group, back, count } => self.replace(group, back, count)?,
            Action::Vote { group } => self.submit(self.vote(group))?,
            Action::Commit { group, back } => {
                let HardState { term, vote, commit } = self.hard_state(group);
                let commit = commit.max(self.now().last(group).saturating_sub(back));
                self.submit(logs::hard_state(group, term, vote, commit))?;
            }
            Action::Conf { group, bytes } => {
                let conf = (group, self.now().last(group), vec![7; bytes]);
                self.submit(Batch {
                    confs: vec![conf],
                    ..Batch::default()
                })?;
            }
            Action::Mixed { bytes } => self.mixed(bytes)?,
            Action::Truncate { group, back } => {
                let index = self.durable_last(group).saturating_sub(back);
                let wanted = self.wanted.entry(group).or_default();
                *wanted = index.max(*wanted);
                self.wal.as_ref().expect("open").truncate(group, index);
            }
            Action::Step { count } => {
                (0..count).for_each(|_| _ = self.wal.as_ref().expect("open").step())
            }
            Action::Settle => {
                logs::settle(self.wal.as_ref().expect("open"));
                self.check_reads();
            }
            Action::Reopen => {
                self.wal.as_ref().expect("open").close()?;
                self.acknowledge();
                self.restart(self.fs.clone())?;
            }
            Action::Kill => self.restart(self.fs.clone())?,
            Action::PowerLoss { seed } => self.restart(self.fs.crash(seed))?,
        }
        self.acknowledge();
        self.wal
            .as_ref()
            .expect("open")
            .failure()
            .map_or(Ok(()), Err)
    }

    /// What was acknowledged until now must be on `fs`.
    pub fn restart(&mut self, fs: MemoryFileSystem) -> Result<(), WalError> {
        self.wal = None;
        self.fs = fs;
        self.open()
    }

    /// Entries are replaced only above what is truncated, by those of a new term.
    fn replace(&mut self, group: u32, back: u64, count: u64) -> Result<(), WalError> {
        let wanted = self.wanted.get(&group).copied().unwrap_or(0);
        let commit = self.hard_state(group).commit;
        let first = (self.now().last(group) + 1).saturating_sub(back);
        let first = first.max(wanted.max(commit) + 1);
        self.submit(self.vote(group))?;
        self.submit(self.records(group, first, count, 40))
    }

    fn mixed(&mut self, bytes: usize) -> Result<(), WalError> {
        let mut batch = self.records(1, self.now().last(1) + 1, 2, bytes);
        let second = self.records(2, self.now().last(2) + 1, 3, bytes);
        batch.records.extend(second.records);
        batch.hard_states = self.vote(3).hard_states;
        let HardState { term, vote, .. } = self.hard_state(1);
        let commit = self.now().last(1) + 2;
        batch
            .hard_states
            .push((1, HardState { term, vote, commit }));
        batch.confs = vec![(2, self.now().last(2), vec![9; bytes % 50])];
        self.submit(batch)
    }
}

/// SplitMix64: the same actions from the same seed.
pub struct Random(pub u64);

impl Random {
    /// 0 <= result < `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// An action that leaves the log open.
    pub fn action(&mut self) -> Action {
        let group = 1 + self.below(3) as u32;
        match self.below(16) {
            0..=4 => {
                let (count, bytes) = (1 + self.below(6), self.below(300) as usize);
                Action::Append {
                    group,
                    count,
                    bytes,
                }
            }
            5 => Action::Append {
                group,
                count: 20,
                bytes: 60,
            },
            6 => Action::Replace {
                group,
                back: self.below(9),
                count: 1 + self.below(6),
            },
            7 => Action::Vote { group },
            8 => Action::Commit {
                group,
                back: self.below(20),
            },
            9 => Action::Conf {
                group,
                bytes: self.below(60) as usize,
            },
            10 => Action::Mixed {
                bytes: self.below(200) as usize,
            },
            11 => Action::Truncate {
                group,
                back: self.below(15),
            },
            12 | 13 => Action::Step {
                count: 1 + self.below(3) as u8,
            },
            _ => Action::Settle,
        }
    }
}

//! Drives a log through actions, kills it, and checks that what comes back is what had to.
//!
//! Acknowledged ⊆ recovered, and recovered is a prefix of what was submitted, record by record. Votes may be ahead of
//! the prefix: they overtake queued records.
#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "actions.rs"]
mod actions;

use std::collections::{BTreeMap, VecDeque};

use eraft_core::record;
use eraft_core::sys::MemoryFileSystem;
use eraft_core::wal::{Base, Batch, GroupState, HardState, Wal, WalError};

pub use actions::*;

use super::logs::{self, Model};

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
            let floors = self.history.iter().map(|model| model.floor(state.group));
            let wanted = self.wanted.get(&state.group).copied();
            let wanted = wanted.max(floors.max()).unwrap_or(0);
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
            Action::Rebase {
                group,
                offset,
                keep,
            } => self.rebase(group, offset, keep)?,
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
        let wanted = wanted.max(self.now().floor(group));
        let first = (self.now().last(group) + 1).saturating_sub(back);
        let first = first.max(wanted.max(commit) + 1);
        self.submit(self.vote(group))?;
        self.submit(self.records(group, first, count, 40))
    }

    fn rebase(&mut self, group: u32, offset: i64, keep: bool) -> Result<(), WalError> {
        let wanted = self.wanted.get(&group).copied().unwrap_or(0);
        let floor = wanted.max(self.now().floor(group)).max(1);
        let index = self.now().last(group).saturating_add_signed(offset);
        let known = self.now().groups.get(&group);
        let held = known.and_then(|known| known.facts(index.max(floor)));
        let base = match held.filter(|_| keep) {
            Some(held) => held,
            None => {
                // Of a newer term than anything that is held: another log.
                let index = index.max(floor.max(self.hard_state(group).commit) + 1);
                self.submit(self.vote(group))?;
                let term = self.term(group);
                let (time, next_revision) = (term * 1000 + index, index * 2 + 2);
                Base {
                    index,
                    term,
                    time,
                    next_revision,
                }
            }
        };
        let conf = Some((base.index, vec![5; base.index as usize % 40]));
        let mut model = self.now().clone();
        model.rebase(group, base, conf.clone());
        let Base {
            index,
            term,
            time,
            next_revision,
        } = base;
        let wal = self.wal.as_ref().expect("open");
        let ticket = wal.rebase(group, index, term, time, next_revision, conf)?;
        self.history.push_back(model);
        let place = self.history.len() - 1;
        self.tickets.push_back((ticket, place));
        self.vote_tickets.push_back((ticket, place));
        Ok(())
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

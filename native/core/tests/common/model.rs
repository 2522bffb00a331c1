//! The state machine as one would write it without caring for speed: what the store is compared with.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ops::Bound;

use eraft_core::command::{flag, kind};
use eraft_core::store::StoreLimits;

use super::batches::{Batch, Entry, Reply, Row};

pub type Entries = BTreeMap<Vec<u8>, (u64, Vec<u8>)>;

#[derive(Default)]
pub struct Model {
    pub entries: Entries,
    pub sessions: BTreeMap<u64, ModelSession>,
    pub limits: StoreLimits,
}

#[derive(Default)]
pub struct ModelSession {
    pub sequence: u64,
    pub acknowledged: u64,
    last_used: u64,
    replies: BTreeMap<u64, Reply>,
}

/// One header with its bytes.
struct Command {
    kind: u8,
    flags: u8,
    parts: u16,
    key: Vec<u8>,
    value: Vec<u8>,
    number: i64,
}

impl Model {
    pub fn batch(&mut self, batch: &Batch, revision: u64) -> Reply {
        let plain = Reply {
            status: 0,
            first_revision: revision,
            count: batch.count(),
            last_sequence: 0,
            rows: vec![],
        };
        let refused = |status, last_sequence| Reply {
            status,
            first_revision: 0,
            last_sequence,
            ..plain.clone()
        };
        if batch.headers[0].kind() == kind::REGISTER {
            self.register(revision);
            return plain;
        }
        if batch.session == 0 {
            return Reply {
                rows: self.commands(batch, revision),
                ..plain
            };
        }
        let Some(session) = self.sessions.get_mut(&batch.session) else {
            return refused(1, 0);
        };
        session.last_used = revision;
        let last_sequence = session.sequence;
        if batch.sequence <= session.acknowledged {
            return refused(3, last_sequence);
        }
        if batch.sequence <= last_sequence {
            return Reply {
                last_sequence,
                ..session.replies[&batch.sequence].clone()
            };
        }
        if batch.sequence > last_sequence + 1 {
            return refused(2, last_sequence);
        }
        let reply = Reply {
            last_sequence: batch.sequence,
            rows: self.commands(batch, revision),
            ..plain
        };
        let session = self.sessions.get_mut(&batch.session).unwrap();
        session.sequence = batch.sequence;
        session.acknowledged = session.acknowledged.max(batch.acknowledged);
        session.replies.insert(batch.sequence, reply.clone());
        reply
    }

    fn register(&mut self, id: u64) {
        while self.sessions.len() >= self.limits.sessions_max {
            let oldest = *self
                .sessions
                .iter()
                .min_by_key(|(_, session)| session.last_used)
                .unwrap()
                .0;
            self.sessions.remove(&oldest);
        }
        self.sessions.insert(
            id,
            ModelSession {
                last_used: id,
                ..ModelSession::default()
            },
        );
    }

    /// The rows of a batch; none when all that succeeded is a put or a delete.
    fn commands(&mut self, batch: &Batch, first_revision: u64) -> Vec<Row> {
        let commands = decode(batch);
        let mut rows = Vec::new();
        let mut revision = first_revision;
        let mut at = 0;
        while let Some(command) = commands.get(at) {
            let parts = &commands[at + 1..at + 1 + command.parts as usize];
            at += 1 + parts.len();
            match command.kind {
                kind::TRANSACT => rows.extend(self.transact(parts, revision)),
                kind::DELETE_RANGE => rows.push(self.delete_range(command)),
                _ => {
                    let before = entry(&self.entries, &command.key);
                    let mut row = operate(&mut self.entries, command, revision);
                    row.entry = before.filter(|_| command.flags & flag::PREVIOUS != 0);
                    rows.push(row);
                }
            }
            revision += 1;
        }
        let plain = |command: &Command| {
            matches!(command.kind, kind::PUT | kind::DELETE) && command.flags == 0
        };
        if commands.iter().all(plain) {
            vec![]
        } else {
            rows
        }
    }

    fn transact(&mut self, parts: &[Command], revision: u64) -> Vec<Row> {
        let conditions = parts
            .iter()
            .filter(|part| part.kind >= kind::REVISION_IS)
            .count();
        let (conditions, operations) = parts.split_at(conditions);
        let failed: Vec<Row> = conditions
            .iter()
            .enumerate()
            .filter(|(_, condition)| !holds(&self.entries, condition))
            .map(|(position, condition)| Row {
                status: 1,
                count: position as u16,
                of_condition: true,
                entry: entry(&self.entries, &condition.key),
                number: 0,
            })
            .collect();
        if !failed.is_empty() {
            let head = Row {
                count: failed.len() as u16,
                ..Row::status(1)
            };
            return [vec![head], failed].concat();
        }
        let mut after = self.entries.clone();
        for (position, operation) in operations.iter().enumerate() {
            let row = operate(&mut after, operation, revision);
            if row.status != 0 {
                return vec![Row {
                    number: position as i64,
                    ..Row::status(row.status)
                }];
            }
        }
        self.entries = after;
        vec![Row::default()]
    }

    fn delete_range(&mut self, command: &Command) -> Row {
        let mut keys = range(&self.entries, &command.key, &command.value);
        if command.number == -1 && keys.len() > self.limits.delete_range_keys_max {
            return Row::status(3);
        }
        if command.flags & flag::FROM_END != 0 {
            keys.reverse();
        }
        keys.truncate(usize::try_from(command.number).unwrap_or(usize::MAX));
        for key in &keys {
            self.entries.remove(key);
        }
        Row::number(keys.len() as i64)
    }
}

/// The keys from `first` to before `end`; empty: no bound.
pub fn range(entries: &Entries, first: &[u8], end: &[u8]) -> Vec<Vec<u8>> {
    let from_first = entries.range::<[u8], _>((Bound::Included(first), Bound::Unbounded));
    from_first
        .map(|(key, _)| key.clone())
        .filter(|key| end.is_empty() || &key[..] < end)
        .collect()
}

fn entry(entries: &Entries, key: &[u8]) -> Option<Entry> {
    entries
        .get(key)
        .and_then(|(revision, value)| Entry::of(*revision, value))
}

fn holds(entries: &Entries, condition: &Command) -> bool {
    let found = entries.get(&condition.key);
    match condition.kind {
        kind::REVISION_IS => found.map_or(0, |(revision, _)| *revision) as i64 == condition.number,
        kind::VALUE_IS => found.is_some_and(|(_, value)| *value == condition.value),
        kind::EXISTS => found.is_some(),
        _ => found.is_none(),
    }
}

fn operate(entries: &mut Entries, command: &Command, revision: u64) -> Row {
    let old = entries.get(&command.key).map(|(_, value)| value.clone());
    let (value, number) = match command.kind {
        kind::PUT => (command.value.clone(), 0),
        kind::APPEND => {
            let value = [old.unwrap_or_default(), command.value.clone()].concat();
            let length = value.len() as i64;
            (value, length)
        }
        kind::INCREMENT => {
            let text = String::from_utf8(old.unwrap_or(b"0".to_vec())).unwrap_or_default();
            let Some(number) = text
                .parse::<i64>()
                .ok()
                .filter(|number| number.to_string() == text)
            else {
                return Row::status(2);
            };
            let sum = i128::from(number) + i128::from(command.number);
            if sum.abs() >= 1 << 53 {
                return Row::status(3);
            }
            (sum.to_string().into_bytes(), sum as i64)
        }
        _ => {
            entries.remove(&command.key);
            return Row::default();
        }
    };
    entries.insert(command.key.clone(), (revision, value));
    Row::number(number)
}

fn decode(batch: &Batch) -> Vec<Command> {
    let mut data = &batch.data[..];
    let mut take = |length: u32| {
        let (taken, rest) = data.split_at(length as usize);
        data = rest;
        taken.to_vec()
    };
    let command =
        |header: &eraft_core::generated::command::eraft::command::CommandHeader| Command {
            kind: header.kind(),
            flags: header.flags(),
            parts: header.parts(),
            key: take(header.key_length()),
            value: take(header.value_length()),
            number: header.number(),
        };
    batch.headers.iter().map(command).collect()
}

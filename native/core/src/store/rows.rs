//! The results of one batch while it is evaluated: `CommandResult`s and the bytes that they bring.

use super::encode::RESULT_BYTES;
use crate::command::limits::REPLY_BYTES_MAX;

pub(super) const OK: u8 = 0;
pub(super) const CONDITION_FAILED: u8 = 1;
pub(super) const NOT_A_NUMBER: u8 = 2;
pub(super) const OVER_LIMIT: u8 = 3;

const PRESENT: u8 = 1;
const OF_CONDITION: u8 = 2;
const LEFT_OUT: u8 = 4;

/// Values returned by the batches of one record, with sessions and without: what does not fit is left out.
///
/// The two are counted apart because what a session stores must be the same on a replica that nobody asks for results.
const RECORD_VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What an operation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: u8,
    pub(super) number: i64,
}

impl Outcome {
    pub(super) const DONE: Outcome = Outcome {
        status: OK,
        number: 0,
    };

    pub(super) fn number(number: i64) -> Outcome {
        Outcome { status: OK, number }
    }

    pub(super) fn refused(status: u8) -> Outcome {
        Outcome { status, number: 0 }
    }
}

#[derive(Default)]
pub(super) struct Rows {
    /// Nobody wants the results of this batch, nor does a session store them.
    wanted: bool,
    results: Vec<u8>,
    data: Vec<u8>,
    data_max: usize,
    of_session: bool,
    record_values: [usize; 2],
}

impl Rows {
    pub(super) fn begin_record(&mut self) {
        self.record_values = [0; 2];
    }

    /// `headers`: of the batch, parts of transactions included; there is at most one row for each.
    pub(super) fn begin_batch(&mut self, wanted: bool, of_session: bool, headers: usize) {
        self.wanted = wanted;
        self.of_session = of_session;
        self.results.clear();
        self.data.clear();
        self.data_max = REPLY_BYTES_MAX - 128 - headers * RESULT_BYTES;
    }

    pub(super) fn wanted(&self) -> bool {
        self.wanted
    }

    pub(super) fn results(&self) -> &[u8] {
        &self.results
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn outcome(&mut self, outcome: Outcome) {
        if self.wanted {
            self.push(outcome.status, 0, 0, 0, 0, outcome.number);
        }
    }

    /// An operation that returns the entry it replaced.
    pub(super) fn previous(&mut self, entry: Option<(u64, &[u8])>) {
        self.entry(OK, 0, 0, entry);
    }

    /// The row of a transaction; `patch_transaction` says later how it went.
    pub(super) fn transaction(&mut self) -> usize {
        let at = self.results.len();
        self.outcome(Outcome::DONE);
        at
    }

    pub(super) fn failed_condition(&mut self, position: u16, entry: Option<(u64, &[u8])>) {
        self.entry(CONDITION_FAILED, OF_CONDITION, position, entry);
    }

    pub(super) fn patch_transaction(&mut self, at: usize, failed: u16, outcome: Outcome) {
        if self.wanted {
            self.results[at] = outcome.status;
            self.results[at + 2..at + 4].copy_from_slice(&failed.to_le_bytes());
            self.results[at + 16..at + 24].copy_from_slice(&outcome.number.to_le_bytes());
        }
    }

    fn entry(&mut self, status: u8, flags: u8, count: u16, entry: Option<(u64, &[u8])>) {
        if !self.wanted {
            return;
        }
        let Some((revision, value)) = entry else {
            return self.push(status, flags, count, 0, 0, 0);
        };
        let spent = &mut self.record_values[usize::from(self.of_session)];
        let fits = self.data.len() + value.len() <= self.data_max
            && *spent + value.len() <= RECORD_VALUE_BYTES_MAX;
        let flags = flags | PRESENT | if fits { 0 } else { LEFT_OUT };
        if fits {
            *spent += value.len();
            self.data.extend_from_slice(value);
        }
        self.push(status, flags, count, value.len() as u32, revision, 0);
    }

    /// The layout of `CommandResult` in `proto/command.fbs`.
    fn push(
        &mut self,
        status: u8,
        flags: u8,
        count: u16,
        value_length: u32,
        revision: u64,
        number: i64,
    ) {
        let mut row = [0; RESULT_BYTES];
        row[0] = status;
        row[1] = flags;
        row[2..4].copy_from_slice(&count.to_le_bytes());
        row[4..8].copy_from_slice(&value_length.to_le_bytes());
        row[8..16].copy_from_slice(&revision.to_le_bytes());
        row[16..24].copy_from_slice(&number.to_le_bytes());
        self.results.extend_from_slice(&row);
    }
}

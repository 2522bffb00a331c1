//! What each command does, except ranges and transactions.

use super::StoreError;
use super::burst::{Burst, Current};
use super::keys::open_value;
use super::rows::{NOT_A_NUMBER, OVER_LIMIT, Outcome};
use crate::command::limits::VALUE_BYTES_MAX;
use crate::command::{BatchView, Command, NUMBER_MAX, flag, kind};

impl Burst<'_> {
    /// Applies a batch. `wanted`: its results go into `self.rows`.
    pub(super) fn evaluate(
        &mut self,
        batch: &BatchView<'_>,
        first_revision: u64,
        wanted: bool,
    ) -> Result<(), StoreError> {
        self.rows
            .begin_batch(wanted && !batch.plain, batch.session != 0, batch.headers());
        let mut commands = batch.commands();
        let mut revision = first_revision;
        while let Some(command) = commands.next() {
            match command.kind {
                kind::TRANSACT => self.transact(&command, &mut commands, revision)?,
                kind::DELETE_RANGE => self.delete_range(&command, revision)?,
                _ if command.flags & flag::PREVIOUS != 0 => self.replace(&command, revision)?,
                _ => {
                    let outcome = self.operate(&command, revision)?;
                    self.rows.outcome(outcome);
                }
            }
            revision += 1;
        }
        Ok(())
    }

    /// A put or delete that returns the entry before it.
    fn replace(&mut self, command: &Command<'_>, revision: u64) -> Result<(), StoreError> {
        if self.rows.wanted() {
            let current = self.current(command.key)?;
            self.rows.previous(current.entry(&self.open.overlay));
        }
        self.operate(command, revision)?;
        Ok(())
    }

    /// One operation, alone or within a transaction.
    #[inline]
    pub(super) fn operate(
        &mut self,
        command: &Command<'_>,
        revision: u64,
    ) -> Result<Outcome, StoreError> {
        let overlay = &mut self.open.overlay;
        match command.kind {
            kind::PUT => overlay.put(command.key, revision, command.value),
            kind::DELETE => overlay.delete(command.key, revision),
            kind::APPEND => return self.append(command, revision),
            kind::INCREMENT => return self.increment(command, revision),
            kind => unreachable!("the verifier lets no operation of kind {kind} through"),
        }
        Ok(Outcome::DONE)
    }

    /// An absent key is an empty value.
    fn append(&mut self, command: &Command<'_>, revision: u64) -> Result<Outcome, StoreError> {
        let current = self.current(command.key)?;
        let length = current
            .entry(&self.open.overlay)
            .map_or(0, |(_, value)| value.len())
            + command.value.len();
        let made = if self.made_here(&current) {
            command.value.len()
        } else {
            length
        };
        if length > VALUE_BYTES_MAX || !self.charge(made) {
            return Ok(Outcome::refused(OVER_LIMIT));
        }
        let overlay = &mut self.open.overlay;
        let (key, suffix) = (command.key, command.value);
        match &current {
            Current::Absent => overlay.put(key, revision, suffix),
            Current::Written(at) => overlay.put_extended(key, revision, *at, suffix),
            Current::Stored(stored) => {
                overlay.put_joined(key, revision, open_value(stored)?.1, suffix)
            }
        }
        Ok(Outcome::number(length as i64))
    }

    /// An absent key is 0. Values are decimal integers in ASCII, as Redis writes them.
    fn increment(&mut self, command: &Command<'_>, revision: u64) -> Result<Outcome, StoreError> {
        let current = self.current(command.key)?;
        let Some(old) = current
            .entry(&self.open.overlay)
            .map_or(Some(0), |(_, value)| parse_number(value))
        else {
            return Ok(Outcome::refused(NOT_A_NUMBER));
        };
        match old.checked_add(command.number) {
            Some(sum) if (-NUMBER_MAX..=NUMBER_MAX).contains(&sum) => {
                let text = sum.to_string();
                let overlay = &mut self.open.overlay;
                overlay.put(command.key, revision, text.as_bytes());
                Ok(Outcome::number(sum))
            }
            _ => Ok(Outcome::refused(OVER_LIMIT)),
        }
    }
}

/// The canonical text of an i64 and nothing else: no sign for plus, no zeros in front, no spaces, no `-0`.
fn parse_number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_number;

    #[test]
    fn numbers_have_one_form() {
        for (text, number) in [
            ("0", 0),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_number(text.as_bytes()), Some(number), "{text}");
        }
        for text in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            " 1",
            "1 ",
            "1.0",
            "9223372036854775808",
            "１",
            "0x1",
        ] {
            assert_eq!(parse_number(text.as_bytes()), None, "{text:?}");
        }
    }
}

//! Transactions: all conditions hold and all operations succeed, or nothing happens.

use super::StoreError;
use super::burst::Burst;
use super::rows::{CONDITION_FAILED, OK, Outcome};
use crate::command::{Command, Commands, kind};

impl Burst<'_> {
    /// Takes the parts of `command` from `parts`.
    pub(super) fn transact(
        &mut self,
        command: &Command<'_>,
        parts: &mut Commands<'_>,
        revision: u64,
    ) -> Result<(), StoreError> {
        let row = self.rows.transaction();
        let mark = (self.open.overlay.mark(), *self.made());
        let (mut conditions, mut failed, mut operations) = (0, 0, 0);
        let mut outcome = Outcome::DONE;
        for part in parts.by_ref().take(command.parts as usize) {
            if part.is_condition() {
                failed += u16::from(!self.holds(&part, conditions)?);
                conditions += 1;
            } else if failed == 0 && outcome.status == OK {
                outcome = self.operate(&part, revision)?;
                outcome.number = operations;
                operations += 1;
            }
        }
        if failed > 0 {
            outcome = Outcome::refused(CONDITION_FAILED);
        }
        if outcome.status == OK {
            outcome = Outcome::DONE;
        } else {
            self.open.overlay.undo(mark.0);
            *self.made() = mark.1;
        }
        self.rows.patch_transaction(row, failed, outcome);
        Ok(())
    }

    /// A condition that does not hold is reported with the entry as it is.
    fn holds(&mut self, condition: &Command<'_>, position: u16) -> Result<bool, StoreError> {
        let current = self.current(condition.key)?;
        let entry = current.entry(&self.open.overlay);
        let holds = match condition.kind {
            kind::REVISION_IS => {
                entry.map_or(0, |(revision, _)| revision) == condition.number as u64
            }
            kind::VALUE_IS => entry.is_some_and(|(_, value)| value == condition.value),
            kind::EXISTS => entry.is_some(),
            kind::ABSENT => entry.is_none(),
            kind => unreachable!("the verifier lets no condition of kind {kind} through"),
        };
        if !holds {
            self.rows.failed_condition(position, entry);
        }
        Ok(holds)
    }
}

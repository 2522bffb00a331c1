//! What has been evaluated since the last burst was closed: the newest part of the state machine, in memory.
//!
//! It follows from the committed log alone. So results may be given out before it is written, and after a crash the log makes
//! it anew.

use super::Applied;
use super::database::encode_applied;
use super::drafts::Drafts;
use super::keys::{APPLIED, metadata_prefix};
use super::overlay::{self, Overlay};
use super::representation::Representation;
use super::rows::Rows;
use super::sessions::SessionTable;
use crate::command::BatchView;

#[derive(Default)]
pub(super) struct OpenBurst {
    pub(super) overlay: Overlay,
    pub(super) drafts: Drafts,
    /// The last record, of this burst or of those before.
    pub(super) applied: Applied,
    /// Of results that sessions store.
    stored_bytes: usize,
}

/// Where a call of evaluate began.
pub(super) struct Mark {
    overlay: overlay::Mark,
    applied: Applied,
    stored_bytes: usize,
}

impl OpenBurst {
    /// An empty one, behind what `applied` says. `overlay`: a clear one, whose memory is used again.
    pub(super) fn new(applied: Applied, table: &SessionTable, overlay: Overlay) -> OpenBurst {
        OpenBurst {
            overlay,
            drafts: Drafts::new(table),
            applied,
            stored_bytes: 0,
        }
    }

    /// Sessions as of the last record.
    pub(super) fn sessions(&self) -> usize {
        self.drafts.live()
    }

    /// What it holds in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.overlay.batch_bytes() + self.stored_bytes
    }

    /// What came of a batch that the drafts have let through.
    pub(super) fn keep(&mut self, batch: &BatchView<'_>, first_revision: u64, rows: &Rows) {
        self.drafts.applied(batch, first_revision, rows);
        if !batch.plain {
            self.stored_bytes += rows.results().len() + rows.data().len();
        }
    }

    pub(super) fn begin(&mut self) -> Mark {
        self.drafts.begin();
        Mark {
            overlay: self.overlay.mark(),
            applied: self.applied,
            stored_bytes: self.stored_bytes,
        }
    }

    /// The burst is again as `begin` found it.
    pub(super) fn undo(&mut self, mark: Mark) {
        self.drafts.undo();
        self.overlay.undo(mark.overlay);
        self.applied = mark.applied;
        self.stored_bytes = mark.stored_bytes;
    }

    /// Fills `batch` with the applied index and the sessions, which the table takes over. The data is left to the caller.
    pub(super) fn close(
        self,
        table: &mut SessionTable,
        group: u32,
        batch: &mut Representation,
    ) -> (Applied, Overlay) {
        batch.clear();
        let applied = encode_applied(self.applied);
        batch.put(&metadata_prefix(group), APPLIED, &applied, &[]);
        self.drafts.close(table, group, batch);
        (self.applied, self.overlay)
    }
}

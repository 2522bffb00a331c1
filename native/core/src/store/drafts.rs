//! What the open burst has done to sessions, upon the table, which takes it over when the burst is closed.

use rustc_hash::FxHashMap;

use super::StoreError;
use super::keys::{session_head, session_prefix, session_result};
use super::representation::Representation;
use super::rows::Rows;
use super::sessions::{Answer, Kept, Session, SessionTable, encode_head};
use crate::command::BatchView;
use crate::command::limits::SESSION_RESULT_BYTES_MAX;

/// A session that the burst has touched.
pub(super) struct Draft {
    pub(super) id: u64,
    /// The call that has changed it last.
    call: u64,
    pub(super) evicted: bool,
    pub(super) sequence: u64,
    pub(super) acknowledged: u64,
    pub(super) last_used: u64,
    /// The batches behind those of the table.
    pub(super) added: Vec<Answer>,
    /// Results of added batches, by sequence, as `stored_results` makes them.
    results: Vec<(u64, Vec<u8>)>,
}

/// What becomes of a batch of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The session is not known: it never was, or gave way to others.
    Unknown,
    /// An earlier batch is missing.
    Gap,
    /// The next one. Tell `applied` what came of it.
    Apply,
    /// Applied before; its results can be given again.
    Again(Answer),
    /// Applied before, and acknowledged.
    Forgotten,
}

/// The sessions that the open burst has touched, upon the table of all.
#[derive(Default)]
pub(super) struct Drafts {
    drafts: Vec<Draft>,
    by_id: FxHashMap<u64, u32>,
    live: usize,
    /// Every session of the table used before this is in `drafts`.
    untouched_from: u64,
    call: Call,
}

/// What one call of evaluate has changed, to be undone when it fails.
#[derive(Default)]
struct Call {
    number: u64,
    drafts: usize,
    live: usize,
    untouched_from: u64,
    /// Drafts of earlier calls, as they were: each once.
    before: Vec<(u32, Before)>,
}

struct Before {
    evicted: bool,
    sequence: u64,
    acknowledged: u64,
    last_used: u64,
    added: usize,
    results: usize,
}

impl Drafts {
    pub(super) fn new(table: &SessionTable) -> Drafts {
        Drafts {
            live: table.sessions.len(),
            ..Drafts::default()
        }
    }

    /// Sessions, those of the table included.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// A call begins: what it changes can be undone.
    pub(super) fn begin(&mut self) {
        self.call.number += 1;
        self.call.drafts = self.drafts.len();
        self.call.live = self.live;
        self.call.untouched_from = self.untouched_from;
        self.call.before.clear();
    }

    /// Everything is again as it was at `begin`.
    pub(super) fn undo(&mut self) {
        for draft in self.drafts.drain(self.call.drafts..) {
            self.by_id.remove(&draft.id);
        }
        for (at, before) in self.call.before.drain(..) {
            let draft = &mut self.drafts[at as usize];
            draft.evicted = before.evicted;
            draft.sequence = before.sequence;
            draft.acknowledged = before.acknowledged;
            draft.last_used = before.last_used;
            draft.added.truncate(before.added);
            draft.results.truncate(before.results);
        }
        self.live = self.call.live;
        self.untouched_from = self.call.untouched_from;
    }

    /// A draft that is about to change.
    fn touch(&mut self, at: u32) -> &mut Draft {
        let draft = &mut self.drafts[at as usize];
        if draft.call != self.call.number {
            draft.call = self.call.number;
            let before = Before {
                evicted: draft.evicted,
                sequence: draft.sequence,
                acknowledged: draft.acknowledged,
                last_used: draft.last_used,
                added: draft.added.len(),
                results: draft.results.len(),
            };
            self.call.before.push((at, before));
        }
        draft
    }

    /// A new session, whose id is the revision of its registration. The one unused for longest gives way.
    ///
    /// Which one that is follows from the log alone: `last_used` are revisions, and every session that this burst has
    /// touched was used later than every one that it has not.
    pub(super) fn register(&mut self, table: &SessionTable, sessions_max: usize, id: u64) {
        while self.live >= sessions_max {
            self.evict(table);
        }
        self.live += 1;
        self.insert(id, None).last_used = id;
    }

    fn evict(&mut self, table: &SessionTable) {
        let victim = table
            .order
            .range(self.untouched_from..)
            .find(|(_, id)| !self.by_id.contains_key(id));
        match victim.map(|(&used, &id)| (used, id)) {
            Some((used, id)) => {
                self.untouched_from = used + 1;
                self.insert(id, table.sessions.get(&id)).evicted = true;
            }
            None => {
                self.untouched_from = u64::MAX;
                let live = (0..).zip(&self.drafts).filter(|(_, draft)| !draft.evicted);
                let oldest = live.min_by_key(|(_, draft)| draft.last_used);
                let (at, _) = oldest.expect("a session to give way");
                self.touch(at).evicted = true;
            }
        }
        self.live -= 1;
    }

    fn insert(&mut self, id: u64, base: Option<&Session>) -> &mut Draft {
        self.by_id.insert(id, self.drafts.len() as u32);
        self.drafts.push(Draft {
            id,
            call: self.call.number,
            evicted: false,
            sequence: base.map_or(0, |base| base.sequence),
            acknowledged: base.map_or(0, |base| base.acknowledged),
            last_used: base.map_or(0, |base| base.last_used),
            added: Vec::new(),
            results: Vec::new(),
        });
        self.drafts.last_mut().expect("just pushed")
    }

    fn draft(&mut self, table: &SessionTable, id: u64) -> Option<&mut Draft> {
        if let Some(&at) = self.by_id.get(&id) {
            return Some(self.touch(at));
        }
        let base = table.sessions.get(&id)?;
        Some(self.insert(id, Some(base)))
    }

    /// The verdict on a batch, and the session's last applied sequence after it. Naming a session is using it.
    pub(super) fn admit(
        &mut self,
        table: &SessionTable,
        batch: &BatchView<'_>,
        first_revision: u64,
    ) -> (Verdict, u64) {
        let draft = self.draft(table, batch.session);
        let Some(draft) = draft.filter(|draft| !draft.evicted) else {
            return (Verdict::Unknown, 0);
        };
        draft.last_used = first_revision;
        let verdict = if batch.sequence <= draft.acknowledged {
            Verdict::Forgotten
        } else if batch.sequence <= draft.sequence {
            let base = table.sessions.get(&batch.session);
            let known = base.map_or(0, |base| base.sequence);
            Verdict::Again(match base {
                Some(base) if batch.sequence <= known => base.answer(batch.sequence),
                _ => draft.added[(batch.sequence - known - 1) as usize],
            })
        } else if batch.sequence == draft.sequence + 1 {
            // The verifier has seen to it that no more than a window of batches stays unacknowledged.
            draft.sequence = batch.sequence;
            draft.acknowledged = draft.acknowledged.max(batch.acknowledged);
            Verdict::Apply
        } else {
            Verdict::Gap
        };
        (verdict, draft.sequence)
    }

    /// What came of a batch that `admit` let through.
    pub(super) fn applied(&mut self, batch: &BatchView<'_>, first_revision: u64, rows: &Rows) {
        let at = self.by_id[&batch.session];
        let draft = self.touch(at);
        let kept = if batch.plain {
            Kept::Plain
        } else if rows.results().len() + rows.data().len() > SESSION_RESULT_BYTES_MAX {
            Kept::Nowhere
        } else {
            draft.results.push((batch.sequence, stored_results(rows)));
            Kept::Stored
        };
        draft.added.push(Answer {
            first_revision,
            count: batch.count,
            kept,
        });
    }

    /// Stored results that this burst has made; None: they are in RocksDB.
    pub(super) fn results_of(&self, batch: &BatchView<'_>) -> Option<&[u8]> {
        let draft = &self.drafts[*self.by_id.get(&batch.session)? as usize];
        draft
            .results
            .iter()
            .find(|(sequence, _)| *sequence == batch.sequence)
            .map(|(_, bytes)| &bytes[..])
    }

    /// Appends one write for each touched session, and those of its stored results; then the table takes the drafts over.
    pub(super) fn close(mut self, table: &mut SessionTable, group: u32, out: &mut Representation) {
        let prefix = session_prefix(group);
        self.drafts.sort_unstable_by_key(|draft| draft.id);
        let mut head = Vec::new();
        for draft in &self.drafts {
            let base = table.sessions.get(&draft.id);
            if draft.evicted && base.is_some() {
                out.delete(&prefix, &session_head(draft.id));
            } else if !draft.evicted {
                encode_head(&mut head, draft, base);
                out.put(&prefix, &session_head(draft.id), &head, &[]);
            }
        }
        for draft in &self.drafts {
            let gone = if draft.evicted {
                u64::MAX
            } else {
                draft.acknowledged
            };
            let base = table.sessions.get(&draft.id).into_iter();
            for sequence in base.flat_map(|base| base.stored_up_to(gone)) {
                out.delete(&prefix, &session_result(draft.id, sequence));
            }
            for (sequence, bytes) in draft
                .results
                .iter()
                .filter(|(sequence, _)| *sequence > gone)
            {
                out.put(&prefix, &session_result(draft.id, *sequence), bytes, &[]);
            }
        }
        table.commit(self.drafts);
    }
}

/// `| bytes of results u32 LE | results … | data … |`, both as in the `ResultBatch`.
fn stored_results(rows: &Rows) -> Vec<u8> {
    let length = rows.results().len() as u32;
    [&length.to_le_bytes()[..], rows.results(), rows.data()].concat()
}

/// Results and data of `stored_results`.
pub(super) fn open_results(stored: &[u8]) -> Result<(&[u8], &[u8]), StoreError> {
    let (length, rest) = stored
        .split_first_chunk::<4>()
        .ok_or_else(|| StoreError::damaged("results without a length"))?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or_else(|| StoreError::damaged("results cut short"))
}

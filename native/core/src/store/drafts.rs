//! What a burst has done to sessions, beside the table: forgotten when the burst fails, taken over when it is written.

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

pub(super) struct Drafts<'t> {
    table: &'t SessionTable,
    drafts: Vec<Draft>,
    by_id: FxHashMap<u64, u32>,
    live: usize,
    sessions_max: usize,
    /// Every session of the table used before this is in `drafts`.
    untouched_from: u64,
}

impl<'t> Drafts<'t> {
    pub(super) fn new(table: &'t SessionTable, sessions_max: usize) -> Drafts<'t> {
        Drafts {
            table,
            drafts: Vec::new(),
            by_id: FxHashMap::default(),
            live: table.sessions.len(),
            sessions_max,
            untouched_from: 0,
        }
    }

    /// A new session, whose id is the revision of its registration. The one unused for longest gives way.
    ///
    /// Which one that is follows from the log alone: `last_used` are revisions, and every session that this burst has
    /// touched was used later than every one that it has not.
    pub(super) fn register(&mut self, id: u64) {
        while self.live >= self.sessions_max {
            self.evict();
        }
        self.live += 1;
        self.insert(id, None).last_used = id;
    }

    fn evict(&mut self) {
        let victim = self
            .table
            .order
            .range(self.untouched_from..)
            .find(|(_, id)| !self.by_id.contains_key(id));
        match victim.map(|(&used, &id)| (used, id)) {
            Some((used, id)) => {
                self.untouched_from = used + 1;
                self.insert(id, self.table.sessions.get(&id)).evicted = true;
            }
            None => {
                self.untouched_from = u64::MAX;
                let live = self.drafts.iter_mut().filter(|draft| !draft.evicted);
                live.min_by_key(|draft| draft.last_used)
                    .expect("a session to give way")
                    .evicted = true;
            }
        }
        self.live -= 1;
    }

    fn insert(&mut self, id: u64, base: Option<&Session>) -> &mut Draft {
        self.by_id.insert(id, self.drafts.len() as u32);
        self.drafts.push(Draft {
            id,
            evicted: false,
            sequence: base.map_or(0, |base| base.sequence),
            acknowledged: base.map_or(0, |base| base.acknowledged),
            last_used: base.map_or(0, |base| base.last_used),
            added: Vec::new(),
            results: Vec::new(),
        });
        self.drafts.last_mut().expect("just pushed")
    }

    fn draft(&mut self, id: u64) -> Option<&mut Draft> {
        if let Some(&at) = self.by_id.get(&id) {
            return Some(&mut self.drafts[at as usize]);
        }
        let base = self.table.sessions.get(&id)?;
        Some(self.insert(id, Some(base)))
    }

    /// The verdict on a batch, and the session's last applied sequence after it. Naming a session is using it.
    pub(super) fn admit(&mut self, batch: &BatchView<'_>, first_revision: u64) -> (Verdict, u64) {
        let table = self.table;
        let Some(draft) = self.draft(batch.session).filter(|draft| !draft.evicted) else {
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
        let draft = self.draft(batch.session).expect("admitted");
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

    /// Appends one write for each touched session, and those of its stored results.
    pub(super) fn write(&mut self, group: u32, out: &mut Representation) {
        let prefix = session_prefix(group);
        self.drafts.sort_unstable_by_key(|draft| draft.id);
        let mut head = Vec::new();
        for draft in &self.drafts {
            let base = self.table.sessions.get(&draft.id);
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
            for sequence in self
                .table
                .sessions
                .get(&draft.id)
                .into_iter()
                .flat_map(|base| base.stored_up_to(gone))
            {
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
    }

    /// For `SessionTable::commit`, once the burst is written.
    pub(super) fn into_inner(self) -> Vec<Draft> {
        self.drafts
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

//! What opening found, and numbers for metrics: objects, because these calls are rare.

use eraft_core::engine::{GroupRecovery, Identity, Stats};
use eraft_core::wal::DurableGroup;
use napi::bindgen_prelude::{Float64Array, Uint8Array, Uint32Array};
use napi_derive::napi;

use crate::convert::number;

/// Whose data folder this is.
#[napi(object)]
pub struct EngineIdentity {
    /// 32 hexadecimal digits.
    pub cluster: String,
    pub replica: u32,
    /// 16 hexadecimal digits, drawn when the folder was formatted.
    pub uid: String,
    /// Has never voted or acknowledged anything.
    pub blank: bool,
}

impl From<Identity> for EngineIdentity {
    fn from(identity: Identity) -> EngineIdentity {
        EngineIdentity {
            cluster: identity.cluster_hex(),
            replica: identity.replica,
            uid: identity.uid_hex(),
            blank: identity.blank,
        }
    }
}

/// What log and store held of one group when the folder was opened.
#[napi(object)]
pub struct EngineGroup {
    pub group: u32,
    pub term: f64,
    pub vote: u32,
    pub commit: f64,
    pub compacted_index: f64,
    pub compacted_term: f64,
    pub last_index: f64,
    /// Pairs (first index, term), ascending, of compactedIndex + 1 to lastIndex.
    pub term_runs: Float64Array,
    /// Bytes of each record of compactedIndex + 1 to lastIndex.
    pub sizes: Uint32Array,
    /// Log time of the last record, ms.
    pub last_time: f64,
    /// The first revision that the next record may have.
    pub next_revision: f64,
    /// 0: no membership was saved.
    pub conf_index: f64,
    pub conf: Option<Uint8Array>,
    pub applied_index: f64,
    pub applied_revision: f64,
    pub flushed_index: f64,
    /// The log was damaged, and nobody has called `setRepaired` since.
    pub damaged: Option<EngineDamage>,
}

/// What a damaged log may have held of a group, as far as it can be told.
#[napi(object)]
pub struct EngineDamage {
    /// Where and how the log was damaged, for people.
    pub description: String,
    /// The highest index that anything shows to have been in the log or the store.
    pub maybe_index: f64,
    /// The highest term that anything shows, and the vote in it; what was recovered has them.
    pub maybe_term: f64,
    pub maybe_vote: u32,
    /// False: entries or a vote beyond these numbers may have been lost with everything that told of them.
    pub known: bool,
    /// At this opening the store held more than what was left of the log, which begins behind that now, with nothing in it.
    pub store_ahead: bool,
}

impl From<&GroupRecovery> for EngineGroup {
    fn from(recovered: &GroupRecovery) -> EngineGroup {
        let log = &recovered.log;
        let runs: Vec<f64> = log
            .term_runs
            .iter()
            .flat_map(|&(first, term)| [number(first), number(term)])
            .collect();
        EngineGroup {
            group: log.group,
            term: number(log.hard_state.term),
            vote: log.hard_state.vote,
            commit: number(log.hard_state.commit),
            compacted_index: number(log.compacted_index),
            compacted_term: number(log.compacted_term),
            last_index: number(log.last_index),
            term_runs: Float64Array::new(runs),
            sizes: Uint32Array::new(log.sizes.clone()),
            last_time: number(log.last_time),
            next_revision: number(log.next_revision),
            conf_index: log.conf.as_ref().map_or(0.0, |(index, _)| number(*index)),
            conf: log
                .conf
                .as_ref()
                .map(|(_, bytes)| Uint8Array::new(bytes.clone())),
            applied_index: number(recovered.applied.index),
            applied_revision: number(recovered.applied.revision),
            flushed_index: number(recovered.flushed),
            damaged: log.damage.as_ref().map(|damage| EngineDamage {
                description: damage.description.clone(),
                maybe_index: number(damage.maybe_index.max(recovered.applied.index)),
                maybe_term: number(damage.maybe_term),
                maybe_vote: damage.maybe_vote,
                known: damage.known,
                store_ahead: recovered.store_ahead,
            }),
        }
    }
}

/// What a crash now would leave of a group's log, as far as completed syncs tell; it may leave more.
#[napi(object)]
pub struct EngineDurable {
    pub term: f64,
    pub vote: u32,
    pub commit: f64,
    /// First entry that is held; last + 1 when there is none.
    pub first: f64,
    pub last: f64,
    pub last_term: f64,
}

impl From<DurableGroup> for EngineDurable {
    fn from(durable: DurableGroup) -> EngineDurable {
        EngineDurable {
            term: number(durable.hard_state.term),
            vote: durable.hard_state.vote,
            commit: number(durable.hard_state.commit),
            first: number(durable.first_index),
            last: number(durable.last_index),
            last_term: number(durable.last_term),
        }
    }
}

/// The state of a group, to compare replicas by.
#[napi(object)]
pub struct EngineDigest {
    /// The index that the state is applied to.
    pub applied: f64,
    /// 24 hexadecimal digits, equal on all replicas at this index.
    pub digest: String,
}

/// Numbers for metrics; counters count from the opening.
#[napi(object)]
pub struct EngineStats {
    pub log_bytes: f64,
    pub log_segments: f64,
    pub log_queued_bytes: f64,
    pub log_tail_bytes: f64,
    pub sync_count: f64,
    pub sync_micros: f64,
    /// Syncs by duration; `syncBucketMicros` has the upper bounds, the last bucket has none.
    pub sync_buckets: Vec<f64>,
    pub sync_bucket_micros: Vec<f64>,
    pub store_bytes: f64,
    pub store_memtable_bytes: f64,
    pub store_cache_bytes: f64,
    pub store_keys_estimate: f64,
    pub store_flushes_running: f64,
    pub store_compactions_running: f64,
    pub store_compaction_pending_bytes: f64,
    pub store_background_errors: f64,
    /// Flushes refused by a full disk.
    pub store_flush_refusals: f64,
    pub store_stalled: bool,
    /// Pinned views of scans.
    pub store_views: f64,
    /// Absent while a burst is being applied.
    pub store_sessions: Option<f64>,
}

impl From<&Stats> for EngineStats {
    fn from(stats: &Stats) -> EngineStats {
        let (log, store) = (&stats.log, &stats.store);
        EngineStats {
            log_bytes: number(log.bytes),
            log_segments: log.segments as f64,
            log_queued_bytes: log.queued_bytes as f64,
            log_tail_bytes: log.tail_bytes as f64,
            sync_count: number(log.sync_count),
            sync_micros: number(log.sync_micros),
            sync_buckets: log
                .sync_buckets
                .iter()
                .map(|&count| number(count))
                .collect(),
            sync_bucket_micros: eraft_core::wal::SYNC_BUCKET_MICROS
                .iter()
                .map(|&bound| number(bound))
                .collect(),
            store_bytes: store.bytes as f64,
            store_memtable_bytes: store.memtable_bytes as f64,
            store_cache_bytes: store.cache_bytes as f64,
            store_keys_estimate: store.keys_estimate as f64,
            store_flushes_running: store.flushes_running as f64,
            store_compactions_running: store.compactions_running as f64,
            store_compaction_pending_bytes: store.compaction_pending_bytes as f64,
            store_background_errors: store.background_errors as f64,
            store_flush_refusals: number(stats.flush_refusals),
            store_stalled: store.stalled,
            store_views: store.views as f64,
            store_sessions: store.sessions.map(number),
        }
    }
}

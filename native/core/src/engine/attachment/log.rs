//! The log's part of an attachment: what is written, what is read back, what may be forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::core::{Core, Group};
use super::super::error::{EngineError, ErrorCode};
use super::super::reads::Request;
use super::Attachment;
use crate::record;
use crate::wal::{Batch, DurableGroup, HardState, WalError};

impl Attachment {
    /// Queues hard states, then records, as one unit for the log; `write` has them written. Returns the ticket.
    ///
    /// @throws ERAFT_OVERLOADED when records are refused because too much is not on disk yet; ERAFT_BAD_REQUEST for
    /// bytes that are no records
    pub fn submit(
        &self,
        records: &[u8],
        hard_states: Vec<(u32, HardState)>,
    ) -> Result<u64, EngineError> {
        self.live(|core| {
            let log = core.wal.progress();
            if !records.is_empty() && log.queued_bytes as u64 > core.options.queue_bytes_max {
                return Err(EngineError::new(
                    ErrorCode::Overloaded,
                    "the disk does not keep up with the log",
                ));
            }
            let mut ends: Vec<(Arc<Group>, u64)> = Vec::new();
            for view in record::records_trusted(records) {
                let header = view
                    .map_err(|e| EngineError::bad_request(e.to_string()))?
                    .header();
                match ends.last_mut() {
                    Some((group, last)) if group.id == header.group => *last = header.index,
                    _ => ends.push((core.group(header.group), header.index)),
                }
            }
            let batch = Batch {
                hard_states,
                records: records.to_vec(),
                ..Batch::default()
            };
            let ticket = core.wal.queue(batch).map_err(|e| submit_error(core, &e))?;
            for (group, last) in ends {
                group.submitted(ticket, last);
                group.durable_index(log.durable); // forgets what is on disk: the list stays short
            }
            Ok(ticket)
        })
    }

    /// Has the log's thread write what was submitted since.
    pub fn write(&self) -> Result<(), EngineError> {
        self.with(|core| {
            core.wal.write();
            Ok(())
        })
    }

    /// Queues a group's membership as of `index`. Returns its ticket.
    pub fn save_conf(&self, group: u32, index: u64, conf: &[u8]) -> Result<u64, EngineError> {
        self.live(|core| {
            let batch = Batch {
                confs: vec![(group, index, conf.to_vec())],
                ..Batch::default()
            };
            let ticket = core.wal.submit(batch).map_err(|e| submit_error(core, &e))?;
            core.group(group).note_conf(index, conf.to_vec());
            Ok(ticket)
        })
    }

    /// Whole records [from, to] from memory, up to `bytes_max`, at least one. Returns the bytes written; 0 when `from` is
    /// not in memory; -n when n bytes of room are needed.
    pub fn read_tail(
        &self,
        group: u32,
        from: u64,
        to: u64,
        bytes_max: usize,
        out: &mut [u8],
    ) -> Result<i64, EngineError> {
        self.with(|core| {
            let Some((chunks, _)) = core.wal.tail_chunks(group, from, to, bytes_max) else {
                return Ok(0);
            };
            let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
            if bytes > out.len() {
                return Ok(-(bytes as i64));
            }
            let mut rest = out;
            for chunk in &chunks {
                let (front, behind) = rest.split_at_mut(chunk.len());
                front.copy_from_slice(chunk);
                rest = behind;
            }
            Ok(bytes as i64)
        })
    }

    /// The same from disk, as an answer under `tag`.
    pub fn fetch(
        &self,
        group: u32,
        from: u64,
        to: u64,
        bytes_max: usize,
        tag: u32,
    ) -> Result<(), EngineError> {
        self.live(|core| {
            core.reading.ask(
                Request::Fetch {
                    group,
                    from,
                    to,
                    bytes_max,
                },
                tag,
                &self.queues,
            );
            Ok(())
        })
    }

    /// Nobody needs entries up to `index` any more. Done in the background, as far as the store has flushed.
    pub fn truncate(&self, group: u32, index: u64) -> Result<(), EngineError> {
        self.live(|core| {
            core.group(group)
                .truncatable
                .fetch_max(index, Ordering::Relaxed);
            core.upkeep.ask_truncate();
            Ok(())
        })
    }

    /// What a crash now would leave of the group's log, as far as completed syncs tell.
    pub fn durable(&self, group: u32) -> Result<DurableGroup, EngineError> {
        self.with(|core| {
            let nothing = DurableGroup {
                first_index: 1,
                ..DurableGroup::default()
            };
            Ok(core.wal.durable_group(group).unwrap_or(nothing))
        })
    }

    /// The group holds everything again that it may have acknowledged before its log was damaged. Durable when this returns.
    ///
    /// @throws ERAFT_IO, ERAFT_DISK_FULL: it still counts as damaged
    pub fn set_repaired(&self, group: u32) -> Result<(), EngineError> {
        self.live(|core| {
            core.wal.set_repaired(group).map_err(|error| {
                let full = error.is_full();
                let code = if full {
                    ErrorCode::DiskFull
                } else {
                    ErrorCode::Io
                };
                EngineError::new(code, error.to_string())
            })
        })
    }

    /// The index before the first one that the log still holds.
    pub fn compacted(&self, group: u32) -> Result<u64, EngineError> {
        self.with(|core| {
            let status = core.wal.status();
            let found = status.groups.iter().find(|status| status.group == group);
            Ok(found.map_or(0, |status| status.first_index.saturating_sub(1)))
        })
    }
}

/// The log's refusal of a batch, for the one who submitted it.
fn submit_error(core: &Core, error: &WalError) -> EngineError {
    match error {
        WalError::Closed => EngineError::closed(),
        WalError::Invalid { .. } | WalError::Compacted { .. } | WalError::OutOfRange { .. } => {
            EngineError::bad_request(error.to_string())
        }
        _ => core
            .failure()
            .cloned()
            .unwrap_or_else(|| EngineError::new(ErrorCode::Failed, error.to_string())),
    }
}

//! `Engine`: the methods of the log.

use eraft_core::engine::ErrorCode;
use eraft_core::record::{self, Header};
use eraft_core::wal::HardState;
use napi::Result;
use napi::bindgen_prelude::{Float64ArraySlice, Uint8ArraySlice};
use napi_derive::napi;

use crate::convert::{Thrown, integer, number, range, refused, room, to_js};
use crate::engine::Engine;
use crate::recovery::EngineDurable;

/// Numbers that `inspect` writes for one record.
const INSPECTED: usize = 8;

#[napi]
impl Engine {
    /// Checks the CommandBatch bytes[start..end): its number of top-level commands, or -(wire number of the error).
    #[napi(catch_unwind)]
    pub fn verify_batch(
        &self,
        bytes: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
    ) -> Result<i32, ErrorCode> {
        let batch = range(&bytes, start, end)?;
        Ok(match eraft_core::command::verify_batch(batch) {
            Ok(summary) => summary.commands as i32,
            Err(error) => -i32::from(error.wire()),
        })
    }

    /// Completes the record whose payload ends at `payloadEnd` of the slab: header and checksum go into the 56 bytes
    /// from `start`, zeros behind the payload. Returns the end of the record, a multiple of 8 from `start`.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // an object would cost more than the call
    pub fn seal(
        &self,
        mut slab: Uint8ArraySlice<'_>,
        start: u32,
        payload_end: u32,
        kind: u8,
        group: u32,
        index: f64,
        term: f64,
        time: f64,
        first_revision: f64,
        count: u32,
    ) -> Result<u32, ErrorCode> {
        let header = Header {
            kind,
            group,
            index: integer("index", index)?,
            term: integer("term", term)?,
            time: integer("time", time)?,
            first_revision: integer("firstRevision", first_revision)?,
            count,
        };
        let payload =
            (payload_end as usize).checked_sub(start as usize + record::RECORD_HEADER_BYTES);
        let payload =
            payload.filter(|&bytes| bytes <= record::RECORD_PAYLOAD_BYTES_MAX && kind != 0);
        let payload = payload.ok_or_else(|| {
            refused(format!(
                "no record of kind {kind} spans {start}..{payload_end}"
            ))
        })?;
        let bytes = record::padded(payload);
        let room = room(&mut slab, start)?;
        let room = room
            .get_mut(..bytes)
            .ok_or_else(|| refused(format!("the slab has no room for {bytes} bytes at {start}")))?;
        record::seal_payload(room, payload, &header);
        Ok(start + bytes as u32)
    }

    /// Checks the records slab[start..end) and writes eight numbers for each into `out`: index, term, time,
    /// firstRevision, count, bytes, kind, group. Returns their number, or -1 - offset (from `start`) of the first bad one.
    #[napi(catch_unwind)]
    pub fn inspect(
        &self,
        slab: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
        mut out: Float64ArraySlice<'_>,
    ) -> Result<i64, ErrorCode> {
        let mut rest = range(&slab, start, end)?;
        let whole = rest.len();
        // SAFETY: as in `convert::room`; a Float64Array and a Uint8Array over the same memory are excluded by ts/storage,
        // which allocates `out` by itself.
        let out = unsafe { out.as_mut() };
        let mut count = 0;
        while !rest.is_empty() {
            let Ok(view) = record::parse(rest) else {
                return Ok(-1 - (whole - rest.len()) as i64);
            };
            let header = view.header();
            let place = out.get_mut(count * INSPECTED..(count + 1) * INSPECTED);
            let place =
                place.ok_or_else(|| refused(format!("no room for more than {count} records")))?;
            place.copy_from_slice(&[
                number(header.index),
                number(header.term),
                number(header.time),
                number(header.first_revision),
                f64::from(header.count),
                view.bytes().len() as f64,
                f64::from(header.kind),
                f64::from(header.group),
            ]);
            rest = &rest[view.bytes().len()..];
            count += 1;
        }
        Ok(count as i64)
    }

    /// Queues hard states (quadruples group, term, vote, commit), then the sealed records slab[start..end), as one unit.
    /// Copied before this returns. Returns the ticket: durable when `poll` reports it. Nothing is written before `write`,
    /// unless the log is at work anyhow.
    ///
    /// Throws ERAFT_OVERLOADED (records only, nothing queued), ERAFT_FAILED, ERAFT_CLOSED, ERAFT_BAD_REQUEST.
    #[napi(catch_unwind)]
    pub fn submit(
        &self,
        slab: Uint8ArraySlice<'_>,
        start: u32,
        end: u32,
        hard_states: Float64ArraySlice<'_>,
        hard_state_count: u32,
    ) -> Result<f64, ErrorCode> {
        let states = hard_states
            .get(..hard_state_count as usize * 4)
            .ok_or_else(|| refused("too few hard states".to_owned()))?;
        let states = states
            .chunks_exact(4)
            .map(hard_state)
            .collect::<Thrown<Vec<_>>>()?;
        self.attachment
            .submit(range(&slab, start, end)?, states)
            .map(number)
            .map_err(to_js)
    }

    /// Has the log's thread write what was submitted. Waits for nothing.
    #[napi(catch_unwind)]
    pub fn write(&self) -> Result<(), ErrorCode> {
        self.attachment.write().map_err(to_js)
    }

    /// Queues a group's membership as of `index`. Returns the ticket.
    #[napi(catch_unwind)]
    pub fn save_conf(
        &self,
        group: u32,
        index: f64,
        conf: Uint8ArraySlice<'_>,
    ) -> Result<f64, ErrorCode> {
        self.attachment
            .save_conf(group, integer("index", index)?, &conf)
            .map(number)
            .map_err(to_js)
    }

    /// Copies whole records [from, to] from memory to `out` at `outStart`, up to `maxBytes`, at least one. Returns the
    /// bytes written; 0: not in memory; -n: n bytes of room are needed.
    #[napi(catch_unwind)]
    pub fn read_tail(
        &self,
        group: u32,
        from: f64,
        to: f64,
        max_bytes: u32,
        mut out: Uint8ArraySlice<'_>,
        out_start: u32,
    ) -> Result<i64, ErrorCode> {
        let (from, to) = (integer("from", from)?, integer("to", to)?);
        self.attachment
            .read_tail(
                group,
                from,
                to,
                max_bytes as usize,
                room(&mut out, out_start)?,
            )
            .map_err(to_js)
    }

    /// The same from disk, checksums verified; the records come through `answers`, under `tag`.
    #[napi(catch_unwind)]
    pub fn fetch(
        &self,
        group: u32,
        from: f64,
        to: f64,
        max_bytes: u32,
        tag: u32,
    ) -> Result<(), ErrorCode> {
        let (from, to) = (integer("from", from)?, integer("to", to)?);
        self.attachment
            .fetch(group, from, to, max_bytes as usize, tag)
            .map_err(to_js)
    }

    /// Nobody needs entries up to `index` any more. Never goes past what the store has flushed.
    #[napi(catch_unwind)]
    pub fn truncate(&self, group: u32, index: f64) -> Result<(), ErrorCode> {
        self.attachment
            .truncate(group, integer("index", index)?)
            .map_err(to_js)
    }

    /// What a crash now would leave of the group's log, as far as completed syncs tell. Allocates.
    #[napi(catch_unwind)]
    pub fn durable(&self, group: u32) -> Result<EngineDurable, ErrorCode> {
        self.attachment
            .durable(group)
            .map(EngineDurable::from)
            .map_err(to_js)
    }

    /// The group holds everything again that it may have acknowledged before its log was damaged. Durable on return. Blocks.
    #[napi(catch_unwind)]
    pub fn set_repaired(&self, group: u32) -> Result<(), ErrorCode> {
        self.attachment.set_repaired(group).map_err(to_js)
    }

    /// The index before the first one that the log still holds.
    #[napi(catch_unwind)]
    pub fn compacted(&self, group: u32) -> Result<f64, ErrorCode> {
        self.attachment.compacted(group).map(number).map_err(to_js)
    }
}

fn hard_state(quadruple: &[f64]) -> Thrown<(u32, HardState)> {
    let small = |name: &str, value: f64| {
        let value = integer(name, value)?;
        u32::try_from(value).map_err(|_| refused(format!("{name} is {value}, above 2^32 - 1")))
    };
    let state = HardState {
        term: integer("term", quadruple[1])?,
        vote: small("vote", quadruple[2])?,
        commit: integer("commit", quadruple[3])?,
    };
    Ok((small("group", quadruple[0])?, state))
}

//! Reads as clients send them, verified: `ReadBatch` and `ScanRequest`.

use flatbuffers::{Follow, Verifiable, VerifierOptions};

use super::BatchError;
use super::error::malformed;
use super::limits::{CLIENT_FRAME_BYTES_MAX, KEY_BYTES_MAX, READ_KEYS_MAX, SCAN_PAGE_ENTRIES_MAX};
use crate::generated::command::eraft::command as fbs;

/// The verifier looks at some bytes of a table twice.
const APPARENT_BYTES_EXTRA: usize = 128;
const NO_VALUES: u8 = 1;

/// Point reads of one client.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest<'a> {
    /// Existence and revision only.
    pub no_values: bool,
    lengths: &'a [[u8; 4]],
    data: &'a [u8],
}

impl<'a> ReadRequest<'a> {
    /// How many keys.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// The keys, in order. Their lengths add up to the data: `parse_read` has seen to it.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut data = self.data;
        self.lengths.iter().map(move |length| {
            let (key, rest) = data.split_at(u32::from_le_bytes(*length) as usize);
            data = rest;
            key
        })
    }
}

/// One page of a scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanPlan<'a> {
    /// Inclusive; empty: from the first key.
    pub first: &'a [u8],
    /// Exclusive; empty: to the last key.
    pub end: &'a [u8],
    pub reverse: bool,
    pub keys_only: bool,
    pub limit: usize,
    pub page_bytes: usize,
    /// 0: the present. 1: open a pinned view. Else: the id of one.
    pub snapshot: u64,
}

/// Verifies a `ReadBatch`.
pub fn parse_read(bytes: &[u8]) -> Result<ReadRequest<'_>, BatchError> {
    let table = root::<fbs::ReadBatch>(bytes)?;
    let lengths = table.key_lengths().map_or(&[][..], |vector| vector.bytes());
    let data = table.data().map_or(&[][..], |vector| vector.bytes());
    let (lengths, rest) = lengths.as_chunks::<4>();
    if lengths.len() > READ_KEYS_MAX {
        return Err(BatchError::TooLarge {
            bytes: bytes.len(),
            commands: lengths.len(),
        });
    }
    let mut sum = 0usize;
    for length in lengths {
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 {
            return Err(BatchError::KeyEmpty);
        }
        if length > KEY_BYTES_MAX {
            return Err(BatchError::KeyTooLarge { bytes: length });
        }
        sum += length;
    }
    if !rest.is_empty() || sum != data.len() {
        return malformed("key lengths that do not add up to the data");
    }
    if table.consistency() > 1 || table.flags() & !NO_VALUES != 0 {
        return malformed("an unknown consistency or flag");
    }
    Ok(ReadRequest {
        no_values: table.flags() & NO_VALUES != 0,
        lengths,
        data,
    })
}

/// Verifies a `ScanRequest`.
pub fn parse_scan(bytes: &[u8]) -> Result<ScanPlan<'_>, BatchError> {
    let table = root::<fbs::ScanRequest>(bytes)?;
    let plan = ScanPlan {
        first: table.first().map_or(&[][..], |vector| vector.bytes()),
        end: table.end().map_or(&[][..], |vector| vector.bytes()),
        reverse: table.reverse(),
        keys_only: table.keys_only(),
        limit: table.limit() as usize,
        page_bytes: table.page_bytes() as usize,
        snapshot: table.snapshot(),
    };
    // The successor of the longest key is one byte longer than it.
    for key in [plan.first, plan.end] {
        if key.len() > KEY_BYTES_MAX + 1 {
            return Err(BatchError::KeyTooLarge { bytes: key.len() });
        }
    }
    if plan.limit == 0 || plan.limit > SCAN_PAGE_ENTRIES_MAX {
        return malformed("a limit of a page that is 0 or too large");
    }
    if table.consistency() > 1 {
        return malformed("an unknown consistency");
    }
    Ok(plan)
}

fn root<'a, T: Follow<'a> + Verifiable + 'a>(bytes: &'a [u8]) -> Result<T::Inner, BatchError> {
    if bytes.len() > CLIENT_FRAME_BYTES_MAX {
        return Err(BatchError::TooLarge {
            bytes: bytes.len(),
            commands: 0,
        });
    }
    let options = VerifierOptions {
        max_depth: 1,
        max_tables: 1,
        max_apparent_size: bytes.len() + APPARENT_BYTES_EXTRA,
        ignore_missing_null_terminator: false,
    };
    flatbuffers::root_with_opts::<T>(&options, bytes).map_err(|_| BatchError::Malformed {
        what: "not such a request",
    })
}

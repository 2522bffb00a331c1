//! The limits that a cluster shares, equal to `LIMITS` of `ts/base/limits.ts`.
//!
//! A test of the TypeScript side parses this file: each line `pub const NAME: usize = <product of integers>;` must have
//! its namesake there, and the other way round.

pub const KEY_BYTES_MAX: usize = 4 * 1024;
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
pub const BATCH_COMMANDS_MAX: usize = 16_384;
pub const BATCH_RANGES_MAX: usize = 16;
pub const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;
pub const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;
pub const SESSIONS_MAX: usize = 16_384;
pub const SESSION_WINDOW: usize = 256;
pub const SESSION_RESULT_BYTES_MAX: usize = 64 * 1024;
pub const DELETE_RANGE_KEYS_MAX: usize = 100_000;
pub const READ_KEYS_MAX: usize = 16_384;
pub const SCAN_PAGE_ENTRIES_MAX: usize = 16_384;
pub const SCAN_PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
pub const CLIENT_FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
pub const PEER_FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Of one encoded reply: it must fit in a client frame with its header, and in the engine's framing.
pub(crate) const REPLY_BYTES_MAX: usize = CLIENT_FRAME_BYTES_MAX - 256;

const _: () = assert!(ENTRY_BYTES_MAX == crate::record::RECORD_PAYLOAD_BYTES_MAX);
// A reply always has room for the headers of the largest batch and one value.
const _: () = assert!(BATCH_COMMANDS_MAX * 24 + VALUE_BYTES_MAX + 4096 < REPLY_BYTES_MAX);
const _: () = assert!(READ_KEYS_MAX * 16 + VALUE_BYTES_MAX + 4096 < REPLY_BYTES_MAX);
// The largest legal put fits into a batch, and the largest batch into an entry.
const _: () = assert!(KEY_BYTES_MAX + VALUE_BYTES_MAX + 1024 <= BATCH_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX + 1024 <= ENTRY_BYTES_MAX);

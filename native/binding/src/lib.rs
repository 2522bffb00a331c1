//! The border to JavaScript: the only crate that names N-API.
//!
//! In:   numbers, and byte ranges that JavaScript lends for the length of one call.
//! Out:  numbers, and bytes written into room that JavaScript lends. No objects on hot paths.
//! Not:  decisions. Each export is a few lines over `eraft_core::engine::Attachment`.
//! May import: `eraft_core`.
//!
//! No reference to a JavaScript value lives in a static or on another thread, except one weak threadsafe function for
//! each attachment. Errors carry a code of `ts/base/errors.ts` as `code`. Start at `engine.rs`.

mod convert;
mod engine;
mod log;
mod machine;
mod options;
mod recovery;
mod snapshots;
mod tasks;

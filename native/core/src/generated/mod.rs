//! Code generated from `proto/*.fbs` by `npm run proto`.

#[allow(warnings, clippy::all, clippy::undocumented_unsafe_blocks)]
#[rustfmt::skip]
pub mod command;

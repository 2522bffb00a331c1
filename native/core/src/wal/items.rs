//! What stands in a frame before its records: hard states, configurations, and the state of groups in a checkpoint.
//!
//! ```text
//! every item    0 kind u8 | 1 zero | 4 group u32 | …
//! hard state 1  8 term | 16 commit | 24 vote u32 | 28 zero                                              32 bytes
//! conf 2        8 index | 16 length u32 | 20 zero | 24 ConfState … | zero padding to 8
//! group 3       8 term | 16 commit | 24 vote u32 | 28 zero | 32 compacted index | 40 compacted term |
//!               48 last index | 56 last term | 64 last time | 72 next revision                          80 bytes
//! oldest 4      8 segment: the oldest one that is still needed; older files are leftovers               16 bytes
//! base 5        8 index | 16 term | 24 time | 32 next revision | 40 keeps u32 | 44 zero                 48 bytes
//! ```
//! The body's checksum was verified before an item is decoded, so a malformed item is a newer writer's or a defect.

use super::layout::{get_u32, get_u64, put_u32, put_u64};
use super::types::{Base, HardState};

const HARD_STATE: u8 = 1;
const CONF: u8 = 2;
const GROUP: u8 = 3;
const OLDEST: u8 = 4;
const BASE: u8 = 5;

pub const HARD_STATE_BYTES: usize = 32;
pub const GROUP_BYTES: usize = 80;
pub const OLDEST_BYTES: usize = 16;
pub const BASE_BYTES: usize = 48;

/// The size of a conf item.
pub const fn conf_bytes(length: usize) -> usize {
    (24 + length).next_multiple_of(8)
}

/// A group in a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupItem {
    pub hard_state: HardState,
    pub compacted_index: u64,
    pub compacted_term: u64,
    pub last_index: u64,
    pub last_term: u64,
    pub last_time: u64,
    pub next_revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    HardState {
        group: u32,
        state: HardState,
    },
    Conf {
        group: u32,
        index: u64,
        conf: &'a [u8],
    },
    Group {
        group: u32,
        item: GroupItem,
    },
    Oldest {
        segment: u64,
    },
    /// The group's log begins behind `base`; `keeps`: what it held behind that entry stays.
    Base {
        group: u32,
        base: Base,
        keeps: bool,
    },
}

impl Item<'_> {
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (kind, group, length) = match self {
            Item::HardState { group, .. } => (HARD_STATE, *group, HARD_STATE_BYTES),
            Item::Conf { group, conf, .. } => (CONF, *group, conf_bytes(conf.len())),
            Item::Group { group, .. } => (GROUP, *group, GROUP_BYTES),
            Item::Oldest { .. } => (OLDEST, 0, OLDEST_BYTES),
            Item::Base { group, .. } => (BASE, *group, BASE_BYTES),
        };
        out.resize(start + length, 0);
        let bytes = &mut out[start..];
        bytes[0] = kind;
        put_u32(bytes, 4, group);
        match self {
            Item::HardState { state, .. } => put_hard_state(bytes, state),
            Item::Conf { index, conf, .. } => {
                put_u64(bytes, 8, *index);
                put_u32(bytes, 16, conf.len() as u32);
                bytes[24..24 + conf.len()].copy_from_slice(conf);
            }
            Item::Group { item, .. } => {
                put_hard_state(bytes, &item.hard_state);
                put_u64(bytes, 32, item.compacted_index);
                put_u64(bytes, 40, item.compacted_term);
                put_u64(bytes, 48, item.last_index);
                put_u64(bytes, 56, item.last_term);
                put_u64(bytes, 64, item.last_time);
                put_u64(bytes, 72, item.next_revision);
            }
            Item::Oldest { segment } => put_u64(bytes, 8, *segment),
            Item::Base { base, keeps, .. } => {
                put_u64(bytes, 8, base.index);
                put_u64(bytes, 16, base.term);
                put_u64(bytes, 24, base.time);
                put_u64(bytes, 32, base.next_revision);
                put_u32(bytes, 40, u32::from(*keeps));
            }
        }
    }

    /// The item at the front of `bytes`, and its length.
    fn decode(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
        let head = bytes.get(..16)?;
        let group = get_u32(head, 4);
        match head[0] {
            HARD_STATE => {
                let bytes = bytes.get(..HARD_STATE_BYTES)?;
                Some((
                    Item::HardState {
                        group,
                        state: get_hard_state(bytes),
                    },
                    bytes.len(),
                ))
            }
            CONF => {
                let length = get_u32(bytes.get(..24)?, 16) as usize;
                let conf = bytes.get(24..24 + length)?;
                Some((
                    Item::Conf {
                        group,
                        index: get_u64(head, 8),
                        conf,
                    },
                    conf_bytes(length),
                ))
            }
            GROUP => {
                let bytes = bytes.get(..GROUP_BYTES)?;
                let item = GroupItem {
                    hard_state: get_hard_state(bytes),
                    compacted_index: get_u64(bytes, 32),
                    compacted_term: get_u64(bytes, 40),
                    last_index: get_u64(bytes, 48),
                    last_term: get_u64(bytes, 56),
                    last_time: get_u64(bytes, 64),
                    next_revision: get_u64(bytes, 72),
                };
                Some((Item::Group { group, item }, bytes.len()))
            }
            OLDEST => Some((
                Item::Oldest {
                    segment: get_u64(head, 8),
                },
                OLDEST_BYTES,
            )),
            BASE => {
                let bytes = bytes.get(..BASE_BYTES)?;
                let base = Base {
                    index: get_u64(bytes, 8),
                    term: get_u64(bytes, 16),
                    time: get_u64(bytes, 24),
                    next_revision: get_u64(bytes, 32),
                };
                let keeps = get_u32(bytes, 40) != 0;
                Some((Item::Base { group, base, keeps }, bytes.len()))
            }
            _ => None,
        }
    }
}

/// The items in `bytes`; `None` in place of one that is malformed, then the end.
pub fn items(mut bytes: &[u8]) -> impl Iterator<Item = Option<Item<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let decoded = Item::decode(bytes).filter(|(_, length)| *length <= bytes.len());
        bytes = decoded.map_or(&[], |(_, length)| &bytes[length..]);
        Some(decoded.map(|(item, _)| item))
    })
}

fn put_hard_state(bytes: &mut [u8], state: &HardState) {
    put_u64(bytes, 8, state.term);
    put_u64(bytes, 16, state.commit);
    put_u32(bytes, 24, state.vote);
}

fn get_hard_state(bytes: &[u8]) -> HardState {
    HardState {
        term: get_u64(bytes, 8),
        commit: get_u64(bytes, 16),
        vote: get_u32(bytes, 24),
    }
}

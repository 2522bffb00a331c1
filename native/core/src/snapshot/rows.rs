//! The rows of a chunk: `| key length u32 | value length u32 | key | value |`, one behind the other, keys ascending.
//!
//! A key is that of the store without the group: kind, slot, and what the kind says. A value is as in the store.

use super::format::get_u32;

const ROW_HEAD_BYTES: usize = 8;

/// A key and its value.
pub type Row<'a> = (&'a [u8], &'a [u8]);

/// Bytes of a row in a chunk.
pub(super) fn row_bytes(key: &[u8], value: &[u8]) -> usize {
    ROW_HEAD_BYTES + key.len() + value.len()
}

pub(super) fn push_row(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// The rows of a raw chunk; None in place of one that reaches behind the end, then nothing.
pub struct Rows<'a>(&'a [u8]);

impl<'a> Rows<'a> {
    pub(super) fn of(raw: &'a [u8]) -> Rows<'a> {
        Rows(raw)
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Option<Row<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.0);
        Some(split(rest).map(|(row, rest)| {
            self.0 = rest;
            row
        }))
    }
}

fn split(bytes: &[u8]) -> Option<(Row<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(ROW_HEAD_BYTES)?;
    let (key, rest) = rest.split_at_checked(get_u32(head, 0) as usize)?;
    let (value, rest) = rest.split_at_checked(get_u32(head, 4) as usize)?;
    Some(((key, value), rest))
}

//! Replies as FlatBuffers, written forwards: fixed heads, then one vector of headers, then one of bytes.
//!
//! A builder would gather and copy everything twice. All offsets below are from the beginning of the message, which
//! stands wherever `out` ended.

use crate::command::limits::REPLY_BYTES_MAX;

pub(super) const RESULT_BYTES: usize = 24;
const ENTRY_BYTES: usize = 16;
const PRESENT: u32 = 1 << 31;
const LEFT_OUT: u32 = 1 << 30;

/// The table begins here in every message; its vtable is at 4.
const TABLE_AT: usize = 20;

/// Appends root offset, vtable and table of `table_bytes` zeros with its link to the vtable. `vtable`: offset of each
/// field in the table. Returns where the message begins.
fn begin(out: &mut Vec<u8>, vtable: &[u16], table_bytes: usize) -> usize {
    let start = out.len();
    out.extend_from_slice(&(TABLE_AT as u32).to_le_bytes());
    out.extend_from_slice(&(4 + 2 * vtable.len() as u16).to_le_bytes());
    out.extend_from_slice(&(table_bytes as u16).to_le_bytes());
    for field in vtable {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.resize(start + TABLE_AT + table_bytes, 0);
    put_u32(out, start + TABLE_AT, TABLE_AT as u32 - 4);
    start
}

fn put_u32(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut [u8], at: usize, value: u64) {
    out[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// The fields of a `ResultBatch` besides its results.
#[derive(Clone, Copy)]
pub(super) struct ResultHead {
    pub(super) status: u8,
    pub(super) first_revision: u64,
    pub(super) count: u32,
    pub(super) last_sequence: u64,
}

/// Appends a `ResultBatch`. `results`: whole `CommandResult`s; none: the compact form of 56 bytes.
///
/// ```text
/// 0    4      20          24             32            40    44       48    52     56   60         64
/// root vtable -> vtable | first_revision last_sequence count results→ data→ status zero | n, results … | n, data …
/// ```
pub(super) fn result_batch(out: &mut Vec<u8>, head: ResultHead, results: &[u8], data: &[u8]) {
    let vector = |at: u16| if results.is_empty() { 0 } else { at };
    let start = begin(out, &[32, 4, 20, 12, vector(24), vector(28)], 36);
    put_u64(out, start + 24, head.first_revision);
    put_u64(out, start + 32, head.last_sequence);
    put_u32(out, start + 40, head.count);
    out[start + 52] = head.status;
    if results.is_empty() {
        return;
    }
    put_u32(out, start + 44, 60 - 44);
    put_u32(out, start + 48, (64 + results.len() - 48) as u32);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&((results.len() / RESULT_BYTES) as u32).to_le_bytes());
    out.extend_from_slice(results);
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
}

/// Writes a `ReadResult` of `count` entries, one after the other, into `out`.
///
/// ```text
/// 0    4      20          24       32       36    40     44 48
/// root vtable -> vtable | revision entries→ data→ | zero n, entries … | n, data …
/// ```
pub(super) struct ReadResultWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    next: usize,
    data: usize,
}

const READ_ENTRIES_AT: usize = 48;

impl<'o> ReadResultWriter<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>, revision: u64, count: usize) -> ReadResultWriter<'o> {
        let start = begin(out, &[4, 12, 16], 20);
        let data = start + READ_ENTRIES_AT + count * ENTRY_BYTES;
        put_u64(out, start + 24, revision);
        put_u32(out, start + 32, (READ_ENTRIES_AT - 4 - 32) as u32);
        put_u32(out, start + 36, (data - start - 36) as u32);
        out.resize(data + 4, 0);
        put_u32(out, start + READ_ENTRIES_AT - 4, count as u32);
        ReadResultWriter {
            out,
            start,
            next: start + READ_ENTRIES_AT,
            data,
        }
    }

    pub(super) fn absent(&mut self) {
        self.next += ENTRY_BYTES;
    }

    /// `value` None: the caller did not ask for values.
    pub(super) fn present(&mut self, revision: u64, value: Option<&[u8]>) {
        let value = value.unwrap_or_default();
        let fits = self.out.len() - self.start + value.len() <= REPLY_BYTES_MAX;
        put_u32(self.out, self.next, value.len() as u32);
        put_u32(
            self.out,
            self.next + 4,
            if fits { PRESENT } else { PRESENT | LEFT_OUT },
        );
        put_u64(self.out, self.next + 8, revision);
        if fits {
            self.out.extend_from_slice(value);
        }
        self.next += ENTRY_BYTES;
    }

    pub(super) fn finish(self) {
        let bytes = self.out.len() - self.data - 4;
        put_u32(self.out, self.data, bytes as u32);
    }
}

/// Gathers one page of a scan.
#[derive(Default)]
pub(super) struct PageWriter {
    entries: Vec<u8>,
    data: Vec<u8>,
}

/// The fields of a `ScanPage` besides its entries.
#[derive(Clone, Copy)]
pub(super) struct PageHead {
    pub(super) revision: u64,
    pub(super) more: bool,
    pub(super) snapshot: u64,
}

const PAGE_ENTRIES_AT: usize = 56;

impl PageWriter {
    pub(super) fn count(&self) -> usize {
        self.entries.len() / ENTRY_BYTES
    }

    /// The size of the page with one more entry of `bytes`.
    pub(super) fn bytes_with(&self, bytes: usize) -> usize {
        PAGE_ENTRIES_AT + self.entries.len() + ENTRY_BYTES + 4 + self.data.len() + bytes
    }

    pub(super) fn push(&mut self, key: &[u8], revision: u64, value: &[u8]) {
        self.entries
            .extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.entries
            .extend_from_slice(&(key.len() as u32 | PRESENT).to_le_bytes());
        self.entries.extend_from_slice(&revision.to_le_bytes());
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
    }

    /// Appends the `ScanPage`.
    ///
    /// ```text
    /// 0    4      20          24       32       40       44    48   49   52 56
    /// root vtable -> vtable | revision snapshot entries→ data→ more zero n, entries … | n, data …
    /// ```
    pub(super) fn finish(&self, out: &mut Vec<u8>, head: PageHead) {
        let start = begin(out, &[4, 28, 12, 20, 24], 32);
        put_u64(out, start + 24, head.revision);
        put_u64(out, start + 32, head.snapshot);
        put_u32(out, start + 40, (PAGE_ENTRIES_AT - 4 - 40) as u32);
        put_u32(
            out,
            start + 44,
            (PAGE_ENTRIES_AT + self.entries.len() - 44) as u32,
        );
        out[start + 48] = u8::from(head.more);
        put_u32_at_end(out, self.count());
        out.extend_from_slice(&self.entries);
        put_u32_at_end(out, self.data.len());
        out.extend_from_slice(&self.data);
    }
}

fn put_u32_at_end(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::command::eraft::command as fbs;

    #[test]
    fn result_batch_reads_back() {
        for (results, data) in [(&[][..], &[][..]), (&[7; 48][..], &b"abc"[..])] {
            let mut out = Vec::new();
            let head = ResultHead {
                status: 3,
                first_revision: 1 << 52,
                count: 9,
                last_sequence: 77,
            };
            result_batch(&mut out, head, results, data);
            let read = flatbuffers::root::<fbs::ResultBatch>(&out).unwrap();
            assert_eq!((read.status(), read.first_revision()), (3, 1 << 52));
            assert_eq!((read.count(), read.last_sequence()), (9, 77));
            assert_eq!(
                read.results().map_or(0, |found| found.len()),
                results.len() / RESULT_BYTES
            );
            assert_eq!(
                read.results().map_or(&[][..], |found| found.bytes()),
                results
            );
            assert_eq!(read.data().map_or(&[][..], |found| found.bytes()), data);
        }
    }

    #[test]
    fn read_result_reads_back() {
        let mut out = Vec::new();
        let mut writer = ReadResultWriter::new(&mut out, 5, 3);
        writer.present(3, Some(b"xyz"));
        writer.absent();
        writer.present(4, None);
        writer.finish();
        let read = flatbuffers::root::<fbs::ReadResult>(&out).unwrap();
        let entries: Vec<_> = read
            .entries()
            .unwrap()
            .iter()
            .map(|e| (e.value_length(), e.key_length_and_flags(), e.revision()))
            .collect();
        assert_eq!(read.revision(), 5);
        assert_eq!(entries, [(3, PRESENT, 3), (0, 0, 0), (0, PRESENT, 4)]);
        assert_eq!(read.data().unwrap().bytes(), b"xyz");
    }

    #[test]
    fn scan_page_reads_back() {
        let mut page = PageWriter::default();
        page.push(b"key", 8, b"value");
        let mut out = Vec::new();
        let wanted = page.bytes_with(6);
        page.push(b"k", 9, b"12345");
        page.finish(
            &mut out,
            PageHead {
                revision: 10,
                more: true,
                snapshot: 1 << 50,
            },
        );
        assert_eq!(out.len(), wanted);
        let read = flatbuffers::root::<fbs::ScanPage>(&out).unwrap();
        assert_eq!(
            (read.revision(), read.more(), read.snapshot()),
            (10, true, 1 << 50)
        );
        assert_eq!(
            read.entries().unwrap().get(0).key_length_and_flags(),
            PRESENT | 3
        );
        assert_eq!(read.data().unwrap().bytes(), b"keyvaluek12345");
    }
}

//! The payload of a commands record: the batches of one turn.
//!
//! ```text
//! 0        4      8
//! | length | zero | CommandBatch … | zero padding to 8 | the next one …
//! ```

/// Bytes before each batch.
const BATCH_PREFIX_BYTES: usize = 8;
const BATCH_ALIGN: usize = 8;

/// The payload is not a sequence of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload of a commands record is not a sequence of batches (at byte {offset})")]
pub struct PayloadError {
    pub offset: usize,
}

/// Appends one batch as a commands record carries it.
pub fn push_batch(payload: &mut Vec<u8>, batch: &[u8]) {
    payload.extend_from_slice(&(batch.len() as u32).to_le_bytes());
    payload.extend_from_slice(&[0; 4]);
    payload.extend_from_slice(batch);
    payload.resize(payload.len().next_multiple_of(BATCH_ALIGN), 0);
}

/// The batches of a payload, in order. Ends after the first error.
pub fn batches(payload: &[u8]) -> Batches<'_> {
    Batches { payload, offset: 0 }
}

/// Iterator of `batches`.
pub struct Batches<'a> {
    payload: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<&'a [u8], PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.payload.len() {
            return None;
        }
        let taken = self.take();
        if taken.is_none() {
            let offset = std::mem::replace(&mut self.offset, self.payload.len());
            return Some(Err(PayloadError { offset }));
        }
        taken.map(Ok)
    }
}

impl<'a> Batches<'a> {
    fn take(&mut self) -> Option<&'a [u8]> {
        let rest = &self.payload[self.offset..];
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (zero, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let padded = length.checked_next_multiple_of(BATCH_ALIGN)?;
        if *zero != [0; 4]
            || padded > rest.len()
            || rest[length..padded].iter().any(|&byte| byte != 0)
        {
            return None;
        }
        self.offset += BATCH_PREFIX_BYTES + padded;
        Some(&rest[..length])
    }
}

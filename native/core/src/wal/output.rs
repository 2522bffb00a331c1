//! The writer's handle on a segment: each write goes to the end of its page, through the page cache or past it.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::WalError;
use super::shared::Shared;
use super::state::Spare;
use super::types::PAGE_BYTES;
use crate::sys::{self, DIRECT_ALIGN, File, Open};

const _: () = assert!(PAGE_BYTES.is_multiple_of(DIRECT_ALIGN));

static ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

pub struct Output {
    file: Arc<dyn File>,
    /// Direct I/O only.
    pages: Option<Pages>,
}

/// What the last write put, from a page boundary on. Memory that is used again: every byte that is written was copied in.
#[derive(Default)]
struct Pages {
    memory: Vec<Page>,
    used: usize,
}

/// Direct I/O takes whole pages at page-aligned addresses.
#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; PAGE_BYTES]);

const _: () = assert!(size_of::<Page>() == PAGE_BYTES && align_of::<Page>() == PAGE_BYTES);

impl Output {
    /// Writes through the page cache.
    pub fn cached(file: Arc<dyn File>) -> Self {
        Self { file, pages: None }
    }

    /// For a new segment in `spare`: past the page cache if the options say so and the file system can.
    pub fn open(shared: &Shared, spare: &Spare) -> Result<Self, WalError> {
        if shared.options.direct_io {
            match shared.fs.open(&spare.path, Open::Direct) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        pages: Some(Pages::default()),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(WalError::io("open", &spare.path)(error)),
            }
        }
        Ok(Self::cached(spare.file.clone()))
    }

    /// Writes `parts` at `offset`, and zeros up to the end of the page: a write that ends within a page which is not in
    /// the cache, as those of a recycled file, would first have to read it. Offsets follow each other without gaps.
    pub fn write(&mut self, offset: usize, mut parts: Vec<IoSlice<'_>>) -> io::Result<()> {
        let end = offset + parts.iter().map(|part| part.len()).sum::<usize>();
        parts.push(IoSlice::new(
            &ZEROS[..end.next_multiple_of(PAGE_BYTES) - end],
        ));
        let Some(pages) = &mut self.pages else {
            return sys::write_all_at(&*self.file, offset as u64, &mut parts);
        };
        let kept = offset % PAGE_BYTES;
        // The first page again, as it was up to `offset`: the same bytes over the same bytes.
        if kept > 0 {
            let last = pages.used.checked_sub(1).expect("offsets follow");
            pages.memory.swap(0, last);
        }
        pages.used = end.div_ceil(PAGE_BYTES) - offset / PAGE_BYTES;
        if pages.memory.len() < pages.used {
            pages.memory.resize(pages.used, Page(ZEROS));
        }
        let bytes = &mut pages.memory.as_flattened_mut()[..pages.used * PAGE_BYTES];
        let mut position = kept;
        for part in &parts {
            bytes[position..position + part.len()].copy_from_slice(part);
            position += part.len();
        }
        sys::write_all_at(
            &*self.file,
            (offset - kept) as u64,
            &mut [IoSlice::new(bytes)],
        )
    }

    /// Makes everything written durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// The bytes of several pages.
trait Flatten {
    fn as_flattened_mut(&mut self) -> &mut [u8];
}

impl Flatten for Vec<Page> {
    fn as_flattened_mut(&mut self) -> &mut [u8] {
        let length = self.len() * PAGE_BYTES;
        // SAFETY: `Page` is `repr(C)` around a byte array of exactly its size (asserted above), so the vector's
        // `length` bytes are initialised, contiguous and free of padding; the borrow of `self` lasts as long as the
        // slice. Any byte pattern is a valid `Page`.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast::<u8>(), length) }
    }
}

//! Ordered scans, a page at a time, both ways.

use rocksdb::ReadOptions;

use super::encode::{PageHead, PageWriter};
use super::keys::{PREFIX_BYTES, data_end, data_prefix, open_value};
use super::read::ReadView;
use super::{Store, StoreError};
use crate::command::limits::{REPLY_BYTES_MAX, SCAN_PAGE_BYTES_MAX};
use crate::command::{ScanPlan, parse_scan};

/// `ScanRequest.snapshot`: the present, without pinning it.
const PRESENT: u64 = 0;
/// `ScanRequest.snapshot`: pin a view.
const PIN: u64 = 1;

impl Store {
    /// Answers a `ScanRequest`: appends a `ScanPage` to `out`, without padding. May read from the disk.
    ///
    /// `now_ms`: any clock that does not go back; pinned views live by it. A pinned view is released with its last
    /// page. `SnapshotLost`: the view is gone, or of another group. `TooManyViews`: come back later.
    pub fn scan(
        &self,
        group: u32,
        request: &[u8],
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let plan = parse_scan(request)?;
        let (view, id) = match plan.snapshot {
            PRESENT => (self.view(group)?, 0),
            PIN => {
                let view = self.view(group)?;
                let id = self.views().lock().pin(view.clone(), now_ms)?;
                (view, id)
            }
            id => (self.views().lock().get(id, group, now_ms)?, id),
        };
        let page = page(&view, &plan);
        let more = matches!(page, Ok((_, true)));
        // A view that was opened by this request and whose page failed is known to nobody.
        if id != 0 && !more && (page.is_ok() || plan.snapshot == PIN) {
            self.views().lock().release(id);
        }
        let (page, more) = page?;
        page.finish(
            out,
            PageHead {
                revision: view.revision(),
                more,
                snapshot: if more { id } else { 0 },
            },
        );
        Ok(())
    }

    /// Releases a pinned view; unknown ids are fine.
    pub fn close_view(&self, id: u64) {
        self.views().lock().release(id);
    }

    /// Releases the pinned views that nobody has used for too long. `scan` does it, too.
    pub fn expire_views(&self, now_ms: u64) {
        self.views().lock().expire(now_ms);
    }
}

/// One page, and whether there is more behind it.
fn page(view: &ReadView, plan: &ScanPlan<'_>) -> Result<(PageWriter, bool), StoreError> {
    let mut page = PageWriter::default();
    if !plan.end.is_empty() && plan.first >= plan.end {
        return Ok((page, false));
    }
    let page_bytes = plan
        .page_bytes
        .min(SCAN_PAGE_BYTES_MAX)
        .min(REPLY_BYTES_MAX);
    let mut entries = view.database().db.raw_iterator_opt(range(view, plan));
    if plan.reverse {
        entries.seek_to_last()
    } else {
        entries.seek_to_first()
    }
    while let Some((key, stored)) = entries.item() {
        let key = &key[PREFIX_BYTES..];
        let (revision, value) = open_value(stored)?;
        let value = if plan.keys_only { &[] } else { value };
        let fits = page.bytes_with(key.len() + value.len()) <= page_bytes || page.count() == 0;
        if page.count() == plan.limit || !fits {
            return Ok((page, true));
        }
        page.push(key, revision, value);
        if plan.reverse {
            entries.prev()
        } else {
            entries.next()
        }
    }
    entries.status()?;
    Ok((page, false))
}

fn range(view: &ReadView, plan: &ScanPlan<'_>) -> ReadOptions {
    let prefix = data_prefix(view.group());
    let mut options = ReadOptions::default();
    options.set_snapshot(view.snapshot());
    options.set_iterate_lower_bound([&prefix[..], plan.first].concat());
    options.set_iterate_upper_bound(match plan.end {
        [] => data_end(view.group()).to_vec(),
        end => [&prefix[..], end].concat(),
    });
    options
}

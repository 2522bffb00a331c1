//! All that a group holds, in order, over one view: what a snapshot is made of.

use rocksdb::ReadOptions;

use super::keys::{GROUP_BYTES, group_end, session_prefix};
use super::read::ReadView;
use super::{Applied, Store, StoreError};

/// The rows of a group as of one moment, handed out piece by piece while the store goes on. Keeps the files open, and what
/// is overwritten meanwhile on disk, as a `ReadView` does.
pub struct Export {
    view: ReadView,
    applied: Applied,
    /// The first key that was not handed out.
    next: Vec<u8>,
}

impl Store {
    /// Begins with the present: what is written, not what is evaluated alone. May read from the disk.
    pub fn export(&self, group: u32) -> Result<Export, StoreError> {
        let view = self.view(group)?;
        let applied = view.database().read_applied(group, view.read_all())?;
        Ok(Export {
            view,
            applied,
            next: session_prefix(group).to_vec(),
        })
    }
}

impl Export {
    /// How far the group is applied in what is handed out.
    pub fn applied(&self) -> Applied {
        self.applied
    }

    /// Hands out rows, keys ascending and without their group, until `take` says true or there are no more: sessions and data,
    /// not the applied index. True: that was all.
    pub fn rows(&mut self, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool, StoreError> {
        let mut options = ReadOptions::default();
        options.set_snapshot(self.view.snapshot());
        options.fill_cache(false); // what is read once must not drive out what is read often
        options.set_iterate_lower_bound(self.next.clone());
        options.set_iterate_upper_bound(group_end(self.view.group()));
        let mut rows = self.view.database().db.raw_iterator_opt(options);
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            let full = take(&key[GROUP_BYTES..], value);
            if full {
                self.next = [key, &[0]].concat();
                return Ok(false);
            }
            rows.next();
        }
        rows.status()?;
        Ok(true)
    }
}

//! A store in memory with a log beside it, for tests.
#![allow(dead_code)]

use std::path::Path;

use eraft_core::store::{
    Applied, ApplyMode, MemoryDisk, Store, StoreError, StoreLimits, StoreOptions, Tier,
};

use super::batches::{
    Batch, Entry, GROUP, Log, Page, Reply, Scan, read_batch, read_result, replies, scan_page, views,
};

pub const PATH: &str = "/store";
pub const IDENTITY: &[u8] = b"a cluster and a replica";
pub const WITH_RESULTS: ApplyMode = ApplyMode {
    results: true,
    no_slowdown: false,
};
pub const BLIND: ApplyMode = ApplyMode {
    results: false,
    no_slowdown: false,
};

/// Small caches; the limits as given.
pub fn options(disk: &MemoryDisk, limits: StoreLimits) -> StoreOptions {
    StoreOptions {
        cache_bytes: 1 << 20,
        memtable_bytes: 4 << 20,
        memory: Some(disk.clone()),
        limits,
        ..StoreOptions::default()
    }
}

/// A store that can crash: what was flushed stays, the rest is applied again from the log.
pub struct Machine {
    pub disk: MemoryDisk,
    pub limits: StoreLimits,
    pub store: Option<Store>,
    pub log: Log,
    /// Every record so far.
    pub records: Vec<Vec<u8>>,
}

impl Machine {
    pub fn new() -> Machine {
        Machine::with(StoreLimits::default())
    }

    pub fn with(limits: StoreLimits) -> Machine {
        let disk = MemoryDisk::new().unwrap();
        let store = Store::open(Path::new(PATH), IDENTITY, options(&disk, limits)).unwrap();
        Machine {
            disk,
            limits,
            store: Some(store),
            log: Log::default(),
            records: Vec::new(),
        }
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Applies one record with these batches, and returns their replies.
    pub fn apply(&mut self, batches: &[Batch]) -> Vec<Reply> {
        let record = self.log.record(batches);
        self.records.push(record);
        self.apply_from(self.records.len() - 1)
            .pop()
            .expect("one record")
            .1
    }

    /// One batch alone.
    pub fn one(&mut self, batch: Batch) -> Reply {
        self.apply(&[batch]).pop().unwrap()
    }

    /// The records from a position on, as one burst.
    pub fn apply_from(&mut self, position: usize) -> Vec<(u64, Vec<Reply>)> {
        let mut results = Vec::new();
        let bytes = self.records[position..].concat();
        let applied = self
            .store()
            .apply(GROUP, &mut views(&bytes), WITH_RESULTS, &mut results)
            .unwrap();
        assert_eq!(applied.index, self.log.index);
        assert_eq!(applied, self.store().applied(GROUP));
        replies(&results)
    }

    /// Closes without a flush and opens again, as after a crash.
    pub fn reopen(&mut self) {
        drop(self.store.take());
        let store =
            Store::open(Path::new(PATH), IDENTITY, options(&self.disk, self.limits)).unwrap();
        assert_eq!(store.applied(GROUP).index, store.flushed(GROUP));
        self.store = Some(store);
    }

    /// A crash, and the records that it lost applied again as one burst.
    pub fn crash(&mut self) {
        self.reopen();
        let applied = self.applied();
        if applied.index < self.log.index {
            self.apply_from(applied.index as usize);
        }
    }

    pub fn get(&self, key: &[u8]) -> Option<(u64, Vec<u8>)> {
        let (_, mut entries) = self.read(&[key]);
        entries
            .pop()
            .unwrap()
            .map(|entry| (entry.revision, entry.value.unwrap()))
    }

    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get(key).map(|(_, value)| value)
    }

    pub fn read(&self, keys: &[&[u8]]) -> (u64, Vec<Option<Entry>>) {
        let mut out = Vec::new();
        let view = self.store().view(GROUP).unwrap();
        let batch = read_batch(keys, false);
        let mut look = |tier| self.store().read(&view, &batch, tier, &mut out).unwrap();
        assert!(look(Tier::Memory) || look(Tier::All));
        read_result(&out)
    }

    pub fn scan(&self, scan: &Scan) -> Page {
        self.try_scan(scan, 0).unwrap()
    }

    pub fn try_scan(&self, scan: &Scan, now_ms: u64) -> Result<Page, StoreError> {
        let mut out = Vec::new();
        self.store().scan(GROUP, &scan.encode(), now_ms, &mut out)?;
        Ok(scan_page(&out))
    }

    /// Everything, in order.
    pub fn entries(&self) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
        let page = self.scan(&Scan {
            limit: 16_384,
            page_bytes: 4 << 20,
            ..Scan::default()
        });
        assert!(!page.more);
        page.entries
            .into_iter()
            .map(|entry| (entry.key, entry.revision, entry.value.unwrap()))
            .collect()
    }

    pub fn applied(&self) -> Applied {
        self.store().applied(GROUP)
    }
}

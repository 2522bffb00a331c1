//! A small log with a flipped bit in every byte, and cut at every byte: it opens as it was, or is refused with the
//! place named. It never opens as something else.

#[path = "common/logs.rs"]
mod logs;

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use eraft_core::sys::{FileSystem, MemoryFileSystem, Open};
use eraft_core::wal::*;
use logs::*;

/// Three groups over several segments, some of them recycled; closed, hence covered to its end.
fn small_log() -> (MemoryFileSystem, Model) {
    let fs = MemoryFileSystem::new();
    let mut model = Model::default();
    let options = || WalOptions {
        segment_bytes: 4096,
        ..options(77)
    };
    let (wal, _) = open_with(&fs, options()).unwrap();
    let mut submit = |batch: Batch| {
        model.apply(&batch);
        let ticket = wal.submit(batch).unwrap();
        step_until_durable(&wal, ticket);
    };
    for index in 1..=40 {
        submit(entries(1, index..=index, 1));
        wal.truncate(1, index.saturating_sub(20));
    }
    submit(entries(2, 1..=4, 3));
    submit(entries(2, 3..=5, 4));
    submit(hard_state(2, 5, 2, 4));
    submit(Batch {
        confs: vec![(1, 9, b"configuration".to_vec())],
        ..Batch::default()
    });
    submit(entries(3, 1..=6, 1));
    submit(entries(1, 41..=43, 2));
    settle(&wal);
    assert!(
        wal.status().groups[0].first_index > 1,
        "segments were recycled"
    );
    wal.close().unwrap();
    (fs, model)
}

fn logs_of(fs: &MemoryFileSystem) -> Vec<(PathBuf, usize)> {
    let sized = files(fs)
        .into_iter()
        .filter(|(name, _)| name.ends_with(".log"));
    sized
        .map(|(name, bytes)| (Path::new(DIR).join(name), bytes.len()))
        .collect()
}

fn flip(fs: &MemoryFileSystem, path: &Path, position: usize, mask: u8) {
    let file = fs.open(path, Open::Write).unwrap();
    let mut byte = [0];
    file.read_at(position as u64, &mut byte).unwrap();
    file.write_at(position as u64, &[IoSlice::new(&[byte[0] ^ mask])])
        .unwrap();
}

/// Opens the disk; it must be whole, or refused as damaged. True: it is whole.
fn opens_whole_or_refuses(fs: &MemoryFileSystem, model: &Model, what: &str) -> bool {
    let options = WalOptions {
        segment_bytes: 4096,
        ..options(78)
    };
    match open_with(fs, options) {
        Ok((wal, groups)) => {
            model
                .matches(&wal, &groups)
                .unwrap_or_else(|reason| panic!("{what}: {reason}"));
            assert!(model.has_votes(&groups), "{what}: {groups:?}");
            true
        }
        Err(WalError::Damaged { file, .. }) => {
            assert!(file.starts_with(DIR), "{what}");
            false
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn a_flipped_bit_in_every_byte() {
    let (fs, model) = small_log();
    let (mut whole, mut refused) = (0, 0);
    for (path, length) in logs_of(&fs) {
        for position in 0..length {
            let damaged = fs.copy();
            flip(&damaged, &path, position, 1 << (position % 8));
            let what = format!("{} byte {position}", path.display());
            match opens_whole_or_refuses(&damaged, &model, &what) {
                true => whole += 1,
                false => refused += 1,
            }
        }
    }
    assert!(
        refused > 8000 && whole > 100,
        "{refused} refused, {whole} in unused bytes"
    );
}

#[test]
fn a_cut_at_every_byte() {
    let (fs, model) = small_log();
    let logs = logs_of(&fs);
    let last = logs.last().unwrap().0.clone();
    for (path, length) in logs {
        for cut in 0..length {
            let damaged = fs.copy();
            damaged
                .open(&path, Open::Write)
                .unwrap()
                .set_len(cut as u64)
                .unwrap();
            let what = format!("{} cut at {cut}", path.display());
            let whole = opens_whole_or_refuses(&damaged, &model, &what);
            assert!(
                !whole || path != last,
                "{what}: the newest segment is never short"
            );
        }
    }
}

#[test]
fn a_missing_exchanged_or_foreign_segment() {
    let (fs, model) = small_log();
    let logs = logs_of(&fs);
    assert!(logs.len() >= 3);
    for (path, _) in &logs {
        let damaged = fs.copy();
        damaged.remove(path).unwrap();
        assert!(!opens_whole_or_refuses(
            &damaged,
            &model,
            &format!("without {}", path.display())
        ));
    }
    for (left, right) in [(0, 1), (1, 2), (0, logs.len() - 1)] {
        let damaged = fs.copy();
        let aside = Path::new(DIR).join("aside");
        damaged.rename(&logs[left].0, &aside).unwrap();
        damaged.rename(&logs[right].0, &logs[left].0).unwrap();
        damaged.rename(&aside, &logs[right].0).unwrap();
        assert!(!opens_whole_or_refuses(
            &damaged,
            &model,
            "two segments exchanged"
        ));
    }
    // The same segment of another log: valid in itself.
    let (other, _) = {
        let fs = MemoryFileSystem::new();
        let (wal, groups) = open_with(
            &fs,
            WalOptions {
                segment_bytes: 4096,
                ..options(99)
            },
        )
        .unwrap();
        wal.submit(entries(1, 1..=60, 1)).unwrap();
        settle(&wal);
        (fs, groups)
    };
    for (path, _) in logs_of(&other)
        .iter()
        .filter(|(path, _)| logs.iter().any(|log| log.0 == *path))
    {
        let damaged = fs.copy();
        let foreign = eraft_core::sys::read_file(&other, path).unwrap();
        let file = damaged.open(path, Open::Write).unwrap();
        file.write_at(0, &[IoSlice::new(&foreign)]).unwrap();
        assert!(!opens_whole_or_refuses(
            &damaged,
            &model,
            "a foreign segment"
        ));
    }
    let without_spares = fs.copy();
    for name in files(&fs).keys().filter(|name| name.ends_with(".spare")) {
        without_spares.remove(&Path::new(DIR).join(name)).unwrap();
    }
    assert!(opens_whole_or_refuses(
        &without_spares,
        &model,
        "without spares"
    ));
}

#[test]
fn damage_names_its_place() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 1).unwrap();
    for index in 1..=9 {
        let ticket = wal
            .submit(entries(1, index * 2 - 1..=index * 2, 4))
            .unwrap();
        step_until_durable(&wal, ticket);
    }
    drop(wal);
    let (path, _) = logs_of(&fs).remove(0);
    let bytes = eraft_core::sys::read_file(&fs, &path).unwrap();
    let record = entry(1, 7, 4, 100);
    let place = bytes
        .windows(record.len())
        .position(|window| window == record)
        .unwrap();
    for (position, last) in [(place + 60, 8), (place - 80, 8)] {
        let damaged = fs.copy();
        flip(&damaged, &path, position, 4);
        let Err(WalError::Damaged {
            file,
            offset,
            group,
            first_index,
            last_index,
            ..
        }) = open(&damaged, 2).map(|_| ())
        else {
            panic!("byte {position}")
        };
        assert_eq!((file, offset), (path.clone(), place as u64 - 80));
        assert_eq!((group, first_index, last_index), (Some(1), 7, Some(last)));
    }
    // Damage that happens while the log is open is found by the read that meets it.
    let (wal, _) = open(&fs, 2).unwrap();
    flip(&fs, &path, place + 60, 4);
    let found = wal.read(1, 5, 9, usize::MAX);
    assert!(
        matches!(found, Err(WalError::Damaged { offset, group: Some(1), first_index: 7, last_index: Some(7), .. })
            if offset == place as u64),
        "{found:?}"
    );
    assert!(wal.read(1, 8, 18, usize::MAX).is_ok());
    assert_eq!(wal.failure(), None);
}

/// Without a mark behind it, the last frame cannot be told from a torn one; but only the last.
#[test]
fn an_uncovered_frame_is_the_only_one_that_can_be_taken_for_torn() {
    let fs = MemoryFileSystem::new();
    let mut models = vec![Model::default()];
    let (wal, _) = open(&fs, 1).unwrap();
    for index in 1..=5 {
        let batch = entries(1, index..=index, 1);
        let mut model = models.last().unwrap().clone();
        model.apply(&batch);
        models.push(model);
        let ticket = wal.submit(batch).unwrap();
        step_until_durable(&wal, ticket);
    }
    drop(wal); // as if the process had been killed: no mark
    let (path, length) = logs_of(&fs).remove(0);
    let mut torn = 0;
    for position in 0..length {
        let damaged = fs.copy();
        flip(&damaged, &path, position, 1 << (position % 8));
        match open(&damaged, 2) {
            Ok((wal, groups)) if models[5].matches(&wal, &groups).is_ok() => {}
            Ok((wal, groups)) => {
                models[4].matches(&wal, &groups).unwrap();
                torn += 1;
            }
            Err(WalError::Damaged { .. }) => {}
            Err(error) => panic!("byte {position}: {error}"),
        }
    }
    assert_eq!(torn, 80 + 160 + 8, "the bytes of one frame");
}

#[test]
fn a_newer_format_is_not_touched() {
    let (fs, _) = small_log();
    let (path, _) = logs_of(&fs).pop().unwrap();
    let mut header = eraft_core::sys::read_file(&fs, &path).unwrap()[..64].to_vec();
    header[8] = 3;
    let checksum = crc32c::crc32c(&header[4..]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    fs.open(&path, Open::Write)
        .unwrap()
        .write_at(0, &[IoSlice::new(&header)])
        .unwrap();
    let before = files(&fs);
    assert!(matches!(
        open(&fs, 5).map(|_| ()),
        Err(WalError::Version { found: 3, .. })
    ));
    assert!(files(&fs) == before);
}

/// A value may hold the image of a frame, but not the salt: it never makes a torn tail look like damage.
#[test]
fn a_frame_forged_inside_a_value_covers_nothing() {
    let fs = MemoryFileSystem::new();
    let (wal, _) = open(&fs, 0xdead).unwrap();
    wal.submit(entries(1, 1..=3, 1)).unwrap();
    settle(&wal);
    let forged = layout::FrameHeader {
        salt: 0xbeef,
        segment: 1,
        sequence: 1000,
        synced: 999,
        first_index: 0,
        last_index: 0,
        group: 0,
        length: 0,
        items: 0,
        previous: 0,
        kind: layout::FrameKind::Mark,
    };
    let record = eraft_core::record::build(&forged.encode(), &header(1, 4, 1));
    let ticket = wal
        .submit(Batch {
            records: record.clone(),
            ..Batch::default()
        })
        .unwrap();
    step_until_durable(&wal, ticket);
    drop(wal);
    let (path, _) = logs_of(&fs).remove(0);
    let bytes = eraft_core::sys::read_file(&fs, &path).unwrap();
    let place = bytes
        .windows(record.len())
        .position(|window| window == record)
        .unwrap();
    flip(&fs, &path, place - 1, 1); // its own frame is torn
    flip(&fs, &path, place - 80, 1);
    let (_, groups) = open(&fs, 2).unwrap();
    assert_eq!(groups[0].last_index, 3);
}

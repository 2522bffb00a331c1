//! Snapshots between engines, as a host carries them.
#![allow(dead_code)]

use eraft_core::engine::{Attachment, EngineError, ErrorCode, SnapshotInfo};
use eraft_core::snapshot::Received;

use super::batches::{GROUP, Log};
use super::engines::*;

/// Steps until the answer under `tag` is there; its status and bytes.
pub fn answer(held: &Attachment, tag: u32) -> (u32, Vec<u8>) {
    settle(held);
    let found = take_answers(held)
        .into_iter()
        .find(|answer| answer.0 == tag);
    let (_, status, bytes) =
        found.unwrap_or_else(|| panic!("no answer {tag}: {:?}", held.failure()));
    (status, bytes)
}

/// The bytes of an answer that must be good.
pub fn good(held: &Attachment, tag: u32) -> Vec<u8> {
    let (status, bytes) = answer(held, tag);
    assert_eq!(status, 0, "{}", String::from_utf8_lossy(&bytes));
    bytes
}

/// The code of an answer that must be a refusal.
pub fn refused(held: &Attachment, tag: u32) -> ErrorCode {
    let (status, _) = answer(held, tag);
    assert_ne!(status, 0, "not refused");
    ErrorCode::from_wire(status as u16)
}

pub fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("a number"))
}

/// Makes one of what is applied.
pub fn create(held: &Attachment) -> SnapshotInfo {
    held.create_snapshot(GROUP, 1000).unwrap();
    assert!(good(held, 1000).is_empty());
    held.latest_snapshot(GROUP).unwrap().expect("one is made")
}

pub fn announced(info: &SnapshotInfo) -> Received {
    Received {
        index: info.index,
        term: info.term,
        id: info.id,
        parts: info.parts,
        bytes: info.bytes,
    }
}

pub fn part(held: &Attachment, info: &SnapshotInfo, number: u32) -> Vec<u8> {
    held.read_snapshot(&info.id, number, 1001).unwrap();
    good(held, 1001)
}

pub fn parts(held: &Attachment, info: &SnapshotInfo) -> Vec<Vec<u8>> {
    (0..info.parts).map(|at| part(held, info, at)).collect()
}

/// All of it, to whoever is told to receive it.
pub fn send(parts: &[Vec<u8>], info: &SnapshotInfo, to: &Attachment) {
    to.receive_snapshot(GROUP, announced(info), 1002).unwrap();
    let mut next = number(&good(to, 1002));
    while next < info.parts {
        to.receive_part(next, &parts[next as usize], 1003).unwrap();
        let wanted = number(&good(to, 1003));
        assert_eq!(wanted, next + 1);
        next = wanted;
    }
}

pub fn install(held: &Attachment, info: &SnapshotInfo) {
    held.install_snapshot(GROUP, info.index, info.term, None, 1004)
        .unwrap();
    assert!(good(held, 1004).is_empty());
}

/// Everything that the group holds, as bytes that are equal on all replicas.
pub fn digest(held: &Attachment) -> (u64, String) {
    held.digest(GROUP).unwrap()
}

/// Entries of which each writes a value of its own, and so many bytes more; durable and applied.
pub fn fill(held: &Attachment, log: &mut Log, first: u64, entries: u64, bytes: usize) {
    for n in first..first + entries {
        let noise: Vec<u8> = (0..bytes)
            .map(|at| (n * 31 + at as u64 * at as u64 / 7) as u8)
            .collect();
        submit(
            held,
            log,
            &[put(n, n).put(format!("large-{n}").as_bytes(), &noise)],
        )
        .unwrap();
        settle(held);
    }
    held.apply(GROUP, log.index, false).unwrap();
    settle(held);
}

/// An answer, or the failure that keeps it from coming.
pub fn try_answer(held: &Attachment, tag: u32) -> Result<Vec<u8>, EngineError> {
    while held.step()? {}
    let found = take_answers(held)
        .into_iter()
        .find(|answer| answer.0 == tag);
    match (found, held.failure()) {
        (Some((_, 0, bytes)), _) => Ok(bytes),
        (_, Some(failure)) => Err(failure),
        (Some((_, status, bytes)), None) => {
            let code = ErrorCode::from_wire(status as u16);
            Err(EngineError::new(code, String::from_utf8_lossy(&bytes)))
        }
        (None, None) => panic!("no answer and no failure"),
    }
}

//! What is in a snapshot, a log or a data folder, told as JSON. Changes nothing, and takes no lock: of a folder that is in use, what
//! is being written may look torn.

use std::fmt::{Display, Write};
use std::path::Path;

use super::error::{EngineError, ErrorCode};
use super::identity::{Hex, IDENTITY_FILE, Identity};
use super::lock::io_error;
use super::open::{LOG_FOLDER, STORE_FOLDER, log_error, store_open_error};
use super::snapshots::{Marker, SNAPSHOT_FOLDER, snapshot_error};
use crate::snapshot::{snapshot_of, verify};
use crate::store::{Store, inspect_store};
use crate::sys::{FileSystem, RealFileSystem};
use crate::wal::{GroupState, inspect_log};

/// `{"kind":"snapshot"|"log"|"data", …}`; every part is verified as far as reading goes.
///
/// @throws ERAFT_DATA_DAMAGED with the place, ERAFT_DATA_VERSION, ERAFT_IO, ERAFT_CONFIG when the path is none of these
pub fn inspect_files(path: &Path) -> Result<String, EngineError> {
    let fs = RealFileSystem;
    let metadata = std::fs::metadata(path).map_err(|e| io_error(path, &e))?;
    if metadata.is_file() {
        return snapshot(&fs, path).map(Object::end);
    }
    let names = fs.list(path).map_err(|e| io_error(path, &e))?;
    if names.iter().any(|name| name == IDENTITY_FILE) {
        return folder(&fs, path).map(Object::end);
    }
    if names.iter().any(|name| name.ends_with(".log")) {
        return log(&fs, path).map(Object::end);
    }
    Err(EngineError::new(
        ErrorCode::Config,
        format!(
            "{} is no snapshot, no log and no data folder of eraft",
            path.display()
        ),
    ))
}

/// A JSON object in the making. Texts are ours, or paths.
struct Object(String);

impl Object {
    fn of(kind: &str) -> Object {
        let mut object = Object("{".to_owned());
        object.text("kind", kind);
        object
    }

    fn raw(&mut self, name: &str, value: impl Display) -> &mut Object {
        let comma = if self.0.len() > 1 { "," } else { "" };
        write!(self.0, "{comma}\"{name}\":{value}").expect("a String takes everything");
        self
    }

    fn text(&mut self, name: &str, value: &str) -> &mut Object {
        self.raw(name, quoted(value))
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if u32::from(c) < 32 => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes everything")
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn snapshot(fs: &dyn FileSystem, path: &Path) -> Result<Object, EngineError> {
    let (mut sessions, mut keys) = (0u64, 0u64);
    let mut largest = 0;
    let verified = verify(fs, path, &mut |(key, value)| {
        let row = Store::is_row(key, value);
        match key.first() {
            Some(3) => keys += 1,
            Some(2) if key.get(3) == Some(&b'h') => sessions += 1,
            _ => {}
        }
        largest = largest.max(value.len());
        row
    });
    let (header, summary) = verified.map_err(|e| snapshot_error(&e))?;
    let bytes = fs
        .open(path, crate::sys::Open::Read)
        .and_then(|file| file.len())
        .map_err(|e| io_error(path, &e))?;
    let mut object = Object::of("snapshot");
    object
        .raw("version", crate::snapshot::VERSION)
        .text("id", &Hex(&header.id).to_string())
        .text("cluster", &Hex(&header.cluster).to_string())
        .raw("group", header.group)
        .raw("index", header.index)
        .raw("term", header.term)
        .raw("time", header.time)
        .raw("revision", header.revision)
        .raw("nextRevision", header.next_revision)
        .raw("confIndex", header.conf_index)
        .text("conf", &Hex(&header.conf).to_string())
        .raw("bytes", bytes)
        .raw("chunks", summary.chunks)
        .raw("rows", summary.rows)
        .raw("rawBytes", summary.raw_bytes)
        .raw("keys", keys)
        .raw("sessions", sessions)
        .raw("largestValueBytes", largest);
    Ok(object)
}

fn log(fs: &dyn FileSystem, path: &Path) -> Result<Object, EngineError> {
    let found = inspect_log(fs, path).map_err(|e| log_error(path, &e))?;
    let mut object = Object::of("log");
    object
        .raw("segments", found.segments)
        .raw("bytes", found.bytes)
        .raw("groups", list(found.groups.iter().map(log_group)));
    Ok(object)
}

fn log_group(state: &GroupState) -> String {
    let mut object = Object("{".to_owned());
    let bytes: u64 = state.sizes.iter().map(|&bytes| u64::from(bytes)).sum();
    object
        .raw("group", state.group)
        .raw("term", state.hard_state.term)
        .raw("vote", state.hard_state.vote)
        .raw("commit", state.hard_state.commit)
        .raw("compactedIndex", state.compacted_index)
        .raw("compactedTerm", state.compacted_term)
        .raw("lastIndex", state.last_index)
        .raw(
            "lastTerm",
            state
                .term_runs
                .last()
                .map_or(state.compacted_term, |run| run.1),
        )
        .raw("lastTime", state.last_time)
        .raw("nextRevision", state.next_revision)
        .raw("recordBytes", bytes);
    if let Some((index, conf)) = &state.conf {
        object
            .raw("confIndex", index)
            .text("conf", &Hex(conf).to_string());
    }
    object.end()
}

fn folder(fs: &dyn FileSystem, dir: &Path) -> Result<Object, EngineError> {
    let mut object = Object::of("data");
    if let Some(identity) = Identity::read(fs, dir)? {
        object
            .text("cluster", &identity.cluster_hex())
            .raw("replica", identity.replica)
            .text("uid", &identity.uid_hex())
            .raw("blank", identity.blank);
        if identity.backup != [0; 16] {
            object.text("backup", &Hex(&identity.backup).to_string());
        }
    }
    let installing = Marker::read(fs, dir)?.map(|marker| marker.index);
    object.raw(
        "installing",
        installing.map_or("null".to_owned(), |index| index.to_string()),
    );
    let log_dir = dir.join(LOG_FOLDER);
    if log_dir.exists() {
        object.raw("log", log(fs, &log_dir)?.end());
    }
    object.raw("store", store(&dir.join(STORE_FOLDER))?);
    object.raw(
        "snapshots",
        list(snapshots(fs, &dir.join(SNAPSHOT_FOLDER))?.into_iter()),
    );
    Ok(object)
}

/// What is flushed: the log has the rest.
fn store(path: &Path) -> Result<String, EngineError> {
    if !path.join("CURRENT").exists() {
        return Ok("null".to_owned());
    }
    let groups = inspect_store(path).map_err(|e| store_open_error(path, &e))?;
    Ok(list(groups.into_iter().map(|found| {
        let mut object = Object("{".to_owned());
        object
            .raw("group", found.group)
            .raw("index", found.applied.index)
            .raw("term", found.applied.term)
            .raw("revision", found.applied.revision)
            .raw("replacing", found.replacing)
            .raw("keys", found.keys)
            .raw("sessions", found.sessions)
            .raw("bytes", found.bytes);
        object.end()
    })))
}

fn snapshots(fs: &dyn FileSystem, path: &Path) -> Result<Vec<String>, EngineError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let names = fs.list(path).map_err(|e| io_error(path, &e))?;
    let complete = names.iter().filter(|name| snapshot_of(name).is_some());
    complete
        .map(|name| snapshot(fs, &path.join(name)).map(Object::end))
        .collect()
}

//! The file that says that an installation has begun: while it is there, the state of the group is that of the snapshot, or on
//! its way to it, and opening the folder completes it.
//!
//! ```text
//! 0       8         12       16      20            24      32     40           48   64      n
//! | magic | version | origin | group | conf length | index | term | conf index | id | conf … | crc32c |
//! ```
//! Little-endian. `crc32c` covers all before it. `origin` 1: from the leader of the same cluster; 2: from a backup, maybe of
//! another one. The conf is the membership to be noted; the snapshot itself is `snapshots/<index>-<term>.snap`.

use std::io;
use std::path::Path;

use crate::engine::error::{EngineError, ErrorCode};
use crate::engine::lock::io_error;
use crate::snapshot::{CONF_BYTES_MAX, SnapshotId};
use crate::sys::{self, FileSystem};

pub const MARKER_FILE: &str = "install";
const MAGIC: [u8; 8] = *b"eraft in";
const VERSION: u32 = 1;
const FIXED_BYTES: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Leader = 1,
    Backup = 2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub origin: Origin,
    pub group: u32,
    pub index: u64,
    pub term: u64,
    pub id: SnapshotId,
    pub conf_index: u64,
    pub conf: Vec<u8>,
}

impl Marker {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + self.conf.len() + 4);
        out.extend_from_slice(&MAGIC);
        for number in [
            VERSION,
            self.origin as u32,
            self.group,
            self.conf.len() as u32,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.index, self.term, self.conf_index] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.conf);
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Marker> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        let (fixed, conf) = body.split_at_checked(FIXED_BYTES)?;
        let small =
            |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().expect("four bytes"));
        let large =
            |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("eight bytes"));
        let sound = fixed[..8] == MAGIC
            && u32::from_le_bytes(*checksum) == crc32c::crc32c(body)
            && small(8) == VERSION
            && small(20) as usize == conf.len();
        let origin = match small(12) {
            1 => Origin::Leader,
            2 => Origin::Backup,
            _ => return None,
        };
        sound.then(|| Marker {
            origin,
            group: small(16),
            index: large(24),
            term: large(32),
            conf_index: large(40),
            id: fixed[48..64].try_into().expect("16 bytes"),
            conf: conf.to_vec(),
        })
    }

    /// The folder's marker; None when no installation has begun.
    ///
    /// @throws ERAFT_DATA_DAMAGED, ERAFT_IO
    pub fn read(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Marker>, EngineError> {
        let path = dir.join(MARKER_FILE);
        let bytes = match sys::read_file(fs, &path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path, &error)),
        };
        match Marker::decode(&bytes) {
            Some(marker) => Ok(Some(marker)),
            None => Err(EngineError::told(
                ErrorCode::DataDamaged,
                &format!(
                    "cannot open {}: the file `{MARKER_FILE}` in it is damaged",
                    dir.display()
                ),
                "it says which snapshot was being installed when this replica stopped, and its checksum does not match",
                "replace this replica through a membership change, or restore the whole folder from a backup",
                "nothing was changed",
            )),
        }
    }

    /// Durable when this returns. After an error it may be there or not.
    pub fn write(&self, fs: &dyn FileSystem, dir: &Path) -> io::Result<()> {
        assert!(
            self.conf.len() <= CONF_BYTES_MAX,
            "conf of {} bytes",
            self.conf.len()
        );
        sys::write_file_durably(fs, &dir.join(MARKER_FILE), &self.encode())
    }

    /// Gone for good when this returns. One that is not there is fine.
    pub fn remove(fs: &dyn FileSystem, dir: &Path) -> io::Result<()> {
        match fs.remove(&dir.join(MARKER_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs.sync_dir(dir)
    }
}

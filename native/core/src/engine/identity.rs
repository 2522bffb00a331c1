//! Who a data folder belongs to: written once, at formatting, and checked at every opening.
//!
//! ```text
//! 0       8         12        16        32    40      41     44       60
//! | magic | version | replica | cluster | uid | blank | zero | backup | crc32c |
//! ```
//! 64 bytes, little-endian. `crc32c` covers all before it. The uid is drawn at formatting, so a folder that was
//! emptied comes back as somebody else. `blank` holds until the replica is about to vote or acknowledge for the first
//! time: only then can it have promised anything.
//!
//! SAFETY: a cluster that was restored from a backup does not begin empty.
//! Claim:   replicas whose folders were made of one backup take no others for members of their cluster, blank ones included.
//! Why:     the id of the cluster is made of the asked one (of its name and members) and of the backup's: whoever begins blank
//!          under the same name has another id, and is refused at the handshake. Two forgotten members of three hear each other
//!          alone, which is too few to begin; nor is a member of the old cluster taken for one of the new.
//! Rests:   `backup` is the id of a snapshot, drawn at random; how many a blank replica asks (ts/host/membership.ts).
//! Checked: tests/engine_restore.rs; test/cli/backup.test.ts.

use std::fmt;
use std::io;
use std::path::Path;

use super::error::{EngineError, ErrorCode};
use super::lock::io_error;
use crate::sys::{self, FileSystem};

pub const IDENTITY_FILE: &str = "identity";
pub const IDENTITY_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"eraft id";
const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster: [u8; 16],
    pub replica: u32,
    pub uid: u64,
    pub blank: bool,
    /// The snapshot that the folder was made of; zeros: it was begun empty.
    pub backup: [u8; 16],
}

/// Hexadecimal, as a cluster id or a uid is shown.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// 32 hexadecimal digits as a cluster id.
pub fn parse_cluster(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// The id of the cluster that was restored from `backup` under the asked id; the asked id of that one, too.
pub fn restored_cluster(id: [u8; 16], backup: [u8; 16]) -> [u8; 16] {
    (u128::from_le_bytes(id) ^ u128::from_le_bytes(backup)).to_le_bytes()
}

impl Identity {
    pub fn cluster_hex(&self) -> String {
        Hex(&self.cluster).to_string()
    }

    pub fn uid_hex(&self) -> String {
        format!("{:016x}", self.uid)
    }

    pub fn encode(&self) -> [u8; IDENTITY_BYTES] {
        let mut bytes = [0; IDENTITY_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.replica.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.cluster);
        bytes[32..40].copy_from_slice(&self.uid.to_le_bytes());
        bytes[40] = u8::from(self.blank);
        bytes[44..60].copy_from_slice(&self.backup);
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// @throws ERAFT_DATA_DAMAGED, ERAFT_DATA_VERSION
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Identity, EngineError> {
        let damaged = |why: &str| {
            EngineError::told(
                ErrorCode::DataDamaged,
                &format!(
                    "cannot open {}: its identity file is damaged",
                    path.display()
                ),
                why,
                "restore this file from a backup of the same folder; do not copy another replica's",
                "nothing was changed",
            )
        };
        let Ok(bytes) = <&[u8; IDENTITY_BYTES]>::try_from(bytes) else {
            return Err(damaged(&format!(
                "it has {} bytes instead of {IDENTITY_BYTES}",
                bytes.len()
            )));
        };
        if bytes[0..8] != MAGIC || u32_at(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            return Err(damaged("its checksum does not match its contents"));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(EngineError::told(
                ErrorCode::DataVersion,
                &format!(
                    "cannot open {}: written in format {version}",
                    path.display()
                ),
                &format!("this eraft reads format {VERSION}"),
                "open it with the eraft that wrote it, or a newer one",
                "nothing was changed",
            ));
        }
        Ok(Identity {
            cluster: bytes[16..32].try_into().expect("16 bytes"),
            replica: u32_at(bytes, 12),
            uid: u64::from_le_bytes(bytes[32..40].try_into().expect("8 bytes")),
            blank: bytes[40] != 0,
            backup: bytes[44..60].try_into().expect("16 bytes"),
        })
    }

    /// Reads the folder's identity; None when it has none.
    pub fn read(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Identity>, EngineError> {
        let path = dir.join(IDENTITY_FILE);
        match sys::read_file(fs, &path) {
            Ok(bytes) => Identity::decode(&bytes, &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&path, &error)),
        }
    }

    /// Replaces the folder's identity: the old one or the new one is there after a crash, never a mixture.
    pub fn write(&self, fs: &dyn FileSystem, dir: &Path) -> Result<(), EngineError> {
        let path = dir.join(IDENTITY_FILE);
        sys::write_file_durably(fs, &path, &self.encode()).map_err(|e| io_error(&path, &e))
    }

    /// Refuses a folder that belongs to another cluster or replica than the caller says.
    ///
    /// @throws ERAFT_DATA_MISMATCH
    pub fn check(
        &self,
        dir: &Path,
        replica: u32,
        cluster: Option<[u8; 16]>,
    ) -> Result<(), EngineError> {
        let mismatch = |why: String, remedy: &str| {
            EngineError::told(
                ErrorCode::DataMismatch,
                &format!("cannot open {}: it belongs to somebody else", dir.display()),
                &why,
                remedy,
                "nothing was changed",
            )
        };
        let own = restored_cluster(self.cluster, self.backup);
        if let Some(cluster) = cluster
            && cluster != own
        {
            let restored = match own == self.cluster {
                true => String::new(),
                false => format!(
                    " (its own id since it was restored: {})",
                    self.cluster_hex()
                ),
            };
            let why = format!(
                "it holds data of cluster {}{restored}, asked for was {}",
                Hex(&own),
                Hex(&cluster)
            );
            return Err(mismatch(
                why,
                "name the right folder, or the cluster's right name and members",
            ));
        }
        if replica != self.replica {
            let why = format!(
                "it holds data of replica {}, asked for was replica {replica}",
                self.replica
            );
            return Err(mismatch(
                why,
                "name the right folder, or start it with its own id",
            ));
        }
        Ok(())
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

//! One `CommandBatch`, verified: FlatBuffers structure first, then every rule of `proto/command.fbs`.

use flatbuffers::VerifierOptions;

use super::error::malformed;
use super::limits::{
    BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, BATCH_RANGES_MAX, DELETE_RANGE_KEYS_MAX, KEY_BYTES_MAX,
    SESSION_WINDOW, VALUE_BYTES_MAX,
};
use super::{BatchError, COMMAND_HEADER_BYTES, NUMBER_MAX, flag, kind};
use crate::generated::command::eraft::command as fbs;

/// What a batch may hold besides its headers and its data. More would be fields that this version does not know.
const OVERHEAD_BYTES_MAX: usize = 128;
/// The verifier looks at some bytes of the table twice.
const APPARENT_BYTES_EXTRA: usize = 64;

/// What the proposer must know of a verified batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSummary {
    /// Commands, parts of transactions not counted: the revisions that the batch takes.
    pub commands: u32,
    /// The batch registers a session.
    pub register: bool,
}

/// A verified batch, borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    pub session: u64,
    pub sequence: u64,
    pub acknowledged: u64,
    /// Commands, parts of transactions not counted.
    pub count: u32,
    /// Results of such a batch follow from its first revision: puts and deletes without `previous`, or a register.
    pub plain: bool,
    pub register: bool,
    headers: &'a [[u8; COMMAND_HEADER_BYTES]],
    data: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Headers of commands and parts, with their bytes, in order.
    pub fn commands(&self) -> Commands<'a> {
        Commands {
            headers: self.headers.iter(),
            data: self.data,
        }
    }

    /// Headers, parts of transactions included.
    pub fn headers(&self) -> usize {
        self.headers.len()
    }
}

/// One header of a verified batch with its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    pub kind: u8,
    pub flags: u8,
    /// Of a transaction: how many of the following headers belong to it.
    pub parts: u16,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub number: i64,
}

impl Command<'_> {
    pub fn is_condition(&self) -> bool {
        is_condition(self.kind)
    }
}

/// Iterator of `BatchView::commands`.
#[derive(Clone)]
pub struct Commands<'a> {
    headers: std::slice::Iter<'a, [u8; COMMAND_HEADER_BYTES]>,
    data: &'a [u8],
}

impl<'a> Iterator for Commands<'a> {
    type Item = Command<'a>;

    #[inline]
    fn next(&mut self) -> Option<Command<'a>> {
        let header = Header::read(self.headers.next()?);
        let (key, rest) = self.data.split_at(header.key_length);
        let (value, rest) = rest.split_at(header.value_length);
        self.data = rest;
        Some(Command {
            kind: header.kind,
            flags: header.flags,
            parts: header.parts,
            key,
            value,
            number: header.number,
        })
    }
}

/// Whether the batch may be proposed. Allocates nothing.
///
/// `bytes` is one `CommandBatch` without padding behind it.
pub fn verify_batch(bytes: &[u8]) -> Result<BatchSummary, BatchError> {
    let batch = parse_batch(bytes)?;
    Ok(BatchSummary {
        commands: batch.count,
        register: batch.register,
    })
}

/// `verify_batch`, with the batch itself.
pub fn parse_batch(bytes: &[u8]) -> Result<BatchView<'_>, BatchError> {
    if bytes.len() > BATCH_BYTES_MAX {
        return Err(BatchError::TooLarge {
            bytes: bytes.len(),
            commands: 0,
        });
    }
    let options = VerifierOptions {
        max_depth: 1,
        max_tables: 1,
        max_apparent_size: bytes.len() + APPARENT_BYTES_EXTRA,
        ignore_missing_null_terminator: false,
    };
    let Ok(table) = flatbuffers::root_with_opts::<fbs::CommandBatch>(&options, bytes) else {
        return malformed("not a CommandBatch");
    };
    let headers = table.commands().map_or(&[][..], |vector| vector.bytes());
    let data = table.data().map_or(&[][..], |vector| vector.bytes());
    let (headers, rest) = headers.as_chunks::<COMMAND_HEADER_BYTES>();
    if !rest.is_empty()
        || bytes.len() - headers.len() * COMMAND_HEADER_BYTES > data.len() + OVERHEAD_BYTES_MAX
    {
        return malformed("more in a batch than headers and data");
    }
    if headers.len() > BATCH_COMMANDS_MAX {
        return Err(BatchError::TooLarge {
            bytes: bytes.len(),
            commands: headers.len(),
        });
    }
    let mut batch = BatchView {
        session: table.session(),
        sequence: table.sequence(),
        acknowledged: table.acknowledged(),
        count: 0,
        plain: true,
        register: false,
        headers,
        data,
    };
    check_session(&batch)?;
    check_commands(&mut batch)?;
    Ok(batch)
}

fn check_session(batch: &BatchView<'_>) -> Result<(), BatchError> {
    if batch.session == 0 {
        if batch.sequence != 0 || batch.acknowledged != 0 {
            return malformed("a sequence without a session");
        }
        return Ok(());
    }
    if batch.session.max(batch.sequence) > NUMBER_MAX as u64 {
        return malformed("a session or sequence of 2^53 or more");
    }
    if batch.acknowledged >= batch.sequence {
        return malformed("a batch acknowledges itself or a later one");
    }
    if batch.sequence - batch.acknowledged > SESSION_WINDOW as u64 {
        return malformed("a batch beyond the window of its session");
    }
    Ok(())
}

/// The fields of a `CommandHeader`; the layout is that of `proto/command.fbs`.
struct Header {
    kind: u8,
    flags: u8,
    parts: u16,
    key_length: usize,
    value_length: usize,
    reserved: u32,
    number: i64,
}

impl Header {
    #[inline]
    fn read(bytes: &[u8; COMMAND_HEADER_BYTES]) -> Header {
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Header {
            kind: bytes[0],
            flags: bytes[1],
            parts: u16::from_le_bytes([bytes[2], bytes[3]]),
            key_length: u32_at(4) as usize,
            value_length: u32_at(8) as usize,
            reserved: u32_at(12),
            number: (u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32) as i64,
        }
    }
}

/// Where the check stands within a transaction.
#[derive(Default)]
struct Parts {
    left: usize,
    operations: bool,
}

fn check_commands(batch: &mut BatchView<'_>) -> Result<(), BatchError> {
    if batch.headers.is_empty() {
        return malformed("a batch without commands");
    }
    let mut parts = Parts::default();
    let mut bytes = 0usize;
    let mut ranges = 0usize;
    for raw in batch.headers {
        let header = Header::read(raw);
        check_lengths(&header)?;
        // At most BATCH_COMMANDS_MAX times the limits of one key and value: far from overflow.
        bytes += header.key_length + header.value_length;
        if header.reserved != 0 {
            return malformed("a reserved field that is not 0");
        }
        if parts.left > 0 {
            check_part(&header, &mut parts)?;
            continue;
        }
        ranges += usize::from(header.kind == kind::DELETE_RANGE);
        batch.count += 1;
        batch.plain &=
            matches!(header.kind, kind::PUT | kind::DELETE | kind::REGISTER) && header.flags == 0;
        batch.register |= header.kind == kind::REGISTER;
        check_command(&header, &mut parts)?;
    }
    if parts.left > 0 {
        return malformed("a transaction with fewer parts than it says");
    }
    if bytes != batch.data.len() {
        return malformed("lengths that do not add up to the data");
    }
    if ranges > BATCH_RANGES_MAX {
        return Err(BatchError::TooLarge {
            bytes,
            commands: ranges,
        });
    }
    if batch.register && (batch.headers.len() != 1 || batch.session != 0) {
        return malformed("a register command that is not alone");
    }
    Ok(())
}

fn check_lengths(header: &Header) -> Result<(), BatchError> {
    // The bounds of a range may be the successor of the longest key.
    let (key_max, value_max) = match header.kind {
        kind::DELETE_RANGE => (KEY_BYTES_MAX + 1, KEY_BYTES_MAX + 1),
        _ => (KEY_BYTES_MAX, VALUE_BYTES_MAX),
    };
    if header.key_length > key_max {
        return Err(BatchError::KeyTooLarge {
            bytes: header.key_length,
        });
    }
    if header.value_length > value_max {
        return match header.kind {
            kind::DELETE_RANGE => Err(BatchError::KeyTooLarge {
                bytes: header.value_length,
            }),
            _ => Err(BatchError::ValueTooLarge {
                bytes: header.value_length,
            }),
        };
    }
    Ok(())
}

/// A command of the batch itself.
fn check_command(header: &Header, parts: &mut Parts) -> Result<(), BatchError> {
    let flags = match header.kind {
        kind::PUT | kind::DELETE => flag::PREVIOUS,
        kind::DELETE_RANGE if header.number >= 0 => flag::FROM_END,
        _ => 0,
    };
    if header.flags & !flags != 0 {
        return malformed("a flag that its command does not have");
    }
    if (header.parts != 0) != (header.kind == kind::TRANSACT) {
        return malformed("a count of parts that does not fit its command");
    }
    match header.kind {
        kind::TRANSACT => {
            *parts = Parts {
                left: header.parts as usize,
                operations: false,
            };
            demand_nothing(header, true, true)
        }
        kind::REGISTER => demand_nothing(header, true, true),
        kind::DELETE_RANGE
            if header.number < -1 || header.number > DELETE_RANGE_KEYS_MAX as i64 =>
        {
            malformed("a range with such a limit")
        }
        kind::DELETE_RANGE => Ok(()),
        kind::PUT..=kind::INCREMENT => check_operation(header),
        _ => malformed("an unknown kind of command"),
    }
}

/// A part of a transaction.
fn check_part(header: &Header, parts: &mut Parts) -> Result<(), BatchError> {
    parts.left -= 1;
    if header.flags != 0 || header.parts != 0 {
        return malformed("a part of a transaction with flags or parts");
    }
    if is_condition(header.kind) {
        if parts.operations {
            return malformed("a condition behind an operation");
        }
        return check_condition(header);
    }
    parts.operations = true;
    check_operation(header)
}

fn check_condition(header: &Header) -> Result<(), BatchError> {
    demand_key(header)?;
    match header.kind {
        kind::REVISION_IS if !(0..=NUMBER_MAX).contains(&header.number) => {
            malformed("a revision that cannot be")
        }
        kind::REVISION_IS => demand_nothing(header, false, false),
        kind::VALUE_IS if header.number != 0 => malformed("a number without use"),
        kind::VALUE_IS => Ok(()),
        _ => demand_nothing(header, false, true),
    }
}

fn check_operation(header: &Header) -> Result<(), BatchError> {
    if !(kind::PUT..=kind::INCREMENT).contains(&header.kind) {
        return malformed("an unknown kind of operation");
    }
    demand_key(header)?;
    match header.kind {
        kind::PUT | kind::APPEND if header.number != 0 => malformed("a number without use"),
        kind::PUT | kind::APPEND => Ok(()),
        kind::DELETE => demand_nothing(header, false, true),
        kind::INCREMENT if header.number.unsigned_abs() > NUMBER_MAX as u64 => {
            malformed("a summand beyond 2^53")
        }
        _ => demand_nothing(header, false, false), // increment
    }
}

fn demand_key(header: &Header) -> Result<(), BatchError> {
    if header.key_length == 0 {
        Err(BatchError::KeyEmpty)
    } else {
        Ok(())
    }
}

/// The value has no use, nor have the key and the number where asked.
fn demand_nothing(header: &Header, key: bool, number: bool) -> Result<(), BatchError> {
    if header.value_length != 0 || (key && header.key_length != 0) || (number && header.number != 0)
    {
        return malformed("a key, value or number without use");
    }
    Ok(())
}

fn is_condition(kind: u8) -> bool {
    (kind::REVISION_IS..=kind::ABSENT).contains(&kind)
}

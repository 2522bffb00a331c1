//! JavaScript's numbers, ranges and errors as Rust's, and back. Everything that crosses is checked here.

use eraft_core::engine::{EngineError, ErrorCode};
use napi::Error;
use napi::bindgen_prelude::Uint8ArraySlice;

/// What a call throws: an `Error` whose `code` is the name of an eraft error.
pub type Thrown<T> = Result<T, Error<ErrorCode>>;

/// JavaScript holds integers below this exactly.
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

pub fn to_js(error: EngineError) -> Error<ErrorCode> {
    Error::new(error.code, error.message)
}

pub fn refused(message: String) -> Error<ErrorCode> {
    Error::new(ErrorCode::BadRequest, message)
}

/// An index, term, revision, ticket or size: an integer from 0 to 2^53 - 1.
pub fn integer(name: &str, number: f64) -> Thrown<u64> {
    if (0.0..=INTEGER_MAX).contains(&number) && number.fract() == 0.0 {
        Ok(number as u64)
    } else {
        Err(refused(format!(
            "{name} is {number}, and must be an integer from 0 to 2^53 - 1"
        )))
    }
}

/// A u64 of the engine for JavaScript. It came from there, or counts something that cannot reach 2^53.
pub fn number(value: u64) -> f64 {
    debug_assert!(value as f64 <= INTEGER_MAX);
    value as f64
}

/// `slab[start..end]`.
pub fn range<'a>(slab: &'a Uint8ArraySlice<'_>, start: u32, end: u32) -> Thrown<&'a [u8]> {
    slab.get(start as usize..end as usize).ok_or_else(|| {
        refused(format!(
            "the range {start}..{end} is not within {} bytes",
            slab.len()
        ))
    })
}

/// `slab[start..]`, to write into.
pub fn room<'a>(slab: &'a mut Uint8ArraySlice<'_>, start: u32) -> Thrown<&'a mut [u8]> {
    let bytes = slab.len();
    // SAFETY: JavaScript lends the memory for this call: it runs on this thread, so nothing else runs there meanwhile.
    // The border's callers never lend memory that other threads write (no SharedArrayBuffer; ts/storage allocates the
    // slabs). No other slice of it exists in this call: `disjoint` is checked where a call takes two.
    let whole = unsafe { slab.as_mut() };
    whole.get_mut(start as usize..).ok_or_else(|| {
        refused(format!(
            "the offset {start} is behind the end of {bytes} bytes"
        ))
    })
}

/// Refuses two lent ranges that share memory: one is read while the other is written.
pub fn disjoint(input: &Uint8ArraySlice<'_>, output: &Uint8ArraySlice<'_>) -> Thrown<()> {
    let (a, b) = (
        input.as_ref().as_ptr_range(),
        output.as_ref().as_ptr_range(),
    );
    if a.start < b.end && b.start < a.end {
        Err(refused("input and output share memory".to_owned()))
    } else {
        Ok(())
    }
}

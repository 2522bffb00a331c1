//! LZ4 blocks, by the library that RocksDB brings along: quick enough to cost less than the disk and the network it spares.

use std::ffi::c_int;

use super::format::{COMPRESSION_LZ4, COMPRESSION_NONE};

/// Appends `raw` to `out`, compressed where that saves anything. Returns how it stands there.
pub(super) fn compress(raw: &[u8], out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    // Room for less than `raw`: what does not get smaller is not worth the work of a reader.
    out.resize(start + raw.len().saturating_sub(1), 0);
    let written = lz4_compress(raw, &mut out[start..]);
    if written == 0 {
        out.truncate(start);
        out.extend_from_slice(raw);
        return COMPRESSION_NONE;
    }
    out.truncate(start + written);
    COMPRESSION_LZ4
}

/// The `raw_length` bytes that `stored` stands for, into `out`, whose contents go. False: it stands for none such.
pub(super) fn decompress(
    compression: u32,
    stored: &[u8],
    raw_length: usize,
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    match compression {
        COMPRESSION_NONE => {
            out.extend_from_slice(stored);
            stored.len() == raw_length
        }
        COMPRESSION_LZ4 => {
            out.resize(raw_length, 0);
            lz4_decompress(stored, out) == Some(raw_length)
        }
        _ => false,
    }
}

/// Bytes written; 0 when it does not fit, or there is nothing.
fn lz4_compress(raw: &[u8], out: &mut [u8]) -> usize {
    let (Ok(length), Ok(room)) = (c_int::try_from(raw.len()), c_int::try_from(out.len())) else {
        return 0;
    };
    if length == 0 || room == 0 {
        return 0;
    }
    // SAFETY: a call into C with two ranges.
    // Claim:   it reads `length` bytes of `raw`, writes at most `room` bytes of `out`, and keeps neither.
    // Why:     both pointers and lengths are those of live slices, of which `out` is borrowed alone; LZ4 promises never to
    //          write behind `room`, and answers 0 when that is too little.
    // Rests:   lz4.h, LZ4_compress_default.
    // Checked: the tests below, with rooms that are too small.
    let written = unsafe {
        lz4_sys::LZ4_compress_default(raw.as_ptr().cast(), out.as_mut_ptr().cast(), length, room)
    };
    usize::try_from(written).unwrap_or(0)
}

/// Bytes written; None when `stored` is malformed, or stands for more than `out` holds.
fn lz4_decompress(stored: &[u8], out: &mut [u8]) -> Option<usize> {
    let length = c_int::try_from(stored.len()).ok()?;
    let room = c_int::try_from(out.len()).ok()?;
    // SAFETY: a call into C with two ranges, of which the first may hold anything.
    // Claim:   it reads `length` bytes of `stored`, writes at most `room` bytes of `out`, and keeps neither.
    // Why:     both pointers and lengths are those of live slices, of which `out` is borrowed alone; this is the function of
    //          LZ4 that is made for bytes from strangers: malformed ones give a negative number.
    // Rests:   lz4.h, LZ4_decompress_safe. What gets here has a checksum that is right, too.
    // Checked: the tests below, with bytes that are cut off, flipped and random.
    let written = unsafe {
        lz4_sys::LZ4_decompress_safe(
            stored.as_ptr().cast(),
            out.as_mut_ptr().cast(),
            length,
            room,
        )
    };
    usize::try_from(written).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(raw: &[u8]) -> (u32, usize) {
        let mut stored = b"before".to_vec();
        let compression = compress(raw, &mut stored);
        let mut back = b"something else".to_vec();
        assert!(decompress(compression, &stored[6..], raw.len(), &mut back));
        assert_eq!(back, raw);
        (compression, stored.len() - 6)
    }

    #[test]
    fn what_comes_back_is_what_went_in_and_never_grows() {
        assert_eq!(round(b""), (COMPRESSION_NONE, 0));
        assert_eq!(round(b"a"), (COMPRESSION_NONE, 1));
        let (compression, bytes) = round(&[7; 100_000]);
        assert!(compression == COMPRESSION_LZ4 && bytes < 1000, "{bytes}");
        let mut state = 1u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(10_000)
        .collect();
        assert_eq!(round(&noise), (COMPRESSION_NONE, 10_000));
    }

    #[test]
    fn bytes_that_are_nothing_are_refused() {
        let raw: Vec<u8> = (0..5000u32).map(|at| (at / 50) as u8).collect();
        let mut stored = Vec::new();
        assert_eq!(compress(&raw, &mut stored), COMPRESSION_LZ4);
        let mut out = Vec::new();
        for cut in 0..stored.len() {
            assert!(
                !decompress(COMPRESSION_LZ4, &stored[..cut], raw.len(), &mut out),
                "cut at {cut}"
            );
        }
        assert!(
            !decompress(COMPRESSION_LZ4, &stored, raw.len() - 1, &mut out),
            "too little room"
        );
        assert!(
            !decompress(COMPRESSION_LZ4, &stored, raw.len() + 1, &mut out),
            "too much"
        );
        assert!(
            !decompress(2, &stored, raw.len(), &mut out),
            "an unknown way"
        );
        for at in 0..stored.len() {
            let mut flipped = stored.clone();
            flipped[at] ^= 0x55;
            // It may stand for something: it only must not reach beyond its room.
            decompress(COMPRESSION_LZ4, &flipped, raw.len(), &mut out);
            assert!(out.len() <= raw.len());
        }
    }
}

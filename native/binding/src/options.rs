//! `EngineOptions`: all explicit; defaults and their documentation are in ts/storage/options.ts.

use std::path::PathBuf;

use eraft_core::engine::{Compression, EngineError, ErrorCode, Options, parse_cluster};
use napi_derive::napi;

use crate::convert::{Thrown, integer, to_js};

/// How `Engine.open` opens. Sizes in bytes. Every field is explicit: defaults are in ts/storage/options.ts.
#[napi(object)]
pub struct EngineOptions {
    /// The data folder; created when absent.
    pub dir: String,
    /// 1 to 2^32 - 1.
    pub replica: u32,
    /// 32 hexadecimal digits, or '': whatever the folder holds, drawn from `entropy` when it is formatted.
    pub cluster: String,
    /// 64 hexadecimal digits of randomness, others at each opening.
    pub entropy: String,
    /// 'threads' or 'stepped'.
    #[napi(ts_type = "'threads' | 'stepped'")]
    pub mode: String,
    /// Name of an in-memory disk of this process; '' is the real file system.
    pub memory: String,
    /// Open a folder with a damaged log with what is left of it, instead of refusing it: see `EngineGroup.damaged`.
    pub repair: bool,
    pub segment_bytes: f64,
    pub tail_bytes: f64,
    pub frame_bytes_max: f64,
    pub direct_io: bool,
    pub cache_bytes: f64,
    pub memtable_bytes: f64,
    /// 'lz4', 'zstd' or 'none'.
    #[napi(ts_type = "'lz4' | 'zstd' | 'none'")]
    pub compression: String,
    pub read_threads: u32,
    pub inline_bytes_max: f64,
    pub queue_bytes_max: f64,
    pub results_bytes_max: f64,
    pub answers_bytes_max: f64,
    pub flush_log_bytes: f64,
    pub views_max: u32,
    pub view_idle_ms: f64,
}

fn config(text: String) -> napi::Error<ErrorCode> {
    to_js(EngineError::new(ErrorCode::Config, text))
}

impl EngineOptions {
    pub fn into_core(self) -> Thrown<Options> {
        let size = |name: &str, value: f64| integer(name, value).map(|bytes| bytes as usize);
        let cluster = match self.cluster.as_str() {
            "" => None,
            text => Some(parse_cluster(text).ok_or_else(|| {
                config(format!("cluster is '{text}', not 32 hexadecimal digits"))
            })?),
        };
        let stepped = match self.mode.as_str() {
            "threads" => false,
            "stepped" => true,
            other => {
                return Err(config(format!(
                    "mode is '{other}', and must be 'threads' or 'stepped'"
                )));
            }
        };
        let compression = match self.compression.as_str() {
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            "none" => Compression::None,
            other => {
                return Err(config(format!(
                    "compression is '{other}', and must be 'lz4', 'zstd' or 'none'"
                )));
            }
        };
        Ok(Options {
            dir: PathBuf::from(self.dir),
            replica: self.replica,
            cluster,
            entropy: parse_entropy(&self.entropy)?,
            stepped,
            memory: (!self.memory.is_empty()).then_some(self.memory),
            repair: self.repair,
            segment_bytes: integer("segmentBytes", self.segment_bytes)?,
            tail_bytes: size("tailBytes", self.tail_bytes)?,
            frame_bytes_max: size("frameBytesMax", self.frame_bytes_max)?,
            direct_io: self.direct_io,
            cache_bytes: size("cacheBytes", self.cache_bytes)?,
            memtable_bytes: size("memtableBytes", self.memtable_bytes)?,
            compression,
            read_threads: self.read_threads as usize,
            inline_bytes_max: size("inlineBytesMax", self.inline_bytes_max)?,
            queue_bytes_max: integer("queueBytesMax", self.queue_bytes_max)?,
            results_bytes_max: size("resultsBytesMax", self.results_bytes_max)?,
            answers_bytes_max: size("answersBytesMax", self.answers_bytes_max)?,
            flush_log_bytes: integer("flushLogBytes", self.flush_log_bytes)?,
            views_max: self.views_max as usize,
            view_idle_ms: integer("viewIdleMs", self.view_idle_ms)?,
        })
    }
}

fn parse_entropy(text: &str) -> Thrown<[u8; 32]> {
    let wrong = || config("entropy must be 64 hexadecimal digits".to_owned());
    let halves = text
        .split_at_checked(32)
        .filter(|(_, rest)| rest.len() == 32)
        .ok_or_else(wrong)?;
    let (first, second) = (
        parse_cluster(halves.0).ok_or_else(wrong)?,
        parse_cluster(halves.1).ok_or_else(wrong)?,
    );
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&first);
    bytes[16..].copy_from_slice(&second);
    Ok(bytes)
}

//! What is told to those who watch.

use std::path::PathBuf;

/// How many endpoints have series of their own unless the document says otherwise.
pub const DEFAULT_ENDPOINTS: u32 = 100_000;

/// What is told to those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// `[log] format`
    pub log: LogFormat,
    /// `[metrics] endpoints`: how many endpoints, and as many checks, have series of their own.
    pub endpoints: usize,
    /// `[query_log]`
    pub query_log: Option<QueryLog>,
    /// `[dnstap]`
    pub dnstap: Option<Dnstap>,
    /// `[otlp] endpoint`: the address of a collector of OpenTelemetry.
    pub otlp: Option<String>,
}

impl Default for Observed {
    fn default() -> Observed {
        Observed {
            log: LogFormat::Human,
            endpoints: DEFAULT_ENDPOINTS as usize,
            query_log: None,
            dnstap: None,
            otlp: None,
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// `[query_log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLog {
    /// Where it is written, absolute.
    pub file: PathBuf,
    /// One of so many queries is written.
    pub sample: u32,
    /// Bytes after which the file is put aside and begun anew.
    pub max: u64,
}

/// `[dnstap]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dnstap {
    /// The unix socket that a reader listens on, absolute.
    pub socket: PathBuf,
    /// One of so many queries is sent.
    pub sample: u32,
}

//! `detour zone show`: a zone as a daemon serves it, what is steered and what was edited marked.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::client::{Client, finish};

/// Which zone to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The zone's name
    zone: String,
}

/// Every record to stdout as it comes.
pub async fn run(client: &Client, args: &Args, json: bool) -> Result<ExitCode> {
    let format = if json { "json" } else { "text" };
    let mut out = std::io::stdout().lock();
    let print = |piece: &[u8]| {
        // No control character that a terminal would obey; the zone's own are escaped already.
        let plain = |byte: u8| byte == b'\n' || byte >= b' ' && byte != 0x7f;
        let piece: Vec<u8> = piece.iter().map(|&byte| if plain(byte) { byte } else { b'?' }).collect();
        out.write_all(&piece)
    };
    match client.stream(&["v1", "zones", &args.zone], &[("format", format)], print).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => finish(Err(error)),
    }
}

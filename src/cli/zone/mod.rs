//! `detour zone`: what can be done to zone files without a daemon. In: files. Out: problems, differences,
//! text, and files that were laid out or imported. What a zone is and how it is laid out is `crate::zone`'s.

mod check;
mod diff;
mod export;
mod fmt;
mod import;
mod input;
mod replace;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What to do with zone files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every error and everything hardly meant; with -c, held against the services' TTLs too
    Check(check::Args),
    /// Put zone files in straight columns: same records, order and comments
    Fmt(fmt::Args),
    /// The record sets by which two files differ; exit 1 when they do
    Diff(diff::Args),
    /// One zone as canonical text: absolute names, RFC 4034's order, nothing left out
    Export(export::Args),
    /// Take over zones of BIND, NSD, Knot DNS or PowerDNS from its configuration, or of any server by AXFR
    Import(import::Args),
}

/// Runs one of them. `config` is the configuration file, if one was named.
pub async fn run(command: &Command, config: Option<&Path>, json: bool) -> Result<ExitCode> {
    match command {
        Command::Check(args) => check::run(args, config, json),
        Command::Fmt(args) => fmt::run(args),
        Command::Diff(args) => diff::run(args, json),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args).await,
    }
}

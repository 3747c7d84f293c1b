//! `detour zone`: what can be done to zone files, most of it without a daemon. In: files. Out: problems, differences,
//! text, and files that were laid out or imported. What a zone is and how it is laid out is `crate::zone`'s.

mod check;
mod diff;
mod export;
mod fmt;
mod freeze;
mod import;
mod input;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;

use super::client::Client;

/// What to do with zone files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every error and everything hardly meant; with -c, held against the services' TTLs too
    Check(check::Args),
    /// Put zone files in straight columns: same records, order and comments
    Fmt(fmt::Args),
    /// The record sets by which two files differ, or what updates changed in a served zone; exit 1 when they do
    Diff(diff::Args),
    /// Write what updates changed in a served zone into its file: comments and order stay
    Freeze(freeze::Args),
    /// One zone as canonical text: absolute names, RFC 4034's order, nothing left out
    Export(export::Args),
    /// Take over zones of BIND, NSD, Knot DNS or PowerDNS from its configuration, or of any server by AXFR
    Import(import::Args),
}

impl Command {
    /// Whether a running daemon is asked.
    pub fn is_for_daemon(&self) -> bool {
        match self {
            Command::Diff(args) => args.new.is_none(),
            Command::Freeze(_) => true,
            Command::Check(_) | Command::Fmt(_) | Command::Export(_) | Command::Import(_) => false,
        }
    }
}

/// Asks a daemon for one of them.
pub async fn ask(client: &Client, command: &Command, json: bool) -> Result<ExitCode> {
    match command {
        Command::Diff(args) => freeze::diff(client, &args.old.display().to_string(), json).await,
        Command::Freeze(args) => freeze::run(client, args, json).await,
        here => run(here, None, json).await,
    }
}

/// Runs one of them. `config` is the configuration file, if one was named.
pub async fn run(command: &Command, config: Option<&Path>, json: bool) -> Result<ExitCode> {
    match command {
        Command::Check(args) => check::run(args, config, json),
        Command::Fmt(args) => fmt::run(args),
        Command::Diff(args) => match &args.new {
            Some(new) => diff::run(args, new, json),
            None => bail!("name two zone files"),
        },
        Command::Freeze(_) => bail!("a daemon freezes zones"),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args).await,
    }
}

//! `detour zone`: what can be done to zone files, most of it without a daemon, and to zones that a daemon serves. In:
//! files, and a daemon's answers. Out: problems, differences, text, and files that were laid out or imported. What a
//! zone is and how it is laid out is `crate::zone`'s.

mod check;
mod diff;
mod export;
mod fmt;
mod freeze;
mod history;
mod import;
mod input;
mod rollback;
mod served;
mod show;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;

use self::diff::Sides;
use super::client::Client;

/// What to do with zone files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every error and everything hardly meant; with -c, held against the services' TTLs too
    Check(check::Args),
    /// Put zone files in straight columns: same records, order and comments
    Fmt(fmt::Args),
    /// Every record that is served now, what is steered and what was edited marked
    Show(show::Args),
    /// Each serial of a served zone, and the decisions, update, load or transfer that led to it
    History(history::Args),
    /// How files, serials of a served zone, or such a zone and a file differ; a zone's name alone: what updates
    /// changed in it. Exit 1 when there is a difference
    Diff(diff::Args),
    /// Put a served zone back to what it held at an earlier serial, as a new serial; steered names are left to
    /// decisions
    Rollback(rollback::Args),
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
            Command::Diff(args) => !matches!(args.sides(Path::is_file), Sides::Files(_)),
            Command::Freeze(_) | Command::Show(_) | Command::History(_) | Command::Rollback(_) => true,
            Command::Check(_) | Command::Fmt(_) | Command::Export(_) | Command::Import(_) => false,
        }
    }
}

/// Asks a daemon for one of them.
pub async fn ask(client: &Client, command: &Command, json: bool) -> Result<ExitCode> {
    match command {
        Command::Diff(args) => match args.sides(Path::is_file) {
            Sides::Edits => freeze::diff(client, &args.old.display().to_string(), json).await,
            Sides::Serials(from, to) => served::serials(client, args, from, to, json).await,
            Sides::File(file) => served::file(client, args, file, json).await,
            Sides::Files(new) => diff::run(args, new, &[], json),
        },
        Command::Rollback(args) => rollback::run(client, args, json).await,
        Command::Show(args) => show::run(client, args, json).await,
        Command::History(args) => history::run(client, args, json).await,
        Command::Freeze(args) => freeze::run(client, args, json).await,
        here => run(here, None, json).await,
    }
}

/// Runs one of them. `config` is the configuration file, if one was named.
pub async fn run(command: &Command, config: Option<&Path>, json: bool) -> Result<ExitCode> {
    match command {
        Command::Check(args) => check::run(args, config, json),
        Command::Fmt(args) => fmt::run(args, &input::include_folders(config)?),
        Command::Diff(args) => match args.sides(Path::is_file) {
            Sides::Files(new) => diff::run(args, new, &input::include_folders(config)?, json),
            _ => bail!("a daemon is asked for this"),
        },
        Command::Freeze(_) | Command::Show(_) | Command::History(_) | Command::Rollback(_) => {
            bail!("a daemon is asked for this")
        }
        Command::Export(args) => export::run(args, &input::include_folders(config)?),
        Command::Import(args) => import::run(args).await,
    }
}

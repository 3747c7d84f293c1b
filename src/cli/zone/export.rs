//! `detour zone export`: one zone as canonical text, for other tools to read and compare.

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::input;
use crate::dns::Name;
use crate::zone::canonical_lines;

/// What to export.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The zone file
    file: PathBuf,
    /// The zone's name; what the file says, or what it is called, when left out
    #[arg(long, value_name = "NAME")]
    origin: Option<Name>,
    /// Owners relative to the zone's name, behind a $ORIGIN
    #[arg(long)]
    relative: bool,
}

/// The records to stdout, each on one line.
pub fn run(args: &Args, folders: &[PathBuf]) -> Result<ExitCode> {
    let Some(zone) = input::good_zone(args.origin.as_ref(), &args.file, folders)? else {
        return Ok(ExitCode::from(1));
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut print = || -> io::Result<()> {
        for line in canonical_lines(&zone, args.relative) {
            writeln!(out, "{line}")?;
        }
        out.flush()
    };
    match print() {
        // Whoever reads it may stop reading it.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

//! `detour zone fmt`: zone files in straight columns.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use super::input;
use crate::config::ZoneText;
use crate::dns::Name;
use crate::sys::files;
use crate::zone::{declared_apex, has_soa, lay_out, parse};

/// What to lay out, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The zone files, or files that zones include
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The zone's name; what the file says, or what it is called, when left out
    #[arg(long, value_name = "NAME")]
    origin: Option<Name>,
    /// Write nothing; name the files that would change, and exit 1 if there are any
    #[arg(long, conflicts_with = "stdout")]
    check: bool,
    /// Print the result and leave the files alone
    #[arg(long)]
    stdout: bool,
}

/// Lays out each file; one that is wrong is left alone, its problems go to stderr, and the exit code is 1.
pub fn run(args: &Args, folders: &[PathBuf]) -> Result<ExitCode> {
    let mut good = true;
    for path in &args.files {
        let read = input::read(path, folders)?;
        let before = read.text.clone();
        let Some(after) = laid_out(args.origin.as_ref(), path, read)? else {
            good = false;
            continue;
        };
        if args.stdout {
            std::io::stdout().lock().write_all(&after)?;
        } else if after == before {
        } else if args.check {
            println!("{}: not laid out", path.display());
            good = false;
        } else {
            files::replace(path, &after).with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}: laid out", path.display());
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A good file's new text; `None` once its problems are told.
fn laid_out(given: Option<&Name>, path: &Path, read: ZoneText) -> Result<Option<Vec<u8>>> {
    let ZoneText { text, mut includes } = read;
    let mut fingerprint = |text: &[u8]| {
        let mut include = |name: &str| includes.read(name);
        let shown = path.display().to_string();
        let apex = given.cloned().or_else(|| declared_apex(text));
        let apex = apex.or_else(|| input::apex(None, path, text).ok());
        let whole = |include: &mut input::Include<'_>| {
            parse(&apex.clone().unwrap_or_else(Name::root), &shown, text, include)
        };
        let parsed = if has_soa(text) {
            whole(&mut include)
        } else if let Ok(zone) = whole(&mut include) {
            // Its SOA comes by $INCLUDE.
            Ok(zone)
        } else {
            input::fragment(given, &shown, text, &mut include)
        };
        parsed.map(|(zone, _)| (zone.fingerprint(), zone.len()))
    };
    let before = match fingerprint(&text) {
        Ok(before) => before,
        Err(problems) => {
            input::tell(&problems);
            return Ok(None);
        }
    };
    let after = lay_out(&text).with_context(|| path.display().to_string())?;
    // A property holds this, and so does this line, before anybody's file is touched.
    if fingerprint(&after).ok() != Some(before) {
        bail!(
            "{}: laid out, it would mean something else; it is left alone, please report this",
            path.display()
        );
    }
    Ok(Some(after))
}

//! `detour zone import`: the primary zones of another server, from its configuration, or zones by AXFR. In: that
//! server's files, which are only read, or its answers. Out: a folder with `detour.toml` and `zones/`, and what was not taken over.
//!
//! ```text
//! --from-config KIND=FILE ─► named | nsd | knot ─► Found ─► zones read and checked ─► all written, or none
//! --axfr SERVER ZONE...   ─► axfr ────────────────────────► transferred and checked ┘
//! ```
//!
//! Each reader knows one format, and of it only what leads to zones; what it passes by on purpose it notes.

mod axfr;
mod knot;
mod named;
mod nsd;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

use self::source::{Found, FoundZone};
use super::input;
use crate::config::ZoneText;
use crate::dns::Name;
use crate::sys::files;
use crate::text::is_hidden;
use crate::zone::{Zone, canonical_lines, parse};

/// Where to import from, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The other server and its configuration: bind=FILE, nsd=FILE, knot=FILE or powerdns=FILE
    #[arg(long, value_name = "KIND=FILE", required_unless_present = "axfr", conflicts_with = "axfr")]
    from_config: Option<Origin>,
    #[command(flatten)]
    transfer: axfr::Args,
    /// The folder that gets detour.toml and zones/
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Write nothing; print the configuration that would be written
    #[arg(long)]
    dry_run: bool,
}

/// Another server's configuration.
#[derive(Clone, Debug)]
struct Origin {
    kind: Kind,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bind,
    Nsd,
    Knot,
    Powerdns,
}

impl FromStr for Origin {
    type Err = String;
    fn from_str(text: &str) -> Result<Origin, String> {
        let (kind, path) = text.split_once('=').unwrap_or((text, ""));
        let kind = match kind {
            "bind" => Kind::Bind,
            "nsd" => Kind::Nsd,
            "knot" => Kind::Knot,
            "powerdns" => Kind::Powerdns,
            _ => {
                return Err(format!(
                    "{kind:?} is no server known here; write bind=FILE, nsd=, knot= or powerdns="
                ));
            }
        };
        if path.is_empty() {
            return Err(
                "the configuration's file is missing; write like bind=/etc/bind/named.conf".to_owned()
            );
        }
        Ok(Origin { kind, path: path.into() })
    }
}

/// A file that is to be written.
struct Output {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// What was not taken over goes to stderr, line by line. With an error in any zone nothing is written and
/// the exit code is 1.
pub async fn run(args: &Args) -> Result<ExitCode> {
    let Some(Origin { kind, path }) = &args.from_config else {
        return write(args, &axfr::outputs(args).await?);
    };
    let mut found = match kind {
        Kind::Bind => named::read(path)?,
        Kind::Nsd => nsd::read(path)?,
        Kind::Knot => knot::read(path)?,
        Kind::Powerdns => powerdns(path)?,
    };
    let zones = unique(&mut found);
    let Some(outputs) = outputs(args, path, &zones, &mut found.notes)? else { return Ok(ExitCode::from(1)) };
    for note in &found.notes {
        eprintln!("not taken over: {note}");
    }
    if zones.is_empty() {
        bail!("{} has no primary zone that could be taken over", path.display());
    }
    write(args, &outputs)
}

/// Writes files, of which the first is the configuration; or prints that one alone.
fn write(args: &Args, outputs: &[Output]) -> Result<ExitCode> {
    if args.dry_run {
        print!("{}", String::from_utf8_lossy(&outputs[0].bytes));
        return Ok(ExitCode::SUCCESS);
    }
    let there: Vec<_> = outputs.iter().filter(|output| output.path.exists()).collect();
    if let Some(first) = there.first().filter(|_| !args.force) {
        bail!(
            "{} is there already ({} of {} files are); --force replaces them",
            first.path.display(),
            there.len(),
            outputs.len()
        );
    }
    let folder = args.into.join("zones");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // The configuration last: where it is, all it names is there.
    for output in outputs.iter().rev() {
        files::create(&output.path, &output.bytes, args.force)
            .with_context(|| format!("cannot write {}", output.path.display()))?;
        println!("{}", output.path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// PowerDNS's own format names BIND's: `bind-config=FILE` (its other backends are databases). The files of `include-dir`
/// are read after the main one, in order.
fn powerdns(path: &Path) -> Result<Found> {
    let (mut found, mut budget) = (Found::default(), source::Budget::default());
    let mut include_dir = None;
    powerdns_file(path, &mut budget, &mut found, &mut include_dir)?;
    if let Some(folder) = include_dir {
        for file in source::matching(&source::beside(path, &folder).join("*.conf")) {
            powerdns_file(&file, &mut budget, &mut found, &mut None)?;
        }
    }
    budget.finish()?;
    Ok(found)
}

fn powerdns_file(
    path: &Path,
    budget: &mut source::Budget,
    found: &mut Found,
    include_dir: &mut Option<String>,
) -> Result<()> {
    let Some(text) = budget.read(path)? else { return Ok(()) };
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim().trim_end_matches('+'), value.trim());
        let place = format!("{}:{}", path.display(), number + 1);
        match key {
            "bind-config" => {
                let inner = named::read(&source::beside(path, value))?;
                found.zones.extend(inner.zones);
                found.notes.extend(inner.notes);
            }
            "launch" if value != "bind" => {
                found.note(&place, format!("backends {value}: zones in databases; transfer them"));
            }
            "include-dir" => *include_dir = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(())
}

/// Each zone once: the first counts.
fn unique(found: &mut Found) -> Vec<FoundZone> {
    let mut zones: BTreeMap<Name, FoundZone> = BTreeMap::new();
    let mut notes = Vec::new();
    for zone in found.zones.drain(..) {
        match zones.get(&zone.name) {
            Some(first) => {
                notes.push(format!("{}: {} again; it is taken from {}", zone.place, zone.name, first.place));
            }
            None => drop(zones.insert(zone.name.clone(), zone)),
        }
    }
    found.notes.append(&mut notes);
    zones.into_values().collect()
}

/// All files to write, the configuration first; `None` once errors of zones are told.
fn outputs(
    args: &Args,
    from: &Path,
    zones: &[FoundZone],
    notes: &mut Vec<String>,
) -> Result<Option<Vec<Output>>> {
    let mut files = Vec::new();
    let (mut good, mut unreadable) = (true, Vec::new());
    for zone in zones {
        let shown = zone.file.display().to_string();
        let ZoneText { text, mut includes } = match ZoneText::read(&zone.file, &zone.file, &[]) {
            Ok(read) => read,
            Err(why) => {
                unreadable.push(format!("cannot read {shown}, zone {} of {}: {why}", zone.name, zone.place));
                continue;
            }
        };
        includes.as_another_server(&zone.includes_from);
        match parse(&zone.name, &shown, &text, &mut |name| includes.read(name)) {
            Err(problems) => {
                input::tell(&problems);
                good = false;
            }
            Ok((read, _)) => {
                let path = args.into.join("zones").join(file_name(&zone.name));
                let bytes = if includes.into_files().is_empty() {
                    text
                } else {
                    notes.push(format!("{shown}: its layout and comments, as it includes files; zones/{} holds all records in one", file_name(&zone.name)));
                    canonical(&read)
                };
                files.push(Output { path, bytes });
            }
        }
    }
    if !unreadable.is_empty() {
        bail!("{}", unreadable.join("\n"));
    }
    let config = config_text(&from.display().to_string(), zones, notes);
    files.insert(0, Output { path: args.into.join("detour.toml"), bytes: config.into_bytes() });
    Ok(good.then_some(files))
}

/// A zone as one file, all names absolute.
fn canonical(zone: &Zone) -> Vec<u8> {
    canonical_lines(zone, false).fold(String::new(), |text, line| text + &line + "\n").into_bytes()
}

/// `example.com.zone`; what a file's name cannot hold becomes `_`.
fn file_name(zone: &Name) -> String {
    let text = zone.to_string();
    let stem = text.trim_end_matches('.');
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("{}.zone", if stem.is_empty() { "root".to_owned() } else { stem.chars().map(safe).collect() })
}

fn config_text(from: &str, zones: &[FoundZone], notes: &[String]) -> String {
    let mut out =
        format!("# Imported from {}. `detour check` says whether all of it holds.\n", comment(from));
    if !notes.is_empty() {
        out.push_str("#\n# Not taken over:\n");
        for note in notes {
            let _ = writeln!(out, "# - {}", comment(note)); // writing to a String cannot fail
        }
    }
    out.push_str("\n[server]\nlisten    = [\"127.0.0.1:5353\"]   # the addresses to serve on, port 53 once the other server is gone\nstate_dir = \"state\"\n");
    for zone in zones {
        let name = zone.name.to_string();
        let name = if name == "." { "." } else { name.trim_end_matches('.') };
        let _ = write!(
            out,
            "\n[[zone]]   # {}\nname = {}\nfile = {}   # was {}\n",
            comment(&zone.place),
            quoted(name),
            quoted(&format!("zones/{}", file_name(&zone.name))),
            comment(&zone.file.display().to_string()),
        );
    }
    out
}

/// Text that stays on a comment's line.
fn comment(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

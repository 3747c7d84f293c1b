//! Master files (RFC 1035 section 5): from text to a checked [`Zone`].
//!
//! In: the bytes of a zone's file, and a way to ask the caller for those it includes. Out: the zone, or
//! everything that is wrong, each with its place. Never known here: where bytes come from.
//!
//! ```text
//! text ─► lex ─► entries (here), directives, generate ─► stage ─► Zone ─► checks
//!         words  owner, TTL, class, type, RDATA          records  RRsets  what must hold among them
//! ```
//!
//! A faulty entry is reported and left out, and reading goes on at the next one. What is missing is only
//! reported where every entry could be read: a SOA with a typo is one problem, not two.

mod checks;
mod directives;
mod entries;
mod generate;
mod lint;
mod lints;
mod problem;
mod promises;
mod stage;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::dns::Name;
use crate::zone::Zone;

pub use directives::{MAX_INCLUDE_DEPTH, MAX_INCLUDES};
pub use generate::MAX_GENERATE;
pub use lint::{Lint, UnknownLint};
pub use problem::{MAX_LINE_TEXT, MAX_PROBLEMS, Problem, Severity};
pub use promises::Promises;
pub use stage::MAX_RECORDS;

use entries::{Reader, Scope};
use problem::{Findings, Source};
use stage::Stage;

/// The longest file, in bytes: offsets are 32 bits.
pub const MAX_TEXT_LEN: usize = u32::MAX as usize;

/// What is asked for an included file: given its name as `$INCLUDE` has it, the name to show in problems
/// and its bytes, or why it may not or cannot be had.
pub type Include<'a> = dyn FnMut(&str) -> Result<(String, Vec<u8>), String> + 'a;

/// Reads the zone of `apex` from `text`, which problems call `file`.
///
/// Gives the zone and what may be wrong with it, all of it [`Severity::Warning`]; or, where there is at
/// least one [`Severity::Error`], all problems of both kinds. They are ordered by file and line.
pub fn parse(
    apex: &Name,
    file: &str,
    text: &[u8],
    include: &mut Include<'_>,
) -> Result<(Zone, Vec<Problem>), Vec<Problem>> {
    read(apex, file, text, include, None)
}

/// The same with every [`Lint`], among them those that a server does not look for; `promises` are of names
/// in this zone.
pub fn lint(
    apex: &Name,
    file: &str,
    text: &[u8],
    include: &mut Include<'_>,
    promises: &Promises,
) -> Result<(Zone, Vec<Problem>), Vec<Problem>> {
    read(apex, file, text, include, Some(promises))
}

fn read(
    apex: &Name,
    file: &str,
    text: &[u8],
    include: &mut Include<'_>,
    promises: Option<&Promises>,
) -> Result<(Zone, Vec<Problem>), Vec<Problem>> {
    let mut reader = Reader {
        apex,
        include,
        stage: Stage::new(text.len()),
        name: Vec::new(),
        findings: Findings::default(),
        sources: vec![Source { file: file.to_owned(), text: Cow::Borrowed(text) }],
        generating: None,
        full: false,
    };
    if text.len() > MAX_TEXT_LEN {
        reader.findings.error_of_zone(format!("the file is longer than {MAX_TEXT_LEN} bytes; split it"));
    } else {
        reader.read(text, Scope::new(apex));
    }
    let Reader { stage, mut findings, sources, .. } = reader;
    let complete = !findings.has_errors();
    let (zone, positions) = stage.into_zone(apex, &mut findings);
    checks::check(&zone, &positions, complete, promises, &mut findings);
    let failed = findings.has_errors();
    let problems = findings.resolve(&sources);
    if failed { Err(problems) } else { Ok((zone, problems)) }
}

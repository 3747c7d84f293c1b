//! What is wrong with a zone's files, and where.

use std::fmt;

use crate::dns::lex::Fault;
use crate::text::is_hidden;

use super::lint::Lint;

/// The most problems of each severity that are told; how many more there are is told too.
pub const MAX_PROBLEMS: usize = 100;
/// The most characters of a source line that a problem repeats.
pub const MAX_LINE_TEXT: usize = 1000;

/// Whether a problem stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The zone cannot be served.
    Error,
    /// It can, but this is hardly what was meant.
    Warning,
}

/// One thing wrong with a zone's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// The file, as the caller calls it.
    pub file: String,
    /// Counted from 1; 0 for the zone as a whole.
    pub line: u32,
    /// In characters, counted from 1; 0 for the zone as a whole.
    pub column: u32,
    /// The line's first [`MAX_LINE_TEXT`] characters; empty for the zone as a whole.
    pub line_text: String,
    /// What is wrong, and the way out.
    pub message: String,
    /// The name of a warning's kind; errors have none.
    pub lint: Option<Lint>,
}

/// `file:line:column: error: message`, then the line, then a mark below the column.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        if self.line == 0 {
            return write!(f, "{}: {severity}: {}", self.file, self.message);
        }
        write!(f, "{}:{}:{}: {severity}: {}", self.file, self.line, self.column, self.message)?;
        let indent = self.column.saturating_sub(1) as usize;
        if indent >= self.line_text.chars().count() {
            return Ok(());
        }
        let shown: String = self.line_text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
        write!(f, "\n    {}\n    {:indent$}^", shown.trim_end(), "")
    }
}

/// A place in one of a zone's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pos {
    /// Its number in the order they were opened.
    pub(super) source: u16,
    /// Bytes from its start; below 2^32, see [`super::MAX_TEXT_LEN`].
    pub(super) at: u32,
}

/// A problem whose place is not yet a line and a column.
#[derive(Clone, Debug)]
struct Finding {
    severity: Severity,
    /// `None` for the zone as a whole.
    pos: Option<Pos>,
    message: String,
    lint: Option<Lint>,
    /// Another place the message ends with: `the other is at` it.
    other: Option<(&'static str, Pos)>,
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
    errors: usize,
    warnings: usize,
}

impl Findings {
    pub(super) fn error(&mut self, pos: Pos, message: impl Into<String>) {
        self.add(Severity::Error, None, Some(pos), message.into(), None);
    }

    /// An error whose message ends with another place: `what` it is, as in "the other is at".
    pub(super) fn error_with(
        &mut self,
        pos: Pos,
        message: impl Into<String>,
        what: &'static str,
        other: Pos,
    ) {
        self.add(Severity::Error, None, Some(pos), message.into(), Some((what, other)));
    }

    /// An error of the zone as a whole.
    pub(super) fn error_of_zone(&mut self, message: impl Into<String>) {
        self.add(Severity::Error, None, None, message.into(), None);
    }

    pub(super) fn fault(&mut self, source: u16, fault: Fault) {
        self.error(Pos { source, at: fault.at as u32 }, fault.message);
    }

    pub(super) fn warning(&mut self, lint: Lint, pos: Pos, message: impl Into<String>) {
        self.add(Severity::Warning, Some(lint), Some(pos), message.into(), None);
    }

    pub(super) fn warning_with(
        &mut self,
        lint: Lint,
        pos: Pos,
        message: impl Into<String>,
        what: &'static str,
        other: Pos,
    ) {
        self.add(Severity::Warning, Some(lint), Some(pos), message.into(), Some((what, other)));
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    fn add(
        &mut self,
        severity: Severity,
        lint: Option<Lint>,
        pos: Option<Pos>,
        message: String,
        other: Option<(&'static str, Pos)>,
    ) {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= MAX_PROBLEMS {
            self.found.push(Finding { severity, pos, message, lint, other });
        }
    }

    /// Every problem with its line and column, in the order of files and lines.
    pub(super) fn resolve(mut self, sources: &[Source<'_>]) -> Vec<Problem> {
        self.found.sort_by_key(|finding| finding.pos);
        let mut lines = Lines::new(sources);
        let mut problems: Vec<Problem> = self.found.iter().map(|finding| lines.problem(finding)).collect();
        for (severity, count) in [(Severity::Error, self.errors), (Severity::Warning, self.warnings)] {
            if count > MAX_PROBLEMS {
                let what = if severity == Severity::Error { "errors" } else { "warnings" };
                let message = format!("{} more {what}", count - MAX_PROBLEMS);
                problems.push(lines.problem(&Finding {
                    severity,
                    pos: None,
                    message,
                    lint: None,
                    other: None,
                }));
            }
        }
        problems
    }
}

/// One file's content, kept until its problems have lines.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) file: String,
    pub(super) text: std::borrow::Cow<'a, [u8]>,
}

/// Where the lines of files begin, found out only for files with a problem.
struct Lines<'s, 'a> {
    sources: &'s [Source<'a>],
    starts: Vec<Option<Vec<u32>>>,
}

impl<'s, 'a> Lines<'s, 'a> {
    fn new(sources: &'s [Source<'a>]) -> Lines<'s, 'a> {
        Lines { sources, starts: vec![None; sources.len()] }
    }

    fn problem(&mut self, finding: &Finding) -> Problem {
        let mut message = finding.message.clone();
        if let Some((what, other)) = finding.other {
            let (line, _, _) = self.place(other);
            let same_file = finding.pos.is_some_and(|pos| pos.source == other.source);
            let place =
                if same_file { format!("line {line}") } else { format!("{}:{line}", self.file(other)) };
            message = format!("{message}; {what} {place}");
        }
        let (line, column, line_text) = finding.pos.map(|pos| self.place(pos)).unwrap_or_default();
        let file = finding.pos.map_or(&*self.sources[0].file, |pos| self.file(pos)).to_owned();
        Problem { severity: finding.severity, file, line, column, line_text, message, lint: finding.lint }
    }

    fn file(&self, pos: Pos) -> &str {
        &self.sources[usize::from(pos.source)].file
    }

    /// Line, column and the line's text.
    fn place(&mut self, pos: Pos) -> (u32, u32, String) {
        let source = usize::from(pos.source);
        let text = &self.sources[source].text[..];
        let starts = self.starts[source].get_or_insert_with(|| {
            let breaks = text.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| at as u32 + 1)).collect()
        });
        let line = starts.partition_point(|&start| start <= pos.at);
        let start = starts[line - 1] as usize;
        let end = starts.get(line).map_or(text.len(), |&next| next as usize - 1);
        let column = String::from_utf8_lossy(&text[start..end.min(pos.at as usize)]).chars().count() + 1;
        let bytes = &text[start..end.min(start + MAX_LINE_TEXT * 4)];
        let line_text = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        (line as u32, column as u32, line_text.chars().take(MAX_LINE_TEXT).collect())
    }
}

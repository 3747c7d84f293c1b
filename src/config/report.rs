//! Problems, and all of them together.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;

use super::error::ConfigError;
use super::source::{Place, Source};
use crate::zone::Severity;

/// How many errors of one load are kept, and how many warnings; further errors are counted.
pub const MAX_PROBLEMS: usize = 100;

/// One thing wrong with a configuration or a zone file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// The file, as the command line or the configuration names it.
    pub file: Arc<str>,
    /// Where in the file; `None` when it is the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub error: ConfigError,
}

/// Everything wrong with one load: why it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order of the files and their lines; of each severity at most [`MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// How many more errors there were.
    pub more: usize,
    /// Every file that was read or looked for, so that a change to any of them is worth another try.
    pub files: Vec<PathBuf>,
}

/// Problems as they are found.
pub(super) struct Findings<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    errors: usize,
    warnings: usize,
}

impl<'a> Findings<'a> {
    /// None yet, in this configuration file.
    pub fn new(source: &'a Source) -> Findings<'a> {
        Findings { source, problems: Vec::new(), errors: 0, warnings: 0 }
    }

    /// The line of a byte range of the configuration file, counted from 1.
    pub fn line(&self, at: &Range<usize>) -> usize {
        self.source.line(at.start) + 1
    }

    /// Notes each value that a list had before, by what it is and the line of the first.
    pub fn each_once<'v, T: Ord + 'v>(
        &mut self,
        listed: impl IntoIterator<Item = &'v Spanned<T>>,
        twice: impl Fn(&T, usize) -> ConfigError,
    ) {
        let mut seen: BTreeMap<&T, usize> = BTreeMap::new();
        for value in listed {
            match seen.get(value.get_ref()) {
                Some(&first) => self.push(&value.span(), twice(value.get_ref(), first)),
                None => _ = seen.insert(value.get_ref(), self.line(&value.span())),
            }
        }
    }

    /// Notes a problem at a byte range of the configuration file.
    pub fn push(&mut self, at: &Range<usize>, error: ConfigError) {
        if self.has_room(error.severity()) {
            let (file, place) = (self.source.file.clone(), Some(self.source.place(at)));
            self.problems.push(Problem { severity: error.severity(), file, place, error });
        }
    }

    /// Notes an error that takes some work to tell, which is done only where it will be shown.
    pub fn push_with(&mut self, at: &Range<usize>, error: impl FnOnce() -> ConfigError) {
        if self.has_room(Severity::Error) {
            let (file, place) = (self.source.file.clone(), Some(self.source.place(at)));
            self.problems.push(Problem { severity: Severity::Error, file, place, error: error() });
        }
    }

    /// Notes a problem in whatever file.
    pub fn add(&mut self, problem: Problem) {
        if self.has_room(problem.severity) {
            self.problems.push(problem);
        }
    }

    /// Counts a problem, and tells whether it is to be kept. Each severity has its own room, so that
    /// warnings never push out an error.
    fn has_room(&mut self, severity: Severity) -> bool {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        *count <= MAX_PROBLEMS
    }

    /// None yet, in the same configuration file.
    pub fn fresh(&self) -> Findings<'a> {
        Findings::new(self.source)
    }

    /// Whether none of it stands in the configuration file, and all of it was kept.
    pub fn are_elsewhere(&self) -> bool {
        self.warnings + self.errors == self.problems.len()
            && self.problems.iter().all(|problem| problem.file != self.source.file)
    }

    /// What was found, where none of it is an error.
    pub fn as_warnings(&self) -> Vec<Problem> {
        self.problems.clone()
    }

    /// Takes up what others found.
    pub fn append(&mut self, other: Findings) {
        let kept = |severity| other.problems.iter().filter(|problem| problem.severity == severity).count();
        self.errors += other.errors - kept(Severity::Error);
        self.warnings += other.warnings - kept(Severity::Warning);
        other.problems.into_iter().for_each(|problem| self.add(problem));
    }

    /// How many errors there are so far.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// What was found, none of it an error.
    pub fn into_warnings(self) -> Vec<Problem> {
        self.sorted().problems
    }

    /// What was found, as the reason why nothing is loaded.
    pub fn into_report(self, files: Vec<PathBuf>) -> Report {
        let Findings { problems, errors, .. } = self.sorted();
        Report { problems, more: errors.saturating_sub(MAX_PROBLEMS), files }
    }

    /// Problems of the configuration file come first, by line; those of zone files follow as found.
    fn sorted(mut self) -> Self {
        let own = &self.source.file;
        self.problems.sort_by_key(|problem| match &problem.place {
            Some(place) if problem.file == *own => (0, place.line, place.column),
            _ => (1, 0, 0),
        });
        self
    }
}

impl Report {
    /// The report of a single problem with a file as a whole.
    pub(super) fn of_file(file: &str, error: ConfigError, files: Vec<PathBuf>) -> Report {
        let problem = Problem { severity: Severity::Error, file: file.into(), place: None, error };
        Report { problems: vec![problem], more: 0, files }
    }
}

impl std::error::Error for Report {}

/// `file:line:column: error: message`, the line, marks under what is meant, and the way out.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(place) = &self.place {
            write!(f, "{}:{}:", place.line, place.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, " {severity}: {}", self.error)?;
        if let Some(place) = &self.place
            && !place.excerpt.trim().is_empty()
        {
            write!(f, "\n    {}\n    ", place.excerpt.trim_end())?;
            write!(f, "{:indent$}{:^<width$}", "", "", indent = place.indent, width = place.width)?;
        }
        match self.error.help() {
            Some(help) => write!(f, "\n    help: {help}"),
            None => Ok(()),
        }
    }
}

/// Every problem, one after the other.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, problem) in self.problems.iter().enumerate() {
            let gap = if count == 0 { "" } else { "\n" };
            write!(f, "{gap}{problem}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_never_push_out_an_error() {
        let source = Source::new("t", "a".to_owned());
        let mut findings = Findings::new(&source);
        let mut add = |severity, what: &str| {
            let error = ConfigError::ZoneFile(what.to_owned());
            findings.add(Problem { severity, file: "z".into(), place: None, error });
        };
        for _ in 0..1000 {
            add(Severity::Warning, "dull");
        }
        add(Severity::Error, "grave");
        let report = findings.into_report(Vec::new());
        assert_eq!((report.problems.len(), report.more), (MAX_PROBLEMS + 1, 0));
        assert!(report.to_string().ends_with("\nz: error: grave"));
    }
}

//! Text for people: tables, times, names.

use std::fmt;
use std::io::Write as _;

use crate::policy::Override;
use crate::text::is_hidden;
use crate::time::Time;
pub(super) use crate::time::span;

/// Columns under a heading, each as wide as its widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(heading: [&str; N]) -> Table {
        Table { rows: vec![heading.map(str::to_owned).to_vec()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..self.rows[0].len()).filter_map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Prints a page; whoever reads it may stop reading.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let text = printable(text.trim_end());
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // `detour history | head` has read enough.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// How long ago something was, or a dash.
pub(super) fn ago(now: Time, then: Option<Time>) -> String {
    then.map_or_else(|| "-".to_owned(), |then| span(now.since(then)))
}

/// Names in a row, or a dash.
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    if names.is_empty() {
        return "-".to_owned();
    }
    names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

/// What is forced, by whom and for how much longer; a dash without an override.
pub(super) fn forced(now: Time, over: Option<&Override>) -> String {
    let Some(o) = over else { return "-".to_owned() };
    let left = o.until.map(|until| format!(", {} left", span(until.since(now)))).unwrap_or_default();
    format!("{} by {}: {}{left}", o.kind, o.who, o.reason)
}

/// Without the control characters that text from a probed server or an operator could hold, which a
/// terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(["A", "LONGER", "C"]);
        table.row(["über".into(), "x".into(), String::new()]);
        assert_eq!(table.to_string(), "A     LONGER  C\nüber  x\n");
    }

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a\u{fffd}[2Jb\u{fffd}\nc");
    }
}

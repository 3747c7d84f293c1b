//! A page as it is written: headings, paragraphs, lists and tables. What comes from outside (a site's own words, an
//! operator's reason) is plain text in every format, whatever is in it.

use std::fmt::Write as _;

use crate::cli::show::printable;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Plain(String),
    Code(String),
    Strong(String),
}

/// A line.
pub(super) type Line = Vec<Piece>;

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Heading(String),
    Paragraph(Line),
    List(Vec<Line>),
    Table { head: Vec<&'static str>, rows: Vec<Vec<Line>> },
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub title: String,
    pub blocks: Vec<Block>,
}

pub(super) fn plain(text: impl Into<String>) -> Line {
    vec![Piece::Plain(text.into())]
}

pub(super) fn code(text: impl Into<String>) -> Line {
    vec![Piece::Code(text.into())]
}

/// A line of our own words: what stands in back quotes is code. Not for what comes from outside.
pub(super) fn words(text: &str) -> Line {
    let pieces = text.split('`').enumerate().filter(|(_, piece)| !piece.is_empty());
    let piece = |(at, text): (usize, &str)| match at % 2 {
        0 => Piece::Plain(text.to_owned()),
        _ => Piece::Code(text.to_owned()),
    };
    pieces.map(piece).collect()
}

impl Page {
    /// CommonMark with GitHub's tables.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n", paragraph(&plain(&self.title)));
        for block in &self.blocks {
            out.push('\n');
            let _ = match block {
                Block::Heading(text) => writeln!(out, "## {}", paragraph(&plain(text))),
                Block::Paragraph(line) => writeln!(out, "{}", paragraph(line)),
                Block::List(items) => {
                    items.iter().try_for_each(|item| writeln!(out, "- {}", paragraph(item)))
                }
                Block::Table { head, rows } => {
                    let _ = writeln!(out, "| {} |", head.join(" | "));
                    let _ = writeln!(out, "|{}", " --- |".repeat(head.len()));
                    rows.iter().try_for_each(|row| {
                        let cells: Vec<String> = row.iter().map(|cell| inline(cell, true)).collect();
                        writeln!(out, "| {} |", cells.join(" | "))
                    })
                }
            };
        }
        out
    }

    /// One file that needs nothing else: no script, no font, no image.
    pub fn html(&self) -> String {
        let title = escaped(&self.title);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        );
        for block in &self.blocks {
            let _ = match block {
                Block::Heading(text) => writeln!(out, "<h2>{}</h2>", escaped(text)),
                Block::Paragraph(line) => writeln!(out, "<p>{}</p>", marked(line)),
                Block::List(items) => writeln!(out, "<ul>\n{}</ul>", each(items, "<li>", "</li>\n")),
                Block::Table { head, rows } => {
                    let head: Vec<Line> = head.iter().map(|cell| plain(*cell)).collect();
                    let head = each(&head, "<th scope=\"col\">", "</th>");
                    let _ =
                        write!(out, "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n");
                    for row in rows {
                        let _ = writeln!(out, "<tr>{}</tr>", each(row, "<td>", "</td>"));
                    }
                    writeln!(out, "</tbody>\n</table></div>")
                }
            };
        }
        out.push_str("</main>\n</body>\n</html>\n");
        out
    }
}

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: .9rem; } .wide { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8886; }
td:first-child { white-space: nowrap; font-variant-numeric: tabular-nums; }
code { font-family: ui-monospace, monospace; font-size: .95em; }
@media print { main { max-width: none; } .wide { overflow: visible; } }
";

/// A line on its own: what would make it a heading, a quote or an item does not.
fn paragraph(line: &Line) -> String {
    let text = inline(line, false);
    let mut chars = text.chars();
    match chars.next() {
        Some(first @ ('#' | '+' | '-' | '=')) => format!("\\{first}{}", chars.as_str()),
        Some('0'..='9') => {
            let digits = text.chars().take_while(char::is_ascii_digit).count();
            match text[digits..].chars().next() {
                Some(mark @ ('.' | ')')) => format!("{}\\{mark}{}", &text[..digits], &text[digits + 1..]),
                _ => text,
            }
        }
        _ => text,
    }
}

fn inline(line: &Line, in_table: bool) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Plain(text) => quoted(text),
        Piece::Strong(text) => format!("**{}**", quoted(text)),
        Piece::Code(text) => {
            let text = one_line(text);
            // A fence longer than any within: CommonMark 6.1.
            let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(longest + 1);
            let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
            let text = if in_table { text.replace('|', "\\|") } else { text };
            format!("{fence}{space}{text}{space}{fence}")
        }
    };
    line.iter().map(piece).collect()
}

/// Every character that can mean something to Markdown or HTML, escaped (CommonMark 2.4).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        if "\\`*_[]<>|~&$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn one_line(text: &str) -> String {
    printable(&text.replace(['\n', '\r'], " "))
}

/// Each in an element of its own.
fn each(lines: &[Line], before: &str, after: &str) -> String {
    lines.iter().fold(String::new(), |mut out, line| {
        let _ = write!(out, "{before}{}{after}", marked(line));
        out
    })
}

fn marked(line: &Line) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Plain(text) => escaped(text),
        Piece::Code(text) => format!("<code>{}</code>", escaped(text)),
        Piece::Strong(text) => format!("<strong>{}</strong>", escaped(text)),
    };
    line.iter().map(piece).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a|b <script>alert('x')</script> & *c* [d](javascript:e) `f`\n# g \u{1b}[2J \"h\"";

    fn page() -> Page {
        let table = Block::Table { head: vec!["one", "two"], rows: vec![vec![plain(NASTY), code(NASTY)]] };
        let blocks =
            vec![Block::Heading(NASTY.to_owned()), Block::List(vec![plain("- x"), plain("1. y")]), table];
        Page { title: NASTY.to_owned(), blocks }
    }

    #[test]
    fn what_comes_from_outside_is_text_in_html() {
        let html = page().html();
        assert!(
            !html.contains("<script") && !html.contains('\u{1b}') && !html.contains("alert('x')"),
            "{html}"
        );
        assert!(html.contains("a|b &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; *c*"), "{html}");
        assert_eq!(html.matches("<h2>").count(), 1);
    }

    #[test]
    fn what_comes_from_outside_is_text_in_markdown() {
        let markdown = page().markdown();
        let quoted = "a\\|b \\<script\\>alert('x')\\</script\\> \\& \\*c\\* \\[d\\](javascript:e) \\`f\\` # g \u{fffd}\\[2J \"h\"";
        assert!(markdown.contains(&format!("\n## {quoted}\n")), "{markdown}");
        // A row is one line of two cells: the bars in them are escaped.
        let row = markdown.lines().last().unwrap();
        assert!(row.starts_with(&format!("| {quoted} | ``a\\|b <script>")), "{row}");
        assert!(markdown.contains("- \\- x\n- 1\\. y\n"), "{markdown}");
    }

    #[test]
    fn our_own_words_have_code_in_back_quotes() {
        let line = words("`detour failback` returns it");
        assert_eq!(line, [Piece::Code("detour failback".into()), Piece::Plain(" returns it".into())]);
    }
}

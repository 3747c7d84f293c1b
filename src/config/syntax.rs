//! What is no TOML: the one fault, where it is, and what to type.
//!
//! A parser reports where it can go on no more, which for a bracket that is not closed is some lines later, or at every
//! line of a file in another language. What people do by mistake is looked for first.

use std::ops::Range;

use super::error::ConfigError;
use super::report::Findings;
use super::source::Source;

/// Reports why a text does not parse.
pub(super) fn note(errors: &[toml::de::Error], source: &Source, findings: &mut Findings) {
    if errors.is_empty() {
        return;
    }
    if let Some((at, error)) = other_language(&source.text).or_else(|| unclosed(&source.text)) {
        findings.push(&at, error);
        return;
    }
    // There may be several errors on one line, of which the first is the one that helps.
    let mut errors: Vec<_> = errors.iter().map(|e| (e.span().unwrap_or(0..0), e.message())).collect();
    errors.sort_by_key(|(at, _)| at.start);
    errors.dedup_by_key(|(at, _)| source.line(at.start));
    for (at, message) in errors {
        // A bare word is taken for `nan` or `inf` by its first letter, which is no help to its author.
        let bare =
            message.starts_with("string values must be quoted") || message.starts_with("invalid float");
        let word = source.text.get(at.clone()).is_some_and(|text| text.starts_with(char::is_alphanumeric));
        let message = match message {
            _ if bare && word => "strings stand in quotes".to_owned(),
            "duplicate key" => match first_of(source, &at) {
                Some(line) => format!("duplicate key; the first is on line {line}"),
                None => message.to_owned(),
            },
            other => other.to_owned(),
        };
        findings.push(&at, ConfigError::Syntax(message));
    }
}

/// The first line that says something, where that is of another language.
fn other_language(text: &str) -> Option<(Range<usize>, ConfigError)> {
    let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let line = text.lines().find(is_said)?;
    // The line is a part of the text.
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let trimmed = line.trim();
    let plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let is_yaml = trimmed == "---"
        || trimmed.starts_with("- ")
        || trimmed
            .split_once(':')
            .is_some_and(|(key, rest)| plain(key) && (rest.is_empty() || rest.starts_with(' ')));
    let language = if is_yaml {
        "YAML"
    } else if trimmed.starts_with('{') {
        "JSON"
    } else {
        return None;
    };
    Some((start..start + line.len(), ConfigError::OtherLanguage(language)))
}

/// A bracket or brace that is never closed: one within which a line begins that can only stand outside.
fn unclosed(text: &str) -> Option<(Range<usize>, ConfigError)> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut at = 0;
    let mut starts_line = true;
    let report = |at: usize, bracket: char| Some((at..at + 1, ConfigError::Unclosed(bracket)));
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if starts_line && !first.is_whitespace() {
            starts_line = false;
            let line = without_comment(rest.lines().next().unwrap_or_default()).trim_end();
            match open.last() {
                Some(&(at, bracket)) if is_header(line) || bracket == '[' && is_assignment(line) => {
                    return report(at, bracket);
                }
                None if first == '[' => {
                    let close = if line.starts_with("[[") { "]]" } else { "]" };
                    if !line.ends_with(close) {
                        return report(at, '[');
                    }
                    at += line.len();
                    continue;
                }
                _ => {}
            }
        }
        match first {
            '\n' => starts_line = true,
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '"' | '\'' => {
                at += string_len(rest, first)?;
                continue;
            }
            '[' | '{' => open.push((at, first)),
            ']' | '}' => {
                let opens = if first == ']' { '[' } else { '{' };
                // Where they do not match, the parser says it better.
                open.pop().filter(|(_, bracket)| *bracket == opens)?;
            }
            _ => {}
        }
        at += first.len_utf8();
    }
    open.last().and_then(|&(at, bracket)| report(at, bracket))
}

/// How long the string is that a text begins with; nothing where it does not end.
fn string_len(text: &str, quote: char) -> Option<usize> {
    let triple: String = [quote; 3].iter().collect();
    let (open, close) = if text.starts_with(&triple) { (3, triple) } else { (1, quote.to_string()) };
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(open) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if text[at..].starts_with(&close) {
            return Some(at + open);
        } else if c == '\n' && open == 1 {
            return None;
        }
    }
    None
}

/// A line up to its comment, as far as it can be told without looking into strings.
fn without_comment(line: &str) -> &str {
    if line.contains(['"', '\'']) { line } else { line.split('#').next().unwrap_or_default() }
}

fn is_header(line: &str) -> bool {
    let name = line.trim_start_matches('[').trim_end_matches(']');
    line.starts_with('[')
        && line.ends_with(']')
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && !["true", "false", "inf", "nan"].contains(&name)
}

fn is_assignment(line: &str) -> bool {
    let name = |key: &str| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    line.split_once('=').is_some_and(|(key, _)| name(key.trim()))
}

/// The line on which the key or table at `at` stands for the first time.
fn first_of(source: &Source, at: &Range<usize>) -> Option<usize> {
    let name = source.text.get(at.clone())?.trim();
    let number = source.line(at.start);
    let lines: Vec<&str> = source.text.lines().map(|line| without_comment(line).trim()).collect();
    let here = *lines.get(number)?;
    if here.starts_with('[') {
        return lines[..number].iter().position(|line| *line == here).map(|line| line + 1);
    }
    let assigns = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
    let from = lines[..number].iter().rposition(|line| is_header(line)).map_or(0, |header| header + 1);
    (from..number).find(|line| assigns(lines[*line])).map(|line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracket_that_is_not_closed_is_found_where_it_opens() {
        let check = |text: &str, want: Option<usize>| {
            assert_eq!(unclosed(text).map(|(at, _)| at.start), want, "{text}");
        };
        check("listen = [\"a\", \"b\"\n[control]\nlisten = \"c\"\n", Some(9));
        check("a = [1,\nb = 2", Some(4));
        check("a = [\n  [1, 2],\n  [true],\n]\n[b]\n", None);
        check("[sites.fra\n[sites.iad]\n", Some(0));
        check("[[service]\nname = 1", Some(0));
        check("endpoints = [\n  { site = \"fra\", addresses = [\"x\"] },\n  { site = \"]\" }\n", Some(12));
        check("a = { b = [1 }\n", None); // the parser says it better
        check("a = \"\"\"\n[x\n\"\"\"\nb = '['\n# [\n", None);
        check("a = \"open\n[b]", None);
    }

    #[test]
    fn other_languages_are_told_by_their_first_line() {
        let check = |text: &str, want: Option<&str>| {
            let found = other_language(text).map(|(_, error)| error);
            assert_eq!(
                found,
                want.map(|language| ConfigError::OtherLanguage(if language == "YAML" {
                    "YAML"
                } else {
                    "JSON"
                }))
            );
        };
        check("# detour\nserver:\n  listen: 1\n", Some("YAML"));
        check("---\na: 1", Some("YAML"));
        check("{ \"server\": {} }", Some("JSON"));
        check("[server]\nlisten = [\"[::1]:53\"]\n", None);
        check("a = \"b: c\"", None);
        check("", None);
    }
}

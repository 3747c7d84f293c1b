//! Secrets that were written into the configuration by mistake: where they stand, so that no message repeats them.
//!
//! What goes wrong with a secret is told to terminals, logs and whoever watches a reload, so a message shows the
//! line with the secret masked. The text may be anything, TOML or not, so it is not parsed but looked through: a key,
//! an equals sign, a value.

use std::ops::Range;
use std::path::Path;

use super::error::short;

/// What stands in a secret's place in a message.
pub(super) const MASK: &str = "***";

/// What keys of secrets have in their names, in lower case and with `_` for `-`.
const SECRET: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "authorization",
    "routing_key",
    "api_key",
];
/// Keys that name a file, besides those that end in `_file`.
const FILES: [&str; 2] = ["tokens", "cookie_secrets"];
/// From so many characters on the value of `key` is no name.
const LONG_KEY: usize = 32;

/// A file's name for a message; a mask where it looks like a secret that was written in its place.
pub(super) fn file_name(name: &str, path: &Path) -> String {
    if is_path(name) || path.exists() { short(name) } else { MASK.to_owned() }
}

/// Whether a text is written like a path: with a slash or a dot, and without what secrets are made of.
fn is_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/._-".contains(&byte);
    text.contains(['/', '.']) && text.bytes().all(plain) && text.len() < 256
}

/// Where the secrets of a configuration stand; `base` is the folder that its relative paths are below.
pub(super) fn ranges(text: &str, base: &Path) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut walk = Walk { text, at: 0, depth: 0, starts_line: true };
    let (mut table, mut key) = (String::new(), String::new());
    while let Some(piece) = walk.next_piece() {
        match piece {
            Piece::Table(name) => (table, key) = (name.to_ascii_lowercase(), String::new()),
            Piece::Key(name) => key = name.to_ascii_lowercase().replace('-', "_"),
            Piece::LineEnd => key.clear(),
            Piece::Value(range) if is_secret(&table, &key, &text[range.clone()], base) => found.push(range),
            Piece::Value(_) => {}
        }
    }
    found
}

fn is_secret(table: &str, key: &str, value: &str, base: &Path) -> bool {
    if value.contains("PRIVATE KEY") {
        return true;
    }
    let names_file = key.ends_with("_file") || FILES.contains(&key);
    let is_file = || is_path(value) || base.join(value).exists();
    let of_keys = table == "keys" || table.starts_with("keys.");
    if names_file {
        return !is_file();
    }
    let named = SECRET.iter().any(|word| key.contains(word)) || of_keys && !["", "algorithm"].contains(&key);
    named || key == "key" && value.len() >= LONG_KEY && !is_file()
}

enum Piece<'a> {
    /// The name in a table's header.
    Table(&'a str),
    /// What stands before an equals sign.
    Key(&'a str),
    /// A string without its quotes, or a bare word.
    Value(Range<usize>),
    /// The end of a line on which nothing is open.
    LineEnd,
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
    /// Brackets and braces that are open.
    depth: usize,
    /// Whether nothing but white space stands before it on its line.
    starts_line: bool,
}

impl<'a> Walk<'a> {
    fn next_piece(&mut self) -> Option<Piece<'a>> {
        loop {
            let rest = &self.text[self.at..];
            let first = rest.chars().next()?;
            let starts_line = self.starts_line;
            self.starts_line = starts_line && first.is_whitespace() || first == '\n';
            match first {
                '\n' => {
                    self.at += 1;
                    if self.depth == 0 {
                        return Some(Piece::LineEnd);
                    }
                }
                '#' => self.at += rest.find('\n').unwrap_or(rest.len()),
                // A header stands on its own line; one on which something is open still is where a bracket is missing.
                '[' if starts_line && self.is_header(rest) => {
                    let line = rest.lines().next().unwrap_or_default();
                    self.at += line.len();
                    self.depth = 0;
                    let name = line.split('#').next().unwrap_or_default();
                    return Some(Piece::Table(name.trim_matches(|c: char| "[] \t\r".contains(c))));
                }
                '[' | '{' => {
                    self.depth += 1;
                    self.at += 1;
                }
                ']' | '}' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.at += 1;
                }
                '"' | '\'' => {
                    let range = self.string(rest, first);
                    return Some(self.key_or_value(range));
                }
                c if c.is_whitespace() || c == ',' || c == '=' => self.at += c.len_utf8(),
                _ => {
                    let ends = |c: char| c.is_whitespace() || "=,#[]{}\"'".contains(c);
                    let length = rest.find(ends).unwrap_or(rest.len()).max(first.len_utf8());
                    let range = self.at..self.at + length;
                    self.at += length;
                    return Some(self.key_or_value(range));
                }
            }
        }
    }

    /// `[name]` or `[[name]]`, and not a list within a list.
    fn is_header(&self, rest: &str) -> bool {
        let line = rest.lines().next().unwrap_or_default().split('#').next().unwrap_or_default().trim();
        let name = line.trim_matches(|c| "[]".contains(c));
        line.ends_with(']') && !name.is_empty() && !name.contains([',', '[', ']', '{']) && {
            self.depth == 0 || name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        }
    }

    fn string(&mut self, rest: &str, quote: char) -> Range<usize> {
        let triple: String = [quote; 3].iter().collect();
        let (open, close) = if rest.starts_with(&triple) { (3, triple) } else { (1, quote.to_string()) };
        let begin = self.at + open;
        let (mut end, mut escaped) = (rest.len(), false);
        for (at, c) in rest.char_indices().skip(open) {
            if escaped {
                escaped = false;
            } else if c == '\\' && quote == '"' {
                escaped = true;
            } else if rest[at..].starts_with(&close) || open == 1 && c == '\n' {
                end = at;
                break;
            }
        }
        let whole = self.at + end;
        let closes = rest[end..].starts_with(&close);
        self.at = whole + if closes { open } else { 0 };
        begin.min(whole)..whole
    }

    fn key_or_value(&self, range: Range<usize>) -> Piece<'a> {
        let after = self.text[self.at..].trim_start_matches([' ', '\t']);
        // The last part of a dotted key is its name.
        if after.starts_with('=') {
            let name = &self.text[range];
            return Piece::Key(name.rsplit('.').next().unwrap_or(name));
        }
        Piece::Value(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        ranges(text, Path::new("/nowhere")).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn values_of_secret_keys_are_found_wherever_they_stand() {
        let check = |text: &str, want: &[&str]| assert_eq!(found(text), want, "{text}");
        check("password = \"hunter2\" # mine", &["hunter2"]);
        check("password = hunter2", &["hunter2"]);
        check("[keys.xfr]\nsecret = 'c2Vj/cmV0'\nalgorithm = \"hmac-sha256\"", &["c2Vj/cmV0"]);
        check("[keys]\nxfr = \"c2VjcmV0\"", &["c2VjcmV0"]);
        check("secret_file = \"c2VjcmV0cw==\"", &["c2VjcmV0cw=="]);
        check("secret_file = \"keys/xfr\"\npassword_file = \"mail.password\"", &[]);
        check(
            "tokens = [\n  \"ana operator abc\", # one\n  \"b\",\n]\nport = \"x\"",
            &["ana operator abc", "b"],
        );
        check("headers = { Authorization = \"Bearer x\", Accept = \"y\" }", &["Bearer x"]);
        check("alerts.routing-key = \"r\"\nname = \"n\"", &["r"]);
        check(
            "key = \"\"\"\n-----BEGIN PRIVATE KEY-----\nMII\n\"\"\"\nx = 1",
            &["\n-----BEGIN PRIVATE KEY-----\nMII\n"],
        );
        check("update = [{ key = \"acme\" }]\ntls = { key = \"server.key\" }", &[]);
        // A bracket is missing: what follows is still told apart.
        check("listen = [\"a\"\ntoken = \"t\"\n[probes.web]\nhost = \"h\"", &["t"]);
        check("", &[]);
        check("password = \"", &[""]);
    }
}

//! A Rust file as the rules see it: code without comments and strings, comments without code, and which
//! lines are tests.

/// One file of the repository.
pub struct Source {
    /// From the repository's root, with `/`.
    pub path: String,
    /// Line by line, comments and the inside of literals blanked.
    pub code: Vec<String>,
    /// Line by line, the text of comments alone.
    pub comments: Vec<String>,
    /// Whether a line belongs to `#[cfg(test)]` code.
    pub test: Vec<bool>,
}

/// A path in code, `use` groups spelled out: `std::net::IpAddr`.
pub struct PathUse {
    /// Counted from 0.
    pub line: usize,
    pub segments: Vec<String>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let (code, comments) = split(text);
        let test = test_lines(&code);
        Source { path: path.to_owned(), code, comments, test }
    }

    /// The folder under `src/`, or the name of a file that lies in `src/` itself; `None` outside `src/`.
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs"))
    }

    /// The modules this file declares under `#[cfg(test)]`: the paths of their files, without `.rs`.
    pub fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder,
            _ => self.path.trim_end_matches(".rs"),
        };
        let tests = self.code.iter().zip(&self.test).filter(|(_, test)| **test);
        let names = tests.filter_map(|(code, _)| code.trim().rsplit_once("mod ")?.1.strip_suffix(';'));
        names.map(|name| format!("{folder}/{name}")).collect()
    }

    /// Marks a file as tests from its first line to its last, if it is one of these modules or within.
    pub fn mark_tests(&mut self, modules: &[String]) {
        let is_one = |module: &String| {
            self.path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        if modules.iter().any(is_one) {
            self.test.fill(true);
        }
    }

    /// How many modules deep a file under `src/` is; the crate's root is 0.
    pub fn depth(&self) -> usize {
        let parts = self.path.split('/').skip(1).count();
        let is_parent = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| self.path.ends_with(name));
        if is_parent { parts - 1 } else { parts }
    }

    pub fn paths(&self) -> Vec<PathUse> {
        let tokens = tokenize(&self.code);
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            at = if is_word(&tokens[at].1) { path(&tokens, at, &[], &mut found) } else { at + 1 };
        }
        found
    }
}

/// Code and comments, each with as many lines as `text`.
fn split(text: &str) -> (Vec<String>, Vec<String>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let after_word = code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let len = match rest {
            ['/', '/', ..] => {
                let len = rest.iter().position(|&c| c == '\n').unwrap_or(rest.len());
                comments.extend(&rest[..len]);
                len
            }
            ['/', '*', ..] => {
                let len = block_comment(rest);
                comments.extend(&rest[..len]);
                code.extend(rest[..len].iter().filter(|&&c| c == '\n'));
                len
            }
            ['r' | 'b', ..] if !after_word && raw_string(rest).is_some() => {
                blank(&mut code, &mut comments, rest, raw_string(rest).unwrap_or(1))
            }
            ['"', ..] => blank(&mut code, &mut comments, rest, string(rest)),
            ['\'', '\\', ..] => {
                let close = rest.iter().skip(3).position(|&c| c == '\'').map_or(rest.len(), |p| p + 4);
                blank(&mut code, &mut comments, rest, close)
            }
            ['\'', _, '\'', ..] => blank(&mut code, &mut comments, rest, 3),
            ['\n', ..] => {
                code.push('\n');
                comments.push('\n');
                1
            }
            [other, ..] => {
                code.push(*other);
                1
            }
            [] => 1,
        };
        at += len;
    }
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect();
    (lines(&code), lines(&comments))
}

/// Keeps a literal's quotes and line ends, and nothing of what is in it.
fn blank(code: &mut String, comments: &mut String, rest: &[char], len: usize) -> usize {
    for (i, &c) in rest[..len].iter().enumerate() {
        match c {
            '\n' => {
                code.push('\n');
                comments.push('\n');
            }
            _ if i == 0 || i + 1 == len => code.push('"'),
            _ => code.push(' '),
        }
    }
    len
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[char]) -> Option<usize> {
    let start = rest.iter().position(|&c| c == 'r').filter(|&p| p <= 1)? + 1;
    let hashes = rest[start..].iter().take_while(|&&c| c == '#').count();
    (rest.get(start + hashes) == Some(&'"')).then_some(())?;
    let mut end = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    let body = start + hashes + 1;
    let close = rest[body..].windows(end.len()).position(|w| w == end)?;
    Some(body + close + end.len())
}

/// Marks every item that stands under `#[cfg(test)]`.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut test = vec![false; code.len()];
    let mut line = 0;
    while line < code.len() {
        if !code[line].contains("#[cfg(test)]") {
            line += 1;
            continue;
        }
        let last = item_end(code, line);
        test[line..=last].fill(true);
        line = last + 1;
    }
    test
}

/// The last line of the item whose attribute stands on `first`.
fn item_end(code: &[String], first: usize) -> usize {
    let mut depth = 0usize;
    for (line, text) in code.iter().enumerate().skip(first) {
        for c in text.chars() {
            match c {
                ';' if depth == 0 => return line,
                '{' => depth += 1,
                '}' if depth <= 1 => return line,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    code.len() - 1
}

/// Words and single signs, each with its line.
fn tokenize(code: &[String]) -> Vec<(usize, String)> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    for (line, text) in code.iter().enumerate() {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c.is_alphanumeric() || c == '_' {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                tokens.push((line, word));
            } else if c == ':' && chars.next_if_eq(&':').is_some() {
                tokens.push((line, "::".into()));
            } else if !c.is_whitespace() {
                tokens.push((line, c.into()));
            }
        }
    }
    tokens
}

pub fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads the path that starts at `at` into `found`; gives the place after it.
fn path(tokens: &[(usize, String)], mut at: usize, prefix: &[String], found: &mut Vec<PathUse>) -> usize {
    let line = tokens[at].0;
    let mut segments = prefix.to_vec();
    segments.push(tokens[at].1.clone());
    at += 1;
    let sign = |at: usize| tokens.get(at).map_or("", |token| token.1.as_str());
    while sign(at) == "::" {
        if sign(at + 1) == "{" {
            return group(tokens, at + 2, &segments, found);
        }
        if !is_word(sign(at + 1)) {
            at += 1;
            break;
        }
        segments.push(tokens[at + 1].1.clone());
        at += 2;
    }
    found.push(PathUse { line, segments });
    at
}

/// Reads `a, b::c}` under `prefix`; gives the place after the brace.
fn group(tokens: &[(usize, String)], mut at: usize, prefix: &[String], found: &mut Vec<PathUse>) -> usize {
    while at < tokens.len() {
        match tokens[at].1.as_str() {
            "}" => return at + 1,
            "as" => at += 2,
            word if is_word(word) => at = path(tokens, at, prefix, found),
            _ => at += 1,
        }
    }
    at
}

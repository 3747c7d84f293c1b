//! The rules: each takes a file and gives what breaks it, with the line (counted from 1) and the way out.

use crate::tidy::source::{PathUse, Source};

pub type Finding = (usize, String);

/// Rooms without sockets, files, clocks, randomness or a runtime.
const PURE: &[&str] = &[
    "answer",
    "condition",
    "dns",
    "engine",
    "geo",
    "health",
    "policy",
    "incident",
    "model",
    "simulate",
    "text",
    "time",
    "zone",
];

/// Which rooms a room may name; `room::Item` allows that one item. A room may always name itself.
const EDGES: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("text", &[]),
    ("sys", &["time"]),
    ("certificate", &["time"]),
    ("dns", &["text", "time"]),
    ("zone", &["dns", "text"]),
    ("model", &["dns", "time", "zone"]),
    ("config", &["dns", "model", "text", "zone"]),
    ("health", &["model", "time"]),
    ("policy", &["dns", "health", "model", "time", "zone"]),
    ("condition", &["model", "time"]),
    ("engine", &["condition", "dns", "health", "model", "policy", "time", "zone"]),
    ("answer", &["dns", "zone"]),
    ("geo", &["answer", "config", "dns", "model", "policy::Regions", "zone"]),
    ("server", &["answer", "dns", "sys"]),
    ("transfer", &["answer", "condition", "config", "dns", "model", "server", "sys", "time", "zone"]),
    ("probe", &["certificate", "config", "dns", "engine::Pace", "health", "model", "sys", "text", "time"]),
    ("recording", &["dns", "engine", "health", "model", "policy", "sys", "time"]),
    ("state", &["dns", "engine", "health", "model", "policy", "recording", "sys", "time", "zone"]),
    (
        "zones",
        &[
            "answer",
            "config",
            "dns",
            "engine",
            "geo",
            "model",
            "probe::crowding",
            "probe::warnings",
            "state",
            "sys",
            "time",
            "transfer",
            "zone",
        ],
    ),
    ("requests", &["answer", "dns", "model", "server", "sys", "transfer", "zone", "zones"]),
    (
        "alert",
        &[
            "certificate",
            "condition",
            "dns",
            "engine",
            "health",
            "model",
            "policy",
            "state",
            "sys",
            "text",
            "time",
        ],
    ),
    (
        "telemetry",
        &[
            "answer",
            "condition",
            "config",
            "dns",
            "engine",
            "health",
            "model",
            "policy",
            "server",
            "state",
            "sys",
            "time",
            "transfer",
        ],
    ),
    ("incident", &["config", "dns", "engine", "health", "model", "policy", "state", "time"]),
    (
        "simulate",
        &[
            "answer",
            "config",
            "dns",
            "engine",
            "geo",
            "health",
            "model",
            "policy",
            "recording",
            "state",
            "time",
            "zone",
        ],
    ),
    (
        "api",
        &[
            "alert",
            "answer",
            "condition",
            "dns",
            "engine",
            "health",
            "incident",
            "model",
            "policy",
            "probe",
            "server",
            "simulate",
            "state",
            "sys",
            "telemetry",
            "text",
            "time",
            "transfer",
            "zone",
            "zones",
        ],
    ),
];

/// Rooms that join the others.
const FREE: &[&str] = &["cli", "daemon", "lib", "main"];

/// What a pure room may not name: whole paths, or single words wherever they stand in one.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "libc",
    "rand",
    "redb",
    "reqwest",
    "socket2",
    "tokio",
];

const MAX_LINES: usize = 600;

/// Of one function, its head included; tests tell longer stories.
const MAX_FUNCTION_LINES: usize = 80;

pub const RULES: &[fn(&Source) -> Vec<Finding>] =
    &[edges, supers, purity, clocks, unsafety, unfinished, length, functions, header, proofs];

/// Imports run down the flow, from room to room, along [`EDGES`] alone.
pub fn edges(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room() else { return Vec::new() };
    if FREE.contains(&room) {
        return Vec::new();
    }
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == room) else {
        return vec![(1, format!("room {room} has no line in EDGES of tests/tidy/rules.rs; give it one"))];
    };
    let fits = |to: &[String]| {
        to[0] == room
            || allowed.iter().any(|edge| edge.split("::").eq(to.iter().take(edge.split("::").count())))
    };
    let crossing = |used: PathUse| {
        let at = used.segments.iter().position(|s| s == "crate")?;
        let to = &used.segments[at + 1..];
        (!to.is_empty() && !fits(to)).then(|| {
            (used.line + 1, format!("{room} may not name {}; it may name {allowed:?}", to.join("::")))
        })
    };
    source.paths().into_iter().filter_map(crossing).collect()
}

/// Another room is named by `crate::`, where [`edges`] sees it.
pub fn supers(source: &Source) -> Vec<Finding> {
    if source.room().is_none() {
        return Vec::new();
    }
    let leaves = |used: &PathUse| {
        let ups = used.segments.iter().take_while(|s| *s == "super").count();
        ups > 0 && ups >= source.depth() + usize::from(source.test[used.line])
    };
    let found = source.paths().into_iter().filter(leaves);
    found.map(|used| (used.line + 1, "super:: leaves the room; say crate::".to_owned())).collect()
}

/// Pure rooms are pure, their tests aside.
pub fn purity(source: &Source) -> Vec<Finding> {
    if !source.room().is_some_and(|room| PURE.contains(&room)) {
        return Vec::new();
    }
    let impure = |used: PathUse| {
        if source.test[used.line] {
            return None;
        }
        let banned = IMPURE.iter().find(|banned| match banned.split_once("::") {
            Some((root, item)) => used.segments.starts_with(&[root.into(), item.into()]),
            None => used.segments.iter().any(|segment| segment == *banned),
        })?;
        Some((used.line + 1, format!("{banned} in a pure room; take what it gives as an argument")))
    };
    source.paths().into_iter().filter_map(impure).collect()
}

/// Those who own sockets read a clock, for their timeouts; the others are told the time.
pub fn clocks(source: &Source) -> Vec<Finding> {
    const MAY: &[&str] = &["cli", "api", "daemon", "probe", "server", "sys", "transfer"];
    if source.room().is_none_or(|room| MAY.contains(&room)) {
        return Vec::new();
    }
    let reads = |used: &PathUse| {
        let end = used.segments.iter().map(String::as_str).rev().take(2).collect::<Vec<_>>();
        matches!(end[..], ["now", "Instant" | "SystemTime"]) && !source.test[used.line]
    };
    let found = source.paths().into_iter().filter(reads);
    found.map(|used| (used.line + 1, "reads a clock; take `now: Time` as an argument".to_owned())).collect()
}

/// `unsafe` stands where the system is called, in `server/` and `sys/`, each under a `SAFETY:` comment.
pub fn unsafety(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room() else { return Vec::new() };
    let mut found = Vec::new();
    for (line, text) in source.code.iter().enumerate() {
        if !has_word(text, "unsafe") {
            continue;
        }
        if !["server", "sys"].contains(&room) {
            found.push((line + 1, "unsafe outside server/ and sys/".to_owned()));
        } else if !comment_above(source, line).contains("SAFETY:") {
            found.push((line + 1, "unsafe without a SAFETY: comment above it".to_owned()));
        }
    }
    found
}

/// Nothing is left for later, and no test is switched off.
pub fn unfinished(source: &Source) -> Vec<Finding> {
    let in_comments = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let in_code = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    let mut found = Vec::new();
    for (line, (code, comment)) in source.code.iter().zip(&source.comments).enumerate() {
        let words = in_comments.iter().filter(|word| has_word(comment, word));
        let marks = in_code.iter().filter(|mark| code.contains(**mark));
        found
            .extend(words.chain(marks).map(|mark| (line + 1, format!("{mark}: finish it or open an issue"))));
    }
    found
}

/// A file has one reason to exist, and fits a head.
pub fn length(source: &Source) -> Vec<Finding> {
    let lines = source.code.len();
    if lines <= MAX_LINES {
        return Vec::new();
    }
    vec![(lines, format!("{lines} lines, more than {MAX_LINES}: what is the second thing in it?"))]
}

/// A function does one thing, and fits a screen.
pub fn functions(source: &Source) -> Vec<Finding> {
    if source.room().is_none() {
        return Vec::new();
    }
    let begins = |line: &usize| has_word(&source.code[*line], "fn") && !source.test[*line];
    let lines = |line: usize| Some(end_of_block(&source.code[line..])? + 1);
    let too_long = |line: usize| {
        let lines = lines(line).filter(|lines| *lines > MAX_FUNCTION_LINES)?;
        Some((
            line + 1,
            format!("{lines} lines, more than {MAX_FUNCTION_LINES}: what part of it has a name?"),
        ))
    };
    (0..source.code.len()).filter(begins).filter_map(too_long).collect()
}

/// The line, counted from the first of these, on which the first block in them ends; `None` where a statement ends
/// before any begins: it was a type, or has no body.
fn end_of_block(code: &[String]) -> Option<usize> {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for (line, text) in code.iter().enumerate() {
        for c in text.chars() {
            match c {
                '(' | '[' => others += 1,
                ')' | ']' => others = others.saturating_sub(1),
                '{' => braces += 1,
                '}' if braces <= 1 => return (braces == 1).then_some(line),
                '}' => braces -= 1,
                ';' if braces == 0 && others == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

/// A room's first file says what the room is.
pub fn header(source: &Source) -> Vec<Finding> {
    let opens_a_room = source.path.ends_with("/mod.rs") || source.path == "src/lib.rs";
    if !opens_a_room || source.comments[0].starts_with("//!") {
        return Vec::new();
    }
    vec![(1, "does not open with //!: what comes in, what goes out, what it must never know".to_owned())]
}

/// Outside tests, what could panic says why it cannot.
pub fn proofs(source: &Source) -> Vec<Finding> {
    if source.room().is_none() {
        return Vec::new();
    }
    let unproven = |line: &usize| {
        let code = &source.code[*line];
        let panics = [".unwrap()", ".expect(\""].iter().any(|call| code.contains(call));
        panics && !source.test[*line] && comment_in_statement(source, *line).is_empty()
    };
    let found = (0..source.code.len()).filter(unproven);
    found.map(|line| (line + 1, "panics without a comment that proves it cannot".to_owned())).collect()
}

/// The comment on a line and those on the lines right above it, attributes skipped.
fn comment_above(source: &Source, line: usize) -> String {
    let mut text = source.comments[line].clone();
    for above in (0..line).rev() {
        let code = source.code[above].trim();
        if !code.is_empty() && !code.starts_with("#[") || code.is_empty() && source.comments[above].is_empty()
        {
            break;
        }
        text.push_str(&source.comments[above]);
    }
    text
}

/// The comments anywhere from the statement's beginning to this line, and right above it.
fn comment_in_statement(source: &Source, line: usize) -> String {
    let mut text = source.comments[line].clone();
    for above in (0..line).rev() {
        let code = source.code[above].trim();
        if code.is_empty() && source.comments[above].is_empty() || code.ends_with([';', '{', '}', ',']) {
            break;
        }
        text.push_str(&source.comments[above]);
    }
    text
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
}

/// Dependencies in a Cargo.toml that do not say why they are there.
pub fn dependencies(cargo_toml: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut inside = false;
    for (line, text) in cargo_toml.lines().enumerate() {
        if text.starts_with('[') {
            inside = text.contains("dependencies");
        } else if inside && text.contains('=') && !text.starts_with('#') && !text.contains('#') {
            found.push((line + 1, format!("no `# why` behind: {text}")));
        }
    }
    found
}

/// The commands a page shows in code: `detour X`, on its own line in a block or alone in back quotes. A
/// block of `text` is what a program said.
pub fn commands_shown(page: &str) -> Vec<String> {
    let mut shown = Vec::new();
    let mut block = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (None, Some("text")) => {}
            (None, Some(_)) => shown.extend(command(line)),
            (None, None) => shown.extend(line.split('`').skip(1).step_by(2).filter_map(command)),
        }
    }
    shown.sort();
    shown.dedup();
    shown
}

/// `$ sudo detour serve -c x` is `serve`; other programs are nobody's business here.
fn command(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| ["$", "sudo"].contains(word));
    if words.next()?.rsplit('/').next() != Some("detour") {
        return None;
    }
    let name = words.next()?;
    (name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains('.')).then(|| name.to_owned())
}

/// Where a page's links inside the repository lead.
pub fn links(page: &str) -> Vec<String> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    local.map(|target| target.split('#').next().unwrap_or(target).to_owned()).collect()
}

/// The files and folders of this repository a page names in back quotes.
pub fn places_named(page: &str) -> Vec<String> {
    let quoted = page
        .lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let folders = ["src/", "tests/", "docs/", "benches/", "fuzz/", "zones/"];
    let places = quoted.filter(|text| folders.iter().any(|folder| text.starts_with(folder)));
    places.map(|text| text.split(' ').next().unwrap_or(text).to_owned()).collect()
}

/// The first code block of a page whose text fits.
pub fn code_block(page: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    let blocks = page.split("```").skip(1).step_by(2);
    // A block begins with its language, and in a list each line is indented.
    let bodies = blocks.filter_map(|block| block.split_once('\n')).map(|(_, body)| body);
    bodies
        .map(|body| {
            body.lines().map(|line| line.strip_prefix("   ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
        })
        .find(|body| fits(body))
}

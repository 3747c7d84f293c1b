//! The invariants a machine can check, held against every file of this repository; and the checker held
//! against snippets that break each of them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod tidy {
    pub mod circles;
    pub mod rules;
    pub mod source;
}

use std::fs;
use std::path::Path;
use std::process::Command;

use tidy::circles::circles;
use tidy::rules::{self, Finding};
use tidy::source::Source;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every file below the given folders that ends in `.rs`, with its path from the root.
fn rust_files() -> Vec<Source> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
        walk(&Path::new(ROOT).join(folder), &mut files);
    }
    let tests: Vec<String> = files.iter().flat_map(Source::test_modules).collect();
    for file in &mut files {
        file.mark_tests(&tests);
    }
    files
}

fn walk(folder: &Path, files: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let name = path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned();
            files.push(Source::new(&name, &fs::read_to_string(&path).unwrap()));
        }
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_file_keeps_the_rules() {
    let files = rust_files();
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the walk found no source");
    let findings: Vec<String> = files
        .iter()
        .flat_map(|file| rules::RULES.iter().flat_map(|rule| rule(file)).map(move |f| (file, f)))
        .map(|(file, (line, what))| format!("{}:{line}: {what}", file.path))
        .collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn every_dependency_says_why() {
    assert_eq!(rules::dependencies(&read("Cargo.toml")), []);
}

/// Inside a room, too, files can be read one after the other.
#[test]
fn no_files_of_a_room_form_a_circle() {
    let files = rust_files();
    let found = circles(&files);
    let ring =
        |ring: &Vec<&str>| format!("{} need each other: move what they share below them", ring.join(", "));
    assert!(found.is_empty(), "\n{}", found.iter().map(ring).collect::<Vec<_>>().join("\n"));
}

/// What the pages tell people to type is there.
#[test]
fn the_pages_show_commands_that_exist() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/alerts.md",
        "docs/api.md",
        "docs/configuration.md",
        "docs/knowing.md",
        "docs/report.md",
        "docs/top.md",
        "docs/zones.md",
    ] {
        for command in rules::commands_shown(&read(page)) {
            let status =
                Command::new(env!("CARGO_BIN_EXE_detour")).args([&command, "--help"]).output().unwrap();
            assert!(status.status.success(), "{page} shows `detour {command}`, which does not exist");
        }
    }
}

/// What an image holds is what serves: no symbols, and nothing for a debugger.
#[test]
fn the_container_is_built_without_symbols() {
    let manifest = read("Cargo.toml");
    let (_, profile) = manifest.split_once("[profile.dist]").expect("a profile for what is handed out");
    let profile = profile.split("\n[").next().unwrap_or_default();
    for line in ["inherits = \"release\"", "strip = \"symbols\"", "debug = false"] {
        assert!(profile.lines().any(|has| has.starts_with(line)), "[profile.dist] lacks {line}:{profile}");
    }
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("cargo build --profile dist "), "{dockerfile}");
    assert!(dockerfile.contains("/src/target/dist/detour "), "{dockerfile}");
}

/// Who has nothing but the number of an RCODE finds what it means, and where the reason is.
#[test]
fn the_page_on_updates_says_where_the_reason_of_a_refusal_is() {
    let page = read("docs/updates.md");
    for said in ["`rc: 5`", "5 is REFUSED", "extended error (RFC 8914) has the reason", "`detour history`"] {
        assert!(page.contains(said), "docs/updates.md does not say {said}");
    }
}

#[test]
fn the_pages_link_to_files_that_exist() {
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "RELEASING.md",
        "SECURITY.md",
        "docs/alerts.md",
        "docs/api.md",
        "docs/configuration.md",
        "docs/knowing.md",
        "docs/report.md",
        "docs/top.md",
        "docs/zones.md",
    ];
    for page in pages {
        let folder = Path::new(ROOT).join(page).parent().unwrap().to_owned();
        for target in rules::links(&read(page)) {
            assert!(folder.join(&target).exists(), "{page} links to {target}, which does not exist");
        }
        for place in rules::places_named(&read(page)) {
            assert!(Path::new(ROOT).join(&place).exists(), "{page} names {place}, which does not exist");
        }
    }
}

/// Whoever copies the quick start gets what `detour check` accepts.
#[test]
fn the_quick_start_passes_check() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    for (name, start) in [("detour.toml", "[server]"), ("gslb.example.org.zone", "$TTL")] {
        let block = rules::code_block(&readme, |body| body.starts_with(start));
        fs::write(folder.path().join(name), block.unwrap_or_else(|| panic!("no block begins with {start}")))
            .unwrap();
    }
    let check = Command::new(env!("CARGO_BIN_EXE_detour"))
        .args(["check", "-c"])
        .arg(folder.path().join("detour.toml"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
    assert!(String::from_utf8_lossy(&check.stdout).contains("no warnings"), "{check:?}");
}

#[test]
fn the_readme_opens_with_the_two_commands() {
    let readme = read("README.md");
    for command in ["cargo run --release -- demo", "./test"] {
        assert!(readme.lines().any(|line| line == command), "README.md does not show `{command}`");
    }
    assert!(Path::new(ROOT).join("test").exists());
}

/// The checker itself: each rule breaks on what it forbids and is silent on what it allows.
mod checker {
    use super::*;

    fn check(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str, lines: &[usize]) {
        let found = rule(&Source::new(path, text));
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), lines, "{path}:\n{text}\n{found:?}");
    }

    #[test]
    fn edges() {
        let check = |path, text, lines| check(rules::edges, path, text, lines);
        check("src/health/tracker.rs", "use crate::model::CheckKey;\nuse crate::engine::Event;\n", &[2]);
        check("src/zone/x.rs", "fn f() {\n    crate::health::g();\n}\n", &[2]);
        check("src/answer/x.rs", "use crate::{\n    zone::Name,\n    health::{self, Health},\n};\n", &[3, 3]);
        check("src/probe/x.rs", "use crate::engine::Pace;\nuse crate::engine::{Event, Pace};\n", &[2]);
        check("src/zone/x.rs", "// crate::health\nconst S: &str = \"crate::health\";\n", &[]);
        check("src/zone/x.rs", "pub(crate) fn f() {}\nuse crate::dns::Name;\n", &[]);
        check("src/daemon/mod.rs", "use crate::engine::Event;\n", &[]);
        check("src/newroom/mod.rs", "", &[1]);
        check("tests/sim.rs", "use crate::anything::at_all;\n", &[]);
    }

    #[test]
    fn circles() {
        let check = |files: &[(&str, &str)], want: &[&[&str]]| {
            let files: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
            assert_eq!(super::circles(&files), want);
        };
        let (a, b) = ("src/room/a.rs", "src/room/b.rs");
        check(&[(a, "use super::b::B;\n"), (b, "pub struct B;\n")], &[]);
        check(&[(a, "use super::b::B;\n"), (b, "fn f() {\n    crate::room::a::g();\n}\n")], &[&[a, b]]);
        // By what the room's first file hands on, by name or all of it.
        let named = ("src/room/mod.rs", "mod a;\nmod b;\npub use a::A;\npub use b::{\n    B,\n};\n");
        check(&[named, (a, "use super::B;\npub struct A;\n"), (b, "use super::A;\n")], &[&[a, b]]);
        let all = ("src/room/mod.rs", "mod a;\nmod b;\npub use a::*;\npub use b::*;\n");
        let two = [(a, "use crate::room::B;\npub struct A;\n"), (b, "use super::A;\npub enum B {}\n")];
        check(&[all, two[0], two[1]], &[&[a, b]]);
        // The first file stands for the room.
        let first = ("src/room/mod.rs", "mod a;\npub const N: u8 = 1;\nfn f() {\n    self::a::g();\n}\n");
        check(&[first, (a, "use super::N;\n")], &[]);
        let tested = "use super::b::B;\n#[cfg(test)]\nmod tests;\n";
        check(&[(a, tested), (b, "use super::a::A;\n")], &[&[a, b]]);
        // A ring of three; tests, and other rooms, do not count.
        let c = ("src/room/c.rs", "use super::a::A;\n");
        check(&[(a, "use super::b::B;\n"), (b, "use super::c::C;\n"), c], &[&[a, b, "src/room/c.rs"]]);
        let test = "#[cfg(test)]\nmod tests {\n    use crate::room::a::A;\n}\n";
        check(&[(a, "use super::b::B;\n"), (b, test)], &[]);
        check(&[(a, "use crate::other::B;\n"), ("src/other/mod.rs", "use crate::room::a::A;\n")], &[]);
    }

    #[test]
    fn supers() {
        let check = |path, text, lines| check(rules::supers, path, text, lines);
        check("src/zone/mod.rs", "use super::health::Health;\n", &[1]);
        check("src/dns/name.rs", "use super::Name;\nuse super::super::health::Health;\n", &[2]);
        check(
            "src/dns/name.rs",
            "#[cfg(test)]\nmod tests {\n    use super::*;\n    use super::super::Zone;\n}\n",
            &[],
        );
    }

    #[test]
    fn purity() {
        let check = |path, text, lines| check(rules::purity, path, text, lines);
        check("src/zone/x.rs", "use std::fs;\n", &[1]);
        check("src/engine/x.rs", "use std::{collections::BTreeMap, time::{Duration, Instant}};\n", &[1]);
        check("src/policy/x.rs", "fn f() { tokio::spawn(g()); }\n", &[1]);
        check("src/health/x.rs", "use std::net::{IpAddr, UdpSocket};\n", &[1]);
        check(
            "src/answer/x.rs",
            "fn f() { std::thread::sleep(d); }\nfn g() { std::env::var(\"X\"); }\n",
            &[1, 2],
        );
        check("src/zone/x.rs", "use std::net::IpAddr; // never a UdpSocket\n", &[]);
        check("src/zone/x.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nuse std::fs;\n", &[5]);
        check("src/server/x.rs", "use std::net::UdpSocket;\n", &[]);
    }

    #[test]
    fn clocks() {
        let check = |path, text, lines| check(rules::clocks, path, text, lines);
        check("src/state/x.rs", "fn f() {\n    Instant::now()\n}\n", &[2]);
        check("src/state/x.rs", "let t = std::time::SystemTime::now();\n", &[1]);
        check("src/probe/x.rs", "let t = Instant::now();\n", &[]);
        check("src/state/x.rs", "let t = clock.now();\n", &[]);
    }

    #[test]
    fn unsafety() {
        let check = |path, text, lines| check(rules::unsafety, path, text, lines);
        check("src/zone/x.rs", "// SAFETY: no.\nunsafe { f() }\n", &[2]);
        check("src/server/x.rs", "let x = 1;\nunsafe { f() }\n", &[2]);
        check("src/server/x.rs", "// SAFETY: it was checked\n// above.\nunsafe { f() }\n", &[]);
        check("src/server/x.rs", "// SAFETY: stale.\n\nunsafe { f() }\n", &[3]);
        check("src/zone/x.rs", "#![allow(unsafe_code)]\n// unsafe\nlet s = \"unsafe\";\n", &[]);
    }

    #[test]
    fn unfinished() {
        let check = |text: &str, lines| check(rules::unfinished, "tests/x.rs", text, lines);
        check(concat!("// TO", "DO: later\n"), &[1]);
        check(concat!("/* FIX", "ME */\n"), &[1]);
        check("fn f() {\n    todo!()\n}\n", &[2]);
        check("fn f() { unimplemented!(\"x\") }\n", &[1]);
        check("#[ignore = \"slow\"]\n#[test]\nfn f() {}\n", &[1]);
        check("const S: &str = \"todo!\"; // a to-do list\n", &[]);
    }

    #[test]
    fn functions() {
        let body = |lines: usize| "    f();\n".repeat(lines);
        let check = |text: String, lines: &[usize]| check(rules::functions, "src/zone/x.rs", &text, lines);
        check(format!("fn short() {{\n{}}}\n", body(78)), &[]);
        check(format!("fn a();\nfn long(of: [u8; 2]) -> u8 {{\n{}}}\nfn b() {{}}\n", body(79)), &[2]);
        check(format!("type F = fn(u8);\nstruct S {{\n{}}}\n", body(90)), &[]);
        check(format!("#[cfg(test)]\nmod tests {{\nfn long() {{\n{}}}\n}}\n", body(90)), &[]);
    }

    #[test]
    fn length_and_header() {
        check(rules::length, "src/zone/x.rs", &"\n".repeat(599), &[]);
        check(rules::length, "src/zone/x.rs", &"\n".repeat(600), &[601]);
        check(rules::header, "src/zone/mod.rs", "mod x;\n", &[1]);
        check(rules::header, "src/zone/mod.rs", "//! Zones.\nmod x;\n", &[]);
    }

    #[test]
    fn proofs() {
        let check = |text, lines| check(rules::proofs, "src/zone/x.rs", text, lines);
        check("fn f() {\n    x.unwrap();\n}\n", &[2]);
        check("fn f() {\n    x.expect(\"it is there\");\n}\n", &[2]);
        check("let y = x\n    .first()\n    .unwrap();\n", &[3]);
        check("let y = x.unwrap(); // x was filled above\n", &[]);
        check("// x was filled above\nlet y = x\n    .first()\n    .unwrap();\n", &[]);
        check("// about z\nlet z = 1;\nlet y = x.unwrap();\n", &[3]);
        check("#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap() }\n}\n", &[]);
        check("let y = x.unwrap_or(1);\nself.expect(Token::Comma);\n", &[]);
    }

    #[test]
    fn literals_do_not_hide_code() {
        let check = |text, lines| check(rules::clocks, "src/state/x.rs", text, lines);
        check("let q = '\"';\nInstant::now();\nlet r = '\"';\n", &[2]);
        check("let q = b'\\'';\nInstant::now();\n", &[2]);
        check("let q = r#\"\" Instant::now() \"#;\nInstant::now();\n", &[2]);
        check("fn f<'a>(x: &'a str) { Instant::now(); }\n", &[1]);
        check("/* /* */ Instant::now() */ Instant::now();\n", &[1]);
        check("let s = \"\\\\\"; Instant::now();\n", &[1]);
    }

    #[test]
    fn test_modules_in_files_of_their_own() {
        let parent = Source::new("src/state/mod.rs", "mod store;\n#[cfg(test)]\nmod kill;\n");
        assert_eq!(parent.test_modules(), ["src/state/kill"]);
        let leaf = Source::new("src/state/store.rs", "#[cfg(test)] mod tests;\n");
        assert_eq!(leaf.test_modules(), ["src/state/store/tests"]);
        let check = |path, findings| {
            let mut source = Source::new(path, "x.unwrap();\n");
            source.mark_tests(&parent.test_modules());
            assert_eq!(rules::proofs(&source).len(), findings, "{path}");
        };
        check("src/state/kill.rs", 0);
        check("src/state/kill/child.rs", 0);
        check("src/state/killer.rs", 1);
        check("src/state/store.rs", 1);
    }

    #[test]
    fn dependencies() {
        let check = |text, lines: &[usize]| {
            assert_eq!(rules::dependencies(text).iter().map(|f| f.0).collect::<Vec<_>>(), lines, "{text}");
        };
        check("[dependencies]\nserde = \"1\"\n", &[2]);
        check("[dev-dependencies]\nserde = \"1\" # why\n", &[]);
        check("[profile.dev]\ndebug = 1\n", &[]);
    }

    #[test]
    fn pages() {
        let commands = |page| rules::commands_shown(page);
        assert_eq!(
            commands("Run `detour status`:\n```\n$ sudo detour serve -c x.toml\n```\n"),
            ["serve", "status"]
        );
        assert_eq!(
            commands("ExecStart=/usr/bin/detour serve\n`detour`, the binary; `dig detour x`\n"),
            [""; 0]
        );
        assert_eq!(
            rules::places_named("see `src/zone/`, `tests/sim/x.rs` and src/none"),
            ["src/zone/", "tests/sim/x.rs"]
        );
        let block = rules::code_block("```\nx\n```\n1. y\n   ```toml\n   [a]\n   b = 1\n   ```\n", |body| {
            body.starts_with("[a]")
        });
        assert_eq!(block.as_deref(), Some("[a]\nb = 1\n"));
        assert_eq!(rules::links("[a](docs/x.md#part) [b](https://x.org/) [c](#here)"), ["docs/x.md"]);
    }
}

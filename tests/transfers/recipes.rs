//! The configurations of other servers in docs/transfers.md, read by those servers.

use std::process::Command;

const DOCUMENT: &str = include_str!("../../docs/transfers.md");

/// The indented lines that follow on the first line that begins like this, without what indents them.
pub fn after(heading: &str) -> String {
    let lines = DOCUMENT.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    let lines = lines.skip_while(|line| !line.starts_with("    "));
    let recipe = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    let recipe: Vec<&str> = recipe.map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let recipe = recipe.join("\n") + "\n";
    assert!(!recipe.trim().is_empty(), "docs/transfers.md has nothing after {heading:?}");
    recipe.replace("secret \"...\"", "secret \"c2VjcmV0\"").replace("secret: \"...\"", "secret: \"c2VjcmV0\"")
}

fn checks(program: &str, args: &[&str], config: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("catalog")).unwrap();
    let config = config.replace("HERE", &folder.path().display().to_string());
    std::fs::write(folder.path().join("server.conf"), &config).unwrap();
    let checker = Command::new(program).args(args).current_dir(folder.path()).output();
    let checker = checker.expect("the checker runs; ./test installs it");
    let said =
        [checker.stdout, checker.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(checker.status.success(), "{program}: {said}\n{config}");
}

#[test]
fn bind_reads_what_the_documentation_gives_it() {
    let zones = after("BIND:");
    checks("named-checkconf", &["server.conf"], &zones);
    let catalog = "zone \"catalog.example\" { type secondary; file \"catalog.db\"; primaries { 192.0.2.53 key \"xfr\"; }; };";
    let options = format!("options {{ directory \"HERE\"; {} }};", after("At BIND, in `options`"));
    checks("named-checkconf", &["server.conf"], &format!("{options}\n{zones}\n{catalog}\n"));
}

#[test]
fn knot_reads_what_the_documentation_gives_it() {
    let (zones, catalog) = (after("Knot DNS:"), after("At Knot DNS:"));
    for config in [zones.clone(), zones + &catalog] {
        let config = format!("database:\n    storage: \"HERE\"\n{config}");
        checks("knotc", &["-c", "server.conf", "conf-check"], &config);
    }
}

#[test]
fn nsd_reads_what_the_documentation_gives_it() {
    checks("nsd-checkconf", &["server.conf"], &after("NSD:"));
}

//! Configurations with one thing wrong in them, and what is reported.

use crate::{Folder, HEAD, ZONE, folder};

/// What a service needs besides its name.
pub const END: &str = r#"probes = ["web"]
endpoints = [{ site = "fra", addresses = ["192.0.2.10"] }]
"#;

/// The report of a configuration whose service begins with `lines`, from line 13 on.
pub fn service(lines: &str) -> String {
    folder(&format!("[[service]]\n{lines}\n{END}")).report()
}

/// The report of a configuration whose service has these endpoints, on line 16.
pub fn endpoints(list: &str) -> String {
    let service = "[[service]]\nname = \"app.example.com\"\nprobes = [\"web\"]\n";
    folder(&format!("{service}endpoints = [{list}]\n")).report()
}

/// The report of a configuration whose tcp probe has these keys, from line 10 on.
pub fn probe(keys: &str) -> String {
    let text = HEAD.replace("port = 5432\n", &format!("port = 5432\n{keys}\n"));
    Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report()
}

/// The report of a configuration whose http probe has these keys, from line 5 on.
pub fn http(keys: &str) -> String {
    let text = HEAD.replace("host = \"app.example.com\"\n", &format!("{keys}\n"));
    Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report()
}

/// The report of a configuration that has these lines, and nothing wrong in what comes after them.
pub fn first(lines: &str) -> String {
    Folder::new(&[("detour.toml", &format!("{lines}\n{HEAD}")), ("example.com.zone", ZONE)]).report()
}

#[track_caller]
pub fn check(report: &str, expect: &str) {
    assert_eq!(report, expect.trim_matches('\n'), "\n{report}\n");
}

/// That the report is one problem, and begins like this.
#[track_caller]
pub fn check_head(report: &str, expect: &str) {
    assert_eq!(report.lines().next(), Some(expect), "\n{report}\n");
    assert_eq!(report.matches(" error: ").count(), 1, "\n{report}\n");
}

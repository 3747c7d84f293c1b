//! Tables of master files: what they mean, and what is said of them.

mod checks;
mod files;
mod generate;
mod properties;
mod rdata;
mod syntax;

use super::{Problem, parse};
use crate::zone::Zone;

type Parsed = Result<(Zone, Vec<Problem>), Vec<Problem>>;

/// A SOA and NS on three lines, so that what a test adds begins on line 4.
const APEX: &str = "$TTL 1h\n@ SOA ns.example.net. host 1 2h 1h 1w 5m\n@ NS ns.example.net.\n";

/// Reads a file of zone example.com; there is nothing to include.
fn parsed(text: impl AsRef<[u8]>) -> Parsed {
    let none = &mut |path: &str| Err(format!("there is no {path}"));
    parse(&"example.com".parse().unwrap(), "zone", text.as_ref(), none)
}

/// Every record of a zone as a line, those of the SOA and apex NS of [`APEX`] left out.
fn lines(zone: &Zone) -> Vec<String> {
    let lines = zone.rrsets().flat_map(|set| set.to_rrset().to_lines().collect::<Vec<_>>());
    let apex = ["example.com. 3600 IN SOA ns.example.net. host.", "example.com. 3600 IN NS ns.example.net."];
    lines.filter(|line| !apex.iter().any(|start| line.starts_with(start))).collect()
}

/// The zone's text, read again, is the zone.
fn check_printed(zone: &Zone) {
    let all = zone.rrsets().flat_map(|set| set.to_rrset().to_lines().collect::<Vec<_>>());
    let text: String = all.map(|line| line + "\n").collect();
    let (again, _) = parsed(&text).map_err(|all| told(&all)).expect(&text);
    assert_eq!((again.fingerprint(), again.len()), (zone.fingerprint(), zone.len()), "{text}");
    for set in zone.rrsets().map(|set| set.to_rrset()) {
        assert_eq!(again.rrset(&set.owner, set.rtype), Some(set), "{text}");
    }
}

/// The problems, each as one line without the source.
fn told(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| problem.to_string().lines().next().unwrap().to_owned()).collect()
}

/// What follows [`APEX`] makes these records, and nothing is said of them.
fn check_records(text: &str, want: &[&str]) {
    let (zone, warnings) = parsed(format!("{APEX}{text}")).map_err(|all| told(&all)).expect(text);
    assert_eq!(lines(&zone), want, "{text}");
    assert_eq!(told(&warnings), [""; 0], "{text}");
}

/// What follows [`APEX`] is refused, with exactly these problems.
fn check_errors(text: &str, want: &[&str]) {
    let problems = parsed(format!("{APEX}{text}")).expect_err(text);
    assert_eq!(told(&problems), want, "{text}");
}

/// What follows [`APEX`] is taken, with exactly these warnings.
fn check_warnings(text: &str, want: &[&str]) {
    let (_, warnings) = parsed(format!("{APEX}{text}")).map_err(|all| told(&all)).expect(text);
    assert_eq!(told(&warnings), want, "{text}");
}

//! From checks to a place, and from places to an endpoint.

use super::{Finding, Health};

/// Whether a place or an endpoint in this health can be answered with.
pub fn works(health: Health) -> bool {
    matches!(health, Health::Up | Health::Suspect)
}

/// One place under all its probes, each named for the text: all must pass. Down if any is Down; else
/// Unknown if any is Unknown, since a probe that must pass has not; else Suspect if any is Suspect.
pub fn place(checks: &[(&str, &Finding)]) -> Finding {
    let worst = [Health::Down, Health::Unknown, Health::Suspect, Health::Up]
        .into_iter()
        .find(|&health| checks.iter().any(|(_, found)| found.health == health))
        .unwrap_or_default();
    let of = || checks.iter().filter(|(_, found)| found.health == worst);
    let since = match worst {
        // All must pass: it is Up since the last of them is.
        Health::Up => of().map(|(_, found)| found.since).max(),
        _ => of().map(|(_, found)| found.since).min(),
    };
    let because = match (of().next(), checks.len()) {
        (Some((probe, found)), 2..) if !found.because.is_empty() => format!("{probe}: {}", found.because),
        (found, _) => found.map_or_else(String::new, |(_, found)| found.because.clone()),
    };
    Finding { health: worst, since: since.unwrap_or_default(), because }
}

/// One endpoint over its places: it works as long as one of them does. Up if any is Up; else Suspect
/// if any is Suspect; else Down if any is Down. A place that is Unknown has no say beside one that
/// is not: on a host without IPv6, IPv4 alone decides.
pub fn endpoint(places: &[Finding]) -> Finding {
    let best = [Health::Up, Health::Suspect, Health::Down]
        .into_iter()
        .find(|&health| places.iter().any(|found| found.health == health))
        .unwrap_or_default();
    let of = || places.iter().filter(|found| found.health == best);
    let since = match best {
        Health::Down => of().map(|found| found.since).max(),
        _ => of().map(|found| found.since).min(),
    };
    let because = of().next().map_or_else(String::new, |found| found.because.clone());
    Finding { health: best, since: since.unwrap_or_default(), because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    fn found(letter: char, since: u64) -> Finding {
        let health = match letter {
            'U' => Health::Up,
            'S' => Health::Suspect,
            'D' => Health::Down,
            _ => Health::Unknown,
        };
        Finding { health, since: Time(since), because: letter.to_string() }
    }

    fn row(letters: &str) -> Vec<Finding> {
        (1..).zip(letters.chars()).map(|(since, letter)| found(letter, since)).collect()
    }

    #[test]
    fn every_probe_of_a_place_must_pass() {
        let check = |letters: &str, expect: char, since: u64, because: &str| {
            let row = row(letters);
            let named: Vec<_> = row.iter().map(|found| ("web", found)).collect();
            let got = place(&named);
            let want = Finding { because: because.to_owned(), ..found(expect, since) };
            assert_eq!(got, want, "{letters}");
        };
        check("U", 'U', 1, "U");
        check("UU", 'U', 2, "web: U");
        check("US", 'S', 2, "web: S");
        check("S?", '?', 2, "web: ?");
        check("?UD", 'D', 3, "web: D");
    }

    #[test]
    fn an_endpoint_works_as_long_as_one_place_does() {
        let check = |letters: &str, expect: char, since: u64| {
            assert_eq!(endpoint(&row(letters)), found(expect, since), "{letters}");
        };
        check("UU", 'U', 1);
        check("DU", 'U', 2);
        check("DS?", 'S', 2);
        check("DD", 'D', 2);
        check("D?", 'D', 1);
        assert_eq!(endpoint(&row("??")).health, Health::Unknown);
    }
}

//! From checks to a place, and from places to an endpoint.

use super::{Finding, Health};
use crate::model::ProbeTree;
use crate::time::Time;

/// Whether a place or an endpoint in this health can be answered with.
pub fn works(health: Health) -> bool {
    matches!(health, Health::Up | Health::Suspect)
}

/// How many of the probes that decided are named in one text.
const MAX_NAMED: usize = 3;

/// One place under the probes of a service. `checks` are what is known of the leaves of `probes`, from
/// left to right; `None` is as good as Unknown.
///
/// At least `k` of `n` is as healthy as the `k`-th healthiest of them, from Up over Suspect and Unknown
/// to Down. In words, with "works" for Up or Suspect:
///
/// | it is | where | all (k = n) | any (k = 1) |
/// | --- | --- | --- | --- |
/// | Up | k or more are Up | all are Up | one is Up |
/// | Suspect | else, where k or more work | else, all work | else, one works |
/// | Unknown | else, where k or more are not Down | else, none is Down | else, one is not Down |
/// | Down | fewer than k can still be working | one is Down | all are Down |
///
/// So one that gets healthier never makes the whole less healthy, however deep it lies.
pub fn place(probes: &ProbeTree, checks: &[Option<&Finding>]) -> Finding {
    let named = checks.len() > 1;
    combined(probes, named, &mut checks.iter())
}

fn combined(probes: &ProbeTree, named: bool, checks: &mut std::slice::Iter<Option<&Finding>>) -> Finding {
    match probes {
        ProbeTree::One(probe) => {
            let mut found = checks.next().copied().flatten().cloned().unwrap_or_default();
            if named && !found.because.is_empty() {
                found.because = format!("{}: {}", probe.id, found.because);
            }
            found
        }
        ProbeTree::AtLeast { need, of } => {
            let of: Vec<Finding> = of.iter().map(|probes| combined(probes, named, checks)).collect();
            at_least(*need, &of)
        }
    }
}

/// From what works best to what does not: the order a combination counts by.
fn rank(health: Health) -> u8 {
    match health {
        Health::Up => 0,
        Health::Suspect => 1,
        Health::Unknown => 2,
        Health::Down => 3,
    }
}

fn at_least(need: usize, of: &[Finding]) -> Finding {
    let mut ranked: Vec<Health> = of.iter().map(|found| found.health).collect();
    ranked.sort_by_key(|&health| rank(health));
    let Some(&health) = need.checked_sub(1).and_then(|at| ranked.get(at)) else {
        return Finding::default(); // a combination of none, which no configuration has
    };
    // What made it so: where it is Up, the `need` that are; else those that keep it from being better,
    // of which it takes one more than can be spared.
    let decides = |found: &&Finding| match health {
        Health::Up => found.health == health,
        _ => rank(found.health) >= rank(health),
    };
    let decisive: Vec<&Finding> = of.iter().filter(decides).collect();
    let count = if health == Health::Up { need } else { of.len() - need + 1 };
    let mut since: Vec<Time> = decisive.iter().map(|found| found.since).collect();
    since.sort_unstable();
    let since = since.get(count - 1).copied().unwrap_or_default();
    // One is enough to say why all is well.
    let said = if health == Health::Up { 1 } else { count };
    Finding { health, since, because: because(&decisive, said) }
}

/// The first `count` reasons.
fn because(decisive: &[&Finding], count: usize) -> String {
    let reasons = decisive.iter().take(count).map(|found| &*found.because).filter(|text| !text.is_empty());
    let reasons: Vec<&str> = reasons.collect();
    let told = reasons[..reasons.len().min(MAX_NAMED)].join("; ");
    match reasons.len().saturating_sub(MAX_NAMED) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
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
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Probe, ProbeKind, TcpProbe, Thresholds};

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

    /// A tree of probes `a`, `b`, ... from a text like `2 a b (1 c d)`: how many are needed, and of what.
    fn tree(text: &str) -> ProbeTree {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        branch(&mut words.iter().copied())
    }

    fn branch<'a>(words: &mut impl Iterator<Item = &'a str>) -> ProbeTree {
        let need = words.next().unwrap().parse().unwrap();
        let mut of = Vec::new();
        while let Some(word) = words.next() {
            match word {
                "(" => of.push(branch(words)),
                ")" => break,
                id => of.push(ProbeTree::One(probe(id))),
            }
        }
        ProbeTree::AtLeast { need, of }
    }

    fn probe(id: &str) -> Arc<Probe> {
        let second = Duration::from_secs(1);
        Arc::new(Probe {
            id: id.into(),
            kind: ProbeKind::Tcp(TcpProbe::default()),
            port: 80,
            interval: second,
            confirm: second,
            timeout: second,
            thresholds: Thresholds { fall: 3, rise: 2, window: None },
            watch: false,
            damping: None,
        })
    }

    fn under(probes: &ProbeTree, letters: &str) -> Finding {
        let row = row(letters);
        place(probes, &row.iter().map(Some).collect::<Vec<_>>())
    }

    fn check(probes: &str, letters: &str, expect: char, since: u64, because: &str) {
        let got = under(&tree(probes), letters);
        let want = Finding { because: because.to_owned(), ..found(expect, since) };
        assert_eq!(got, want, "{probes}: {letters}");
    }

    #[test]
    fn every_probe_of_a_list_must_pass() {
        assert_eq!(under(&ProbeTree::One(probe("a")), "U"), found('U', 1), "one alone needs no name");
        check("2 a b", "UU", 'U', 2, "a: U");
        check("2 a b", "US", 'S', 2, "b: S");
        check("2 a b", "S?", '?', 2, "b: ?");
        check("3 a b c", "?UD", 'D', 3, "c: D");
        check("3 a b c", "DUD", 'D', 1, "a: D");
    }

    #[test]
    fn any_probe_is_enough() {
        check("1 a b", "UU", 'U', 1, "a: U");
        check("1 a b", "DU", 'U', 2, "b: U");
        check("1 a b", "S?", 'S', 2, "a: S; b: ?");
        check("1 a b", "D?", '?', 2, "a: D; b: ?");
        check("1 a b", "DD", 'D', 2, "a: D; b: D");
        check("1 a b c d e", "DDDDD", 'D', 5, "a: D; b: D; c: D; and 2 more");
    }

    #[test]
    fn two_of_three() {
        check("2 a b c", "UUD", 'U', 2, "a: U");
        check("2 a b c", "DUU", 'U', 3, "b: U");
        check("2 a b c", "USD", 'S', 3, "b: S; c: D"); // without b two would fail
        check("2 a b c", "SSU", 'S', 2, "a: S; b: S");
        check("2 a b c", "U?D", '?', 3, "b: ?; c: D"); // b may yet be the second
        check("2 a b c", "U??", '?', 3, "b: ?; c: ?");
        check("2 a b c", "DUD", 'D', 3, "a: D; c: D");
        check("2 a b c", "D?D", 'D', 3, "a: D; c: D");
    }

    #[test]
    fn combinations_lie_in_one_another() {
        let probes = "2 a (1 b c)";
        check(probes, "UDU", 'U', 3, "a: U");
        check(probes, "USD", 'S', 3, "b: S; c: D");
        check(probes, "UDD", 'D', 3, "b: D; c: D");
        check(probes, "DUU", 'D', 1, "a: D");
        assert_eq!(tree("2 a (1 b c) (2 d e f)").to_string(), "2 of (a, any of (b, c), 2 of (d, e, f))");
        assert_eq!(tree("2 a b").to_string(), "all of (a, b)");
    }

    fn trees() -> impl Strategy<Value = ProbeTree> {
        let leaf = Just(()).prop_map(|()| ProbeTree::One(probe("p")));
        leaf.prop_recursive(3, 16, 4, |inner| {
            vec(inner, 1..=4).prop_flat_map(|of| {
                (1..=of.len()).prop_map(move |need| ProbeTree::AtLeast { need, of: of.clone() })
            })
        })
    }

    proptest! {
        #[test]
        fn a_healthier_probe_never_makes_the_place_sicker(
            probes in trees(),
            healths in vec(0_usize..4, 64),
            at in any::<prop::sample::Index>(),
        ) {
            let sickest_last = "US?D";
            let count = probes.leaves().count();
            let letter = |rank: &usize| sickest_last.as_bytes()[*rank] as char;
            let mut ranks = healths[..count].to_vec();
            let before = under(&probes, &ranks.iter().map(letter).collect::<String>());
            let at = at.index(count);
            ranks[at] = ranks[at].saturating_sub(1);
            let after = under(&probes, &ranks.iter().map(letter).collect::<String>());
            prop_assert!(rank(after.health) <= rank(before.health), "{probes}: {before:?}, then {after:?}");
        }

        #[test]
        fn probes_of_one_health_make_a_place_of_that_health(probes in trees(), health in 0_usize..4) {
            let letter = &"US?D"[health..=health];
            let got = under(&probes, &letter.repeat(probes.leaves().count()));
            prop_assert_eq!(got.health, row(letter)[0].health);
        }
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

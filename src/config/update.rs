//! A zone's `update`: who may change what of it by UPDATE (RFC 2136).

use std::net::IpAddr;

use toml::Spanned;

use super::UpdateRule;
use super::access::network;
use super::error::{ConfigError, short};
use super::keys::DraftKeys;
use super::report::Findings;
use super::section::{Item, Reported, Section};
use crate::dns::{Name, RrType};

/// The most rules of one zone.
const MAX_RULES: usize = 1_000;
/// The most names, or types, of one rule.
const MAX_LISTED: usize = 1_000;

/// The rules of the zone of `apex`.
pub(super) fn read(
    item: Item,
    apex: &Name,
    keys: &DraftKeys,
    findings: &mut Findings,
) -> Result<Vec<UpdateRule>, Reported> {
    let elements = item.elements("update rules", MAX_RULES, findings)?;
    let rules: Vec<_> = elements.map(|item| rule(item, apex, keys, findings)).collect();
    rules.into_iter().collect()
}

fn rule(item: Item, apex: &Name, keys: &DraftKeys, findings: &mut Findings) -> Result<UpdateRule, Reported> {
    let mut section = Section::of("update".to_owned(), item, findings)?;
    let key = section.read("key", findings, |item, findings| keys.find(item, findings));
    let from = section.read("from", findings, network);
    let names = section.read("names", findings, |item, findings| {
        item.list("names", MAX_LISTED, findings, |item, findings| pattern(item, apex, findings))
    });
    let types =
        section.read("types", findings, |item, findings| item.list("types", MAX_LISTED, findings, rtype));
    let nobody = matches!((&key, &from), (Ok(None), Ok(None)));
    if nobody {
        section.missing("key", "key = \"NAME\" of a [keys.NAME], or from = \"192.0.2.0/24\"", findings);
    }
    section.finish(findings);
    if nobody {
        return Err(Reported);
    }
    Ok(UpdateRule {
        key: key?.map(Spanned::into_inner),
        from: from?.map(Spanned::into_inner),
        names: listed(names?),
        types: listed(types?),
    })
}

fn listed<T>(list: Option<Spanned<Vec<Spanned<T>>>>) -> Vec<T> {
    list.into_iter().flat_map(Spanned::into_inner).map(Spanned::into_inner).collect()
}

fn pattern(item: Item, apex: &Name, findings: &mut Findings) -> Result<Wild, Reported> {
    let text = item.text("a name", findings)?;
    let read = Name::parse(text.as_bytes(), apex);
    let name = read.map_err(|why| item.wrong(ConfigError::BadName { text: short(text), why }, findings))?;
    if !name.is_at_or_below(apex) {
        let (wanted, example) = ("a name in its zone", "\"_acme-challenge.*\", relative to the zone");
        return Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings));
    }
    Ok(Wild::new(name))
}

fn rtype(item: Item, findings: &mut Findings) -> Result<RrType, Reported> {
    let text = item.text("a type", findings)?;
    text.parse().map_err(|_| {
        let (wanted, example) = ("a record type", "\"TXT\" or \"TYPE65280\"");
        item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings)
    })
}

impl UpdateRule {
    /// Whether it is about this sender at all.
    pub fn is_for(&self, key: Option<&Name>, from: IpAddr) -> bool {
        self.key.as_ref().is_none_or(|wanted| key == Some(wanted))
            && self.from.is_none_or(|network| network.holds(from))
    }

    /// Whether it allows records of this owner and type to come and go.
    pub fn allows(&self, owner: &Name, rtype: RrType) -> bool {
        let shapes = matches!(rtype, RrType::SOA | RrType::NS | RrType::DNAME);
        (self.types.contains(&rtype) || self.types.is_empty() && !shapes)
            && (self.names.is_empty() || self.names.iter().any(|pattern| pattern.matches(owner)))
    }
}

/// Names of which each label `*` stands for any labels, or for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wild(Name);

impl Wild {
    /// As given by a name with such labels.
    pub fn new(name: Name) -> Wild {
        Wild(name)
    }

    /// Whether a name is one of them.
    pub fn matches(&self, name: &Name) -> bool {
        let (pattern, labels): (Vec<_>, Vec<_>) = (self.0.labels().collect(), name.labels().collect());
        // Which beginnings of the pattern can stand for the labels so far: bounded by both lengths.
        let mut open = vec![false; pattern.len() + 1];
        open[0] = true;
        spread(&pattern, &mut open);
        for label in labels {
            let mut next = vec![false; pattern.len() + 1];
            for (at, wanted) in pattern.iter().enumerate().filter(|(at, _)| open[*at]) {
                if *wanted == b"*" {
                    next[at] = true;
                } else if *wanted == label {
                    next[at + 1] = true;
                }
            }
            spread(&pattern, &mut next);
            open = next;
        }
        open[pattern.len()]
    }
}

/// A star may stand for nothing.
fn spread(pattern: &[&[u8]], open: &mut [bool]) {
    for (at, label) in pattern.iter().enumerate() {
        if *label == b"*" && open[at] {
            open[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_labels_and_for_none() {
        let apex: Name = "example.com".parse().unwrap();
        let check = |pattern: &str, name: &str, want: bool| {
            let wild = Wild::new(Name::parse(pattern.as_bytes(), &apex).unwrap());
            let name = Name::parse(name.as_bytes(), &apex).unwrap();
            assert_eq!(wild.matches(&name), want, "{pattern} {name}");
        };
        for (name, want) in [
            ("_acme-challenge", true),
            ("_acme-challenge.www", true),
            ("_acme-challenge.a.b", true),
            ("www", false),
            ("x._acme-challenge.www", false),
            ("@", false),
        ] {
            check("_acme-challenge.*", name, want);
        }
        for (name, want) in
            [("dyn", true), ("a.dyn", true), ("a.b.dyn", true), ("dyn.a", false), ("@", false)]
        {
            check("*.dyn", name, want);
        }
        for name in ["@", "a", "a.b", "*"] {
            check("*", name, true);
        }
        check("www", "www", true);
        check("www", "a.www", false);
        check("@", "@", true);
        check("*.a.*.b", "a.x.b", true);
        check("*.a.*.b", "x.a.b", true);
        check("*.a.*.b", "x.b", false);
    }

    #[test]
    fn a_rule_is_for_a_sender_and_about_names_and_types() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let rule = UpdateRule {
            key: Some(name("acme")),
            from: Some("192.0.2.0/24".parse().unwrap()),
            names: vec![Wild::new(name("_acme-challenge.*.example.com"))],
            types: vec![RrType::TXT],
        };
        let (inside, outside) = ("192.0.2.7".parse().unwrap(), "198.51.100.1".parse().unwrap());
        assert!(rule.is_for(Some(&name("acme")), inside));
        assert!(!rule.is_for(Some(&name("acme")), outside));
        assert!(!rule.is_for(Some(&name("other")), inside) && !rule.is_for(None, inside));
        assert!(rule.allows(&name("_acme-challenge.example.com"), RrType::TXT));
        assert!(!rule.allows(&name("_acme-challenge.example.com"), RrType::A));
        let all = UpdateRule { names: vec![], types: vec![], ..rule };
        assert!(all.allows(&name("www.example.com"), RrType::A));
        assert!(!all.allows(&name("example.com"), RrType::NS));
    }
}

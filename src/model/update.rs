//! Who may change what of a zone by UPDATE (RFC 2136).

use std::net::IpAddr;

use crate::dns::{Name, Network, RrType};

/// One of a zone's `update` rules. An update is allowed what any of them allows who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRule {
    /// The key it must be signed with; without one, none is asked for.
    pub key: Option<Name>,
    /// Where it must come from; without one, from anywhere.
    pub from: Option<Network>,
    /// The owners it may be about; empty: all.
    pub names: Vec<Wild>,
    /// The types it may be about; empty: all but SOA, NS and DNAME.
    pub types: Vec<RrType>,
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

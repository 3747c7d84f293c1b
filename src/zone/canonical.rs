//! A zone's records as text in one order and one form, whatever its files look like.

use super::Zone;
use super::sets::RrSetRef;
use crate::dns::name::text_of;
use crate::dns::{RrType, rdata_text, record_ttl};

/// One line for each record: SOA first, then by owner in RFC 4034's order (section 6.1), type and RDATA.
/// With `relative`, owners are relative to the apex, which the first line names.
pub fn canonical_lines(zone: &Zone, relative: bool) -> impl Iterator<Item = String> {
    let mut sets: Vec<RrSetRef<'_>> = zone.rrsets().collect();
    sets.sort_by_cached_key(|set| (set.rtype != RrType::SOA, reversed(set.owner), set.rtype));
    let apex = zone.apex().to_string();
    let origin = relative.then(|| format!("$ORIGIN {apex}"));
    let lines = sets.into_iter().flat_map(move |set| {
        let owner = text_of(set.owner);
        let owner = if relative { relative_to(&owner, &apex).to_owned() } else { owner };
        let (rtype, ttl) = (set.rtype, set.ttl);
        set.rdata().map(move |rdata| {
            let ttl = record_ttl(rtype, ttl, rdata);
            format!("{owner} {ttl} IN {rtype} {}", rdata_text(rtype, rdata))
        })
    });
    origin.into_iter().chain(lines)
}

/// The labels of a name from the last to the first.
fn reversed(mut name: &[u8]) -> Vec<&[u8]> {
    let mut labels = Vec::new();
    while let [len @ 1..=u8::MAX, rest @ ..] = name {
        let (label, rest) = rest.split_at(usize::from(*len));
        labels.push(label);
        name = rest;
    }
    labels.reverse();
    labels
}

/// Both are text of valid names, the first at or below the second.
fn relative_to<'a>(owner: &'a str, apex: &str) -> &'a str {
    match owner.strip_suffix(apex) {
        Some("") => "@",
        // Relative to the root, names lack their last dot only.
        Some(head) if apex == "." => head,
        Some(head) => head.strip_suffix('.').unwrap_or(head),
        None => owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;
    use crate::zone::parse;

    const TEXT: &str = "$TTL 60\n@ SOA ns host 1 2h 1h 1w 5m\n@ NS ns\nns A 192.0.2.1\nZ TXT z\n*.z TXT star\nyljkjljk.a A 192.0.2.2\na TXT a\nzABC.a.EXAMPLE.com. A 192.0.2.3\n\\001.z A 192.0.2.4\n";

    fn lines(relative: bool) -> Vec<String> {
        let apex: Name = "example.com".parse().unwrap();
        let (zone, _) = parse(&apex, "zone", TEXT.as_bytes(), &mut |_| Err(String::new())).unwrap();
        canonical_lines(&zone, relative).collect()
    }

    /// The example of RFC 4034 section 6.1, as far as names may stand in one zone.
    #[test]
    fn owners_come_in_canonical_order() {
        let owners: Vec<String> =
            lines(false).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        let e = |name: &str| format!("{name}example.com.");
        assert_eq!(owners, ["", "", "a.", "yljkjljk.a.", "zabc.a.", "ns.", "z.", "\\001.z.", "*.z."].map(e));
    }

    #[test]
    fn both_forms_are_read_back_as_the_zone() {
        let apex: Name = "example.com".parse().unwrap();
        let read = |text: &str| {
            parse(&apex, "zone", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0.fingerprint()
        };
        assert_eq!(read(&(lines(false).join("\n") + "\n")), read(TEXT));
        assert_eq!(read(&(lines(true).join("\n") + "\n")), read(TEXT));
        assert_eq!(lines(true)[0], "$ORIGIN example.com.");
        assert!(lines(true)[1].starts_with("@ 60 IN SOA "));
    }

    #[test]
    fn names_relative_to_the_root_keep_no_dot() {
        assert_eq!((relative_to("com.", "."), relative_to(".", ".")), ("com", "@"));
    }
}

//! A zone's `update`: who may change what of it by UPDATE (RFC 2136).

use toml::Spanned;

use super::access::network;
use super::error::{ConfigError, short};
use super::keys::DraftKeys;
use super::report::Findings;
use super::section::{Item, Reported, Section};
use crate::dns::{Name, RrType};
use crate::model::{UpdateRule, Wild};

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

//! Several probes on one service: which of them must pass.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::error::{ConfigError, short};
use super::probes::Probes;
use super::report::Findings;
use super::section::{Item, Reported, Section};
use super::values;
use crate::model::{MAX_PROBE_DEPTH, ProbeTree};

/// The most probes of one service, each mention counted.
const MAX_PROBES: usize = 16;

/// Reads `probes`: a list of which all must pass, or a table.
pub(super) fn read(item: Item, known: &Probes, findings: &mut Findings) -> Result<ProbeTree, Reported> {
    let tree = read_tree(item, known, 1, findings)?;
    if tree.leaves().count() > MAX_PROBES {
        return Err(
            item.wrong(ConfigError::TooMany { what: "probes of a service", limit: MAX_PROBES }, findings)
        );
    }
    Ok(tree)
}

fn read_tree(
    item: Item,
    known: &Probes,
    depth: usize,
    findings: &mut Findings,
) -> Result<ProbeTree, Reported> {
    if depth > MAX_PROBE_DEPTH {
        return Err(item.wrong(ConfigError::ProbesTooDeep, findings));
    }
    match item.value.get_ref() {
        DeValue::Table(_) => read_combination(item, known, depth, findings),
        DeValue::Array(_) => {
            let of = read_list(item, known, depth, findings)?;
            Ok(ProbeTree::combined(of.len(), of))
        }
        _ => {
            Err(item
                .wrong_type("a list of probes, or a table with \"all\", \"any\" or \"at_least\"", findings))
        }
    }
}

/// `{ all = [...] }`, `{ any = [...] }`, `{ at_least = 2, of = [...] }`
fn read_combination(
    item: Item,
    known: &Probes,
    depth: usize,
    findings: &mut Findings,
) -> Result<ProbeTree, Reported> {
    let mut section = Section::of("\"probes\"".to_owned(), item, findings)?;
    let list = |item: Item, findings: &mut Findings| read_list(item, known, depth, findings);
    let all = section.read("all", findings, list);
    let any = section.read("any", findings, list);
    let least = section.item("at_least");
    let of = section.read("of", findings, list);
    section.finish(findings);
    match (all?, any?, least, of?) {
        (Some(all), None, None, None) => {
            let all = all.into_inner();
            Ok(ProbeTree::combined(all.len(), all))
        }
        (None, Some(any), None, None) => Ok(ProbeTree::combined(1, any.into_inner())),
        (None, None, Some(least), Some(of)) => {
            let of = of.into_inner();
            // A list holds at most `MAX_PROBES`.
            let need = values::integer(1, of.len() as u32)(least, findings)?;
            Ok(ProbeTree::combined(need as usize, of))
        }
        _ => Err(item.wrong(ConfigError::ProbesUnclear, findings)),
    }
}

/// A list of probes and further combinations.
fn read_list(
    item: Item,
    known: &Probes,
    depth: usize,
    findings: &mut Findings,
) -> Result<Vec<ProbeTree>, Reported> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let list = item.list("probes of a service", MAX_PROBES, findings, |item, findings| {
        let DeValue::String(key) = item.value.get_ref() else {
            return match item.value.get_ref() {
                DeValue::Table(_) => read_tree(item, known, depth + 1, findings),
                _ => Err(item.wrong_type("a probe's key, or a table that combines probes", findings)),
            };
        };
        if let Some(first) = seen.get(&**key) {
            return Err(
                item.wrong(ConfigError::ListedTwice(format!("probe {:?}", short(key)), *first), findings)
            );
        }
        seen.insert(key.to_string(), findings.line(&item.value.span()));
        known.find(item, findings).map(ProbeTree::One)
    })?;
    Ok(list.into_iter().map(Spanned::into_inner).collect())
}

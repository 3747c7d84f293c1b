//! What a load would remove: a file that is half written should not become half a zone.
//!
//! In: what was loaded last, and what was read. Out: nothing where the load removes as much as
//! `server.max_loss` allows, else the counts. A record whose data or TTL changed is not removed; an RRset with fewer
//! records has lost the difference. Zones that come from primaries, and what updates remove, are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::sources::Sources;
use crate::answer::Table;
use crate::config::{Loaded, ReadZone};
use crate::dns::{Name, RrType};
use crate::model::Config;
use crate::zone::{Edits, Zone};

/// As few records as this may always go.
const MIN_LOST: usize = 10;
/// How many zones, and how many services, are named.
const MAX_NAMED: usize = 10;

/// Why a load has to be forced, as a problem of the configuration file; `None` where it has not. Blocking.
pub fn too_much(sources: &Sources, loaded: &Loaded<ReadZone>) -> Option<String> {
    let (last, table) = sources.last()?;
    let new = &loaded.config;
    let read: BTreeMap<&Name, &ReadZone> = loaded.zones.iter().map(|zone| (zone.apex(), zone)).collect();
    let mut lost = Vec::new();
    let catalog = last.config.catalog.as_ref();
    let files = last.config.zones.iter().filter(|zone| !zone.is_transferred() && Some(&zone.name) != catalog);
    for apex in files.map(|zone| &zone.name) {
        let edits = sources.edits(apex);
        let read = read.get(apex);
        let now = read.and_then(|read| read.zone());
        let is_same = match now {
            Some(zone) => edits.is_empty() && last.fingerprint(apex) == Some(zone.fingerprint()),
            None => read.is_some(),
        };
        if !is_same {
            let (gone, all) = removed(table, apex, now, edits);
            if gone >= MIN_LOST && gone * 100 > all * usize::from(new.server.loading.max_loss) {
                lost.push(format!("{gone} of the {all} records of {}", apex.bare()));
            }
        }
    }
    let kept: BTreeSet<&Name> = new.services.iter().map(|service| &service.name).collect();
    let gone = last.config.services.iter().map(|service| &service.name).filter(|name| !kept.contains(name));
    let gone: Vec<String> = gone.map(Name::bare).collect();
    if lost.is_empty() && gone.is_empty() {
        return None;
    }
    Some(problem(new, lost, &gone))
}

fn problem(config: &Config, lost: Vec<String>, gone: &[String]) -> String {
    let mut removes = lost;
    let more = removes.len().saturating_sub(MAX_NAMED);
    removes.truncate(MAX_NAMED);
    if more > 0 {
        removes.push(format!("many records of {more} more zones"));
    }
    if !gone.is_empty() {
        let named = gone.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let count = gone.len();
        let (word, rest) = (if count == 1 { "service" } else { "services" }, count.saturating_sub(MAX_NAMED));
        let mut text = format!("{count} {word} ({named}");
        if rest > 0 {
            let _ = write!(text, " and {rest} more");
        }
        removes.push(text + ")");
    }
    format!(
        "{}: error: this load would remove {}; `detour reload --force` loads it all the same",
        config.path.display(),
        removes.join(", ")
    )
}

/// How many records a zone would lose, of how many.
fn removed(table: &Table, apex: &Name, now: Option<&Zone>, edits: &Edits) -> (usize, usize) {
    let laid = now.filter(|_| !edits.is_empty()).map(|zone| edits.lay(zone));
    let now = laid.as_ref().or(now);
    let mut counts: BTreeMap<(&[u8], RrType), usize> = BTreeMap::new();
    for set in now.into_iter().flat_map(Zone::rrsets) {
        counts.insert((set.owner, set.rtype), set.rdata().len());
    }
    let (mut gone, mut all) = (0, 0);
    table.count_records(apex, |owner, rtype, count| {
        all += count;
        gone += count.saturating_sub(counts.get(&(owner, rtype)).copied().unwrap_or(0));
    });
    (gone, all)
}

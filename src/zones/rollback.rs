//! Rolling a zone back: what it held at an earlier serial, out of its journal, as edits of what it holds now.
//!
//! Edits, because then it outlives restarts and reloads, `zone diff` shows it and `zone freeze` writes it into
//! the file. What decisions write is theirs: a name that is steered now is answered as it was decided.

use std::collections::{BTreeMap, BTreeSet};

use super::held::{Prepared, saved};
use super::journals::unreached;
use super::messages::Rollback;
use super::outcome::RolledBack;
use super::sources::Sources;
use super::update::is_steered;
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial, soa_with_serial};
use crate::engine::Happened;
use crate::model::Config;
use crate::zone::{Editing, Journal, Laid, Step, Wanted};

/// How many steered names history tells of.
const MAX_TOLD: usize = 20;

/// What is to be taken up, and what to tell who asked once it is; its serial is known then.
pub type Judged = Result<(Prepared, RolledBack), String>;

/// What differs from an earlier serial.
#[derive(Debug, Default, PartialEq, Eq)]
struct Back {
    wanted: Wanted,
    counts: (usize, usize),
    /// Steered names that differ.
    left: BTreeSet<Name>,
}

/// Compiles; blocking. Errors: why the zone is left as it is.
pub fn judge(sources: &Sources, journal: &Journal, ask: &Rollback) -> Judged {
    let apex = &ask.zone;
    let (config, file) = sources.config().zip(sources.source(apex)).ok_or_else(|| no_zone(apex))?;
    let (held, laid) = sources.zone(apex).zip(sources.laid(apex)).ok_or_else(|| no_zone(apex))?;
    if file.is_empty() {
        return Err(format!("{apex} was not transferred from its primary yet, or it expired"));
    }
    let step = reach(journal, apex, ask.to)?;
    let steers =
        |owner: &Name, rtype| held.services.get(owner).is_some_and(|service| is_steered(service, rtype));
    let Back { wanted, counts, left } = back(steers, &laid, &step);
    let left: Vec<Name> = left.into_iter().collect();
    if wanted.is_empty() {
        let but = if left.is_empty() { "" } else { ", but for names that are steered" };
        return Err(format!("{apex} holds what it held at serial {}{but}", ask.to));
    }
    spare_steered(config, apex, &wanted)?;
    let max = sources.configured(apex).map_or(usize::MAX, |zone| zone.max_edits);
    let mut edits = Editing::of(sources.edits(apex));
    let changes = edits.change(file, wanted, max).map_err(|why| why.to_string())?;
    let told = Happened::RolledBack {
        zone: apex.clone(),
        to: ask.to,
        who: ask.who.clone(),
        reason: ask.reason.clone(),
        counts,
        left: left.iter().take(MAX_TOLD).cloned().collect(),
    };
    let saves = saved(apex, changes).collect();
    let change = sources.change(BTreeMap::from([(apex.clone(), edits)]), saves, vec![told]);
    let prepared = change.ok_or_else(|| no_zone(apex))?;
    let done = RolledBack { zone: apex.clone(), to: ask.to, serial: Serial(0), counts, left };
    Ok((prepared, done))
}

pub fn no_zone(apex: &Name) -> String {
    format!("there is no zone {apex}")
}

/// What changed since a serial; or why that is not known.
pub fn reach(journal: &Journal, apex: &Name, to: Serial) -> Result<Step, String> {
    if journal.to() == Some(to) {
        return Err(format!("{to} is the serial of {apex} now"));
    }
    journal.condense(to).ok_or_else(|| match journal.from() {
        Some(_) => unreached(apex, journal, to),
        None => format!("the journal of {apex} is empty: what it held at serial {to} is not known"),
    })
}

/// What the zone is to hold so that `since` did not happen, but for what is steered.
fn back(steers: impl Fn(&Name, RrType) -> bool, contents: &Laid<'_>, since: &Step) -> Back {
    let apex = contents.apex();
    let mut sides: BTreeMap<(Name, RrType), [Vec<&RrSet>; 2]> = BTreeMap::new();
    for (side, sets) in [&since.removed, &since.added].into_iter().enumerate() {
        for set in sets {
            sides.entry((set.owner.clone(), set.rtype)).or_default()[side].push(set);
        }
    }
    let mut back = Back::default();
    for ((owner, rtype), [gone, come]) in sides {
        if steers(&owner, rtype) {
            back.left.insert(owner);
            continue;
        }
        let held = contents.rrset(&owner, rtype);
        let mut rdata: BTreeSet<Box<[u8]>> = held.iter().flat_map(|set| &set.rdata).cloned().collect();
        rdata.retain(|one| !come.iter().any(|set| set.rdata.contains(one)));
        let mut ttl = held.as_ref().map_or(0, |set| set.ttl);
        for set in gone {
            rdata.extend(set.rdata.iter().cloned());
            ttl = set.ttl;
        }
        let wanted = (!rdata.is_empty()).then(|| RrSet::new(owner.clone(), rtype, ttl, rdata));
        if wanted != held {
            let only = |these: &Option<RrSet>, those: &Option<RrSet>| {
                let same_ttl = these.as_ref().map(|set| set.ttl) == those.as_ref().map(|set| set.ttl);
                let has = |rdata| those.iter().any(|set| same_ttl && set.rdata.contains(rdata));
                these.iter().flat_map(|set| &set.rdata).filter(|rdata| !has(rdata)).count()
            };
            back.counts.0 += only(&held, &wanted);
            back.counts.1 += only(&wanted, &held);
            back.wanted.insert((owner, rtype), wanted);
        }
    }
    // The serial goes on; whatever else the SOA says goes back.
    let now = contents.soa();
    let soa = soa_with_serial(&since.old, soa_serial(&now));
    if soa != now {
        back.wanted.insert((apex.clone(), RrType::SOA), Some(soa));
    }
    back
}

/// Refuses what would hide a name that is steered by now.
fn spare_steered(config: &Config, apex: &Name, wanted: &Wanted) -> Result<(), String> {
    let cuts = wanted.iter().filter(|((owner, rtype), set)| {
        // The NS of the apex delegate nothing.
        set.is_some() && (*rtype == RrType::DNAME || *rtype == RrType::NS && owner != apex)
    });
    for ((owner, rtype), _) in cuts {
        let steered = config.services.iter().map(|service| &service.name);
        if let Some(hidden) = steered.into_iter().find(|name| name.is_at_or_below(owner)) {
            return Err(format!(
                "the {rtype} that {owner} had then would hide {hidden}, which is steered now"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::fmt::Write as _;

    use super::*;
    use crate::zone::{Edits, Zone, diff, parse};

    /// Few owners, types, TTLs and contents, so that they often come and go.
    fn zone() -> impl Strategy<Value = Zone> {
        let sets = prop::collection::btree_map(
            (0..3u8, 0..2u8),
            (1..3u32, prop::collection::btree_set(0..4u8, 1..3)),
            0..6,
        );
        (sets, 1..3u32).prop_map(|(sets, refresh)| {
            let mut text = format!("@ 60 SOA ns h 7 {refresh} 1 1 1\n@ 60 NS ns\n");
            for ((owner, rtype), (ttl, data)) in sets {
                for data in data {
                    let data = if rtype == 0 { format!("A 192.0.2.{data}") } else { format!("TXT t{data}") };
                    let _ = writeln!(text, "n{owner} {ttl} {data}");
                }
            }
            parse(&"example".parse().unwrap(), "z", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
        })
    }

    fn sets(zone: &Zone) -> Vec<RrSet> {
        let mut sets: Vec<RrSet> = zone.rrsets().map(|set| set.to_rrset()).collect();
        sets.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        sets
    }

    fn plain(zone: &Zone) -> Vec<RrSet> {
        sets(zone).into_iter().filter(|set| set.rtype != RrType::SOA).collect()
    }

    proptest! {
        /// Whatever the file says, and whatever changed: with the edits the zone is what it was, but for what
        /// is steered.
        #[test]
        fn what_was_comes_back(file in zone(), earlier in zone(), now in zone(), steered in 0..4u8) {
            let (gone, come) = diff(&plain(&earlier), &plain(&now));
            let since = Step::of(earlier.soa(), now.soa(), &gone, &come);
            let app: Name = format!("n{steered}.example").parse().unwrap();
            let steers = |owner: &Name, rtype: RrType| *owner == app && rtype == RrType::A;
            let made = back(steers, &Laid::plain(&now), &since);
            // What the zone holds already are edits, too.
            let all = sets(&file).into_iter().map(|set| ((set.owner, set.rtype), None));
            let held = sets(&now).into_iter().map(|set| ((set.owner.clone(), set.rtype), Some(set)));
            let mut edits = Edits::default();
            edits.change(&file, all.chain(held).collect::<BTreeMap<_, _>>(), usize::MAX).unwrap();
            edits.change(&file, made.wanted, usize::MAX).unwrap();
            let laid = edits.lay(&file);
            let is_left = |set: &RrSet| steers(&set.owner, set.rtype);
            let expect: Vec<RrSet> = sets(&earlier)
                .into_iter()
                .filter(|set| !is_left(set))
                .chain(sets(&now).into_iter().filter(is_left))
                .collect();
            let mut expect = expect;
            expect.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
            prop_assert_eq!(sets(&laid), expect);
            let touched = gone.iter().chain(&come).any(is_left);
            prop_assert_eq!(made.left.contains(&app), touched);
        }
    }
}

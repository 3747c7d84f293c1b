//! Updates on their way into zones: who may do what, and what it comes to.
//!
//! In: updates whose signatures were verified, and the sources of zones. Out: for each of them whether it is
//! carried out, and one change of contents that carries all of those out.

use std::collections::BTreeMap;

use super::messages::{Changed, UpdateAsk};
use super::sources::{Pending, Sources, saved};
use crate::config::{Config, Service, Target, UpdateRule, ZoneSource};
use crate::engine::Happened;
use crate::zone::{Change, Edits, Name, RrSet, RrType, UpdateError, UpdateView, Wanted, effects};

/// The most records of one update that history tells of one by one.
const MAX_TOLD: usize = 20;

/// For each update whether it changes something; and what comes of all that do. Refusals are recorded, too,
/// where the zone has a rule for who sent them.
pub type Judged = (Vec<Result<bool, UpdateError>>, Option<(Changed, Option<Pending>)>);

/// A zone with what earlier updates of the same turn made of it.
struct Work<'s> {
    view: UpdateView<'s>,
    edits: Edits,
}

/// Judges updates one after the other, as if each were carried out before the next; `room` is for refusals to
/// be recorded. Compiles; blocking.
pub fn judge(sources: &Sources, updates: &[UpdateAsk], room: usize) -> Judged {
    let mut told = 0;
    let mut works: BTreeMap<Name, Work<'_>> = BTreeMap::new();
    let (mut saves, mut records, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for ask in updates {
        let outcome = take(sources, &mut works, ask);
        outcomes.push(match outcome {
            Ok(None) => Ok(false),
            Ok(Some((changes, happened))) => {
                saves.extend(saved(&ask.update.zone, changes));
                records.push(happened);
                Ok(true)
            }
            Err((why, known)) => {
                if known && told < room {
                    told += 1;
                    let (zone, who) = (ask.update.zone.clone(), who(ask));
                    records.push(Happened::UpdateRefused { zone, who, why: why.to_string() });
                }
                Err(why)
            }
        });
    }
    let edits: BTreeMap<Name, Edits> = works.into_iter().map(|(apex, work)| (apex, work.edits)).collect();
    (outcomes, sources.change(edits, saves, records))
}

fn who(ask: &UpdateAsk) -> String {
    ask.key.as_ref().map_or_else(|| ask.from.to_string(), |key| format!("key {key} from {}", ask.from))
}

type Taken = (Vec<super::sources::EditChange>, Happened);

/// The edits that an update changes, `None` where it changes nothing. Errors say whether the zone has a rule
/// for who sent it.
fn take<'s>(
    sources: &'s Sources,
    works: &mut BTreeMap<Name, Work<'s>>,
    ask: &UpdateAsk,
) -> Result<Option<Taken>, (UpdateError, bool)> {
    let update = &ask.update;
    let apex = &update.zone;
    let stranger = |why| (why, false);
    let known = |why| (why, true);
    let config = sources.config().ok_or(stranger(UpdateError::NotAuth(apex.clone())))?;
    let zone = config.zones.iter().find(|zone| zone.name == *apex);
    let zone = zone.ok_or(stranger(UpdateError::NotAuth(apex.clone())))?;
    let source = sources.zone(apex).ok_or(stranger(UpdateError::NotAuth(apex.clone())))?;
    if source.file.is_empty() {
        let why = format!("{apex} was not transferred from its primary yet, or it expired");
        return Err(stranger(UpdateError::Failed(why)));
    }
    let rules = rules(zone, ask);
    if rules.is_empty() {
        let why = format!("no update rule of {apex} is for who sent this");
        return Err(stranger(UpdateError::Refused(why)));
    }
    let work = works
        .entry(apex.clone())
        .or_insert_with(|| Work { view: UpdateView::new(&source.contents), edits: sources.edits(apex) });
    update.check(&work.view).map_err(known)?;
    let changes = update.changes().map_err(known)?;
    for change in &changes {
        allow(&rules, apex, &work.view, change).map_err(known)?;
        spare_steered(config, apex, change).map_err(known)?;
    }
    let wanted = effects(apex, &changes, &work.view);
    if wanted.is_empty() {
        return Ok(None);
    }
    let happened = told(ask, &work.view, &wanted);
    let edits = work.edits.change(&source.file, wanted.clone());
    let edits = edits.map_err(|why| known(UpdateError::Refused(why.to_string())))?;
    work.view.take(wanted);
    Ok(Some((edits, happened)))
}

/// The rules of a zone that are for who sent an update.
fn rules<'c>(zone: &'c ZoneSource, ask: &UpdateAsk) -> Vec<&'c UpdateRule> {
    zone.update.iter().filter(|rule| rule.is_for(ask.key.as_ref(), ask.from)).collect()
}

/// Whether a rule allows a change (RFC 2136 section 3.3).
fn allow(
    rules: &[&UpdateRule],
    apex: &Name,
    view: &UpdateView<'_>,
    change: &Change,
) -> Result<(), UpdateError> {
    let (owner, rtype) = change.subject();
    let allowed = |rtype: RrType| rules.iter().any(|rule| rule.allows(owner, rtype));
    let refused = |what: &str| {
        Err(UpdateError::Refused(format!("no update rule allows who sent this to change {what} of {owner}")))
    };
    match rtype {
        Some(rtype) if allowed(rtype) => Ok(()),
        Some(rtype) => refused(&rtype.to_string()),
        // All that is there; where nothing is, nothing is asked for. The apex keeps its SOA and NS anyway.
        None => {
            let stays = |rtype| owner == apex && matches!(rtype, RrType::SOA | RrType::NS);
            let there = view.rrsets_at(owner);
            match there.iter().find(|set| !allowed(set.rtype) && !stays(set.rtype)) {
                Some(set) => refused(&set.rtype.to_string()),
                None => Ok(()),
            }
        }
    }
}

/// Refuses what decisions write, or would be hidden by.
fn spare_steered(config: &Config, apex: &Name, change: &Change) -> Result<(), UpdateError> {
    let (owner, rtype) = change.subject();
    let cuts = matches!(change, Change::Add { rtype: RrType::NS | RrType::DNAME, .. }) && owner != apex;
    for service in config.services.iter().filter(|service| service.zone == *apex) {
        let steered = &service.name;
        if steered == owner && rtype.is_none_or(|rtype| is_steered(service, rtype)) {
            return Err(UpdateError::Refused(format!(
                "{owner} is steered: its service decides what it is answered with"
            )));
        }
        if cuts && steered.is_at_or_below(owner) {
            return Err(UpdateError::Refused(format!("it would hide {steered}, which is steered")));
        }
    }
    Ok(())
}

/// Whether decisions write this type at the service's name, or could not stand beside it.
pub(super) fn is_steered(service: &Service, rtype: RrType) -> bool {
    let own = |rtype| service.endpoints.iter().any(|e| e.records.iter().any(|(own, _)| *own == rtype));
    let alias = service.endpoints.iter().any(|e| matches!(e.target, Target::Cname(_)));
    matches!(rtype, RrType::A | RrType::AAAA | RrType::CNAME) || alias || own(rtype)
}

/// What history tells of an update.
fn told(ask: &UpdateAsk, view: &UpdateView<'_>, wanted: &Wanted) -> Happened {
    let lines = |set: Option<&RrSet>| set.into_iter().flat_map(RrSet::to_lines).collect::<Vec<_>>();
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for ((owner, rtype), after) in wanted {
        let (before, after) = (lines(view.rrset(owner, *rtype).as_ref()), lines(after.as_ref()));
        removed.extend(before.iter().filter(|line| !after.contains(line)).cloned());
        added.extend(after.into_iter().filter(|line| !before.contains(line)));
    }
    let all = removed.len() + added.len();
    removed.truncate(MAX_TOLD);
    added.truncate(MAX_TOLD);
    let more = all - removed.len() - added.len();
    Happened::Updated { zone: ask.update.zone.clone(), who: who(ask), removed, added, more }
}

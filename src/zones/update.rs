//! Updates on their way into zones: who may do what, and what it comes to.
//!
//! In: updates whose signatures were verified, the sources of zones, and the table that is published. Out: for each
//! update whether it is carried out, and one change of contents that carries all of those out.
//!
//! An update finds what is served (RFC 2136 section 3.2): the contents, but at steered names and for the SOA what the
//! table has. Decisions go on meanwhile, so a change says which serial it was judged by where it depends on that, and
//! the core turns it away where there is another by then. It is judged anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::held::{Prepared, saved};
use super::messages::UpdateAsk;
use super::sources::Sources;
use crate::answer::Table;
use crate::dns::{Name, RrSet, RrType, Serial};
use crate::engine::Happened;
use crate::model::{Service, Target, UpdateRule, ZoneSource};
use crate::zone::{Change, EditChange, Editing, Laid, UpdateError, UpdateView, Wanted, Zone, effects};

/// The most records of one update that history tells of one by one.
const MAX_TOLD: usize = 20;

/// For each update, as far as they were judged, whether it changes something; and what comes of all that do. Refusals
/// are recorded, too, where the zone has a rule for who sent them.
#[derive(Default)]
pub struct Judged {
    pub outcomes: Vec<Result<bool, UpdateError>>,
    pub change: Option<Prepared>,
}

/// A zone with what earlier updates of the same turn made of it.
struct Work<'s> {
    zone: &'s ZoneSource,
    source: &'s Zone,
    view: UpdateView<'s>,
    edits: Editing<'s>,
    /// Its services, by name.
    steered: &'s BTreeMap<Name, Arc<Service>>,
    /// Whether earlier updates changed something.
    changed: bool,
    /// Whether what is served had a say in what comes of them.
    relies: bool,
}

/// Judges updates one after the other, as if each were carried out before the next; `room` is for refusals to
/// be recorded. One that depends on the serial that an earlier one leads to is left for the next turn, when that is
/// known, and so is what follows it; the first is never left. Compiles; blocking.
pub fn judge(sources: &Sources, table: &Table, updates: &[UpdateAsk], room: usize) -> Judged {
    let mut told = 0;
    let mut works: BTreeMap<Name, Work<'_>> = BTreeMap::new();
    let (mut saves, mut records, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for ask in updates {
        let changed = works.get(&ask.update.zone).is_some_and(|work| work.changed);
        if changed && ask.update.depends_on_soa() {
            break;
        }
        let outcome = take(sources, table, &mut works, ask);
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
    let relied = works.iter().filter(|(_, work)| work.changed && work.relies);
    let judged_by: Vec<(Name, Option<Serial>)> =
        relied.map(|(apex, _)| (apex.clone(), table.serial(apex))).collect();
    let edits = works.into_iter().map(|(apex, work)| (apex, work.edits)).collect();
    let mut change = sources.change(edits, saves, records);
    if let Some((changed, _)) = &mut change {
        changed.judged_by = judged_by;
    }
    Judged { outcomes, change }
}

fn who(ask: &UpdateAsk) -> String {
    ask.key.as_ref().map_or_else(|| ask.from.to_string(), |key| format!("key {key} from {}", ask.from))
}

type Taken = (Vec<EditChange>, Happened);

/// The edits that an update changes, `None` where it changes nothing. Errors say whether the zone has a rule
/// for who sent it.
fn take<'s>(
    sources: &'s Sources,
    table: &Table,
    works: &mut BTreeMap<Name, Work<'s>>,
    ask: &UpdateAsk,
) -> Result<Option<Taken>, (UpdateError, bool)> {
    let apex = &ask.update.zone;
    let stranger = |why| (why, false);
    let known = |why| (why, true);
    let not_here = || stranger(UpdateError::NotAuth(apex.clone()));
    let zone = sources.configured(apex).ok_or_else(not_here)?;
    let (held, source) = sources.zone(apex).zip(sources.source(apex)).ok_or_else(not_here)?;
    if source.is_empty() {
        let why = format!("{apex} was not transferred from its primary yet, or it expired");
        return Err(stranger(UpdateError::Failed(why)));
    }
    let rules = rules(zone, ask);
    if rules.is_empty() {
        let why = format!("no update rule of {apex} is for who sent this");
        return Err(stranger(UpdateError::Refused(why)));
    }
    let work = works.entry(apex.clone()).or_insert_with(|| Work {
        zone,
        source,
        view: UpdateView::new(sources.laid(apex).unwrap_or_else(|| Laid::plain(source))),
        edits: Editing::of(sources.edits(apex)),
        steered: &held.services,
        changed: false,
        relies: false,
    });
    work.take(&rules, table, ask).map_err(known)
}

impl Work<'_> {
    fn take(
        &mut self,
        rules: &[&UpdateRule],
        table: &Table,
        ask: &UpdateAsk,
    ) -> Result<Option<Taken>, UpdateError> {
        let (update, apex) = (&ask.update, &ask.update.zone);
        let asks_for_soa = update.depends_on_soa();
        let decided = |name: &&Name| self.steered.contains_key(*name) || asks_for_soa && *name == apex;
        for name in update.names().into_iter().filter(decided) {
            self.relies = true;
            self.view.serve(name, || table.held(apex, name));
        }
        update.check(&self.view)?;
        let changes = update.changes()?;
        for change in &changes {
            allow(rules, apex, &self.view, change)?;
        }
        spare_steered(self.steered, apex, &changes)?;
        let wanted = effects(apex, &changes, &self.view, self.zone.max_rrset_bytes)?;
        if wanted.is_empty() {
            return Ok(None);
        }
        let edits = self.edits.change(self.source, wanted.clone(), self.zone.max_edits);
        let edits = edits.map_err(|why| UpdateError::Refused(why.to_string()))?;
        let happened = told(ask, &self.view, &wanted);
        self.view.take(wanted);
        self.changed = true;
        Ok(Some((edits, happened)))
    }
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
            let mut there = view.types_at(owner).into_iter();
            match there.find(|&rtype| !allowed(rtype) && !stays(rtype)) {
                Some(rtype) => refused(&rtype.to_string()),
                None => Ok(()),
            }
        }
    }
}

/// Refuses what decisions write, or would be hidden by.
fn spare_steered(
    steered: &BTreeMap<Name, Arc<Service>>,
    apex: &Name,
    changes: &[Change],
) -> Result<(), UpdateError> {
    let mut cuts = BTreeSet::new();
    for change in changes {
        let (owner, rtype) = change.subject();
        let service = steered.get(owner);
        if service.is_some_and(|service| rtype.is_none_or(|rtype| is_steered(service, rtype))) {
            return Err(UpdateError::Refused(format!(
                "{owner} is steered: its service decides what it is answered with"
            )));
        }
        // The NS of the apex delegate nothing.
        let Change::Add { rtype, .. } = change else { continue };
        if *rtype == RrType::DNAME || *rtype == RrType::NS && owner != apex {
            cuts.insert(owner.as_wire());
        }
    }
    if cuts.is_empty() {
        return Ok(());
    }
    for name in steered.keys() {
        let mut above = std::iter::successors(Some(name.clone()), Name::parent);
        if above.any(|above| cuts.contains(above.as_wire())) {
            return Err(UpdateError::Refused(format!("it would hide {name}, which is steered")));
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
    let (mut removed, mut added, mut all) = (Vec::new(), Vec::new(), 0);
    for ((owner, rtype), after) in wanted {
        let (before, after) = (view.rrset(owner, *rtype), after.as_ref());
        for (lines, these, those) in
            [(&mut removed, before.as_ref(), after), (&mut added, after, before.as_ref())]
        {
            let only = |set: &RrSet| set.beyond(those).map(|rdata| set.line(rdata)).collect::<Vec<_>>();
            let only = these.map(only).unwrap_or_default();
            all += only.len();
            lines.extend(only.into_iter().take(MAX_TOLD - lines.len()));
        }
    }
    let more = all - removed.len() - added.len();
    Happened::Updated { zone: ask.update.zone.clone(), who: who(ask), removed, added, more }
}

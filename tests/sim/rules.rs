//! What keeps Detour from doing too much: safety rules are never broken without an operator, and a failback in
//! steps moves its share, in its time, and newcomers alone. Counted here from outside, by what was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use detour::dns::Name;
use detour::engine::{Effect, ServiceView};
use detour::model::{OnLimit, SiteId};
use detour::policy::{Decision, Partial, Rule};
use detour::simulate::scenario::{World, decisions};
use detour::time::Time;

use super::judge::{Before, configured, is_taken, is_up, may_serve, works};

const HOUR: Duration = Duration::from_secs(3600);

/// A service as last decided.
struct Kept {
    decision: Decision,
    /// Since when the share that has moved is what it is.
    since: Time,
    /// Which client networks had moved.
    moved: Vec<bool>,
}

#[derive(Default)]
pub struct Rules {
    last: BTreeMap<Name, Kept>,
    /// Every move that nobody ordered, approved ones too.
    moves: Vec<(Time, Name)>,
    held: usize,
    stepped: usize,
}

impl Rules {
    pub fn after(&mut self, world: &World, before: &Before, services: &[ServiceView], effects: &[Effect]) {
        self.last.retain(|name, _| services.iter().any(|view| view.name == *name));
        for decision in decisions(effects) {
            let view = services.iter().find(|view| view.name == decision.service).expect("a service");
            self.held += usize::from(matches!(decision.reason.rule, Rule::Proposed { limit: Some(_), .. }));
            self.judge_move(world, before, view, decision);
            self.judge_steps(world, before, view, decision);
        }
    }

    fn judge_move(&mut self, world: &World, before: &Before, view: &ServiceView, decision: &Decision) {
        let Some((from, to)) = self.last.get(&view.name).and_then(|was| Rules::moved(was, decision)) else {
            return;
        };
        let find = |site: &SiteId| view.endpoints.iter().find(|at| at.site == *site);
        let may = find(&to).is_some_and(|to| may_serve(decision, to));
        assert!(may, "{to} is moved to: {}", decision.reason);
        let Some(left) = find(&from).filter(|left| !is_taken(left)) else { return };
        if before.moved.as_ref() == Some(&view.name) {
            return;
        }
        let was = self.last[&view.name].decision.partial.as_ref();
        let begun = was.is_some_and(|part| part.site == to) && works(left);
        let service = configured(world, &view.name);
        if begun || service.moving.exempt {
            return;
        }
        self.moves.push((decision.at, view.name.clone()));
        let safety = &world.load.config.safety;
        if before.approved.contains(&view.name) || safety.on_limit == OnLimit::Warn {
            return;
        }
        let within = |span: Duration| self.moves.iter().filter(move |(at, _)| decision.at.since(*at) < span);
        let switches = within(HOUR).count();
        let most = safety.max_switches_per_hour.map_or(usize::MAX, |max| max as usize);
        assert!(switches <= most, "{switches} switches within an hour of {most}: {}", decision.reason);
        let movers: BTreeSet<&Name> = within(safety.window).map(|(_, name)| name).collect();
        let total = world.load.config.services.len();
        let most = safety.max_share_moved.map_or(total, |max| (total * usize::from(max) / 100).max(1));
        assert!(movers.len() <= most, "{} of {total} moved, not {most}: {}", movers.len(), decision.reason);
        if decision.partial.is_none() {
            let (was, is) = (self.in_service(None), self.in_service(Some(decision)));
            let least = safety.min_sites_in_service.unwrap_or(0);
            assert!(is >= least || is >= was, "{is} sites in service, not {least}: {}", decision.reason);
        }
    }

    /// From where to where a decision moves a service, or begins to.
    fn moved(was: &Kept, decision: &Decision) -> Option<(SiteId, SiteId)> {
        let rule = &was.decision.reason.rule;
        if matches!(rule, Rule::Unverified { .. } | Rule::Unproven) {
            return None;
        }
        let from = was.decision.reason.serving.as_ref().or(match &was.decision.sites[..] {
            [site] => Some(site),
            _ => None,
        })?;
        let to = match (&decision.partial, &decision.reason.rule) {
            (Some(part), Rule::Stepping { .. }) if was.decision.partial.is_none() => &part.site,
            _ => decision.reason.serving.as_ref().filter(|to| *to != from)?,
        };
        Some((from.clone(), to.clone()))
    }

    /// How many sites answer for some service, as last decided, but for this one.
    fn in_service(&self, but: Option<&Decision>) -> usize {
        let of = |(name, kept): (&Name, &Kept)| match but {
            Some(but) if but.service == *name => but.sites.clone(),
            _ => kept.decision.sites.clone(),
        };
        self.last.iter().flat_map(of).collect::<BTreeSet<SiteId>>().len()
    }

    fn judge_steps(&mut self, world: &World, before: &Before, view: &ServiceView, decision: &Decision) {
        let moving = &configured(world, &view.name).moving;
        let is_last = view.decision.as_ref() == Some(decision);
        let networks = if is_last { world.networks(view) } else { Vec::new() };
        let part = decision.partial.as_ref();
        let moved = |part: &Partial| networks.iter().map(|sites| *sites == [part.site.clone()]).collect();
        let moved: Vec<bool> = part.map_or_else(Vec::new, moved);
        let was = self.last.get(&view.name);
        let same =
            was.filter(|was| was.decision.partial.as_ref().map(|it| &it.site) == part.map(|it| &it.site));
        let mut since = decision.at;
        // Steps of the service and of one family may follow one another.
        let in_parts = |decision: &Decision| !decision.families.is_empty();
        let in_parts = in_parts(decision) || was.is_some_and(|was| in_parts(&was.decision));
        let same_part =
            |was: &&Kept| was.decision.partial.as_ref().map(|it| it.percent) == part.map(|it| it.percent);
        if let Some(was) = same.filter(|_| in_parts).filter(same_part) {
            since = was.since;
        }
        if let (Some(part), false) = (part.filter(|_| !in_parts), before.is_load) {
            self.stepped += 1;
            let of = |percent: u8| moving.steps.iter().position(|step| *step == percent);
            let at = of(part.percent).expect("one of the steps");
            let target = view.endpoints.iter().find(|end| end.site == part.site).expect("an endpoint");
            if matches!(decision.reason.rule, Rule::Stepping { .. }) {
                assert!(is_up(target), "clients move to what is Up: {}", decision.reason);
            }
            match same.and_then(|was| Some((was, was.decision.partial.as_ref()?))) {
                None => assert_eq!(at, 0, "it begins with the first step: {}", decision.reason),
                Some((was, earlier)) if earlier.percent == part.percent => since = was.since,
                Some((was, earlier)) => {
                    assert_eq!(of(earlier.percent).map(|at| at + 1), Some(at), "one step after the other");
                    let lasted = decision.at.since(was.since);
                    assert!(lasted >= moving.step_hold, "a step of {lasted:?}: {}", decision.reason);
                    let back = was.moved.iter().zip(&moved).filter(|(was, is)| **was && !**is).count();
                    assert_eq!(back, 0, "who has moved stays: {}", decision.reason);
                }
            }
            let count = moved.iter().filter(|moved| **moved).count();
            let share = count * 100 / moved.len().max(1);
            assert!(!is_last || share.abs_diff(usize::from(part.percent)) <= 4, "{share} % have moved");
        }
        let kept = Kept { decision: decision.clone(), since, moved };
        self.last.insert(view.name.clone(), kept);
    }

    pub fn seen(&self) -> Vec<(&'static str, usize)> {
        vec![("moves held", self.held), ("steps", self.stepped), ("moves counted", self.moves.len())]
    }
}

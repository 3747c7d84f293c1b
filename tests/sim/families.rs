//! What a service with two address families promises: a family that is dead at the endpoint in use, and works at
//! another one, is never without an answer.

use detour::dns::{RrSet, RrType};
use detour::engine::{Effect, EndpointView, Happened, PlaceView, ServiceView};
use detour::health::Health;
use detour::model::{Families, Group, SiteId, Target, Whereto};
use detour::policy::{Decision, Rule};
use detour::simulate::scenario::{World, decisions};

use super::judge::{configured, forced};

pub fn is_v6(place: &Whereto) -> bool {
    matches!(place, Whereto::Addr(std::net::IpAddr::V6(_)))
}

/// After each decision, as everything stands then.
pub fn nothing_is_withheld_that_works_elsewhere(world: &World, services: &[ServiceView], effects: &[Effect]) {
    // What changes in the step of a decision is decided upon in the next one.
    if effects.iter().any(|effect| matches!(effect, Effect::Record(Happened::Health { .. }))) {
        return;
    }
    for decision in decisions(effects) {
        let view = services.iter().find(|view| view.name == decision.service).expect("a service");
        if view.decision.as_ref() == Some(decision) {
            check(world, view, decision);
        }
    }
}

fn check(world: &World, view: &ServiceView, decision: &Decision) {
    let service = configured(world, &view.name);
    let named = service.endpoints.iter().any(|endpoint| matches!(endpoint.target, Target::Cname(_)));
    // A group may ask for more than one that works, or not be used at all, and what was taken out by hand comes
    // back by hand.
    let limited = |group: &Group| group.min_up > 1 || group.members.iter().any(|member| member.weight == 0);
    let grouped = service.tree.as_ref().is_some_and(|tree| tree.groups.iter().any(limited));
    let taken = view.endpoints.iter().any(|endpoint| forced(endpoint).is_some());
    // What waits to leave a dead site keeps the answer it had.
    let resort = matches!(
        decision.reason.rule,
        Rule::AllDown { .. }
            | Rule::Unverified { .. }
            | Rule::Delayed { .. }
            | Rule::Proposed { .. }
            | Rule::Rejected { .. }
    );
    if named || grouped || taken || resort || service.moving.families == Families::Together {
        return;
    }
    let weighs = |site: &SiteId| service.endpoints.iter().any(|it| it.site == *site && it.weight > 0);
    for v6 in [false, true] {
        let of = |endpoint: &EndpointView| -> Vec<PlaceView> {
            endpoint.places.iter().filter(|it| is_v6(&it.place) == v6).cloned().collect()
        };
        let own = view.endpoints.iter().filter(|at| decision.own_sites().contains(&at.site));
        let dead = |at: &EndpointView| {
            let places = of(at);
            !places.is_empty() && places.iter().all(|place| place.health == Health::Down)
        };
        let lost = own.clone().any(dead);
        let works = view
            .endpoints
            .iter()
            .filter(|at| weighs(&at.site))
            .any(|at| of(at).iter().any(|place| place.health == Health::Up));
        // Whom a map sends to a site that was never given the family gets none.
        let given = own.clone().all(|at| !of(at).is_empty());
        if !lost || !works || !given {
            continue;
        }
        let rtype = if v6 { RrType::AAAA } else { RrType::A };
        let has = |records: &[RrSet]| records.iter().any(|set| set.rtype == rtype);
        assert!(has(&decision.records), "{rtype} is answered: {}", decision.because());
        let steering = world.zones[&view.zone].steered.get(&view.name);
        let whole = decision.partial.is_none();
        for variant in steering.iter().flat_map(|steering| &steering.variants).filter(|_| whole) {
            assert!(has(variant), "{rtype} is in every answer: {}", decision.because());
        }
    }
}

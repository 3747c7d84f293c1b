//! What would become of a service if the endpoint in use went down now: asked of policy itself, so that nothing
//! that policy knows (damping, what is Unknown, capacity) is told in another way than it would come.

use super::{Engine, Steered};
use crate::model::{Seconds, SiteId};
use crate::policy::{Rule, Standing, choose};
use crate::time::Time;

impl Engine {
    /// `should fra be Down, iad takes over`, of a service that is answered from one site.
    pub(super) fn if_it_fails(
        &self,
        now: Time,
        steered: &Steered,
        standings: &[Standing],
        serving: &SiteId,
    ) -> String {
        let fails = |standing: &Standing| {
            let standing = standing.clone();
            if standing.site == *serving { standing.failed(now) } else { standing }
        };
        let supposed: Vec<Standing> = standings.iter().map(fails).collect();
        let reason = choose(&self.situation(now, steered, &supposed, None)).reason;
        let gate = gate(steered);
        match (&reason.rule, &reason.serving) {
            (Rule::AllDown { answer } | Rule::Unverified { answer }, _) => {
                format!("should {serving} be Down, no endpoint is left: {answer}")
            }
            (_, None) => format!("should {serving} be Down, no endpoint is left"),
            (_, Some(to)) if to == serving => {
                format!("should {serving} be Down, it stays in use: {}", stays(&supposed, serving))
            }
            (Rule::Damped, Some(to)) => {
                format!("should {serving} be Down, {to} takes over{gate}, although damping holds it Down")
            }
            (Rule::Unproven, Some(to)) => format!(
                "should {serving} be Down and its next check fail too, {to} takes over{gate}, which is Unknown"
            ),
            (_, Some(to)) => format!("should {serving} be Down, {to} takes over{gate}"),
        }
    }
}

/// What a failover has to wait for, as configured.
fn gate(steered: &Steered) -> String {
    let moving = &steered.service.moving;
    let delay =
        if moving.delay.is_zero() { String::new() } else { format!(" after {}", Seconds(moving.delay)) };
    let approval = if moving.approval.is_some() { " once the move is approved" } else { "" };
    format!("{delay}{approval}")
}

/// Why an endpoint that fails stays in use.
fn stays(standings: &[Standing], serving: &SiteId) -> String {
    let standing = standings.iter().find(|standing| standing.site == *serving);
    match standing.map(|standing| (&standing.overridden, standing.maintenance)) {
        Some((Some(forced), _)) => format!("the {} on {} rules it", forced.kind, forced.scope),
        Some((None, Some(until))) => format!("it is in maintenance until {until}"),
        Some((None, None)) | None => "no other endpoint is any better".to_owned(),
    }
}

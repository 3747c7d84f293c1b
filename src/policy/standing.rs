//! How an endpoint stands when a service is decided: what samples say, and what an operator forces.

use super::{Override, OverrideKind};
use crate::config::{SiteId, Whereto};
use crate::health::{Finding, Health, works};
use crate::time::Time;

/// One endpoint of a service, in the service's order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where.
    pub site: SiteId,
    /// What samples say of it as a whole.
    pub found: Finding,
    /// What samples say of each place, in the order of its records.
    pub places: Vec<(Whereto, Finding)>,
    /// What samples last said of each place, before anything went stale or was damped.
    pub last_known: Vec<Health>,
    /// The override that rules it.
    pub overridden: Option<Override>,
    /// Until when it is in maintenance.
    pub maintenance: Option<Time>,
    /// Whether the service would take the site over capacity, and sheds.
    pub full: bool,
}

impl Standing {
    fn forced(&self) -> Option<OverrideKind> {
        self.overridden.as_ref().map(|forced| forced.kind)
    }

    /// Whether it has nothing to answer with, because only one address family is looked at and it has none of that.
    pub fn is_absent(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether it counts as Up: by samples or by force.
    pub fn is_up(&self) -> bool {
        match self.forced() {
            Some(kind) => kind == OverrideKind::ForceUp,
            None => self.found.health == Health::Up,
        }
    }

    /// Whether it can be answered with: Up or Suspect, and not taken out by an operator.
    pub fn is_eligible(&self) -> bool {
        self.is_up() || self.overridden.is_none() && works(self.found.health)
    }

    /// Whether it is known to be of no use, which a Suspect and an Unknown are not.
    pub fn is_out(&self) -> bool {
        self.is_taken() || self.overridden.is_none() && self.found.health == Health::Down
    }

    /// Whether an operator has taken it out.
    pub fn is_taken(&self) -> bool {
        matches!(self.forced(), Some(OverrideKind::Drain | OverrideKind::ForceDown))
    }

    /// Whether it must not be answered with even as a last resort.
    pub fn is_drained(&self) -> bool {
        self.forced() == Some(OverrideKind::Drain)
    }

    /// Since when it counts as Up; of use only where it does.
    pub fn up_since(&self) -> Time {
        match &self.overridden {
            Some(forced) => forced.at,
            None => self.found.since,
        }
    }

    /// Whether it stays in use though it is not eligible, as nothing that counts speaks against it: no
    /// sample came lately, or it is being maintained.
    pub fn may_stay(&self) -> bool {
        let unseen = self.found.health == Health::Unknown && self.last_known.iter().any(|&it| works(it));
        self.overridden.is_none() && (unseen || self.maintenance.is_some())
    }

    /// Whether damping alone keeps it from being used.
    pub fn is_damped(&self) -> bool {
        let works = self.last_known.iter().any(|&it| works(it));
        self.overridden.is_none() && self.found.health == Health::Down && works
    }

    /// The places whose records are answered: those that work, so that one dead address family of a site
    /// is withheld and the site stays; all of them where none works or the endpoint is forced Up. A place
    /// that is Unknown because its samples are stale is where it was.
    pub fn answered(&self) -> impl Iterator<Item = &(Whereto, Finding)> {
        let last = |at: usize| self.last_known.get(at).is_some_and(|&it| works(it));
        let is_well = move |at: usize, found: &Finding| {
            works(found.health) || found.health == Health::Unknown && last(at)
        };
        let wholly = !works(self.found.health);
        let any =
            self.places.iter().enumerate().any(|(at, (_, found))| is_well(at, found) || wholly && last(at));
        let all = self.overridden.is_some() || !any;
        let places = self.places.iter().enumerate();
        let answered =
            places.filter(move |(at, (_, found))| all || is_well(*at, found) || wholly && last(*at));
        answered.map(|(_, place)| place)
    }

    /// Whether a place that is answered may soon be Down.
    pub fn is_shaky(&self) -> bool {
        self.overridden.is_none() && self.answered().any(|(_, found)| found.health == Health::Suspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(places: &[Health], forced: Option<OverrideKind>) -> Standing {
        let place = |(at, &health): (usize, &Health)| {
            let whereto = Whereto::Name(at.to_string().into());
            (whereto, Finding { health, ..Finding::default() })
        };
        let places: Vec<_> = places.iter().enumerate().map(place).collect();
        let findings: Vec<_> = places.iter().map(|(_, found)| found.clone()).collect();
        let overridden = forced.map(|kind| Override {
            scope: super::super::Scope::Site("fra".into()),
            kind,
            reason: "why".to_owned(),
            who: "me".to_owned(),
            at: Time(9),
            until: None,
        });
        let last_known = findings.iter().map(|found| found.health).collect();
        let (site, found) = ("fra".into(), crate::health::endpoint(&findings));
        Standing { site, found, places, last_known, overridden, maintenance: None, full: false }
    }

    #[test]
    fn places_that_do_not_work_are_withheld_beside_one_that_does() {
        use Health::{Down, Suspect, Unknown, Up};
        let check = |places: &[Health], forced, expect: &[&str]| {
            let standing = standing(places, forced);
            let got: Vec<_> = standing.answered().map(|(place, _)| place.to_string()).collect();
            assert_eq!(got, expect, "{places:?} {forced:?}");
        };
        check(&[Up, Up], None, &["0", "1"]);
        check(&[Up, Suspect], None, &["0", "1"]);
        check(&[Down, Up], None, &["1"]);
        check(&[Suspect, Unknown], None, &["0"]);
        check(&[Down, Down], None, &["0", "1"]);
        check(&[Unknown, Unknown], None, &["0", "1"]);
        check(&[Down, Up], Some(OverrideKind::ForceUp), &["0", "1"]);
    }

    #[test]
    fn overrides_beat_samples() {
        use Health::{Down, Unknown, Up};
        let check = |health, forced, eligible, out| {
            let standing = standing(&[health], forced);
            assert_eq!((standing.is_eligible(), standing.is_out()), (eligible, out), "{health} {forced:?}");
        };
        check(Up, None, true, false);
        check(Health::Suspect, None, true, false);
        check(Unknown, None, false, false);
        check(Down, None, false, true);
        check(Down, Some(OverrideKind::ForceUp), true, false);
        check(Up, Some(OverrideKind::ForceDown), false, true);
        check(Up, Some(OverrideKind::Drain), false, true);
    }
}

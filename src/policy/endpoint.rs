//! How an endpoint stands when a service is decided: what samples say, and what an operator forces.

use super::{Override, OverrideKind};
use crate::health::{Finding, Health, works};
use crate::model::{SiteId, Whereto};
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
    /// Whether each place has passed once, in the order of its records. What never has may be Suspect.
    pub passed: Vec<bool>,
    /// What it was answered with until a reload gave it other checks, as long as these may still pass.
    pub earlier: Option<Earlier>,
    /// Whether every check of it that is Down has failed once more since.
    pub confirmed: bool,
    /// The override that rules it.
    pub overridden: Option<Override>,
    /// Until when it is in maintenance.
    pub maintenance: Option<Time>,
    /// Whether the service would take the site over capacity, and sheds.
    pub full: bool,
}

/// What an endpoint in use was answered with before a reload, while nobody has seen its new places work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The places it was answered with.
    pub places: Vec<Whereto>,
    /// Until when they are answered at most: by then the new ones have passed, or are Down.
    pub until: Time,
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
        self.is_up() || self.overridden.is_none() && (works(self.found.health) || self.is_on_trial())
    }

    /// Whether it is eligible and was seen to work once, or an operator says that it does.
    pub fn is_proven(&self) -> bool {
        let seen =
            |(at, (_, found)): (usize, &(Whereto, Finding))| works(found.health) && self.has_passed(at);
        self.is_up() || self.overridden.is_none() && self.places.iter().enumerate().any(seen)
    }

    /// Whether it is neither known to work nor known to be Down.
    pub fn is_unknown(&self) -> bool {
        self.overridden.is_none() && self.found.health == Health::Unknown
    }

    /// Whether it is answered as it was before a reload, because nothing of it has passed since.
    pub fn is_on_trial(&self) -> bool {
        self.earlier.is_some() && self.found.health != Health::Down && self.has_never_passed()
    }

    /// Whether no place of it has ever been seen to work.
    pub fn has_never_passed(&self) -> bool {
        !(0..self.places.len()).any(|at| self.has_passed(at))
    }

    fn has_passed(&self, at: usize) -> bool {
        self.passed.get(at).copied().unwrap_or_default()
    }

    /// The places of before a reload that are answered as long as nothing of what came in their stead has passed:
    /// all of them, or those of the one address family that is on trial.
    pub fn stand_ins(&self) -> impl Iterator<Item = &Whereto> {
        let earlier = self.earlier.iter().filter(|_| self.overridden.is_none());
        earlier.flat_map(|earlier| &earlier.places).filter(|old| self.is_on_trial() || self.is_stood_in(old))
    }

    /// Whether the places of the family of `old` are all new, with none that works and one that may yet.
    fn is_stood_in(&self, old: &Whereto) -> bool {
        let alike = |place: &Whereto| match (old, place) {
            (Whereto::Addr(old), Whereto::Addr(new)) => old.is_ipv4() == new.is_ipv4(),
            (Whereto::Name(_), Whereto::Name(_)) => true,
            _ => false,
        };
        let new = || self.places.iter().enumerate().filter(|(_, (place, _))| alike(place));
        new().all(|(at, _)| !self.has_passed(at)) && new().any(|(_, (_, found))| found.health != Health::Down)
    }

    /// Whether it is known to be of no use, which a Suspect and an Unknown are not.
    pub fn is_out(&self) -> bool {
        self.is_taken() || self.overridden.is_none() && self.found.health == Health::Down
    }

    /// Whether an operator has taken it out.
    pub fn is_taken(&self) -> bool {
        matches!(self.forced(), Some(OverrideKind::Drain | OverrideKind::ForceDown))
    }

    /// The same endpoint, were it Down for sure.
    #[must_use]
    pub fn failed(mut self, now: Time) -> Standing {
        let down = || Finding { health: Health::Down, since: now, because: "supposed".to_owned() };
        self.found = down();
        self.places.iter_mut().for_each(|(_, found)| *found = down());
        self.last_known.fill(Health::Down);
        (self.earlier, self.confirmed) = (None, true);
        self
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
    /// that is Unknown because its samples are stale is where it was, and one that has never passed is answered
    /// where no other works. Of an endpoint on trial it is none: its [`Standing::stand_ins`] are.
    pub fn answered(&self) -> impl Iterator<Item = &(Whereto, Finding)> {
        let places = || self.places.iter().enumerate();
        let best = places().map(|(at, (_, found))| self.rank(at, found)).min().unwrap_or(WITHHELD);
        let worst = match self.overridden {
            Some(_) => Some(WITHHELD),
            None if self.is_on_trial() => None,
            None => Some(best),
        };
        let answered = places().filter(move |(at, (_, found))| Some(self.rank(*at, found)) <= worst);
        answered.map(|(_, place)| place)
    }

    /// How good a place is to be answered with: of several, the best are.
    fn rank(&self, at: usize, found: &Finding) -> u8 {
        let passed = self.has_passed(at);
        let worked = passed && self.last_known.get(at).is_some_and(|&it| works(it));
        // What damping holds Down, or is not seen any more, is where it was.
        let unseen = found.health == Health::Unknown || !works(self.found.health);
        if works(found.health) && passed || unseen && worked {
            0
        } else if works(found.health) {
            1
        } else {
            WITHHELD
        }
    }

    /// Whether a place that is answered may soon be Down.
    pub fn is_shaky(&self) -> bool {
        let suspect = || self.answered().any(|(_, found)| found.health == Health::Suspect);
        self.overridden.is_none() && (suspect() || self.stand_ins().next().is_some())
    }
}

/// The rank of a place that is answered only where no place is any better.
const WITHHELD: u8 = 2;

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
        let (passed, earlier, confirmed) = (vec![true; places.len()], None, false);
        let (maintenance, full) = (None, false);
        Standing {
            site,
            found,
            places,
            last_known,
            passed,
            earlier,
            confirmed,
            overridden,
            maintenance,
            full,
        }
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
    fn a_place_that_has_never_passed_is_answered_beside_none_that_has() {
        use Health::{Down, Suspect, Up};
        let check = |places: &[Health], passed: &[bool], expect: &[&str]| {
            let standing = Standing { passed: passed.to_vec(), ..standing(places, None) };
            let got: Vec<_> = standing.answered().map(|(place, _)| place.to_string()).collect();
            assert_eq!(got, expect, "{places:?} {passed:?}");
        };
        check(&[Suspect, Up], &[false, true], &["1"]);
        check(&[Suspect, Suspect], &[false, true], &["1"]);
        check(&[Suspect, Suspect], &[false, false], &["0", "1"]);
        check(&[Suspect, Down], &[false, true], &["0"]);
    }

    #[test]
    fn what_a_reload_brought_stands_back_until_it_has_passed() {
        use Health::{Down, Suspect, Unknown, Up};
        let check = |places: &[Health], passed: bool, expect: (&[&str], &[&str])| {
            let earlier = Some(Earlier { places: vec![Whereto::Name("old".into())], until: Time(9) });
            let passed = vec![passed; places.len()];
            let standing = Standing { passed, earlier, ..standing(places, None) };
            let got: Vec<_> = standing.answered().map(|(place, _)| place.to_string()).collect();
            let before: Vec<_> = standing.stand_ins().map(ToString::to_string).collect();
            assert_eq!(got, expect.0, "{places:?}");
            assert_eq!(before, expect.1, "{places:?}");
            assert_eq!(standing.is_eligible(), places != [Down]);
        };
        check(&[Unknown], false, (&[], &["old"]));
        check(&[Suspect], false, (&[], &["old"]));
        check(&[Up], true, (&["0"], &[]));
        check(&[Suspect], true, (&["0"], &[]));
        check(&[Down], false, (&["0"], &[]));
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

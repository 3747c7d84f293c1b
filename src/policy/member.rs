//! How a member of a group stands: an endpoint, or a group of them as a whole.

use super::Standing;
use crate::model::SiteId;
use crate::time::Time;

/// What a group's policy has to know of a member.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own, as in Standing")]
pub(super) struct Stance {
    /// A site, or a group's name.
    pub id: SiteId,
    pub up: bool,
    /// Up or Suspect, and not taken out.
    pub eligible: bool,
    /// Eligible, and seen to work once.
    pub proven: bool,
    /// Neither known to work nor known to be Down.
    pub unknown: bool,
    /// Of use only where it is out: whether it has failed once more since it is Down, or was taken out.
    pub confirmed: bool,
    /// Known to be of no use.
    pub out: bool,
    /// Taken out by an operator, or by a weight of zero.
    pub taken: bool,
    /// Kept out by damping alone.
    pub damped: bool,
    /// Stays in use though it is not eligible.
    pub may_stay: bool,
    pub maintained: bool,
    /// Whether it has no room left for the service.
    pub full: bool,
    /// Whether an override rules it.
    pub forced: bool,
    /// Of use only where it is up.
    pub up_since: Time,
}

impl Stance {
    /// How an endpoint stands.
    pub fn of(standing: &Standing) -> Stance {
        if standing.is_absent() {
            return Stance::absent(standing.site.clone());
        }
        Stance {
            id: standing.site.clone(),
            up: standing.is_up(),
            eligible: standing.is_eligible(),
            proven: standing.is_proven(),
            unknown: standing.is_unknown(),
            confirmed: standing.is_taken() || standing.confirmed,
            out: standing.is_out(),
            taken: standing.is_taken(),
            damped: standing.is_damped(),
            may_stay: standing.may_stay(),
            maintained: standing.maintenance.is_some(),
            full: standing.full,
            forced: standing.overridden.is_some(),
            up_since: standing.up_since(),
        }
    }

    /// An endpoint that has no address of the family in question: neither of use nor broken.
    fn absent(id: SiteId) -> Stance {
        Stance {
            id,
            up: false,
            eligible: false,
            proven: false,
            unknown: false,
            confirmed: true,
            out: false,
            taken: false,
            damped: false,
            may_stay: false,
            maintained: false,
            full: false,
            forced: false,
            up_since: Time::default(),
        }
    }

    /// How a group stands of which `min_up` members must work. It counts as Up from when that many of those
    /// that are Up now have been so.
    pub fn of_group(id: SiteId, members: &[&Stance], min_up: usize) -> Stance {
        let count = |is: fn(&Stance) -> bool| members.iter().filter(|member| is(member)).count();
        let enough = |is: fn(&Stance) -> bool| count(is) >= min_up;
        let eligible = enough(|it| it.eligible);
        let up = enough(|it| it.up);
        let damped = !eligible && enough(|it| it.eligible || it.damped);
        let out = !enough(|it| !it.out);
        let mut since: Vec<Time> = members.iter().filter(|it| it.up).map(|it| it.up_since).collect();
        since.sort_unstable();
        Stance {
            id,
            up,
            eligible,
            proven: enough(|it| it.proven),
            unknown: !eligible && !out && enough(|it| it.eligible || it.unknown),
            confirmed: members.iter().all(|it| !it.out || it.confirmed),
            out,
            taken: !enough(|it| !it.taken),
            damped,
            may_stay: !eligible && enough(|it| it.eligible || it.may_stay),
            maintained: up && !enough(|it| it.up && !it.maintained),
            // A service that sheds has no groups.
            full: false,
            forced: members.iter().all(|it| it.forced),
            up_since: since.get(min_up.saturating_sub(1)).copied().unwrap_or_default(),
        }
    }
}

//! What is answered where nothing works.

use super::choice::Choice;
use super::endpoint::Standing;
use super::memory::{Marks, Memories};
use super::reason::{LastResort, Noted, Reason, Rule};
use super::records;
use super::situation::Situation;

/// No endpoint is eligible: the configuration's `all_down` says what is answered, with the short TTL,
/// so that clients come back soon. Where nothing at all is known of any endpoint, none is known to be
/// down either, and the last answer, or else the first endpoint, stays.
pub(super) fn last_resort(situation: &Situation) -> Choice {
    let verified = situation.standings.iter().any(Standing::is_out);
    let asked = if verified { LastResort::of(&situation.service.all_down) } else { LastResort::Keep };
    last_resort_as(situation, asked)
}

pub(super) fn last_resort_as(situation: &Situation, asked: LastResort) -> Choice {
    let standings = situation.standings;
    let ttl = situation.service.ttl_suspect;
    let verified = standings.iter().any(Standing::is_out);
    let (sites, records, answer) = records::last_resort(situation, asked, ttl);
    let rule = if verified { Rule::AllDown { answer } } else { Rule::Unverified { answer } };
    let reason = Reason { serving: None, rule, endpoints: standings.iter().map(Noted::of).collect() };
    let steer = if answer == LastResort::Keep { records::kept_steer(situation, ttl) } else { None };
    let (latched, marks, hold_until, groups) = (false, Marks::new(), None, Memories::new());
    Choice { sites, records, ttl, reason, latched, marks, hold_until, groups, steer, partial: None }
}

//! What is allowed, and hardly meant: looked for on request only, as a server that starts has no time for
//! advice.

use std::collections::BTreeMap;

use crate::dns::name::{split_wire, text_of, wire_is_at_or_below};
use crate::dns::{Name, RrType, has_hints, hints};
use crate::zone::sets::RrSetRef;

use super::checks::{ALIAS, CUT, Checks, REDIRECT, parent};
use super::lint::Lint;
use super::problem::Pos;
use super::promises::Promises;

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// Names beside a wildcard that lack one of its types.
struct Partial {
    wildcard: u32,
    first: u32,
    lacks: RrType,
    count: usize,
}

impl Checks<'_> {
    /// Everything that is looked for on request.
    pub(super) fn lint(&mut self, promises: &Promises) {
        let apex = self.zone.apex().as_wire();
        let twice = [&apex[..apex.len() - 1], apex].concat();
        let owners = 0..self.zone.owners().len() as u32;
        for owner in owners.clone() {
            let Some((_, first)) = self.sets(owner).next() else { continue };
            self.owner_name(owner, first, &twice);
            let promised = if promises.ttls.is_empty() {
                None
            } else {
                let name = Name::from_wire(self.zone.owners().name(owner)).ok();
                name.and_then(|name| promises.ttls.get(&name))
            };
            for (set, pos) in self.sets(owner) {
                self.set(owner, &set, pos, &twice);
                if let Some(now) = promises.now.filter(|_| set.rtype == RrType::RRSIG) {
                    self.signatures(owner, &set, pos, now);
                }
                if let Some(&ttl) = promised
                    && [RrType::A, RrType::AAAA, RrType::CNAME].contains(&set.rtype)
                    && set.ttl > ttl
                {
                    let message = format!(
                        "{} {} has a TTL of {}, but is steered with {ttl}: until the first decision it is kept for longer",
                        self.text(owner),
                        set.rtype,
                        set.ttl
                    );
                    self.findings.warning(Lint::SteeredTtl, pos, message);
                }
                if !promises.ttls.is_empty() && has_hints(set.rtype) {
                    self.fixed_hints(owner, &set, pos, promises);
                }
            }
        }
        if let Some(&shortest) = promises.ttls.values().min() {
            self.negative_ttl(shortest);
        }
        self.wildcards(owners);
    }

    /// Hints of a steered name's addresses, which stay as they are when the addresses change.
    fn fixed_hints(&mut self, owner: u32, set: &RrSetRef<'_>, pos: Pos, promises: &Promises) {
        for rdata in set.rdata() {
            let Some((target, addresses)) = hints(rdata) else { continue };
            let of = if target == [0] { self.zone.owners().name(owner) } else { target };
            let Ok(of) = Name::from_wire(&of.to_ascii_lowercase()) else { continue };
            if addresses.is_empty() || !promises.ttls.contains_key(&of) {
                continue;
            }
            let message = format!(
                "the address hints of {} {} do not follow the decisions for {of}; leave them out, or give each endpoint records = [\"{} ... ipv4hint=auto\"]",
                self.text(owner),
                set.rtype,
                set.rtype
            );
            self.findings.warning(Lint::FixedHint, pos, message);
        }
    }

    /// Signatures that are no longer good (RFC 4034 section 3.1.5), whose times are serial numbers (RFC 1982).
    fn signatures(&mut self, owner: u32, set: &RrSetRef<'_>, pos: Pos, now: u64) {
        let expires = |rdata: &[u8]| rdata.get(8..12)?.try_into().ok().map(u32::from_be_bytes);
        let gone = |expires: &u32| expires.wrapping_sub(now as u32) > i32::MAX as u32;
        let expired: Vec<u32> = set.rdata().filter_map(expires).filter(gone).collect();
        let Some(first) = expired.iter().min() else { return };
        let (count, days) = (expired.len(), (now as u32).wrapping_sub(*first) / DAY);
        let message = format!(
            "{} has {count} expired RRSIG{}, the oldest {days} days ago; sign the zone again",
            self.text(owner),
            if count == 1 { "" } else { "s" }
        );
        self.findings.warning(Lint::ExpiredSignature, pos, message);
    }

    fn owner_name(&mut self, owner: u32, pos: Pos, twice: &[u8]) {
        let name = self.zone.owners().name(owner);
        let text = self.text(owner);
        if wire_is_at_or_below(name, twice)
            && twice.len() > 1
            && name.len() > self.zone.apex().as_wire().len()
        {
            let message = format!("{text} ends with the apex twice; end the name with a dot");
            self.findings.warning(Lint::DoubledOrigin, pos, message);
        }
        let Ok(labels) = Name::from_wire(name) else { return };
        if labels.labels().skip(1).any(|label| label == b"*") {
            let message = format!("the * inside {text} is no wildcard (RFC 4592 section 2.1.1)");
            self.findings.warning(Lint::InnerStar, pos, message);
        }
        if labels.labels().flatten().any(|byte| !byte.is_ascii_graphic()) {
            let message =
                format!("{text} is not printable ASCII; clients ask for A-labels, xn--... (RFC 5891)");
            self.findings.warning(Lint::OddOwner, pos, message);
        }
    }

    fn set(&mut self, owner: u32, set: &RrSetRef<'_>, pos: Pos, twice: &[u8]) {
        let skip = match set.rtype {
            RrType::NS => {
                if set.rdata().len() == 1 {
                    let message = format!(
                        "{} has one name server; when it is away, all of it is (RFC 2182 section 5)",
                        self.text(owner)
                    );
                    self.findings.warning(Lint::OneServer, pos, message);
                }
                if self.zone.owners().name(owner).starts_with(b"\x01*") {
                    self.wildcard_server(owner, set.rtype, pos);
                }
                0
            }
            RrType::DNAME => {
                if self.zone.owners().name(owner).starts_with(b"\x01*") {
                    self.wildcard_server(owner, set.rtype, pos);
                }
                0
            }
            RrType::DS => {
                if self.flags_of(set.owner) & CUT == 0 {
                    let message =
                        format!("{} has a DS and no NS: nothing is delegated there", self.text(owner));
                    self.findings.warning(Lint::DsAlone, pos, message);
                }
                return;
            }
            RrType::SOA => return set.rdata().for_each(|rdata| self.soa(rdata, pos)),
            RrType::CNAME | RrType::PTR => 0,
            RrType::MX => 2,
            RrType::SRV => 6,
            _ => return,
        };
        for target in set.rdata().filter_map(|rdata| rdata.get(skip..)) {
            let target = &target.to_ascii_lowercase()[..];
            if twice.len() > 1 && wire_is_at_or_below(target, twice) {
                let message =
                    format!("{} ends with the apex twice; end the name with a dot", text_of(target));
                self.findings.warning(Lint::DoubledOrigin, pos, message);
            } else if [RrType::MX, RrType::SRV].contains(&set.rtype) {
                if self.flags_of(target) & ALIAS == 0 && self.lacks_address(u32::MAX, target) {
                    let message = format!(
                        "{} of {} has no address here; add its A or AAAA",
                        text_of(target),
                        self.text(owner)
                    );
                    self.findings.warning(Lint::MissingTarget, pos, message);
                }
            } else if set.rtype == RrType::CNAME && self.is_missing(target) {
                let message = format!(
                    "{}, which {} stands for, is not in this zone; add it",
                    text_of(target),
                    self.text(owner)
                );
                self.findings.warning(Lint::MissingTarget, pos, message);
            }
        }
    }

    fn wildcard_server(&mut self, owner: u32, rtype: RrType, pos: Pos) {
        let message = format!(
            "{} has {rtype} records; what a wildcard's mean is undefined (RFC 4592 section 4)",
            self.text(owner)
        );
        self.findings.warning(Lint::WildcardServer, pos, message);
    }

    /// Whether only this zone could have `name`, and it has not.
    fn is_missing(&self, name: &[u8]) -> bool {
        if !wire_is_at_or_below(name, self.zone.apex().as_wire())
            || self.above(name, true, CUT | REDIRECT).is_some()
        {
            return false;
        }
        let has = |name: &[u8]| {
            self.zone.owners().find(name).is_some_and(|owner| self.zone.owned(owner).next().is_some())
        };
        let mut above = Some(name);
        while let Some(here) = above {
            if here == name && has(here) {
                return false;
            }
            above = parent(here);
            if let Some(parent) = above
                && has(&[b"\x01*", parent].concat())
            {
                return false;
            }
        }
        true
    }

    fn soa(&mut self, rdata: &[u8], pos: Pos) {
        let Some((mailbox, numbers)) = split_wire(rdata).and_then(|(_, rest)| split_wire(rest)) else {
            return;
        };
        let number = |at: usize| {
            numbers
                .get(at * 4..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |four| u32::from_be_bytes(*four))
        };
        if mailbox.contains(&b'@') {
            let message = format!("the mailbox {} holds an @; write a dot for it", text_of(mailbox));
            self.findings.warning(Lint::SoaMailbox, pos, message);
        }
        let (refresh, retry, expire, minimum) = (number(1), number(2), number(3), number(4));
        let mut say = |wrong: bool, message: String| {
            if wrong {
                self.findings.warning(Lint::SoaTimers, pos, message);
            }
        };
        say(
            !(20 * MINUTE..=DAY).contains(&refresh),
            format!("a refresh of {refresh} s is not within 20m and 1d"),
        );
        say(!(MINUTE..=12 * HOUR).contains(&retry), format!("a retry of {retry} s is not within 1m and 12h"));
        say(
            retry >= refresh,
            format!("the retry of {retry} s is no shorter than the refresh of {refresh} s"),
        );
        say(
            !(7 * DAY..=42 * DAY).contains(&expire),
            format!(
                "an expire of {expire} s is not within 1w and 6w: an outage of the primary that is longer takes the zone down everywhere"
            ),
        );
        say(
            expire < refresh.saturating_add(retry),
            format!("the expire of {expire} s leaves no time for a refresh and a retry"),
        );
        say(
            minimum > DAY,
            format!(
                "a minimum of {minimum} s: \"no such name\" is kept for more than a day (RFC 2308 section 5)"
            ),
        );
    }

    fn negative_ttl(&mut self, shortest: u32) {
        let Some(owner) = self.zone.owners().find(self.zone.apex().as_wire()) else { return };
        let Some(pos) = self.position(owner, RrType::SOA) else { return };
        let soa = self.zone.soa();
        let negative = crate::dns::soa_minimum(&soa).min(soa.ttl);
        if negative > shortest {
            let message = format!(
                "\"no such name\" is kept for {negative} s, longer than the {shortest} s of a steered answer: who asks while a record is withheld misses its return for that long"
            );
            self.findings.warning(Lint::NegativeTtl, pos, message);
        }
    }

    /// Names that exist beside a wildcard get nothing from it, not even types they lack.
    fn wildcards(&mut self, owners: std::ops::Range<u32>) {
        let mut found: BTreeMap<u32, Partial> = BTreeMap::new();
        for owner in owners {
            let name = self.zone.owners().name(owner);
            let is_wildcard = name.starts_with(b"\x01*");
            let Some(above) = parent(name).filter(|_| !is_wildcard && !self.is_apex(owner)) else { continue };
            let Some(wildcard) = self.zone.owners().find(&[b"\x01*", above].concat()) else { continue };
            let has = |rtype| self.zone.owned(owner).any(|set| set.rtype == rtype);
            if self.zone.owned(owner).next().is_none()
                || has(RrType::CNAME)
                || has(RrType::NS)
                || has(RrType::DNAME)
                || name.starts_with(b"\x01_")
                || name.get(1) == Some(&b'_')
            {
                continue;
            }
            let Some(lacking) =
                self.zone.owned(wildcard).find(|set| !has(set.rtype) && set.rtype != RrType::CNAME)
            else {
                continue;
            };
            let partial = Partial { wildcard, first: owner, lacks: lacking.rtype, count: 0 };
            found.entry(wildcard).or_insert(partial).count += 1;
        }
        for partial in found.into_values() {
            let Some(pos) = self.position(partial.wildcard, partial.lacks) else { continue };
            let others = match partial.count - 1 {
                0 => String::new(),
                count => format!(" (and {count} more)"),
            };
            let message = format!(
                "{} has no {} and gets none from {}, as it exists{others}",
                self.text(partial.first),
                partial.lacks,
                self.text(partial.wildcard)
            );
            self.findings.warning(Lint::WildcardPartial, pos, message);
        }
    }
}

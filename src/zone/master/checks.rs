//! What must hold among a zone's RRsets, once all of them are known.

use crate::dns::RrType;
use crate::dns::name::{text_of, wire_is_at_or_below};
use crate::zone::Zone;
use crate::zone::sets::RrSetRef;

use super::lint::Lint;
use super::problem::{Findings, Pos};
use super::promises::Promises;

/// The owner delegates: it has NS and is not the apex.
pub(super) const CUT: u8 = 1;
/// The owner has a DNAME.
pub(super) const REDIRECT: u8 = 2;
/// Some NS record names the owner.
const SERVER: u8 = 4;
/// The owner has a CNAME.
pub(super) const ALIAS: u8 = 8;
/// The owner has an A or AAAA.
const ADDRESS: u8 = 16;

/// Reports everything that is wrong among the RRsets of `zone`, which stand at `positions`. Unless the
/// files were read in full (`complete`), nothing is said of what is missing. With `promises`, lints that
/// a server does not look for are told too.
pub(super) fn check(
    zone: &Zone,
    positions: &[Pos],
    complete: bool,
    promises: Option<&Promises>,
    findings: &mut Findings,
) {
    let mut checks = Checks { zone, positions, flags: vec![0; zone.owners().len()], findings };
    checks.flag_owners();
    if complete {
        checks.apex();
    }
    let cuts = checks.flags.iter().any(|flags| flags & (CUT | REDIRECT) != 0);
    for owner in 0..zone.owners().len() as u32 {
        checks.company(owner);
        checks.targets(owner, complete);
        if cuts {
            checks.occluded(owner);
        }
    }
    if let Some(promises) = promises.filter(|_| complete) {
        checks.lint(promises);
    }
}

pub(super) struct Checks<'a> {
    pub(super) zone: &'a Zone,
    positions: &'a [Pos],
    /// For each owner.
    flags: Vec<u8>,
    pub(super) findings: &'a mut Findings,
}

impl<'a> Checks<'a> {
    /// An owner's RRsets and where they stand.
    pub(super) fn sets(&self, owner: u32) -> impl Iterator<Item = (RrSetRef<'a>, Pos)> + use<'a> {
        let positions = &self.positions[self.zone.first_set(owner)..];
        self.zone.owned(owner).zip(positions.iter().copied())
    }

    /// Where an owner's RRset of a type stands.
    pub(super) fn position(&self, owner: u32, rtype: RrType) -> Option<Pos> {
        self.sets(owner).find(|(set, _)| set.rtype == rtype).map(|(_, pos)| pos)
    }

    pub(super) fn is_apex(&self, owner: u32) -> bool {
        self.zone.owners().name(owner) == self.zone.apex().as_wire()
    }

    pub(super) fn text(&self, owner: u32) -> String {
        text_of(self.zone.owners().name(owner))
    }

    /// The flags of a name, 0 where it owns nothing.
    pub(super) fn flags_of(&self, name: &[u8]) -> u8 {
        self.zone.owners().find(name).map_or(0, |owner| self.flags[owner as usize])
    }

    fn flag_owners(&mut self) {
        for owner in 0..self.flags.len() as u32 {
            for (set, _) in self.sets(owner) {
                self.flags[owner as usize] |= match set.rtype {
                    RrType::NS if !self.is_apex(owner) => CUT,
                    RrType::DNAME => REDIRECT,
                    RrType::CNAME => ALIAS,
                    RrType::A | RrType::AAAA => ADDRESS,
                    _ => 0,
                };
                if set.rtype == RrType::NS {
                    let servers = set.rdata().filter_map(|target| self.zone.owners().find(target));
                    servers.for_each(|server| self.flags[server as usize] |= SERVER);
                }
            }
        }
    }

    /// One SOA (RFC 1035 section 5.2) and NS at the apex (RFC 1034 section 4.2.1).
    fn apex(&mut self) {
        let apex = self.zone.apex();
        let owner = self.zone.owners().find(apex.as_wire());
        let find = |rtype| owner.and_then(|owner| self.position(owner, rtype));
        let (soa, ns) = (find(RrType::SOA), find(RrType::NS));
        match soa {
            None => self.findings.error_of_zone(format!(
                "the zone has no SOA; begin it with \"{apex} 1h IN SOA PRIMARY MAILBOX 1 1h 15m 1w 5m\""
            )),
            Some(pos) if ns.is_none() => {
                let message = format!("the apex has no NS; add \"{apex} 1h IN NS SERVER\" for each server");
                self.findings.error(pos, message);
            }
            Some(_) => {}
        }
    }

    /// Which types may stand together at an owner.
    fn company(&mut self, owner: u32) {
        let is_apex = self.is_apex(owner);
        if let Some(pos) = self.position(owner, RrType::SOA).filter(|_| !is_apex) {
            let message =
                format!("{} has a SOA, but only the apex {} has one", self.text(owner), self.zone.apex());
            self.findings.error(pos, message);
        }
        if self.flags[owner as usize] & ALIAS != 0 {
            // RFC 1034 section 3.6.2; RFC 4034 section 2.3 and RFC 4035 section 2.5 make the exceptions.
            let beside = [RrType::CNAME, RrType::RRSIG, RrType::NSEC];
            let other = self.sets(owner).find(|(set, _)| !beside.contains(&set.rtype));
            if let (Some(pos), Some((set, other))) = (self.position(owner, RrType::CNAME), other) {
                let message = format!(
                    "{} has a CNAME and {} records; a CNAME stands alone (RFC 1034 section 3.6.2)",
                    self.text(owner),
                    set.rtype
                );
                self.findings.error_with(pos, message, "the others begin at", other);
            }
        }
        if self.flags[owner as usize] & (CUT | REDIRECT) == CUT | REDIRECT
            && let (Some(pos), Some(other)) =
                (self.position(owner, RrType::DNAME), self.position(owner, RrType::NS))
        {
            let message =
                format!("{} is both a DNAME and a delegation (RFC 6672 section 2.3)", self.text(owner));
            self.findings.error_with(pos, message, "the NS stands at", other);
        }
    }

    /// Names that records point at: servers need addresses, and servers and mail hosts no CNAME (RFC 2181
    /// section 10.3, RFC 2782).
    fn targets(&mut self, owner: u32, complete: bool) {
        for (set, pos) in self.sets(owner) {
            let skip = match set.rtype {
                RrType::NS => 0,
                RrType::MX => 2,
                RrType::SRV => 6,
                _ => continue,
            };
            for target in set.rdata().filter_map(|rdata| rdata.get(skip..)) {
                if self.flags_of(target) & ALIAS != 0 {
                    let message = format!(
                        "{} {} names {}, which is a CNAME; name the host it stands for (RFC 2181 section 10.3)",
                        self.text(owner),
                        set.rtype,
                        text_of(target)
                    );
                    self.findings.warning(Lint::AliasTarget, pos, message);
                } else if set.rtype == RrType::NS && complete && self.lacks_address(owner, target) {
                    let message = format!(
                        "server {} of {} has no address here; add its A or AAAA",
                        text_of(target),
                        self.text(owner)
                    );
                    self.findings.warning(Lint::MissingAddress, pos, message);
                }
            }
        }
    }

    /// Whether `server`, which an NS at `owner` names, has no address though only this zone could give it.
    pub(super) fn lacks_address(&self, owner: u32, server: &[u8]) -> bool {
        if !wire_is_at_or_below(server, self.zone.apex().as_wire()) || self.flags_of(server) & ADDRESS != 0 {
            return false;
        }
        if let Some(cut) = self.above(server, true, CUT | REDIRECT) {
            // Another zone's names are that zone's to tell, unless it is the one delegated here.
            return cut == owner;
        }
        // Below a wildcard every name has what the wildcard has (RFC 4592 section 2.2.1).
        let mut wildcard = Vec::with_capacity(server.len() + 2);
        let mut name = server;
        while let Some(parent) = parent(name) {
            wildcard.clear();
            wildcard.extend_from_slice(b"\x01*");
            wildcard.extend_from_slice(parent);
            if self.flags_of(&wildcard) & ADDRESS != 0 {
                return false;
            }
            name = parent;
        }
        true
    }

    /// The closest owner above `name`, or at it, that has one of these flags.
    pub(super) fn above(&self, name: &[u8], at_it: bool, flags: u8) -> Option<u32> {
        let apex = self.zone.apex().as_wire();
        let mut name = if at_it { Some(name) } else { parent(name) };
        while let Some(here) = name.filter(|name| name.len() >= apex.len()) {
            let owner = self.zone.owners().find(here);
            if let Some(owner) = owner.filter(|&owner| self.flags[owner as usize] & flags != 0) {
                return Some(owner);
            }
            name = parent(here);
        }
        None
    }

    /// Data that no query reaches: below a delegation all but glue, at one all but what the parent has a
    /// say in (RFC 1034 section 4.2.1, RFC 4035 section 2.6), and all below a DNAME (RFC 6672 section 2.4).
    fn occluded(&mut self, owner: u32) {
        let flags = self.flags[owner as usize];
        let above = self.above(self.zone.owners().name(owner), false, CUT | REDIRECT);
        let Some(cut) = above.or_else(|| (flags & CUT != 0).then_some(owner)) else { return };
        let redirects = cut != owner && self.flags[cut as usize] & REDIRECT != 0;
        for (set, pos) in self.sets(owner) {
            let visible = match set.rtype {
                _ if redirects => false,
                RrType::A | RrType::AAAA => flags & SERVER != 0,
                // A DNAME here is reported by `company`.
                RrType::NS | RrType::DS | RrType::NSEC | RrType::RRSIG | RrType::DNAME => cut == owner,
                _ => false,
            };
            if visible {
                continue;
            }
            let (what, by) =
                if redirects { (RrType::DNAME, "the DNAME") } else { (RrType::NS, "the delegation") };
            let by_pos = self.position(cut, what).unwrap_or(pos);
            let message = format!(
                "{} {} is never answered: {by} of {} occludes it",
                self.text(owner),
                set.rtype,
                self.text(cut)
            );
            let is_address = !redirects && [RrType::A, RrType::AAAA].contains(&set.rtype);
            let lint = if is_address { Lint::UnusedGlue } else { Lint::Occluded };
            self.findings.warning_with(lint, pos, message, "that stands at", by_pos);
        }
    }
}

/// A name in wire form without its first label; `None` for the root.
pub(super) fn parent(name: &[u8]) -> Option<&[u8]> {
    let (&len, rest) = name.split_first()?;
    if len == 0 { None } else { rest.get(usize::from(len)..) }
}

//! From a question to the records of its answer: RFC 1034 section 4.3.2, as RFC 2308 (negative answers),
//! RFC 4592 (wildcards) and RFC 6672 (DNAME) have it.

use super::id::NodeId;
use super::message::{Full, Message, Owner, Section};
use super::names::{Sought, label_at, suffix_at};
use super::node::{HAS_DNAME, HAS_WILDCARD, IS_APEX, Kind, Node};
use super::pick::Client;
use super::query::{Question, rcode};
use super::set::{Link, QUESTION, RECORD_HEAD, Set, Sets};
use super::table::Table;
use crate::dns::{MAX_NAME_LEN, RrType};

/// The names one answer visits, the question's included; a longer chain of CNAMEs is left to the resolver.
const MAX_CHAIN: usize = 16;

/// What a visit to a name comes to.
enum Step {
    /// The answer is complete.
    Done(u16),
    /// Another name, at this place in the message, goes on.
    Follow(usize),
}

struct Run<'r, 'o> {
    table: &'r Table,
    client: &'r Client<'r>,
    rtype: RrType,
    /// Whether who asks may see what is not for everybody.
    admitted: bool,
    message: &'r mut Message<'o>,
    visited: [NodeId; MAX_CHAIN],
    hops: usize,
}

/// A name and where it stands in the message.
#[derive(Clone, Copy)]
struct Place<'n> {
    name: &'n Sought,
    at: usize,
}

impl Place<'_> {
    fn owner(&self) -> Owner {
        Owner { at: self.at, len: self.name.name().len() }
    }

    /// The last `len` bytes of the name.
    fn suffix(&self, message: &Message<'_>, len: usize) -> Option<Owner> {
        let skip = self.name.name().len().checked_sub(len)?;
        Some(Owner { at: suffix_at(message.bytes(), self.at, skip)?, len })
    }
}

/// Writes the sections of the answer and gives its RCODE.
pub(super) fn resolve(
    table: &Table,
    name: &Sought,
    question: &Question,
    client: &Client<'_>,
    admitted: bool,
    message: &mut Message<'_>,
) -> u16 {
    let visited = [NodeId::NONE; MAX_CHAIN];
    let mut run = Run { table, client, rtype: question.rtype, admitted, message, visited, hops: 0 };
    let mut step = run.visit(Place { name, at: QUESTION });
    loop {
        match step {
            Step::Done(rcode) => return rcode,
            Step::Follow(at) => {
                run.hops += 1;
                let Some(name) = Sought::follow(run.message.bytes(), at) else { return rcode::SERV_FAIL };
                step = run.visit(Place { name: &name, at });
            }
        }
    }
}

impl<'r> Run<'r, '_> {
    fn visit(&mut self, place: Place<'_>) -> Step {
        let Some(node) = self.table.closest(place.name) else { return self.outside() };
        if node.name_len() != place.name.name().len() {
            return self.missing(place, &node);
        }
        match node.kind() {
            Kind::Authoritative(zone) => self.exact(place, &node, zone),
            // The parent's side of a cut is where DS lives (RFC 4035 section 3.1.4.1).
            Kind::Cut(zone) if self.rtype == RrType::DS => self.at_node(place, &node, zone),
            Kind::Cut(_) => self.refer(place, &node),
            Kind::Hidden(by) => self.hidden(place, by),
            // Only names that exist are found.
            Kind::Absent => self.outside(),
            Kind::Private(zone) if self.admitted => self.at_node(place, &node, zone),
            Kind::Private(_) => self.private(),
        }
    }

    #[inline]
    fn exact(&mut self, place: Place<'_>, node: &Node<'r>, zone: u32) -> Step {
        if self.rtype == RrType::DS
            && node.has(IS_APEX)
            && let Some(side) = self.table.parent_side(node.name())
        {
            return self.at_node(place, &side, side.zone());
        }
        self.at_node(place, node, zone)
    }

    /// No such name: `encloser` is the longest name above that exists.
    #[inline]
    fn missing(&mut self, place: Place<'_>, encloser: &Node<'r>) -> Step {
        match encloser.kind() {
            Kind::Authoritative(_) if encloser.has(HAS_DNAME) => self.redirect(place, encloser),
            Kind::Authoritative(zone) => {
                if encloser.has(HAS_WILDCARD)
                    && let Some(wildcard) = self.table.wildcard(encloser)
                {
                    return self.at_node(place, &wildcard, zone);
                }
                self.negative(place, zone, rcode::NX_DOMAIN)
            }
            Kind::Cut(_) => self.refer(place, encloser),
            Kind::Hidden(by) => self.hidden(place, by),
            // No encloser is.
            Kind::Absent => self.outside(),
            Kind::Private(zone) if self.admitted => self.negative(place, zone, rcode::NX_DOMAIN),
            Kind::Private(_) => self.private(),
        }
    }

    fn hidden(&mut self, place: Place<'_>, by: NodeId) -> Step {
        let by = self.table.node(by);
        if by.has(HAS_DNAME) { self.redirect(place, &by) } else { self.refer(place, &by) }
    }

    /// In none of the zones. A chain that leads out of them is the resolver's to go on with.
    fn outside(&self) -> Step {
        Step::Done(if self.hops == 0 { rcode::REFUSED } else { rcode::NO_ERROR })
    }

    /// In a zone that is not for everybody: the desk knows who may ask. To a chain it is as no zone at all.
    #[cold]
    fn private(&self) -> Step {
        if self.hops == 0 { Step::Done(rcode::PRIVATE) } else { self.outside() }
    }

    /// In a zone whose content is not known, or too old (RFC 1035 section 4.3.5): another server may know.
    fn hollow(&mut self) -> Step {
        if self.hops > 0 {
            return Step::Done(rcode::NO_ERROR);
        }
        self.message.authoritative = false;
        Step::Done(rcode::SERV_FAIL)
    }

    /// A name whose first answer is not known yet. A chain ends before it: who follows it will ask again.
    #[cold]
    fn not_ready(&mut self) -> Step {
        if self.hops > 0 {
            return Step::Done(rcode::NO_ERROR);
        }
        self.message.authoritative = false;
        Step::Done(rcode::NOT_READY)
    }

    /// AA speaks of the first name of the answer (RFC 1035 section 4.1.1).
    fn speak_with_authority(&mut self) {
        self.message.authoritative |= self.hops == 0;
    }

    /// The first name's node or zone is what the answer is about.
    fn note_subject(&mut self, subject: u32) {
        if self.hops == 0 {
            self.message.subject = subject;
        }
    }

    fn truncate(&mut self) -> Step {
        self.message.truncated = true;
        Step::Done(rcode::NO_ERROR)
    }

    #[inline]
    fn at_node(&mut self, place: Place<'_>, node: &Node<'r>, zone: u32) -> Step {
        self.speak_with_authority();
        self.note_subject(node.id.0);
        let mut cname = None;
        let (body, scope) = node.told_to(self.client);
        for set in Sets::of(body) {
            // One RRset is answer enough to ANY (RFC 8482 section 4.1).
            if set.rtype == self.rtype || self.rtype == RrType::ANY {
                return self.found(place, node, &set, scope);
            }
            if set.rtype == RrType::CNAME {
                cname = Some(set);
            }
        }
        match cname {
            Some(set) => self.alias(place, node, &set, scope),
            None if node.waits() => self.not_ready(),
            // Resolvers share what is not there among all clients (RFC 7871 section 7.4), so it has no scope.
            None => self.negative(place, zone, rcode::NO_ERROR),
        }
    }

    #[inline]
    fn found(&mut self, place: Place<'_>, node: &Node<'r>, set: &Set<'r>, scope: u8) -> Step {
        let Ok(start) = self.message.push(Section::Answer, set, place.owner(), node.name_len()) else {
            return self.truncate();
        };
        self.depend(scope);
        let front = self.message.turn(set, start);
        if set.has_links() {
            self.add_addresses(set, start, front, node.id);
        }
        Step::Done(rcode::NO_ERROR)
    }

    /// A CNAME: the answer goes on at its target, unless it has been there before.
    fn alias(&mut self, place: Place<'_>, node: &Node<'r>, set: &Set<'r>, scope: u8) -> Step {
        if self.visited[..self.hops].contains(&node.id) {
            return Step::Done(rcode::NO_ERROR);
        }
        match self.message.push(Section::Answer, set, place.owner(), node.name_len()) {
            Ok(start) => {
                self.depend(scope);
                self.follow(node.id, start + RECORD_HEAD)
            }
            Err(Full) => self.truncate(),
        }
    }

    /// What the answer section depends on is what any of its RRsets depends on.
    #[inline]
    fn depend(&mut self, scope: u8) {
        self.message.scope = self.message.scope.max(scope);
    }

    fn follow(&mut self, from: NodeId, target: usize) -> Step {
        self.visited[self.hops] = from;
        if self.hops + 1 == MAX_CHAIN { Step::Done(rcode::NO_ERROR) } else { Step::Follow(target) }
    }

    /// A DNAME above the name: the DNAME itself and a CNAME made from it (RFC 6672 section 3.1). One DNAME may
    /// apply to several names of a chain (section 3.2); it stands in the answer once.
    fn redirect(&mut self, place: Place<'_>, node: &Node<'r>) -> Step {
        self.speak_with_authority();
        self.note_subject(node.id.0);
        let applied = self.visited[..self.hops].contains(&node.id);
        // The chain goes round: this name was redirected before.
        if applied && self.message.has_alias_of(place.at) {
            return Step::Done(rcode::NO_ERROR);
        }
        let mut sets = Sets::of(node.told());
        let Some(dname) = sets.find(|set| set.rtype == RrType::DNAME) else {
            return Step::Done(rcode::SERV_FAIL);
        };
        let stored = node.name_len();
        let Some(owner) = place.suffix(self.message, stored) else {
            return Step::Done(rcode::SERV_FAIL);
        };
        let written = if applied { self.message.dname_of(owner.at) } else { None };
        let start = match written {
            Some(start) => start,
            None => match self.message.push(Section::Answer, &dname, owner, stored) {
                Ok(start) => start,
                Err(Full) => return self.truncate(),
            },
        };
        let ttl = [dname.wire[6], dname.wire[7], dname.wire[8], dname.wire[9]];
        let len = RECORD_HEAD + usize::from(u16::from_be_bytes([dname.wire[10], dname.wire[11]]));
        let target = &dname.wire[RECORD_HEAD..len];
        let prefix = &place.name.name()[..place.name.name().len() - stored];
        if prefix.len() + target.len() > MAX_NAME_LEN {
            return Step::Done(rcode::YX_DOMAIN);
        }
        let Some(at) = label_at(self.message.bytes(), place.at) else {
            return Step::Done(rcode::SERV_FAIL);
        };
        match self.message.push_cname(at, ttl, prefix, (target, start + RECORD_HEAD)) {
            Ok(_) if self.rtype == RrType::CNAME || self.rtype == RrType::ANY => Step::Done(rcode::NO_ERROR),
            Ok(target) => self.follow(node.id, target),
            Err(Full) => self.truncate(),
        }
    }

    /// NODATA or NXDOMAIN: the zone's SOA says how long to believe it (RFC 2308 section 3).
    fn negative(&mut self, place: Place<'_>, zone: u32, rcode: u16) -> Step {
        self.speak_with_authority();
        if rcode == rcode::NX_DOMAIN {
            self.note_subject(zone);
        }
        let apex = self.table.entry(zone).apex.as_wire().len();
        let Some(soa) = self.table.negative(zone) else { return self.hollow() };
        if let Some(owner) = place.suffix(self.message, apex)
            && self.message.push(Section::Authority, &soa, owner, apex).is_err()
        {
            self.message.truncated = true;
        }
        Step::Done(rcode)
    }

    /// The delegation at or above the name, with the addresses of its name servers and without AA.
    fn refer(&mut self, place: Place<'_>, cut: &Node<'r>) -> Step {
        self.note_subject(cut.id.0);
        let stored = cut.name_len();
        let mut sets = Sets::of(cut.told());
        if let Some(ns) = sets.find(|set| set.rtype == RrType::NS)
            && let Some(owner) = place.suffix(self.message, stored)
        {
            match self.message.push(Section::Authority, &ns, owner, stored) {
                Ok(start) if ns.has_links() => self.add_name_servers(&ns, start),
                Ok(_) => {}
                Err(Full) => return self.truncate(),
            }
        }
        Step::Done(rcode::NO_ERROR)
    }

    /// Adds the addresses of a delegation's name servers, whose set stands at `start`. Those at or below the cut come
    /// first and must be whole, or TC is set (RFC 9471 section 3.1); all others are a courtesy.
    fn add_name_servers(&mut self, set: &Set<'r>, start: usize) {
        let mut has_others = false;
        for link in set.links() {
            if !link.required {
                has_others = true;
            } else if let Some(target) = self.target(&link, start + link.at)
                && self.add_glue(start + link.at, target).is_err()
            {
                self.message.truncated = true;
            }
        }
        if !has_others {
            return;
        }
        for link in set.links().filter(|link| !link.required) {
            if let Some(target) = self.target(&link, start + link.at) {
                // Left out where they do not fit: they can be asked for.
                let _ = self.add_glue(start + link.at, target);
            }
        }
    }

    /// Adds the addresses of the names in the RDATA of a set that is the answer of a node. It stands at `start`, with
    /// its record at `front` first.
    fn add_addresses(&mut self, set: &Set<'r>, start: usize, front: usize, answering: NodeId) {
        for link in set.links() {
            let at = start + if link.at < front { link.at + set.wire.len() } else { link.at } - front;
            let Some(target) = self.target(&link, at) else { continue };
            // The bindings of the target belong to its addresses (RFC 9460 section 4.1).
            let beside = if target != answering && is_binding(set.rtype) { set.rtype } else { RrType::A };
            // Left out where they do not fit: they can be asked for.
            let _ = self.add_courtesy(at, target, beside);
        }
    }

    /// Where a link leads; one into another zone, by the name at `at`.
    #[inline]
    fn target(&self, link: &Link, at: usize) -> Option<NodeId> {
        match link.node.some() {
            Some(node) => Some(node),
            None => self.elsewhere(at),
        }
    }

    #[cold]
    fn elsewhere(&self, at: usize) -> Option<NodeId> {
        let name = Sought::follow(self.message.bytes(), at)?;
        Some(self.table.find(&name)?.id)
    }

    /// The addresses that lead to another server are the same for everybody.
    fn add_glue(&mut self, at: usize, node: NodeId) -> Result<(), Full> {
        let node = self.table.node(node);
        self.add_address(at, &node, node.told(), RrType::A)
    }

    /// Addresses of our own that spare a question. What depends on the client is not put beside an answer
    /// (RFC 7871 section 7.3.1): a resolver would keep it for everybody.
    fn add_courtesy(&mut self, at: usize, node: NodeId, beside: RrType) -> Result<(), Full> {
        let node = self.table.node(node);
        if !matches!(node.kind(), Kind::Authoritative(_)) {
            return Ok(());
        }
        match node.told_to(self.client) {
            (body, 0) => self.add_address(at, &node, body, beside),
            _ => Ok(()),
        }
    }

    /// Adds what a node has of addresses, and of the type `beside` them.
    fn add_address(
        &mut self,
        at: usize,
        node: &Node<'r>,
        body: &'r [u8],
        beside: RrType,
    ) -> Result<(), Full> {
        let owner = Owner { at, len: node.name_len() };
        for set in Sets::of(body) {
            if matches!(set.rtype, RrType::A | RrType::AAAA) || set.rtype == beside {
                self.message.push(Section::Additional, &set, owner, owner.len)?;
            }
        }
        Ok(())
    }
}

/// Whether a type binds a name to a service at another (RFC 9460).
fn is_binding(rtype: RrType) -> bool {
    matches!(rtype, RrType::SVCB | RrType::HTTPS)
}

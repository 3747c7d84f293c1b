//! What changes come to (RFC 2136 section 3.4.2). Each RRset that they touch is taken apart once and put together once,
//! so that the cost is that of what is asked for and of what it touches, not the product of both.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{UpdateView, Wanted};
use super::{Change, UpdateError};
use crate::dns::{Name, RrSet, RrType, soa_serial};
use crate::zone::edits::fits_cname;

/// Carries changes out, in their order: what the RRsets come to that they touch. What the RFC says cannot be done is
/// passed over. Errors: an RRset would grow past `max_rrset` bytes ([`RrSet::size`]); the update is refused as a whole.
pub fn effects(
    apex: &Name,
    changes: &[Change],
    view: &UpdateView<'_>,
    max_rrset: usize,
) -> Result<Wanted, UpdateError> {
    let mut work = Work { apex, view, owners: BTreeMap::new() };
    for change in changes {
        match change {
            Change::Add { owner, rtype, ttl, rdata } => work.add(owner, *rtype, *ttl, rdata),
            Change::RemoveSet(owner, rtype) => work.remove_set(owner, *rtype),
            Change::RemoveName(owner) => {
                for rtype in work.owner(owner).0.types.clone() {
                    work.remove_set(owner, rtype);
                }
            }
            Change::Remove(owner, rtype, rdata) => work.remove(owner, *rtype, rdata),
        }
    }
    work.wanted(max_rrset)
}

/// The names that changes touch, as they are so far.
struct Work<'w> {
    apex: &'w Name,
    view: &'w UpdateView<'w>,
    owners: BTreeMap<Name, Owner>,
}

#[derive(Default)]
struct Owner {
    types: BTreeSet<RrType>,
    /// How many of them cannot stand beside a CNAME.
    others: usize,
    /// What was touched; without records there is no such RRset.
    sets: BTreeMap<RrType, Records>,
}

#[derive(Default)]
struct Records {
    ttl: u32,
    rdata: BTreeSet<Box<[u8]>>,
}

impl Owner {
    fn insert(&mut self, rtype: RrType) {
        self.others += usize::from(self.types.insert(rtype) && !fits_cname(rtype));
    }

    fn remove(&mut self, rtype: RrType) {
        self.others -= usize::from(self.types.remove(&rtype) && !fits_cname(rtype));
    }

    /// Its records of one type, as they are so far.
    fn records(&mut self, name: &Name, rtype: RrType, view: &UpdateView<'_>) -> &mut Records {
        self.sets.entry(rtype).or_insert_with(|| match view.rrset(name, rtype) {
            Some(held) => Records { ttl: held.ttl, rdata: held.rdata.into_iter().collect() },
            None => Records::default(),
        })
    }
}

impl Records {
    fn into_rrset(self, owner: &Name, rtype: RrType) -> Option<RrSet> {
        let Records { ttl, rdata } = self;
        let rdata: Vec<Box<[u8]>> = rdata.into_iter().collect();
        (!rdata.is_empty()).then(|| RrSet::new(owner.clone(), rtype, ttl, rdata))
    }
}

impl<'w> Work<'w> {
    fn owner(&mut self, name: &Name) -> (&mut Owner, &'w UpdateView<'w>) {
        let view = self.view;
        let owner = self.owners.entry(name.clone()).or_insert_with(|| {
            let mut owner = Owner::default();
            view.types_at(name).into_iter().for_each(|rtype| owner.insert(rtype));
            owner
        });
        (owner, view)
    }

    /// Section 3.4.2.2.
    fn add(&mut self, name: &Name, rtype: RrType, ttl: u32, rdata: &[u8]) {
        let is_apex = name == self.apex;
        let (owner, view) = self.owner(name);
        if rtype == RrType::CNAME && owner.others > 0
            || owner.types.contains(&RrType::CNAME) && !fits_cname(rtype)
            || rtype == RrType::SOA && !is_apex
            // A DNAME and a delegation of one name: only the apex has both (RFC 6672 section 2.3).
            || rtype == RrType::NS && !is_apex && owner.types.contains(&RrType::DNAME)
            || rtype == RrType::DNAME && !is_apex && owner.types.contains(&RrType::NS)
        {
            return;
        }
        let records = owner.records(name, rtype, view);
        // An older SOA, or one of the same serial, is passed over.
        let soa = |rdata: &[u8]| soa_serial(&RrSet::new(name.clone(), RrType::SOA, 0, [rdata]));
        if rtype == RrType::SOA && records.rdata.iter().any(|held| !soa(rdata).is_after(soa(held))) {
            return;
        }
        if matches!(rtype, RrType::SOA | RrType::CNAME | RrType::DNAME) {
            records.rdata.clear();
        }
        records.rdata.insert(rdata.into());
        // All records of an RRset have one TTL: the one that came last.
        records.ttl = ttl;
        owner.insert(rtype);
    }

    /// Section 3.4.2.3: the apex keeps its SOA and NS.
    fn remove_set(&mut self, name: &Name, rtype: RrType) {
        if name == self.apex && matches!(rtype, RrType::SOA | RrType::NS) {
            return;
        }
        let (owner, _) = self.owner(name);
        owner.sets.insert(rtype, Records::default());
        owner.remove(rtype);
    }

    /// Section 3.4.2.4: the apex keeps its SOA and one NS.
    fn remove(&mut self, name: &Name, rtype: RrType, rdata: &[u8]) {
        let is_apex = name == self.apex;
        let (owner, view) = self.owner(name);
        let records = owner.records(name, rtype, view);
        if rtype == RrType::SOA || rtype == RrType::NS && is_apex && records.rdata.len() == 1 {
            return;
        }
        records.rdata.remove(rdata);
        if records.rdata.is_empty() {
            owner.remove(rtype);
        }
    }

    /// The RRsets that come out other than they went in.
    fn wanted(self, max_rrset: usize) -> Result<Wanted, UpdateError> {
        let mut wanted = Wanted::new();
        for (name, owner) in self.owners {
            for (rtype, records) in owner.sets {
                let (before, after) = (self.view.rrset(&name, rtype), records.into_rrset(&name, rtype));
                if before == after {
                    continue;
                }
                let size = |set: &Option<RrSet>| set.as_ref().map_or(0, RrSet::size);
                let (was, would_be) = (size(&before), size(&after));
                // What is there already may stay and shrink, should the bound ever be lowered.
                if would_be > max_rrset && would_be > was {
                    let what = format!("the {rtype} records of {name} would take {would_be} bytes");
                    let why = format!("{what} in an answer; max_rrset_bytes of the zone allows {max_rrset}");
                    return Err(UpdateError::Refused(why));
                }
                wanted.insert((name.clone(), rtype), after);
            }
        }
        Ok(wanted)
    }
}

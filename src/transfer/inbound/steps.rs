//! The steps of a transfer: held against what is had, RRset by RRset, and never against the zone as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::client::Record;
use super::content::{BadTransfer, push, read};
use crate::dns::{Name, RrSet, RrType, soa_serial};
use crate::zone::{MAX_RECORDS, SetSteps, Steps, Zone};

/// The RRsets that steps change, as they are so far.
#[derive(Debug, Default)]
pub(super) struct Touched(BTreeMap<(Name, RrType), Records>);

/// The TTL and RDATA of one of them.
type Records = (u32, BTreeSet<Box<[u8]>>);

impl Touched {
    /// A record's RRset as it is so far.
    fn set(&mut self, have: Option<&Zone>, record: &Record) -> &mut Records {
        self.0.entry((record.owner.clone(), record.rtype)).or_insert_with(|| {
            let held = have.and_then(|have| have.rrset(&record.owner, record.rtype));
            held.map_or((record.ttl, BTreeSet::new()), |set| (set.ttl, set.rdata.into_iter().collect()))
        })
    }

    /// A record goes.
    pub(super) fn remove(&mut self, have: Option<&Zone>, record: &Record) -> Result<(), BadTransfer> {
        let (_, held) = self.set(have, record);
        if held.remove(&record.rdata) {
            return Ok(());
        }
        Err(BadTransfer::NotThere(format!("{} {}", record.owner, record.rtype)))
    }

    /// A record comes.
    pub(super) fn add(&mut self, have: Option<&Zone>, record: Record) -> Result<(), BadTransfer> {
        let (ttl, held) = self.set(have, &record);
        let Record { owner, rtype, ttl: new_ttl, rdata } = record;
        if !held.insert(rdata) && (new_ttl == *ttl || rtype == RrType::RRSIG) {
            return Err(BadTransfer::There(format!("{owner} {rtype}")));
        }
        // All records of a set have one (RFC 2181 section 5.2), and the new ones tell it.
        *ttl = new_ttl;
        Ok(())
    }

    /// What they make of `from`, and how: up to this SOA. By the rules of zone files, as far as they are touched.
    pub(super) fn finish(self, from: &Zone, soa: &RrSet) -> Result<(Zone, Steps), BadTransfer> {
        let mut sets = Vec::with_capacity(self.0.len() + 1);
        sets.extend(SetSteps::between(Some(&from.soa()), Some(soa)));
        for ((owner, rtype), (ttl, rdata)) in self.0 {
            let before = from.rrset(&owner, rtype);
            let after = (!rdata.is_empty()).then(|| RrSet::new(owner, rtype, ttl, rdata));
            sets.extend(SetSteps::between(before.as_ref(), after.as_ref()));
        }
        let steps = Steps { from: from.serial(), to: soa_serial(soa), sets };
        let bytes = |set: &SetSteps| {
            set.owner.as_wire().len() + set.added.iter().map(|rdata| 2 + rdata.len()).sum::<usize>()
        };
        if !from.has_room(steps.sets.iter().map(bytes).sum()) {
            return Err(BadTransfer::TooLarge("a zone's bytes"));
        }
        let mut zone = from.clone();
        if !zone.go(&steps) {
            return Err(BadTransfer::Zone("its steps do not fit".to_owned()));
        }
        if zone.len() > MAX_RECORDS {
            return Err(BadTransfer::TooLarge("a zone's records"));
        }
        check(&zone, &steps)?;
        Ok((zone, steps))
    }
}

/// Whether a zone may be as it is at the names that steps touch. What a zone file may not hold is a matter of the apex,
/// or of one name: so a file of these names says it.
fn check(zone: &Zone, steps: &Steps) -> Result<(), BadTransfer> {
    let mut owners: BTreeSet<&Name> = steps.sets.iter().map(|set| &set.owner).collect();
    owners.insert(zone.apex());
    let mut text = String::new();
    for set in owners.iter().flat_map(|owner| zone.rrsets_at(owner)) {
        for rdata in &set.rdata {
            push(&mut text, &set.owner, set.rtype, set.ttl, rdata)?;
        }
    }
    let read = read(zone.apex(), text.as_bytes())?;
    // What is kept as text is to be read as the same.
    if owners.iter().any(|owner| read.rrsets_at(owner) != zone.rrsets_at(owner)) {
        return Err(BadTransfer::Zone("a record is another one as text".to_owned()));
    }
    Ok(())
}

//! RRsets as they are kept on a disk: in the steps of journals, and in copies of whole zones.

use super::Zone;
use super::contents::Packer;
use crate::dns::{MAX_NAME_LEN, Name, RrSet, RrType};

/// Appends one RRset: owner, type, TTL, the number of its records, and each of them after its length.
pub(super) fn put_set<'r>(
    bytes: &mut Vec<u8>,
    owner: &[u8],
    rtype: RrType,
    ttl: u32,
    rdata: impl ExactSizeIterator<Item = &'r [u8]>,
) {
    bytes.push(owner.len() as u8);
    bytes.extend_from_slice(owner);
    bytes.extend_from_slice(&rtype.0.to_le_bytes());
    bytes.extend_from_slice(&ttl.to_le_bytes());
    bytes.extend_from_slice(&(rdata.len() as u32).to_le_bytes());
    for rdata in rdata {
        bytes.extend_from_slice(&(rdata.len() as u16).to_le_bytes());
        bytes.extend_from_slice(rdata);
    }
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

/// Takes one off; `None` where that is none.
pub(super) fn take_set(rest: &mut &[u8]) -> Option<RrSet> {
    let len = usize::from(take(rest, 1)?[0]);
    let owner = Name::from_wire(take(rest, len.min(MAX_NAME_LEN))?).ok()?;
    let head: [u8; 10] = take(rest, 10)?.try_into().ok()?;
    let rtype = RrType(u16::from_le_bytes([head[0], head[1]]));
    let ttl = u32::from_le_bytes([head[2], head[3], head[4], head[5]]);
    let count = u32::from_le_bytes([head[6], head[7], head[8], head[9]]);
    let mut rdata = Vec::new();
    for _ in 0..count {
        let len: [u8; 2] = take(rest, 2)?.try_into().ok()?;
        rdata.push(take(rest, usize::from(u16::from_le_bytes(len)))?.into());
    }
    Some(RrSet { owner, rtype, ttl, rdata })
}

impl Zone {
    /// All of it, piece by piece, for [`Zone::from_kept`].
    pub fn to_kept<E>(&self, mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut bytes = Vec::new();
        for set in self.rrsets() {
            bytes.clear();
            put_set(&mut bytes, set.owner, set.rtype, set.ttl, set.rdata());
            put(&bytes)?;
        }
        Ok(())
    }

    /// The zone whose pieces these are; `None` for anything that [`Zone::to_kept`] does not give. Whether it is
    /// the one that was kept says its [fingerprint](Zone::fingerprint).
    pub fn from_kept(apex: Name, mut bytes: &[u8]) -> Option<Zone> {
        // What is packed stays below this, see `Parts`.
        u32::try_from(bytes.len()).ok()?;
        let (mut packer, mut last) = (Packer::default(), None);
        while !bytes.is_empty() {
            let set = take_set(&mut bytes)?;
            match &last {
                Some((owner, rtype)) if *owner == set.owner => {
                    if set.rtype <= *rtype {
                        return None;
                    }
                }
                _ => {
                    if !set.owner.is_at_or_below(&apex) || !packer.begin(set.owner.as_wire()) {
                        return None;
                    }
                }
            }
            packer.add(&set);
            last = Some((set.owner, set.rtype));
        }
        Some(packer.into_zone(apex)).filter(|zone| zone.soa().rdata.len() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::parse;

    fn kept(zone: &Zone) -> Vec<u8> {
        let mut bytes = Vec::new();
        let done: Result<(), ()> = zone.to_kept(|piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        done.unwrap();
        bytes
    }

    #[test]
    fn a_zone_comes_back_as_it_was_kept() {
        let text = "@ 60 SOA ns h 7 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\nns 60 A 192.0.2.2\n*.w 5 TXT \"a b\" c\n";
        let apex: Name = "example".parse().unwrap();
        let (zone, _) = parse(&apex, "z", text.as_bytes(), &mut |_| Err(String::new())).unwrap();
        let bytes = kept(&zone);
        let back = Zone::from_kept(apex.clone(), &bytes).unwrap();
        assert_eq!((back.len(), back.serial(), back.fingerprint()), (5, zone.serial(), zone.fingerprint()));
        // Cut short, or changed, it is no zone or another one.
        for end in 0..bytes.len() {
            let cut = Zone::from_kept(apex.clone(), &bytes[..end]);
            assert!(cut.is_none_or(|cut| cut.fingerprint() != zone.fingerprint()), "{end}");
            let mut changed = bytes.clone();
            changed[end] ^= 1;
            let changed = Zone::from_kept(apex.clone(), &changed);
            assert!(changed.is_none_or(|changed| changed.fingerprint() != zone.fingerprint()), "{end}");
        }
        assert!(Zone::from_kept(apex.clone(), &[&bytes[..], &bytes].concat()).is_none());
        assert!(Zone::from_kept("other".parse().unwrap(), &bytes).is_none());
    }
}

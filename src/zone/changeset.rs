//! What one rewrite changes in a zone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Steering;
use crate::dns::{Name, RrSet, RrType, Serial, soa_with_serial};

/// The one way for a published zone to change: all of it or nothing, under one new serial.
///
/// Applying it means: for every `(owner, type)` in `remove`, the RRset goes; then every RRset in `add`
/// comes; then `soa` replaces the apex's SOA. An RRset that changes stands in both lists. These RRsets are
/// what a transfer carries; `steer` then says which names answer something else, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changeset {
    /// The zone's apex.
    pub zone: Name,
    /// The serial this builds on.
    pub from: Serial,
    /// The serial it publishes; equal to `from` only for a changeset that lays decisions over a file
    /// that was loaded again and did not change.
    pub to: Serial,
    /// The zone's SOA with the new serial.
    pub soa: RrSet,
    /// RRsets that go.
    pub remove: Vec<RrSet>,
    /// RRsets that come.
    pub add: Vec<RrSet>,
    /// Names whose answers come to depend on the client, each once, or (`None`) no longer do. A name that
    /// is not among them goes on as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steer: Vec<(Name, Option<Steering>)>,
    /// Names that have no answer of these types yet, each once: whoever asks for one is told to ask again later,
    /// and transfers of the zone wait. `None`: they have one from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wait: Vec<(Name, Option<Vec<RrType>>)>,
}

impl Changeset {
    /// What moves the zone of `soa` from `old` to `new`, both of them all RRsets of the owners at stake:
    /// the RRsets that are the same in both are left alone.
    pub fn new(soa: &RrSet, from: Serial, to: Serial, old: &[RrSet], new: &[RrSet]) -> Changeset {
        let (remove, add) = diff(old, new);
        Changeset {
            zone: soa.owner.clone(),
            from,
            to,
            soa: soa_with_serial(soa, to),
            remove,
            add,
            steer: Vec::new(),
            wait: Vec::new(),
        }
    }

    /// The same, and who gets which answer at some of its names.
    #[must_use]
    pub fn with_steering(self, steer: Vec<(Name, Option<Steering>)>) -> Changeset {
        Changeset { steer, ..self }
    }

    /// The same, with names that wait for their first answer, or do so no longer.
    #[must_use]
    pub fn with_waiting(self, wait: Vec<(Name, Option<Vec<RrType>>)>) -> Changeset {
        Changeset { wait, ..self }
    }

    /// Every owner and type this touches, the SOA aside.
    pub fn touched(&self) -> impl Iterator<Item = (&Name, RrType)> {
        self.remove.iter().chain(&self.add).map(|set| (&set.owner, set.rtype))
    }

    /// Whether nothing but the serial would change.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty() && self.steer.is_empty() && self.wait.is_empty()
    }
}

/// The RRsets to remove from `old` and to add to it so that it becomes `new`, the fewest possible and
/// ordered by owner and type. No owner and type stands twice in either argument.
pub fn diff(old: &[RrSet], new: &[RrSet]) -> (Vec<RrSet>, Vec<RrSet>) {
    let only = |these: &[RrSet], those: &[RrSet]| {
        let those: BTreeMap<_, _> = those.iter().map(|set| ((&set.owner, set.rtype), set)).collect();
        let differs = |set: &&RrSet| those.get(&(&set.owner, set.rtype)) != Some(set);
        let mut sets: Vec<RrSet> = these.iter().filter(differs).cloned().collect();
        sets.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        sets
    };
    (only(old, new), only(new, old))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::soa_serial;

    type Published = BTreeMap<(Name, RrType), RrSet>;

    fn published(sets: &[RrSet]) -> Published {
        sets.iter().map(|set| ((set.owner.clone(), set.rtype), set.clone())).collect()
    }

    /// What [`Changeset`]'s documentation says applying means.
    fn apply(to: &mut Published, changeset: &Changeset) {
        for set in &changeset.remove {
            assert_eq!(to.remove(&(set.owner.clone(), set.rtype)).as_ref(), Some(set));
        }
        for set in &changeset.add {
            assert_eq!(to.insert((set.owner.clone(), set.rtype), set.clone()), None);
        }
    }

    fn soa() -> RrSet {
        let mut rdata = vec![0; 22];
        rdata[5] = 9;
        RrSet::new(Name::root(), RrType::SOA, 60, [rdata])
    }

    /// Few owners, types and contents, so that the sides often agree.
    fn sets() -> impl Strategy<Value = Vec<RrSet>> {
        let one = (0..4u8, 0..3u16, 0..2u32, prop::collection::vec(0..3u8, 1..3));
        prop::collection::vec(one, 0..8).prop_map(|sets| {
            let sets: Vec<RrSet> = sets
                .into_iter()
                .map(|(owner, rtype, ttl, rdata)| {
                    let owner = Name::from_wire(&[1, b'a' + owner, 0]).unwrap();
                    RrSet::new(owner, RrType(rtype + 1), ttl, rdata.into_iter().map(|byte| [byte]))
                })
                .collect();
            published(&sets).into_values().collect()
        })
    }

    proptest! {
        #[test]
        fn a_changeset_moves_old_to_new_and_its_inverse_back(old in sets(), new in sets()) {
            let there = Changeset::new(&soa(), Serial(1), Serial(2), &old, &new);
            let mut zone = published(&old);
            apply(&mut zone, &there);
            prop_assert_eq!(&zone, &published(&new));
            apply(&mut zone, &Changeset::new(&soa(), Serial(2), Serial(3), &new, &old));
            prop_assert_eq!(&zone, &published(&old));
        }

        #[test]
        fn a_changeset_is_minimal(old in sets(), new in sets()) {
            let changeset = Changeset::new(&soa(), Serial(1), Serial(2), &old, &new);
            prop_assert!(changeset.remove.iter().all(|set| !new.contains(set)));
            prop_assert!(changeset.add.iter().all(|set| !old.contains(set)));
            prop_assert!(Changeset::new(&soa(), Serial(1), Serial(2), &old, &old).is_empty());
        }
    }

    #[test]
    fn a_changeset_carries_the_soa_of_its_serial() {
        let changeset = Changeset::new(&soa(), Serial(1), Serial(2), &[], &[]);
        assert_eq!((soa_serial(&changeset.soa), &changeset.zone), (Serial(2), &Name::root()));
    }
}

//! Edits: what UPDATE changed in a zone, as the difference from its source.
//!
//! A zone's contents are its source (a file, or what a primary sent) with its edits laid over it. Edits are
//! kept in normal form: for each RRset that differs, the records of the source that are gone and those that
//! came. So their order in time does not matter, and undoing one leaves nothing behind.
//!
//! When the source changes, edits stay on top. What the source now holds anyway (a record that was added, the
//! absence of one that was removed) is no edit any more. Beside a record that an edit has added, a CNAME of
//! the source gives way, and so does what the source has beside a CNAME that an edit has added (RFC 1034
//! section 3.6.2); they come back when the edit goes.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Zone;
use crate::dns::{Name, RrSet, RrType, soa_serial, soa_with_serial};

/// What an edit takes beside its name and RDATA: its place among the others.
const EDIT_BYTES: usize = 128;
/// The same of one record.
const RECORD_BYTES: usize = 32;

/// The RRset an edit is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EditKey {
    /// The zone's apex.
    pub zone: Name,
    /// The owner.
    pub owner: Name,
    /// The type.
    pub rtype: RrType,
}

/// How one RRset differs from the source's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Its TTL in seconds, where that is not the source's.
    pub ttl: Option<u32>,
    /// The RDATA that the source has and the zone does not.
    pub removed: Vec<Box<[u8]>>,
    /// The RDATA that the zone has and the source does not.
    pub added: Vec<Box<[u8]>>,
}

/// All edits of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    pub(super) sets: BTreeMap<Name, BTreeMap<RrType, Edit>>,
    records: usize,
    bytes: usize,
}

/// One changed edit.
pub type EditChange = (Name, RrType, Option<Edit>);

impl Edit {
    /// What makes `wanted` of the source's RRset; `None` where they are the same.
    pub(super) fn between(source: Option<&RrSet>, wanted: Option<&RrSet>) -> Option<Edit> {
        let only = |these: Option<&RrSet>, those: Option<&RrSet>| -> Vec<Box<[u8]>> {
            let all = these.into_iter().flat_map(|set| &set.rdata);
            all.filter(|rdata| those.is_none_or(|set| set.rdata.binary_search(rdata).is_err()))
                .cloned()
                .collect()
        };
        let ttl = wanted.map(|set| set.ttl).filter(|&ttl| source.is_none_or(|set| set.ttl != ttl));
        let edit = Edit { ttl, removed: only(source, wanted), added: only(wanted, source) };
        (edit.ttl.is_some() || edit.records() > 0).then_some(edit)
    }

    /// The RRset that the zone holds in place of the source's.
    pub(super) fn over(&self, owner: &Name, rtype: RrType, source: Option<&RrSet>) -> Option<RrSet> {
        // Of these a zone or a name has one (RFC 1035 section 5.2, RFC 2181 section 10.1, RFC 6672 section 2.4).
        let single = matches!(rtype, RrType::SOA | RrType::CNAME | RrType::DNAME);
        let replaced = single && !self.added.is_empty();
        let removed: BTreeSet<&[u8]> = self.removed.iter().map(|rdata| &**rdata).collect();
        let kept = source.into_iter().flat_map(|set| &set.rdata);
        let kept = kept.filter(|rdata| !replaced && !removed.contains(&***rdata));
        let rdata: Vec<Box<[u8]>> = kept.chain(&self.added).cloned().collect();
        if rdata.is_empty() {
            return None;
        }
        let ttl = self.ttl.or(source.map(|set| set.ttl)).unwrap_or_default();
        let set = RrSet::new(owner.clone(), rtype, ttl, rdata);
        let source = source.filter(|_| rtype == RrType::SOA);
        Some(match source.map(soa_serial) {
            // The source may have moved on since: the serial is the later one.
            Some(serial) if serial.is_after(soa_serial(&set)) => soa_with_serial(&set, serial),
            _ => set,
        })
    }

    /// What is left of it over this source, where that is something else.
    fn settled(&self, owner: &Name, rtype: RrType, source: &Zone) -> Option<EditChange> {
        let held = source.rrset(owner, rtype);
        let find = |rdata: &[u8]| held.as_ref().map(|set| set.rdata.binary_search_by(|r| (**r).cmp(rdata)));
        let is_held = |rdata: &[u8]| find(rdata).is_some_and(|found| found.is_ok());
        let mut left = self.clone();
        left.removed.retain(|rdata| is_held(rdata));
        left.added.retain(|rdata| !is_held(rdata));
        left.ttl = left.ttl.filter(|&ttl| held.as_ref().is_none_or(|set| set.ttl != ttl));
        // The source has the SOA as it was edited, and a serial of its own that is no older.
        let has_soa = |held: &RrSet| {
            let (theirs, ours) = (soa_serial(held), self.over(owner, rtype, Some(held)));
            ours.is_some_and(|ours| soa_serial(&ours) == theirs && ours == *held)
        };
        if rtype == RrType::SOA && held.as_ref().is_some_and(has_soa) {
            return Some((owner.clone(), rtype, None));
        }
        // A TTL alone of a set that is gone says nothing.
        let nothing = left.records() == 0 && (left.ttl.is_none() || held.is_none());
        (nothing || left != *self).then(|| (owner.clone(), rtype, Some(left).filter(|_| !nothing)))
    }

    /// How many records it adds or removes.
    pub fn records(&self) -> usize {
        self.removed.len() + self.added.len()
    }

    /// The bytes of memory that it takes, about.
    pub(super) fn bytes(&self, owner: &Name) -> usize {
        let rdata = self.removed.iter().chain(&self.added).map(|rdata| rdata.len() + RECORD_BYTES);
        EDIT_BYTES + owner.as_wire().len() + rdata.sum::<usize>()
    }

    /// What it counts among the edited records: a TTL alone is one, too.
    pub(super) fn count(&self) -> usize {
        self.records().max(1)
    }
}

impl Edits {
    /// Of a zone that is as its source.
    pub const fn none() -> Edits {
        Edits { sets: BTreeMap::new(), records: 0, bytes: 0 }
    }

    /// Whether the zone is as its source.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// How many records are edited.
    pub fn len(&self) -> usize {
        self.records
    }

    /// The bytes of memory that they take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every edit, by owner and type.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, RrType, &Edit)> {
        self.sets.iter().flat_map(|(owner, sets)| sets.iter().map(move |(rtype, edit)| (owner, *rtype, edit)))
    }

    /// One edit.
    pub fn get(&self, owner: &Name, rtype: RrType) -> Option<&Edit> {
        self.sets.get(owner)?.get(&rtype)
    }

    /// The edits of a name, by type.
    pub(super) fn at(&self, owner: &Name) -> impl Iterator<Item = (RrType, &Edit)> {
        self.sets.get(owner).into_iter().flatten().map(|(rtype, edit)| (*rtype, edit))
    }

    /// Puts an edit in place of the one of this RRset.
    pub fn set(&mut self, owner: &Name, rtype: RrType, edit: Option<Edit>) {
        let sets = self.sets.entry(owner.clone()).or_default();
        let before = sets.remove(&rtype);
        if let Some(edit) = &edit {
            self.records += edit.count();
            self.bytes += edit.bytes(owner);
        }
        sets.extend(edit.map(|edit| (rtype, edit)));
        if let Some(before) = before {
            self.records -= before.count();
            self.bytes -= before.bytes(owner);
        }
        if let Entry::Occupied(sets) = self.sets.entry(owner.clone())
            && sets.get().is_empty()
        {
            sets.remove();
        }
    }

    /// Takes up changes.
    pub fn take(&mut self, changes: impl IntoIterator<Item = EditChange>) {
        for (owner, rtype, edit) in changes {
            self.set(&owner, rtype, edit);
        }
    }

    /// Holds the edits against a source that may have changed, and lets go of what it holds anyway. Gives
    /// every edit that this changes.
    pub fn settle(&mut self, source: &Zone) -> Vec<EditChange> {
        let changed: Vec<EditChange> =
            self.iter().filter_map(|(owner, rtype, edit)| edit.settled(owner, rtype, source)).collect();
        self.take(changed.iter().cloned());
        changed
    }

    /// What that would change, where the source has changed at no other names than these.
    pub(super) fn settled<'n>(
        &self,
        source: &Zone,
        owners: impl IntoIterator<Item = &'n Name>,
    ) -> Vec<EditChange> {
        let at = |owner: &'n Name| self.at(owner).map(move |(rtype, edit)| (owner, rtype, edit));
        let edits = owners.into_iter().flat_map(at);
        edits.filter_map(|(owner, rtype, edit)| edit.settled(owner, rtype, source)).collect()
    }
}

/// Whether RRsets of this type may stand beside a CNAME (RFC 4034 section 2.3), itself included.
pub(super) fn fits_cname(rtype: RrType) -> bool {
    matches!(rtype, RrType::CNAME | RrType::RRSIG | RrType::NSEC)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::rdata_from_text;
    use crate::zone::{Editing, TooManyEdits, canonical_lines, parse};

    /// More than any test needs.
    const MAX: usize = 1 << 20;

    /// See [`Editing::change`].
    fn change(
        edits: &mut Edits,
        source: &Zone,
        wanted: impl IntoIterator<Item = ((Name, RrType), Option<RrSet>)>,
    ) -> Result<Vec<EditChange>, TooManyEdits> {
        change_within(MAX, edits, source, wanted)
    }

    fn change_within(
        max: usize,
        edits: &mut Edits,
        source: &Zone,
        wanted: impl IntoIterator<Item = ((Name, RrType), Option<RrSet>)>,
    ) -> Result<Vec<EditChange>, TooManyEdits> {
        let mut editing = Editing::of(edits);
        let changed = editing.change(source, wanted, max)?;
        // By whatever way, the contents come to the same.
        let (before, difference) = (edits.lay(source), editing.difference(source));
        let mut after = edits.clone();
        after.take(editing.clone().into_changes());
        let after = after.lay(source);
        assert_eq!(before.fingerprint().wrapping_add(difference.fingerprint), after.fingerprint());
        let mut taken = edits.clone();
        taken.take(editing.clone().into_changes());
        assert_eq!(taken.fingerprint_over(source), after.fingerprint());
        for (owner, rtype, set) in &difference.sets {
            assert_eq!(after.rrset(owner, *rtype), *set);
            assert_eq!(editing.laid(source).rrset(owner, *rtype), *set);
            assert_ne!(before.rrset(owner, *rtype), *set);
        }
        let changes = editing.into_changes();
        assert_eq!(changes.len(), changed.len());
        edits.take(changes);
        Ok(changed)
    }

    const HEAD: &str = "$TTL 60\n@ SOA ns h 5 2 3 4 5\n@ NS ns\n";

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes(), &"example.".parse().unwrap()).unwrap()
    }

    fn zone(text: &str) -> Zone {
        let text = format!("{HEAD}{text}");
        parse(&name("@"), "zone", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
    }

    fn set(owner: &str, rtype: RrType, ttl: u32, texts: &[&str]) -> ((Name, RrType), Option<RrSet>) {
        let rdata = texts.iter().map(|text| rdata_from_text(rtype, text).unwrap());
        let wanted = (!texts.is_empty()).then(|| RrSet::new(name(owner), rtype, ttl, rdata));
        ((name(owner), rtype), wanted)
    }

    fn lines(zone: &Zone) -> Vec<String> {
        let ours = |line: &String| !line.starts_with('$') && !line.starts_with('@');
        canonical_lines(zone, true).filter(ours).collect()
    }

    #[test]
    fn edits_are_the_difference_from_the_source() {
        let source = zone("www A 192.0.2.1\nwww A 192.0.2.2\nold TXT a\n");
        let mut edits = Edits::default();
        let changed = change(
            &mut edits,
            &source,
            [
                set("www", RrType::A, 30, &["192.0.2.1", "192.0.2.3"]),
                set("old", RrType::TXT, 0, &[]),
                set("new", RrType::TXT, 5, &["b"]),
            ],
        );
        assert_eq!((changed.unwrap().len(), edits.len()), (3, 4));
        let contents = edits.lay(&source);
        assert_eq!(
            lines(&contents),
            ["new 5 IN TXT \"b\"", "www 30 IN A 192.0.2.1", "www 30 IN A 192.0.2.3"]
        );
        assert_eq!(contents.serial(), source.serial());

        // Undone, nothing is left.
        let undo = [
            set("www", RrType::A, 60, &["192.0.2.1", "192.0.2.2"]),
            set("old", RrType::TXT, 60, &["a"]),
            set("new", RrType::TXT, 0, &[]),
        ];
        assert_eq!(change(&mut edits, &source, undo.clone()).unwrap().len(), 3);
        assert_eq!(edits, Edits::default());
        assert_eq!(change(&mut edits, &source, undo).unwrap(), []);
    }

    #[test]
    fn edits_stay_on_top_of_a_file_that_changes() {
        let before = zone("www A 192.0.2.1\nwww A 192.0.2.2\n");
        let mut edits = Edits::default();
        change(
            &mut edits,
            &before,
            [set("www", RrType::A, 60, &["192.0.2.2", "192.0.2.3"]), set("t", RrType::TXT, 60, &["x"])],
        )
        .unwrap();
        // The file gets records of its own, and one of the edits: that is no edit any more.
        let after = zone("www A 192.0.2.1\nwww A 192.0.2.9\nt TXT x\nmore A 192.0.2.7\n");
        let gone: Vec<_> = edits.settle(&after).into_iter().map(|(owner, _, edit)| (owner, edit)).collect();
        assert_eq!(gone, [(name("t"), None)]);
        assert_eq!(
            lines(&edits.lay(&after)),
            ["more 60 IN A 192.0.2.7", "t 60 IN TXT \"x\"", "www 60 IN A 192.0.2.3", "www 60 IN A 192.0.2.9"]
        );
        // What an edit removed is gone from the file: the edit is, too.
        let after = zone("www A 192.0.2.3\n");
        assert_eq!(edits.settle(&after).len(), 1);
        assert!(edits.is_empty());
    }

    #[test]
    fn a_cname_stands_alone_whoever_brought_it() {
        let mut edits = Edits::default();
        let empty = zone("");
        change(
            &mut edits,
            &empty,
            [set("c", RrType::CNAME, 60, &["www.example."]), set("t", RrType::TXT, 60, &["x"])],
        )
        .unwrap();
        let file = zone("c A 192.0.2.1\nt CNAME c\n");
        assert_eq!(edits.settle(&file), []);
        assert_eq!(lines(&edits.lay(&file)), ["c 60 IN CNAME www.example.", "t 60 IN TXT \"x\""]);
        let file = zone("c CNAME other\n");
        edits.settle(&file);
        assert_eq!(lines(&edits.lay(&file)), ["c 60 IN CNAME www.example.", "t 60 IN TXT \"x\""]);
    }

    #[test]
    fn the_soa_keeps_the_later_serial() {
        let source = zone("");
        let mut edits = Edits::default();
        change(&mut edits, &source, [set("@", RrType::SOA, 60, &["ns.example. h.example. 9 8 7 6 5"])])
            .unwrap();
        assert_eq!(edits.lay(&source).serial().0, 9);
        let text = HEAD.replace("h 5", "h 12");
        let moved = parse(&name("@"), "zone", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0;
        edits.settle(&moved);
        let laid = edits.lay(&moved);
        assert_eq!(
            laid.soa().to_lines().collect::<Vec<_>>(),
            ["example. 60 IN SOA ns.example. h.example. 12 8 7 6 5"]
        );
    }

    #[test]
    fn they_take_no_more_memory_than_they_may() {
        let source = zone("");
        let mut edits = Edits::default();
        let long: Vec<String> = (0..40).map(|i| format!("{i:0>250}")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let max = 30 * (251 + RECORD_BYTES) + EDIT_BYTES + name("t").as_wire().len();
        change_within(max, &mut edits, &source, [set("t", RrType::TXT, 60, &long[..30])]).unwrap();
        assert_eq!((edits.bytes(), edits.len()), (max, 30));
        let kept = edits.clone();
        for more in [set("u", RrType::TXT, 60, &["a"]), set("t", RrType::TXT, 60, &long[..31])] {
            let refused = change_within(max, &mut edits, &source, [more]);
            assert_eq!(refused, Err(TooManyEdits { max }));
            assert_eq!(edits, kept);
        }
        // Should the bound be lowered, what is there may stay and shrink.
        change_within(1, &mut edits, &source, [set("t", RrType::TXT, 60, &long[..20])]).unwrap();
        change_within(1, &mut edits, &source, [set("t", RrType::TXT, 60, &[])]).unwrap();
        assert_eq!(edits, Edits::default());
    }

    /// Few owners, types and contents.
    fn texts() -> impl Strategy<Value = BTreeMap<(u8, u8), (u32, Vec<u8>)>> {
        prop::collection::btree_map((0..4u8, 0..2u8), (1..3u32, prop::collection::vec(0..4u8, 1..3)), 0..8)
    }

    fn sets_of(texts: &BTreeMap<(u8, u8), (u32, Vec<u8>)>) -> BTreeMap<(Name, RrType), RrSet> {
        let set = |(&(owner, rtype), (ttl, bytes)): (&(u8, u8), &(u32, Vec<u8>))| {
            let (owner, rtype) = (name(&format!("n{owner}")), RrType(16 + u16::from(rtype) * 65000));
            let rdata = bytes.iter().map(|&byte| vec![1, b'a' + byte]);
            ((owner.clone(), rtype), RrSet::new(owner, rtype, *ttl, rdata))
        };
        texts.iter().map(set).collect()
    }

    fn zone_of(texts: &BTreeMap<(u8, u8), (u32, Vec<u8>)>) -> Zone {
        let text: Vec<String> = sets_of(texts).values().flat_map(RrSet::to_lines).collect();
        zone(&(text.join("\n") + "\n"))
    }

    proptest! {
        #[test]
        fn whatever_is_wanted_is_held_and_undone(file in texts(), wanted in texts(), later in texts()) {
            let source = zone_of(&file);
            let (held, wanted_sets) = (sets_of(&file), sets_of(&wanted));
            let keys: Vec<(Name, RrType)> = held.keys().chain(wanted_sets.keys()).cloned().collect();
            let all = |sets: &BTreeMap<(Name, RrType), RrSet>| {
                keys.iter().map(|key| (key.clone(), sets.get(key).cloned())).collect::<Vec<_>>()
            };
            let mut edits = Edits::default();
            change(&mut edits, &source, all(&wanted_sets)).unwrap();
            prop_assert_eq!(lines(&edits.lay(&source)), lines(&zone_of(&wanted)));

            // On another file: what it holds anyway is let go, and letting go changes nothing.
            let moved = zone_of(&later);
            let before = lines(&edits.lay(&moved));
            edits.settle(&moved);
            prop_assert_eq!(lines(&edits.lay(&moved)), before);
            prop_assert_eq!(edits.clone().settle(&moved), vec![]);

            edits.settle(&source);
            change(&mut edits, &source, all(&held)).unwrap();
            prop_assert_eq!(lines(&edits.lay(&source)), lines(&source));
        }
    }
}

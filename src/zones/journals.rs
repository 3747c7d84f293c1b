//! The journals of all zones: written by who publishes, read by who is asked what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dns::{Name, Serial};
use crate::zone::{Ahead, Journal, JournalRow, Rows, Step};

/// The most bytes of all zones' steps together; past it the largest journals are forgotten.
const MAX_BYTES: usize = 256 << 20;

/// Every zone's journal.
#[derive(Debug, Default)]
pub struct Journals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    zones: BTreeMap<Name, Journal>,
    bytes: usize,
    /// The most steps of one zone.
    max: usize,
    /// The zones that have one.
    wanted: BTreeSet<Name>,
}

impl Journals {
    /// The journals of the rows that were kept, in their order, of zones that publish these serials; and the
    /// rows that are of no use any more.
    pub fn restore(rows: Vec<JournalRow>, serials: &BTreeMap<Name, Serial>) -> (Journals, Vec<JournalRow>) {
        let mut by_zone: BTreeMap<Name, Vec<_>> = BTreeMap::new();
        for JournalRow { zone, seq, step } in rows {
            by_zone.entry(zone).or_default().extend(step.map(|step| (seq, step)));
        }
        let (mut kept, mut useless) = (Kept::default(), Vec::new());
        for (zone, rows) in by_zone {
            let Some(serial) = serials.get(&zone) else {
                useless.extend(named(&zone, rows.into_iter().map(|(seq, _)| (seq, None)).collect()));
                continue;
            };
            let (journal, rows) = Journal::restore(rows, *serial);
            useless.extend(named(&zone, rows));
            kept.bytes += journal.bytes();
            kept.zones.insert(zone, journal);
        }
        (Journals(Mutex::new(kept)), useless)
    }

    /// How many steps of each zone are kept from now on, and of which zones: those that somebody may ask for.
    /// Says what is to be written.
    pub fn keep(&self, max: usize, zones: BTreeSet<Name>) -> Vec<JournalRow> {
        let mut kept = self.lock();
        let gone: Vec<Name> = kept.zones.keys().filter(|zone| !zones.contains(*zone)).cloned().collect();
        (kept.max, kept.wanted) = (max, zones);
        gone.iter().flat_map(|zone| kept.forget(zone)).collect()
    }

    /// Whether what changes in a zone is kept.
    pub fn wants(&self, zone: &Name) -> bool {
        let kept = self.lock();
        kept.max > 0 && kept.wanted.contains(zone)
    }

    /// Adds what was changed in a zone. Says what is to be written.
    pub fn push(&self, zone: &Name, step: &Step) -> Vec<JournalRow> {
        let ahead = self.ahead(zone, step);
        let mut rows = ahead.rows();
        rows.extend(self.take(ahead));
        rows
    }

    /// What adding this would change of the zone's own rows.
    pub fn ahead(&self, zone: &Name, step: &Step) -> ZoneAhead {
        let kept = self.lock();
        let none = Journal::default();
        let journal = kept.zones.get(zone).unwrap_or(&none);
        ZoneAhead { zone: zone.clone(), ahead: journal.ahead(step, kept.max) }
    }

    /// Adds it. Says what is to be written beside the zone's own rows: journals are forgotten where all together are
    /// too large.
    pub fn take(&self, ahead: ZoneAhead) -> Vec<JournalRow> {
        let mut kept = self.lock();
        let journal = kept.zones.entry(ahead.zone).or_default();
        let before = journal.bytes();
        journal.take(ahead.ahead);
        let after = journal.bytes();
        kept.bytes = kept.bytes - before + after;
        let mut rows = Vec::new();
        while kept.bytes > MAX_BYTES {
            let largest = kept.zones.iter().max_by_key(|(_, journal)| journal.bytes());
            let Some(largest) = largest.map(|(zone, _)| zone.clone()) else { break };
            rows.extend(kept.forget(&largest));
        }
        rows
    }

    /// Forgets a zone's journal unless it leads to this serial. Says what is to be written.
    pub fn agree(&self, zone: &Name, serial: Serial) -> Vec<JournalRow> {
        let mut kept = self.lock();
        match kept.zones.get(zone).and_then(Journal::to) {
            Some(to) if to != serial => kept.forget(zone),
            _ => Vec::new(),
        }
    }

    /// The one step from a serial to another; `None` where the zone's journal does not reach. What is about to be
    /// published is in the journal before it is on the disk, so `to` is what was published, and not where the journal
    /// ends: a crash can still undo the rest, and its serial would then stand for two contents.
    pub fn between(&self, zone: &Name, from: Serial, to: Serial) -> Option<Step> {
        // Decoding takes its time, and who publishes must not wait for it.
        let journal = self.lock().zones.get(zone).cloned()?;
        journal.between(from, to)
    }

    /// A zone's journal as it is now; its steps are shared with the one that goes on.
    pub fn of(&self, zone: &Name) -> Journal {
        self.lock().zones.get(zone).cloned().unwrap_or_default()
    }

    /// How many steps a zone's journal has.
    pub fn len_of(&self, zone: &Name) -> usize {
        self.lock().zones.get(zone).map_or(0, Journal::len)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that holds it can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a zone's journal is to go on with.
pub struct ZoneAhead {
    zone: Name,
    ahead: Ahead,
}

impl ZoneAhead {
    /// The zone's rows that change.
    pub fn rows(&self) -> Vec<JournalRow> {
        named(&self.zone, self.ahead.rows())
    }
}

impl Kept {
    fn forget(&mut self, zone: &Name) -> Vec<JournalRow> {
        let Some(mut journal) = self.zones.remove(zone) else { return Vec::new() };
        self.bytes -= journal.bytes();
        let rows = journal.clear();
        // It stays, empty: the numbers of its rows go on.
        self.zones.insert(zone.clone(), journal);
        named(zone, rows)
    }
}

/// Why a journal does not give what was asked for.
pub fn unreached(zone: &Name, journal: &Journal, serial: Serial) -> String {
    match journal.from().zip(journal.to()) {
        Some((from, to)) if from == serial => format!(
            "the journal of {zone} begins at serial {serial}: how it came about is not kept; it reaches to {to}"
        ),
        Some((from, to)) => {
            format!("serial {serial} is not in the journal of {zone}, which reaches from {from} to {to}")
        }
        None => format!("the journal of {zone} is empty: it was not published under another serial yet"),
    }
}

fn named(zone: &Name, rows: Rows) -> Vec<JournalRow> {
    rows.into_iter().map(|(seq, step)| JournalRow { zone: zone.clone(), seq, step }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{RrSet, RrType, soa_with_serial};

    fn step(from: u32) -> Step {
        let soa = RrSet::new(Name::root(), RrType::SOA, 60, [vec![0; 22]]);
        Step::of(soa_with_serial(&soa, Serial(from)), soa_with_serial(&soa, Serial(from + 1)), &[], &[])
    }

    #[test]
    fn journals_come_back_where_they_lead_to_what_is_published() {
        let names: [Name; 3] = ["a", "b", "c"].map(|name| name.parse().unwrap());
        let (journals, _) = Journals::restore(Vec::new(), &BTreeMap::new());
        assert!(journals.keep(2, names.iter().cloned().collect()).is_empty());
        let mut rows = Vec::new();
        for from in 1..5 {
            rows.extend(names.iter().flat_map(|name| journals.push(name, &step(from))));
        }
        assert_eq!(journals.len_of(&names[0]), 2);
        let gone: BTreeSet<_> =
            rows.iter().filter(|row| row.step.is_none()).map(|row| (row.zone.clone(), row.seq)).collect();
        rows.retain(|row| row.step.is_some() && !gone.contains(&(row.zone.clone(), row.seq)));
        assert_eq!(rows.len(), 6);

        let serials = BTreeMap::from([(names[0].clone(), Serial(5)), (names[1].clone(), Serial(6))]);
        let (journals, useless) = Journals::restore(rows, &serials);
        assert_eq!(names.each_ref().map(|name| journals.len_of(name)), [2, 0, 0]);
        assert_eq!(useless.len(), 4);
        assert!(journals.between(&names[0], Serial(3), Serial(5)).is_some());
        assert!(journals.between(&names[0], Serial(2), Serial(5)).is_none());
        // To whoever asks before a step is published it is not there.
        let before = journals.between(&names[0], Serial(3), Serial(4)).unwrap();
        assert_eq!((before.from(), before.to()), (Serial(3), Serial(4)));
        assert!(journals.agree(&names[0], Serial(5)).is_empty());
        assert_eq!(journals.agree(&names[0], Serial(7)).len(), 2);
        assert!(journals.between(&names[0], Serial(3), Serial(5)).is_none());
    }

    #[test]
    fn what_leaves_the_configuration_is_forgotten() {
        let name: Name = "a".parse().unwrap();
        let journals = Journals::default();
        journals.keep(10, BTreeSet::from([name.clone()]));
        assert!(journals.wants(&name));
        journals.push(&name, &step(1));
        let rows = journals.keep(10, BTreeSet::new());
        assert!(!journals.wants(&name));
        assert_eq!(rows, [JournalRow { zone: name.clone(), seq: 0, step: None }]);
        // Should the zone come back, its rows are new ones.
        journals.keep(10, BTreeSet::from([name.clone()]));
        assert_eq!(journals.push(&name, &step(1))[0].seq, 1);
    }
}

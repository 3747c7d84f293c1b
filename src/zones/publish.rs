//! The one stage that every change of a zone goes through: a load, an UPDATE, a transfer, a rollback, a freeze, a decision.
//!
//! In: what a step of the engine changes, and new contents where that step took some up. Out: the table that is served.
//!
//! ```text
//!   Changes ──► a step of each zone's journal ──► one commit of all of it ──► one swap of the table ──► word to secondaries
//! ```
//!
//! What was answered was on disk before. Only a disk that refuses to write, or stalls, is overruled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::error;

use super::diff::{Turn, journaled, names, steered, turn};
use super::journals::{Journals, ZoneAhead};
use super::messages::{Contents, How, Sets};
use super::recovery::PublishedState;
use crate::answer::Table;
use crate::dns::{Name, Serial, soa_with_serial};
use crate::engine::{Cause, Happened, Saved, SavedKey};
use crate::model::Config;
use crate::state::{COMMIT_TIMEOUT, Durable, Unkept, Whole, Writer};
use crate::sys::clock::Clock;
use crate::transfer::outbound::Teller;
use crate::zone::{Changeset, JournalRow, Step};

/// What is ready to be journaled, kept and published.
struct Ready {
    saves: Vec<Saved>,
    records: Vec<Happened>,
    turns: Vec<(Name, Serial, Turn)>,
    next: Option<Table>,
    is_compiled: bool,
}

/// Records that may wait for the next commit.
const MAX_HELD_RECORDS: usize = 8192;

/// What a step of the engine changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// What is to be kept.
    pub saves: Vec<Saved>,
    /// What the history is told of it.
    pub records: Vec<Happened>,
    /// What follows from new contents: each of their zones, under its serial, with its decisions.
    pub rebased: Vec<Changeset>,
    /// What decisions change, on top of that.
    pub decided: Vec<Changeset>,
}

impl Changes {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        let Changes { saves, records, rebased, decided } = self;
        saves.is_empty() && records.is_empty() && rebased.is_empty() && decided.is_empty()
    }
}

/// Contents on their way to be published.
pub struct NewContents {
    /// Those of all zones without decisions, and how they come to be that.
    pub contents: Contents,
    /// What decisions lay over all of them, where they come as a whole and not by a load.
    pub overlays: Option<Vec<Changeset>>,
    /// The configuration that they replace contents of; none at a start.
    pub before: Option<Arc<Config>>,
    /// The configuration that they are of.
    pub config: Arc<Config>,
    /// What was published before a start.
    pub past: Option<Arc<PublishedState>>,
    /// What they came by, unless what is recorded says it better.
    pub by: Cause,
}

/// What was published, and kept before.
pub struct Published {
    /// As the history has it.
    pub records: Vec<Happened>,
    /// The number that the history's next entry will have, where that is known.
    pub next_seq: Option<u64>,
}

/// The stage; in one pair of hands, so what is published stays until that publishes again.
pub struct PublishStage {
    clock: Clock,
    journals: Arc<Journals>,
    writer: Arc<Writer>,
    table: Arc<ArcSwap<Table>>,
    teller: Arc<Teller>,
    /// Rows of the journals that go with the next commit.
    rows: Vec<JournalRow>,
    /// Records that do.
    held: Vec<Happened>,
    /// The edits that are kept.
    edits: BTreeMap<SavedKey, Saved>,
    /// Tables of earlier loads that somebody may still hold: freeing one takes long, and is done here.
    retired: Vec<Arc<Table>>,
}

impl PublishStage {
    /// A stage over what was kept; `rows` of the journals go with the first commit.
    pub fn new(
        clock: Clock,
        journals: Arc<Journals>,
        writer: Arc<Writer>,
        table: Arc<ArcSwap<Table>>,
        teller: Arc<Teller>,
        saved: &[Saved],
        rows: Vec<JournalRow>,
    ) -> PublishStage {
        let edits = saved.iter().filter(|saved| matches!(saved, Saved::Edit(..)));
        let edits = edits.map(|edit| (edit.key(), edit.clone())).collect();
        let (held, retired) = (Vec::new(), Vec::new());
        PublishStage { clock, journals, writer, table, teller, rows, held, edits, retired }
    }

    /// Keeps the journals that a configuration asks for.
    pub fn set(&mut self, config: &Config) {
        self.rows.extend(self.journals.keep(config.server.journal, journaled(config)));
    }

    /// What is published.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Whether a zone has moved on since something was judged by these serials.
    pub fn has_moved_on(&self, judged_by: &[(Name, Option<Serial>)]) -> bool {
        let table = self.table.load();
        judged_by.iter().any(|(apex, serial)| table.serial(apex) != *serial)
    }

    /// The edits that are kept.
    pub fn edits(&self) -> impl Iterator<Item = &Saved> {
        self.edits.values()
    }

    /// Holds records until the next commit.
    pub fn hold(&mut self, records: impl IntoIterator<Item = Happened>) {
        self.held.extend(records);
    }

    /// Journals, commits, publishes and tells, in this order.
    pub fn publish(&mut self, changes: Changes, contents: Option<NewContents>) -> Published {
        let Ready { saves, mut records, turns, next, is_compiled } = self.ready(changes, contents);
        for (apex, to, turn) in turns {
            self.rows.extend(match turn {
                Turn::Step(step) => self.journals.push(&apex, &step),
                Turn::Agree => self.journals.agree(&apex, to),
            });
        }
        let told = records.clone();
        let mut next_seq = None;
        if !saves.is_empty() || !records.is_empty() || !self.rows.is_empty() {
            self.held.append(&mut records);
            next_seq = self.keep(saves, Durable::Now);
        } else if self.held.len() >= MAX_HELD_RECORDS {
            self.keep(Vec::new(), Durable::Later);
        }
        if let Some(next) = next {
            self.swap(next, is_compiled);
        }
        Published { records: told, next_seq }
    }

    /// The same of new contents that nobody is to see unless the disk has them: where it does not take them at once,
    /// nothing has changed, now or after a restart.
    pub fn publish_kept(&mut self, changes: Changes, contents: NewContents) -> Result<Published, Unkept> {
        let Ready { saves, records, turns, next, is_compiled } = self.ready(changes, Some(contents));
        let (mut ahead, mut agreed) = (Vec::new(), Vec::new());
        for (apex, to, turn) in turns {
            match turn {
                Turn::Step(step) => ahead.push(self.journals.ahead(&apex, &step)),
                Turn::Agree => agreed.push((apex, to)),
            }
        }
        let rows = self.rows.iter().cloned().chain(ahead.iter().flat_map(ZoneAhead::rows));
        let whole = Whole {
            saves: saves.clone(),
            steps: rows.collect(),
            records: self.held.iter().chain(&records).cloned().collect(),
        };
        let next_seq = self.writer.promise(self.clock.now(), whole, COMMIT_TIMEOUT)?;
        self.rows.clear();
        self.held.clear();
        self.note_edits(&saves);
        for ahead in ahead {
            self.rows.extend(self.journals.take(ahead));
        }
        for (apex, to) in agreed {
            self.rows.extend(self.journals.agree(&apex, to));
        }
        if let Some(next) = next {
            self.swap(next, is_compiled);
        }
        Ok(Published { records, next_seq: Some(next_seq) })
    }

    /// What a step of the engine and new contents come to.
    fn ready(&self, changes: Changes, contents: Option<NewContents>) -> Ready {
        let Changes { saves, mut records, rebased, decided } = changes;
        let mut turns = Vec::new();
        let by = contents.as_ref().map(|contents| contents.by);
        let is_compiled = contents.as_ref().is_some_and(|new| matches!(new.contents.how, How::Replaced(_)));
        // What follows from new contents is one step, and each changeset on top of it another.
        let laid = contents.map(|contents| self.lay(contents, &rebased, &mut turns));
        let moved = decided.iter().filter(|changeset| changeset.from != changeset.to);
        let moved = moved.filter(|changeset| self.journals.wants(&changeset.zone));
        for Changeset { zone, from, soa, remove, add, to, .. } in moved {
            // A changeset is a step as it is.
            let step = Step::of(soa_with_serial(soa, *from), soa.clone(), remove, add);
            turns.push((zone.clone(), *to, Turn::Step(step)));
        }
        let next = match laid {
            None if decided.is_empty() => None,
            None => Some(applied(Table::clone(&self.table.load()), &decided)),
            Some(laid) => Some(applied(laid, &decided)),
        };
        say_why(&mut records, by, &decided, &turns);
        Ready { saves, records, turns, next, is_compiled }
    }

    /// Swaps the table once, whatever the number of zones and names that change.
    fn swap(&mut self, next: Table, is_compiled: bool) {
        let replaced = self.table.swap(Arc::new(next));
        self.teller.published();
        if is_compiled {
            self.retired.push(replaced);
        }
    }

    /// The table of new contents with what follows from them, and the turns of the journals to there.
    fn lay(&self, new: NewContents, rebased: &[Changeset], turns: &mut Vec<(Name, Serial, Turn)>) -> Table {
        let NewContents { contents, overlays, before: earlier, config, past, by: _ } = new;
        match contents.how {
            How::Replaced(differences) => {
                let laid = applied(contents.table, overlays.as_deref().unwrap_or(rebased));
                let before = self.table.load();
                let steered = steered(earlier.iter().chain([&config]).map(|config| &**config));
                let past = past.as_deref();
                for changeset in rebased.iter().filter(|changeset| self.journals.wants(&changeset.zone)) {
                    let apex = &changeset.zone;
                    let mut steered = steered.get(apex).cloned().unwrap_or_default();
                    steered.extend(past.into_iter().flat_map(|past| past.laid(apex)));
                    // A start publishes nothing before its first load, but knows what the last process did.
                    let before = past.and_then(|past| past.table(apex)).unwrap_or(&before);
                    let differences = past.map_or(differences.as_ref(), PublishedState::differences);
                    let in_file = names(before, &laid, apex, differences);
                    let turn = turn(before, &laid, changeset, in_file, &steered);
                    turns.push((apex.clone(), changeset.to, turn));
                }
                laid
            }
            How::Edited(zones) => {
                let before = self.table.load_full();
                let laid = applied(edited(&before, &contents.table, &zones), rebased);
                let zones: BTreeMap<&Name, &Sets> = zones.iter().map(|(apex, sets)| (apex, sets)).collect();
                for changeset in rebased.iter().filter(|changeset| self.journals.wants(&changeset.zone)) {
                    let sets = zones.get(&changeset.zone).into_iter().flat_map(|sets| sets.iter());
                    let in_file: BTreeSet<Name> = sets.map(|(owner, _, _)| owner.clone()).collect();
                    let laid_over: BTreeSet<&Name> = changeset.touched().map(|(owner, _)| owner).collect();
                    let turn = turn(&before, &laid, changeset, Some(&in_file), &laid_over);
                    turns.push((changeset.zone.clone(), changeset.to, turn));
                }
                laid
            }
        }
    }

    /// Hands over these values and all that was held, as one transaction. The number that the history's next entry will
    /// have, where that is known.
    pub fn keep(&mut self, saves: Vec<Saved>, when: Durable) -> Option<u64> {
        let (rows, held) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.held));
        self.note_edits(&saves);
        if !saves.is_empty() || !rows.is_empty() || !held.is_empty() {
            return self.writer.keep(self.clock.now(), saves, rows, held, when);
        }
        None
    }

    fn note_edits(&mut self, saves: &[Saved]) {
        for saved in saves {
            match saved {
                Saved::Edit(_, Some(_)) => drop(self.edits.insert(saved.key(), saved.clone())),
                Saved::Edit(_, None) => drop(self.edits.remove(&saved.key())),
                _ => {}
            }
        }
    }

    /// Frees tables that nobody holds any more.
    pub fn free_retired(&mut self) {
        self.retired.retain(|table| Arc::strong_count(table) > 1);
    }
}

/// What is published with other RRsets in some zones; `contents` is the same without decisions.
fn edited(published: &Table, contents: &Table, zones: &[(Name, Sets)]) -> Table {
    let mut table = published.clone();
    for (apex, sets) in zones {
        let sets = sets.iter().map(|(owner, rtype, set)| (owner, *rtype, set.as_ref()));
        if let Err(e) = table.change(apex, sets) {
            error!("the contents of {apex} could not be published: {e}");
        }
    }
    table.with_contents_of(contents)
}

/// A table with these changesets applied to it.
fn applied(mut table: Table, changesets: &[Changeset]) -> Table {
    for changeset in changesets {
        if let Err(e) = table.apply(changeset) {
            error!("{} serial {} could not be published: {e}", changeset.zone, changeset.to);
        }
    }
    table
}

/// Has each published serial say what led to it, and how much it changed. `by` is what new contents came by,
/// unless what else is recorded says it better.
fn say_why(
    records: &mut [Happened],
    by: Option<Cause>,
    decided: &[Changeset],
    turns: &[(Name, Serial, Turn)],
) {
    let mut better = BTreeMap::new();
    for what in &*records {
        match what {
            Happened::Updated { zone, .. } => drop(better.insert(zone.clone(), Cause::Update)),
            Happened::RolledBack { zone, .. } => drop(better.insert(zone.clone(), Cause::Rollback)),
            Happened::Frozen { zone, .. } => drop(better.insert(zone.clone(), Cause::Freeze)),
            _ => {}
        }
    }
    let counts: BTreeMap<(&Name, u32), (usize, usize)> = turns
        .iter()
        .filter_map(|(apex, to, turn)| match turn {
            Turn::Step(step) => Some(((apex, to.0), step.counts())),
            Turn::Agree => None,
        })
        .collect();
    let is_decision =
        |apex: &Name, serial| decided.iter().any(|made| made.zone == *apex && made.to == serial);
    for what in records {
        if let Happened::Published { zone, to, by: why, counts: changed, .. } = what {
            *why = if is_decision(zone, *to) {
                Some(Cause::Decisions)
            } else {
                better.get(zone).copied().or(by)
            };
            *changed = counts.get(&(&*zone, to.0)).copied();
        }
    }
}

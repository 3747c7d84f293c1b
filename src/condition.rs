//! Conditions: what is wrong now, as values. Everything that tells people how things stand reads them: `detour
//! status`, `/healthz`, the metrics, the dashboard and the alerts.
//!
//! In: whoever finds something wrong says so, and says when it is over: the engine of services, sites and
//! checks, as it steps; rooms of the daemon of zones, the disk and the host, on the shared [`Board`]. Out: a
//! [`Summary`] of bounded size. This room must never know how any of it is found, and nobody looks through
//! services or checks to learn how things stand.
//!
//! A new kind is one line in [`ConditionKind`]'s table; `set` and `clear` are called where it is found.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::AlertSeverity;
use crate::time::Time;

/// How many conditions there may be; more than any configuration has subjects. Further ones are not kept.
pub const MAX_CONDITIONS: usize = 1_000_000;
/// How many a summary lists; of the others it has the number.
pub const MAX_LISTED: usize = 100;
/// The longest text of one, in bytes.
const MAX_TEXT: usize = 500;
/// Beginnings and ends that wait to be recorded; further ones are not.
const MAX_TURNS: usize = 10_000;

/// What a condition means for the daemon's own health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// People are without service, or would not be helped: `/healthz` says `degraded`.
    Degraded,
    /// People should know before it is too late; clients are served.
    Noted,
}

/// Which entry of the event log tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// One of its own kind: a decision, a change of health, a load.
    Elsewhere,
    /// [`Turn`]s, which are recorded as they are; alerts are made of those.
    ByTurns,
}

/// What the subject of a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A service's name.
    Service,
    /// A site's key.
    Site,
    /// A zone's name.
    Zone,
    /// A check.
    Check,
    /// A part of the daemon, in a word.
    Daemon,
}

/// A row of the table of kinds.
struct Facts {
    word: &'static str,
    over: &'static str,
    about: About,
    severity: AlertSeverity,
    weight: Weight,
    told: Told,
    many: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal, $about:ident, $severity:ident, $weight:ident, $told:ident, $many:literal;)*) => {
        /// What is wrong. In the order in which conditions are listed: the worst first.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
        )]
        #[serde(rename_all = "kebab-case")]
        #[schema(rename_all = "kebab-case")]
        pub enum ConditionKind {
            $($(#[$doc])* $kind,)*
        }

        impl ConditionKind {
            /// Every kind, the worst first.
            pub const ALL: &[ConditionKind] = &[$(ConditionKind::$kind,)*];

            fn facts(self) -> Facts {
                match self {
                    $(ConditionKind::$kind => Facts {
                        word: $word,
                        over: concat!($word, "-over"),
                        about: About::$about,
                        severity: AlertSeverity::$severity,
                        weight: Weight::$weight,
                        told: Told::$told,
                        many: $many,
                    },)*
                }
            }
        }
    };
}

// Kind = word, what its subject is, severity, what it means for /healthz, which entry of the event log tells of it, and what many of them are.
kinds! {
    /// No endpoint of a service works.
    AllDown = "all-down", Service, Critical, Degraded, Elsewhere, "services have all endpoints down";
    /// A service is answered from a site that is Down.
    DeadSite = "dead-site", Service, Critical, Degraded, Elsewhere, "services are answered from a site that is Down";
    /// One address family of a service has no endpoint that works, and the other has.
    FamilyDown = "family-down", Service, Critical, Degraded, Elsewhere, "services have one address family down";
    /// A zone is answered SERVFAIL.
    ZoneUnserved = "zone-unserved", Zone, Critical, Degraded, ByTurns, "zones are answered SERVFAIL";
    /// The file of a zone was broken at the start: the zone is its last good copy, or answered SERVFAIL.
    ZoneBroken = "zone-broken", Zone, Critical, Degraded, ByTurns, "zones have a broken file";
    /// Canaries fail: no result counts and nothing moves.
    VantageFault = "vantage-fault", Daemon, Warning, Degraded, Elsewhere, "vantage faults";
    /// The state file cannot be written: a restart forgets, and updates are refused.
    StateUnwritten = "state-unwritten", Daemon, Warning, Degraded, ByTurns, "state files cannot be written";
    /// No endpoint of a service is known to work, nor to be Down.
    Unverified = "unverified", Service, Warning, Degraded, ByTurns, "services have no endpoint with a result";
    /// A check had results and has none any more.
    CheckSilent = "check-silent", Check, Warning, Degraded, Elsewhere, "checks have no results any more";
    /// No run of a check has ever given a result that counts.
    CheckCannotRun = "check-cannot-run", Check, Warning, Degraded, ByTurns, "checks cannot run";
    /// This host lets fewer probes run at once than there are checks: a failover may take longer than the
    /// configuration alone makes it.
    ProbeLimit = "probe-limit", Daemon, Warning, Degraded, ByTurns, "limits on probes make failovers slower";
    /// A service is answered from a site that an operator forces up, and that is Down by its checks.
    ForcedUp = "forced-up", Service, Warning, Noted, Elsewhere, "services are answered from a site that is forced Up and Down by its checks";
    /// A move is pending approval, and the site in use works.
    PendingApproval = "pending-approval", Service, Warning, Noted, Elsewhere, "moves are pending approval";
    /// A safety rule blocks a move, and the site in use works.
    Blocked = "blocked", Service, Warning, Noted, Elsewhere, "moves are blocked by a safety rule";
    /// A site carries more load than its capacity.
    OverCapacity = "over-capacity", Site, Warning, Noted, ByTurns, "sites are over capacity";
    /// The next endpoint of a service does not work.
    NoStandby = "no-standby", Service, Warning, Noted, Elsewhere, "services have no standby";
    /// The state file was damaged at the start: something of it may be lost.
    StateLost = "state-lost", Daemon, Warning, Noted, ByTurns, "state files were damaged";
    /// The last load was rejected; the previous configuration is in use.
    LoadRejected = "load-rejected", Daemon, Warning, Noted, Elsewhere, "loads were rejected";
}

impl ConditionKind {
    /// The word for it in metrics, JSON and alerts.
    pub fn word(self) -> &'static str {
        self.facts().word
    }

    /// The word for its end in alerts.
    pub fn word_when_over(self) -> &'static str {
        self.facts().over
    }

    /// What its subject is.
    pub fn about(self) -> About {
        self.facts().about
    }

    /// How much it matters.
    pub fn severity(self) -> AlertSeverity {
        self.facts().severity
    }

    /// Whether `/healthz` is `degraded` while there is one.
    pub fn degrades(self) -> bool {
        self.facts().weight == Weight::Degraded
    }

    /// Whether its [`Turn`]s are recorded in the event log, as no other entry tells of it.
    pub fn is_told_by_turns(self) -> bool {
        self.facts().told == Told::ByTurns
    }

    /// What several of them are, after their number.
    pub fn many(self) -> &'static str {
        self.facts().many
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One thing that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Condition {
    /// What.
    pub kind: ConditionKind,
    /// Of what: a service, a site, a zone or a check, without a final dot.
    pub subject: String,
    /// How much it matters.
    #[schema(value_type = String)]
    pub severity: AlertSeverity,
    /// Since when.
    pub since: Time,
    /// In a sentence that names the subject.
    pub text: String,
}

/// A condition began, or is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Turn {
    /// The condition.
    pub condition: Condition,
    /// Whether it is over.
    pub over: bool,
}

/// `dead-site app.example.com: app.example.com is answered from iad, which is Down`
impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Condition { kind, subject, text, .. } = &self.condition;
        if self.over { write!(f, "{kind} of {subject} is over") } else { write!(f, "{kind}: {text}") }
    }
}

/// What is wrong now, as one finder keeps it: each kind at most once for each subject.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    each: BTreeMap<(ConditionKind, String), Condition>,
    counts: BTreeMap<ConditionKind, usize>,
    turns: Vec<Turn>,
    changes: u64,
}

impl Conditions {
    /// Something is so. What was so already keeps its `since`, and has the new text.
    pub fn set(&mut self, kind: ConditionKind, subject: &str, now: Time, text: &str) {
        let (key, text) = ((kind, subject.to_owned()), bounded(text));
        if let Some(known) = self.each.get_mut(&key) {
            if known.text != text {
                known.text = text;
                self.changes += 1;
            }
            return;
        }
        if self.each.len() >= MAX_CONDITIONS {
            return;
        }
        let condition =
            Condition { kind, subject: subject.to_owned(), severity: kind.severity(), since: now, text };
        self.turn(&condition, false);
        *self.counts.entry(kind).or_default() += 1;
        self.each.insert(key, condition);
    }

    /// It is not so any more. Nothing happens where it was not.
    pub fn clear(&mut self, kind: ConditionKind, subject: &str) {
        // Nearly always there is none of this kind, and the subject need not be copied to know it.
        if !self.counts.contains_key(&kind) {
            return;
        }
        if let Some(over) = self.each.remove(&(kind, subject.to_owned())) {
            self.discount(&over);
        }
    }

    /// Of these kinds a subject has these conditions and no other.
    pub fn replace(
        &mut self,
        among: &[ConditionKind],
        subject: &str,
        now: Time,
        found: &[(ConditionKind, String)],
    ) {
        for &kind in among {
            match found.iter().find(|(found, _)| *found == kind) {
                Some((_, text)) => self.set(kind, subject, now, text),
                None => self.clear(kind, subject),
            }
        }
    }

    /// Of this kind these subjects are so, each with its text, and no other.
    pub fn replace_all(&mut self, kind: ConditionKind, now: Time, found: &BTreeMap<String, String>) {
        let gone = self.each.range((kind, String::new())..).map(|(key, _)| key);
        let gone = gone.take_while(|(of, _)| *of == kind).filter(|(_, subject)| !found.contains_key(subject));
        for (_, subject) in gone.cloned().collect::<Vec<_>>() {
            self.clear(kind, &subject);
        }
        for (subject, text) in found {
            self.set(kind, subject, now, text);
        }
    }

    /// Ends those that are not to stay, as their subject is no more. All of these are told by turns.
    pub fn retain(&mut self, stays: impl Fn(ConditionKind, &str) -> bool) {
        let mut gone = Vec::new();
        self.each.retain(|(kind, subject), condition| {
            let stays = stays(*kind, subject);
            if !stays {
                gone.push(condition.clone());
            }
            stays
        });
        for over in gone {
            self.discount(&over);
            if !over.kind.is_told_by_turns() {
                // No other entry will tell of what is no more.
                self.turn_over(over);
            }
        }
    }

    /// What is over when all of it is: of the kinds that are told by turns, and by nobody else.
    pub fn into_turns(self) -> impl Iterator<Item = Turn> {
        let told = self.each.into_values().filter(|condition| condition.kind.is_told_by_turns());
        told.map(|condition| Turn { condition, over: true })
    }

    /// Every one, the worst first.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.each.values()
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: ConditionKind) -> usize {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// Whether a subject has one of a kind.
    pub fn has(&self, kind: ConditionKind, subject: &str) -> bool {
        self.each.contains_key(&(kind, subject.to_owned()))
    }

    /// Changes whenever a summary would.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What began and ended since this was last asked, of the kinds that are [told
    /// so](ConditionKind::is_told_by_turns).
    pub fn take_turns(&mut self) -> Vec<Turn> {
        std::mem::take(&mut self.turns)
    }

    fn discount(&mut self, over: &Condition) {
        self.turn(over, true);
        if let Some(count) = self.counts.get_mut(&over.kind) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&over.kind);
            }
        }
    }

    fn turn_over(&mut self, condition: Condition) {
        if self.turns.len() < MAX_TURNS {
            self.turns.push(Turn { condition, over: true });
        }
    }

    fn turn(&mut self, condition: &Condition, over: bool) {
        self.changes += 1;
        if condition.kind.is_told_by_turns() && self.turns.len() < MAX_TURNS {
            self.turns.push(Turn { condition: condition.clone(), over });
        }
    }
}

/// How things stand: what everybody who tells it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// How many there are of each kind of which there are any.
    pub counts: BTreeMap<ConditionKind, usize>,
    /// The first [`MAX_LISTED`], the worst first.
    pub listed: Vec<Condition>,
}

impl Summary {
    /// Of what several finders keep; its cost is bounded, however many conditions there are.
    pub fn of(conditions: &Conditions) -> Summary {
        let listed = conditions.iter().take(MAX_LISTED).cloned().collect();
        Summary { counts: conditions.counts.clone(), listed }
    }

    /// Both.
    #[must_use]
    pub fn and(&self, other: &Summary) -> Summary {
        let mut counts = self.counts.clone();
        for (kind, count) in &other.counts {
            *counts.entry(*kind).or_default() += count;
        }
        let mut listed: Vec<Condition> = self.listed.iter().chain(&other.listed).cloned().collect();
        listed.sort_by(|a, b| (a.kind, &a.subject).cmp(&(b.kind, &b.subject)));
        listed.truncate(MAX_LISTED);
        Summary { counts, listed }
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// How many there are that are not listed.
    pub fn unlisted(&self) -> usize {
        self.total() - self.listed.len()
    }

    /// Whether people are without service, or would not be helped.
    pub fn is_degraded(&self) -> bool {
        self.counts.keys().any(|kind| kind.degrades())
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: ConditionKind) -> usize {
        self.counts.get(&kind).copied().unwrap_or(0)
    }
}

/// What the rooms of a daemon find wrong, beside the engine: each sets and clears what it alone finds.
#[derive(Debug, Default)]
pub struct Board(Mutex<Conditions>);

impl Board {
    /// See [`Conditions::set`].
    pub fn set(&self, kind: ConditionKind, subject: &str, now: Time, text: &str) {
        self.lock().set(kind, subject, now, text);
    }

    /// See [`Conditions::clear`].
    pub fn clear(&self, kind: ConditionKind, subject: &str) {
        self.lock().clear(kind, subject);
    }

    /// See [`Conditions::replace_all`].
    pub fn replace_all(&self, kind: ConditionKind, now: Time, found: &BTreeMap<String, String>) {
        self.lock().replace_all(kind, now, found);
    }

    /// See [`Conditions::take_turns`].
    pub fn take_turns(&self) -> Vec<Turn> {
        self.lock().take_turns()
    }

    /// How things stand.
    pub fn summary(&self) -> Summary {
        Summary::of(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Conditions> {
        // A panic while holding it leaves whole conditions, if not all of them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounded(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = (0..=MAX_TEXT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_the_same_word_everywhere() {
        for kind in ConditionKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
            assert_eq!(kind.word_when_over(), format!("{kind}-over"));
        }
    }

    #[test]
    fn what_goes_on_keeps_its_beginning_and_what_ends_is_gone() {
        let mut conditions = Conditions::default();
        conditions.set(ConditionKind::DeadSite, "app.example.com", Time(1), "fra is Down");
        let changes = conditions.changes();
        conditions.set(ConditionKind::DeadSite, "app.example.com", Time(2), "fra is Down");
        assert_eq!(conditions.changes(), changes, "nothing is new");
        conditions.set(ConditionKind::DeadSite, "app.example.com", Time(3), "iad is Down");
        let only = conditions.iter().next().unwrap();
        assert_eq!((only.since, &*only.text), (Time(1), "iad is Down"));
        assert!(conditions.changes() > changes);
        conditions.clear(ConditionKind::DeadSite, "app.example.com");
        assert_eq!(Summary::of(&conditions), Summary::default());
    }

    #[test]
    fn a_summary_counts_all_and_lists_the_worst() {
        let (mut engine, board) = (Conditions::default(), Board::default());
        for n in 0..MAX_LISTED + 50 {
            engine.set(ConditionKind::NoStandby, &format!("s{n}"), Time(1), "its standby is Down");
        }
        board.set(ConditionKind::ZoneUnserved, "z.example", Time(2), "z.example expired");
        let summary = Summary::of(&engine);
        assert!(!summary.is_degraded(), "clients are served");
        let summary = summary.and(&board.summary());
        assert!(summary.is_degraded());
        assert_eq!((summary.total(), summary.unlisted()), (MAX_LISTED + 51, 51));
        assert_eq!(summary.listed[0].subject, "z.example");
        assert_eq!(summary.count(ConditionKind::NoStandby), MAX_LISTED + 50);
    }

    #[test]
    fn only_what_no_other_entry_tells_is_told_by_turns() {
        let board = Board::default();
        board.set(ConditionKind::LoadRejected, "configuration", Time(1), "line 3");
        board.replace_all(
            ConditionKind::ZoneUnserved,
            Time(1),
            &BTreeMap::from([("z.example".to_owned(), "it expired".to_owned())]),
        );
        let [began] = &board.take_turns()[..] else { panic!("one turn") };
        assert!(!began.over && began.condition.subject == "z.example");
        board.replace_all(ConditionKind::ZoneUnserved, Time(2), &BTreeMap::new());
        let [over] = &board.take_turns()[..] else { panic!("one turn") };
        assert_eq!(over.to_string(), "zone-unserved of z.example is over");
        assert!(board.take_turns().is_empty());
    }
}

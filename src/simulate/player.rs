//! Drives an engine with a recording: as it was, or with another configuration.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{QUORUM, StudyError};
use crate::config;
use crate::engine::{Effect, Engine, Event, Load, Pace, Saved};
use crate::health::Sample;
use crate::model::{CheckKey, Config, Probe, Service};
use crate::recording::{Head, LoadNote, Moment, Note, Recording};
use crate::state::recorded_at_its_head;
use crate::time::Time;

/// Under which configuration a recording is played.
#[derive(Clone, Debug)]
pub enum Run {
    /// Each as it was loaded.
    AsRecorded,
    /// This one, all the time.
    With(Load),
}

/// An engine on its way through a recording.
#[derive(Debug)]
pub struct Player {
    run: Run,
    engine: Option<Engine>,
    config: Option<Arc<Config>>,
    now: Time,
    wake: Option<Time>,
    /// With another configuration: its checks, how fast each is wanted, and when the last run was due that
    /// was taken.
    probes: BTreeMap<CheckKey, Arc<Probe>>,
    paces: BTreeMap<CheckKey, Pace>,
    taken: BTreeMap<CheckKey, Time>,
    /// How they were run when the samples were taken.
    recorded: BTreeMap<CheckKey, Arc<Probe>>,
    /// With another configuration: the engine as it was, by which the other one is woken when that one was; a busy host
    /// wakes an engine late. `None` once it cannot be made anew.
    before: Option<Box<Player>>,
    /// With another configuration: since when an engine waits for its first load, which comes when the recorded one's did.
    awaits_load: Option<Time>,
}

/// The most bytes of a recording that a start plays: twice what a segment has by default.
const MAX_PLAYED: u64 = 16 * 1024 * 1024;

/// What the newest segment of a recording comes to, played to its end; where it cannot be played, or is long, what it
/// begins with.
pub fn last_recorded(dir: &Path) -> Option<(Vec<Saved>, Time)> {
    let at_its_head = || recorded_at_its_head(dir);
    let played = || -> Option<(Vec<Saved>, Time)> {
        let newest = Some(Recording::open(dir).ok()?.newest()).filter(|it| it.bytes() <= MAX_PLAYED)?;
        let mut player = Player::new(Run::AsRecorded);
        // As far as it can be played.
        let _ = newest.play::<StudyError>(|moment| player.take(&moment, &mut |_, _| ()));
        // Edits are kept beside what the engine knows.
        let (head, _) = at_its_head()?;
        let edits = head.into_iter().filter(|saved| matches!(saved, Saved::Edit(..)));
        Some((player.engine()?.saved().into_iter().chain(edits).collect(), player.now()))
    };
    // Whatever is wrong with it: a start goes on.
    catch_unwind(AssertUnwindSafe(played)).ok().flatten().or_else(at_its_head)
}

impl Player {
    /// One that has heard nothing yet.
    pub fn new(run: Run) -> Player {
        let probes = match &run {
            Run::AsRecorded => BTreeMap::new(),
            Run::With(load) => {
                let checks = load.config.checks().into_iter();
                let canaries = load.config.vantage.canaries.iter().cloned();
                checks.chain(canaries).map(|check| (check.key, check.probe)).collect()
            }
        };
        let before = matches!(run, Run::With(_)).then(|| Box::new(Player::new(Run::AsRecorded)));
        let (paces, taken, recorded) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Player {
            run,
            engine: None,
            config: None,
            now: Time(0),
            wake: None,
            probes,
            paces,
            taken,
            recorded,
            before,
            awaits_load: None,
        }
    }

    /// The engine as far as it has come.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// The configuration in force.
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    /// The moment it has come to.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Takes the next moment in; each effect goes to `tell`.
    pub fn take(&mut self, moment: &Moment, tell: &mut impl FnMut(Time, &Effect)) -> Result<(), StudyError> {
        match moment {
            Moment::Begin(head) => self.begin(head, tell)?,
            Moment::Input(at, note) => self.input(*at, note, tell)?,
        }
        let mut unheard: fn(Time, &Effect) = |_, _| ();
        if let Some(before) = &mut self.before
            && before.take(moment, &mut unheard).is_err()
        {
            // What was loaded then cannot be read now: this engine is woken by its own diary alone.
            self.before = None;
        }
        Ok(())
    }

    fn begin(&mut self, head: &Head, tell: &mut impl FnMut(Time, &Effect)) -> Result<(), StudyError> {
        if let (Run::With(_), Some(note)) = (&self.run, &head.load) {
            self.recorded_by(note)?;
        }
        if head.continues && self.engine.is_some() {
            return Ok(());
        }
        self.engine = Some(Engine::new(QUORUM, head.saved.clone()));
        self.wake = None;
        self.paces.clear();
        self.awaits_load = None;
        let load = match (&self.run, &head.load) {
            (Run::With(_), None) => {
                self.awaits_load = Some(head.at);
                None
            }
            (Run::With(load), Some(_)) => Some(load.clone()),
            (Run::AsRecorded, Some(note)) => Some(whole(note)?),
            (Run::AsRecorded, None) => None,
        };
        if let Some(load) = load {
            self.load(head.at, load, tell);
        }
        Ok(())
    }

    fn input(
        &mut self,
        at: Time,
        note: &Note,
        tell: &mut impl FnMut(Time, &Effect),
    ) -> Result<(), StudyError> {
        let other = matches!(self.run, Run::With(_));
        if let (Some(since), Run::With(load)) = (self.awaits_load.take(), &self.run) {
            let since = if matches!(note, Note::Load(_)) { at } else { since };
            self.load(since, load.clone(), tell);
        }
        if let (true, Note::Stalled(length)) = (other, note) {
            // Nobody woke it meanwhile.
            self.advance(at - *length, false, tell);
        } else if other {
            self.advance(at, matches!(note, Note::Tick), tell);
        }
        match note {
            // What comes of time alone is this engine's own to ask for.
            Note::Tick | Note::Contents(_) if other => {}
            Note::Load(note) if other => self.recorded_by(note)?,
            Note::Contents(zones) => self.step(at, Event::Contents(zones.clone()), tell),
            Note::Tick => {
                self.wake = None;
                self.step(at, Event::Tick, tell);
            }
            Note::Load(note) => {
                let load = whole(note)?;
                self.load(at, load, tell);
            }
            Note::Sample(sample) if other && !self.would_come(sample) => {}
            Note::Sample(sample) => self.step(at, Event::Sample(sample.clone()), tell),
            Note::Command(command) => self.step(at, Event::Command(command.clone()), tell),
            Note::Clock(offset) => self.step(at, Event::Clock(*offset), tell),
            Note::Stalled(length) => self.step(at, Event::Stalled(*length), tell),
        }
        Ok(())
    }

    /// Whether a probe of this configuration would have been run then: a recording may hold more samples
    /// than it asks for.
    fn would_come(&mut self, sample: &Sample) -> bool {
        let Some(probe) = self.probes.get(&sample.check) else { return false };
        let as_before = self.recorded.get(&sample.check).is_some_and(|before| {
            let pace = |probe: &Probe| (probe.interval, probe.confirm, probe.thresholds);
            pace(before) == pace(probe)
        });
        if as_before {
            return true;
        }
        let wanted = match self.paces.get(&sample.check) {
            Some(Pace::Confirm) => probe.confirm,
            _ => probe.interval,
        };
        let began = sample.at - sample.latency;
        // Runs begin by a schedule, give or take what the host was busy with.
        let slack = wanted / 10;
        let due = self.taken.get(&sample.check).map(|last| *last + wanted);
        let comes = due.is_none_or(|due| began + slack >= due);
        if comes {
            let by_schedule = due.filter(|due| began.since(*due) <= slack);
            self.taken.insert(sample.check.clone(), by_schedule.unwrap_or(began));
        }
        comes
    }

    /// From now on samples are taken as this load has it.
    fn recorded_by(&mut self, note: &LoadNote) -> Result<(), StudyError> {
        let config = recalled(note)?.config;
        let canaries = config.vantage.canaries.iter().cloned();
        let checks = config.checks().into_iter().chain(canaries);
        self.recorded = checks.map(|check| (check.key, check.probe)).collect();
        Ok(())
    }

    /// Lets time pass, with a tick at each wake. A wake that the recorded engine asked for as well comes when it came then:
    /// with the recorded tick.
    fn advance(&mut self, to: Time, ticked: bool, tell: &mut impl FnMut(Time, &Effect)) {
        let theirs = self.before.as_ref().and_then(|before| before.wake);
        while let Some(at) = self.wake.filter(|&at| at <= to) {
            let as_before = theirs == Some(at);
            if as_before && !ticked || !as_before && at == to {
                return;
            }
            self.wake = None;
            // Nobody woke it while the daemon was stopped; an engine takes one late tick for many.
            let late = as_before || to.since(at) > Duration::from_secs(60);
            self.step(if late { to } else { at }, Event::Tick, tell);
        }
    }

    fn load(&mut self, at: Time, load: Load, tell: &mut impl FnMut(Time, &Effect)) {
        self.config = Some(load.config.clone());
        self.step(at, Event::Load(load), tell);
    }

    fn step(&mut self, at: Time, event: Event, tell: &mut impl FnMut(Time, &Effect)) {
        self.now = self.now.max(at);
        let Some(engine) = &mut self.engine else { return };
        for effect in engine.step(self.now, event) {
            match &effect {
                Effect::Wake(at) => self.wake = Some(*at),
                Effect::Pace(check, pace) if matches!(self.run, Run::With(_)) => {
                    self.paces.insert(check.clone(), *pace);
                }
                _ => {}
            }
            tell(self.now, &effect);
        }
    }
}

/// The load that a recording tells of.
fn recalled(note: &LoadNote) -> Result<Load, StudyError> {
    let config = config::recall(&note.path, &note.text);
    let config = config
        .map_err(|report| StudyError::Recall { path: note.path.clone(), problems: report.to_string() })?;
    Ok(note.to_load(Arc::new(config)))
}

/// The same, and nothing is missing: recordings of earlier versions do not tell which sites clients preferred.
fn whole(note: &LoadNote) -> Result<Load, StudyError> {
    let load = recalled(note)?;
    let by_client = |service: &&Arc<Service>| service.tree.as_ref().is_some_and(|tree| tree.geo.is_some());
    let missing = |service: &&Arc<Service>| !load.regions.contains_key(&service.name);
    match load.config.services.iter().filter(by_client).find(missing) {
        None => Ok(load),
        Some(service) => Err(StudyError::Regions(service.name.clone())),
    }
}

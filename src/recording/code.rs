//! How inputs are written in bytes, and read again.
//!
//! Each input is a tag, the milliseconds since the one before, and what it is. Whatever comes again and
//! again, a check's key or the story of an outcome, is written out once a segment, as a word of its
//! dictionary, and named by number from then on. Numbers are LEB128.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{InForce, LoadNote, Note, SharedRegions};
use crate::dns::{Name, RrSet};
use crate::engine::{AtServices, Undecided, ZoneBase};
use crate::health::{Detail, Outcome, Phase, Phases, Sample, Vantage, Warning};
use crate::model::CheckKey;
use crate::time::{Offset, Time};

const TICK: u8 = 0;
const SAMPLE: u8 = 1;
const COMMAND: u8 = 2;
const LOAD: u8 = 3;
const CHECK: u8 = 4;
const STORY: u8 = 5;
const CONTENTS: u8 = 6;
const CLOCK: u8 = 7;
const STALLED: u8 = 8;
const EDITED: u8 = 9;

const PHASES: [Phase; 5] = [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::FirstByte, Phase::Body];

/// What of a sample comes again and again, beside its check.
type Story = (Vantage, Outcome, Option<Warning>);

/// A load, without what is as in the one before.
#[derive(Serialize, Deserialize)]
struct Changed {
    path: std::path::PathBuf,
    text: Option<Arc<str>>,
    zones: Option<Arc<[Arc<ZoneBase>]>>,
    /// Not there in what earlier versions wrote.
    #[serde(default)]
    regions: Option<SharedRegions>,
    #[serde(default, skip_serializing_if = "Undecided::is_default")]
    undecided: Undecided,
}

/// A zone whose contents changed, without what its services lie over where that is as before: most changes leave it alone,
/// and a zone may have many services.
#[derive(Serialize, Deserialize)]
struct Edited {
    apex: Name,
    soa: RrSet,
    fingerprint: u64,
    edits: usize,
    at_services: Option<Arc<AtServices>>,
}

/// Writes one segment's inputs.
#[derive(Default)]
pub struct Encoder {
    out: Vec<u8>,
    last: Time,
    checks: BTreeMap<CheckKey, u64>,
    stories: HashMap<String, u64>,
    /// The story most samples have.
    plain: Option<u64>,
    in_force: InForce,
}

impl Encoder {
    /// Of a segment that begins at `at` with this load in force.
    pub fn new(at: Time, load: Option<LoadNote>) -> Encoder {
        Encoder { last: at, in_force: InForce::of(load), ..Encoder::default() }
    }

    /// How many words its dictionary holds.
    pub fn words(&self) -> usize {
        self.checks.len() + self.stories.len()
    }

    /// How many bytes wait to be taken.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The bytes since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Nothing but time.
    pub fn tick(&mut self, now: Time) {
        self.begin(TICK, now);
    }

    /// A probe's run.
    pub fn sample(&mut self, now: Time, sample: &Sample) {
        let check = self.check(&sample.check);
        let story = self.story(sample);
        self.begin(SAMPLE, now);
        self.number(check);
        self.number(story);
        // A run ends a moment before the engine hears of it; one that ends after is possible all the same.
        let age = i64::try_from(now.0).unwrap_or(0) - i64::try_from(sample.at.0).unwrap_or(0);
        self.number(((age << 1) ^ (age >> 63)).cast_unsigned());
        self.number(micros(sample.latency));
        let came = PHASES.map(|phase| sample.detail.phases.get(phase));
        let mask = (0..).zip(&came).fold(0, |mask, (bit, took)| mask | u8::from(took.is_some()) << bit);
        self.out.push(mask);
        for took in came.into_iter().flatten() {
            self.number(micros(took));
        }
    }

    /// An operator's command.
    pub fn command(&mut self, now: Time, command: &crate::engine::Command) {
        self.begin(COMMAND, now);
        self.json(command);
    }

    /// The host's clock is so far ahead from now on.
    pub fn clock(&mut self, now: Time, offset: Offset) {
        self.begin(CLOCK, now);
        self.json(&offset);
    }

    /// This process stood still for so long until now.
    pub fn stalled(&mut self, now: Time, length: Duration) {
        self.begin(STALLED, now);
        self.number(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
    }

    /// A configuration and its zones.
    pub fn load(&mut self, now: Time, mut load: LoadNote) {
        let undecided = std::mem::take(&mut load.undecided);
        let before = self.in_force.load();
        let text = before.is_none_or(|before| before.text != load.text).then(|| load.text.clone());
        let zones = before.is_none_or(|before| before.zones != load.zones).then(|| load.zones.clone());
        let regions =
            before.is_none_or(|before| before.regions != load.regions).then(|| load.regions.clone());
        self.begin(LOAD, now);
        self.json(&Changed { path: load.path.clone(), text, zones, regions, undecided });
        self.in_force = InForce::of(Some(load));
    }

    /// Zones whose contents changed.
    pub fn contents(&mut self, now: Time, zones: &[ZoneBase]) {
        let edited = |zone: &ZoneBase| {
            let before = self.in_force.changed.get(&zone.apex).map(|before| &before.at_services);
            let is_same = before.is_some_and(|before| Arc::ptr_eq(before, &zone.at_services));
            let ZoneBase { apex, soa, fingerprint, edits, at_services } = zone.clone();
            Edited { apex, soa, fingerprint, edits, at_services: (!is_same).then_some(at_services) }
        };
        let edited: Vec<Edited> = zones.iter().map(edited).collect();
        self.begin(EDITED, now);
        self.json(&edited);
        self.in_force.change(zones);
    }

    /// The load in force.
    pub fn in_force(&mut self) -> Option<&LoadNote> {
        self.in_force.load()
    }

    fn begin(&mut self, tag: u8, now: Time) {
        self.out.push(tag);
        let passed = now.0.saturating_sub(self.last.0);
        self.last = self.last.max(now);
        self.number(passed);
    }

    fn check(&mut self, key: &CheckKey) -> u64 {
        if let Some(&id) = self.checks.get(key) {
            return id;
        }
        let id = self.checks.len() as u64;
        self.checks.insert(key.clone(), id);
        self.out.push(CHECK);
        self.json(key);
        id
    }

    fn story(&mut self, sample: &Sample) -> u64 {
        let plain = sample.outcome == Outcome::Ok
            && sample.detail.warning.is_none()
            && sample.vantage == Vantage::local();
        if let Some(id) = self.plain.filter(|_| plain) {
            return id;
        }
        let story: (&Vantage, &Outcome, &Option<Warning>) =
            (&sample.vantage, &sample.outcome, &sample.detail.warning);
        // Plain data with text for keys: it cannot fail, and would read as damage if it did.
        let text = serde_json::to_string(&story).unwrap_or_default();
        let known = self.stories.get(&text).copied();
        let id = known.unwrap_or(self.stories.len() as u64);
        if known.is_none() {
            self.out.push(STORY);
            self.bytes(text.as_bytes());
            self.stories.insert(text, id);
        }
        if plain {
            self.plain = Some(id);
        }
        id
    }

    fn json(&mut self, value: &impl Serialize) {
        // As with stories.
        let text = serde_json::to_vec(value).unwrap_or_default();
        self.bytes(&text);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Reads one segment's inputs, frame by frame.
#[derive(Default)]
pub struct Decoder {
    last: Time,
    checks: Vec<CheckKey>,
    stories: Vec<Story>,
    in_force: InForce,
}

impl Decoder {
    /// Of a segment that begins at `at` with this load in force.
    pub fn new(at: Time, load: Option<LoadNote>) -> Decoder {
        Decoder { last: at, in_force: InForce::of(load), ..Decoder::default() }
    }

    /// The inputs of a frame, in their order.
    pub fn frame(&mut self, frame: &[u8]) -> Result<Vec<(Time, Note)>, String> {
        let mut rest = Rest(frame);
        let mut notes = Vec::new();
        while !rest.0.is_empty() {
            match rest.byte()? {
                CHECK => self.checks.push(rest.json()?),
                STORY => self.stories.push(rest.json()?),
                tag => {
                    self.last = Time(self.last.0.saturating_add(rest.number()?));
                    notes.push((self.last, self.note(tag, &mut rest)?));
                }
            }
        }
        Ok(notes)
    }

    fn note(&mut self, tag: u8, rest: &mut Rest) -> Result<Note, String> {
        Ok(match tag {
            TICK => Note::Tick,
            SAMPLE => Note::Sample(self.sample(rest)?),
            COMMAND => Note::Command(rest.json()?),
            CLOCK => Note::Clock(rest.json()?),
            STALLED => Note::Stalled(Duration::from_millis(rest.number()?)),
            LOAD => {
                let Changed { path, text, zones, regions, undecided } = rest.json()?;
                let before = self.in_force.load();
                let text =
                    text.or_else(|| before.map(|it| it.text.clone())).ok_or("a load without a text")?;
                let zones =
                    zones.or_else(|| before.map(|it| it.zones.clone())).ok_or("a load without zones")?;
                let regions = regions.or_else(|| before.map(|it| it.regions.clone())).unwrap_or_default();
                let load = LoadNote { path, text, zones, regions, undecided: Undecided::default() };
                self.in_force = InForce::of(Some(load.clone()));
                Note::Load(LoadNote { undecided, ..load })
            }
            CONTENTS => {
                let zones: Vec<ZoneBase> = rest.json()?;
                self.in_force.change(&zones);
                Note::Contents(zones)
            }
            EDITED => {
                let edited: Vec<Edited> = rest.json()?;
                let zones = edited.into_iter().map(|zone| self.zone(zone)).collect::<Result<Vec<_>, _>>()?;
                self.in_force.change(&zones);
                Note::Contents(zones)
            }
            tag => return Err(format!("tag {tag} is not known")),
        })
    }

    fn zone(&self, edited: Edited) -> Result<ZoneBase, String> {
        let Edited { apex, soa, fingerprint, edits, at_services } = edited;
        let before = || self.in_force.changed.get(&apex).map(|zone| Arc::clone(&zone.at_services));
        let at_services = at_services.or_else(before).ok_or("an edit of a zone that was not named")?;
        Ok(ZoneBase { apex, soa, fingerprint, edits, at_services })
    }

    fn sample(&self, rest: &mut Rest) -> Result<Sample, String> {
        let (check, story) = (rest.number()?, rest.number()?);
        let check = self.checks.get(check as usize).ok_or("a check that was not named")?.clone();
        let story = self.stories.get(story as usize).ok_or("a story that was not told")?;
        let (vantage, outcome, warning) = story.clone();
        let age = rest.number()?;
        let age = (age >> 1).cast_signed() ^ -(age & 1).cast_signed();
        let at = Time(self.last.0.saturating_add_signed(age.saturating_neg()));
        let latency = Duration::from_micros(rest.number()?);
        let mask = rest.byte()?;
        let mut phases = Phases::default();
        for (bit, phase) in (0..).zip(PHASES) {
            if mask >> bit & 1 == 1 {
                phases.set(phase, Duration::from_micros(rest.number()?));
            }
        }
        Ok(Sample { check, vantage, at, latency, outcome, detail: Detail { phases, warning } })
    }
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (&first, rest) = self.0.split_first().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(first)
    }

    fn number(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number without end".to_owned())
    }

    fn json<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, String> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let (text, rest) = self.0.split_at_checked(length).ok_or("it ends too early")?;
        self.0 = rest;
        serde_json::from_slice(text).map_err(|e| e.to_string())
    }
}

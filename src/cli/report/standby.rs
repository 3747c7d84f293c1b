//! How those held that answers moved to: their samples while they carried, beside as long before.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::health::{Outcome, Sample};
use crate::incident::{Incident, Served};
use crate::model::{CheckKey, SiteId, Whereto};
use crate::time::{HostTime, Offset, Time};

/// The longest stretch before a move that is compared with.
const MAX_BEFORE: Duration = Duration::from_secs(3600);
/// How many places are looked at.
const MAX_PLACES: usize = 200;
/// How many runs of one check are counted in each stretch.
const MAX_RUNS: usize = 100_000;

/// Where answers went, from when to when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carrier {
    site: SiteId,
    /// Its addresses, or its CNAME's target.
    places: Vec<Whereto>,
    from: Time,
    to: Time,
}

impl Carrier {
    /// The same by the clock that a recording goes by, where the host's was so far ahead of it.
    pub(super) fn by_own_clock(&mut self, offset: Offset) {
        for at in [&mut self.from, &mut self.to] {
            *at = HostTime(at.0).to_own(offset);
        }
    }
}

/// What one check said of a carrier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Held {
    pub site: SiteId,
    pub check: CheckKey,
    pub before: Runs,
    pub during: Runs,
}

/// The runs of one check, with their latencies in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Runs {
    #[serde(rename = "runs")]
    pub all: usize,
    pub failures: usize,
    pub discarded: usize,
    /// `None` where none succeeded.
    pub median_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    /// The first failure.
    pub why: Option<String>,
    #[serde(skip)]
    latencies: Vec<Duration>,
}

impl Runs {
    fn count(&mut self, sample: &Sample) {
        if self.all >= MAX_RUNS {
            return;
        }
        self.all += 1;
        match &sample.outcome {
            Outcome::Ok => self.latencies.push(sample.latency),
            Outcome::Failed(failure) => {
                self.failures += 1;
                self.why.get_or_insert_with(|| failure.to_string());
            }
            Outcome::Discarded(_) => self.discarded += 1,
        }
    }

    fn finish(&mut self) {
        self.latencies.sort_unstable();
        let share = |of_hundred: usize| {
            let at = (self.latencies.len() * of_hundred / 100).min(self.latencies.len().saturating_sub(1));
            self.latencies.get(at).map(|latency| latency.as_secs_f64() * 1000.0)
        };
        (self.median_ms, self.p95_ms) = (share(50), share(95));
    }
}

/// Who carried during an incident: the answers it led to from sites where nothing had failed when it began.
pub(super) fn carriers(incident: &Incident, now: Time) -> Vec<Carrier> {
    let mut carriers: Vec<Carrier> = Vec::new();
    for served in incident.served.iter().filter(|served| served.from >= incident.began) {
        let Some(site) = served.sites.first() else { continue };
        let failed = incident.sites.first() == Some(site);
        let to = served.to.or(incident.ended).unwrap_or(now);
        let (places, from) = (places(served), served.from);
        if failed || places.is_empty() || carriers.len() >= MAX_PLACES {
            continue;
        }
        match carriers.iter_mut().find(|carrier| carrier.places == places) {
            Some(carrier) => carrier.to = carrier.to.max(to),
            None => carriers.push(Carrier { site: site.clone(), places, from, to }),
        }
    }
    carriers
}

fn places(served: &Served) -> Vec<Whereto> {
    let place = |line: &String| {
        let (rtype, data) = line.split_once(' ')?;
        match rtype {
            "A" | "AAAA" => data.parse::<IpAddr>().ok().map(Whereto::Addr),
            "CNAME" => Some(Whereto::Name(data.trim_end_matches('.').into())),
            _ => None,
        }
    };
    served.answer.iter().filter_map(place).collect()
}

/// The stretch of time whose samples tell of carriers.
pub(super) fn span(carriers: &[Carrier]) -> Option<(Time, Time)> {
    let from = carriers.iter().map(|carrier| carrier.from - before(carrier)).min()?;
    Some((from, carriers.iter().map(|carrier| carrier.to).max()?))
}

fn before(carrier: &Carrier) -> Duration {
    carrier.to.since(carrier.from).clamp(Duration::from_secs(60), MAX_BEFORE)
}

/// What samples say of carriers, one after the other.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<CheckKey, Held>);

impl Tally {
    pub fn count(&mut self, carriers: &[Carrier], sample: &Sample) {
        let same = |place: &Whereto| match (place, &sample.check.whereto) {
            (Whereto::Name(one), Whereto::Name(other)) => {
                one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
            }
            (one, other) => one == other,
        };
        let Some(carrier) = carriers.iter().find(|carrier| carrier.places.iter().any(same)) else { return };
        let during = carrier.from <= sample.at && sample.at <= carrier.to;
        let earlier = sample.at < carrier.from && sample.at + before(carrier) >= carrier.from;
        if !during && !earlier {
            return;
        }
        let (site, check) = (carrier.site.clone(), sample.check.clone());
        let held = self.0.entry(sample.check.clone()).or_insert_with(|| Held {
            site,
            check,
            before: Runs::default(),
            during: Runs::default(),
        });
        if during { held.during.count(sample) } else { held.before.count(sample) }
    }

    pub fn finish(self) -> Vec<Held> {
        let mut held: Vec<Held> = self.0.into_values().collect();
        for held in &mut held {
            held.before.finish();
            held.during.finish();
        }
        held
    }
}

//! `GET /v1/overview`: what the dashboard's first page shows, small however many services there are.
//!
//! In: which services are looked for. Out: the state in a few sentences, one page of services, the worst
//! first, and whatever else people should see without asking. `/v1/status` has all of it at once, which at
//! ten thousand services is tens of megabytes; this is for somebody who looks every two seconds.

mod headline;
mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::read::patiently;
use super::{Daemon, DaemonStatus, Liveness, Problem, healthz};
use crate::alert::ReceiverView;
use crate::condition::{About, Summary};
use crate::engine::{Doubt, MaintenanceView, RuleView, SiteView, ZoneView};
use crate::model::SiteId;
use crate::policy::{Override, Proposal};
use crate::time::{Time, by_host};
use crate::transfer::inbound::TransferredView;
use crate::transfer::outbound::Secondary;
use crate::zones::LoadOutcome;

pub use headline::{Sentence, Tone};
pub use row::{Glance, Next, Off, Row, Stance};

/// How many services a page has at most.
pub const MAX_ROWS: usize = 200;
/// And when the request does not say.
const DEFAULT_ROWS: usize = 50;
/// The longest search, in bytes.
const MAX_SEARCH: usize = 200;
/// For how long a picture is shown again, at least and at most. Between the two, ten times what it cost to
/// make: so the engine spends a tenth of its time on those who look, however many they are.
const FRESH: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// What it costs is multiplied by this.
const REST: u32 = 10;

/// `GET /v1/overview`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Overview {
    /// All but the services.
    #[serde(flatten)]
    #[schema(value_type = Frame)]
    pub frame: Arc<Frame>,
    /// How many services are what is looked for.
    pub matching: usize,
    /// How many of those come before this page.
    pub offset: usize,
    /// The page, the worst first.
    pub services: Vec<Row>,
}

/// What is the same on every page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Frame {
    /// The moment.
    pub now: Time,
    /// Of the program.
    pub version: String,
    /// When it started.
    pub started: Time,
    /// The configuration file.
    #[schema(value_type = String)]
    pub config: PathBuf,
    /// How things are; the first sentence is the one to print large.
    pub sentences: Vec<Sentence>,
    /// Why the daemon itself is not well, as `/healthz` has it; what is wrong with services the sentences say.
    pub troubles: Vec<String>,
    /// What is wrong now, the worst first.
    #[serde(default)]
    pub conditions: Summary,
    /// How many services there are.
    pub total: usize,
    /// How many of each stance.
    pub stances: BTreeMap<Stance, usize>,
    /// Where services are that are not where they should be.
    pub moves: Vec<Moves>,
    /// Every site.
    pub sites: Vec<SiteView>,
    /// Every zone.
    pub zones: Vec<ZoneView>,
    /// Every override.
    pub overrides: Vec<Override>,
    /// Since when and why the vantage abstains.
    pub doubt: Option<Doubt>,
    /// Moves that wait for an operator or were rejected.
    pub proposals: Vec<Proposal>,
    /// The safety rules that are set.
    pub rules: Vec<RuleView>,
    /// Every maintenance.
    pub maintenance: Vec<MaintenanceView>,
    /// Every secondary.
    pub secondaries: Vec<Secondary>,
    /// Every zone that comes from a primary.
    pub transferred: Vec<TransferredView>,
    /// Every receiver of alerts.
    pub alerts: Vec<ReceiverView>,
    /// How the last load went.
    pub last_load: LoadOutcome,
    /// Of the last good load.
    pub warnings: Vec<String>,
}

/// Services that are away from one site, at another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Moves {
    /// Where they should be.
    #[schema(value_type = String)]
    pub from: SiteId,
    /// Where they are.
    #[schema(value_type = String)]
    pub to: SiteId,
    /// How many.
    pub services: usize,
}

/// What is looked for.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// Words that are in the name or the answers, or are the site answered from; all of them.
    search: String,
    /// Services of this stance; `off`: all but those that are where they should be.
    show: Option<String>,
    /// Services with an endpoint at this site.
    site: Option<String>,
    /// How many of them are left out.
    offset: usize,
    /// How many are shown: 50 when left out, at most 200.
    limit: Option<usize>,
}

impl Overview {
    /// The first page, of as many services as one may have.
    ///
    /// # Errors
    ///
    /// None that this page can have.
    pub fn of(status: DaemonStatus, liveness: &Liveness) -> Result<Overview, Problem> {
        Whole::of(status, liveness).page(&Asked { limit: Some(MAX_ROWS), ..Asked::default() })
    }
}

/// The last picture, shared by all who look at about the same time.
#[derive(Default)]
pub(super) struct Pictures(Mutex<Option<Picture>>);

struct Picture {
    made: Instant,
    fresh_for: Duration,
    whole: Arc<Whole>,
}

struct Whole {
    frame: Arc<Frame>,
    rows: Vec<Row>,
}

/// What the dashboard's first page shows.
#[utoipa::path(
    get, path = "/v1/overview", tag = "reading", params(Asked),
    responses((status = 200, description = "How things are, and a page of services", body = Overview)),
)]
pub(super) async fn overview<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(pictures): Extension<Arc<Pictures>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Overview>, Problem> {
    let Query(asked) = asked.map_err(|e| Problem::bad_request(e.body_text()))?;
    if asked.search.len() > MAX_SEARCH {
        return Err(Problem::bad_request(format!("search is at most {MAX_SEARCH} bytes")));
    }
    let whole = pictures.latest(&*daemon).await?;
    Ok(Json(whole.page(&asked)?))
}

impl Pictures {
    /// A picture no older than it may be. Those who come while one is made wait for it.
    async fn latest<D: Daemon>(&self, daemon: &D) -> Result<Arc<Whole>, Problem> {
        let mut kept = self.0.lock().await;
        if let Some(picture) = kept.as_ref().filter(|picture| picture.made.elapsed() < picture.fresh_for) {
            return Ok(picture.whole.clone());
        }
        let began = Instant::now();
        let status = patiently(daemon.status()).await?;
        let liveness = daemon.liveness();
        let made = Instant::now();
        let fresh_for = ((made - began) * REST).clamp(FRESH.0, FRESH.1);
        let offset = daemon.offset();
        let make = move || Arc::new(Whole::of(status, &liveness));
        let work = tokio::task::spawn_blocking(move || by_host(offset, make));
        // It computes, and has nothing to panic about; if it did, the engine is well all the same.
        let whole = work.await.map_err(|_| super::Gone)?;
        *kept = Some(Picture { made, fresh_for, whole: whole.clone() });
        Ok(whole)
    }
}

impl Whole {
    fn of(status: DaemonStatus, liveness: &Liveness) -> Whole {
        let DaemonStatus { version, started, config, conditions, engine, last_load, warnings, .. } = status;
        let mut rows: Vec<Row> = engine.services.into_iter().map(Row::of).collect();
        rows.sort_by(|a, b| (a.stance, &a.name).cmp(&(b.stance, &b.name)));
        let mut stances = BTreeMap::new();
        let mut moves: BTreeMap<(SiteId, SiteId), usize> = BTreeMap::new();
        for row in &rows {
            *stances.entry(row.stance).or_default() += 1;
            if let (Stance::Moved, Some(off), Some(to)) = (row.stance, row.off.first(), row.sites.first()) {
                *moves.entry((off.site.clone(), to.clone())).or_default() += 1;
            }
        }
        let moves = moves.into_iter().map(|((from, to), services)| Moves { from, to, services });
        let frame = Frame {
            now: engine.now,
            version,
            started,
            config,
            sentences: headline::say(&rows),
            troubles: troubles(liveness, &conditions),
            conditions,
            total: rows.len(),
            stances,
            moves: moves.collect(),
            sites: engine.sites,
            zones: engine.zones,
            overrides: engine.overrides,
            doubt: engine.doubt,
            proposals: engine.proposals,
            rules: engine.rules,
            maintenance: engine.maintenance,
            secondaries: status.secondaries,
            transferred: status.transferred,
            alerts: status.alerts,
            last_load,
            warnings,
        };
        Whole { frame: Arc::new(frame), rows }
    }

    /// The page that is asked for.
    fn page(&self, asked: &Asked) -> Result<Overview, Problem> {
        let words: Vec<String> = asked.search.split_whitespace().map(str::to_ascii_lowercase).collect();
        let stances = asked.show.as_deref().map(shown).transpose()?;
        let wanted = |row: &&Row| {
            let at = asked.site.as_deref();
            row.matches(&words)
                && at.is_none_or(|site| row.endpoints.iter().any(|endpoint| &*endpoint.site == site))
                && stances.as_ref().is_none_or(|stances| stances.contains(&row.stance))
        };
        let limit = asked.limit.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
        let matching = self.rows.iter().filter(wanted).count();
        // A page beyond the end, of services that are not off any more, is the last one.
        let last = matching.saturating_sub(1) / limit * limit;
        let offset = asked.offset.min(last);
        let services = self.rows.iter().filter(wanted).skip(offset).take(limit).cloned().collect();
        Ok(Overview { frame: self.frame.clone(), matching, offset, services })
    }
}

/// What is wrong with anything but services.
fn troubles(liveness: &Liveness, conditions: &Summary) -> Vec<String> {
    let others =
        conditions.listed.iter().filter(|it| it.kind.degrades() && it.kind.about() != About::Service);
    healthz::failures(liveness).into_iter().chain(others.map(|it| it.text.clone())).collect()
}

/// The stances that `show` names.
fn shown(word: &str) -> Result<RangeInclusive<Stance>, Problem> {
    if word == "off" {
        return Ok(Stance::Stranded..=Stance::Exposed);
    }
    let word: StrDeserializer<serde::de::value::Error> = word.into_deserializer();
    let stance = Stance::deserialize(word).map_err(|e| Problem::bad_request(format!("show: {e}")))?;
    Ok(stance..=stance)
}

//! Where incidents come from: the daemon, or what it left on the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::standby::{Held, Tally, carriers, span};
use crate::api::IncidentsBody;
use crate::cli::client::{Client, ClientError};
use crate::cli::find::Way;
use crate::cli::recorded;
use crate::config;
use crate::engine::clock_of;
use crate::incident::{Incident, Incidents};
use crate::model::Config;
use crate::recording::{Moment, Note, Recording, RecordingError};
use crate::state::{MAX_ENTRIES, MAX_QUERY, Store, StoreError};
use crate::time::{HostTime, Offset, Time, by_host};

/// How much of the list is asked for at a time.
const PAGE: usize = 50;

/// One of the two.
pub(super) struct Source {
    from: From,
    /// Where the recording is, if it is on this host.
    state_dir: Option<PathBuf>,
    /// By the host's clock, as are the times of incidents.
    now: HostTime,
}

enum From {
    Daemon(Box<Client>),
    Disk(Box<Incidents>, Offset),
}

impl Source {
    /// `state` where it is given, else the daemon, else the configuration's `state_dir`.
    pub async fn find(state: Option<&Path>, way: &Way<'_>) -> anyhow::Result<Result<Source, ClientError>> {
        let now = recorded::moment("0s")?;
        if let Some(dir) = state {
            return Ok(Ok(Source { from: on_disk(dir)?, state_dir: Some(dir.to_owned()), now }));
        }
        // A configuration that is being mended says no state_dir; the daemon can be asked all the same.
        let state_dir = config::load(way.config).ok().map(|loaded| loaded.config.server.state_dir.clone());
        let client = Client::new(way.find()?)?;
        match client.get(&["v1", "incidents"], &[("limit", "1")]).await {
            Ok(_) => Ok(Ok(Source { from: From::Daemon(Box::new(client)), state_dir, now })),
            Err(error) if error.is_unreachable() && way.control.is_none() => {
                let Some(dir) = state_dir.filter(|dir| dir.join(crate::state::FILE).exists()) else {
                    return Ok(Err(error));
                };
                eprintln!("no daemon answers; this is what it left in {}", dir.display());
                Ok(Ok(Source { from: on_disk(&dir)?, state_dir: Some(dir), now }))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    pub fn now(&self) -> Time {
        self.now.to_own(Offset::default())
    }

    /// The newest first, at most `limit`.
    pub async fn incidents(&self, limit: usize) -> anyhow::Result<Vec<Incident>> {
        match &self.from {
            From::Disk(incidents, offset) => {
                let newest = incidents.newest(self.now.to_own(*offset)).take(limit);
                let newest = newest.map(|incident| recorded::by_the_hosts_clock(*offset, &incident));
                Ok(newest.collect::<Result<_, _>>()?)
            }
            From::Daemon(client) => {
                let limit = limit.min(PAGE).to_string();
                let answer = client.get(&["v1", "incidents"], &[("limit", &limit)]).await?;
                Ok(client.decode::<IncidentsBody>(&answer)?.incidents)
            }
        }
    }

    /// The one with this id.
    pub async fn incident(&self, id: u64) -> anyhow::Result<Option<Incident>> {
        match &self.from {
            From::Disk(incidents, offset) => {
                let found = incidents.find(id, self.now.to_own(*offset));
                let found = found.map(|incident| recorded::by_the_hosts_clock(*offset, &incident));
                Ok(found.transpose()?)
            }
            From::Daemon(client) => match client.get(&["v1", "incidents", &id.to_string()], &[]).await {
                Ok(answer) => Ok(Some(client.decode(&answer)?)),
                Err(ClientError::Refused(problem)) if problem.status == 404 => Ok(None),
                Err(other) => Err(other.into()),
            },
        }
    }

    /// How those held that answers moved to, by the recording; or why that is not known.
    pub fn held(&self, incident: &Incident) -> Result<Vec<Held>, String> {
        let mut carriers = carriers(incident, self.now());
        if carriers.is_empty() {
            return Ok(Vec::new());
        }
        let recording = self.recording()?;
        let offset = recording.offset();
        for carrier in &mut carriers {
            carrier.by_own_clock(offset);
        }
        let Some((from, to)) = span(&carriers) else { return Ok(Vec::new()) };
        let recording = recording.since(from).until(to);
        let mut tally = Tally::default();
        let played = recording.play::<RecordingError>(|moment| {
            if let Moment::Input(_, note) = &moment
                && let Note::Sample(sample) = &**note
            {
                tally.count(&carriers, sample);
            }
            Ok(())
        });
        played.map_err(|error| error.to_string())?;
        Ok(tally.finish())
    }

    /// The configuration last recorded.
    pub fn config(&self) -> Option<Arc<Config>> {
        let mut last = None;
        let noted = self.recording().ok()?.newest().play::<RecordingError>(|moment| {
            match moment {
                Moment::Begin(head) => last = head.load.or(last.take()),
                Moment::Input(_, note) => {
                    if let Note::Load(load) = *note {
                        last = Some(load);
                    }
                }
            }
            Ok(())
        });
        noted.ok()?;
        let load = last?;
        config::recall(&load.path, &load.text).ok().map(Arc::new)
    }

    fn recording(&self) -> Result<Recording, String> {
        let dir = self.state_dir.as_deref().ok_or("the recording is not on this host")?;
        Recording::open(dir).map_err(|error| error.to_string())
    }
}

/// What the history in a state directory tells.
fn on_disk(dir: &Path) -> Result<From, StoreError> {
    let store = Store::look(dir)?;
    let offset = clock_of(&store.saved()?).unwrap_or_default();
    // There are times in texts.
    let incidents = by_host(offset, || read(&store))?;
    Ok(From::Disk(Box::new(incidents), offset))
}

fn read(store: &Store) -> Result<Incidents, StoreError> {
    let mut incidents = Incidents::default();
    for _ in 0..MAX_ENTRIES {
        match store.entries_from(incidents.next(), MAX_QUERY) {
            Ok((_, entries)) if entries.is_empty() => break,
            Ok((_, entries)) => entries.iter().for_each(|entry| incidents.take(entry)),
            // One of another version, say: those after it tell something all the same.
            Err(StoreError::Entry { seq, .. }) => incidents.skip(seq),
            Err(other) => return Err(other),
        }
    }
    Ok(incidents)
}

//! Where incidents come from: the daemon, or what it left on the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::standby::{Held, Tally, carriers, span};
use crate::cli::client::{Client, ClientError};
use crate::cli::find::Way;
use crate::cli::recorded;
use crate::config::{self, Config};
use crate::control::IncidentsBody;
use crate::history::recording::{Moment, Note, Recording, RecordingError};
use crate::history::{MAX_ENTRIES, MAX_QUERY, Store, StoreError};
use crate::study::incident::{Incident, Incidents};
use crate::time::Time;

/// How much of the list is asked for at a time.
const PAGE: usize = 50;

/// One of the two.
pub(super) struct Source {
    from: From,
    /// Where the recording is, if it is on this host.
    state_dir: Option<PathBuf>,
    now: Time,
}

enum From {
    Daemon(Box<Client>),
    Disk(Box<Incidents>),
}

impl Source {
    /// `state` where it is given, else the daemon, else the configuration's `state_dir`.
    pub async fn find(state: Option<&Path>, way: &Way<'_>) -> anyhow::Result<Result<Source, ClientError>> {
        let now = recorded::moment("0s")?;
        if let Some(dir) = state {
            return Ok(Ok(Source {
                from: From::Disk(Box::new(on_disk(dir)?)),
                state_dir: Some(dir.to_owned()),
                now,
            }));
        }
        // A configuration that is being mended says no state_dir; the daemon can be asked all the same.
        let state_dir = config::load(way.config).ok().map(|loaded| loaded.config.server.state_dir.clone());
        let client = Client::new(way.find()?)?;
        match client.get(&["v1", "incidents"], &[("limit", "1")]).await {
            Ok(_) => Ok(Ok(Source { from: From::Daemon(Box::new(client)), state_dir, now })),
            Err(error @ ClientError::Unreachable { .. }) if way.control.is_none() => {
                let Some(dir) = state_dir.filter(|dir| dir.join(crate::history::FILE).exists()) else {
                    return Ok(Err(error));
                };
                eprintln!("no daemon answers; this is what it left in {}", dir.display());
                Ok(Ok(Source { from: From::Disk(Box::new(on_disk(&dir)?)), state_dir: Some(dir), now }))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    pub fn now(&self) -> Time {
        self.now
    }

    /// The newest first, at most `limit`.
    pub async fn incidents(&self, limit: usize) -> anyhow::Result<Vec<Incident>> {
        match &self.from {
            From::Disk(incidents) => Ok(incidents.newest(self.now).take(limit).collect()),
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
            From::Disk(incidents) => Ok(incidents.find(id, self.now)),
            From::Daemon(client) => match client.get(&["v1", "incidents", &id.to_string()], &[]).await {
                Ok(answer) => Ok(Some(client.decode(&answer)?)),
                Err(ClientError::Refused(problem)) if problem.status == 404 => Ok(None),
                Err(other) => Err(other.into()),
            },
        }
    }

    /// How those held that answers moved to, by the recording; or why that is not known.
    pub fn held(&self, incident: &Incident) -> Result<Vec<Held>, String> {
        let carriers = carriers(incident, self.now);
        let Some((from, to)) = span(&carriers) else { return Ok(Vec::new()) };
        let recording = self.recording()?.since(from).until(to);
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
fn on_disk(dir: &Path) -> Result<Incidents, StoreError> {
    let store = Store::look(dir)?;
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

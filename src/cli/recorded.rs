//! The way to a recording: the state directory that is named, or the configuration's; and moments in time as
//! people write them.

use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

use crate::config;
use crate::engine::Load;
use crate::model::parse_duration;
use crate::recording::Recording;
use crate::simulate::scenario::Maps;
use crate::sys::clock::wall;
use crate::time::{HostTime, Offset, by_host};

/// The recording below `state_dir`, or below that of the configuration.
pub(super) fn open(state_dir: Option<&Path>, config: &Path) -> anyhow::Result<Recording> {
    let state_dir: PathBuf = match state_dir {
        Some(dir) => dir.to_owned(),
        None => load(config)?.config.server.state_dir.clone(),
    };
    Ok(Recording::open(&state_dir)?)
}

/// What a configuration file comes to.
pub(super) fn load(path: &Path) -> anyhow::Result<Load> {
    Ok(load_with_maps(path)?.0)
}

/// The same, and what sorts its clients.
pub(super) fn load_with_maps(path: &Path) -> anyhow::Result<(Load, Maps)> {
    let loaded = config::load(path).map_err(|report| anyhow!("{report}"))?;
    let clients = crate::geo::clients(&loaded.config, &loaded.databases)?;
    let load = Load::of(std::sync::Arc::new(loaded.config), &loaded.zones, clients.regions);
    Ok((load, clients.maps))
}

/// A value as the daemon would show it where the host's clock is so far ahead: its times are the host's from then on.
pub(super) fn by_the_hosts_clock<T: Serialize + DeserializeOwned>(
    offset: Offset,
    value: &T,
) -> serde_json::Result<T> {
    serde_json::from_value(by_host(offset, || serde_json::to_value(value))?)
}

/// A moment on the command line, as it was written: one that cannot be read is wrong usage.
pub(super) fn time_argument(text: &str) -> Result<String, String> {
    moment(text).map(|_| text.to_owned()).map_err(|why| why.to_string())
}

/// `2026-11-21T03:00:00Z`, with or without parts of a second and an offset; or `10m`, so long ago.
pub(super) fn moment(text: &str) -> anyhow::Result<HostTime> {
    if let Ok(ago) = parse_duration(text) {
        return Ok(wall() - ago);
    }
    let at: jiff::Timestamp = text.parse().with_context(|| {
        format!("\"{text}\" is no time: write 2026-11-21T03:00:00Z, or 10m for so long ago")
    })?;
    match u64::try_from(at.as_millisecond()) {
        Ok(ms) => Ok(HostTime(ms)),
        Err(_) => bail!("\"{text}\" lies before 1970"),
    }
}

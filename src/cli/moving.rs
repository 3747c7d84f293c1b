//! What `detour status` says of moves that wait, standbys that could not take over, and capacity.

use std::fmt::Write;

use super::show::{Table, bare};
use crate::engine::Status;

/// A line for each thing that people should know before it is too late; empty where all is well.
pub(super) fn notes(engine: &Status) -> String {
    let mut out = String::new();
    for proposal in &engine.proposals {
        let _ = writeln!(out, "{proposal}");
    }
    for service in &engine.services {
        let Some(standby) = &service.standby else { continue };
        if let Some(why) = &standby.unready {
            let (name, site) = (bare(&service.name), &standby.site);
            let _ = writeln!(out, "warning: standby {site} of {name} could not take over now: {why}");
        }
    }
    out
}

/// Load against capacity, of the sites that declare one.
pub(super) fn loads(engine: &Status) -> Table {
    let mut table = Table::new(["SITE", "LOAD", "CAPACITY", "USED"]);
    for site in &engine.sites {
        let Some(capacity) = site.capacity else { continue };
        // Configured to be more than zero.
        let percent = site.load * 100 / u64::from(capacity.max(1));
        let over = if site.load > u64::from(capacity) { ", OVER" } else { "" };
        table.row([
            site.id.to_string(),
            site.load.to_string(),
            capacity.to_string(),
            format!("{percent} %{over}"),
        ]);
    }
    table
}

//! What `detour status` says of moves that were rejected, and of capacity.

use std::fmt::Write;

use super::show::Table;
use crate::engine::Status;
use crate::policy::ProposalState;

/// A line for each move that was rejected; what waits is a condition.
pub(super) fn notes(engine: &Status) -> String {
    let mut out = String::new();
    for proposal in engine.proposals.iter().filter(|held| held.state != ProposalState::Pending) {
        let _ = writeln!(out, "{proposal}");
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

//! What the state file has, and how it is called in there.

use redb::TableDefinition;

/// `format`, `version`, `last`, the latest time recorded in milliseconds, and `logged`.
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// The last value under each key, as JSON.
pub(super) const SAVED: TableDefinition<&str, &[u8]> = TableDefinition::new("saved");
/// The sum of each value of [`SAVED`], by which it can be told from a damaged one; an earlier version has none.
pub(super) const SUMS: TableDefinition<&str, u64> = TableDefinition::new("sums");
/// The history by `seq`, samples aside, as JSON.
pub(super) const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
/// The samples by `seq`, as JSON.
pub(super) const SAMPLES: TableDefinition<u64, &[u8]> = TableDefinition::new("samples");
/// The steps of each zone's journal, by its name and their order.
pub(super) const JOURNAL: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("journal");
/// Where [`META`] keeps the latest time recorded.
pub(super) const LAST: &str = "last";
/// Where [`META`] keeps the number of the last frame of the log that the database has all up to.
pub(super) const LOGGED: &str = "logged";
/// Whose file it is.
pub(super) const FORMAT: &str = "detour state";

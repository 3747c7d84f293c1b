//! Reads `[alerts.NAME]`.

mod read;
mod template;

pub(super) use read::{DraftReceiver, check_services, parse_url, read};

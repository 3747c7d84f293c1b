//! Who is answered however often: what a configuration says, as the answers' rate limit looks it up.

use crate::answer::{Networks, Prefix};
use crate::model::{Config, RateLimit};

/// The networks without a limit by a configuration. Whether there is one at all was settled at the start.
pub fn of(config: &Config) -> Networks {
    let default = RateLimit::default();
    let limit = config.server.rate_limit.as_ref().unwrap_or(&default);
    let prefixes = limit.exempt(&config.zones).into_iter().map(|(address, bits)| Prefix { address, bits });
    Networks::of(&prefixes.collect::<Vec<_>>())
}

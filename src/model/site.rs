//! Sites.

use std::sync::Arc;

/// A site's key in the configuration: `fra`.
pub type SiteId = Arc<str>;

/// `[sites.KEY]`
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The key.
    pub id: SiteId,
    /// What people call it; the key when left out.
    pub name: String,
    /// Latitude and longitude in degrees.
    pub location: Option<[f64; 2]>,
    /// The load it can carry; services say what they add to it.
    pub capacity: Option<u32>,
}

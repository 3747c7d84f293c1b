//! `[sites]`: the sites, by their keys.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::error::{ConfigError, Known, short};
use super::moving::MAX_LOAD;
use super::report::Findings;
use super::section::{Item, Reported, Section, entries, or};
use super::values;
use crate::model::{Site, SiteId};

/// The most sites.
const MAX_SITES: usize = 1_000;
/// The longest site name, in bytes.
const MAX_SITE_NAME: usize = 128;

/// The sites that are right, and the keys of all.
#[derive(Default)]
pub(super) struct Sites {
    pub read: Vec<Site>,
    /// Each with where it stands.
    ids: BTreeMap<SiteId, Range<usize>>,
}

impl Sites {
    /// Every key, and where it stands.
    pub fn places(&self) -> impl Iterator<Item = (&SiteId, &Range<usize>)> {
        self.ids.iter()
    }

    /// The site an item names.
    pub fn find(&self, item: Item, findings: &mut Findings) -> Result<SiteId, Reported> {
        let key = item.text("a site's key", findings)?;
        self.ids.get_key_value(key).map(|(id, _)| id.clone()).ok_or_else(|| {
            findings.push_with(&item.at(), || {
                ConfigError::UnknownSite(short(key), Known::new(key, self.ids.keys().map(|id| &**id)))
            });
            Reported
        })
    }
}

/// Reads every site.
pub(super) fn read(item: Item, findings: &mut Findings) -> Result<Sites, Reported> {
    let mut sites = Sites::default();
    for (key, item) in entries(item, "sites", MAX_SITES, findings)? {
        sites.ids.insert((*key.get_ref()).into(), key.span());
        let Ok(id) = values::id(&key, findings) else { continue };
        if let Ok(site) = read_site(id, item, findings) {
            sites.read.push(site);
        }
    }
    Ok(sites)
}

fn read_site(id: SiteId, item: Item, findings: &mut Findings) -> Result<Site, Reported> {
    let mut section = Section::of(format!("[sites.{id}]"), item, findings)?;
    let name = section.read("name", findings, values::line(MAX_SITE_NAME));
    let location = section.read("location", findings, location);
    let capacity = section.read("capacity", findings, values::count(MAX_LOAD));
    section.finish(findings);
    Ok(Site {
        name: or(name, id.to_string())?,
        location: location?.map(Spanned::into_inner),
        capacity: capacity?.map(Spanned::into_inner),
        id,
    })
}

/// Latitude and longitude.
fn location(item: Item, findings: &mut Findings) -> Result<[f64; 2], Reported> {
    let mut axis = [90.0, 180.0].into_iter();
    let degrees = item.list("numbers in a location", 2, findings, |item, findings| {
        values::number(axis.next().unwrap_or_default())(item, findings)
    })?;
    match degrees.as_slice() {
        [latitude, longitude] => Ok([*latitude.get_ref(), *longitude.get_ref()]),
        _ => Err(item.wrong_type("a latitude and a longitude", findings)),
    }
}

//! `[[zone]]`: the zones, their files and who may do what with them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::access;
use super::error::{ConfigError, Known};
use super::files::MAX_FILE_NAME;
use super::keys::DraftKeys;
use super::primaries;
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::update;
use super::values;
use crate::dns::{MAX_RRSET_BYTES, Name, SerialStyle};
use crate::model::{Access, Primary, Told, UpdateRule, ZoneSource};

/// The most zones.
const MAX_ZONES: usize = 100_000;
/// The least `max_rrset_bytes`: what an answer without EDNS has room for.
const MIN_RRSET_BYTES: usize = 512;
/// What the edits of a zone may take of memory, unless it says otherwise; and the bounds of what it may say.
const DEFAULT_MAX_EDITS: u64 = 64 << 20;
const MIN_EDITS: u64 = 1 << 16;
const MAX_EDITS: u64 = 1 << 30;
/// What a zone needs.
const ZONE_FILE: &str = "file = \"example.com.zone\", or primary = [\"192.0.2.53\"]";

/// The zones that are right, and the names of all.
#[derive(Default)]
pub(super) struct Zones {
    pub read: Vec<DraftZone>,
    /// Each with the line it stands on.
    pub apexes: BTreeMap<Name, usize>,
    /// The catalog, in which nothing else lies.
    pub catalog: Option<Name>,
    /// Whether a zone's name is wrong, so that it cannot be told what lies outside every zone.
    pub nameless: bool,
}

/// A zone, and where its file is named.
pub(super) struct DraftZone {
    pub source: ZoneSource,
    /// The file as the document names it; of a transferred zone the primaries stand there.
    pub file: String,
    pub file_at: Range<usize>,
}

impl Zones {
    /// The apex of the deepest zone around a name.
    pub fn around(&self, name: &Spanned<Name>, findings: &mut Findings) -> Result<Name, Reported> {
        let mut at_and_above = std::iter::successors(Some(name.get_ref().clone()), Name::parent);
        let closest = at_and_above
            .find(|above| self.apexes.contains_key(above) || self.catalog.as_ref() == Some(above));
        closest.filter(|above| self.apexes.contains_key(above)).ok_or_else(|| {
            if !self.nameless {
                findings.push_with(&name.span(), || {
                    let apexes: Vec<String> = self.apexes.keys().map(ToString::to_string).collect();
                    let known = Known::new("", apexes.iter().map(String::as_str));
                    ConfigError::OutsideZones(name.get_ref().clone(), known)
                });
            }
            Reported
        })
    }
}

/// Reads every zone; relative paths are below `base`.
pub(super) fn read(
    item: Item,
    base: &Path,
    state_dir: &Path,
    keys: &DraftKeys,
    findings: &mut Findings,
) -> Result<Zones, Reported> {
    let mut zones = Zones::default();
    for item in item.elements("zones", MAX_ZONES, findings)? {
        let Ok(section) = Section::of("[[zone]]".to_owned(), item, findings) else { continue };
        let (name, said) = ZoneKeys::read(section, keys, findings);
        let Ok(name) = name else {
            zones.nameless = true;
            continue;
        };
        let line = findings.line(&name.span());
        if let Some(first) = zones.apexes.get(name.get_ref()) {
            findings.push(&name.span(), ConfigError::ZoneTwice(name.into_inner(), *first));
            continue;
        }
        zones.apexes.insert(name.get_ref().clone(), line);
        let Ok(said) = said else { continue };
        // What is wrong with it is reported.
        if let Ok(Some(zone)) = said.zone(name.into_inner(), base, state_dir, findings) {
            zones.read.push(zone);
        }
    }
    Ok(zones)
}

/// What a [[zone]] says, its name aside.
struct ZoneKeys {
    file: Option<Spanned<String>>,
    primary: Option<Spanned<Vec<Primary>>>,
    update: Vec<UpdateRule>,
    forward: Option<Spanned<Access>>,
    transfer: Access,
    notify: Told,
    serial: SerialStyle,
    max_rrset_bytes: usize,
    max_edits: usize,
}

impl ZoneKeys {
    /// The name, and what is said beside it.
    fn read(
        mut section: Section<'_>,
        keys: &DraftKeys,
        findings: &mut Findings,
    ) -> (Result<Spanned<Name>, Reported>, Result<ZoneKeys, Reported>) {
        let name = section.need("name", "name = \"example.com\"", findings, values::name);
        let primary =
            section.read("primary", findings, |item, findings| primaries::read(item, keys, findings));
        let file = match &primary {
            Ok(None) => section.need("file", ZONE_FILE, findings, values::line(MAX_FILE_NAME)).map(Some),
            _ => section.read("file", findings, values::line(MAX_FILE_NAME)),
        };
        let update = match (section.item("update"), &name) {
            (Some(item), Ok(name)) => update::read(item, name.get_ref(), keys, findings),
            _ => Ok(Vec::new()),
        };
        let transfer = section.read("transfer", findings, |item, f| access::access(item, keys, f));
        let notify = section.read("notify", findings, |item, f| access::told(item, keys, f));
        let serial = section.read("serial", findings, serial_style);
        let max_rrset = values::integer(MIN_RRSET_BYTES as u32, MAX_RRSET_BYTES as u32);
        let max_rrset = section.read("max_rrset_bytes", findings, max_rrset);
        let max_edits = section.read("max_edits", findings, values::size(MIN_EDITS..=MAX_EDITS));
        let forward = section.read("forward_updates", findings, |item, f| access::access(item, keys, f));
        section.finish(findings);
        let said = || {
            Ok(ZoneKeys {
                file: file?,
                primary: primary?,
                update: update?,
                forward: forward?,
                transfer: or(transfer, Access::default())?,
                notify: or(notify, Told::default())?,
                serial: or(serial, SerialStyle::default())?,
                max_rrset_bytes: or(max_rrset, MAX_RRSET_BYTES as u32)? as usize,
                max_edits: or(max_edits, DEFAULT_MAX_EDITS)? as usize,
            })
        };
        (name, said())
    }

    /// The zone of this name; `None` where a key is missing, which is reported as that.
    fn zone(
        self,
        name: Name,
        base: &Path,
        state_dir: &Path,
        findings: &mut Findings,
    ) -> Result<Option<DraftZone>, Reported> {
        let ZoneKeys { file, primary, update, forward, transfer, notify, serial, max_rrset_bytes, max_edits } =
            self;
        if let Some(forward) = &forward {
            let wrong = match (&primary, update.is_empty()) {
                (None, _) => Some(ConfigError::ForwardWhere),
                (Some(_), false) => Some(ConfigError::Beside("update", "forward_updates")),
                (Some(_), true) => None,
            };
            if let Some(wrong) = wrong {
                findings.push(&forward.span(), wrong);
                return Err(Reported);
            }
        }
        let (path, shown, file_at, primaries) = match (file, primary) {
            (Some(file), None) => {
                (base.join(file.get_ref()), file.get_ref().clone(), file.span(), Vec::new())
            }
            (None, Some(primary)) => {
                let path = primaries::kept_in(state_dir, &name);
                (path.clone(), path.display().to_string(), primary.span(), primary.into_inner())
            }
            (Some(file), Some(_)) => {
                findings.push(&file.span(), ConfigError::Beside("file", "primary"));
                return Err(Reported);
            }
            (None, None) => return Ok(None),
        };
        let forward_updates = forward.map(Spanned::into_inner).unwrap_or_default();
        let source = ZoneSource {
            name,
            file: path,
            primaries,
            update,
            forward_updates,
            transfer,
            notify,
            serial,
            max_rrset_bytes,
            max_edits,
        };
        Ok(Some(DraftZone { source, file_at, file: shown }))
    }
}

fn serial_style(item: Item, findings: &mut Findings) -> Result<SerialStyle, Reported> {
    Ok(match values::word(item, &["increment", "date", "unix"], findings)? {
        "date" => SerialStyle::Date,
        "unix" => SerialStyle::Unix,
        _ => SerialStyle::Increment,
    })
}

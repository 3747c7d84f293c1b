//! `[catalog]`: the zone that tells secondaries which zones there are (RFC 9432), made from the configuration.

use std::fmt::Write as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::access::{self, Access, Told};
use super::error::{ConfigError, short};
use super::keys::DraftKeys;
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::{Config, ZoneSource, values};
use crate::dns::{MAX_NAME_LEN, MAX_RRSET_BYTES, Name, Serial, SerialStyle};
use crate::zone::{self, Zone};

/// The bytes of a member's id: of so many, no two names have the same by chance.
const ID: usize = 16;
/// What stands before the catalog's name at a member: a label of the id in hexadecimal, and `zones`.
const MEMBER_LEN: usize = 1 + 2 * ID + 1 + "zones".len();

/// Reads the section.
pub(super) fn read(item: Item, keys: &DraftKeys, findings: &mut Findings) -> Result<ZoneSource, Reported> {
    let mut section = Section::of("[catalog]".to_owned(), item, findings)?;
    let name = section.need("name", "name = \"catalog.example\"", findings, |item, findings| {
        let name = values::name(item, findings)?;
        if MEMBER_LEN + name.as_wire().len() <= MAX_NAME_LEN {
            return Ok(name);
        }
        let wanted = "the name of a catalog, which leaves room for 39 bytes";
        let text = short(&name.to_string());
        Err(item.wrong(ConfigError::Malformed { text, wanted, example: "\"catalog.example\"" }, findings))
    });
    let transfer = section.need("transfer", "transfer = [\"192.0.2.0/24\"]", findings, |item, findings| {
        access::access(item, keys, findings)
    });
    let notify = section.read("notify", findings, |item, findings| access::told(item, keys, findings));
    section.finish(findings);
    let transfer: Access = transfer?.into_inner();
    let notify = or(notify, Told::default())?;
    let (primaries, update) = (Vec::new(), Vec::new());
    let (name, file, serial) = (name?.into_inner(), PathBuf::new(), SerialStyle::default());
    Ok(ZoneSource {
        name,
        file,
        transfer,
        notify,
        primaries,
        update,
        forward_updates: Access::default(),
        serial,
        max_rrset_bytes: MAX_RRSET_BYTES,
    })
}

/// The catalog zone of a configuration that has one: its members are the zones that somebody may have.
pub fn catalog(config: &Config, serial: Serial) -> Option<Zone> {
    let apex = config.catalog.as_ref()?;
    // RFC 9432 section 4: nobody resolves what is here, so the names are none, and so is every TTL.
    let mut text = format!(
        "$TTL 0\n@ SOA invalid. invalid. {serial} 3600 600 2147483646 0\n@ NS invalid.\nversion TXT \"2\"\n"
    );
    let members = config.zones.iter().filter(|zone| zone.name != *apex && !zone.transfer.0.is_empty());
    for ZoneSource { name, .. } in members {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}.zones PTR {name}", id(name));
    }
    let mut no_includes = |_: &str| Err("it includes another file".to_owned());
    let parsed = zone::parse(apex, "[catalog]", text.as_bytes(), &mut no_includes);
    // There is nothing in it that could be wrong: names are checked, and each member has another id.
    parsed.ok().map(|(zone, _)| zone.into_private())
}

/// A member's id: the same for the same name, for ever and everywhere (RFC 9432 section 4.1).
fn id(member: &Name) -> String {
    let digest = Sha256::digest(member.as_wire());
    digest[..ID].iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

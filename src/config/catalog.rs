//! `[catalog]`: the zone that tells secondaries which zones there are (RFC 9432), made from the configuration.

use std::path::PathBuf;

use super::access;
use super::error::{ConfigError, short};
use super::keys::DraftKeys;
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::values;
use crate::dns::{MAX_NAME_LEN, MAX_RRSET_BYTES, SerialStyle};
use crate::model::{Access, CATALOG_MEMBER_LEN, Told, ZoneSource};

/// Reads the section.
pub(super) fn read(item: Item, keys: &DraftKeys, findings: &mut Findings) -> Result<ZoneSource, Reported> {
    let mut section = Section::of("[catalog]".to_owned(), item, findings)?;
    let name = section.need("name", "name = \"catalog.example\"", findings, |item, findings| {
        let name = values::name(item, findings)?;
        if CATALOG_MEMBER_LEN + name.as_wire().len() <= MAX_NAME_LEN {
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
        max_edits: 0,
    })
}

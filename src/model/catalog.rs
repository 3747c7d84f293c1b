//! The catalog zone: it tells secondaries which zones there are (RFC 9432), and is made from the configuration.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{Config, ZoneSource};
use crate::dns::{Name, Serial};
use crate::zone::{self, Zone};

/// The bytes of a member's id: of so many, no two names have the same by chance.
const ID: usize = 16;
/// What stands before the catalog's name at a member: a label of the id in hexadecimal, and `zones`.
pub const CATALOG_MEMBER_LEN: usize = 1 + 2 * ID + 1 + "zones".len();

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

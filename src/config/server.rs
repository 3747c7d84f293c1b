//! `[server]`: where is listened, and what of this host is used.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use toml::Spanned;
use toml::de::DeTable;

use super::cookie_secrets;
use super::error::ConfigError;
use super::files::MAX_FILE_NAME;
use super::loading;
use super::rate_limit;
use super::report::Findings;
use super::secrets;
use super::section::{Item, Reported, or, section_or};
use super::values;
use crate::model::{RrsetOrder, Server};

/// Changes kept of each zone: the most, and unless the document says otherwise.
const MAX_JOURNAL: u32 = 100_000;
const DEFAULT_JOURNAL: u32 = 1_000;
/// The most folders that zone files may include files from.
const MAX_INCLUDE_FOLDERS: usize = 64;
/// The most addresses listened on.
const MAX_LISTEN: usize = 64;
/// The most UDP workers.
const MAX_THREADS: u32 = 256;
/// Commands of `exec` probes that run at once: the most, and unless the document says otherwise.
const MAX_EXEC: u32 = 4_096;
const DEFAULT_EXEC: u32 = 64;
/// The longest name server identifier, in bytes: it goes into every answer that asks for it.
const MAX_NSID: usize = 128;

/// Reads it; relative paths are below `base`. Files that are read here are added to `files`.
pub(super) fn read(
    item: Option<Item>,
    base: &Path,
    findings: &mut Findings,
    files: &mut BTreeSet<PathBuf>,
) -> Result<Server, Reported> {
    let empty = DeTable::new();
    let mut section = section_or(item, "[server]", &empty, findings)?;
    let listen = section.read("listen", findings, listen);
    let state_dir = section.read("state_dir", findings, values::line(MAX_FILE_NAME));
    let threads = section.read("threads", findings, values::integer(0, MAX_THREADS));
    let nsid = section.read("nsid", findings, values::line(MAX_NSID));
    let chaos = section.read("chaos", findings, values::boolean);
    let cookie_secrets = section.read("cookie_secrets", findings, |item, findings| {
        let name = values::line(MAX_FILE_NAME)(item, findings)?;
        let path = base.join(&name);
        files.insert(path.clone());
        cookie_secrets::read(&path).map_err(|why| {
            let what = format!("cookie secrets {:?}", secrets::file_name(&name, &path));
            item.wrong(ConfigError::Unreadable { what, why }, findings)
        })
    });
    let rrset_order = section.read("rrset_order", findings, |item, findings| {
        Ok(match values::word(item, &["fixed", "rotate"], findings)? {
            "rotate" => RrsetOrder::Rotate,
            _ => RrsetOrder::Fixed,
        })
    });
    let listen = or(listen, vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5353))]);
    let listened = listen.as_ref().map_or(&[][..], |listen| listen);
    let rate_limit = rate_limit::read(section.item("rate_limit"), listened, findings);
    let journal = section.read("journal", findings, values::integer(0, MAX_JOURNAL));
    let max_exec = section.read("max_exec", findings, values::count(MAX_EXEC));
    let include_folders = section.read("include_folders", findings, |item, findings| {
        item.list("folders", MAX_INCLUDE_FOLDERS, findings, values::line(MAX_FILE_NAME))
    });
    let loading = loading::read(&mut section, findings);
    section.finish(findings);
    let threads = match or(threads, 0)? {
        // Where the number of cores cannot be known, one worker is still right.
        0 => available_parallelism().map_or(1, usize::from),
        threads => threads as usize,
    };
    Ok(Server {
        listen: listen?,
        state_dir: base.join(or(state_dir, "state".to_owned())?),
        threads,
        nsid: nsid?.map(Spanned::into_inner),
        chaos: or(chaos, true)?,
        cookie_secrets: cookie_secrets?.map(Spanned::into_inner),
        rrset_order: or(rrset_order, RrsetOrder::Fixed)?,
        rate_limit: rate_limit?,
        journal: or(journal, DEFAULT_JOURNAL)? as usize,
        max_exec: or(max_exec, DEFAULT_EXEC)? as usize,
        include_folders: or(include_folders, Vec::new())?
            .iter()
            .map(|name| base.join(name.get_ref()))
            .collect(),
        loading: loading?,
    })
}

fn listen(item: Item, findings: &mut Findings) -> Result<Vec<SocketAddr>, Reported> {
    let listed = item.list("addresses to listen on", MAX_LISTEN, findings, values::socket)?;
    // Port 0 takes a free one each time, so the same address may ask for several.
    let fixed = listed.iter().filter(|addr| addr.get_ref().port() != 0);
    findings.each_once(fixed, |addr, first| ConfigError::ListenTwice(addr.to_string(), first));
    Ok(listed.into_iter().map(Spanned::into_inner).collect())
}

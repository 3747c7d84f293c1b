//! Freezing: a zone's edits on their way into its file.

use super::outcome::{Frozen, ZoneEdits};
use super::sources::Sources;
use crate::answer::Table;
use crate::config::ZoneText;
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial, soa_with_serial};
use crate::sys::files;
use crate::time::HostTime;
use crate::zone::{Edits, Zone, parse, write_edits};

/// How a zone differs from its file by edits; `None` where there is no such zone.
pub fn edits(sources: &Sources, apex: &Name) -> Option<ZoneEdits> {
    let (file, records) = (sources.file(apex)?.to_owned(), sources.edits(apex).len());
    let mut shown = ZoneEdits { zone: apex.clone(), file, records, removed: Vec::new(), added: Vec::new() };
    if let Some((file, contents)) = sources.source(apex).zip(sources.laid(apex)) {
        let lines = |set: Option<RrSet>| set.iter().flat_map(RrSet::to_lines).collect::<Vec<_>>();
        for (owner, rtype, _) in sources.edits(apex).iter() {
            let (before, after) = (lines(file.rrset(owner, rtype)), lines(contents.rrset(owner, rtype)));
            shown.removed.extend(before.iter().filter(|line| !after.contains(line)).cloned());
            shown.added.extend(after.into_iter().filter(|line| !before.contains(line)));
        }
    }
    Some(shown)
}

/// Writes a zone's edits into its file, whole or not at all, under the serial after the published one; the
/// next load then finds none. Blocking. Errors: why the file was left alone.
pub fn write(sources: &Sources, table: &Table, apex: &Name, now: HostTime) -> Result<Frozen, String> {
    let file = sources.file(apex).ok_or_else(|| format!("there is no zone {apex}"))?;
    if sources.is_transferred(apex) {
        return Err(format!("{apex} comes from its primary: what is to stay is to be changed there"));
    }
    let edits = sources.edits(apex);
    if edits.is_empty() {
        return Err(format!("{apex} has no edits: it is as its file says"));
    }
    let shown = file.display().to_string();
    let folders = sources.config().map_or(&[][..], |config| &config.server.include_folders);
    let read = || ZoneText::read(file, file, folders).map_err(|why| format!("cannot read {shown}: {why}"));
    let meaning = |text: &[u8]| -> Result<Zone, String> {
        let mut includes = read()?.includes;
        let parsed = parse(apex, &shown, text, &mut |name| includes.read(name));
        let told = |problems: Vec<crate::zone::Problem>| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        parsed.map(|(zone, _)| zone).map_err(told)
    };
    // The file as it is now: somebody may have changed it since it was loaded.
    let text = read()?.text;
    let source = meaning(&text)?;
    let mut left = edits.clone();
    left.settle(&source);
    let soa = left.lay(&source).soa();
    let published = table.soa(apex).map_or(Serial(0), |soa| soa_serial(&soa));
    let serial = sources.style(apex).successor(published, soa_serial(&soa), now);
    let written = write_edits(&text, &source, &left, serial).map_err(|why| format!("{shown}: {why}"))?;
    if meaning(&written).ok().map(|zone| zone.fingerprint()) != Some(wanted(&left, &source, &soa, serial)) {
        return Err(format!(
            "{shown} is left alone: edited records come from files it includes, or from $GENERATE; edit those by hand, as `detour zone diff {apex}` shows"
        ));
    }
    files::replace(file, &written).map_err(|why| format!("cannot write {shown}: {why}"))?;
    Ok(Frozen { zone: apex.clone(), file: file.to_owned(), records: edits.len(), serial })
}

/// What the file is to mean then.
fn wanted(edits: &Edits, source: &Zone, soa: &RrSet, serial: Serial) -> u64 {
    let soa = soa_with_serial(soa, serial);
    let mut edits = edits.clone();
    // More than are kept are no matter here: nobody keeps them.
    let _ = edits.change(source, [((soa.owner.clone(), RrType::SOA), Some(soa))], usize::MAX);
    edits.lay(source).fingerprint()
}

//! Reading the zone files, and holding services against what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::Draft;
use super::error::{ConfigError, short};
use super::files::{read_stamped, steps_file};
use super::known::{KnownZones, Looked, ReadZone, ZoneFiles};
use super::report::{Findings, Problem};
use super::services::DraftService;
use super::source::{Place, excerpt};
use super::stamp::{FileRead, Stamp, digest};
use super::zone_text::{FilesRead, MAX_ZONE_BYTES, ZoneText};
use super::zones::DraftZone;
use crate::dns::{Name, RrType, Serial};
use crate::model::{Service, Target, ZoneSource};
use crate::zone::{self, Severity, Zone};

/// The largest file of steps, in bytes: they are written into the zone's file once they take more than that.
const MAX_STEPS_BYTES: u64 = MAX_ZONE_BYTES + (64 << 20);

/// A zone whose file cannot be loaded, while all others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenZone {
    /// The zone.
    pub zone: Name,
    /// Every problem of its file, as `detour check` prints them.
    pub problems: String,
    /// The serial of what is served in its place: the copy of its file that was loaded last.
    pub copy: Option<Serial>,
}

/// What the zone files came to.
#[derive(Default)]
pub(super) struct ZonesRead {
    /// Those that are right; where broken ones are spared, hollow ones among them.
    pub zones: Vec<ReadZone>,
    /// For each of them what its files were, where that is of use.
    pub files: Vec<Option<ZoneFiles>>,
    /// How many zones have files that were read.
    pub read: usize,
    /// Those that were spared.
    pub broken: Vec<BrokenZone>,
}

/// What zone files are read with.
pub(super) struct Reading<'r> {
    /// The folder that they are relative to, as it is shown to people.
    pub shown: &'r Path,
    /// The configuration's text.
    pub text: &'r str,
    /// Whether what is wrong with a file is no finding.
    pub spares: bool,
    /// What the load before came to.
    pub known: Option<&'r KnownZones<'r>>,
    /// Seconds since 1970.
    pub now: u64,
}

/// Reads the file of each zone, unless it is what it was, and checks its services against it; each file looked at is
/// added to `files`.
pub(super) fn read(
    draft: &Draft,
    reading: &Reading,
    findings: &mut Findings,
    files: &mut BTreeSet<PathBuf>,
) -> ZonesRead {
    let services = by_zone(&draft.services, |draft| &draft.service.zone);
    let folders = draft.server.as_ref().map_or(&[][..], |server| &server.include_folders);
    let before = reading.known.map(Before::of);
    let mut read = ZonesRead::default();
    for draft in &draft.zones.read {
        let apex = &draft.source.name;
        let services = services.get(apex).map(Vec::as_slice).unwrap_or_default();
        if let Some((known, was_read)) = before.as_ref().and_then(|it| it.look(draft, services, reading)) {
            files.insert(draft.source.file.clone());
            files.extend(known.included().cloned());
            known.warnings().iter().cloned().for_each(|warning| findings.add(warning));
            read.read += usize::from(was_read);
            read.zones.push(ReadZone::Unchanged(apex.clone()));
            read.files.push(Some(known));
            continue;
        }
        read.read += 1;
        let mut found = findings.fresh();
        let (zone, known) = if draft.source.is_transferred() {
            let (zone, known) = read_transferred(draft, reading.now, findings);
            (Some(zone), known)
        } else {
            let read = read_zone(draft, &reading.shown.join(&draft.file), folders, &mut found, files);
            if let Some((zone, _)) = &read {
                check(zone, draft, services, &mut found);
            }
            match read {
                // What stands in the configuration file may stand elsewhere next time.
                Some((zone, read)) if found.are_elsewhere() => {
                    let known = ZoneFiles::new(read, found.as_warnings(), reading.now);
                    (Some(zone), Some(known))
                }
                read => (read.map(|(zone, _)| zone), None),
            }
        };
        if reading.spares && found.errors() > 0 {
            let problems = found.into_report(Vec::new()).to_string();
            read.broken.push(BrokenZone { zone: apex.clone(), problems, copy: None });
            read.zones.push(ReadZone::Read(Zone::hollow(apex.clone())));
            read.files.push(None);
            continue;
        }
        findings.append(found);
        read.zones.extend(zone.map(ReadZone::Read));
        read.files.push(known);
    }
    read
}

/// Checks what a zone holds.
fn check(zone: &Zone, draft: &DraftZone, services: &[&DraftService], found: &mut Findings) {
    let max = draft.source.max_rrset_bytes;
    if let Some((owner, rtype, size)) = zone.larger_rrset(max) {
        found.push(&draft.file_at, ConfigError::LargeRrset { owner, rtype, size, max });
    }
    let all: Vec<&Service> = services.iter().map(|draft| &*draft.service).collect();
    for (at, error) in misfits(zone, &all) {
        found.push(&services[at].name_at, error);
    }
}

fn by_zone<T>(services: &[T], zone: impl Fn(&T) -> &Name) -> BTreeMap<&Name, Vec<&T>> {
    let mut zones: BTreeMap<&Name, Vec<&T>> = BTreeMap::new();
    for service in services {
        zones.entry(zone(service)).or_default().push(service);
    }
    zones
}

/// The load before, by zone.
struct Before<'k> {
    known: &'k KnownZones<'k>,
    zones: BTreeMap<&'k Name, (&'k ZoneSource, &'k ZoneFiles)>,
    services: BTreeMap<&'k Name, Vec<&'k Arc<Service>>>,
}

impl<'k> Before<'k> {
    fn of(known: &'k KnownZones<'k>) -> Before<'k> {
        let zones = known.config.zones.iter().zip(known.files);
        let zones = zones.filter_map(|(source, files)| Some((&source.name, (source, files.as_ref()?))));
        Before {
            known,
            zones: zones.collect(),
            services: by_zone(&known.config.services, |service| &service.zone),
        }
    }

    /// What is known of a zone's files, where they are what they were and nothing new is to be said of them; and
    /// whether they were read for that.
    fn look(
        &self,
        draft: &DraftZone,
        services: &[&DraftService],
        reading: &Reading,
    ) -> Option<(ZoneFiles, bool)> {
        let (source, files) = self.zones.get(&draft.source.name)?;
        let (before, after) = (*source, &draft.source);
        // Includes depend on what else is configured, and warnings show how the file is named.
        let is_plain = files.warnings().is_empty() && files.included().next().is_none();
        if before.file != after.file
            || before.is_transferred() != after.is_transferred()
            || !is_plain && self.known.text != reading.text
        {
            return None;
        }
        let Looked::Same { files, read } = files.look(&after.file, after.is_transferred(), reading.now)
        else {
            return None;
        };
        let before_them = self.services.get(&after.name).map(Vec::as_slice).unwrap_or_default();
        let same = before.max_rrset_bytes == after.max_rrset_bytes
            && before_them.iter().map(|service| &***service).eq(services.iter().map(|draft| &*draft.service));
        if !same && !after.is_transferred() {
            let contents = (self.known.contents)(&after.name)?;
            let all: Vec<&Service> = services.iter().map(|draft| &*draft.service).collect();
            if contents.larger_rrset(after.max_rrset_bytes).is_some() || !fits(&contents, &all) {
                return None;
            }
        }
        Some((files, read))
    }
}

/// Whether the services of a zone can be laid over these contents of it.
pub fn fits(zone: &Zone, services: &[&Service]) -> bool {
    misfits(zone, services).is_empty()
}

/// What keeps services from being laid over a zone, each by its place in the list.
fn misfits(zone: &Zone, services: &[&Service]) -> Vec<(usize, ConfigError)> {
    let mut misfits = check_cuts(zone, services);
    misfits.extend(check_cnames(zone, services));
    misfits
}

/// What the primary sent last. Whatever is wrong with it is not for the operator of this server to mend, and
/// stands in no load's way: a zone that is not there, or not whole, is hollow until it is transferred. Nor
/// are services held against it, for it changes without anybody's looking.
fn read_transferred(draft: &DraftZone, now: u64, findings: &mut Findings) -> (Zone, Option<ZoneFiles>) {
    let ZoneSource { name, file, .. } = &draft.source;
    let read = transferred_until(name, file, None).unwrap_or_else(|why| {
        findings.push(
            &draft.file_at,
            ConfigError::BadTransferred { zone: name.clone(), file: short(&draft.file), why },
        );
        None
    });
    match read {
        Some((zone, main, steps)) => (zone, Some(ZoneFiles::of_transferred(main, steps, now))),
        None => (Zone::hollow(name.clone()), None),
    }
}

/// Reads a file that keeps what a primary sent, and the steps that came since; `None` where there is none. Errors: why
/// it is no use. Steps that cannot be read are passed over, and the primary is asked for them again.
pub fn transferred(apex: &Name, file: &Path) -> Result<Option<Zone>, String> {
    Ok(transferred_until(apex, file, None)?.map(|(zone, ..)| zone))
}

/// The same as it was with this serial; `None` where it cannot be known.
pub fn transferred_at(apex: &Name, file: &Path, serial: Serial) -> Option<Zone> {
    let (zone, ..) = transferred_until(apex, file, Some(serial)).ok().flatten()?;
    Some(zone).filter(|zone| zone.serial() == serial)
}

/// A file that keeps steps; empty where there is none.
pub fn read_steps(file: &Path) -> io::Result<Vec<u8>> {
    Ok(read_stamped_steps(file)?.map(|(steps, _)| steps).unwrap_or_default())
}

fn read_stamped_steps(file: &Path) -> io::Result<Option<(Vec<u8>, Stamp)>> {
    match read_stamped(&steps_file(file), MAX_STEPS_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// What a primary sent, and what the file and the one of its steps were.
type Transferred = (Zone, FileRead, Option<FileRead>);

fn transferred_until(apex: &Name, file: &Path, until: Option<Serial>) -> Result<Option<Transferred>, String> {
    let (text, stamp) = match read_stamped(file, MAX_ZONE_BYTES) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let main = (stamp, digest(&text));
    let mut no_includes = |_: &str| Err("it includes another file".to_owned());
    match zone::parse(apex, &file.display().to_string(), &text, &mut no_includes) {
        Ok((mut zone, _)) => {
            drop(text);
            let steps = read_stamped_steps(file).ok().flatten();
            let (steps, read) = steps.map_or((Vec::new(), None), |(steps, stamp)| {
                let read = (stamp, digest(&steps));
                (steps, Some(read))
            });
            zone.follow(&steps, until);
            Ok(Some((zone, main, read)))
        }
        Err(problems) => Err(problems
            .into_iter()
            .find(|problem| problem.severity == Severity::Error)
            .map_or_else(|| "it is no zone".to_owned(), |problem| problem.message)),
    }
}

fn read_zone(
    draft: &DraftZone,
    shown: &Path,
    folders: &[PathBuf],
    findings: &mut Findings,
    files: &mut BTreeSet<PathBuf>,
) -> Option<(Zone, FilesRead)> {
    let path = &draft.source.file;
    files.insert(path.clone());
    let ZoneText { text, mut includes } = match ZoneText::read(path, shown, folders) {
        Ok(read) => read,
        Err(why) => {
            let (what, why) = (format!("zone file {:?}", short(&draft.file)), why.to_string());
            findings.push(&draft.file_at, ConfigError::Unreadable { what, why });
            return None;
        }
    };
    let shown = shown.display().to_string();
    let parsed = zone::parse(&draft.source.name, &shown, &text, &mut |name| includes.read(name));
    let (mut asked, read) = includes.into_read();
    files.append(&mut asked);
    let (zone, problems) = match parsed {
        Ok((zone, warnings)) => (Some(zone), warnings),
        Err(problems) => (None, problems),
    };
    for problem in problems {
        findings.add(positioned(problem));
    }
    Some((zone?, read))
}

/// A zone file's problem as one of ours.
fn positioned(problem: zone::Problem) -> Problem {
    let place = (problem.line > 0).then(|| {
        let column = problem.column.max(1);
        let (excerpt, indent) = excerpt(&problem.line_text, column as usize - 1);
        Place { line: problem.line, column, excerpt, indent, width: 1 }
    });
    Problem {
        severity: problem.severity,
        file: problem.file.into(),
        place,
        error: ConfigError::ZoneFile(problem.message),
    }
}

/// Services whose records would be occluded: those at or below a delegation, where only glue
/// lives (RFC 1034 section 4.2.1), and those below a DNAME (RFC 6672 section 2.3).
fn check_cuts(zone: &Zone, services: &[&Service]) -> Vec<(usize, ConfigError)> {
    let apex = zone.apex();
    let occluded = |service: &Name| {
        let at_and_above = std::iter::successors(Some(service.clone()), Name::parent);
        // The highest cut is the one that counts, and the apex's own NS is none.
        let within: Vec<Name> = at_and_above.take_while(|name| name.is_at_or_below(apex)).collect();
        within.iter().rev().find_map(|name| {
            if name != apex && zone.rrset(name, RrType::NS).is_some() {
                Some(ConfigError::Delegated { service: service.clone(), cut: name.clone() })
            } else if name != service && zone.rrset(name, RrType::DNAME).is_some() {
                Some(ConfigError::Redirected { service: service.clone(), dname: name.clone() })
            } else {
                None
            }
        })
    };
    let all = services.iter().enumerate();
    all.filter_map(|(at, service)| Some((at, occluded(&service.name)?))).collect()
}

/// Services that would put a CNAME beside other records (RFC 1034 section 3.6.2).
fn check_cnames(zone: &Zone, services: &[&Service]) -> Vec<(usize, ConfigError)> {
    let has_cname =
        |service: &Service| service.endpoints.iter().any(|e| matches!(e.target, Target::Cname(_)));
    let with_cname = services.iter().enumerate().filter(|(_, service)| has_cname(service));
    let mut beside: BTreeMap<&[u8], (usize, Vec<String>)> =
        with_cname.map(|(at, service)| (service.name.as_wire(), (at, Vec::new()))).collect();
    if beside.is_empty() {
        return Vec::new();
    }
    // What decisions replace, and what DNSSEC puts beside every name (RFC 4034 section 2.3), is no matter.
    let allowed = [RrType::A, RrType::AAAA, RrType::CNAME, RrType::RRSIG, RrType::NSEC];
    for set in zone.rrsets().filter(|set| !allowed.contains(&set.rtype)) {
        if let Some((_, types)) = beside.get_mut(set.owner) {
            types.push(set.rtype.to_string());
        }
    }
    let wrong = beside.into_values().filter(|(_, types)| !types.is_empty());
    // The apex has been reported already: it always holds other types.
    let wrong = wrong.filter(|(at, _)| services[*at].name != services[*at].zone);
    let error = |(at, types): (usize, Vec<String>)| {
        let (service, types): (&Service, _) = (services[at], types.join(", "));
        (at, ConfigError::CnameBesideOther { service: service.name.clone(), types })
    };
    wrong.map(error).collect()
}

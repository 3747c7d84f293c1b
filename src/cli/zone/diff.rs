//! `detour zone diff`: the record sets by which two zones differ. Here those of two files; where a daemon
//! serves one of them, `served` and `freeze` ask it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::input;
use crate::api::zone_api::RecordsBody;
use crate::dns::{Name, RrSet};
use crate::zone::{Zone, diff};

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The old zone file; or the name of a zone that a daemon serves. That alone shows how it is served otherwise
    /// than its file says, by updates
    pub(super) old: PathBuf,
    /// The new zone file; or, after a zone's name, a serial
    pub(super) new: Option<PathBuf>,
    /// After a zone's name and a serial: another one; the one that is served when left out
    pub(super) to: Option<u32>,
    /// The zone's name; what the files say, or what they are called, when left out
    #[arg(long, value_name = "NAME")]
    pub(super) origin: Option<Name>,
    /// Two serials alone are no difference
    #[arg(long)]
    pub(super) ignore_serial: bool,
    /// The first is the name of a served zone, even if there is a file called so
    #[arg(long)]
    served: bool,
}

/// What the arguments compare.
#[derive(Debug, PartialEq, Eq)]
pub enum Sides<'a> {
    /// A served zone with its file.
    Edits,
    /// A served zone's serial with another.
    Serials(u32, Option<u32>),
    /// A served zone with a file.
    File(&'a Path),
    /// Two files.
    Files(&'a Path),
}

impl Args {
    /// What is compared: `is_file` tells whether there is such a file.
    pub fn sides(&self, is_file: impl Fn(&Path) -> bool) -> Sides<'_> {
        let Some(new) = &self.new else { return Sides::Edits };
        let serial = new.to_str().and_then(|text| text.parse().ok());
        let served = self.served || !is_file(&self.old);
        match serial {
            Some(serial) if self.to.is_some() || served && !is_file(new) => Sides::Serials(serial, self.to),
            _ if served => Sides::File(new),
            _ => Sides::Files(new),
        }
    }
}

/// The differences to stdout, record by record, or with `--json` by record set. Exit code 1 when there is
/// one.
pub fn run(args: &Args, new: &Path, folders: &[PathBuf], json: bool) -> Result<ExitCode> {
    let origin = args.origin.as_ref();
    let (old, new) = (input::good_zone(origin, &args.old, folders)?, input::good_zone(origin, new, folders)?);
    let (Some(old), Some(new)) = (old, new) else { return Ok(ExitCode::from(1)) };
    let sets = |zone: &Zone| -> Vec<RrSet> { zone.rrsets().map(|set| set.to_rrset()).collect() };
    let (removed, added) = diff(&sets(&old), &sets(&new));
    let bodies = |sets: &[RrSet]| -> Vec<RecordsBody> {
        sets.iter().flat_map(RrSet::by_covered).map(|set| (&set).into()).collect()
    };
    let (mut removed, mut added) = (bodies(&removed), bodies(&added));
    if args.ignore_serial {
        drop_serials(&mut removed, &mut added);
    }
    if json {
        println!("{:#}", json!({ "removed": removed, "added": added }));
    } else {
        for line in lines(&removed, &added) {
            println!("{line}");
        }
    }
    Ok(if removed.is_empty() && added.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The record sets of `old` that are not in `new`, and the other way round; ordered by owner and type.
pub fn only(old: Vec<RecordsBody>, new: Vec<RecordsBody>) -> (Vec<RecordsBody>, Vec<RecordsBody>) {
    let by_key = |sets: Vec<RecordsBody>| -> BTreeMap<_, _> {
        sets.into_iter().map(|set| ((set.name.clone(), set.rtype.clone(), covered(&set)), set)).collect()
    };
    let (mut old, mut new) = (by_key(old), by_key(new));
    old.retain(|key, set| {
        let same = new.get(key) == Some(set);
        if same {
            new.remove(key);
        }
        !same
    });
    (old.into_values().collect(), new.into_values().collect())
}

/// The type that RRSIGs cover, which tells their RRsets apart (RFC 4034 section 3).
fn covered(set: &RecordsBody) -> Option<String> {
    let data = set.data.first().filter(|_| set.rtype == "RRSIG")?;
    data.split(' ').next().map(str::to_owned)
}

/// Takes SOAs out that differ in their serial alone.
pub fn drop_serials(removed: &mut Vec<RecordsBody>, added: &mut Vec<RecordsBody>) {
    let soa = |sets: &[RecordsBody]| sets.iter().find(|set| set.rtype == "SOA").cloned();
    let without_serial = |set: RecordsBody| -> (u32, Vec<String>) {
        let words = set.data.iter().flat_map(|data| data.split(' ')).enumerate();
        (set.ttl, words.filter(|(at, _)| *at != 2).map(|(_, word)| word.to_owned()).collect())
    };
    if soa(removed).map(without_serial) == soa(added).map(without_serial) {
        removed.retain(|set| set.rtype != "SOA");
        added.retain(|set| set.rtype != "SOA");
    }
}

/// Each record that goes or comes, those of one owner and type together.
pub fn lines(removed: &[RecordsBody], added: &[RecordsBody]) -> Vec<String> {
    let mut sets: BTreeMap<(&Name, &str), [Vec<String>; 2]> = BTreeMap::new();
    for (side, set) in removed.iter().map(|set| (0, set)).chain(added.iter().map(|set| (1, set))) {
        sets.entry((&set.name, &set.rtype)).or_default()[side].extend(set.lines());
    }
    let mut all = Vec::new();
    for [old, new] in sets.values() {
        all.extend(old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}")));
        all.extend(new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_follows_from_what_there_is() {
        let args = |old: &str, new: Option<&str>, to, served| Args {
            old: old.into(),
            new: new.map(Into::into),
            to,
            origin: None,
            ignore_serial: false,
            served,
        };
        let check = |args: &Args, want: Sides<'_>| {
            let is_file =
                |path: &Path| ["a.zone", "b.zone", "example.org", "7"].iter().any(|f| path == Path::new(f));
            assert_eq!(args.sides(is_file), want, "{args:?}");
        };
        let b = Path::new("b.zone");
        check(&args("example.com", None, None, false), Sides::Edits);
        check(&args("example.org", None, None, false), Sides::Edits);
        check(&args("a.zone", Some("b.zone"), None, false), Sides::Files(b));
        check(&args("a.zone", Some("7"), None, false), Sides::Files(Path::new("7")));
        check(&args("example.com", Some("b.zone"), None, false), Sides::File(b));
        check(&args("example.org", Some("b.zone"), None, false), Sides::Files(b));
        check(&args("example.org", Some("b.zone"), None, true), Sides::File(b));
        check(&args("example.com", Some("5"), None, false), Sides::Serials(5, None));
        check(&args("example.com", Some("7"), Some(9), false), Sides::Serials(7, Some(9)));
        check(&args("example.org", Some("5"), None, true), Sides::Serials(5, None));
    }

    #[test]
    fn serials_alone_are_dropped() {
        let soa = |serial: u32, refresh: u32| RecordsBody {
            name: "a".parse().unwrap(),
            rtype: "SOA".to_owned(),
            ttl: 60,
            data: vec![format!("ns.a. h.a. {serial} {refresh} 1 1 1")],
        };
        let check = |one: RecordsBody, other: RecordsBody, left: usize| {
            let (mut removed, mut added) = (vec![one], vec![other]);
            drop_serials(&mut removed, &mut added);
            assert_eq!((removed.len(), added.len()), (left, left));
        };
        check(soa(1, 1), soa(2, 1), 0);
        check(soa(1, 1), soa(2, 2), 1);
    }
}

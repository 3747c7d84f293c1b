//! Copies of what zones were made from when they were last loaded, in `state_dir/loaded`: with the decisions and edits
//! of the state file they are what was published, also after a file has changed while no daemon ran. A zone whose
//! file is broken at a start is served from its copy.
//!
//! A copy is written before the load that it is of is published, and removed when the next one is on the disk. Its
//! name is the zone's and the content's hash, so content that stays is written once. Small ones lie in packs
//! (`packs.rs`), others in files of their own. There is one for each zone of the
//! configuration, and up to [`MAX_VERSIONS`] while the disk does not take what they led to. Losing them loses no state: secondaries then get a zone whole whose file has
//! changed over a restart, and a zone whose file is broken is answered SERVFAIL.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::packs::{self, MAX_PACKED, Packed, Packs};
use crate::dns::Name;
use crate::sys::files::{self, Reach};
use crate::zone::Zone;

/// The folder in `state_dir`.
const FOLDER: &str = "loaded";
/// The most copies of one zone: what it was made from last, and what the state file may still be of.
const MAX_VERSIONS: usize = 8;
/// What a copy begins with: that it is one, and its version.
const HEAD: &[u8] = b"detour zone 1\n";

/// The copies there are.
pub struct Snapshots {
    folder: PathBuf,
    there: BTreeMap<String, Place>,
    packs: Packs,
    /// Those of the load that is under way or was last.
    current: BTreeSet<String>,
}

/// Where a copy is.
#[derive(Clone, Copy)]
enum Place {
    /// In the file of its name.
    OwnFile,
    Packed(Packed),
}

impl Snapshots {
    /// Those of a state directory.
    pub fn open(state_dir: &Path) -> Snapshots {
        let folder = state_dir.join(FOLDER);
        // A folder that cannot be read is as good as an empty one; writing says what is wrong with it.
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let own = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let own = own.filter(|name| !packs::is_pack(name)).map(|name| (name, Place::OwnFile));
        let (packs, packed) = Packs::open(&folder);
        let there = own.chain(packed.into_iter().map(|(name, at)| (name, Place::Packed(at)))).collect();
        Snapshots { folder, there, packs, current: BTreeSet::new() }
    }

    /// What of a zone was loaded, as far as it is there: all its versions, in no order.
    pub fn of(&self, apex: &Name) -> impl Iterator<Item = Zone> {
        self.named(apex).filter_map(|name| self.read(name, apex))
    }

    /// Those of them that are whole: a power cut may have torn one.
    pub fn whole(&self, apex: &Name) -> impl Iterator<Item = Zone> {
        let zones = self.named(apex).filter_map(|name| Some((name, self.read(name, apex)?)));
        let named_so = |name: &str, zone: &Zone| name.ends_with(&format!("-{:016x}", zone.fingerprint()));
        zones.filter_map(move |(name, zone)| named_so(name, &zone).then_some(zone))
    }

    fn named(&self, apex: &Name) -> impl Iterator<Item = &String> {
        let begin = begin(apex);
        let from = self.there.range(begin.clone()..).map(|(name, _)| name);
        from.take_while(move |name| name.starts_with(&begin))
    }

    fn read(&self, name: &String, apex: &Name) -> Option<Zone> {
        let bytes = match self.there.get(name)? {
            Place::OwnFile => fs::read(self.folder.join(name)),
            Place::Packed(at) => self.packs.read(*at),
        };
        read(&bytes.ok()?, apex)
    }

    fn write(&mut self, name: &str, zone: &Zone) -> io::Result<Place> {
        let mut small = Vec::new();
        let put = |piece: &[u8]| {
            small.extend_from_slice(piece);
            if small.len() > MAX_PACKED { Err(io::Error::other("it is large")) } else { Ok(()) }
        };
        if write(zone, put).is_ok() {
            return self.packs.add(name, &small).map(Place::Packed);
        }
        drop(small);
        // One that a power cut has torn is found by its fingerprint to be none.
        files::keep(&self.folder.join(name), Reach::Sometime, |out| {
            write(zone, |piece| out.write_all(piece))
        })?;
        Ok(Place::OwnFile)
    }

    /// Keeps what a zone is made from, unless it is there. `fingerprint` is that content's.
    pub fn keep(&mut self, zone: &Zone, fingerprint: u64) {
        let name = format!("{}{fingerprint:016x}", begin(zone.apex()));
        if !self.there.contains_key(&name) {
            match self.write(&name, zone) {
                Ok(place) => drop(self.there.insert(name.clone(), place)),
                Err(error) => {
                    let (apex, folder) = (zone.apex(), self.folder.display());
                    warn!(
                        "{folder}: cannot write the copy of {apex}: {error}; an earlier copy is kept, where there is one"
                    );
                    self.retain(zone.apex());
                    return;
                }
            }
        }
        self.current.insert(name);
        if self.named(zone.apex()).count() > MAX_VERSIONS {
            self.forget(&begin(zone.apex()));
        }
    }

    /// Counts whatever there is of a zone as current: nothing better was loaded.
    pub fn retain(&mut self, apex: &Name) {
        let kept: Vec<String> = self.named(apex).cloned().collect();
        self.current.extend(kept);
    }

    /// Begins another load: what is kept from here on is all that is current.
    pub fn begin(&mut self) {
        self.current.clear();
    }

    /// Takes a zone's copy as the current one: the others of that zone are not.
    pub fn replace(&mut self, zone: &Zone, fingerprint: u64) {
        let begin = begin(zone.apex());
        let earlier = self.current.range(begin.clone()..).take_while(|name| name.starts_with(&begin));
        for name in earlier.cloned().collect::<Vec<_>>() {
            self.current.remove(&name);
        }
        self.keep(zone, fingerprint);
    }

    /// Removes what is not current: that is on the disk by now.
    pub fn settle(&mut self) {
        if self.there.len() == self.current.len() {
            return;
        }
        self.forget("");
    }

    /// Removes what is not current, of the copies whose names begin so.
    fn forget(&mut self, begin: &str) {
        self.there.retain(|name, place| {
            let stays = !name.starts_with(begin) || self.current.contains(name);
            if !stays && matches!(place, Place::OwnFile) {
                // What stays is removed at the next start's first load.
                let _ = files::remove(&self.folder.join(name));
            }
            stays
        });
        let packed = self.there.iter_mut().filter_map(|(name, place)| match place {
            Place::Packed(at) => Some((name, at)),
            Place::OwnFile => None,
        });
        // What cannot be tidied up is so with the next load.
        let _ = self.packs.tidy(packed);
    }
}

/// What the names of a zone's copies begin with: its hash, for zones' names may be no file's.
fn begin(apex: &Name) -> String {
    // FNV-1a: a zone that meets another here is told apart by what the copy says of itself.
    let hash = apex.as_wire().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}-")
}

/// All of a copy, piece by piece.
fn write(zone: &Zone, mut put: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    put(HEAD)?;
    let apex = zone.apex().as_wire();
    // A name has at most 255 bytes.
    put(&[apex.len() as u8])?;
    put(apex)?;
    zone.to_kept(put)
}

fn read(bytes: &[u8], apex: &Name) -> Option<Zone> {
    let rest = bytes.strip_prefix(HEAD)?;
    let (&len, rest) = rest.split_first()?;
    let (name, pieces) = rest.split_at_checked(usize::from(len))?;
    (name == apex.as_wire()).then(|| Zone::from_kept(apex.clone(), pieces))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::parse;

    /// One in a file of its own.
    fn zone(apex: &str, serial: u32) -> Zone {
        zone_of(apex, serial, 3_000)
    }

    fn zone_of(apex: &str, serial: u32, names: usize) -> Zone {
        let mut text = format!("@ 60 SOA ns h {serial} 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n");
        text.extend((0..names).map(|n| format!("host{n} 60 A 192.0.2.1\n")));
        parse(&apex.parse().unwrap(), "z", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
    }

    #[test]
    fn what_was_loaded_is_there_until_what_came_next_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let serials = |copies: &Snapshots, apex: &str| {
            let mut all: Vec<u32> = copies.of(&apex.parse().unwrap()).map(|zone| zone.serial().0).collect();
            all.sort_unstable();
            all
        };
        let mut copies = Snapshots::open(folder.path());
        for zone in [zone("a", 1), zone("b", 1)] {
            copies.keep(&zone, zone.fingerprint());
        }
        copies.settle();
        // Another load, which ends before it is settled.
        copies.begin();
        copies.keep(&zone("a", 2), zone("a", 2).fingerprint());
        let mut copies = Snapshots::open(folder.path());
        assert_eq!((serials(&copies, "a"), serials(&copies, "b")), (vec![1, 2], vec![1]));
        copies.replace(&zone("a", 3), zone("a", 3).fingerprint());
        assert_eq!(serials(&copies, "a"), [1, 2, 3]);
        copies.settle();
        assert_eq!((serials(&copies, "a"), serials(&copies, "b")), (vec![3], vec![]));
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 1);

        // One that is not what its name says is none to serve.
        let whole = |copies: &Snapshots| copies.whole(&"a".parse().unwrap()).count();
        assert_eq!(whole(&copies), 1);
        let file = fs::read_dir(folder.path().join(FOLDER)).unwrap().next().unwrap().unwrap().path();
        let other = folder.path().join(FOLDER).join(format!("{}{:016x}", begin(&"a".parse().unwrap()), 7));
        fs::rename(&file, &other).unwrap();
        let torn = Snapshots::open(folder.path());
        assert_eq!((serials(&torn, "a"), whole(&torn)), (vec![3], 0));
        fs::rename(other, file).unwrap();
        // What a load had no use for stays, where the zone is still there.
        copies.begin();
        copies.retain(&"a".parse().unwrap());
        copies.settle();
        assert_eq!(serials(&copies, "a"), [3]);

        // What is never settled has a bound.
        for serial in 10..30 {
            copies.begin();
            copies.keep(&zone("a", serial), zone("a", serial).fingerprint());
            assert!(copies.of(&"a".parse().unwrap()).count() <= MAX_VERSIONS);
        }
        assert!(serials(&copies, "a").contains(&29));
        copies.settle();

        // What is no copy is none.
        let file = fs::read_dir(folder.path().join(FOLDER)).unwrap().next().unwrap().unwrap().path();
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..HEAD.len() + 2]).unwrap();
        assert_eq!(serials(&copies, "a"), [0; 0]);
    }

    #[test]
    fn small_copies_share_a_file_and_become_large_and_small_again() {
        let folder = tempfile::tempdir().unwrap();
        let files = || fs::read_dir(folder.path().join(FOLDER)).unwrap().count();
        let mut copies = Snapshots::open(folder.path());
        for serial in 0..50 {
            let small = zone_of(&format!("z{serial}"), serial, 10);
            copies.keep(&small, small.fingerprint());
        }
        copies.settle();
        assert_eq!(files(), 1);
        let serials = |copies: &Snapshots, apex: &str| -> Vec<u32> {
            copies.whole(&apex.parse().unwrap()).map(|zone| zone.serial().0).collect()
        };
        let mut copies = Snapshots::open(folder.path());
        assert!((0..50).all(|serial| serials(&copies, &format!("z{serial}")) == [serial]));
        // As each load goes on from what is current.
        copies.current.extend(copies.there.keys().cloned().collect::<Vec<_>>());
        for (serial, names, expect) in [(100, 3_000, 2), (101, 10, 2)] {
            let other = zone_of("z7", serial, names);
            copies.replace(&other, other.fingerprint());
            copies.settle();
            assert_eq!((serials(&copies, "z7"), files()), (vec![serial], expect));
        }
        let copies = Snapshots::open(folder.path());
        // What was replaced may still lie in the pack.
        assert!(serials(&copies, "z7").contains(&101) && serials(&copies, "z8") == [8]);
    }
}

//! Small copies, many in a file: a server may have a hundred thousand zones, and a file of its own for each costs more than
//! all else that a start does.
//!
//! A pack is only appended to. What counts of it says whoever keeps copies; when most of what packs hold counts no
//! more, what does is written into a new one. An end that a power cut has torn ends a pack there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::sys::files::{self, Appended};

/// The largest copy that goes into a pack, in bytes.
pub const MAX_PACKED: usize = 64 << 10;
/// What packs may hold that counts no more, beside as much as what counts.
const MAX_WASTE: u64 = 1 << 20;
/// How many packs there may be: each start that writes begins one.
const MAX_PACKS: usize = 8;
const EXTENSION: &str = "pack";
const MAGIC: [u8; 4] = *b"copy";
/// Magic, the length of the name, and that of the copy.
const HEAD: usize = 4 + 1 + 4;

/// Where a copy lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    pack: u64,
    at: u64,
    len: u32,
}

/// The packs of a folder.
pub struct Packs {
    folder: PathBuf,
    /// How many bytes each has.
    sizes: BTreeMap<u64, u64>,
    /// The one that is appended to.
    open: Option<(u64, Appended)>,
}

impl Packs {
    /// Those of a folder, and each copy in them by its name, later ones last.
    pub fn open(folder: &Path) -> (Packs, Vec<(String, Packed)>) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut numbers: Vec<u64> = entries.filter_map(|entry| number(&entry.path())).collect();
        numbers.sort_unstable();
        let (mut sizes, mut found) = (BTreeMap::new(), Vec::new());
        for pack in numbers {
            // One that cannot be read has nothing to give.
            let size = scan(&path(folder, pack), pack, &mut found).unwrap_or(0);
            sizes.insert(pack, size);
        }
        (Packs { folder: folder.to_owned(), sizes, open: None }, found)
    }

    /// Adds a copy.
    pub fn add(&mut self, name: &str, copy: &[u8]) -> io::Result<Packed> {
        let (pack, file) = match &mut self.open {
            Some(open) => open,
            None => {
                files::make_folder(&self.folder)?;
                let pack = self.sizes.last_key_value().map_or(1, |(last, _)| last + 1);
                let file = Appended::create(&path(&self.folder, pack))?;
                self.sizes.insert(pack, 0);
                self.open.insert((pack, file))
            }
        };
        let mut record = Vec::with_capacity(HEAD + name.len() + copy.len());
        record.extend_from_slice(&MAGIC);
        // Names are two numbers in hexadecimal.
        record.push(name.len() as u8);
        record.extend_from_slice(&(copy.len() as u32).to_le_bytes());
        record.extend_from_slice(name.as_bytes());
        let begin = record.len() as u64;
        record.extend_from_slice(copy);
        let (pack, at) = (*pack, self.sizes.get(pack).copied().unwrap_or(0));
        if let Err(error) = file.write_all(&record) {
            // What came of it would hide what comes later. Nothing waits for the disk here: on a full one each zone may fail.
            if file.cut(at).is_err() {
                self.open = None;
            }
            return Err(error);
        }
        self.sizes.insert(pack, at + record.len() as u64);
        Ok(Packed { pack, at: at + begin, len: copy.len() as u32 })
    }

    /// A copy.
    pub fn read(&self, packed: Packed) -> io::Result<Vec<u8>> {
        let mut copy = vec![0; packed.len as usize];
        File::open(path(&self.folder, packed.pack))?.read_exact_at(&mut copy, packed.at)?;
        Ok(copy)
    }

    /// Writes the copies that count into a new pack, where the packs hold too much else, or are too many; and removes those
    /// they lay in. After an error all is as it was.
    pub fn tidy<'p>(
        &mut self,
        counting: impl Iterator<Item = (&'p String, &'p mut Packed)>,
    ) -> io::Result<()> {
        let counting: Vec<_> = counting.collect();
        let size: u64 =
            counting.iter().map(|(name, at)| (HEAD + name.len()) as u64 + u64::from(at.len)).sum();
        let held: u64 = self.sizes.values().sum();
        if held <= 2 * size + MAX_WASTE && self.sizes.len() <= MAX_PACKS {
            return Ok(());
        }
        let before: Vec<u64> = self.sizes.keys().copied().collect();
        self.open = None;
        let mut moved = Vec::with_capacity(counting.len());
        for (name, at) in &counting {
            moved.push(self.add(name, &self.read(**at)?)?);
        }
        for ((_, at), moved) in counting.into_iter().zip(moved) {
            *at = moved;
        }
        for pack in before {
            files::remove(&path(&self.folder, pack))?;
            self.sizes.remove(&pack);
        }
        Ok(())
    }
}

/// Whether a file in the folder is a pack.
pub fn is_pack(name: &str) -> bool {
    number(Path::new(name)).is_some()
}

fn path(folder: &Path, pack: u64) -> PathBuf {
    folder.join(format!("{pack:06}.{EXTENSION}"))
}

fn number(path: &Path) -> Option<u64> {
    path.extension().filter(|extension| *extension == EXTENSION)?;
    path.file_stem()?.to_str()?.parse().ok()
}

/// Finds the copies of a pack. Gives its size.
fn scan(path: &Path, pack: u64, found: &mut Vec<(String, Packed)>) -> io::Result<u64> {
    let file = File::open(path)?;
    let (size, mut at) = (file.metadata()?.len(), 0);
    let mut file = BufReader::with_capacity(64 << 10, file);
    let mut head = [0; HEAD];
    while file.read_exact(&mut head).is_ok() {
        let [a, b, c, d, name_len, len @ ..] = head;
        let len = u32::from_le_bytes(len);
        let begin = at + HEAD as u64 + u64::from(name_len);
        if [a, b, c, d] != MAGIC || len as usize > MAX_PACKED || begin + u64::from(len) > size {
            break;
        }
        let mut name = vec![0; usize::from(name_len)];
        file.read_exact(&mut name)?;
        let Ok(name) = String::from_utf8(name) else { break };
        found.push((name, Packed { pack, at: begin, len }));
        file.seek_relative(i64::from(len))?;
        at = begin + u64::from(len);
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files::faults::{Disk, Kind};

    fn all(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let (packs, found) = Packs::open(folder);
        found.into_iter().map(|(name, at)| (name, packs.read(at).unwrap())).collect()
    }

    #[test]
    fn what_counts_stays_and_the_rest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (mut packs, found) = Packs::open(folder);
        assert!(found.is_empty());
        let mut there = BTreeMap::new();
        for n in 0..100_u8 {
            there.insert(format!("n{n}"), packs.add(&format!("n{n}"), &vec![n; 20_000]).unwrap());
        }
        assert_eq!(all(folder).len(), 100);
        // Nothing is moved for as long as that is not worth it.
        packs.tidy(there.iter_mut()).unwrap();
        assert_eq!(packs.sizes.len(), 1);
        there.retain(|name, _| name.ends_with('7'));
        packs.tidy(there.iter_mut()).unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        let left = all(folder);
        assert_eq!(left.len(), 10);
        assert!(there.iter().all(|(name, at)| packs.read(*at).unwrap() == left[name]));
        assert_eq!(left["n37"], vec![37; 20_000]);

        // Each start begins another, and there are not ever more.
        for start in 0..30_u8 {
            let (mut packs, found) = Packs::open(folder);
            let mut there: BTreeMap<String, Packed> = found.into_iter().collect();
            there.insert("again".to_owned(), packs.add("again", &[start]).unwrap());
            packs.tidy(there.iter_mut()).unwrap();
            assert!(packs.sizes.len() <= MAX_PACKS);
        }
        let left = all(folder);
        assert_eq!((left.len(), &left["again"]), (11, &vec![29]));
    }

    #[test]
    fn a_torn_end_costs_what_it_tears() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (mut packs, _) = Packs::open(folder);
        packs.add("a", b"first").unwrap();
        let whole = packs.sizes[&1];
        packs.add("b", b"second").unwrap();
        let file = path(folder, 1);
        let bytes = fs::read(&file).unwrap();
        for end in 0..bytes.len() {
            fs::write(&file, &bytes[..end]).unwrap();
            let expect = usize::from(end as u64 >= whole);
            assert_eq!(all(folder).len(), expect, "{end}");
            // What comes later lies in a pack of its own.
            let (mut packs, _) = Packs::open(folder);
            packs.add("c", b"third").unwrap();
            assert_eq!(all(folder)["c"], b"third");
            fs::remove_file(path(folder, 2)).unwrap();
        }
    }

    #[test]
    fn a_write_that_fails_hides_nothing() {
        for at in 0..6 {
            let folder = tempfile::tempdir().unwrap();
            let disk = Disk::over(folder.path());
            let folder = folder.path();
            let (mut packs, _) = Packs::open(folder);
            packs.add("first", b"1").unwrap();
            disk.fail(Some((at, Kind::Full)));
            let (mut expect, mut failed) = (BTreeMap::from([("first".to_owned(), b"1".to_vec())]), 0);
            for n in 0..6_u8 {
                match packs.add(&format!("n{n}"), &[n; 100]) {
                    Ok(_) => drop(expect.insert(format!("n{n}"), vec![n; 100])),
                    Err(_) => failed += 1,
                }
            }
            // Six writes and a cut: nothing waits for the disk.
            assert_eq!(disk.acts(), 7, "act {at}");
            disk.fail(None);
            assert_eq!(failed, 1, "act {at}");
            assert_eq!(all(folder), expect, "act {at}");
        }
    }
}

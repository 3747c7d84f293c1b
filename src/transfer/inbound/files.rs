//! What primaries sent, in files: for each zone a zone file by RFC 1035 that any DNS tool can read, and beside it the
//! steps that came since. When a primary last confirmed it is the time of the zone file's last change.
//!
//! ```text
//!   IXFR ──► appended to NAME.steps, on the disk ──► published
//!   AXFR, or more steps than zone ──► NAME, whole, on the disk ──► NAME.steps removed
//! ```
//!
//! A zone goes only such steps as fit it, so steps that outlive the file they led to change nothing.

use std::fs::{self, File, FileTimes};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::content::MAX_TEXT;
use super::timers::Timers;
use crate::config::{read_steps, steps_file};
use crate::dns::name::text_of;
use crate::dns::{RrType, Serial, rdata_text};
use crate::sys::files::{self, Reach};
use crate::zone::{STEPS_HEAD, Steps, Zone, led_to};

/// What the name of content that expired ends with.
const EXPIRED: &str = ".expired";
/// Fewer bytes of steps than these are never worth a new file.
const MIN_FOLDED: u64 = 1 << 20;
/// The most bytes of one transfer's steps that are kept as such.
const MAX_STEPS: usize = 16 << 20;
/// What a kept file begins with.
const HEAD: &[u8] = b"; From the primary; the time of this file is when it was last confirmed. What came since may be in the\n\
; file of steps beside it.\n";

/// Puts a zone's new content in place of the old, all of it or nothing.
pub(super) fn store(file: &Path, text: &str) -> io::Result<()> {
    replace(file, |out| out.write_all(text.as_bytes()))
}

/// The same of a zone whose text is not at hand.
pub(super) fn store_zone(file: &Path, zone: &Zone) -> io::Result<()> {
    replace(file, |out| write(out, zone))
}

/// Puts a zone in place of an older one and the steps that led to it.
pub(super) fn fold(file: &Path, zone: &Zone) -> io::Result<()> {
    let confirmed = fs::metadata(file).and_then(|metadata| metadata.modified());
    store_zone(file, zone)?;
    match confirmed {
        Ok(at) => File::options().append(true).open(file)?.set_times(FileTimes::new().set_modified(at)),
        Err(_) => Ok(()),
    }
}

fn replace(file: &Path, content: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<()> {
    // Steps without a file are of a zone that is no more.
    if !file.exists() {
        files::remove(&steps_file(file))?;
    }
    files::keep(file, Reach::Now, |out| {
        out.write_all(HEAD)?;
        content(out)
    })?;
    // What expired before is of no more interest, nor are steps that the file holds; mostly there are none.
    let expired = beside(file, EXPIRED);
    for left in [steps_file(file), steps_file(&expired), expired] {
        let _ = files::remove(&left);
    }
    Ok(())
}

/// A zone as text, the SOA first.
fn write(out: &mut dyn io::Write, zone: &Zone) -> io::Result<()> {
    let (mut line, mut len) = (Vec::new(), 0);
    let is_soa = |owner: &[u8], rtype| rtype == RrType::SOA && owner == zone.apex().as_wire();
    let soa = zone.soa();
    let soa = soa.rdata.iter().map(|rdata| (soa.owner.as_wire(), soa.rtype, soa.ttl, &**rdata));
    let others = zone.rrsets().filter(|set| !is_soa(set.owner, set.rtype));
    let others = others.flat_map(|set| set.rdata().map(move |rdata| (set.owner, set.rtype, set.ttl, rdata)));
    for (owner, rtype, ttl, rdata) in soa.chain(others) {
        line.clear();
        writeln!(line, "{} {ttl} IN {rtype} {}", text_of(owner), rdata_text(rtype, rdata))?;
        len += line.len();
        if len > MAX_TEXT {
            return Err(io::Error::other("it has more than 1 GiB of text"));
        }
        out.write_all(&line)?;
    }
    Ok(())
}

/// Adds steps to those that have so many bytes. Gives how many they have then.
pub(super) fn append(file: &Path, len: u64, steps: &Steps) -> io::Result<u64> {
    let frame = steps.to_frame();
    if frame.len() > MAX_STEPS {
        return Err(io::Error::other("it is worth a whole file"));
    }
    let bytes = if len == 0 { [STEPS_HEAD, &frame].concat() } else { frame };
    files::append_at(&steps_file(file), len, &bytes)?;
    Ok(len + bytes.len() as u64)
}

/// Cuts off the steps that did not lead to this serial, which is served: how many bytes are left, and why the rest was
/// no use where that is worth a word.
pub(super) fn cut_steps(file: &Path, serial: Serial) -> io::Result<(u64, Option<&'static str>)> {
    let bytes = read_steps(file)?;
    let led = led_to(&bytes, serial);
    if led.len < bytes.len() {
        files::cut(&steps_file(file), led.len as u64)?;
    }
    Ok((led.len as u64, led.damage))
}

/// Whether so many bytes of steps are more than the zone's file is worth.
pub(super) fn wants_fold(file: &Path, steps: u64) -> bool {
    steps > MIN_FOLDED.max(fs::metadata(file).map_or(0, |metadata| metadata.len()))
}

/// Notes that a primary confirmed the content now.
pub(super) fn confirm(file: &Path, wall_secs: u64) -> io::Result<()> {
    let now = UNIX_EPOCH + Duration::from_secs(wall_secs);
    File::options().append(true).open(file)?.set_times(FileTimes::new().set_modified(now))
}

/// How long ago a primary confirmed the content; nothing where that cannot be known. A clock that was set back
/// since makes it just now.
pub(super) fn age(file: &Path, wall_secs: u64) -> Option<Duration> {
    let confirmed = fs::metadata(file).and_then(|metadata| metadata.modified()).ok()?;
    let now = UNIX_EPOCH + Duration::from_secs(wall_secs);
    Some(now.duration_since(confirmed).unwrap_or_default())
}

/// Puts content aside that nobody confirmed for as long as its SOA says (RFC 1034 section 4.3.5). True where
/// that was done; `wall_secs` is now.
pub fn discard_expired(file: &Path, zone: &Zone, wall_secs: u64) -> bool {
    let expires = Timers::of(&zone.soa()).expire;
    let expired = age(file, wall_secs).is_some_and(|age| age >= expires);
    if expired {
        discard(file);
    }
    expired
}

/// Brings content back that was put aside; false where there is none.
pub(super) fn bring_back(file: &Path) -> bool {
    if !has_expired(file) {
        return false;
    }
    let expired = beside(file, EXPIRED);
    // The steps first: without the file they are nothing.
    if steps_file(&expired).exists() && files::rename(&steps_file(&expired), &steps_file(file)).is_err() {
        return false;
    }
    files::rename(&expired, file).is_ok()
}

/// Whether the last content that was kept expired.
pub(super) fn has_expired(file: &Path) -> bool {
    !file.exists() && beside(file, EXPIRED).exists()
}

/// Puts content aside: it is kept for people to look at, and not answered from.
pub(super) fn discard(file: &Path) {
    let expired = beside(file, EXPIRED);
    let put_aside = || {
        files::remove(&steps_file(&expired))?;
        files::rename(file, &expired)?;
        let steps = steps_file(file);
        if steps.exists() { files::rename(&steps, &steps_file(&expired)) } else { Ok(()) }
    };
    if let Err(error) = put_aside() {
        tracing::error!("{} expired and cannot be put aside: {error}", file.display());
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::transferred;
    use crate::zone::{SetSteps, parse};

    #[test]
    fn content_lasts_as_long_as_it_is_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/er/example.zone");
        let text = "example. 60 IN SOA ns. h. 7 60 10 100 5\nexample. 60 IN NS ns.\n";
        store(&file, text).unwrap();
        let kept = fs::read(&file).unwrap();
        let (zone, _) =
            parse(&"example".parse().unwrap(), "kept", &kept, &mut |_| Err(String::new())).unwrap();
        assert_eq!(zone.serial().0, 7);
        confirm(&file, 1_000_000).unwrap();
        assert_eq!(age(&file, 1_000_099), Some(Duration::from_secs(99)));
        assert_eq!(age(&file, 999_000), Some(Duration::ZERO));
        assert!(!discard_expired(&file, &zone, 1_000_099));
        assert!(discard_expired(&file, &zone, 1_000_100));
        assert!(!file.exists());
        assert_eq!(age(&file, 1_000_100), None);
        assert!(has_expired(&file) && bring_back(&file), "where that was the clock's fault");
        assert_eq!(age(&file, 1_000_099), Some(Duration::from_secs(99)), "confirmed when it was");
        assert!(!bring_back(&file), "there is none");
    }

    #[test]
    fn steps_are_kept_beside_the_file_until_they_are_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, apex) = (folder.path().join("example.zone"), "example".parse().unwrap());
        let zone = |serial: u32, more: &str| {
            let text =
                format!("example. 60 IN SOA ns. h. {serial} 60 10 100 5\nexample. 60 IN NS ns.\n{more}");
            parse(&apex, "kept", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
        };
        let steps = |from: &Zone, to: &Zone| {
            let text = crate::dns::Name::parse(b"t", &apex).unwrap();
            let sets =
                [(&apex, RrType::SOA), (&text, RrType::TXT)].into_iter().filter_map(|(owner, rtype)| {
                    SetSteps::between(from.rrset(owner, rtype).as_ref(), to.rrset(owner, rtype).as_ref())
                });
            Steps { from: from.serial(), to: to.serial(), sets: sets.collect() }
        };
        let versions = [
            zone(1, ""),
            zone(2, "t.example. 9 IN TXT a b\n"),
            zone(3, "t.example. 8 IN TXT \\001\n"),
            zone(4, ""),
        ];
        let read = || transferred(&apex, &file).unwrap().unwrap();
        store_zone(&file, &versions[0]).unwrap();
        let mut len = 0;
        for two in versions.windows(2) {
            len = append(&file, len, &steps(&two[0], &two[1])).unwrap();
            assert_eq!(read().fingerprint(), two[1].fingerprint());
        }
        assert_eq!(cut_steps(&file, Serial(4)).unwrap(), (len, None));
        let earlier = crate::config::transferred_at(&apex, &file, Serial(2)).unwrap();
        assert_eq!(earlier.fingerprint(), versions[1].fingerprint());
        assert!(crate::config::transferred_at(&apex, &file, Serial(9)).is_none());
        // What an append that failed has left is written over.
        let cut = cut_steps(&file, Serial(3)).unwrap();
        assert!(cut.0 < len && cut.1.is_some());
        fs::write(steps_file(&file), [&fs::read(steps_file(&file)).unwrap()[..], b"half"].concat()).unwrap();
        assert_eq!(append(&file, cut.0, &steps(&versions[2], &versions[3])).unwrap(), len);
        assert_eq!(read().fingerprint(), versions[3].fingerprint());
        // Put aside and brought back, they go with their file.
        confirm(&file, 1_000_000).unwrap();
        discard(&file);
        assert!(!steps_file(&file).exists() && transferred(&apex, &file).unwrap().is_none());
        assert!(bring_back(&file));
        assert_eq!(read().fingerprint(), versions[3].fingerprint());
        // Folded, they are in it, under the same time; a kill before they are removed changes nothing.
        let before = fs::read(steps_file(&file)).unwrap();
        fold(&file, &versions[3]).unwrap();
        assert!(!steps_file(&file).exists());
        assert_eq!(age(&file, 1_000_099), Some(Duration::from_secs(99)));
        fs::write(steps_file(&file), &before).unwrap();
        assert_eq!(read().fingerprint(), versions[3].fingerprint());
        assert_eq!(cut_steps(&file, Serial(4)).unwrap(), (len, None));
        // Steps that are left where there is no file belong to none that comes.
        fs::remove_file(&file).unwrap();
        store(&file, "example. 60 IN SOA ns. h. 3 60 10 100 5\nexample. 60 IN NS ns.\n").unwrap();
        assert!(!steps_file(&file).exists());
    }
}

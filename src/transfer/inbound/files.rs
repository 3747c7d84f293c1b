//! What primaries sent, in files: one for each zone, a zone file by RFC 1035 that any DNS tool can read. When
//! a primary last confirmed it is the time of its last change.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::timers::Timers;
use crate::sys::files::{self, Reach};
use crate::zone::Zone;

/// What the name of content that expired ends with.
const EXPIRED: &str = ".expired";

/// Puts a zone's new content in place of the old, all of it or nothing.
pub(super) fn store(file: &Path, text: &str) -> io::Result<()> {
    files::keep(file, Reach::Now, |out| {
        out.write_all(b"; From the primary; the time of this file is when it was last confirmed.\n")?;
        out.write_all(text.as_bytes())
    })?;
    // What expired before is of no more interest; mostly there is none.
    let _ = files::remove(&beside(file, EXPIRED));
    Ok(())
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
    has_expired(file) && files::rename(&beside(file, EXPIRED), file).is_ok()
}

/// Whether the last content that was kept expired.
pub(super) fn has_expired(file: &Path) -> bool {
    !file.exists() && beside(file, EXPIRED).exists()
}

/// Puts content aside: it is kept for people to look at, and not answered from.
pub(super) fn discard(file: &Path) {
    if let Err(error) = files::rename(file, &beside(file, EXPIRED)) {
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
    use crate::zone::parse;

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
}

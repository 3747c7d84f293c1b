//! Files that change, and what is left of them after every fault.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use super::faults::{Disk, Kind};
use super::*;

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_replaced_file_keeps_mode_and_links() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("zone"), folder.path().join("link"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    symlink("zone", &link).unwrap();
    replace(&link, b"new").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(names(folder.path()).len(), 2, "nothing is left behind");
}

#[test]
fn a_file_that_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zone");
    create(&file, b"one", false).unwrap();
    assert_eq!(create(&file, b"two", false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&file).unwrap(), b"one");
    create(&file, b"two", true).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"two");
    assert_eq!(names(folder.path()).len(), 1, "nothing is left behind");
}

#[test]
fn a_left_over_half_keeps_nobody_from_writing_and_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zone");
    fs::write(&file, "old").unwrap();
    // Of this very process's number, as in a container, where each is the first; and one being written now.
    let old = folder.path().join(format!(".zone.detour-{}", std::process::id()));
    let young = folder.path().join(".zone.detour-0123456789abcdef");
    for half in [&old, &young] {
        fs::write(half, "half").unwrap();
    }
    let ago = fs::metadata(&young).unwrap().modified().unwrap() - LEFT_OVER - Duration::from_secs(1);
    File::options().append(true).open(&old).unwrap().set_modified(ago).unwrap();
    replace(&file, b"new").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(names(folder.path()), BTreeSet::from(["zone".into(), ".zone.detour-0123456789abcdef".into()]));
}

/// Writes a file twice and has act number `fail` fail, if any; then the power is lost. Whether both were written, and
/// how many acts there were.
fn write_twice(way: impl Fn(&Path, &[u8]) -> io::Result<()>, fail: Option<(u64, Kind)>) -> (bool, u64) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let disk = Disk::over(folder.path());
    fs::write(&file, "0").unwrap();
    disk.fail(fail);
    let written = way(&file, b"1").and_then(|()| way(&file, b"2"));
    disk.lose_power();
    let found = fs::read_to_string(&file).unwrap();
    let may = if written.is_ok() { "2" } else { "012" };
    assert!(found.len() == 1 && may.contains(&found), "{fail:?}: {found:?} after {written:?}");
    (written.is_ok(), disk.acts())
}

/// A file that was written is there after a power cut; one that could not be is the old one or the new one.
#[test]
fn whatever_fails_a_file_is_whole_and_what_was_told_done_is_kept() {
    type Way = fn(&Path, &[u8]) -> io::Result<()>;
    let ways: [Way; 3] = [
        replace,
        |path, bytes| create(path, bytes, true),
        |path, bytes| keep(path, Reach::Now, |out| out.write_all(bytes)),
    ];
    let mut faults = 0;
    for way in ways {
        let (done, acts) = write_twice(way, None);
        assert!(done && acts >= 10, "{acts} acts");
        for at in 0..acts {
            for kind in Kind::ALL {
                let (done, _) = write_twice(way, Some((at, kind)));
                assert!(!done, "act {at} failed by {kind:?}, and nobody was told");
                faults += 1;
            }
        }
    }
    println!("{faults} runs with a fault each");
}

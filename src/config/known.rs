//! What is known of zone files that were read before: whether they are what they were.
//!
//! In: what a load kept of each zone's files, and the files. Out: whether one of them is another one. A file is the
//! same where device, inode, size and both of its times are; where one is not, or was so young when the file was read
//! that it may have changed since under the same times, the content says it. Symbolic links are followed each time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{metadata_of, read_stamped, steps_file};
use super::report::Problem;
use super::stamp::{FileRead, Stamp, digest};
use super::zone_text::{FilesRead, MAX_ZONE_BYTES};
use crate::dns::Name;
use crate::model::Config;
use crate::zone::Zone;

/// What a file was when it was read. There are as many as zones, so it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// Of its stamp; `None` where that tells nothing.
    stamp: Option<u64>,
    content: u64,
}

/// What a look at a file finds.
enum Look {
    Same,
    /// It had to be read for that.
    SameContent(Mark),
    Other,
}

impl Mark {
    fn new((stamp, content): FileRead, now: u64) -> Mark {
        Mark { stamp: stamp.is_settled(now).then(|| digest(stamp)), content }
    }

    fn look(&self, path: &Path, now: u64) -> Look {
        let looked = || -> io::Result<Look> {
            let stamp = Stamp::of(&metadata_of(path)?);
            if self.stamp == Some(digest(stamp)) {
                return Ok(Look::Same);
            }
            let (bytes, stamp) = read_stamped(path, MAX_ZONE_BYTES)?;
            let content = digest(&bytes);
            let mark = Mark::new((stamp, content), now);
            Ok(if content == self.content { Look::SameContent(mark) } else { Look::Other })
        };
        looked().unwrap_or(Look::Other)
    }
}

/// What the files of a zone were when they were read.
#[derive(Clone, Debug)]
pub struct ZoneFiles {
    main: Mark,
    /// What few zones have.
    more: Option<Box<More>>,
}

#[derive(Clone, Debug, Default)]
struct More {
    /// Each file that is included, where it really lies, and what it was.
    included: Vec<(PathBuf, PathBuf, Mark)>,
    /// The steps of a primary, beside what it sent.
    steps: Option<Mark>,
    /// What was odd about the files.
    warnings: Vec<Problem>,
}

/// What a look at the files of a zone finds.
pub(super) enum Looked {
    /// They are what they were.
    Same {
        /// What is known of them from now on.
        files: ZoneFiles,
        /// Whether one of them had to be read for that.
        read: bool,
    },
    /// One of them is another one.
    Other,
}

impl ZoneFiles {
    pub(super) fn new(read: FilesRead, warnings: Vec<Problem>, now: u64) -> ZoneFiles {
        let included = read.included.into_iter();
        let included = included.map(|(path, real, read)| (path, real, Mark::new(read, now))).collect();
        let more = More { included, steps: None, warnings };
        let is_plain = more.included.is_empty() && more.warnings.is_empty();
        ZoneFiles { main: Mark::new(read.main, now), more: (!is_plain).then(|| Box::new(more)) }
    }

    /// Those of what a primary sent: what it sent whole, and the steps since, where there are any.
    pub(super) fn of_transferred(main: FileRead, steps: Option<FileRead>, now: u64) -> ZoneFiles {
        let more = steps.map(|steps| More { steps: Some(Mark::new(steps, now)), ..More::default() });
        ZoneFiles { main: Mark::new(main, now), more: more.map(Box::new) }
    }

    /// The files that are included.
    pub(super) fn included(&self) -> impl Iterator<Item = &PathBuf> {
        self.more.iter().flat_map(|more| &more.included).map(|(path, _, _)| path)
    }

    /// What was odd about them.
    pub(super) fn warnings(&self) -> &[Problem] {
        self.more.as_ref().map_or(&[], |more| &more.warnings)
    }

    /// Whether the zone's file at `path`, and all that belongs to it, are what they were.
    pub(super) fn look(&self, path: &Path, is_transferred: bool, now: u64) -> Looked {
        let (mut files, mut read) = (self.clone(), false);
        if is_transferred {
            let (path, mark) = (steps_file(path), files.more.as_mut().and_then(|more| more.steps.as_mut()));
            match mark.map(|mark| (mark.look(&path, now), mark)) {
                Some((Look::Same, _)) => {}
                Some((Look::SameContent(now), mark)) => (*mark, read) = (now, true),
                None if !path.exists() => {}
                Some((Look::Other, _)) | None => return Looked::Other,
            }
        }
        let included = files.more.iter_mut().flat_map(|more| &mut more.included);
        let included = included.map(|(path, real, mark)| (&**path, Some(&**real), mark));
        for (path, real, mark) in [(path, None, &mut files.main)].into_iter().chain(included) {
            // Where an included file really lies says whether it may be.
            if real.is_some_and(|real| path.canonicalize().is_ok_and(|now| now != real)) {
                return Looked::Other;
            }
            match mark.look(path, now) {
                Look::Same => {}
                Look::SameContent(now) => (*mark, read) = (now, true),
                Look::Other => return Looked::Other,
            }
        }
        Looked::Same { files, read }
    }
}

/// What the load before came to, as far as it spares the next one work.
pub struct KnownZones<'k> {
    /// Its text.
    pub text: &'k str,
    /// Its configuration.
    pub config: &'k Config,
    /// For each of its zones what its files were; `None` of those that are to be read again.
    pub files: &'k [Option<ZoneFiles>],
    /// What the file of a zone held.
    pub contents: &'k dyn Fn(&Name) -> Option<Arc<Zone>>,
}

/// What a load finds of a zone.
#[derive(Clone, Debug)]
pub enum ReadZone {
    /// Its files were read, and this is what they hold.
    Read(Zone),
    /// They hold what they held.
    Unchanged(Name),
}

impl ReadZone {
    /// The zone's name.
    pub fn apex(&self) -> &Name {
        match self {
            ReadZone::Read(zone) => zone.apex(),
            ReadZone::Unchanged(apex) => apex,
        }
    }

    /// What was read.
    pub fn zone(&self) -> Option<&Zone> {
        match self {
            ReadZone::Read(zone) => Some(zone),
            ReadZone::Unchanged(_) => None,
        }
    }
}

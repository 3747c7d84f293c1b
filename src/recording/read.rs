//! A recording as it lies on the disk, read from the oldest segment that matters to the newest.

use std::fmt;
use std::path::{Path, PathBuf};

use super::code::Decoder;
use super::segment::{self, Segment};
use super::{Head, Moment, Note, RecordingError};
use crate::engine::clock_of;
use crate::time::{Offset, Time};

/// What the newest segment begins with whose beginning is whole.
pub fn newest_head(state_dir: &Path) -> Option<Head> {
    let listed = segment::list(state_dir).ok()?;
    listed.iter().rev().find_map(|segment| segment::head(segment).ok())
}

/// The segments of one state directory. Nothing in it is written or locked.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The oldest first, each with when it begins.
    segments: Vec<(Time, Segment)>,
    /// Files that do not even say when they begin.
    damaged: Vec<Gap>,
}

/// A file of which not all could be read: an engine begins anew with the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The file.
    pub path: PathBuf,
    /// Why; `None` where it just ends in the middle of a write, as after a `kill -9`.
    pub damage: Option<String>,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.damage {
            None => write!(f, "{path} ends in the middle of a write; what came after it begins anew"),
            Some(why) => {
                write!(
                    f,
                    "{path} is damaged ({why}) and skipped from there on; what came after it begins anew"
                )
            }
        }
    }
}

impl Recording {
    /// What is there now.
    pub fn open(state_dir: &Path) -> Result<Recording, RecordingError> {
        let listed = segment::list(state_dir);
        let listed = listed.map_err(|source| RecordingError::Io { path: state_dir.to_owned(), source })?;
        let (mut segments, mut damaged) = (Vec::new(), Vec::new());
        for segment in listed {
            match segment::begins(&segment) {
                Ok(at) => segments.push((at, segment)),
                // The daemon removes the oldest, and a start that was cut short leaves an empty one.
                Err(RecordingError::Io { source, .. })
                    if [std::io::ErrorKind::NotFound, std::io::ErrorKind::UnexpectedEof]
                        .contains(&source.kind()) => {}
                Err(RecordingError::Damaged { path, why }) => damaged.push(Gap { path, damage: Some(why) }),
                Err(other) => return Err(other),
            }
        }
        if segments.is_empty() {
            return Err(RecordingError::None(state_dir.to_owned()));
        }
        Ok(Recording { segments, damaged })
    }

    /// How far the host's clock was ahead of these times in the end.
    pub fn offset(&self) -> Offset {
        let mut last = Offset::default();
        let played = self.clone().newest().play::<RecordingError>(|moment| {
            match moment {
                Moment::Begin(head) => last = clock_of(&head.saved).unwrap_or_default(),
                Moment::Input(_, note) => {
                    if let Note::Clock(offset) = *note {
                        last = offset;
                    }
                }
            }
            Ok(())
        });
        // What cannot be read is told by whoever plays it.
        played.map_or(Offset::default(), |_| last)
    }

    /// When the oldest segment begins.
    pub fn begins(&self) -> Time {
        self.segments.first().map_or(Time(0), |(at, _)| *at)
    }

    /// The same without what is needed by nobody who looks at `from` and later: it begins with the last
    /// segment that began by then.
    #[must_use]
    pub fn since(mut self, from: Time) -> Recording {
        let first = self.segments.partition_point(|(at, _)| *at <= from).saturating_sub(1);
        self.segments.drain(..first);
        self
    }

    /// The same, without segments that begin after `to`.
    #[must_use]
    pub fn until(mut self, to: Time) -> Recording {
        let kept = self.segments.partition_point(|(at, _)| *at <= to).max(1);
        self.segments.truncate(kept);
        self
    }

    /// How many bytes its files have.
    pub fn bytes(&self) -> u64 {
        let files = self.segments.iter().filter_map(|(_, segment)| std::fs::metadata(&segment.path).ok());
        files.map(|file| file.len()).sum()
    }

    /// The newest segment alone.
    #[must_use]
    pub fn newest(mut self) -> Recording {
        let before = self.segments.len().saturating_sub(1);
        self.segments.drain(..before);
        self
    }

    /// Calls `each` with all that was put in, in its order; gives the files of which something is missing.
    pub fn play<E: From<RecordingError>>(
        &self,
        mut each: impl FnMut(Moment) -> Result<(), E>,
    ) -> Result<Vec<Gap>, E> {
        let mut gaps = self.damaged.clone();
        let mut before: Option<u64> = None;
        for (_, segment) in &self.segments {
            let (head, frames, whole) = match segment::read(segment) {
                Ok(read) => read,
                Err(RecordingError::Damaged { path, why }) => {
                    gaps.push(Gap { path, damage: Some(why) });
                    before = None;
                    continue;
                }
                Err(other) => return Err(other.into()),
            };
            // An engine goes on only from all that came before.
            let continues = head.continues && before.is_some_and(|before| before + 1 == segment.number);
            let head = Head { continues, ..head };
            let mut decoder = Decoder::new(head.at, head.load.clone());
            each(Moment::Begin(Box::new(head)))?;
            let mut damage = None;
            for frame in frames {
                match decoder.frame(&frame) {
                    Ok(notes) => {
                        for (at, note) in notes {
                            each(Moment::Input(at, Box::new(note)))?;
                        }
                    }
                    Err(why) => {
                        damage = Some(why);
                        break;
                    }
                }
            }
            let whole = whole && damage.is_none();
            before = Some(segment.number).filter(|_| whole);
            if !whole {
                gaps.push(Gap { path: segment.path.clone(), damage });
            }
        }
        Ok(gaps)
    }
}

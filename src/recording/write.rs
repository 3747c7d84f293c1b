//! Writing: the core notes what it puts into the engine, and a thread of its own carries that to the disk,
//! so that a disk that stalls keeps nobody waiting.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::code::Encoder;
use super::segment;
use super::{FOLDER, FRAME, Head, LoadNote, MAX_SEGMENTS, MAX_WORDS, MIN_SEGMENT, QUEUED, RETRY, SEGMENTS};
use crate::engine::{Event, Saved};
use crate::sys::files::{self, Appended};
use crate::time::Time;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes, of all segments.
    pub bytes: u64,
    /// How old the end of the oldest segment may be.
    pub age: Duration,
}

impl Bounds {
    fn segment(&self) -> u64 {
        (self.bytes / SEGMENTS).max(MIN_SEGMENT)
    }
}

/// What keeps the recording from being whole, for those who should know.
pub type Trouble = Arc<Mutex<Option<String>>>;

/// What the thread is told.
enum Work {
    Begin(Box<Head>, Bounds),
    Frame(Vec<u8>),
    /// Says so once everything before it is written.
    Settle(SyncSender<()>),
}

/// The core's end.
pub struct Recorder {
    encoder: Encoder,
    bounds: Bounds,
    to: SyncSender<Work>,
    trouble: Trouble,
    /// Bytes since the segment began, and when it did.
    written: u64,
    began: Time,
    /// Something was lost since: what comes does not follow from what was written.
    gap: bool,
}

impl Recorder {
    /// Starts the thread. Nothing is written before [`Recorder::begin`].
    pub fn start(state_dir: &Path, bounds: Bounds) -> io::Result<Recorder> {
        let (to, work) = sync_channel(QUEUED);
        let trouble = Trouble::default();
        let disk = Disk { state_dir: state_dir.to_owned(), file: None, kept: VecDeque::new(), last: None };
        let theirs = trouble.clone();
        thread::Builder::new().name("recorder".to_owned()).spawn(move || disk.run(&work, &theirs))?;
        let encoder = Encoder::default();
        Ok(Recorder { encoder, bounds, to, trouble, written: 0, began: Time(0), gap: true })
    }

    /// Begins a segment. An engine can begin here from `saved`; it `continues` where one goes on that
    /// everything so far was put into.
    pub fn begin(&mut self, now: Time, continues: bool, saved: Vec<Saved>) {
        self.flush();
        let load = self.encoder.in_force().filter(|_| continues).cloned();
        let continues = continues && !self.gap;
        self.encoder = Encoder::new(now, load.clone());
        (self.written, self.began) = (0, now);
        let head = Box::new(Head { at: now, continues, saved, load });
        self.gap = self.to.try_send(Work::Begin(head, self.bounds)).is_err();
    }

    /// Whether it is time to begin a segment.
    pub fn wants_segment(&self, now: Time) -> bool {
        let age = now.since(self.began);
        if self.gap || self.trouble().is_some() {
            return age >= RETRY;
        }
        self.written >= self.bounds.segment()
            || self.encoder.words() >= MAX_WORDS
            || age >= self.bounds.age / SEGMENTS as u32
    }

    /// What is about to be put into the engine, loads aside.
    pub fn note(&mut self, now: Time, event: &Event) {
        match event {
            Event::Sample(sample) => self.encoder.sample(now, sample),
            Event::Command(command) => self.encoder.command(now, command),
            Event::Clock(offset) => self.encoder.clock(now, *offset),
            Event::Stalled(length) => self.encoder.stalled(now, *length),
            Event::Tick => self.encoder.tick(now),
            Event::Contents(zones) => self.encoder.contents(now, zones),
            // See `Recorder::load`, which knows the text too.
            Event::Load(_) => {}
        }
        if self.encoder.len() >= FRAME {
            self.flush();
        }
    }

    /// A load that is about to be put into the engine; the bounds are its.
    pub fn load(&mut self, now: Time, load: LoadNote, bounds: Bounds) {
        self.bounds = bounds;
        self.encoder.load(now, load);
        self.flush();
    }

    /// Hands over what was noted.
    pub fn flush(&mut self) {
        if self.encoder.is_empty() {
            return;
        }
        let frame = self.encoder.take();
        self.written += frame.len() as u64;
        self.gap |= self.gap || self.to.try_send(Work::Frame(frame)).is_err();
    }

    /// Hands over what was noted and waits, not longer than `patience`, until it is written.
    pub fn settle(&mut self, patience: Duration) {
        self.flush();
        let (done, settled) = sync_channel(1);
        if self.to.try_send(Work::Settle(done)).is_ok() {
            // A disk that stalls is not waited for any longer.
            let _ = settled.recv_timeout(patience);
        }
    }

    /// What is wrong, in words.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The thread's end.
struct Disk {
    state_dir: PathBuf,
    file: Option<Appended>,
    /// Segments there are, the oldest first: number, bytes, and when each begins.
    kept: VecDeque<(u64, u64, Time)>,
    /// The last number given out.
    last: Option<u64>,
}

impl Disk {
    fn run(mut self, work: &Receiver<Work>, trouble: &Trouble) {
        while let Ok(work) = work.recv() {
            let done = match work {
                Work::Begin(head, bounds) => {
                    let begun = self.begin(&head, bounds);
                    if begun.is_ok() {
                        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    }
                    begun
                }
                Work::Frame(payload) => self.append(&payload),
                Work::Settle(done) => {
                    // Whoever asked may have given up.
                    let _ = done.send(());
                    Ok(())
                }
            };
            if let Err(e) = done {
                // What comes next would not follow: nothing is written until the next segment.
                self.file = None;
                let text = format!("the recording could not be written: {e}; replay will show a gap");
                tracing::error!("{text}");
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
            }
        }
    }

    fn begin(&mut self, head: &Head, bounds: Bounds) -> io::Result<()> {
        self.file = None;
        files::make_folder(&self.state_dir.join(FOLDER))?;
        if self.last.is_none() {
            for segment in segment::list(&self.state_dir)? {
                let bytes = fs::metadata(&segment.path)?.len();
                // One that does not say when it begins goes with those before it.
                let at = segment::begins(&segment).unwrap_or_default();
                self.kept.push_back((segment.number, bytes, at));
                self.last = Some(segment.number);
            }
        }
        let number = self.last.map_or(1, |last| last + 1);
        let opening = segment::opening(number, head).map_err(io::Error::other)?;
        let needed = opening.len() as u64 + bounds.segment() + FRAME as u64;
        self.make_room(head.at, needed, bounds)?;
        let path = segment::path(&self.state_dir, number);
        let mut file = Appended::create(&path)?;
        self.last = Some(number);
        // Half a head is nothing that can be read.
        file.write_all(&opening).inspect_err(|_| drop(files::remove(&path)))?;
        self.kept.push_back((number, opening.len() as u64, head.at));
        self.file = Some(file);
        Ok(())
    }

    /// Removes the oldest segments until another one fits.
    fn make_room(&mut self, now: Time, needed: u64, bounds: Bounds) -> io::Result<()> {
        if needed > bounds.bytes {
            let least = needed.div_ceil(1 << 20);
            return Err(io::Error::other(format!(
                "history.max must be {least}MiB or more for so many services"
            )));
        }
        while let Some(&(number, _, _)) = self.kept.front() {
            let bytes: u64 = self.kept.iter().map(|(_, bytes, _)| bytes).sum();
            let ended = self.kept.get(1).map_or(now, |(_, _, at)| *at);
            if bytes + needed <= bounds.bytes
                && now.since(ended) <= bounds.age
                && self.kept.len() < MAX_SEGMENTS
            {
                break;
            }
            files::remove(&segment::path(&self.state_dir, number))?;
            self.kept.pop_front();
        }
        Ok(())
    }

    fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let frame = segment::frame(payload);
        file.write_all(&frame)?;
        if let Some((_, bytes, _)) = self.kept.back_mut() {
            *bytes += frame.len() as u64;
        }
        Ok(())
    }
}

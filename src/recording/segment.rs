//! Segments as files: names, magic, frames.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{FOLDER, Head, MAX_FRAME, RecordingError};
use crate::time::Time;

/// Whose file it is, and in which format.
const MAGIC: &[u8; 8] = b"DETOUR\x00\x01";
/// Magic, number and time.
const FIXED: usize = 24;

/// A segment that is there.
#[derive(Clone, Debug)]
pub struct Segment {
    pub number: u64,
    pub path: PathBuf,
}

/// The segments below a state directory, the oldest first; none where there is no recording.
pub fn list(state_dir: &Path) -> io::Result<Vec<Segment>> {
    let folder = match fs::read_dir(state_dir.join(FOLDER)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder?,
    };
    let mut found = Vec::new();
    for file in folder {
        let path = file?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".seg")?.parse().ok());
        found.extend(number.map(|number| Segment { number, path }));
    }
    found.sort_by_key(|segment| segment.number);
    Ok(found)
}

/// What a segment with this number is called.
pub fn path(state_dir: &Path, number: u64) -> PathBuf {
    state_dir.join(FOLDER).join(format!("{number:010}.seg"))
}

/// What a segment's file begins with, its head included.
pub fn opening(number: u64, head: &Head) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&head.at.0.to_be_bytes());
    bytes.extend(frame(&serde_json::to_vec(head)?));
    Ok(bytes)
}

/// A frame around a payload.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&checksum(payload).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// When a segment begins, by its first bytes.
pub fn begins(segment: &Segment) -> Result<Time, RecordingError> {
    use std::io::Read as _;
    let unreadable = |source| RecordingError::Io { path: segment.path.clone(), source };
    let mut fixed = [0; FIXED];
    fs::File::open(&segment.path).and_then(|mut file| file.read_exact(&mut fixed)).map_err(unreadable)?;
    time(&fixed).ok_or_else(|| damaged(segment, "it does not begin as a recording does"))
}

fn time(fixed: &[u8]) -> Option<Time> {
    let time = fixed.get(16..FIXED)?.try_into().ok()?;
    (fixed.get(..8)? == MAGIC).then(|| Time(u64::from_be_bytes(time)))
}

/// A whole segment: its head, its frames, and whether it ends as it should.
pub fn read(segment: &Segment) -> Result<(Head, Vec<Vec<u8>>, bool), RecordingError> {
    let bytes = fs::read(&segment.path);
    let bytes = bytes.map_err(|source| RecordingError::Io { path: segment.path.clone(), source })?;
    if time(&bytes).is_none() {
        return Err(damaged(segment, "it does not begin as a recording does"));
    }
    let mut rest = &bytes[FIXED..];
    let Some(head) = next(&mut rest) else { return Err(damaged(segment, "its head is cut off")) };
    let head = serde_json::from_slice(head).map_err(|e| damaged(segment, &e.to_string()))?;
    let mut frames = Vec::new();
    while let Some(payload) = next(&mut rest) {
        frames.push(payload.to_vec());
    }
    Ok((head, frames, rest.is_empty()))
}

/// What a segment begins with, whatever comes after.
pub fn head(segment: &Segment) -> Result<Head, RecordingError> {
    use std::io::Read as _;
    let unreadable = |source| RecordingError::Io { path: segment.path.clone(), source };
    let mut file = fs::File::open(&segment.path).map_err(unreadable)?;
    let mut bytes = vec![0; FIXED + 8];
    file.read_exact(&mut bytes).map_err(unreadable)?;
    if time(&bytes).is_none() {
        return Err(damaged(segment, "it does not begin as a recording does"));
    }
    let length = bytes[FIXED..].first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
    file.take(u64::from(length)).read_to_end(&mut bytes).map_err(unreadable)?;
    let head = next(&mut &bytes[FIXED..]).ok_or_else(|| damaged(segment, "its head is cut off"))?;
    serde_json::from_slice(head).map_err(|e| damaged(segment, &e.to_string()))
}

/// The next frame's payload; `None` at the end, and where it does not check.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (sum, after) = after.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (payload, after) = after.split_at_checked(length).filter(|_| length <= MAX_FRAME)?;
    if checksum(payload) != u32::from_be_bytes(*sum) {
        return None;
    }
    *rest = after;
    Some(payload)
}

/// FNV-1a, both halves laid over each other: against bits that fell, not against people.
fn checksum(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ hash >> 32) as u32
}

pub fn damaged(segment: &Segment, why: &str) -> RecordingError {
    RecordingError::Damaged { path: segment.path.clone(), why: why.to_owned() }
}

//! The query log: a line for each query, in a file that is put aside when it is full.
//!
//! ```text
//! 2026-11-21T03:00:00.123Z udp 192.0.2.9:40123 app.example.com. A NOERROR 61
//! when                     how from whom       question           rcode   bytes of the answer
//! ```

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::{Log, Sink};
use crate::answer::Transport;
use crate::dns::{RrType, name_in_message, rcode_name};
use crate::server::Seen;
use crate::sys::files::{self, Appended};
use crate::time::Time;

/// Where the question stands in a query (RFC 1035 section 4.1).
const QUESTION: usize = 12;

/// The file, and how much is in it.
#[derive(Default)]
pub(super) struct Lines {
    target: Option<Log>,
    open: Option<(BufWriter<Appended>, u64)>,
    /// Whether the log has said that it cannot be written.
    told: bool,
}

impl Sink<Log> for Lines {
    fn aim(&mut self, target: Option<Log>) {
        self.pause();
        (self.target, self.open, self.told) = (target, None, false);
    }

    fn take(&mut self, seen: &Seen) -> io::Result<()> {
        let written = self.write(&line(seen));
        if let Err(error) = &written {
            self.open = None;
            if !std::mem::replace(&mut self.told, true) {
                let file = self.target.as_ref().map(|log| log.file.display().to_string()).unwrap_or_default();
                tracing::error!(%error, file, "the query log cannot be written; what it misses is counted");
            }
        } else {
            self.told = false;
        }
        written
    }

    fn pause(&mut self) {
        // What fails here fails at the next line, too, and is told then.
        let _ = self.open.as_mut().map(|(file, _)| file.flush());
    }
}

impl Lines {
    fn write(&mut self, line: &str) -> io::Result<()> {
        let Some(log) = &self.target else { return Err(io::ErrorKind::NotConnected.into()) };
        if let Some((file, size)) = &mut self.open
            && *size + line.len() as u64 > log.max
        {
            file.flush()?;
            let mut aside = log.file.clone().into_os_string();
            aside.push(".1");
            files::rename(&log.file, Path::new(&aside))?;
            self.open = None;
        }
        let (file, size) = match &mut self.open {
            Some(open) => open,
            none => {
                let file = Appended::open(&log.file)?;
                let size = file.len()?;
                none.insert((BufWriter::new(file), size))
            }
        };
        *size += line.len() as u64;
        file.write_all(line.as_bytes())
    }
}

fn line(seen: &Seen) -> String {
    let since = seen.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let how = match seen.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    let question = question(&seen.query).unwrap_or_else(|| "- -".to_owned());
    let rcode = if seen.len == 0 { "-".to_owned() } else { rcode_name(u16::from(seen.rcode)) };
    format!("{at} {how} {} {question} {rcode} {}\n", seen.peer, seen.len)
}

/// The name, as master files have it, and the type that are asked for.
fn question(query: &[u8]) -> Option<String> {
    let (name, end) = name_in_message(query, QUESTION)?;
    let rtype = query.get(end..end + 2)?;
    Some(format!("{name} {}", RrType(u16::from_be_bytes([rtype[0], rtype[1]]))))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn seen(query: &[u8], rcode: u8, len: usize) -> Seen {
        Seen {
            at: UNIX_EPOCH + Duration::from_millis(1_795_230_000_123),
            transport: Transport::Udp,
            peer: "192.0.2.9:40123".parse().unwrap(),
            local: "192.0.2.53:53".parse().unwrap(),
            rcode,
            len,
            query: query.into(),
            answer: Box::default(),
        }
    }

    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03APP\x07example\x00\x00\x1c\x00\x01";

    #[test]
    fn a_line_says_who_asked_for_what_and_what_they_got() {
        let at = "2026-11-21T03:00:00.123Z udp 192.0.2.9:40123";
        assert_eq!(line(&seen(QUERY, 3, 61)), format!("{at} app.example. AAAA NXDOMAIN 61\n"));
        assert_eq!(line(&seen(&QUERY[..20], 1, 12)), format!("{at} - - FORMERR 12\n"));
        assert_eq!(line(&seen(b"x", 0, 0)), format!("{at} - - - 0\n"));
    }

    #[test]
    fn a_full_file_is_put_aside_and_one_that_was_moved_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log { file: folder.path().join("queries.log"), max: 200 };
        let read =
            |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default().lines().count();
        let mut lines = Lines::default();
        assert!(lines.take(&seen(QUERY, 0, 61)).is_err(), "nobody said where to");
        lines.aim(Some(log.clone()));
        // A line is 72 bytes.
        for _ in 0..3 {
            lines.take(&seen(QUERY, 0, 61)).unwrap();
        }
        lines.pause();
        assert_eq!((read("queries.log"), read("queries.log.1")), (1, 2));

        fs::rename(&log.file, folder.path().join("moved")).unwrap();
        lines.aim(Some(log));
        lines.take(&seen(QUERY, 0, 61)).unwrap();
        lines.pause();
        assert_eq!((read("queries.log"), read("moved")), (1, 1));

        lines.aim(Some(Log { file: folder.path().join("none/queries.log"), max: 200 }));
        assert!(lines.take(&seen(QUERY, 0, 61)).is_err());
    }
}

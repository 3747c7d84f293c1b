//! Frame streams to a unix socket, as <https://farsightsec.github.io/fstrm/> has them: a handshake, then frames.
//!
//! ```text
//!  Away ──connect──► READY ──► ◄── ACCEPT ──► START ──► Open: frames ──► STOP, ◄── FINISH
//!   ▲  tried each second                                 │ the reader is gone, or too slow
//!   └────────────────────────────────────────────────────┘
//! ```

use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::payload::{Kind, payload};
use super::{LOOK, Reader, Sink};
use crate::server::Seen;

/// What the frames hold.
const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";
/// How long a reader may take for its part of the handshake, and to read; then it is given up, and called again.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest control frame that is read, in bytes.
const MAX_CONTROL: u32 = 512;
/// What is gathered before it is sent.
const BUFFER: usize = 64 * 1024;
/// Pauses between two calls to a reader that is not there.
const PAUSES: u32 = 1;

/// Control frames.
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;
/// The field of a control frame that says what frames hold.
const FIELD_CONTENT: u32 = 1;

/// The reader, where it is there.
#[derive(Default)]
pub(super) struct Stream {
    target: Option<Reader>,
    open: Option<BufWriter<UnixStream>>,
    /// Pauses until the next call.
    wait: u32,
    /// Whether the log has said that nobody reads.
    told: bool,
}

impl Sink<Reader> for Stream {
    fn aim(&mut self, target: Option<Reader>) {
        if target == self.target && self.open.is_some() {
            return;
        }
        self.close();
        (self.target, self.wait, self.told) = (target, 0, false);
        self.call();
    }

    fn take(&mut self, seen: &Seen) -> io::Result<()> {
        let (Some(reader), Some(open)) = (&self.target, &mut self.open) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let identity = reader.identity.as_deref();
        let mut send = |kind| frame(open, &payload(seen, kind, identity));
        // Who got no answer has asked all the same.
        let sent = send(Kind::AuthQuery)
            .and_then(|()| if seen.answer.is_empty() { Ok(()) } else { send(Kind::AuthResponse) });
        sent.inspect_err(|error| self.gave_up(error))
    }

    fn pause(&mut self) {
        match &mut self.open {
            Some(open) => {
                let flushed = open.flush();
                if let Err(error) = flushed {
                    self.gave_up(&error);
                }
            }
            None if self.wait == 0 => self.call(),
            None => self.wait -= 1,
        }
    }
}

impl Stream {
    fn call(&mut self) {
        let Some(reader) = &self.target else { return };
        match greet(reader) {
            Ok(stream) => {
                tracing::info!("dnstap goes to {}", reader.socket.display());
                (self.open, self.told) = (Some(stream), false);
            }
            Err(error) => {
                self.wait = PAUSES;
                if !std::mem::replace(&mut self.told, true) {
                    let socket = reader.socket.display();
                    tracing::warn!(%error, "nobody reads dnstap at {socket}; it is tried again every {LOOK:?}");
                }
            }
        }
    }

    fn gave_up(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the reader of dnstap is gone or too slow; it is called again");
        // What was begun cannot be ended: half a frame may be on its way.
        if let Some(open) = self.open.take() {
            let _ = open.into_parts();
        }
        (self.wait, self.told) = (PAUSES, true);
    }

    /// Ends the stream as its reader expects, if it is in a mood to.
    fn close(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let ended = control(&mut open, STOP, None).and_then(|()| expect(open.get_mut(), FINISH));
        if let Err(error) = ended {
            tracing::debug!(%error, "the reader of dnstap did not take leave");
            let _ = open.into_parts();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

/// Calls a reader and shakes hands.
fn greet(reader: &Reader) -> io::Result<BufWriter<UnixStream>> {
    let stream = UnixStream::connect(&reader.socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut open = BufWriter::with_capacity(BUFFER, stream);
    control(&mut open, READY, Some(CONTENT))?;
    expect(open.get_mut(), ACCEPT)?;
    control(&mut open, START, Some(CONTENT))?;
    Ok(open)
}

/// Sends a control frame, at once.
fn control(out: &mut impl Write, kind: u32, content: Option<&[u8]>) -> io::Result<()> {
    let mut body = kind.to_be_bytes().to_vec();
    if let Some(content) = content {
        body.extend(FIELD_CONTENT.to_be_bytes());
        body.extend((content.len() as u32).to_be_bytes());
        body.extend(content);
    }
    // An empty frame announces it.
    out.write_all(&0_u32.to_be_bytes())?;
    frame(out, &body)?;
    out.flush()
}

fn frame(out: &mut impl Write, body: &[u8]) -> io::Result<()> {
    out.write_all(&(body.len() as u32).to_be_bytes())?;
    out.write_all(body)
}

/// Reads the control frame that is to come now. What it says of contents is not looked at: there is one kind.
fn expect(from: &mut impl Read, kind: u32) -> io::Result<()> {
    let mut word = || {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes).map(|()| u32::from_be_bytes(bytes))
    };
    let (escape, len, got) = (word()?, word()?, word()?);
    if escape != 0 || !(4..=MAX_CONTROL).contains(&len) || got != kind {
        return Err(io::Error::other("it does not speak frame streams"));
    }
    let mut rest = vec![0; len as usize - 4];
    from.read_exact(&mut rest)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;
    use std::time::SystemTime;

    use super::*;
    use crate::answer::Transport;

    fn seen() -> Seen {
        Seen {
            at: SystemTime::UNIX_EPOCH,
            transport: Transport::Tcp,
            peer: "[2001:db8::9]:4000".parse().unwrap(),
            local: "[2001:db8::53]:53".parse().unwrap(),
            rcode: 0,
            len: 6,
            query: b"query"[..].into(),
            answer: b"answer"[..].into(),
        }
    }

    /// A reader that takes `frames` frames and hangs up, or takes leave where it is asked to stop.
    fn read(listener: &UnixListener, frames: usize) -> Vec<Vec<u8>> {
        let (mut from, _) = listener.accept().unwrap();
        expect(&mut from, READY).unwrap();
        control(&mut from, ACCEPT, Some(CONTENT)).unwrap();
        expect(&mut from, START).unwrap();
        let mut got = Vec::new();
        while got.len() < frames {
            let mut len = [0; 4];
            from.read_exact(&mut len).unwrap();
            let mut body = vec![0; u32::from_be_bytes(len) as usize];
            if body.is_empty() {
                let mut rest = [0; 8];
                from.read_exact(&mut rest).unwrap();
                assert_eq!(rest, [0, 0, 0, 4, 0, 0, 0, 3]);
                control(&mut from, FINISH, None).unwrap();
                break;
            }
            from.read_exact(&mut body).unwrap();
            got.push(body);
        }
        got
    }

    #[test]
    fn a_reader_that_goes_and_comes_gets_what_comes_while_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("tap.sock");
        let reader = Reader { socket: socket.clone(), identity: Some("ns1".to_owned()) };
        let mut stream = Stream::default();
        stream.aim(Some(reader.clone()));
        assert!(stream.take(&seen()).is_err(), "nobody is there");

        let listener = UnixListener::bind(&socket).unwrap();
        let reading = thread::spawn(move || (read(&listener, 2), listener));
        while stream.open.is_none() {
            stream.pause();
        }
        stream.take(&seen()).unwrap();
        stream.pause();
        let (got, listener) = reading.join().unwrap();
        let want = [Kind::AuthQuery, Kind::AuthResponse].map(|kind| payload(&seen(), kind, Some("ns1")));
        assert_eq!(got, want);

        // It hung up: what is sent until that shows is lost, then it is called again.
        while stream.open.is_some() {
            let _ = stream.take(&seen());
            stream.pause();
        }
        let reading = thread::spawn(move || read(&listener, usize::MAX));
        while stream.open.is_none() {
            stream.pause();
        }
        stream.take(&seen()).unwrap();
        // A load that says the same leaves it as it is; one that says nothing ends it in order.
        stream.aim(Some(reader));
        assert!(stream.open.is_some());
        stream.aim(None);
        assert_eq!(reading.join().unwrap(), want);
    }

    #[test]
    fn a_reader_that_does_not_read_is_hung_up_on() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("tap.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let held = thread::spawn(move || {
            let (mut from, _) = listener.accept().unwrap();
            expect(&mut from, READY).unwrap();
            control(&mut from, ACCEPT, None).unwrap();
            from
        });
        let mut stream = Stream::default();
        stream.aim(Some(Reader { socket, identity: None }));
        let _from = held.join().unwrap();
        // The kernel holds some of it; once it holds no more, the patience of one write ends it.
        let many = Seen { query: vec![0; 4096].into(), ..seen() };
        let lost = (0..100_000).any(|_| stream.take(&many).is_err());
        assert!(lost && stream.open.is_none());
    }

    #[test]
    fn what_speaks_something_else_is_no_reader() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("tap.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let other = thread::spawn(move || {
            let (mut from, _) = listener.accept().unwrap();
            from.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        });
        assert!(greet(&Reader { socket, identity: None }).is_err());
        other.join().unwrap();
    }
}

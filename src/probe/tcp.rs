//! The `tcp` probe: a connect, and what is said over it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connection::connect;
use super::failure::{bounded, judge, routed};
use super::progress::Course;
use crate::health::{Failure, Outcome, Phase};
use crate::model::{Expect, MAX_REPLY_READ, Step, TcpProbe};

/// How much of what was expected, and of what came instead, a failure shows, in bytes: both have to fit
/// into its text once they are escaped.
const MAX_SHOWN: usize = 48;
/// What is read in one go, in bytes.
const CHUNK: usize = 4 * 1024;

/// Connects, goes through the steps, and hangs up.
pub(super) async fn ask(to: SocketAddr, tcp: &TcpProbe, course: &Course) -> Outcome {
    let mut stream = match connect(to, course).await {
        Ok(stream) => stream,
        Err(outcome) => return outcome,
    };
    if tcp.steps.is_empty() {
        return Outcome::Ok;
    }
    course.enter(Phase::Reply);
    let mut came = Vec::new();
    for step in &tcp.steps {
        match take(step, &mut stream, &mut came, course).await {
            Ok(None) => {}
            Ok(Some(failure)) => return Outcome::Failed(failure),
            Err(error) => return judge(&error, course.phase(), || routed(to.ip())),
        }
    }
    Outcome::Ok
}

/// Takes one step. What `came` beyond the match is left for the next.
async fn take(
    step: &Step,
    stream: &mut TcpStream,
    came: &mut Vec<u8>,
    course: &Course,
) -> io::Result<Option<Failure>> {
    stream.write_all(&step.send).await?;
    let Some(expect) = &step.expect else { return Ok(None) };
    let mut chunk = [0; CHUNK];
    loop {
        if let Some(end) = end_of_match(expect, came) {
            came.drain(..end);
            course.note(None);
            return Ok(None);
        }
        let missing = || format!("{} is not in {}", shown_expect(expect), shown(came));
        if came.len() >= MAX_REPLY_READ {
            let text = format!("{}, in {MAX_REPLY_READ} bytes", missing());
            return Ok(Some(Failure::Reply(bounded(&text))));
        }
        if !came.is_empty() {
            course.note(Some(Failure::Reply(bounded(&format!("{}, until the timeout", missing())))));
        }
        let room = CHUNK.min(MAX_REPLY_READ - came.len());
        match stream.read(&mut chunk[..room]).await? {
            0 if came.is_empty() => {
                let text = format!("nothing came where {} was expected", shown_expect(expect));
                return Ok(Some(Failure::Closed(bounded(&text))));
            }
            0 => return Ok(Some(Failure::Closed(bounded(&missing())))),
            read => came.extend_from_slice(&chunk[..read]),
        }
    }
}

/// Where what is expected ends in what came.
fn end_of_match(expect: &Expect, came: &[u8]) -> Option<usize> {
    match expect {
        // The configuration holds no empty one, of which there are no windows.
        Expect::Bytes(bytes) => {
            let at = came.windows(bytes.len().max(1)).position(|window| window == bytes)?;
            Some(at + bytes.len())
        }
        Expect::Regex(pattern) => pattern.end_of_match(came),
    }
}

fn shown_expect(expect: &Expect) -> String {
    match expect {
        Expect::Bytes(bytes) => shown(bytes),
        Expect::Regex(pattern) => bounded(&pattern.to_string()).chars().take(MAX_SHOWN).collect(),
    }
}

/// The beginning of some bytes, with nothing in it that a terminal would obey.
fn shown(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(MAX_SHOWN)];
    let more = if bytes.len() > MAX_SHOWN { "…" } else { "" };
    format!("\"{}{more}\"", head.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Pattern;

    #[test]
    fn a_match_ends_where_the_next_step_begins() {
        let check = |expect: Expect, came: &[u8], want: Option<usize>| {
            assert_eq!(end_of_match(&expect, came), want, "{expect:?}");
        };
        let bytes = |text: &str| Expect::Bytes(text.as_bytes().to_vec());
        let regex = |text: &str| Expect::Regex(Pattern::new(text).unwrap());
        check(bytes("220 "), b"220 mail\r\n250", Some(4));
        check(bytes("220 "), b"220", None);
        check(bytes("PONG"), b"+PONG\r\n", Some(5));
        check(regex("^[SN]"), b"N", Some(1));
        check(regex("^[SN]"), b"EN", None);
        check(regex(r"\xff+"), b"a\xff\xffb", Some(3));
    }

    #[test]
    fn what_came_is_shown_tame_and_short() {
        assert_eq!(shown(b"\x1b[2J\"\xff\r\n"), r#""\x1b[2J\"\xff\r\n""#);
        assert_eq!(shown(&[b'a'; 100]), format!("\"{}…\"", "a".repeat(MAX_SHOWN)));
    }
}

//! The beginning of what an endpoint answers, kept so that a failure can say what is wrong with it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is kept, in bytes: the first lines of an answer, where what is no HTTP shows it.
const MAX_HEARD: usize = 4 * 1024;
/// How much of a line is shown, in bytes.
const MAX_SHOWN: usize = 80;

/// What was read so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// What is wrong with the head of an HTTP/1.1 answer (RFC 9112, sections 4 and 5), as far as it was kept.
    pub(super) fn fault(&self) -> Option<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines =
            heard.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let shown = |line: &[u8]| {
            let more = if line.len() > MAX_SHOWN { "…" } else { "" };
            format!("\"{}{more}\"", line[..line.len().min(MAX_SHOWN)].escape_ascii())
        };
        let status = lines.next().filter(|line| !line.is_empty())?;
        if !status.starts_with(b"HTTP/1.") {
            return Some(format!("the answer begins with {}", shown(status)));
        }
        let mut headers = lines.take_while(|line| !line.is_empty());
        let bad = headers.find(|line| !is_header(line))?;
        Some(format!("this header line is invalid: {}", shown(bad)))
    }
}

/// A name, a colon, and a value without control characters.
fn is_header(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (name, value) = line.split_at(colon);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty()
        && name.iter().all(is_token)
        && value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

/// A stream whose beginning is kept.
#[derive(Debug)]
pub(super) struct Listening<S> {
    pub(super) stream: S,
    pub(super) heard: Heard,
}

impl<S: AsyncRead + Unpin> AsyncRead for Listening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        let mut heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let came = &into.filled()[before..];
        let room = MAX_HEARD - heard.len();
        heard.extend_from_slice(&came[..came.len().min(room)]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listening<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_no_http_is_named() {
        let check = |came: &[u8], want: Option<&str>| {
            let heard = Heard(Arc::new(Mutex::new(came.to_vec())));
            assert_eq!(heard.fault().as_deref(), want);
        };
        check(b"", None);
        check(b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nbody\x01", None);
        check(b"SSH-2.0-OpenSSH\x1b[2J\r\n", Some(r#"the answer begins with "SSH-2.0-OpenSSH\x1b[2J""#));
        check(
            b"HTTP/1.1 200 OK\r\nX-A: b\r\nBad Name: x\r\n\r\n",
            Some(r#"this header line is invalid: "Bad Name: x""#),
        );
        check(
            b"HTTP/1.1 200 OK\r\nX-A: b\x00c\r\n\r\n",
            Some(r#"this header line is invalid: "X-A: b\x00c""#),
        );
        check(b"HTTP/1.1 200 OK\r\nno colon\r\n", Some(r#"this header line is invalid: "no colon""#));
    }
}

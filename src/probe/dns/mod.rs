//! The `dns` probe: one question, one answer, held against what is expected.
//!
//! - Over UDP the question is sent again, as it was, after half of the timeout: one lost datagram is the
//!   network's doing. What does not match the question is passed over, as it may be anybody's.
//! - An answer cut short (TC) is asked for again over TCP, within the same run: a resolver would do so
//!   (RFC 7766 section 5), so a server that cannot is one that fails it.
//! - The question has no EDNS, which every server understands.
//!
//! `message` makes the question and reads the answer; here are the sockets.

mod message;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::failure::{judge, routed};
use super::progress::Course;
use crate::dns::Name;
use crate::health::{Failure, Outcome, Phase};
use crate::model::{Check, DnsProbe};

pub use message::{Question, Reply};

/// The longest datagram without EDNS is 512 bytes (RFC 1035 section 4.2.1); what is longer is read in full
/// all the same, as some servers send it.
const MAX_DATAGRAM: usize = 4096;

/// Asks the server at `to`.
pub(super) async fn ask(check: &Check, dns: &DnsProbe, to: SocketAddr, course: &Course) -> Outcome {
    // The host is a name's text, as the check was made.
    let name = check.key.host.as_deref().unwrap_or(".");
    let name: Name = match name.parse() {
        Ok(name) => name,
        Err(why) => return Outcome::Failed(Failure::Other(format!("name {name:?} {why}"))),
    };
    let question = Question::new(random_id(), &name, dns);
    let answered = async {
        if !dns.tcp
            && let Reply::Outcome(outcome) = over_udp(&question, to, check.probe.timeout, course).await?
        {
            return Ok(outcome);
        }
        over_tcp(&question, to, course).await
    };
    answered.await.unwrap_or_else(|error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Outcome::Failed(Failure::Dns("closed before the answer was complete".into()))
        }
        _ => judge(&error, course.phase(), || routed(to.ip())),
    })
}

/// A message id that nobody can foretell: with the kernel's choice of a port it is what a forger has to
/// guess (RFC 5452 section 4). The standard library draws a key for each of these from the host.
fn random_id() -> u16 {
    RandomState::new().hash_one(0_u8) as u16
}

async fn over_udp(
    question: &Question,
    to: SocketAddr,
    timeout: Duration,
    course: &Course,
) -> io::Result<Reply> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Once it is connected the kernel passes on what comes from there alone, refusals by ICMP included.
    socket.connect(to).await?;
    socket.send(question.bytes()).await?;
    course.enter(Phase::FirstByte);
    let again_at = Instant::now() + timeout / 2;
    let mut buffer = [0; MAX_DATAGRAM];
    if let Ok(reply) = timeout_at(again_at, receive(question, &socket, &mut buffer)).await {
        return reply;
    }
    socket.send(question.bytes()).await?;
    receive(question, &socket, &mut buffer).await
}

/// The first datagram that answers the question.
async fn receive(question: &Question, socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Reply> {
    loop {
        let len = socket.recv(buffer).await?;
        match question.reply(&buffer[..len]) {
            Reply::Foreign => {}
            reply => return Ok(reply),
        }
    }
}

/// RFC 1035 section 4.2.2: each message after its length.
async fn over_tcp(question: &Question, to: SocketAddr, course: &Course) -> io::Result<Outcome> {
    let mut stream = TcpStream::connect(to).await?;
    if stream.local_addr()? == to {
        // It met itself: see the tcp probe.
        return Ok(Outcome::Failed(Failure::Refused));
    }
    let mut message = Vec::with_capacity(2 + question.bytes().len());
    message.extend_from_slice(&(question.bytes().len() as u16).to_be_bytes());
    message.extend_from_slice(question.bytes());
    stream.write_all(&message).await?;
    course.enter(Phase::FirstByte);
    let len = usize::from(stream.read_u16().await?);
    course.enter(Phase::Body);
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer).await?;
    let bad = |why: &str| Outcome::Failed(Failure::Dns(why.into()));
    Ok(match question.reply(&answer) {
        Reply::Outcome(outcome) => outcome,
        Reply::Foreign => bad("what came over TCP does not answer the question"),
        Reply::Truncated => bad("truncated over TCP"),
    })
}

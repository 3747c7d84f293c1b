//! Asking a primary: its serial over UDP, or TCP where that fails, and transfers over TCP (RFC 1995 section 2,
//! RFC 5936 section 4.1). Each wait has its bound.

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Sleep, sleep, timeout};
use tracing::debug;

use super::assemble::{Progress, Received, Transfer};
use super::client::{Answer, BadMessage, question};
use super::content::BadTransfer;
use crate::dns::tsig::{Asked, BadAnswer, ask};
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};
use crate::model::Primary;
use crate::sys::clock::wall_secs;
use crate::zone::Zone;

/// How long an answer over UDP is waited for, each time it is asked for.
const UDP_WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// The bound on a connection's setup.
const CONNECT: Duration = Duration::from_secs(10);
/// The bound on each message of an answer, from the one before it.
const MESSAGE: Duration = Duration::from_secs(30);
/// The bound on a whole transfer: 512 MiB at a megabit a second.
const WHOLE: Duration = Duration::from_secs(4_500);
/// The least rate of a transfer, in bytes a second, after [`SLOW_START`]: a line of 64 kbit/s.
const LEAST_RATE: u32 = 8 * 1024;
/// For how long a transfer may be slower than that on the whole.
const SLOW_START: Duration = Duration::from_secs(30);
/// Answers to other questions that are passed over while one is waited for over UDP.
const MAX_FOREIGN: usize = 64;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The connection.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// It hung up.
    #[error("it closed the connection in the middle")]
    Ended,
    /// It was asked over a connection, and the next message did not come.
    #[error("it stopped answering in the middle")]
    Stalled,
    /// Nothing came for too long.
    #[error("no answer")]
    Silent,
    /// What came was too little.
    #[error("it sends less than {LEAST_RATE} bytes a second")]
    TooSlow,
    /// A message.
    #[error("it sent {0}")]
    Message(#[from] BadMessage),
    /// A signature.
    #[error("{0}")]
    Tsig(#[from] BadAnswer),
    /// A transfer.
    #[error(transparent)]
    Transfer(#[from] BadTransfer),
    /// It has the zone from somewhere else than it should.
    #[error("it has no authority over the zone")]
    Lame,
    /// It has no SOA to tell.
    #[error("it answers without the zone's SOA")]
    NoSoa,
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> FetchError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => FetchError::Ended,
            _ => FetchError::Io(error),
        }
    }
}

/// The serial that a primary has.
pub async fn serial(primary: &Primary, zone: &Name) -> Result<Serial, FetchError> {
    for wait in UDP_WAITS {
        // Silence and an answer that did not fit both mean TCP in the end; a refusal over UDP is one over TCP.
        match limited(wait, serial_by_udp(primary, zone)).await {
            Ok(Some(soa)) => return Ok(soa_serial(&soa)),
            Ok(None) => break,
            Err(FetchError::Silent | FetchError::Io(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let by_tcp = async {
        let id = id();
        let (request, mut asked) = request(primary, question(id, zone, RrType::SOA, None));
        let mut stream = connect(primary.address, &request).await?;
        let mut message = read(&mut stream).await?;
        check(&mut asked, &mut message)?;
        let soa = soa_in(&message, id, zone)?.ok_or(BadMessage::Malformed)?;
        Ok(soa_serial(&soa))
    };
    limited(CONNECT + MESSAGE, by_tcp).await
}

/// The SOA as a datagram has it; `None` where it did not fit.
async fn serial_by_udp(primary: &Primary, zone: &Name) -> Result<Option<RrSet>, FetchError> {
    let local = match primary.address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(primary.address).await?;
    let id = id();
    let (request, mut asked) = request(primary, question(id, zone, RrType::SOA, None));
    socket.send(&request).await?;
    let mut message = vec![0; usize::from(u16::MAX)];
    for _ in 0..MAX_FOREIGN {
        let len = socket.recv(&mut message).await?;
        let mut message = message[..len].to_vec();
        let foreign = |e: &BadMessage| *e == BadMessage::Foreign || *e == BadMessage::Malformed;
        // What anybody may have sent is passed over.
        match Answer::read(&message, id, zone, RrType::SOA, true) {
            Err(error) if foreign(&error) => continue,
            Ok(answer) if answer.truncated => return Ok(None),
            _ => {}
        }
        check(&mut asked, &mut message)?;
        return soa_in(&message, id, zone);
    }
    Err(FetchError::Silent)
}

/// Transfers the zone: from `have` on where that can be done, else all of it.
pub async fn fetch(primary: &Primary, zone: &Name, have: Option<Arc<Zone>>) -> Result<Received, FetchError> {
    if have.is_some() {
        match limited(WHOLE, transfer(primary, zone, have)).await {
            // Not all know IXFR, and not all get it right: some hang up, some send a newer SOA alone and nothing
            // after it. The whole zone is always another way (RFC 1995 section 4). Who cannot be reached, or does
            // not trust us, is not asked twice.
            Err(
                error @ (FetchError::Message(_)
                | FetchError::Transfer(_)
                | FetchError::Ended
                | FetchError::Stalled),
            ) => debug!("IXFR of {zone} from {}: {error}; trying AXFR", primary.address),
            outcome => return outcome,
        }
    }
    limited(WHOLE, transfer(primary, zone, None)).await
}

async fn transfer(primary: &Primary, zone: &Name, have: Option<Arc<Zone>>) -> Result<Received, FetchError> {
    let id = id();
    let mut transfer = Transfer::new(zone.clone(), id, have);
    let asked_for = question(id, zone, transfer.qtype(), transfer.have().as_ref());
    let (request, mut asked) = request(primary, asked_for);
    let mut stream = connect(primary.address, &request).await?;
    let mut rate = Rate::new(SLOW_START, LEAST_RATE);
    loop {
        let message = rate.read(&mut stream).await;
        let mut message = message.map_err(|error| match error {
            FetchError::Silent => FetchError::Stalled,
            other => other,
        })?;
        check(&mut asked, &mut message)?;
        if transfer.take(&message)? == Progress::Done {
            break;
        }
    }
    if let Some(asked) = asked {
        asked.finish()?;
    }
    drop(stream);
    if transfer.is_short() {
        return Ok(transfer.finish()?);
    }
    // Reading a large zone takes a while, in which others want to go on.
    let finished = tokio::task::spawn_blocking(move || transfer.finish()).await;
    Ok(finished.map_err(io::Error::other)??)
}

/// An id that nobody guesses.
fn id() -> u16 {
    RandomState::new().hash_one(0u8) as u16
}

/// The request, signed where there is a key, and what its answers are held against.
fn request(primary: &Primary, mut message: Vec<u8>) -> (Vec<u8>, Option<Asked>) {
    let asked = primary.key.as_ref().map(|key| ask(&mut message, key, wall_secs()));
    (message, asked)
}

/// Checks a message's signature and takes it off.
fn check(asked: &mut Option<Asked>, message: &mut Vec<u8>) -> Result<(), FetchError> {
    let Some(asked) = asked else { return Ok(()) };
    let checked = asked.check(message, wall_secs());
    // Whoever refuses without a signature still says why, and is believed that much.
    match (checked, message.get(3).map(|flags| flags & 0xf)) {
        (Err(BadAnswer::Unsigned), Some(rcode @ 1..)) => Err(BadMessage::Rcode(rcode).into()),
        (checked, _) => Ok(checked?),
    }
}

/// The SOA in an answer; `None` where it did not fit.
fn soa_in(message: &[u8], id: u16, zone: &Name) -> Result<Option<RrSet>, FetchError> {
    let answer = Answer::read(message, id, zone, RrType::SOA, true)?;
    if answer.truncated {
        return Ok(None);
    }
    if !answer.authoritative {
        return Err(FetchError::Lame);
    }
    for record in answer.records() {
        let record = record?;
        if record.owner == *zone && record.rtype == RrType::SOA {
            return Ok(Some(RrSet::new(record.owner, RrType::SOA, record.ttl, [record.rdata])));
        }
    }
    Err(FetchError::NoSoa)
}

async fn connect(address: SocketAddr, request: &[u8]) -> Result<TcpStream, FetchError> {
    let mut stream = limited(CONNECT, async { Ok(TcpStream::connect(address).await?) }).await?;
    // A request fits into 64 KiB: it holds two names and two records.
    let framed = [&(request.len() as u16).to_be_bytes()[..], request].concat();
    limited(CONNECT, async { Ok(stream.write_all(&framed).await?) }).await?;
    Ok(stream)
}

/// That a transfer comes at [`LEAST_RATE`]: each byte puts its end off by so much.
struct Rate {
    end: Pin<Box<Sleep>>,
    bytes_per_second: u32,
}

impl Rate {
    fn new(slow_start: Duration, bytes_per_second: u32) -> Rate {
        Rate { end: Box::pin(sleep(slow_start)), bytes_per_second }
    }

    /// The next message.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, FetchError> {
        let message = tokio::select! {
            // What is there already is not late.
            biased;
            message = limited(MESSAGE, read(stream)) => message?,
            () = self.end.as_mut() => return Err(FetchError::TooSlow),
        };
        let earned = Duration::from_secs_f64(message.len() as f64 / f64::from(self.bytes_per_second));
        let end = self.end.deadline() + earned;
        self.end.as_mut().reset(end);
        Ok(message)
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, FetchError> {
    let len = stream.read_u16().await?;
    let mut message = vec![0; usize::from(len)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn limited<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    timeout(limit, work).await.unwrap_or(Err(FetchError::Silent))
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// What becomes of a transfer in messages of so many bytes, one each five milliseconds, that must come to 5,000 bytes
    /// a second.
    async fn transfer_of(bytes: usize) -> Option<FetchError> {
        let (mut near, mut far) = duplex(1 << 20);
        let sending = tokio::spawn(async move {
            let framed = [&(bytes as u16).to_be_bytes()[..], &vec![0; bytes]].concat();
            while far.write_all(&framed).await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        });
        let mut rate = Rate::new(Duration::from_millis(500), 5_000);
        let mut error = None;
        for _ in 0..200 {
            error = error.or(rate.read(&mut near).await.err());
        }
        sending.abort();
        error
    }

    #[tokio::test]
    async fn a_transfer_that_drips_is_broken_off() {
        let error = transfer_of(1).await;
        assert!(matches!(error, Some(FetchError::TooSlow)), "{error:?}");
        assert!(transfer_of(1_000).await.is_none());
    }
}

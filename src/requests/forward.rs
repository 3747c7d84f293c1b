//! Updates of a zone that comes from a primary, on their way to that primary (RFC 2136 section 6).
//!
//! In: an update as it came, whose sender may have it handed on. Out: the answer of the first primary that gives
//! one, as it is: what was signed is verified by whom it was meant for, and so is the answer.

use std::io;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::model::ZoneSource;

/// How many are on their way at once; further ones wait for one to end.
const AT_ONCE: usize = 32;
/// How long one primary has to take an update and answer it; then the next one is asked.
const EACH: Duration = Duration::from_secs(8);
/// Bytes of a header, without which there is no answer.
const HEADER: usize = 12;

static UNDER_WAY: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_ONCE));

/// Hands an update, `message` as it came, on to a primary of its zone; errors say why no primary answered.
pub async fn forward(zone: &ZoneSource, message: &[u8], from: SocketAddr) -> Result<Vec<u8>, String> {
    let apex = &zone.name;
    // Nobody closes it.
    let _permit = UNDER_WAY.acquire().await;
    let mut why = String::new();
    for primary in &zone.primaries {
        let outcome = timeout(EACH, exchange(primary.address, message)).await;
        match outcome.unwrap_or_else(|_| Err(io::Error::other(format!("no answer within {EACH:?}")))) {
            Ok(answer) => {
                let rcode = u16::from(answer[3] & 15);
                info!(
                    "update of {apex} from {from} handed on to {}: {}",
                    primary.address,
                    crate::dns::rcode_name(rcode)
                );
                return Ok(answer);
            }
            Err(error) => {
                warn!("update of {apex} from {from} could not be handed on to {}: {error}", primary.address);
                why = format!("the primary {}: {error}", primary.address);
            }
        }
    }
    Err(why)
}

/// Over TCP, whatever it came by: nobody else's answer can come in between.
async fn exchange(to: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await?;
    // A message came whole, so its length fits.
    let framed = [&(message.len() as u16).to_be_bytes()[..], message].concat();
    stream.write_all(&framed).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if answer.len() < HEADER || answer[..2] != message[..2] || answer[2] & 0x80 == 0 {
        return Err(io::Error::other("an answer to something else"));
    }
    Ok(answer)
}

//! A DNS client just big enough for the demo to see what the world sees.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::dns::{Name, RrType};

/// How long a loopback answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The A records of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// In the answer's order.
    pub addresses: Vec<Ipv4Addr>,
    /// Of the first record, in seconds.
    pub ttl: u32,
}

/// Asks `server` for the A records of `name`, once.
pub async fn ask_a(server: SocketAddr, name: &Name) -> io::Result<Answer> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query(name)).await?;
    let mut buffer = [0; 1232];
    let len = timeout(TIMEOUT, socket.recv(&mut buffer)).await??;
    parse(&buffer[..len], name).ok_or_else(|| io::Error::other("the answer could not be read"))
}

fn query(name: &Name) -> Vec<u8> {
    // Id 0xd7, no flags, one question (RFC 1035 section 4.1.1). A connected socket on loopback needs no
    // random id.
    let mut message = vec![0, 0xd7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(name.as_wire());
    message.extend_from_slice(&RrType::A.0.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// Reads an answer whose records all have the question's owner, as a pointer to it: ours.
fn parse(message: &[u8], name: &Name) -> Option<Answer> {
    let count = u16::from_be_bytes(message.get(6..8)?.try_into().ok()?);
    let mut rest = message.get(12 + name.as_wire().len() + 4..)?;
    let mut answer = Answer::default();
    for _ in 0..count {
        let (head, tail) = rest.split_at_checked(12)?;
        let len = usize::from(u16::from_be_bytes([head[10], head[11]]));
        let (rdata, tail) = tail.split_at_checked(len)?;
        rest = tail;
        if head[..4] == [0xc0, 12, 0, 1] {
            if answer.addresses.is_empty() {
                answer.ttl = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
            }
            answer.addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(rdata).ok()?));
        }
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_records_and_refuses_half_an_answer() {
        let name: Name = "app.example".parse().expect("a name");
        let mut message = query(&name);
        message[7] = 1;
        message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 2]);
        let want = Answer { addresses: vec![Ipv4Addr::new(127, 0, 0, 2)], ttl: 5 };
        assert_eq!(parse(&message, &name), Some(want));
        assert_eq!(parse(&message[..message.len() - 1], &name), None);
        assert_eq!(parse(&message[..5], &name), None);
    }
}

//! A DNS client just big enough for the demo to see what the world sees.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::dns::message::{CLASS_IN, Reader, Section, Writer};
use crate::dns::{Name, RrType};

/// How long a loopback answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The number of every query.
const ID: u16 = 0xd7;

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
    // A connected socket on loopback needs no random id.
    Writer::new(ID, 0).question(name, RrType::A).finish()
}

/// Reads an answer.
fn parse(message: &[u8], name: &Name) -> Option<Answer> {
    let mut answer = Answer::default();
    for record in Reader::new(message)?.records() {
        let record = record.ok()?;
        let is_address =
            (record.section, record.rtype, record.class) == (Section::Answer, RrType::A, CLASS_IN);
        if is_address && record.owner()? == *name {
            if answer.addresses.is_empty() {
                answer.ttl = record.ttl;
            }
            answer.addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(&*record.data()?).ok()?));
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

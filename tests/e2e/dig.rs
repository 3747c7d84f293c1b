//! Asking as clients do: with `dig`, and with a UDP socket whose answers hickory-proto reads.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

/// What a client makes of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub rcode: u16,
    pub authoritative: bool,
    /// The answer section, in the order it came.
    pub records: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub rtype: String,
    pub ttl: u32,
    /// As a zone file has it.
    pub data: String,
}

impl Answer {
    /// What the records hold, sorted.
    pub fn data(&self) -> Vec<&str> {
        let mut data: Vec<&str> = self.records.iter().map(|record| record.data.as_str()).collect();
        data.sort_unstable();
        data
    }

    /// The TTL all records share; `None` when there is none.
    pub fn ttl(&self) -> Option<u32> {
        let first = self.records.first()?.ttl;
        assert!(self.records.iter().all(|record| record.ttl == first), "{self:?}");
        Some(first)
    }

    /// Reads an answer as it came.
    pub fn read(bytes: &[u8]) -> Answer {
        let message = Message::from_vec(bytes).expect("an answer decodes");
        assert_eq!(message.metadata.message_type, MessageType::Response);
        let records = message.answers.iter().map(|record| Record {
            rtype: record.record_type().to_string(),
            ttl: record.ttl,
            data: record.data.to_string(),
        });
        Answer {
            rcode: message.metadata.response_code.into(),
            authoritative: message.metadata.authoritative,
            records: records.collect(),
        }
    }
}

/// A query as a stub resolver sends it.
pub fn query(id: u16, name: &str, rtype: &str) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype.parse::<RecordType>().unwrap()));
    message.to_vec().unwrap()
}

/// A stub resolver with a socket of its own.
pub struct Client {
    socket: UdpSocket,
}

impl Client {
    /// A client of this server. Where the server is to end and come back, make the client before: its port
    /// could be the server's else, and it would hear itself.
    pub fn of(server: SocketAddr) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Client { socket }
    }

    /// One query; `None` when no answer came within five seconds or nobody listens.
    pub fn ask(&self, name: &str, rtype: &str) -> Option<Answer> {
        self.socket.send(&query(0x4454, name, rtype)).ok()?;
        let mut buffer = [0; 4096];
        let len = self.socket.recv(&mut buffer).ok()?;
        Some(Answer::read(&buffer[..len]))
    }
}

/// The same by `dig`.
pub fn dig(server: SocketAddr, name: &str, rtype: &str) -> Answer {
    let output = Command::new("dig")
        .args([&format!("@{}", server.ip()), "-p", &server.port().to_string()])
        .args(["+tries=3", "+time=5", "+norecurse", "+noall", "+comments", "+answer", name, rtype])
        .output()
        .expect("dig runs; ./test installs it");
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, status) = text.split_once("status: ").unwrap_or_else(|| panic!("dig {name} {rtype}: {text}"));
    let (_, flags) = text.split_once(";; flags: ").unwrap();
    let records = text.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty());
    Answer {
        rcode: match status.split(',').next().unwrap() {
            "NOERROR" => 0,
            "SERVFAIL" => 2,
            "NXDOMAIN" => 3,
            "REFUSED" => 5,
            other => panic!("dig {name} {rtype}: {other}"),
        },
        authoritative: flags.split(';').next().unwrap().split(' ').any(|flag| flag == "aa"),
        records: records.map(dig_record).collect(),
    }
}

/// What a resolver is answered that asks for a client.
#[derive(Debug)]
pub struct ForClient {
    /// What the records of the type asked for hold, sorted.
    pub data: Vec<String>,
    /// For how many bits of the client's address that holds; `None` where the answer does not say.
    pub scope: Option<u8>,
}

/// The same by `dig +subnet=CLIENT`, an address or a network.
pub fn dig_for(server: SocketAddr, name: &str, rtype: &str, client: &str) -> ForClient {
    let output = Command::new("dig")
        .args([&format!("@{}", server.ip()), "-p", &server.port().to_string()])
        .args(["+tries=3", "+time=5", "+norecurse", "+nocookie", "+noall", "+comments", "+answer"])
        .args([&format!("+subnet={client}"), name, rtype])
        .output()
        .expect("dig runs; ./test installs it");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("status: NOERROR"), "dig +subnet={client} {name} {rtype}: {text}");
    let scope = text.lines().find_map(|line| line.strip_prefix("; CLIENT-SUBNET: ")?.rsplit_once('/'));
    let records = text.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty());
    let mut data: Vec<String> =
        records.map(dig_record).filter(|record| record.rtype == rtype).map(|record| record.data).collect();
    data.sort_unstable();
    ForClient { data, scope: scope.map(|(_, scope)| scope.parse().unwrap()) }
}

/// `app.example.com.  30  IN  A  192.0.2.10`
fn dig_record(line: &str) -> Record {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, ttl, _, rtype, data @ ..] = &fields[..] else { panic!("not a record: {line}") };
    Record { rtype: (*rtype).to_owned(), ttl: ttl.parse().unwrap(), data: data.join(" ") }
}

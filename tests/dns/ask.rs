//! Asking, and writing answers down so that they can be compared.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::{Name, RData};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};

use crate::server;

/// Long enough for any machine; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A query in the making.
#[derive(Clone)]
pub struct Ask {
    pub id: u16,
    /// The header's second pair of bytes: QR, opcode, AA, TC, RD; RA, Z, AD, CD, RCODE.
    pub flags: [u8; 2],
    pub counts: [u16; 4],
    /// All after the header.
    pub body: Vec<u8>,
    opt: Option<(u16, u32, Vec<u8>)>,
}

/// A query for a name and a type: `ask("www.example.test A")`.
pub fn ask(question: &str) -> Ask {
    let (name, rtype) = question.split_once(' ').expect("a name and a type");
    let mut body = wire(name);
    body.extend(type_number(rtype).to_be_bytes());
    body.extend([0, 1]);
    Ask { id: 0x1dea, flags: [0, 0], counts: [1, 0, 0, 0], body, opt: None }
}

/// A name's wire form; `\.` is a dot inside a label.
pub fn wire(name: &str) -> Vec<u8> {
    let dots = name.replace(r"\.", "\0");
    let mut wire = Vec::new();
    for label in dots.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("a short label"));
        wire.extend(label.replace('\0', ".").bytes());
    }
    wire.push(0);
    wire
}

fn type_number(mnemonic: &str) -> u16 {
    match mnemonic {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "SOA" => 6,
        "PTR" => 12,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        "DNAME" => 39,
        "DS" => 43,
        "IXFR" => 251,
        "AXFR" => 252,
        "ANY" => 255,
        other => other.strip_prefix("TYPE").and_then(|n| n.parse().ok()).expect("a type"),
    }
}

impl Ask {
    /// With EDNS and the largest UDP message the asker takes.
    pub fn edns(mut self, payload: u16) -> Ask {
        self.opt = Some((payload, 0, Vec::new()));
        self
    }

    /// With these extended RCODE, version and flags.
    pub fn edns_flags(mut self, flags: u32) -> Ask {
        self.opt.as_mut().expect("EDNS first").1 = flags;
        self
    }

    pub fn option(mut self, code: u16, data: &[u8]) -> Ask {
        let options = &mut self.opt.as_mut().expect("EDNS first").2;
        options.extend(code.to_be_bytes());
        options.extend(u16::try_from(data.len()).expect("a short option").to_be_bytes());
        options.extend(data);
        self
    }

    pub fn flags(mut self, first: u8, second: u8) -> Ask {
        self.flags = [first, second];
        self
    }

    pub fn class(mut self, class: u16) -> Ask {
        let at = self.body.len() - 2;
        self.body[at..].copy_from_slice(&class.to_be_bytes());
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut counts = self.counts;
        counts[3] += u16::from(self.opt.is_some());
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend(self.flags);
        bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        bytes.extend(&self.body);
        if let Some((payload, flags, options)) = &self.opt {
            bytes.extend([0, 0, 41]);
            bytes.extend(payload.to_be_bytes());
            bytes.extend(flags.to_be_bytes());
            bytes.extend(u16::try_from(options.len()).expect("few options").to_be_bytes());
            bytes.extend(options);
        }
        bytes
    }

    pub fn udp(&self) -> Answer {
        let socket = udp();
        socket.send(&self.bytes()).expect("sent");
        Answer::new(receive(&socket))
    }

    pub fn tcp(&self) -> Answer {
        let mut stream = tcp();
        stream.write_all(&framed(&self.bytes())).expect("sent");
        Answer::new(read_framed(&mut stream))
    }
}

/// A UDP socket connected to the server.
pub fn udp() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server::address()).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

pub fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 65_535];
    let len = socket.recv(&mut bytes).expect("an answer in time");
    bytes.truncate(len);
    bytes
}

/// A TCP connection to the server.
pub fn tcp() -> TcpStream {
    let stream = TcpStream::connect(server::address()).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// With its length before it (RFC 1035 section 4.2.2).
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a message");
    [&len.to_be_bytes()[..], bytes].concat()
}

pub fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).expect("a length in time");
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut bytes).expect("an answer in time");
    bytes
}

/// An answer, as it came and as an independent decoder reads it.
pub struct Answer {
    pub bytes: Vec<u8>,
    pub message: Message,
}

impl Answer {
    pub fn new(bytes: Vec<u8>) -> Answer {
        let message = match Message::from_vec(&bytes) {
            Ok(message) => message,
            Err(error) => panic!("{error}: {bytes:02x?}"),
        };
        Answer { bytes, message }
    }

    /// RCODE and flags, then each record after its section, sorted: the order within an RRset is free.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let sections = [
            ("answer", &self.message.answers),
            ("authority", &self.message.authorities),
            ("additional", &self.message.additionals),
        ];
        for (section, records) in sections {
            for record in records {
                let (rtype, data) = (record.record_type(), rdata_text(&record.data));
                lines.push(format!("{section} {} {} {rtype} {data}", record.name, record.ttl));
            }
        }
        lines.sort();
        lines.insert(0, self.head());
        lines
    }

    /// RCODE and flags: `NOERROR aa`.
    pub fn head(&self) -> String {
        let extended = self.edns().map_or(0, |edns| u16::from(edns.rcode_high()) << 4);
        let rcode = match extended | u16::from(self.bytes[3] & 0xf) {
            0 => "NOERROR".to_owned(),
            1 => "FORMERR".to_owned(),
            3 => "NXDOMAIN".to_owned(),
            4 => "NOTIMP".to_owned(),
            5 => "REFUSED".to_owned(),
            6 => "YXDOMAIN".to_owned(),
            16 => "BADVERS".to_owned(),
            other => format!("RCODE{other}"),
        };
        let bits = [
            ("aa", 2, 0x04),
            ("tc", 2, 0x02),
            ("rd", 2, 0x01),
            ("ra", 3, 0x80),
            ("z", 3, 0x40),
            ("ad", 3, 0x20),
            ("cd", 3, 0x10),
        ];
        let set = bits.iter().filter(|&&(_, at, bit)| self.bytes[at] & bit != 0);
        std::iter::once(rcode).chain(set.map(|&(name, ..)| name.to_owned())).collect::<Vec<_>>().join(" ")
    }

    pub fn edns(&self) -> Option<&Edns> {
        self.message.edns.as_ref()
    }

    pub fn option(&self, code: u16) -> Option<Vec<u8>> {
        let option = self.edns()?.option(EdnsCode::from(code))?;
        Some(option.to_bytes().expect("it was bytes before"))
    }
}

/// RDATA as text, also that of DNAME, which the decoder does not take apart.
fn rdata_text(data: &RData) -> String {
    match data {
        RData::Unknown { code, rdata } if u16::from(*code) == 39 => {
            let name = Name::from_bytes(&rdata.anything).expect("an uncompressed name");
            name.to_string()
        }
        other => other.to_string(),
    }
}

/// Asks over UDP and TCP and compares with `want`: RCODE and flags in the first line, then records after
/// their sections, in any order.
pub fn check(question: &str, want: &str) {
    check_ask(&ask(question), question, want);
}

pub fn check_ask(ask: &Ask, what: &str, want: &str) {
    let mut want: Vec<String> = want.trim().lines().map(|line| line.trim().to_owned()).collect();
    want[1..].sort();
    let ask = ask.clone().edns(1232);
    for (transport, answer) in [("udp", ask.udp()), ("tcp", ask.tcp())] {
        assert_eq!(answer.lines(), want, "{what} over {transport}");
        assert_eq!(answer.bytes[..2], ask.id.to_be_bytes(), "{what}: the id");
        assert_eq!(answer.bytes[12..12 + ask.body.len()], ask.body, "{what}: the question, its case kept");
    }
}

/// Sends bytes that deserve no answer, then a query from the same socket: the first answer is to that.
pub fn check_silence(bytes: &[u8]) {
    let socket = udp();
    socket.send(bytes).expect("sent");
    let mut after = ask("www.example.test A");
    after.id = 0xaf7e;
    socket.send(&after.bytes()).expect("sent");
    assert_eq!(receive(&socket)[..2], [0xaf, 0x7e], "answered: {bytes:02x?}");
}

//! Primaries that mean harm, or are broken: what they send is refused, and what was had goes on.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::harness::until;
use crate::{addresses, config, free_port, local, secondary, settles_on_serial, transferred};

/// A record as messages have it, its owner relative to example.com.
fn record(owner: &str, rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in owner.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    // The question's name stands at 12.
    bytes.extend_from_slice(&[0xc0, 12]);
    bytes.extend_from_slice(&rtype.to_be_bytes());
    bytes.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
    bytes.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    bytes.extend_from_slice(rdata);
    bytes
}

/// The zone's SOA: refreshed each second, and good for a day.
fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = b"\x03ns1\xc0\x0c\x01h\xc0\x0c".to_vec();
    for number in [serial, 1, 1, 86_400, 60] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    record("", 6, &rdata)
}

fn a(owner: &str, last: u8) -> Vec<u8> {
    record(owner, 1, &[192, 0, 2, last])
}

/// A small zone that is right.
fn good(serial: u32) -> Vec<Vec<u8>> {
    vec![soa(serial), record("", 2, b"\x03ns1\xc0\x0c"), a("ns1", 1), a("www", 80), soa(serial)]
}

/// An answer to a question, of these records.
fn message(question: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|&byte| byte == 0).unwrap() + 5;
    let mut bytes = question[..2].to_vec();
    bytes.extend_from_slice(&[0x84, 0, 0, 1]);
    bytes.extend_from_slice(&(records.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&question[12..end]);
    bytes.extend(records.concat());
    bytes
}

/// What a primary does with a transfer, given the question.
type Act = Box<dyn Fn(&mut TcpStream, &[u8]) + Send>;

struct Hostile {
    port: u16,
    /// The serial it tells over UDP.
    serial: Arc<AtomicU32>,
    act: Arc<Mutex<Act>>,
    /// Transfers it was asked for.
    asked: Arc<AtomicUsize>,
}

impl Hostile {
    fn start() -> Hostile {
        let port = free_port();
        let (udp, tcp) = (UdpSocket::bind(local(port)).unwrap(), TcpListener::bind(local(port)).unwrap());
        let hostile = Hostile {
            port,
            serial: Arc::new(AtomicU32::new(1)),
            act: Arc::new(Mutex::new(sends(vec![good(1)]))),
            asked: Arc::default(),
        };
        let serial = hostile.serial.clone();
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((len, from)) = udp.recv_from(&mut question) {
                let answer = message(&question[..len], &[soa(serial.load(Ordering::Relaxed))]);
                let _ = udp.send_to(&answer, from);
            }
        });
        let (act, asked) = (hostile.act.clone(), hostile.asked.clone());
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut len = [0; 2];
                if stream.read_exact(&mut len).is_err() {
                    continue;
                }
                let mut question = vec![0; usize::from(u16::from_be_bytes(len))];
                if stream.read_exact(&mut question).is_err() {
                    continue;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                act.lock().unwrap()(&mut stream, &question);
            }
        });
        hostile
    }

    /// From now on it tells this serial, and does this with who asks.
    fn turns(&self, serial: u32, act: Act) {
        *self.act.lock().unwrap() = act;
        self.serial.store(serial, Ordering::Relaxed);
    }
}

fn send(stream: &mut TcpStream, message: &[u8]) -> bool {
    let framed = [&(message.len() as u16).to_be_bytes()[..], message].concat();
    stream.write_all(&framed).is_ok()
}

/// Answers with these messages, and closes.
fn sends(messages: Vec<Vec<Vec<u8>>>) -> Act {
    Box::new(move |stream, question| {
        for records in &messages {
            if !send(stream, &message(question, records)) {
                return;
            }
        }
    })
}

#[test]
fn what_a_hostile_primary_sends_is_refused_and_the_last_good_zone_goes_on() {
    let hostile = Hostile::start();
    let detour = secondary(&config(free_port(), &format!("\"127.0.0.1:{}\"", hostile.port)));
    settles_on_serial(&detour, 1);
    assert_eq!(addresses(&detour, "www.example.com"), ["192.0.2.80"]);

    let serial = AtomicU32::new(1);
    // What it does, and what the daemon says of it.
    let refused = |act: Act, says: &str| {
        let before = hostile.asked.load(Ordering::Relaxed);
        hostile.turns(serial.fetch_add(1, Ordering::Relaxed) + 1, act);
        until(&format!("{says:?} is said"), || {
            let last = transferred(&detour)["last"].as_str().unwrap().to_owned();
            (hostile.asked.load(Ordering::Relaxed) > before && last.contains(says)).then_some(())
        });
        assert_eq!(addresses(&detour, "www.example.com"), ["192.0.2.80"], "after {says}");
        assert_eq!(detour.serial(), 1, "after {says}");
    };
    let evil = |serial, records: Vec<Vec<u8>>| [vec![soa(serial)], records, vec![soa(serial)]].concat();

    refused(sends(vec![vec![a("www", 66)]]), "not the zone's SOA");
    let mut outside = a("www", 66);
    // www.evil.: no pointer to the zone's name.
    outside.splice(4..6, *b"\x04evil\x00");
    refused(sends(vec![evil(3, vec![outside])]), "does not lie in the zone");
    // Another SOA at the end: the zone changed while it was sent.
    refused(sends(vec![vec![soa(4), a("www", 66), soa(5)]]), "an SOA of serial 5 stands where none belongs");
    // A zone without name servers, and one with a CNAME beside others.
    refused(sends(vec![evil(5, vec![a("www", 66)])]), "the zone has errors");
    let mut both = good(6);
    both.insert(2, record("www", 5, b"\x01x\xc0\x0c"));
    refused(sends(vec![both]), "the zone has errors");
    // It ends in the middle.
    refused(sends(vec![good(7)[..3].to_vec()]), "closed the connection in the middle");
    refused(
        Box::new(|stream, question| {
            let whole = message(question, &good(8));
            let _ = stream.write_all(&(whole.len() as u16).to_be_bytes());
            let _ = stream.write_all(&whole[..40]);
        }),
        "closed the connection in the middle",
    );
    // More after the end, rubbish, messages without end that say nothing.
    let mut more = good(9);
    more.push(a("www", 66));
    refused(sends(vec![more]), "records follow its last one");
    refused(
        Box::new(|stream, _| {
            send(stream, b"rubbish that is none");
        }),
        "it sent",
    );
    refused(
        Box::new(|stream, question| while send(stream, &message(question, &[])) {}),
        "a message that cannot be read",
    );
    // Steps that take away what is not there, and then the whole zone is asked for; it says no.
    refused(
        Box::new(|stream, question| {
            let steps = [soa(12), soa(1), a("nowhere", 1), soa(12), a("www", 66), soa(12)];
            let qtype = question[question[12..].iter().position(|&byte| byte == 0).unwrap() + 14];
            if qtype == 251 {
                send(stream, &message(question, &steps));
            } else {
                let mut refusal = message(question, &[]);
                refusal[3] = 5;
                send(stream, &refusal);
            }
        }),
        "REFUSED",
    );
    // An older serial is no news.
    let asked = hostile.asked.load(Ordering::Relaxed);
    hostile.turns(0, sends(vec![good(0)]));
    until("the older serial is told of", || {
        transferred(&detour)["last"].as_str().unwrap().contains("which is before 1").then_some(())
    });
    assert_eq!((hostile.asked.load(Ordering::Relaxed), detour.serial()), (asked, 1));

    // It comes to its senses.
    hostile.turns(20, sends(vec![good(20)]));
    settles_on_serial(&detour, 20);
}

/// Not all know IXFR: some hang up when they are asked for it, some send a newer SOA and nothing after it. The whole zone
/// is another way.
#[test]
fn a_primary_that_cannot_do_ixfr_is_asked_for_the_whole_zone() {
    let hostile = Hostile::start();
    let detour = secondary(&config(free_port(), &format!("\"127.0.0.1:{}\"", hostile.port)));
    settles_on_serial(&detour, 1);
    let is_ixfr =
        |question: &[u8]| question[question[12..].iter().position(|&byte| byte == 0).unwrap() + 14] == 251;
    for (serial, lone) in [(2, false), (3, true)] {
        let act: Act = Box::new(move |stream, question| {
            if !is_ixfr(question) {
                send(stream, &message(question, &good(serial)));
            } else if lone {
                send(stream, &message(question, &[soa(serial)]));
            }
        });
        hostile.turns(serial, act);
        settles_on_serial(&detour, serial);
        let last = transferred(&detour)["last"].as_str().unwrap().to_owned();
        assert!(last.ends_with("by AXFR"), "{last}");
    }
}

#[test]
fn a_zone_with_an_rrset_past_its_bound_is_not_taken() {
    let hostile = Hostile::start();
    let text = config(free_port(), &format!("\"127.0.0.1:{}\"", hostile.port));
    let detour = secondary(&text.replace("\nprimary = ", "\nmax_rrset_bytes = 512\nprimary = "));
    settles_on_serial(&detour, 1);
    let mut many = good(2);
    many.splice(4..4, (0..40).map(|last| a("many", last)));
    hostile.turns(2, sends(vec![many]));
    until("it is said why", || {
        let last = transferred(&detour)["last"].as_str().unwrap().to_owned();
        let why = "the A records of many.example.com. take 658 bytes in an answer; max_rrset_bytes is 512";
        last.contains(why).then_some(())
    });
    assert_eq!(detour.serial(), 1);
}

#[test]
fn a_zone_without_end_is_given_up() {
    let hostile = Hostile::start();
    hostile.turns(
        2,
        Box::new(|stream, question| {
            let mut records = vec![soa(2)];
            for n in 0u32.. {
                records.extend(
                    (0..200).map(|m| {
                        record(&format!("h{n}x{m}"), 16, &[[250].as_slice(), &[b'x'; 250]].concat())
                    }),
                );
                if !send(stream, &message(question, &records)) {
                    return;
                }
                records.clear();
            }
        }),
    );
    let detour = secondary(&config(free_port(), &format!("\"127.0.0.1:{}\"", hostile.port)));
    until("it is given up", || {
        transferred(&detour)["last"].as_str().unwrap().contains("it has more than").then_some(())
    });
    assert_eq!(detour.ask("www.example.com", "A").rcode, 2);
}

/// A primary on 127.0.0.2 whose every transfer begins and never comes to an end: a small message now and then, over each
/// connection. Its port, and how many transfers it has begun.
fn dripping() -> (u16, Arc<AtomicUsize>) {
    let (port, begun) = (free_port(), Arc::new(AtomicUsize::new(0)));
    let address = std::net::SocketAddr::from(([127, 0, 0, 2], port));
    let (udp, tcp) = (UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap());
    let count = begun.clone();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((len, from)) = udp.recv_from(&mut question) {
            let _ = udp.send_to(&message(&question[..len], &[soa(1)]), from);
        }
    });
    std::thread::spawn(move || {
        let mut open: Vec<(TcpStream, Vec<u8>)> = Vec::new();
        tcp.set_nonblocking(true).unwrap();
        loop {
            while let Ok((mut stream, _)) = tcp.accept() {
                stream.set_nonblocking(false).unwrap();
                let mut len = [0; 2];
                if stream.read_exact(&mut len).is_ok() {
                    let mut question = vec![0; usize::from(u16::from_be_bytes(len))];
                    if stream.read_exact(&mut question).is_ok()
                        && send(&mut stream, &message(&question, &[soa(1)]))
                    {
                        open.push((stream, question));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            open.retain_mut(|(stream, question)| send(stream, &message(question, &[a("www", 80)])));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    (port, begun)
}

#[test]
fn a_primary_that_drips_keeps_no_zone_of_another_waiting() {
    let ((dripping, begun), good) = (dripping(), Hostile::start());
    let other = |n| format!("[[zone]]\nname = \"drip{n}.example\"\nprimary = [\"127.0.0.2:{dripping}\"]\n");
    let others = (0..40).map(other).collect::<Vec<_>>().concat();
    let config = config(free_port(), &format!("\"127.0.0.1:{}\"", good.port));
    // Those that drip are asked first: the good one is added once all that may be are under way.
    let (before, zone) = config.split_once("[[zone]]").unwrap();
    let detour = secondary(&format!("{before}{others}"));
    until("the transfers of those that drip are under way", || {
        (begun.load(Ordering::Relaxed) >= 8).then_some(())
    });
    detour.write_config(&format!("{before}{others}[[zone]]{zone}"));
    detour.told(&["reload"]);
    settles_on_serial(&detour, 1);
    assert_eq!(addresses(&detour, "www.example.com"), ["192.0.2.80"]);
    assert_eq!(detour.ask("drip0.example", "SOA").rcode, 2);
    // Those that wait for their turn are told as well as those that drip.
    until("all that are answered SERVFAIL are told", || {
        (detour.json("/v1/status")["conditions"]["counts"]["zone-unserved"] == 40).then_some(())
    });
}

//! CNAME targets, and a resolver that is there or is not: in namespaces where this test is the name server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use detour::health::{Discard, Failure, Outcome};
use detour::model::{ProbeKind, TcpProbe, Whereto};
use tokio::net::UdpSocket;

use crate::checks::{LONG, SHORT, ask, check};
use crate::namespace::{inside, ip};
use crate::servers::silent;

/// This host's resolver asks 127.0.0.1 once, and waits a second.
pub const RESOLVER: &str = "mount -t tmpfs tmpfs /mnt && echo 'hosts: dns' > /mnt/nsswitch.conf \
    && printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' > /mnt/resolv.conf \
    && mount --bind /mnt/nsswitch.conf /etc/nsswitch.conf \
    && mount --bind /mnt/resolv.conf /etc/resolv.conf && exec \"$@\"";

/// A name server of a few names, each of which it treats in a way of its own; how often it was asked.
pub async fn name_server() -> Arc<AtomicUsize> {
    let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    tokio::spawn(async move {
        let mut message = [0; 512];
        loop {
            let (len, from) = socket.recv_from(&mut message).await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut answer = message[..len].to_vec();
            // RFC 1035, section 4.1.1: a response, with recursion, with this code.
            let mut say = |code: u8, answers: u8| {
                (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80 | code, answers, 0);
            };
            let first = &message[13..][..usize::from(message[12])];
            match first {
                b"missing" => say(3, 0),
                b"broken" => say(2, 0),
                b"silent" => continue,
                // Type A, behind the question's name; any other type is asked for in vain.
                b"there" if message[len - 4..len] == [0, 1, 0, 1] => {
                    say(0, 1);
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
                }
                _ => say(0, 0),
            }
            // EDNS, if there was any, went with the count of additional records.
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    asked
}

#[tokio::test]
async fn a_resolver_that_does_not_answer_is_not_the_sites_failure() {
    if !inside("names::a_resolver_that_does_not_answer_is_not_the_sites_failure", RESOLVER) {
        return;
    }
    ip("link set lo up");
    let to = silent().await;
    let resolving = async |name: &str, timeout| {
        let mut check = check(ProbeKind::Tcp(TcpProbe::default()), to, timeout);
        check.key.whereto = Whereto::Name(name.into());
        ask(check).await
    };
    let local = |outcome: Outcome, why: &str| match outcome {
        Outcome::Discarded(Discard::Local(said)) => assert!(said.contains(why), "{said}"),
        other => panic!("{other}"),
    };
    // Nobody listens there at all.
    local(resolving("there.example.com", LONG).await, "cannot tell the address of there.example.com");

    let asked = name_server().await;
    assert_eq!(resolving("there.example.com", LONG).await, Outcome::Ok);
    let no_address = |name: &str, why: &str| Outcome::Failed(Failure::Resolve(format!("{name}: {why}")));
    let missing = no_address("missing.example.com", "there is no such name");
    assert_eq!(resolving("missing.example.com", LONG).await, missing);
    let empty = no_address("empty.example.com", "it has no address");
    assert_eq!(resolving("empty.example.com", LONG).await, empty);
    local(resolving("broken.example.com", LONG).await, "cannot tell the address of broken.example.com");

    let before = asked.load(Ordering::SeqCst);
    // The resolver gives up, or the run does.
    local(resolving("silent.example.com", LONG).await, "cannot tell the address of silent.example.com");
    local(resolving("silent.example.com", SHORT).await, "silent.example.com: no answer in time");
    assert!(asked.load(Ordering::SeqCst) >= before + 2, "it was asked both times");
    assert_eq!(resolving("there.example.com", LONG).await, Outcome::Ok, "and all is well again");
}

/// As [`RESOLVER`], with a search list, in whose domain every name exists.
const SEARCHING: &str = "mount -t tmpfs tmpfs /mnt && echo 'hosts: dns' > /mnt/nsswitch.conf \
    && printf 'nameserver 127.0.0.1\nsearch there.example.org\noptions timeout:1 attempts:1\n' > /mnt/resolv.conf \
    && mount --bind /mnt/nsswitch.conf /etc/nsswitch.conf \
    && mount --bind /mnt/resolv.conf /etc/resolv.conf && exec \"$@\"";

/// A name server of the domain in the search list alone, where every name has an address.
async fn catch_all() {
    let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    tokio::spawn(async move {
        let mut message = [0; 512];
        loop {
            let (len, from) = socket.recv_from(&mut message).await.unwrap();
            let mut answer = message[..len].to_vec();
            let searched = message[..len].windows(12).any(|part| part == b"\x05there\x07examp");
            let (code, answers) = if searched { (0, 1) } else { (3, 0) };
            (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80 | code, answers, 0);
            if searched {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&answer, from).await.unwrap();
        }
    });
}

#[tokio::test]
async fn the_hosts_search_list_makes_no_dead_cname_target_alive() {
    if !inside("names::the_hosts_search_list_makes_no_dead_cname_target_alive", SEARCHING) {
        return;
    }
    ip("link set lo up");
    let to = silent().await;
    catch_all().await;
    let mut check = check(ProbeKind::Tcp(TcpProbe::default()), to, LONG);
    check.key.whereto = Whereto::Name("lb.gone.example".into());
    let missing = "lb.gone.example: there is no such name".to_owned();
    assert_eq!(ask(check).await, Outcome::Failed(Failure::Resolve(missing)));
}

//! The `icmp` probe: echo requests, and how many of them are replied to.
//!
//! Each run has a socket of its own. Linux lets those in the groups of `net.ipv4.ping_group_range` open
//! sockets that can send echo requests and nothing else, and hands each its own replies; where that is
//! not allowed, a raw socket does, which takes CAP_NET_RAW and sees every ICMP packet of its peer, so a
//! filter in the kernel lets pass those with the run's identifier.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::echo::{Echo, Family};
use super::failure::{judge, routed};
use super::progress::Course;
use crate::health::{Discard, Failure, Outcome, Phase};
use crate::model::IcmpProbe;

/// More than the largest reply with the longest IPv4 header, in bytes.
const MAX_PACKET: usize = 2_048;

/// What it takes to send an echo request, for those who lack it.
pub(super) const NOT_PERMITTED: &str = "not permitted to send ICMP echo requests; let the daemon's group in by the sysctl net.ipv4.ping_group_range, or give the daemon CAP_NET_RAW";

/// Sends the requests and counts the replies, until enough have come or too many cannot.
pub(super) async fn ask(to: IpAddr, icmp: &IcmpProbe, course: &Course) -> Outcome {
    course.enter(Phase::Reply);
    let (socket, raw, id) = match open(Family::of(to)) {
        Ok(opened) => opened,
        Err(why) => return local(why),
    };
    let socket = match connected(socket, to) {
        Ok(socket) => socket,
        Err(error) => return judge(&error, Phase::Reply, || routed(to)),
    };
    let echo = Echo { family: Family::of(to), id, token: RandomState::new().hash_one(id) };
    let mut run = Run { icmp, sent: 0, replied: vec![false; icmp.count as usize], errors: 0 };
    let mut next = Instant::now();
    let mut packet = [0; MAX_PACKET];
    loop {
        let came = tokio::select! {
            biased;
            came = socket.recv(&mut packet) => came.map(|length| echo.replied(&packet[..length], raw)),
            () = sleep_until(next), if run.sent < icmp.count => {
                let request = echo.request(run.sent, icmp.size);
                run.sent += 1;
                next += icmp.spacing;
                socket.send(&request).await.map(|_| None)
            }
        };
        match came {
            Ok(Some(number)) => {
                if let Some(replied) = run.replied.get_mut(number as usize) {
                    *replied = true;
                }
            }
            Ok(None) => {}
            Err(error) => {
                // A router, or this host, says that a request will not arrive.
                let outcome = judge(&error, Phase::Reply, || routed(to));
                run.errors += 1;
                if matches!(outcome, Outcome::Discarded(_)) || run.errors > icmp.max_loss {
                    return outcome;
                }
            }
        }
        if run.got() >= icmp.count - icmp.max_loss {
            return Outcome::Ok;
        }
        let lost = run.sent.saturating_sub(run.got());
        course.note(Some(Failure::Lost { sent: run.sent, lost }));
    }
}

/// How a run stands.
struct Run<'a> {
    icmp: &'a IcmpProbe,
    sent: u32,
    /// By the request's number: a reply that comes twice is one.
    replied: Vec<bool>,
    errors: u32,
}

impl Run<'_> {
    fn got(&self) -> u32 {
        let got = self.replied.iter().filter(|replied| **replied).count();
        u32::try_from(got).unwrap_or(self.icmp.count)
    }
}

fn local(why: String) -> Outcome {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        tracing::error!(%why, "icmp probes say nothing");
    }
    Outcome::Discarded(Discard::Local(why))
}

/// A socket for echo requests, whether it is a raw one, and the identifier they carry; or what this host
/// lacks for it.
pub(super) fn open(family: Family) -> Result<(Socket, bool, u16), String> {
    let (domain, protocol) = match family {
        Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
        Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
    };
    let id = next_id();
    let dgram = Socket::new(domain, Type::DGRAM, Some(protocol));
    let opened = dgram.map(|socket| (socket, false)).or_else(|refused| match refused.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::EPROTONOSUPPORT) => {
            let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
            socket.attach_filter(&filter(family, id))?;
            Ok((socket, true))
        }
        _ => Err(refused),
    });
    match opened {
        Ok((socket, raw)) => Ok((socket, raw, id)),
        Err(error) => Err(match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => NOT_PERMITTED.into(),
            Some(libc::EAFNOSUPPORT) => "no IPv6 on this host".into(),
            Some(libc::EMFILE | libc::ENFILE) => "no file descriptor left; raise the open files limit".into(),
            _ => format!("no socket for ICMP: {error}"),
        }),
    }
}

/// Runs under way have identifiers of their own as long as there are fewer than 2^16.
fn next_id() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two processes of this host should not count in step; the token tells them apart all the same.
    NEXT.fetch_add(1, Ordering::Relaxed) ^ std::process::id() as u16
}

/// Hears from `to` alone, and of the errors on the way there.
fn connected(socket: Socket, to: IpAddr) -> io::Result<UdpSocket> {
    // Without these only the errors that no router sends reach a socket like this (ip(7), IP_RECVERR).
    match to {
        IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
        IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
    }
    socket.connect(&SocketAddr::new(to, 0).into())?;
    socket.set_nonblocking(true)?;
    // To the runtime any socket that sends and receives is a UDP socket.
    UdpSocket::from_std(OwnedFd::from(socket).into())
}

/// Lets pass what has `id` where an echo reply has its identifier.
fn filter(family: Family, id: u16) -> Vec<SockFilter> {
    let code = |code: u32, jt: u8, jf: u8, k: u32| SockFilter::new(code as u16, jt, jf, k);
    let load = match family {
        // These packets have their IP header in front: X becomes its length.
        Family::V4 => vec![
            code(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0),
            code(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, 0, 0, 4),
        ],
        Family::V6 => vec![code(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, 4)],
    };
    let judge = [
        code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, id.into()),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    load.into_iter().chain(judge).collect()
}

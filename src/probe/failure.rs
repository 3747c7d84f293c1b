//! From an error to what came of the run: the endpoint's failure, or this host's fault.
//!
//! The errors of the HTTP client come as a chain of causes. What is asked of each link is its type,
//! never its text, for the text is the library's to change.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use rustls::{AlertDescription, CertificateError};

use crate::health::{Discard, Failure, Outcome, Phase};
use crate::text::is_hidden;
use crate::time::HostTime;

/// The longest text a failure carries, in bytes: it may hold what an endpoint sent.
pub(super) const MAX_TEXT: usize = 200;
/// Links of an error's chain that are looked at.
const MAX_CHAIN: usize = 16;
/// The most bytes an answer's head may have.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// The most header lines an answer may have.
pub(super) const MAX_HEADERS: usize = 100;
/// A port that is well known for nothing (RFC 863).
const DISCARD_PORT: u16 = 9;
/// Names of a certificate that are listed.
const MAX_NAMES: usize = 3;

/// The server asked for what the probe does not have.
pub(super) const NO_CERTIFICATE: &str = "the server asked for a client certificate, and the probe has none; add tls = { certificate = ..., key = ... }";

/// What an error that ended a run in `phase` says. `routed` tells whether this host has a way to the
/// endpoint's address; it is asked only where that is the question.
pub(super) fn judge(error: &(dyn Error + 'static), phase: Phase, routed: impl Fn() -> bool) -> Outcome {
    let mut link = Some(error);
    let mut cut_short = false;
    let mut text = String::new();
    for _ in 0..MAX_CHAIN {
        let Some(cause) = link else { break };
        text = cause.to_string();
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Outcome::Failed(of_tls(tls));
        }
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large) {
            let (bytes, lines) = (MAX_HEAD as u32, MAX_HEADERS as u32);
            return Outcome::Failed(Failure::Head { bytes, lines });
        }
        link = cause.source();
        // HTTP/2's errors hold the operating system's, and do not give it as their source.
        let io = cause.downcast_ref::<h2::Error>().and_then(h2::Error::get_io);
        if let Some(io) = io.or_else(|| cause.downcast_ref()) {
            if let Some(outcome) = of_io(io, phase, &routed) {
                return outcome;
            }
            cut_short |= io.kind() == io::ErrorKind::UnexpectedEof;
            // An io::Error passes over the error it wraps when asked for its source.
            link = io.get_ref().map(|inner| inner as &(dyn Error + 'static));
        }
    }
    Outcome::Failed(match phase {
        Phase::Tls if cut_short => Failure::Tls("closed during the handshake".into()),
        Phase::Tls => Failure::Tls(bounded(&text)),
        Phase::FirstByte | Phase::Body if cut_short => {
            Failure::Protocol("closed before the answer was complete".into())
        }
        Phase::FirstByte | Phase::Body => Failure::Protocol(bounded(&text)),
        Phase::Reply if cut_short => Failure::Reset,
        Phase::Resolve | Phase::Connect | Phase::Reply | Phase::Command => Failure::Other(bounded(&text)),
    })
}

/// What an error of the operating system says, where it has a meaning of its own.
fn of_io(error: &io::Error, phase: Phase, routed: &impl Fn() -> bool) -> Option<Outcome> {
    use io::ErrorKind as Kind;
    let local = |why: &str| Some(Outcome::Discarded(Discard::Local(why.into())));
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            return local("no file descriptor left; raise the open files limit");
        }
        Some(libc::ENOBUFS | libc::ENOMEM) => return local("no memory left for sockets"),
        // No route, or none from an address of its own: IPv6 says it so.
        Some(libc::ENETUNREACH | libc::EADDRNOTAVAIL) if !routed() => {
            return Some(Outcome::Discarded(Discard::NoRoute));
        }
        Some(libc::EADDRNOTAVAIL) => return local("no local address or port left to connect from"),
        Some(libc::EPERM) => return local("not permitted to connect; look at this host's firewall"),
        // Routers can say both of these (RFC 792 code 0, RFC 4443 codes 1 and 5), and a site that is gone
        // from the routing tables is a dead site: only a host without a route of its own is at fault.
        Some(libc::EACCES) if !routed() => {
            return local("not permitted to connect; look at this host's routes");
        }
        _ => {}
    }
    Some(Outcome::Failed(match error.kind() {
        Kind::ConnectionRefused => Failure::Refused,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Failure::Reset,
        Kind::NetworkUnreachable => Failure::Unreachable("network unreachable".into()),
        Kind::HostUnreachable => Failure::Unreachable("host unreachable".into()),
        Kind::PermissionDenied => Failure::Unreachable("prohibited on the way".into()),
        Kind::TimedOut => Failure::Timeout(phase),
        _ => return None,
    }))
}

/// Whether this host's own routing table has a way to `addr`. Connecting a UDP socket sends nothing.
pub(super) fn routed(addr: IpAddr) -> bool {
    let any: IpAddr =
        if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((addr, DISCARD_PORT))).is_ok()
}

fn of_tls(error: &rustls::Error) -> Failure {
    use rustls::{Error as Tls, InvalidMessage};
    match error {
        Tls::InvalidCertificate(why) => of_certificate(why),
        Tls::NoApplicationProtocol => Failure::Alpn("the endpoint took none of the protocols offered".into()),
        Tls::NoCertificatesPresented => Failure::Certificate("none presented".into()),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Failure::Tls("the endpoint does not speak TLS".into())
        }
        Tls::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            Failure::Alpn("the endpoint takes none of the protocols offered".into())
        }
        Tls::AlertReceived(AlertDescription::CertificateRequired) => Failure::Tls(NO_CERTIFICATE.into()),
        Tls::AlertReceived(alert) => Failure::Tls(format!("the endpoint refused the handshake: {alert:?}")),
        other => Failure::Tls(bounded(&other.to_string())),
    }
}

fn of_certificate(error: &CertificateError) -> Failure {
    use CertificateError as Cert;
    // Only the moment in the certificate is named: it is the same in every sample.
    let at = |unix: &rustls::pki_types::UnixTime| HostTime(unix.as_secs().saturating_mul(1000));
    let certificate = |why: &str| Failure::Certificate(bounded(why));
    match error {
        Cert::Expired => certificate("expired"),
        Cert::ExpiredContext { not_after, .. } => Failure::CertificateExpired(at(not_after)),
        Cert::NotValidYet => certificate("not valid yet"),
        Cert::NotValidYetContext { not_before, .. } => {
            certificate(&format!("not valid before {}", at(not_before)))
        }
        Cert::UnknownIssuer => Failure::CertificateIssuer,
        Cert::NotValidForName => Failure::CertificateName("this name".into()),
        Cert::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().take(MAX_NAMES).map(|name| san(name)).collect();
            let more = match presented.len().saturating_sub(MAX_NAMES) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            let names = if names.is_empty() { "no name".into() } else { names.join(", ") };
            Failure::CertificateName(bounded(&format!("{}, but for {names}{more}", expected.to_str())))
        }
        Cert::BadSignature => certificate("bad signature"),
        Cert::Revoked => certificate("revoked"),
        other => certificate(&other.to_string()),
    }
}

/// `DnsName("example.com")`, as rustls writes a subject alternative name, without the wrapping.
fn san(presented: &str) -> &str {
    presented.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(presented)
}

/// The beginning of a text, with nothing in it that a terminal would obey.
pub(super) fn bounded(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_TEXT));
    for c in text.chars() {
        if out.len() + c.len_utf8() > MAX_TEXT {
            out.push('…');
            break;
        }
        out.push(if is_hidden(c) { '?' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn the_operating_systems_words() {
        let check = |code: i32, has_route: bool, want: &str| {
            let direct = judge(&os(code), Phase::Connect, || has_route).to_string();
            assert_eq!(direct, want, "errno {code}");
            let wrapped = judge(&io::Error::other(os(code)), Phase::Connect, || has_route).to_string();
            assert_eq!(wrapped, want, "errno {code}, wrapped");
        };
        check(libc::ECONNREFUSED, true, "connection refused");
        check(libc::ECONNRESET, true, "connection reset");
        check(libc::EPIPE, true, "connection reset");
        check(libc::EHOSTUNREACH, true, "unreachable: host unreachable");
        check(libc::ETIMEDOUT, true, "timeout in connect");
        // A site withdrawn from the routing tables must not pass for a fault of this host.
        check(libc::ENETUNREACH, true, "unreachable: network unreachable");
        check(libc::EACCES, true, "unreachable: prohibited on the way");
        check(libc::ENETUNREACH, false, "discarded: no route to its network from this host");
        check(libc::EADDRNOTAVAIL, false, "discarded: no route to its network from this host");
        check(
            libc::EACCES,
            false,
            "discarded: fault of this host: not permitted to connect; look at this host's routes",
        );
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EADDRNOTAVAIL, libc::EPERM] {
            let outcome = judge(&os(code), Phase::Connect, || true);
            assert!(matches!(outcome, Outcome::Discarded(Discard::Local(_))), "errno {code}: {outcome}");
        }
    }

    #[test]
    fn what_has_no_word_is_told_by_its_phase() {
        let check = |kind: io::ErrorKind, phase: Phase, want: &str| {
            let outcome = judge(&io::Error::new(kind, "odd"), phase, || true);
            assert_eq!(outcome.to_string(), want, "{kind} in {phase}");
        };
        check(io::ErrorKind::UnexpectedEof, Phase::Tls, "TLS: closed during the handshake");
        check(io::ErrorKind::UnexpectedEof, Phase::Body, "bad HTTP: closed before the answer was complete");
        check(io::ErrorKind::InvalidData, Phase::FirstByte, "bad HTTP: odd");
        check(io::ErrorKind::Other, Phase::Connect, "odd");
    }

    #[test]
    fn a_certificates_names_are_listed_and_bounded() {
        let check = |presented: &[&str], want: &str| {
            let error = CertificateError::NotValidForNameContext {
                expected: "app.example.com".try_into().unwrap(),
                presented: presented.iter().map(|&s| s.to_owned()).collect(),
            };
            let said = of_certificate(&error).to_string();
            assert_eq!(said, format!("certificate: not valid for app.example.com, but for {want}"));
        };
        check(&[], "no name");
        check(&["DnsName(\"a.example\")"], "a.example");
        check(&["a", "b", "c", "d", "e"], "a, b, c and 2 more");
    }

    #[test]
    fn texts_are_bounded_and_tame() {
        assert_eq!(bounded("a\u{1b}[2Jb\n"), "a?[2Jb?");
        let long = bounded(&"ä".repeat(MAX_TEXT));
        assert_eq!(long, "ä".repeat(MAX_TEXT / 2) + "…");
    }

    #[test]
    fn loopback_is_always_routed() {
        assert!(routed(Ipv4Addr::LOCALHOST.into()));
    }
}

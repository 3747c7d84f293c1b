//! DNS cookies (RFC 7873), made so that every server of an address understands those of the others
//! (RFC 9018): whoever shows one has received an answer at the address it asks from.

use std::fmt;
use std::net::IpAddr;

use super::siphash::siphash;

/// The COOKIE option (RFC 7873 section 4).
pub(super) const COOKIE: u16 = 10;
/// A client's cookie, in bytes.
pub(super) const CLIENT_LEN: usize = 8;
/// A server's cookie as this one makes it, in bytes.
pub(super) const SERVER_LEN: usize = 16;
/// The lengths a whole option can have where it is more than a client's cookie.
pub(super) const WITH_SERVER: std::ops::RangeInclusive<usize> = 16..=40;

/// The only version there is (RFC 9018 section 4.1), and its three reserved bytes.
const VERSION: [u8; 4] = [1, 0, 0, 0];
/// A cookie's age in seconds from which on a new one is given (RFC 9018 section 4.3).
const FRESH: i32 = 30 * 60;
/// A cookie's age in seconds past which it proves nothing any more, and how far in the future a clock
/// elsewhere may be.
const OLDEST: i32 = 60 * 60;
const EARLIEST: i32 = -5 * 60;

/// A secret that cookies are made with.
pub type Secret = [u8; 16];

/// The secrets of all servers that answer under the same address.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Cookies are made with this one.
    pub current: Secret,
    /// Cookies made with this one are still good, or good already: while one secret follows another, some
    /// servers are ahead (RFC 9018 section 5).
    pub other: Option<Secret>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// What a query's cookies say about who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// There are none.
    #[default]
    None,
    /// A client's cookie alone: it does not know this server yet.
    ClientOnly,
    /// This server's, or one of its fellows': the address is not forged.
    Valid,
    /// Too old, of another secret or address, or made up.
    Bad,
}

/// The cookies of an answer: the client's, back to it, and the server's.
pub(super) type Cookies = [u8; CLIENT_LEN + SERVER_LEN];

/// Judges the COOKIE option of a query that came from `ip` at `now`, in Unix seconds, and gives the one to
/// answer with. `asked` has a client's cookie at least.
pub(super) fn judge(secrets: &Secrets, asked: &[u8], ip: IpAddr, now: u32) -> (Standing, Cookies) {
    let mut cookies = [0; CLIENT_LEN + SERVER_LEN];
    cookies[..CLIENT_LEN].copy_from_slice(&asked[..CLIENT_LEN]);
    if asked.len() == cookies.len() {
        let made = u32::from_be_bytes([asked[12], asked[13], asked[14], asked[15]]);
        // Times wrap around (RFC 9018 section 4.3, by RFC 1982).
        let age = now.wrapping_sub(made).cast_signed();
        let is_by = |secret: Secret| same(asked, hash(secret, asked, ip));
        if asked[CLIENT_LEN] == VERSION[0] && (EARLIEST..=OLDEST).contains(&age) {
            if is_by(secrets.current) {
                if age < FRESH {
                    cookies.copy_from_slice(asked);
                } else {
                    make(&mut cookies, secrets.current, ip, now);
                }
                return (Standing::Valid, cookies);
            }
            if secrets.other.is_some_and(is_by) {
                make(&mut cookies, secrets.current, ip, now);
                return (Standing::Valid, cookies);
            }
        }
    }
    make(&mut cookies, secrets.current, ip, now);
    let standing = if asked.len() == CLIENT_LEN { Standing::ClientOnly } else { Standing::Bad };
    (standing, cookies)
}

/// Makes the server's cookie after the client's.
fn make(cookies: &mut Cookies, secret: Secret, ip: IpAddr, now: u32) {
    cookies[8..12].copy_from_slice(&VERSION);
    cookies[12..16].copy_from_slice(&now.to_be_bytes());
    let hash = hash(secret, cookies, ip);
    cookies[16..].copy_from_slice(&hash);
}

/// Client's cookie, version, reserved bytes, time and address (RFC 9018 section 4.4).
fn hash(secret: Secret, cookies: &[u8], ip: IpAddr) -> [u8; 8] {
    let mut input = [0; 32];
    input[..16].copy_from_slice(&cookies[..16]);
    match ip {
        IpAddr::V4(ip) => {
            input[16..20].copy_from_slice(&ip.octets());
            siphash(secret, &input[..20])
        }
        IpAddr::V6(ip) => {
            input[16..].copy_from_slice(&ip.octets());
            siphash(secret, &input)
        }
    }
}

/// Compares without telling by its time how much of a guess was right.
fn same(asked: &[u8], hash: [u8; 8]) -> bool {
    asked[16..].iter().zip(hash).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
    }

    fn secret(hex: &str) -> Secret {
        bytes(hex).try_into().expect("16 bytes")
    }

    fn check(secrets: &Secrets, ip: &str, now: u32, asked: &str, want: (Standing, &str)) {
        let (standing, cookies) = judge(secrets, &bytes(asked), ip.parse().expect("an address"), now);
        assert_eq!((standing, cookies.to_vec()), (want.0, bytes(want.1)), "{asked} from {ip} at {now}");
    }

    fn alone() -> Secrets {
        Secrets { current: secret("e5e973e5a6b2a43f48e7dc849e37bfcf"), other: None }
    }

    const CLIENT: &str = "198.51.100.100";
    const FIRST: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    const MADE: u32 = 0x5cf7_9f11;

    /// The examples of RFC 9018, appendix A.
    #[test]
    fn gives_what_the_rfc_says() {
        // A.1: a client learns a cookie.
        check(&alone(), CLIENT, MADE, "2464c4abcf10c957", (Standing::ClientOnly, FIRST));
        // A.2: and 40 minutes later a new one.
        let renewed = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
        check(&alone(), CLIENT, 0x5cf7_a871, FIRST, (Standing::Valid, renewed));
        // A.3: another client's is nearly two hours old. (Its reserved bytes are not zero.)
        let old = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
        let renewed = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e";
        check(&alone(), "203.0.113.203", 0x5cf7_a9ac, old, (Standing::Bad, renewed));
        // In its time it was good, and came back as it was.
        check(&alone(), "203.0.113.203", 0x5cf7_8f71, old, (Standing::Valid, old));
        // A.4: the secret changes.
        let rolled = Secrets {
            current: secret("445536bcd2513298075a5d379663c962"),
            other: Some(secret("dd3bdf9344b678b185a6f5cb60fca715")),
        };
        let old = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
        let renewed = "22681ab97d52c298010000005cf7c609a6bb79d16625507a";
        let ip = "2001:db8:220:1:59de:d0f4:8769:82b8";
        check(&rolled, ip, 0x5cf7_c609, old, (Standing::Valid, renewed));
    }

    #[test]
    fn proves_the_address_for_an_hour() {
        let standing = |ip: &str, now: u32, asked: &str| {
            judge(&alone(), &bytes(asked), ip.parse().expect("an address"), now).0
        };
        for (after, want) in [
            (0, Standing::Valid),
            (1799, Standing::Valid),
            (3600, Standing::Valid),
            (3601, Standing::Bad),
            (-300, Standing::Valid),
            (-301, Standing::Bad),
        ] {
            assert_eq!(standing(CLIENT, MADE.wrapping_add_signed(after), FIRST), want, "{after}");
        }
        assert_eq!(standing("198.51.100.101", MADE, FIRST), Standing::Bad);
        assert_eq!(standing(CLIENT, MADE, &FIRST.replacen("01000000", "02000000", 1)), Standing::Bad);
        assert_eq!(standing(CLIENT, MADE, &FIRST.replace("9480", "9481")), Standing::Bad);
        assert_eq!(standing(CLIENT, MADE, &FIRST[..46]), Standing::Bad);
        assert_eq!(standing(CLIENT, MADE, &format!("{FIRST}00")), Standing::Bad);
    }

    #[test]
    fn a_fresh_one_comes_back_as_it_was() {
        check(&alone(), CLIENT, MADE + 1799, FIRST, (Standing::Valid, FIRST));
    }
}

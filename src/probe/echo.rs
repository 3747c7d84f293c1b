//! Echo requests and their replies as bytes (RFC 792, RFC 4443 section 4).

use std::net::IpAddr;

/// The header: type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;
/// A token and the request's number, with which every payload begins.
const MARK: usize = 12;
/// The IPv4 header without options.
const MIN_IPV4: usize = 20;

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(addr: IpAddr) -> Family {
        if addr.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn request(self) -> u8 {
        match self {
            Family::V4 => 8,
            Family::V6 => 128,
        }
    }

    fn reply(self) -> u8 {
        match self {
            Family::V4 => 0,
            Family::V6 => 129,
        }
    }
}

/// The requests of one run. A reply is known by the token, whoever else pings from this host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo {
    pub family: Family,
    /// A socket of the kind DGRAM has the kernel put its own in this place.
    pub id: u16,
    pub token: u64,
}

impl Echo {
    /// Request `number`, with `size` bytes of payload.
    pub(super) fn request(&self, number: u32, size: usize) -> Vec<u8> {
        let mut packet = vec![0; HEADER + size.max(MARK)];
        packet[0] = self.family.request();
        packet[4..6].copy_from_slice(&self.id.to_be_bytes());
        // The sequence number has 16 bits, and a run far fewer requests.
        packet[6..8].copy_from_slice(&(number as u16).to_be_bytes());
        packet[8..16].copy_from_slice(&self.token.to_be_bytes());
        packet[16..20].copy_from_slice(&number.to_be_bytes());
        if self.family == Family::V4 {
            // The kernel computes that of ICMPv6, which covers addresses too (RFC 3542 section 3.1).
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    /// The number of the request that `packet` replies to. On a `raw` IPv4 socket the IP header is
    /// in front.
    pub(super) fn replied(&self, packet: &[u8], raw: bool) -> Option<u32> {
        let packet = if raw && self.family == Family::V4 {
            let length = usize::from(packet.first()? & 0x0f) * 4;
            packet.get(length.max(MIN_IPV4)..)?
        } else {
            packet
        };
        let token = packet.get(8..16)?.try_into().ok().map(u64::from_be_bytes)?;
        let number = packet.get(16..20)?.try_into().ok().map(u32::from_be_bytes)?;
        let sequence = u16::from_be_bytes([packet[6], packet[7]]);
        let ours = packet[0] == self.family.reply() && packet[1] == 0 && token == self.token;
        (ours && sequence == number as u16).then_some(number)
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| b.into()));
    let mut sum: u32 = words.sum(); // at most 2^16 words, as no packet is longer than 2^16 bytes
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Echo = Echo { family: Family::V4, id: 7, token: 99 };

    #[test]
    fn the_checksum_of_a_whole_packet_is_zero() {
        for size in [16, 17, 56, 1232] {
            assert_eq!(checksum(&V4.request(3, size)), 0, "{size} bytes");
        }
        // RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn a_reply_is_known_by_its_token_and_number() {
        let reply = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut packet = V4.request(3, 56);
            packet[0] = 0;
            change(&mut packet);
            packet
        };
        let check = |packet: &[u8], raw: bool, want: Option<u32>| {
            assert_eq!(V4.replied(packet, raw), want, "{packet:?}");
        };
        check(&reply(&|_| {}), false, Some(3));
        check(&reply(&|p| p[0] = 8), false, None); // our own request, as loopback shows it
        check(&reply(&|p| p[1] = 1), false, None);
        check(&reply(&|p| p[7] = 4), false, None);
        check(&reply(&|p| p[15] = 0), false, None); // somebody else's token
        check(&reply(&|p| p.truncate(19)), false, None);
        check(&[], false, None);
        let with_header = |words: u8| [vec![0x40 | words; usize::from(words) * 4], reply(&|_| {})].concat();
        check(&with_header(5), true, Some(3));
        check(&with_header(15), true, Some(3)); // options
        check(&with_header(5)[..20], true, None);
        check(&[], true, None);
    }

    #[test]
    fn families_do_not_mix() {
        let v6 = Echo { family: Family::V6, ..V4 };
        let mut reply = v6.request(1, 16);
        reply[0] = 129;
        assert_eq!((v6.replied(&reply, true), V4.replied(&reply, false)), (Some(1), None));
    }
}

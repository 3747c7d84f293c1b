//! The fields of an SOA that others steer by (RFC 1035 section 3.3.13).

use super::{RrSet, Serial};

/// Serial, refresh, retry, expire, minimum: 32 bits each, at the end of an SOA's RDATA.
const NUMBERS_LEN: usize = 20;

/// The serial; 0 for what is no SOA.
pub fn soa_serial(soa: &RrSet) -> Serial {
    Serial(number(soa, 0))
}

/// The negative TTL's upper bound (RFC 2308 section 4); 0 for what is no SOA.
pub fn soa_minimum(soa: &RrSet) -> u32 {
    number(soa, 4)
}

/// The same SOA with another serial.
#[must_use]
pub fn soa_with_serial(soa: &RrSet, serial: Serial) -> RrSet {
    let mut soa = soa.clone();
    for rdata in &mut soa.rdata {
        if let Some(numbers) = rdata.last_chunk_mut::<NUMBERS_LEN>() {
            numbers[..4].copy_from_slice(&serial.0.to_be_bytes());
        }
    }
    soa
}

/// The `index`th of the five numbers.
fn number(soa: &RrSet, index: usize) -> u32 {
    let numbers = soa.rdata.first().and_then(|rdata| rdata.last_chunk::<NUMBERS_LEN>());
    numbers.and_then(|numbers| numbers[index * 4..].first_chunk()).map_or(0, |four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Name, RrType};

    fn soa() -> RrSet {
        let mut rdata = b"\x02ns\0\x05admin\0".to_vec();
        for number in [2026u32, 3600, 900, 604_800, 300] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        RrSet::new(Name::root(), RrType::SOA, 60, [rdata])
    }

    #[test]
    fn reads_and_moves_the_serial() {
        assert_eq!((soa_serial(&soa()), soa_minimum(&soa())), (Serial(2026), 300));
        let moved = soa_with_serial(&soa(), Serial(7));
        assert_eq!((soa_serial(&moved), soa_minimum(&moved)), (Serial(7), 300));
        assert_eq!(soa_with_serial(&moved, Serial(2026)), soa());
    }

    #[test]
    fn what_is_no_soa_has_no_serial() {
        let set = RrSet::new(Name::root(), RrType::A, 60, [[192, 0, 2, 1]]);
        assert_eq!((soa_serial(&set), soa_minimum(&set)), (Serial(0), 0));
        assert_eq!(soa_with_serial(&set, Serial(1)), set);
    }
}

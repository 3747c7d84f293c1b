//! What holds of the RDATA of every type: its text is read back as the same bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::encoding::{pack_types, print_hex};
use super::rare::ds_digest_len;
use super::types::{Field, shape};
use super::{parse_rdata, rdata_text};
use crate::dns::RrType;
use crate::dns::lex::Lexer;

type Bytes = BoxedStrategy<Vec<u8>>;

/// A type whose shape is known, and RDATA of that shape.
pub(crate) fn shaped() -> impl Strategy<Value = (RrType, Vec<u8>)> {
    let known: Vec<RrType> = (0..=u16::MAX).map(RrType).filter(|&rtype| shape(rtype).is_some()).collect();
    select(known).prop_flat_map(|rtype| {
        let fields = shape(rtype).unwrap_or_default().iter().map(|&field| bytes_of(field));
        fields.collect::<Vec<_>>().prop_map(move |fields| (rtype, fields.concat()))
    })
}

fn bytes_of(field: Field) -> Bytes {
    match field {
        Field::U8 | Field::Algorithm => any_bytes(1..=1),
        Field::U16 | Field::CertType | Field::Type => any_bytes(2..=2),
        Field::U32 | Field::Seconds | Field::Timestamp | Field::V4 => any_bytes(4..=4),
        Field::V6 => any_bytes(16..=16),
        Field::Eui48 => any_bytes(6..=6),
        Field::Eui64 | Field::Id64 => any_bytes(8..=8),
        Field::Name => name().prop_map(|name| name.to_ascii_lowercase()).boxed(),
        Field::CasedName => name(),
        Field::Text => counted(any_bytes(0..=20)),
        Field::Texts => vec(counted(any_bytes(0..=20)), 1..4).prop_map(|texts| texts.concat()).boxed(),
        Field::Tag => counted(vec(select(b"azAZ09".to_vec()), 1..6).boxed()),
        Field::Bare => any_bytes(0..=20),
        Field::Base64 | Field::Hex | Field::Nsap => any_bytes(1..=20),
        Field::Salt => counted(any_bytes(0..=8)),
        Field::Base32 => counted(any_bytes(1..=21)),
        Field::Types => vec(prop_oneof![0..70u16, any::<u16>()], 0..6).prop_map(bitmap).boxed(),
        Field::Loc => location(),
        Field::Ipseckey => gateway(),
        Field::SvcParams => params(),
        Field::DsDigest => digest(|number| (vec![number], ds_digest_len(number).unwrap_or(7))),
        Field::ZoneDigest => digest(|number| (vec![1, number], [20, 48, 64][usize::from(number.min(2)) % 3])),
        Field::Apl => vec(prefix(), 0..4).prop_map(|items| items.concat()).boxed(),
        Field::Wks => (any::<u8>(), vec(any::<u16>(), 0..5))
            .prop_map(|(protocol, ports)| [vec![protocol], bits(&ports)].concat())
            .boxed(),
        Field::NxtTypes => vec(1..=127u16, 0..6).prop_map(|types| bits(&types)).boxed(),
    }
}

/// One item of an APL.
fn prefix() -> Bytes {
    (any::<bool>(), any::<bool>(), 0..=32u8, any_bytes(0..=4))
        .prop_map(|(not, v6, prefix, mut address)| {
            while address.last() == Some(&0) {
                address.pop();
            }
            let family = if v6 { 2 } else { 1 };
            [vec![0, family, prefix, u8::from(not) << 7 | address.len() as u8], address].concat()
        })
        .boxed()
}

/// A number, and a digest as long as it says.
fn digest(of: fn(u8) -> (Vec<u8>, usize)) -> Bytes {
    (0..8u8)
        .prop_flat_map(move |number| {
            let (head, len) = of(number);
            any_bytes(len..=len).prop_map(move |digest| [head.clone(), digest].concat())
        })
        .boxed()
}

/// A bit for each number, the first bit of each byte the highest.
fn bits(numbers: &[u16]) -> Vec<u8> {
    let len = numbers.iter().max().map_or(0, |&most| usize::from(most / 8) + 1);
    let mut bits = vec![0; len];
    for number in numbers {
        bits[usize::from(number / 8)] |= 0x80 >> (number % 8);
    }
    bits
}

/// Any bytes, those with a meaning in master files more often.
fn any_bytes(len: std::ops::RangeInclusive<usize>) -> Bytes {
    let special = select(b" \t\n\r\"\\;()@$.,=#0123456789\0\x7f\xff".to_vec());
    vec(prop_oneof![special, any::<u8>()], len).boxed()
}

fn counted(bytes: Bytes) -> Bytes {
    bytes.prop_map(|bytes| [vec![bytes.len() as u8], bytes].concat()).boxed()
}

fn name() -> Bytes {
    vec(counted(any_bytes(1..=5)), 0..4).prop_map(|labels| [labels.concat(), vec![0]].concat()).boxed()
}

fn bitmap(types: Vec<u16>) -> Vec<u8> {
    let mut bitmap = Vec::new();
    pack_types(types, &mut bitmap);
    bitmap
}

fn location() -> Bytes {
    let size = (1..=9u8, 0..=9u8).prop_map(|(mantissa, exponent)| mantissa << 4 | exponent);
    let angle = |degrees: u32| {
        let (zero, max) = (1u32 << 31, degrees * 3_600_000);
        zero - max..=zero + max
    };
    ([size.clone(), size.clone(), size], angle(90), angle(180), any::<u32>())
        .prop_map(|(sizes, latitude, longitude, altitude)| {
            let places = [latitude, longitude, altitude].map(u32::to_be_bytes);
            [&[0], &sizes[..], places.as_flattened()].concat()
        })
        .boxed()
}

fn gateway() -> Bytes {
    let kinds: [Bytes; 4] = [any_bytes(0..=0), any_bytes(4..=4), any_bytes(16..=16), name()];
    let kind =
        (0..4usize).prop_flat_map(move |kind| kinds[kind].clone().prop_map(move |bytes| (kind as u8, bytes)));
    (any::<u8>(), kind, 0..3u8, any_bytes(1..=9))
        .prop_map(|(precedence, (kind, gateway), algorithm, key)| {
            let key = if algorithm == 0 { vec![] } else { key };
            [vec![precedence, kind, algorithm], gateway, key].concat()
        })
        .boxed()
}

fn params() -> Bytes {
    let fixed = |key: u16, bytes: Bytes| (Just(key), bytes);
    let one = prop_oneof![
        fixed(1, vec(counted(any_bytes(1..=5)), 1..4).prop_map(|ids| ids.concat()).boxed()),
        fixed(3, any_bytes(2..=2)),
        fixed(4, any_bytes(8..=8)),
        fixed(5, any_bytes(1..=9)),
        fixed(6, any_bytes(16..=16)),
        (Just(7u16), "\\PC{0,5}".prop_map(String::into_bytes).boxed()),
        (Just(8u16), any_bytes(0..=0)),
        (9..u16::MAX, any_bytes(0..=9)),
    ];
    let ordered =
        vec(one, 0..5).prop_map(|params| params.into_iter().collect::<std::collections::BTreeMap<_, _>>());
    ordered
        .prop_map(|params| {
            let each = params.into_iter().map(|(key, value)| {
                [key.to_be_bytes().to_vec(), (value.len() as u16).to_be_bytes().to_vec(), value].concat()
            });
            each.collect::<Vec<_>>().concat()
        })
        .boxed()
}

fn reread(rtype: RrType, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    parse_rdata(&mut Lexer::new(text.as_bytes()), rtype, &[0], &mut out).expect(text);
    out
}

proptest! {
    #[test]
    fn rdata_of_its_types_shape_has_text_that_gives_it_back((rtype, rdata) in shaped()) {
        let text = rdata_text(rtype, &rdata);
        prop_assert!(!text.starts_with("\\#"), "{} {}", rtype, text);
        prop_assert_eq!(reread(rtype, &text), rdata, "{} {}", rtype, text);
    }

    #[test]
    fn cut_or_longer_rdata_never_panics((rtype, mut rdata) in shaped(), cut in 0..50usize, more in any_bytes(0..=9)) {
        rdata.truncate(cut);
        rdata.extend(more);
        let text = rdata_text(rtype, &rdata);
        if !text.starts_with("\\#") {
            prop_assert!(reread(rtype, &text).eq_ignore_ascii_case(&rdata), "{} {}", rtype, text);
        }
    }

    #[test]
    fn rfc3597_text_is_read_as_what_it_is((rtype, rdata) in shaped()) {
        let mut hex = String::new();
        print_hex(&rdata, &mut hex);
        prop_assert_eq!(reread(rtype, &format!("\\# {} {hex}", rdata.len())), rdata);
    }
}

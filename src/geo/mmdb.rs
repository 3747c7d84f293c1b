//! Databases for tests, written as MaxMind's specification of the format has it (version 2.0).

use std::net::IpAddr;

use super::Network;

/// A value of a record.
#[allow(dead_code, reason = "the end-to-end tests share this file and need fewer kinds")]
pub(super) enum Value<'v> {
    Text(&'v str),
    Double(f64),
    Number(u32),
    Map(Vec<(&'v str, Value<'v>)>),
}

/// Type and size before a value: sizes here are below 29, which is where longer forms begin.
fn head(out: &mut Vec<u8>, kind: u8, size: usize) {
    assert!(size < 29, "no long values here");
    if kind < 8 {
        out.push(kind << 5 | size as u8);
    } else {
        out.extend([size as u8, kind - 7]);
    }
}

fn encode(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => {
            head(out, 2, text.len());
            out.extend(text.bytes());
        }
        Value::Double(number) => {
            head(out, 3, 8);
            out.extend(number.to_be_bytes());
        }
        Value::Number(number) => {
            head(out, 6, 4);
            out.extend(number.to_be_bytes());
        }
        Value::Map(entries) => {
            head(out, 7, entries.len());
            for (key, value) in entries {
                encode(out, &Value::Text(key));
                encode(out, value);
            }
        }
    }
}

/// What a side of a node leads to.
#[derive(Clone, Copy)]
enum Child {
    Nothing,
    Node(usize),
    Record(usize),
}

/// A database of networks that do not overlap, each with the record of that number.
pub(super) fn database(records: &[Value<'_>], networks: &[(Network, usize)]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut offsets = Vec::new();
    for record in records {
        offsets.push(data.len());
        encode(&mut data, record);
    }
    let mut nodes = vec![[Child::Nothing; 2]];
    for &(network, record) in networks {
        let (bits, prefix) = match network.ip() {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()), usize::from(network.prefix()) + 96),
            IpAddr::V6(ip) => (ip.to_bits(), usize::from(network.prefix())),
        };
        let mut node = 0;
        for depth in 0..prefix {
            let side = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == prefix {
                nodes[node][side] = Child::Record(record);
                break;
            }
            node = match nodes[node][side] {
                Child::Node(next) => next,
                Child::Nothing => {
                    nodes.push([Child::Nothing; 2]);
                    nodes[node][side] = Child::Node(nodes.len() - 1);
                    nodes.len() - 1
                }
                Child::Record(_) => panic!("{network} overlaps another"),
            };
        }
    }
    let mut out = Vec::new();
    for child in nodes.iter().flatten() {
        let number = match *child {
            Child::Nothing => nodes.len(),
            Child::Node(node) => node,
            Child::Record(record) => nodes.len() + 16 + offsets[record],
        };
        out.extend((number as u32).to_be_bytes());
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    head(&mut out, 7, 9);
    let short = |out: &mut Vec<u8>, key: &str, number: u16| {
        encode(out, &Value::Text(key));
        head(out, 5, 2);
        out.extend(number.to_be_bytes());
    };
    short(&mut out, "binary_format_major_version", 2);
    short(&mut out, "binary_format_minor_version", 0);
    short(&mut out, "ip_version", 6);
    short(&mut out, "record_size", 32);
    encode(&mut out, &Value::Text("node_count"));
    encode(&mut out, &Value::Number(nodes.len() as u32));
    encode(&mut out, &Value::Text("database_type"));
    encode(&mut out, &Value::Text("Test"));
    encode(&mut out, &Value::Text("description"));
    encode(&mut out, &Value::Map(vec![]));
    encode(&mut out, &Value::Text("languages"));
    head(&mut out, 11, 0);
    encode(&mut out, &Value::Text("build_epoch"));
    head(&mut out, 9, 8);
    out.extend(1_700_000_000u64.to_be_bytes());
    out
}

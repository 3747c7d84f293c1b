//! RFC 7766, DNS over TCP.

use std::io::{Read, Write};

use crate::ask::{Answer, ask, framed, read_framed, tcp};

/// Section 6.2.1.1: many queries may be on their way at once, and each is answered.
#[test]
fn section_6_2_1_1_pipelining() {
    let mut stream = tcp();
    let mut bytes = Vec::new();
    for id in 0..500 {
        let mut query = ask(if id < 250 { "www.example.test A" } else { "nothing.example.test A" });
        query.id = id;
        bytes.extend(framed(&query.bytes()));
    }
    stream.write_all(&bytes).expect("sent");
    let mut ids: Vec<u16> = (0..500)
        .map(|_| {
            let answer = Answer::new(read_framed(&mut stream));
            let id = u16::from_be_bytes([answer.bytes[0], answer.bytes[1]]);
            assert_eq!(answer.head(), if id < 250 { "NOERROR aa" } else { "NXDOMAIN aa" });
            id
        })
        .collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..500));
}

/// Section 8: the length and the message may come in pieces of any size.
#[test]
fn section_8_pieces() {
    let mut stream = tcp();
    stream.set_nodelay(true).expect("no delay");
    for byte in framed(&ask("www.example.test A").bytes()) {
        stream.write_all(&[byte]).expect("sent");
    }
    assert_eq!(Answer::new(read_framed(&mut stream)).message.answers.len(), 2);
}

/// Section 6.2.1: a connection serves one query after the other.
#[test]
fn section_6_2_1_reuse() {
    let mut stream = tcp();
    for _ in 0..20 {
        stream.write_all(&framed(&ask("www.example.test AAAA").bytes())).expect("sent");
        assert_eq!(Answer::new(read_framed(&mut stream)).message.answers.len(), 1);
    }
}

/// What is no query ends the connection, after the answers to those before it; others are untouched.
/// NSD: it resets the connection.
#[test]
fn what_is_no_query_ends_the_connection() {
    let mut response = ask("www.example.test A").bytes();
    response[2] |= 0x80;
    for junk in [&[][..], &[1, 2, 3], &response] {
        let mut stream = tcp();
        let mut bytes = framed(&ask("www.example.test A").bytes());
        bytes.extend(framed(junk));
        stream.write_all(&bytes).expect("sent");
        assert_eq!(Answer::new(read_framed(&mut stream)).message.answers.len(), 2);
        assert_eq!(stream.read(&mut [0; 1]).expect("closed, not reset"), 0, "{junk:?}");
    }
}

/// Section 6.2.4: a client that has said all it will still gets its answers.
#[test]
fn section_6_2_4_half_closed() {
    let mut stream = tcp();
    stream.write_all(&framed(&ask("large.example.test TXT").bytes())).expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("half closed");
    assert_eq!(Answer::new(read_framed(&mut stream)).message.answers.len(), 27);
    assert_eq!(stream.read(&mut [0; 1]).expect("closed"), 0);
}

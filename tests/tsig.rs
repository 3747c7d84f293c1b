//! TSIG beside another implementation, dnspython: each takes what the other signs, by every algorithm, and
//! refuses what was changed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use detour::dns::tsig::{ALGORITHMS, Algorithm, BadAnswer, Key, Keys, Stream, TsigError, ask, verify};
use detour::sys::clock::wall_secs;
use serde_json::{Value, json};

const SECRET: [u8; 24] = *b"a secret of 24 bytes ...";

/// The other implementation, in a process of its own.
struct Oracle {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Oracle {
    fn start() -> Oracle {
        // Debian's own: another Python may stand before it in the path, without its packages.
        let mut child = Command::new("/usr/bin/python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tsig/oracle.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs; ./test installs it, and dnspython");
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Oracle { child, to, from }
    }

    fn says(&mut self, what: &str, algorithm: &str, mut more: Value) -> Value {
        for (key, value) in
            [("do", what), ("key", "Xfr.example."), ("algorithm", algorithm), ("secret", &hex(&SECRET))]
        {
            more[key] = value.into();
        }
        writeln!(self.to, "{more}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("it ended at {more}"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no message"));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key(algorithm: Algorithm) -> Arc<Key> {
    Arc::new(Key::new("xfr.example".parse().unwrap(), algorithm, SECRET))
}

/// A question for the AXFR of example.com.
fn question() -> Vec<u8> {
    b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\xfc\0\x01".to_vec()
}

/// An answer to it.
fn answer(number: u8) -> Vec<u8> {
    let mut message = b"\x12\x34\x84\0\0\x01\0\x01\0\0\0\0\x07example\x03com\0\0\xfc\0\x01".to_vec();
    message.extend_from_slice(b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x02\x01");
    message.push(b'0' + number);
    message
}

#[test]
fn what_the_other_signs_is_taken_and_what_is_signed_here_the_other_takes() {
    let mut oracle = Oracle::start();
    for (algorithm, name) in ALGORITHMS {
        let keys: Keys = [Key::clone(&key(algorithm))].into_iter().collect();
        // Its requests.
        for edns in [-1, 0] {
            let asked = oracle.says("ask_signed", name, json!({ "edns": edns }));
            let wire = bytes(&asked["wire"]);
            let signed = verify(&keys, &wire, wall_secs()).unwrap().expect("a signature");
            // Our answers to them, one and many.
            for count in [1, 5] {
                let mut stream = Stream::new(&signed);
                let wires: Vec<String> = (0..count)
                    .map(|number| {
                        let mut message = answer(number);
                        stream.sign(&mut message, wall_secs());
                        hex(&message)
                    })
                    .collect();
                let read = oracle.says("read_answers", name, json!({ "wires": wires, "mac": asked["mac"] }));
                assert_eq!(read["signed"], count, "{name}: {read}");
                let mut wrong = wires;
                wrong.last_mut().unwrap().replace_range(26..28, "58");
                let read = oracle.says("read_answers", name, json!({ "wires": wrong, "mac": asked["mac"] }));
                assert!(read["error"].is_string(), "{name}: {read}");
            }
            let mut changed = wire;
            changed[13] ^= 1;
            let refused = verify(&keys, &changed, wall_secs()).expect_err("it was changed");
            assert_eq!(refused.error(), TsigError::BadSig, "{name}");
        }
        // Our requests, and its answers: all signed, every third, and the first and last of a hundred.
        let mut request = question();
        let first = ask(&mut request, &key(algorithm), wall_secs());
        drop(first);
        let read = oracle.says("read_request", name, json!({ "wire": hex(&request) }));
        assert_eq!(read["signed"], true, "{name}: {read}");
        for (count, every) in [(1, 1), (4, 1), (8, 3), (101, 100)] {
            let mut request = question();
            let mut asked = ask(&mut request, &key(algorithm), wall_secs());
            let said = oracle.says(
                "answers",
                name,
                json!({ "wire": hex(&request), "count": count, "every": every }),
            );
            for wire in said["wires"].as_array().unwrap_or_else(|| panic!("{said}")) {
                let mut message = bytes(wire);
                assert_eq!(asked.check(&mut message, wall_secs()), Ok(()), "{name} {count} {every}");
            }
            assert_eq!(asked.finish(), Ok(()), "{name} {count} {every}");
        }
        let mut request = question();
        let mut asked = ask(&mut request, &key(algorithm), wall_secs());
        let said = oracle.says("answers", name, json!({ "wire": hex(&request), "count": 1, "every": 1 }));
        let mut message = bytes(&said["wires"][0]);
        message[42] ^= 1;
        assert_eq!(
            asked.check(&mut message, wall_secs()),
            Err(BadAnswer::Tsig(TsigError::BadSig)),
            "{name}: changed on the way"
        );
    }
}

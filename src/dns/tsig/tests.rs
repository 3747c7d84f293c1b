//! By the sections of RFC 8945.

use std::sync::Arc;

use super::*;

/// When all of this happens.
const NOW: u64 = 1_800_000_000;

fn key(algorithm: Algorithm) -> Key {
    Key::new("xfr.example.com".parse().unwrap(), algorithm, *b"sixteen byte key")
}

fn keys(algorithm: Algorithm) -> Keys {
    [key(algorithm)].into_iter().collect()
}

/// A question for the AXFR of example.com, with an OPT record if `edns`.
fn question(edns: bool) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    message.extend_from_slice(b"\x07example\x03com\x00\x00\xfc\x00\x01");
    if edns {
        message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    message
}

fn signed_question(algorithm: Algorithm) -> Vec<u8> {
    let mut message = question(true);
    ask(&mut message, &Arc::new(key(algorithm)), NOW);
    message
}

fn error_of(outcome: Result<Option<Signed>, Refused>) -> TsigError {
    outcome.expect_err("it should be refused").error()
}

/// A message's signature, its length changed to `len`: cut, or lengthened by zeros.
fn with_mac_len(message: &[u8], algorithm: Algorithm, len: usize) -> Vec<u8> {
    let mac_at = message.len() - 6 - algorithm.mac_len();
    let mut mac = message[mac_at..][..algorithm.mac_len()].to_vec();
    mac.resize(len, 0);
    let mut changed = message[..mac_at - 2].to_vec();
    changed.extend_from_slice(&(len as u16).to_be_bytes());
    changed.extend_from_slice(&mac);
    changed.extend_from_slice(&message[message.len() - 6..]);
    // The length of the RDATA stands before the algorithm's name and ten bytes.
    let rdlen_at = mac_at - 10 - algorithm.wire().len() - 2;
    let rdlen = (changed.len() - rdlen_at - 2) as u16;
    changed[rdlen_at..rdlen_at + 2].copy_from_slice(&rdlen.to_be_bytes());
    changed
}

#[test]
fn section_4_what_is_signed_is_verified_by_every_algorithm() {
    for (algorithm, name) in ALGORITHMS {
        assert_eq!(Algorithm::named(&name.to_uppercase()), Some(algorithm));
        assert_eq!(Algorithm::named(&format!("{name}.")), Some(algorithm));
        for edns in [false, true] {
            let mut message = question(edns);
            ask(&mut message, &Arc::new(key(algorithm)), NOW);
            assert!(message.len() <= question(edns).len() + key(algorithm).record_len(), "{name}");
            let signed = verify(&keys(algorithm), &message, NOW).unwrap().expect("a signature");
            assert_eq!(signed.message(), question(edns), "{name}");
            assert_eq!(**signed.key(), key(algorithm), "{name}");
        }
    }
    assert_eq!(Algorithm::named("hmac-md5.sig-alg.reg.int"), None);
}

#[test]
fn nobody_signed() {
    let keys = keys(Algorithm::HmacSha256);
    assert!(verify(&keys, &question(true), NOW).unwrap().is_none());
    assert!(verify(&keys, &question(false), NOW).unwrap().is_none());
}

#[test]
fn section_5_2_every_changed_byte_is_noticed() {
    let keys = keys(Algorithm::HmacSha256);
    let message = signed_question(Algorithm::HmacSha256);
    for at in 0..message.len() {
        for bit in 0..8 {
            let mut changed = message.clone();
            changed[at] ^= 1 << bit;
            // The id may change on the way: what was signed is the one in the record (section 4.2). And the
            // key's and the algorithm's names have no case.
            let is_same = at < 2 || changed[at].eq_ignore_ascii_case(&message[at]);
            match verify(&keys, &changed, NOW) {
                // A turned count may hide the record, and then nobody signed.
                Ok(signed) => assert!(is_same || signed.is_none(), "byte {at} bit {bit}"),
                Err(refused) => assert!(!is_same || at >= 2, "byte {at} bit {bit}: {refused}"),
            }
        }
    }
}

#[test]
fn section_5_2_the_record_is_the_last_and_the_only_one() {
    let keys = keys(Algorithm::HmacSha256);
    let message = signed_question(Algorithm::HmacSha256);
    // Another record after it.
    let mut more = message.clone();
    more[11] += 1;
    more.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    assert_eq!(error_of(verify(&keys, &more, NOW)), TsigError::Malformed);
    // A second one.
    let mut twice = message.clone();
    ask(&mut twice, &Arc::new(key(Algorithm::HmacSha256)), NOW);
    assert_eq!(error_of(verify(&keys, &twice, NOW)), TsigError::Malformed);
    // Bytes behind it.
    let more = [&message[..], &[0]].concat();
    assert_eq!(error_of(verify(&keys, &more, NOW)), TsigError::Malformed);
    // In the answer section, not the additional one.
    let mut moved = question(false);
    ask(&mut moved, &Arc::new(key(Algorithm::HmacSha256)), NOW);
    moved.swap(11, 7);
    let refused = verify(&keys, &moved, NOW).unwrap_err();
    assert_eq!((refused.error(), refused.rcode()), (TsigError::Malformed, 1));
    // The answer to what cannot be read is a header and the question.
    let answer = refused.answer(&moved).expect("an answer");
    assert_eq!(answer[..12], [0x12, 0x34, 0x81, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(answer[12..], moved[12..29]);
    // Class and TTL are fixed (section 4.2).
    for (at, byte) in [(2, 1), (7, 1)] {
        let mut changed = message.clone();
        let fixed = question(true).len() + "xfr.example.com".len() + 2;
        changed[fixed + at + 1] = byte;
        assert_eq!(error_of(verify(&keys, &changed, NOW)), TsigError::Malformed, "byte {at}");
    }
}

#[test]
fn section_5_2_1_a_key_has_one_name_and_one_algorithm() {
    let message = signed_question(Algorithm::HmacSha256);
    let other = Key::new("other".parse().unwrap(), Algorithm::HmacSha256, *b"sixteen byte key");
    for keys in [Keys::default(), [other].into_iter().collect(), keys(Algorithm::HmacSha512)] {
        let refused = verify(&keys, &message, NOW).unwrap_err();
        assert_eq!((refused.error(), refused.rcode()), (TsigError::BadKey, 9));
        assert_eq!(
            refused.to_string(),
            "key xfr.example.com.: BADKEY: the key is unknown here, or has another algorithm"
        );
        // Unsigned: the server has nothing to sign with (section 5.3.2).
        let answer = refused.answer(&message).expect("an answer");
        let record = record::find(&answer).unwrap().expect("a record");
        assert_eq!((record.mac.len(), record.variables.error, record.original_id), (0, 17, 0x1234));
        assert_eq!(answer[3], 9);
    }
}

#[test]
fn section_5_2_2_a_wrong_secret_is_badsig_and_is_answered_unsigned() {
    let message = signed_question(Algorithm::HmacSha256);
    let wrong = Key::new("xfr.example.com".parse().unwrap(), Algorithm::HmacSha256, *b"another key that");
    let refused = verify(&[wrong].into_iter().collect(), &message, NOW).unwrap_err();
    assert_eq!(refused.error(), TsigError::BadSig);
    let answer = refused.answer(&message).expect("an answer");
    let record = record::find(&answer).unwrap().expect("a record");
    assert_eq!((record.mac.len(), record.variables.error), (0, 16));
}

#[test]
fn section_5_2_2_1_lengths_that_no_algorithm_makes_are_malformed() {
    let check = |algorithm, len, want: Option<TsigError>| {
        let message = with_mac_len(&signed_question(algorithm), algorithm, len);
        let error = verify(&keys(algorithm), &message, NOW).err().map(|refused| refused.error());
        assert_eq!(error, want, "{algorithm:?} cut to {len}");
    };
    check(Algorithm::HmacSha256, 32, None);
    check(Algorithm::HmacSha256, 33, Some(TsigError::Malformed));
    check(Algorithm::HmacSha256, 31, Some(TsigError::BadTrunc));
    check(Algorithm::HmacSha256, 16, Some(TsigError::BadTrunc));
    check(Algorithm::HmacSha256, 15, Some(TsigError::Malformed));
    check(Algorithm::HmacSha256, 0, Some(TsigError::Malformed));
    check(Algorithm::HmacSha1, 10, Some(TsigError::BadTrunc));
    check(Algorithm::HmacSha1, 9, Some(TsigError::Malformed));
    check(Algorithm::HmacSha256To128, 16, None);
    check(Algorithm::HmacSha256To128, 10, Some(TsigError::BadTrunc));
    check(Algorithm::HmacSha512To256, 32, None);
    check(Algorithm::HmacSha512To256, 64, Some(TsigError::Malformed));
}

#[test]
fn section_5_2_3_the_time_is_within_the_fudge_and_the_answer_tells_ours() {
    let keys = keys(Algorithm::HmacSha256);
    let key = Arc::new(key(Algorithm::HmacSha256));
    let mut message = question(true);
    let mut asked = ask(&mut message, &key, NOW);
    assert!(verify(&keys, &message, NOW + 300).is_ok());
    assert!(verify(&keys, &message, NOW - 300).is_ok());
    let late = verify(&keys, &message, NOW + 301).unwrap_err();
    assert_eq!((late.error(), late.rcode()), (TsigError::BadTime, 9));
    assert_eq!(error_of(verify(&keys, &message, NOW - 301)), TsigError::BadTime);
    let mut answer = late.answer(&message).expect("an answer");
    let record = record::find(&answer).unwrap().expect("a record");
    assert_eq!((record.variables.time, record.variables.error), (NOW, 18));
    assert_eq!(record.variables.other, &(NOW + 301).to_be_bytes()[2..]);
    assert_eq!(record.mac.len(), 32);
    // Signed, so that who asked believes it.
    assert_eq!(asked.check(&mut answer, NOW), Err(BadAnswer::Refused(TsigError::BadTime)));
}

#[test]
fn section_5_3_an_answer_is_bound_to_its_request() {
    let keys = keys(Algorithm::HmacSha384);
    let key = Arc::new(key(Algorithm::HmacSha384));
    let (mut first, mut second) = (question(true), question(false));
    let (mut asked_first, mut asked_second) = (ask(&mut first, &key, NOW), ask(&mut second, &key, NOW));
    let signed = verify(&keys, &first, NOW).unwrap().expect("a signature");
    let mut answer = question(false);
    answer[2] |= 0x80;
    let plain = answer.clone();
    sign(&mut answer, &signed, NOW + 1);
    let copy = answer.clone();
    assert_eq!(asked_second.check(&mut answer.clone(), NOW), Err(BadAnswer::Tsig(TsigError::BadSig)));
    assert_eq!(asked_first.check(&mut answer, NOW + 1), Ok(()));
    assert_eq!(answer, plain);
    assert_eq!(asked_first.finish(), Ok(()));
    // And not to be had twice: the second message of a stream goes on from the first.
    assert_eq!(asked_first.check(&mut copy.clone(), NOW), Err(BadAnswer::Tsig(TsigError::BadSig)));
}

#[test]
fn section_5_3_1_streams_may_leave_ninety_nine_unsigned() {
    let keys = keys(Algorithm::HmacSha512);
    let key = Arc::new(key(Algorithm::HmacSha512));
    // The messages that are signed, of how many, and where it is noticed that there are too few.
    let check = |count: u32, is_signed: &dyn Fn(u32) -> bool, fails_at: Option<u32>, ends_well: bool| {
        let mut request = question(true);
        let mut asked = ask(&mut request, &key, NOW);
        let signed = verify(&keys, &request, NOW).unwrap().expect("a signature");
        let (mut prior, mut since, mut begun) = (Box::from(signed.mac()), Vec::new(), false);
        for number in 1..=count {
            let mut message = question(false);
            message[2] |= 0x80;
            message[3] = number as u8;
            if is_signed(number) {
                // As RFC 8945 tells it, and not as `Stream` does it: the unsigned ones are part of it.
                let mut running = key.running();
                record::digest_mac(&mut running, &prior);
                running.update(&since);
                running.update(&message);
                let variables = record::Variables { time: NOW, fudge: 300, error: 0, other: &[] };
                let algorithm = key.algorithm().wire();
                if begun {
                    variables.digest_times(&mut running);
                } else {
                    variables.digest(&mut running, key.name(), &algorithm);
                }
                prior = running.finish();
                record::append(&mut message, key.name(), &algorithm, &variables, &prior, 0x1234);
                (since, begun) = (Vec::new(), true);
            } else {
                since.extend_from_slice(&message);
            }
            let outcome = asked.check(&mut message, NOW);
            if Some(number) == fails_at {
                assert_eq!(outcome, Err(BadAnswer::Unsigned), "message {number}");
                return;
            }
            assert_eq!(outcome, Ok(()), "message {number}");
        }
        assert_eq!((fails_at, asked.finish().is_ok()), (None, ends_well));
    };
    check(5, &|_| true, None, true);
    check(101, &|number| number == 1 || number == 101, None, true);
    check(102, &|number| number == 1 || number == 102, Some(101), false);
    check(3, &|number| number == 1, None, false);
    check(3, &|number| number > 1, Some(1), false);
}

#[test]
fn section_5_3_1_a_stream_of_ours_is_signed_throughout_and_in_order() {
    let keys = keys(Algorithm::HmacSha224);
    let key = Arc::new(key(Algorithm::HmacSha224));
    let mut request = question(true);
    let mut asked = ask(&mut request, &key, NOW);
    let signed = verify(&keys, &request, NOW).unwrap().expect("a signature");
    let mut stream = Stream::new(&signed);
    let messages: Vec<Vec<u8>> = (0..4)
        .map(|number| {
            let mut message = question(false);
            message[3] = number;
            stream.sign(&mut message, NOW);
            message
        })
        .collect();
    assert_eq!(asked.check(&mut messages[0].clone(), NOW), Ok(()));
    assert_eq!(asked.check(&mut messages[1].clone(), NOW), Ok(()));
    // One is missing.
    assert_eq!(asked.check(&mut messages[3].clone(), NOW), Err(BadAnswer::Tsig(TsigError::BadSig)));
}

#[test]
fn section_5_4_refusals_are_understood() {
    let key = Arc::new(key(Algorithm::HmacSha256));
    let answered = |keys: &Keys| {
        let mut request = question(true);
        let mut asked = ask(&mut request, &key, NOW);
        let mut answer = verify(keys, &request, NOW).unwrap_err().answer(&request).expect("an answer");
        asked.check(&mut answer, NOW)
    };
    assert_eq!(answered(&Keys::default()), Err(BadAnswer::Refused(TsigError::BadKey)));
    let wrong = Key::new("xfr.example.com".parse().unwrap(), Algorithm::HmacSha256, *b"another key that");
    assert_eq!(answered(&[wrong].into_iter().collect()), Err(BadAnswer::Refused(TsigError::BadSig)));
    // An answer that nobody signed is none, whatever it says.
    let mut asked = ask(&mut question(true), &key, NOW);
    assert_eq!(asked.check(&mut question(false), NOW), Err(BadAnswer::Unsigned));
    // Nor is one by another key.
    let other = Arc::new(Key::new("other".parse().unwrap(), Algorithm::HmacSha256, *b"sixteen byte key"));
    let mut answer = question(false);
    ask(&mut answer, &other, NOW);
    assert_eq!(asked.check(&mut answer, NOW), Err(BadAnswer::OtherKey));
}

#[test]
fn answers_and_scraps_get_no_answer() {
    let mut response = signed_question(Algorithm::HmacSha256);
    response[2] |= 0x80;
    let refused = verify(&Keys::default(), &response, NOW).unwrap_err();
    assert_eq!(refused.answer(&response), None);
    let refused = verify(&Keys::default(), &[0; 11], NOW).unwrap_err();
    assert_eq!(refused.answer(&[0; 11]), None);
}

#[test]
fn secrets_are_not_shown() {
    let keys = keys(Algorithm::HmacSha256);
    assert_eq!(format!("{keys:?}"), "Keys({xfr.example.com.: Key(xfr.example.com., hmac-sha256, ..)})");
    let signed = verify(&keys, &signed_question(Algorithm::HmacSha256), NOW).unwrap().expect("a signature");
    assert!(!format!("{signed:?}").contains("sixteen"));
}

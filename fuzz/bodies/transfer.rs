//! Any bytes as the messages of a transfer, each after its length in two bytes, as on a connection: a zone comes
//! out, or a refusal. A zone that does can be read again from its text, and holds nothing of another zone; where it came
//! as steps, a file of these leads to it, too. And any bytes as such a file.

use std::sync::Arc;

use detour::dns::Name;
use detour::transfer::inbound::{Progress, Received, Transfer};
use detour::zone::{STEPS_HEAD, Zone, canonical_lines, parse};

/// What is had before.
pub const HAVE: &str =
    "@ 300 SOA ns h 1 3600 600 86400 60\n@ 300 NS ns\nns 300 A 192.0.2.1\nwww 300 A 192.0.2.80\n";

/// The zone of the seeds.
pub fn apex() -> Name {
    "example.com".parse().expect("a name")
}

/// [`HAVE`], read.
pub fn have() -> Zone {
    parse(&apex(), "have", HAVE.as_bytes(), &mut |_| Err(String::new())).expect("a zone").0
}

/// What comes of the messages: the first transfer that they make.
pub fn transfer(stream: &[u8], have: Option<Zone>) -> Option<Received> {
    let mut transfer = Transfer::new(apex(), 0x1234, have.map(Arc::new));
    let mut rest = stream;
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let (message, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        if transfer.take(message).ok()? == Progress::Done {
            return transfer.finish().ok();
        }
        rest = tail;
    }
    None
}

/// Takes one input.
pub fn run(stream: &[u8]) {
    have().follow(stream, None);
    have().follow(&[STEPS_HEAD, stream].concat(), None);
    for given in [None, Some(have())] {
        let Some(received) = transfer(stream, given) else { continue };
        let Some(zone) = received.zone() else { continue };
        let text = match &received {
            Received::Whole { text, .. } => text.clone(),
            Received::Steps { steps, .. } => {
                let mut gone = have();
                let followed = gone.follow(&[STEPS_HEAD, &steps.to_frame()].concat(), None);
                assert_eq!((followed.damage, gone.fingerprint()), (None, zone.fingerprint()));
                canonical_lines(zone, false).map(|line| line + "\n").collect()
            }
            Received::Current => unreachable!("it has no zone"),
        };
        let again = parse(&apex(), "again", text.as_bytes(), &mut |_| Err(String::new())).expect("its text");
        assert_eq!(again.0.fingerprint(), zone.fingerprint());
        assert!(zone.rrsets().all(|set| set.to_rrset().owner.is_at_or_below(&apex())));
    }
}

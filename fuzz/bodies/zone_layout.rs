//! Any bytes as a zone file to lay out: no panic; a valid one means the same afterwards, and laying it
//! out again changes nothing.

use detour::dns::Name;
use detour::zone::{Zone, lay_out, parse};

/// Takes one input.
pub fn run(text: &[u8]) {
    let Ok(apex) = "example.com".parse::<Name>() else { return };
    let zone = |text: &[u8]| -> Option<Zone> {
        let include = &mut |path: &str| Ok((path.to_owned(), b"deep A 192.0.2.9\n".to_vec()));
        parse(&apex, "fuzz", text, include).ok().map(|(zone, _)| zone)
    };
    let laid_out = lay_out(text);
    if let Some(before) = zone(text) {
        let once = laid_out.expect("what can be read can be laid out");
        assert_eq!(zone(&once).map(|after| after.fingerprint()), Some(before.fingerprint()));
        assert_eq!(lay_out(&once).as_ref(), Ok(&once));
    }
}

//! Any bytes as a zone file: reading them never panics and never runs away.

use detour::dns::Name;
use detour::zone::parse;

/// Takes one input.
pub fn run(text: &[u8]) {
    let Ok(apex) = "example.com".parse::<Name>() else { return };
    // Every included file holds the text itself, so that files including each other are seen too.
    let include = &mut |path: &str| match path.len() {
        ..8 => Ok((path.to_owned(), text.to_vec())),
        _ => Err("there is no such file".to_owned()),
    };
    if let Ok((zone, _)) = parse(&apex, "fuzz", text, include) {
        let lines: String = zone
            .rrsets()
            .flat_map(|set| set.to_rrset().to_lines().collect::<Vec<_>>())
            .map(|l| l + "\n")
            .collect();
        let none = &mut |_: &str| Err(String::new());
        let again = parse(&apex, "printed", lines.as_bytes(), none);
        assert_eq!(again.map(|(zone, _)| zone.fingerprint()).ok(), Some(zone.fingerprint()));
    }
}

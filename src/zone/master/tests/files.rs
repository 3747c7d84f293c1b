//! $INCLUDE, and the files this project itself comes with.

use std::collections::BTreeMap;

use super::*;

/// Reads `zone` among these files.
fn among(files: &[(&str, &str)]) -> Parsed {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let include = &mut |path: &str| {
        let text = files.get(path).ok_or_else(|| format!("there is no {path}"))?;
        Ok((format!("dir/{path}"), text.as_bytes().to_vec()))
    };
    parse(&"example.com".parse().unwrap(), "zone", files["zone"].as_bytes(), include)
}

#[test]
fn an_included_file_takes_its_place_and_leaves_its_ttl_alone_behind() {
    let zone =
        format!("{APEX}a A 192.0.2.1\n$INCLUDE one sub\n 1h A 192.0.2.2\nb A 192.0.2.3\n$INCLUDE \"two\"");
    let one = "$TTL 5\nc A 192.0.2.4\n$ORIGIN deep\n@ A 192.0.2.5";
    let (zone, warnings) =
        among(&[("zone", &zone), ("one", one), ("two", " A 192.0.2.6")]).map_err(|all| told(&all)).unwrap();
    assert_eq!(told(&warnings), [""; 0]);
    assert_eq!(
        lines(&zone),
        [
            "a.example.com. 3600 IN A 192.0.2.1",
            "a.example.com. 3600 IN A 192.0.2.2",
            "c.sub.example.com. 5 IN A 192.0.2.4",
            "deep.sub.example.com. 5 IN A 192.0.2.5",
            "b.example.com. 5 IN A 192.0.2.3",
            "b.example.com. 5 IN A 192.0.2.6",
        ]
    );
}

/// As BIND and NSD read it.
#[test]
fn a_ttl_directive_outlives_the_included_file_it_stands_in() {
    let zone = "$INCLUDE one\nwww A 192.0.2.1";
    let one = "$TTL 7200\n@ SOA ns.example.net. host 1 2h 1h 1w 5m\n@ NS ns.example.net.\n";
    let (zone, warnings) = among(&[("zone", zone), ("one", one)]).map_err(|all| told(&all)).unwrap();
    assert_eq!(told(&warnings), [""; 0]);
    assert!(lines(&zone).contains(&"www.example.com. 7200 IN A 192.0.2.1".to_owned()), "{:?}", lines(&zone));
}

#[test]
fn problems_name_the_file_they_are_in() {
    let zone = format!("{APEX}a A 192.0.2.1\n$INCLUDE one\n$INCLUDE two\n$INCLUDE one extra..\n$INCLUDE");
    let problems = among(&[("zone", &zone), ("one", "\na A x\na CNAME b")]).unwrap_err();
    assert_eq!(
        told(&problems),
        [
            "zone:6:10: error: $INCLUDE: there is no two",
            "zone:7:14: error: name \"extra..\" has an empty label",
            "zone:8:9: error: the line ends too early: a file name is missing",
            "dir/one:2:5: error: \"x\" is not an IPv4 address like 192.0.2.1",
            "dir/one:3:1: error: a.example.com. has a CNAME and A records; a CNAME stands alone \
         (RFC 1034 section 3.6.2); the others begin at zone:4",
        ]
    );
}

#[test]
fn circles_end() {
    let zone = format!("{APEX}$INCLUDE one");
    let problems = among(&[("zone", &zone), ("one", "$INCLUDE one")]).unwrap_err();
    assert_eq!(
        told(&problems),
        ["dir/one:1:10: error: files include each other more than 8 deep; is this a circle?"],
    );
}

#[test]
fn the_number_of_files_is_bounded() {
    let zone = format!("{APEX}{}", "$INCLUDE one\n".repeat(crate::zone::MAX_INCLUDES + 5));
    let problems = among(&[("zone", &zone), ("one", "")]).unwrap_err();
    assert_eq!(told(&problems), ["zone:10004:10: error: the zone includes more than 10000 files"]);
}

/// The sample zone is what a reader starts from: nothing may be said of it.
#[test]
fn the_sample_zone_is_fine() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
    let text = std::fs::read(folder.join("example.com.zone")).unwrap();
    let include = &mut |path: &str| Ok((path.to_owned(), std::fs::read(folder.join(path)).unwrap()));
    let (zone, warnings) = parse(&"example.com".parse().unwrap(), "example.com.zone", &text, include)
        .map_err(|all| told(&all))
        .unwrap();
    assert_eq!(told(&warnings), [""; 0]);
    let lines = lines(&zone);
    for want in
        ["app.example.com. 30 IN A 192.0.2.10", "ns1.example.com. 3600 IN A 192.0.2.1", "www.example.com. "]
    {
        assert!(lines.iter().any(|line| line.starts_with(want)), "{want}");
    }
}

/// What the fuzzer starts from: every seed is read without a panic, and some of them make a zone.
#[test]
fn the_fuzz_seeds_are_read() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/zone_file");
    let (mut read, mut fine) = (0, 0);
    for seed in std::fs::read_dir(seeds).unwrap() {
        let result = parsed(std::fs::read(seed.unwrap().path()).unwrap());
        read += 1;
        fine += usize::from(result.is_ok());
        if let Ok((zone, _)) = result {
            check_printed(&zone);
        }
    }
    assert!(read >= 8 && fine >= 4 && fine < read, "{fine} of {read}");
}

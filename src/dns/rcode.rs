//! The names of response codes (IANA, "DNS RCODEs").

/// Those of a header, by number.
pub const RCODES: [&str; 12] = [
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
    "DSOTYPENI",
];

/// A code's name, or `RCODE` and its number where it has none.
pub fn rcode_name(rcode: u16) -> String {
    match rcode {
        16 => "BADVERS".to_owned(),
        23 => "BADCOOKIE".to_owned(),
        _ => {
            RCODES.get(usize::from(rcode)).map_or_else(|| format!("RCODE{rcode}"), |name| (*name).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_names_or_numbers() {
        let check = |rcode: u16, name: &str| assert_eq!(rcode_name(rcode), name);
        check(0, "NOERROR");
        check(11, "DSOTYPENI");
        check(12, "RCODE12");
        check(16, "BADVERS");
        check(23, "BADCOOKIE");
    }
}

//! The names of warnings: what `detour zone check` lets or forbids one by one.

use std::fmt;
use std::str::FromStr;

macro_rules! lints {
    ($($variant:ident $name:literal $about:literal,)*) => {
        /// One kind of warning. Its name is stable: people write it into scripts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Lint {
            $(#[doc = $about] $variant,)*
        }

        impl Lint {
            /// Every lint, in the order of the documentation.
            pub const ALL: &'static [Lint] = &[$(Lint::$variant,)*];

            /// Its name: `one-server`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Lint::$variant => $name,)*
                }
            }

            /// What it finds, in one line.
            pub fn about(self) -> &'static str {
                match self {
                    $(Lint::$variant => $about,)*
                }
            }
        }
    };
}

lints! {
    AliasTarget "alias-target" "an NS, MX or SRV names a CNAME (RFC 2181 section 10.3)",
    DefaultTtl "default-ttl" "the SOA has no TTL and no $TTL stands before it",
    DoubledOrigin "doubled-origin" "a name ends with the apex twice: its trailing dot was forgotten",
    DsAlone "ds-alone" "a DS stands where nothing is delegated",
    DuplicateRecord "duplicate-record" "a record stands twice",
    ExpiredSignature "expired-signature" "an RRSIG has expired: validating resolvers take the answer for forged (RFC 4034 section 3.1.5)",
    FixedHint "fixed-hint" "an SVCB or HTTPS record has address hints of a steered name (with -c)",
    InnerStar "inner-star" "a * that is not the first label is no wildcard (RFC 4592 section 2.1.1)",
    MissingAddress "missing-address" "a server's address is missing, though only this zone could give it: glue",
    MissingTarget "missing-target" "a CNAME, MX or SRV names what does not exist in this zone",
    NegativeTtl "negative-ttl" "\"no such name\" is kept for longer than a steered answer (with -c)",
    Occluded "occluded" "records that nothing reaches: a delegation or DNAME stands above them",
    OddOwner "odd-owner" "an owner has bytes that are no printable ASCII; write A-labels (RFC 5891)",
    OneServer "one-server" "a zone or delegation has a single name server (RFC 2182 section 5)",
    SoaMailbox "soa-mailbox" "the SOA's mailbox holds an @, where a dot belongs (RFC 1035 section 3.3.13)",
    SoaTimers "soa-timers" "the SOA's timers are out of the ranges of RFC 1912 section 2.2 and RIPE-203, or contradict each other",
    SteeredTtl "steered-ttl" "a steered name's TTL in the file is longer than its service's (with -c)",
    TtlDiffers "ttl-differs" "records of one RRset have different TTLs (RFC 2181 section 5.2), or an RRSIG has another than it was made for (RFC 4034 section 3)",
    TtlTooLong "ttl-too-long" "a TTL over 2^31 - 1 counts as 0 (RFC 2181 section 8)",
    UnusedGlue "unused-glue" "an address below a delegation that no NS asks for",
    WildcardPartial "wildcard-partial" "names beside a wildcard lack its types: they get none from it (RFC 4592 section 2.2.1)",
    WildcardServer "wildcard-server" "a wildcard has an NS or DNAME, which RFC 4592 section 4 leaves undefined",
}

impl Lint {
    /// Whether a server that loads a zone has no time to look for it.
    pub fn is_on_request(self) -> bool {
        use Lint as L;
        matches!(
            self,
            L::DoubledOrigin
                | L::DsAlone
                | L::ExpiredSignature
                | L::InnerStar
                | L::MissingTarget
                | L::NegativeTtl
                | L::OddOwner
                | L::OneServer
                | L::SoaMailbox
                | L::SoaTimers
                | L::SteeredTtl
                | L::WildcardPartial
                | L::WildcardServer
        )
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Text that names no lint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a lint; `detour zone check --list` names them all")]
pub struct UnknownLint(String);

impl FromStr for Lint {
    type Err = UnknownLint;
    fn from_str(text: &str) -> Result<Lint, UnknownLint> {
        let found = Lint::ALL.iter().find(|lint| lint.name() == text);
        found.copied().ok_or_else(|| UnknownLint(text.to_owned()))
    }
}

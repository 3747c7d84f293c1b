//! Who may: tokens and their roles, by the configuration that was loaded last.
//!
//! A token is long and random, so what is kept of it is a plain hash, and nobody guesses one. Without tokens
//! whoever is on this host may, and nobody else.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Problem;
use super::secure::{Secured, Shown};
use crate::model::{ApiRole, ApiToken, Control};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 256;

/// Who may use the API, and what its listener shows of itself.
#[derive(Default)]
pub struct Access {
    tokens: ArcSwap<Option<Arc<[ApiToken]>>>,
    shown: Shown,
}

/// Who asks.
#[derive(Clone)]
pub(super) struct Caller {
    pub from: SocketAddr,
    /// What the token lets its holder do; without tokens, everything.
    role: ApiRole,
    /// The token's name and hash, where there are tokens.
    token: Option<(Arc<str>, [u8; 32])>,
    access: Arc<Access>,
}

/// Why somebody may not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// No token, or one that nobody has.
    Unknown,
    /// The role does not go so far; whose it is.
    Role(Arc<str>),
    /// There are no tokens, and the listener is not on loopback.
    Elsewhere,
}

impl Access {
    /// Takes up who may by a configuration.
    pub fn set(&self, control: &Control) {
        self.tokens.store(Arc::new(control.tokens.clone()));
        self.shown.set(control.tls.clone(), "control.tls");
    }

    pub(super) fn secured(&self) -> Secured {
        self.shown.secured()
    }

    /// Whether a token is asked for.
    pub(super) fn has_tokens(&self) -> bool {
        self.tokens.load().is_some()
    }

    /// Somebody on this host, who shows no token.
    pub(super) fn on_loopback(self: &Arc<Access>, from: SocketAddr) -> Caller {
        Caller { from, role: ApiRole::Viewer, token: None, access: self.clone() }
    }

    /// Whether somebody who shows these headers may do what needs a role.
    pub(super) fn admit(
        self: &Arc<Access>,
        headers: &HeaderMap,
        needs: ApiRole,
        (from, local): (SocketAddr, Option<SocketAddr>),
    ) -> Result<Caller, Denied> {
        let tokens = self.tokens.load();
        let caller = |role, token| Caller { from, role, token, access: self.clone() };
        let Some(tokens) = &**tokens else {
            // A reload takes tokens away while the listener stays where it was until a restart.
            let loopback = local.is_some_and(|local| local.ip().to_canonical().is_loopback());
            return if loopback { Ok(caller(ApiRole::Operator, None)) } else { Err(Denied::Elsewhere) };
        };
        let shown = headers.get(header::AUTHORIZATION).and_then(bearer).ok_or(Denied::Unknown)?;
        if shown.len() > MAX_TOKEN {
            return Err(Denied::Unknown);
        }
        let hash: [u8; 32] = Sha256::digest(shown).into();
        // Every token is looked at, and each byte of it, so that time tells nothing.
        let mut found = None;
        for token in tokens.iter() {
            if bool::from(token.hash.ct_eq(&hash)) {
                found = Some(token);
            }
        }
        match found {
            None => Err(Denied::Unknown),
            Some(token) if token.role < needs => Err(Denied::Role(token.name.clone())),
            Some(token) => Ok(caller(token.role, Some((token.name.clone(), hash)))),
        }
    }
}

impl Caller {
    /// Whom the history names: the token's holder, or where there are no tokens who the request says.
    pub(super) fn who<'a>(&'a self, says: Option<&'a str>) -> &'a str {
        self.token.as_ref().map_or_else(|| says.unwrap_or("api"), |(name, _)| name)
    }

    /// Whom to count this one with: the token's holder, or where there are no tokens the address.
    pub(super) fn identity(&self) -> String {
        let address = || format!("address {}", self.from.ip());
        self.token.as_ref().map_or_else(address, |(name, _)| format!("token {name}"))
    }

    /// Whether this one may write, too.
    pub(super) fn is_operator(&self) -> bool {
        self.role == ApiRole::Operator
    }

    /// Whether the token is one still; without tokens at first, whether there are none still.
    pub(super) fn may_still(&self) -> bool {
        match (&**self.access.tokens.load(), &self.token) {
            (Some(tokens), Some((_, hash))) => tokens.iter().any(|token| token.hash == *hash),
            (tokens, token) => tokens.is_none() && token.is_none(),
        }
    }
}

impl From<&Denied> for Problem {
    fn from(denied: &Denied) -> Problem {
        match denied {
            Denied::Unknown => Problem::new(
                StatusCode::UNAUTHORIZED,
                "send \"Authorization: Bearer TOKEN\" with a token of this daemon; `detour` takes --token-file or DETOUR_TOKEN_FILE",
            ),
            Denied::Role(name) => Problem::new(
                StatusCode::FORBIDDEN,
                format!("the token of {name} is a viewer's, and this takes an operator's"),
            ),
            Denied::Elsewhere => Problem::new(
                StatusCode::FORBIDDEN,
                "there are no tokens, and this listener is not on loopback: add them to the configuration, or restart the daemon",
            ),
        }
    }
}

/// The token of a `Bearer` authorization (RFC 6750 section 2.1); the scheme's case is of no matter.
pub(super) fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(tokens: &[(&str, ApiRole, &str)]) -> Arc<Access> {
        let token = |&(name, role, secret): &(&str, ApiRole, &str)| ApiToken {
            name: name.into(),
            role,
            hash: Sha256::digest(secret).into(),
        };
        let tokens = (!tokens.is_empty()).then(|| tokens.iter().map(token).collect());
        let access = Arc::new(Access::default());
        access.set(&Control { listen: ([127, 0, 0, 1], 0).into(), tokens, tls: None });
        access
    }

    #[test]
    fn a_bearer_token_is_what_follows_the_scheme() {
        let check = |value: &'static str, want: Option<&str>| {
            let value = HeaderValue::from_static(value);
            assert_eq!(bearer(&value), want.map(str::as_bytes), "{value:?}");
        };
        check("Bearer abc", Some("abc"));
        check("bearer  abc ", Some("abc"));
        check("Basic abc", None);
        check("Bearer", None);
        check("", None);
    }

    #[test]
    fn roles_go_as_far_as_they_go() {
        let access = access(&[("prometheus", ApiRole::Viewer, "v-secret"), ("ana", ApiRole::Operator, "o")]);
        let at = ("192.0.2.1:9".parse().unwrap(), "192.0.2.53:8053".parse().ok());
        let ask = |value: &str, needs| {
            let mut headers = HeaderMap::new();
            if !value.is_empty() {
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            access.admit(&headers, needs, at).map(|caller| caller.who(Some("eve")).to_owned())
        };
        assert_eq!(ask("Bearer v-secret", ApiRole::Viewer), Ok("prometheus".to_owned()));
        assert_eq!(ask("Bearer v-secret", ApiRole::Operator), Err(Denied::Role("prometheus".into())));
        assert_eq!(ask("Bearer o", ApiRole::Operator), Ok("ana".to_owned()), "whatever the request says");
        assert_eq!(ask("Bearer o", ApiRole::Viewer), Ok("ana".to_owned()));
        for wrong in ["", "Bearer ", "Bearer v-secre", "Bearer v-secretx", "Basic v-secret"] {
            assert_eq!(ask(wrong, ApiRole::Viewer), Err(Denied::Unknown), "{wrong}");
        }
        let long = format!("Bearer {}", "x".repeat(5_000));
        assert_eq!(ask(&long, ApiRole::Viewer), Err(Denied::Unknown));
    }

    #[test]
    fn without_tokens_it_is_for_this_host() {
        let access = access(&[]);
        let from = "127.0.0.1:9".parse().unwrap();
        let ask = |local: &str| {
            let caller = access.admit(&HeaderMap::new(), ApiRole::Operator, (from, local.parse().ok()));
            caller.map(|caller| (caller.who(Some("ana")).to_owned(), caller.who(None).to_owned()))
        };
        assert_eq!(ask("127.0.0.1:8053"), Ok(("ana".to_owned(), "api".to_owned())));
        assert_eq!(ask("192.0.2.53:8053"), Err(Denied::Elsewhere));
        assert_eq!(ask("0.0.0.0:8053"), Err(Denied::Elsewhere));
    }

    #[test]
    fn a_token_that_is_taken_away_is_one_no_more() {
        let access = access(&[("ana", ApiRole::Operator, "o")]);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer o"));
        let caller = access.admit(&headers, ApiRole::Viewer, ("127.0.0.1:9".parse().unwrap(), None)).unwrap();
        assert!(caller.may_still());
        access.set(&Control { listen: ([127, 0, 0, 1], 0).into(), tokens: None, tls: None });
        assert!(!caller.may_still());
    }
}

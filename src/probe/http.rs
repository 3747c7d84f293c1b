//! The `http` and `https` probes: one request on a connection of its own, one answer, judged.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use rustls::pki_types::ServerName;
use tower::{Layer, Service};

use super::course::Course;
use super::failure::{bounded, judge, routed};
use super::tls::Trust;
use crate::config::{Check, HttpProbe, MAX_BODY_READ, Whereto};
use crate::health::{Failure, Outcome, Phase};

/// Header lines an answer may have; their bytes are bounded by the client's read buffer (400 KiB).
const MAX_HEADERS: usize = 100;
const USER_AGENT: &str = concat!("detour/", env!("CARGO_PKG_VERSION"));

/// One check's client, built at its first run and kept.
#[derive(Debug)]
pub(super) struct HttpCheck {
    course: Arc<Course>,
    trust: Trust,
    client: OnceLock<Result<(Client, Url), Failure>>,
}

impl HttpCheck {
    pub(super) fn new(course: Arc<Course>, trust: Trust) -> HttpCheck {
        HttpCheck { course, trust, client: OnceLock::new() }
    }

    /// Puts `check`'s question to the address its course holds.
    pub(super) async fn ask(&self, check: &Check, http: &HttpProbe) -> Outcome {
        let (client, url) = match self.client.get_or_init(|| self.build(check, http)) {
            Ok(built) => built,
            Err(failure) => return Outcome::Failed(failure.clone()),
        };
        let answer = match client.get(url.clone()).send().await {
            Ok(answer) => answer,
            Err(error) => return self.judge(&error),
        };
        let status = answer.status().as_u16();
        if !http.status.iter().any(|range| range.contains(&status)) {
            return Outcome::Failed(Failure::Status(status));
        }
        match &http.body {
            // The head says it all, so nobody waits for the rest.
            None => Outcome::Ok,
            Some(text) => {
                self.course.enter(Phase::Body);
                self.seek(answer, text).await
            }
        }
    }

    /// Looks for `text` in the first [`MAX_BODY_READ`] bytes of the body, and reads no further than it must.
    async fn seek(&self, mut answer: Response, text: &str) -> Outcome {
        let text = text.as_bytes();
        if text.is_empty() {
            return Outcome::Ok;
        }
        let mut body = Vec::new();
        loop {
            let chunk = match answer.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return self.judge(&error),
            };
            // The text may have begun in the chunk before.
            let from = body.len().saturating_sub(text.len().saturating_sub(1));
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY_READ - body.len())]);
            if holds(&body[from..], text) {
                return Outcome::Ok;
            }
            if body.len() == MAX_BODY_READ {
                break;
            }
        }
        let text = String::from_utf8_lossy(text);
        let place = match body.len() {
            MAX_BODY_READ => format!("its first {MAX_BODY_READ} bytes"),
            _ => "it".into(),
        };
        Outcome::Failed(Failure::Body(bounded(&format!("\"{text}\" is not in {place}"))))
    }

    fn judge(&self, error: &reqwest::Error) -> Outcome {
        judge(error, self.course.phase(), || self.course.addr().is_none_or(routed))
    }

    fn build(&self, check: &Check, http: &HttpProbe) -> Result<(Client, Url), Failure> {
        let target = Target::of(check, http)?;
        let tls = if http.tls {
            self.trust.config(&self.course, target.literal).map_err(Failure::Certificate)?
        } else {
            self.trust.unused(&self.course).map_err(Failure::Tls)?
        };
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Pinned(self.course.clone()))
            .connector_layer(Connected(self.course.clone()))
            .default_headers(target.headers)
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .http1_max_headers(MAX_HEADERS)
            .build()
            .map_err(|e| Failure::Other(bounded(&format!("cannot build the request: {e}"))))?;
        Ok((client, target.url))
    }
}

/// `text` is not empty.
fn holds(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}

/// What a check's request is addressed to.
#[derive(Debug)]
struct Target {
    url: Url,
    headers: HeaderMap,
    /// The configured host, where it is an address.
    literal: Option<ServerName<'static>>,
}

impl Target {
    /// The URL carries the host, so that Host (RFC 9110, section 7.2: with the port unless it is the
    /// scheme's own) and SNI follow from it, while [`Pinned`] decides where it leads. A host that is an
    /// address would be connected to as it stands: then the URL carries the place, and the host goes
    /// into the header. There is no SNI for addresses (RFC 6066, section 3).
    fn of(check: &Check, http: &HttpProbe) -> Result<Target, Failure> {
        let bad = |what: String| Failure::Other(bounded(&format!("cannot build the request: {what}")));
        let (scheme, default_port) = if http.tls { ("https", 443) } else { ("http", 80) };
        let port = check.probe.port;
        let place = match &check.key.whereto {
            Whereto::Addr(addr) => in_url(*addr),
            Whereto::Name(name) => name.to_string(),
        };
        let host = check.key.host.as_deref().unwrap_or(&place);
        let mut headers = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let in_the_url = match literal {
            None => host,
            Some(addr) => {
                let host = in_url(addr);
                let host = if port == default_port { host } else { format!("{host}:{port}") };
                headers.insert(HOST, HeaderValue::from_str(&host).map_err(|e| bad(e.to_string()))?);
                &place
            }
        };
        let url = format!("{scheme}://{in_the_url}:{port}{}", http.path);
        let url = Url::parse(&url).map_err(|e| bad(format!("{url}: {e}")))?;
        Ok(Target { url, headers, literal: literal.map(ServerName::from) })
    }
}

/// An address as a URL holds it (RFC 3986, section 3.2.2).
fn in_url(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// Whatever the name: the address of this run.
struct Pinned(Arc<Course>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        // The URL's port takes the place of this one.
        let addr = self.0.addr().map(|addr| SocketAddr::new(addr, 0));
        let addrs: Addrs = Box::new(addr.into_iter());
        Box::pin(std::future::ready(Ok(addrs)))
    }
}

/// Tells the course when a connection stands, TLS included: wraps the client's connector.
#[derive(Clone)]
struct Connected(Arc<Course>);

impl<S> Layer<S> for Connected {
    type Service = ConnectedService<S>;

    fn layer(&self, inner: S) -> ConnectedService<S> {
        ConnectedService { inner, course: self.0.clone() }
    }
}

#[derive(Clone)]
struct ConnectedService<S> {
    inner: S,
    course: Arc<Course>,
}

impl<S, R> Service<R> for ConnectedService<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (connecting, course) = (self.inner.call(request), self.course.clone());
        Box::pin(async move {
            let connection = connecting.await?;
            course.enter(Phase::FirstByte);
            Ok(connection)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::http_check;
    use super::*;

    #[test]
    fn the_host_names_and_the_place_leads() {
        let check = |place: &str, host: &str, port: u16, want_url: &str, want_host: Option<&str>| {
            let (check, http) = http_check(place, host, port);
            let target = Target::of(&check, &http).unwrap();
            assert_eq!(target.url.as_str(), want_url);
            assert_eq!(target.headers.get(HOST).map(|h| h.to_str().unwrap()), want_host, "{want_url}");
            assert_eq!(target.literal.is_some(), want_host.is_some());
        };
        check("192.0.2.1", "app.example.com", 80, "http://app.example.com/health?full=1", None);
        check("2001:db8::1", "app.example.com", 8080, "http://app.example.com:8080/health?full=1", None);
        check("192.0.2.1", "192.0.2.9", 80, "http://192.0.2.1/health?full=1", Some("192.0.2.9"));
        check("192.0.2.1", "192.0.2.9", 81, "http://192.0.2.1:81/health?full=1", Some("192.0.2.9:81"));
        check("2001:db8::1", "2001:db8::9", 80, "http://[2001:db8::1]/health?full=1", Some("[2001:db8::9]"));
        check(
            "2001:db8::1",
            "[2001:db8::9]",
            81,
            "http://[2001:db8::1]:81/health?full=1",
            Some("[2001:db8::9]:81"),
        );
        check("fra.example.net", "192.0.2.9", 80, "http://fra.example.net/health?full=1", Some("192.0.2.9"));
    }

    #[test]
    fn a_host_no_url_can_hold_is_a_failure_with_words() {
        let (check, http) = http_check("192.0.2.1", "a b", 80);
        let failure = Target::of(&check, &http).unwrap_err().to_string();
        assert!(failure.starts_with("cannot build the request: http://a b:80/health?full=1: "), "{failure}");
    }
}

//! What stands before every route: no browser on a foreign page's behalf, and no request without end.
//!
//! A page can make its visitor's browser send requests to loopback. Three things tell: the browser names
//! the page's host in `Host` when the page's own name was rebound to loopback; it names the page in
//! `Origin`; and it cannot declare a body as JSON without asking first, which nothing here answers.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Problem, REQUEST_TIMEOUT};

pub(super) async fn guard(State(local): State<Option<SocketAddr>>, request: Request, next: Next) -> Response {
    let mut response = match refused(&request, local) {
        Some(problem) => problem.into_response(),
        None => match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!(
                    "this took longer than {REQUEST_TIMEOUT:?}; a command may be carried out all the same"
                ),
            )
            .into_response(),
        },
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn refused(request: &Request, local: Option<SocketAddr>) -> Option<Problem> {
    let forbidden = |detail: String| Some(Problem::new(StatusCode::FORBIDDEN, detail));
    let headers = request.headers();
    let mut hosts: Vec<&str> = request.uri().authority().map(Authority::as_str).into_iter().collect();
    for host in headers.get_all(header::HOST) {
        match host.to_str() {
            Ok(host) => hosts.push(host),
            Err(_) => return forbidden("the Host header is not text".to_owned()),
        }
    }
    if let Some(host) = hosts.iter().find(|host| !is_ours(host, local)) {
        return forbidden(format!("\"{host}\" is not this server: use its address or localhost"));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let from = origin.to_str().ok().and_then(|o| o.strip_prefix("http://"));
        if from.is_none() || from != hosts.first().copied() {
            return forbidden("pages of other origins may not use this API".to_owned());
        }
    }
    if !request.method().is_safe() && !is_json(headers) {
        let detail = "a write must say Content-Type: application/json";
        return Some(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    None
}

/// Whether a `Host` can only mean this server. An address cannot be rebound, so on a wildcard address any
/// will do; the port may differ, as behind a forwarded one.
fn is_ours(host: &str, local: Option<SocketAddr>) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    let Ok(addr) = bare.parse::<IpAddr>() else { return false };
    addr.is_loopback() || local.is_some_and(|l| l.ip() == addr || l.ip().is_unspecified())
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_its_own_hosts_from_others() {
        let check = |host: &str, local: &str, want| {
            assert_eq!(is_ours(host, Some(local.parse().unwrap())), want, "{host} at {local}");
        };
        let loopback = "127.0.0.1:8053";
        for ours in ["localhost", "LOCALHOST:9", "127.0.0.1:8053", "127.9.9.9", "[::1]", "[::1]:80"] {
            check(ours, loopback, true);
        }
        for foreign in [
            "evil.example",
            "evil.example:8053",
            "localhost.evil.example",
            "192.0.2.1",
            "",
            ":80",
            "127.0.0.1.nip",
        ] {
            check(foreign, loopback, false);
        }
        check("192.0.2.7:8053", "192.0.2.7:8053", true);
        check("192.0.2.8:8053", "192.0.2.7:8053", false);
        check("192.0.2.8:8053", "0.0.0.0:8053", true);
        check("evil.example", "0.0.0.0:8053", false);
    }
}

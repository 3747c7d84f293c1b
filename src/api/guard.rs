//! What stands before every route: no browser on a foreign page's behalf.
//!
//! A page can make its visitor's browser send requests to loopback. Four things tell: the browser names
//! the page's host in `Host` when the page's own name was rebound to loopback; it names the page in
//! `Origin`; it says in `Sec-Fetch-Site` that the page is another's; and it cannot declare a body as JSON
//! without asking first, which nothing here answers. Where there are tokens no browser has one to send on a
//! foreign page's behalf, and the host may have any name.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Problem;

pub(super) fn refused(request: &Request, local: Option<SocketAddr>, tokens: bool) -> Option<Problem> {
    let forbidden = |detail: String| Some(Problem::new(StatusCode::FORBIDDEN, detail));
    let headers = request.headers();
    let mut hosts: Vec<&str> = request.uri().authority().map(Authority::as_str).into_iter().collect();
    for host in headers.get_all(header::HOST) {
        match host.to_str() {
            Ok(host) => hosts.push(host),
            Err(_) => return forbidden("the Host header is not text".to_owned()),
        }
    }
    if let Some(host) = hosts.iter().find(|host| !tokens && !is_ours(host, local)) {
        return forbidden(format!("\"{host}\" is not this server: use its address or localhost"));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let scheme = |o: &str| o.strip_prefix("http://").or_else(|| o.strip_prefix("https://")).map(str::len);
        let origin = origin.to_str().ok();
        let from = origin.and_then(|o| scheme(o).map(|length| &o[o.len() - length..]));
        if from.is_none() || from != hosts.first().copied() {
            return forbidden("pages of other origins may not use this API".to_owned());
        }
    }
    // Fetch Metadata: `none` is a person who typed the address or followed a bookmark. To follow a link to a page
    // is no use of the API.
    let says = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let follows_link = request.method().is_safe() && says("sec-fetch-mode") == Some(b"navigate");
    if !matches!(says("sec-fetch-site"), None | Some(b"same-origin" | b"none")) && !follows_link {
        return forbidden("pages of other sites may not use this API".to_owned());
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

/// Before every handler that takes a body, and only where there is one: what no handler takes is 404 or 405 first.
pub(super) async fn json_only(request: Request, next: Next) -> Response {
    if is_json(request.headers()) {
        return next.run(request).await;
    }
    let detail = "a write must say Content-Type: application/json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into_response()
}

/// Whether a request says that its body is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
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

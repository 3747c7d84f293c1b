//! The dashboard: a page, its style and a few modules, which are part of the program.
//!
//! In: a path. Out: the file, and a policy under which a browser runs nothing but these files and talks to
//! nobody but this daemon. What the page shows it asks for over `/v1`, as anybody may; this room must never
//! know what that is. The modules are plain JavaScript that a browser reads as it stands: there is no build.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Problem;

/// Scripts and styles from here alone, none of them in line; no frame, no form, no foreign address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const INDEX: &str = include_str!("index.html");

/// Name, type and text of what lies under `/dashboard/`.
const FILES: &[(&str, &str, &str)] = &[
    ("style.css", CSS, include_str!("style.css")),
    ("icon.svg", SVG, include_str!("icon.svg")),
    ("main.js", SCRIPT, include_str!("main.js")),
    ("api.js", SCRIPT, include_str!("api.js")),
    ("live.js", SCRIPT, include_str!("live.js")),
    ("dom.js", SCRIPT, include_str!("dom.js")),
    ("words.js", SCRIPT, include_str!("words.js")),
    ("sites.js", SCRIPT, include_str!("sites.js")),
    ("services.js", SCRIPT, include_str!("services.js")),
    ("detail.js", SCRIPT, include_str!("detail.js")),
    ("plots.js", SCRIPT, include_str!("plots.js")),
    ("incidents.js", SCRIPT, include_str!("incidents.js")),
    ("watch.js", SCRIPT, include_str!("watch.js")),
    ("actions.js", SCRIPT, include_str!("actions.js")),
];

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(index)).route("/dashboard/{file}", get(file))
}

async fn index() -> Response {
    sent(HTML, INDEX)
}

async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => sent(kind, text),
        None => Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at /dashboard/{name}"))
            .into_response(),
    }
}

fn sent(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    (headers, text).into_response()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page and its modules name is there, and nothing is there that nobody names.
    #[test]
    fn the_files_are_whole() {
        let texts = || FILES.iter().map(|(.., text)| *text).chain([INDEX]);
        for (name, ..) in FILES {
            let named = texts().any(|text| {
                text.contains(&format!("\"/dashboard/{name}\"")) || text.contains(&format!("\"./{name}\""))
            });
            assert!(named, "nobody asks for {name}");
        }
        for text in texts() {
            let imports = text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
            let links = text.split("=\"/dashboard/").skip(1).filter_map(|rest| rest.split('"').next());
            for name in imports.chain(links) {
                assert!(FILES.iter().any(|(known, ..)| *known == name), "there is no {name}");
            }
        }
    }

    /// What others wrote is text, never markup, and nothing comes from anywhere else.
    #[test]
    fn nothing_is_made_of_text_and_nothing_is_fetched_elsewhere() {
        let banned = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "style=",
        ];
        for (name, _, text) in FILES {
            for word in banned {
                assert!(!text.contains(word), "{word} in {name}");
            }
            // The name of SVG's namespace is an address that nobody asks.
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !foreign.contains("http://") && !foreign.contains("https://"),
                "a foreign address in {name}"
            );
        }
        assert!(!INDEX.contains("style=") && !INDEX.contains("<style") && !INDEX.contains(" onclick"));
        assert_eq!(INDEX.matches("<script").count(), 1);
    }

    #[tokio::test]
    async fn each_file_comes_with_its_type_and_the_policy() {
        for (name, kind, text) in FILES {
            let response = file(Path((*name).to_owned())).await;
            assert_eq!(response.headers()[header::CONTENT_TYPE], *kind);
            assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            assert_eq!(body, text.as_bytes());
        }
        assert_eq!(index().await.headers()[header::CONTENT_TYPE], HTML);
        assert_eq!(file(Path("../mod.rs".to_owned())).await.status(), StatusCode::NOT_FOUND);
    }
}

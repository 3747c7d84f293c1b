//! The API's own description: OpenAPI 3.1, made of the types and routes themselves. `docs/openapi.json` is a copy
//! that a test compares.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema as _};

use super::{
    Problem, events, healthz, incidents, metrics, overview, plots, read, whatif, write, zone_past, zone_show,
};

/// What any request may be answered, before or while a route sees to it.
const ANYWHERE: &[(&str, &str)] = &[
    ("401", "No token, or none of this daemon's"),
    ("403", "The token's role does not go so far, or a foreign page's browser asks"),
    ("413", "The body is too long"),
    ("414", "The path and query are too long"),
    (
        "429",
        "Too many requests, writes or wrong tokens from one address; `Retry-After` says when to come back",
    ),
    ("500", "It failed inside"),
    ("503", "The engine does not answer, or too much of this is under way"),
    ("504", "It took too long; a command may be carried out all the same"),
];
/// What is answered besides where there is something to get wrong.
const WRONG: (&str, &str) = ("400", "A parameter or the body is not as described");
/// And where something is sent.
const NOT_JSON: (&str, &str) = ("415", "A write must say `Content-Type: application/json`");
const LATE: (&str, &str) = ("408", "The body took too long to come");

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Detour",
        description = "An authoritative DNS server that routes around a dead site. docs/api.md says it in words.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        read::status,
        overview::overview,
        read::services,
        read::service,
        read::sites,
        read::proposals,
        plots::plots,
        incidents::list,
        incidents::one,
        read::history,
        read::explain,
        read::edits,
        write::set_override,
        write::clear_override,
        write::failover,
        write::failback,
        write::approve,
        write::reject,
        write::freeze,
        write::rollback,
        write::test_alerts,
        write::reload,
        whatif::whatif,
        zone_show::show,
        zone_past::history,
        zone_past::diff,
        events::events,
        healthz::healthz,
        metrics::metrics,
        openapi,
    ),
    components(schemas(Problem))
)]
struct Described;

/// The document.
pub fn document() -> OpenApi {
    let mut document = Described::openapi();
    if let Some(components) = &mut document.components {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", bearer);
    }
    for (path, item) in &mut document.paths.paths {
        let reads = [&mut item.get].into_iter().map(|operation| (false, operation));
        let writes = [&mut item.post, &mut item.delete, &mut item.put, &mut item.patch];
        let all = reads.chain(writes.into_iter().map(|operation| (true, operation)));
        for (write, operation) in all.filter_map(|(write, operation)| Some((write, operation.as_mut()?))) {
            if path == "/healthz" {
                // What stands before every route bounds what it reads, and asks for no token.
                add(operation, &[ANYWHERE[1], ANYWHERE[2], ANYWHERE[3], ANYWHERE[7]]);
                continue;
            }
            add(operation, ANYWHERE);
            if write {
                add(operation, &[NOT_JSON, LATE]);
            }
            if write || operation.parameters.is_some() {
                add(operation, &[WRONG]);
            }
            // Where there are no tokens, none is shown.
            let token = SecurityRequirement::new("token", Vec::<String>::new());
            operation.security = Some(vec![token, SecurityRequirement::default()]);
        }
    }
    document
}

/// Adds answers that are a problem, where the operation does not say itself what they mean.
fn add(operation: &mut Operation, problems: &[(&str, &str)]) {
    for (status, description) in problems {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let response =
            ResponseBuilder::new().description(*description).content("application/problem+json", content);
        operation.responses.responses.entry((*status).to_owned()).or_insert(RefOr::T(response.build()));
    }
}

/// The document as it is served and kept.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
});

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "the daemon itself",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)),
)]
pub(super) async fn openapi() -> Response {
    let mut response = TEXT.as_str().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::api::fixed::served;

    /// `UPDATE_OPENAPI=1 cargo test --lib openapi` writes the copy anew.
    #[test]
    fn the_copy_in_the_docs_is_this_document() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, &*TEXT).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = kept.lines().zip(TEXT.lines()).position(|(kept, made)| kept != made);
        assert!(
            kept == *TEXT,
            "docs/openapi.json is not what the code says (first in line {}): look at what changed for those who \
             use the API, then UPDATE_OPENAPI=1 cargo test --lib openapi",
            differs.map_or(kept.lines().count(), |line| line + 1)
        );
    }

    #[test]
    fn every_route_is_in_it() {
        let router = include_str!("mod.rs").split(".route(").skip(1);
        let routes: BTreeSet<&str> = router.filter_map(|route| route.split('"').nth(1)).collect();
        let document = document();
        let described: BTreeSet<&str> = document.paths.paths.keys().map(String::as_str).collect();
        assert!(routes.len() > 20, "the router is written in another way by now");
        assert_eq!(routes, described);
    }

    #[tokio::test]
    async fn it_is_served_and_names_nothing_it_does_not_hold() {
        let served = served().await;
        let answer = served.get("/v1/openapi.json").await;
        assert_eq!((answer.0, answer.1["content-type"].as_str()), (200, "application/json"));
        let document = answer.json();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
        let (text, mut named) = (answer.2, BTreeSet::new());
        for part in text.split("#/components/schemas/").skip(1) {
            named.insert(part.split('"').next().unwrap().to_owned());
        }
        for name in named {
            assert!(document["components"]["schemas"].get(&name).is_some(), "{name}");
        }
    }
}

//! `GET /v1/zones/{name}`: a zone as it is served, as JSON or as a master file whose comments say what is
//! steered and what was edited.
//!
//! It is written piece by piece from the table that was published when it was asked for, so a large zone costs
//! a few pieces and four bytes a name, however slowly it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::Frame;
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};

use super::read::{parse_name, patiently};
use super::zone_api::{ServedBody, SteeredBody, ZoneBody};
use super::{Daemon, DaemonStatus, Problem};
use crate::answer::{Listing, Table};
use crate::dns::{Name, RrSet, RrType, Serial};
use crate::text::is_hidden;
use crate::time::by_host;

/// How many zones are written at a time: each holds a table and a thread.
const MAX_AT_ONCE: usize = 4;
/// How large a piece is, in bytes, and how many wait for who reads.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4;
/// How often it is tried to catch table and decisions at the same serial.
const TRIES: usize = 3;

static AT_ONCE: Semaphore = Semaphore::const_new(MAX_AT_ONCE);

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Text,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowArgs {
    /// `json` when left out.
    #[param(inline)]
    format: Option<Format>,
}

/// A zone as it is served, as JSON or as a master file.
#[utoipa::path(
    get, path = "/v1/zones/{name}", operation_id = "zone", tag = "zones",
    params(("name" = String, Path, description = "A zone; the final dot may be left out"), ShowArgs),
    responses(
        (status = 200, description = "The zone", content((ZoneBody = "application/json"), (String = "text/dns"))),
        (status = 404, description = "There is no such zone", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn show<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Path(name): Path<String>,
    args: Result<Query<ShowArgs>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(args) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let format = args.format.unwrap_or(Format::Json);
    let zone = parse_name(&name)?;
    let Ok(turn) = AT_ONCE.try_acquire() else {
        let detail = format!("{MAX_AT_ONCE} zones are being written already; ask again in a moment");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let edits = daemon.edits(zone.clone()).await?;
    let (table, serial, status) = moment(&*daemon, &zone).await?;
    let (file, removed, added) =
        edits.map_or_else(Default::default, |edits| (Some(edits.file), edits.removed, edits.added));
    let (services, decided) = steered(status, &zone);
    let head = ZoneBody { zone: zone.clone(), serial, file, removed, services, records: Vec::new() };
    let page = Shown { head, decided, added: added.into_iter().collect() };
    let (sender, pieces) = mpsc::channel(PIECES);
    let offset = daemon.offset();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let Some(listing) = Listing::of(table, &zone) else { return };
        let mut out = Out { text: String::new(), sender };
        let written = by_host(offset, || match format {
            Format::Json => page.json(listing, &mut out),
            Format::Text => page.text(listing, &mut out),
        });
        // Who reads no more is told no more.
        let _ = written.and_then(|()| out.end());
    });
    let mut response = Response::new(Body::new(Pieces { pieces, ended: false }));
    let media_type = match format {
        Format::Json => "application/json",
        // RFC 4027
        Format::Text => "text/dns; charset=utf-8",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

/// The published table, the zone's serial in it, and the decisions that were laid over it.
async fn moment<D: Daemon>(daemon: &D, zone: &Name) -> Result<(Arc<Table>, Serial, DaemonStatus), Problem> {
    let mut tries = 0;
    loop {
        let table = daemon.table();
        let Some(serial) = table.serial(zone) else {
            let detail = format!("there is no zone {zone} that is served");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        };
        let status = patiently(daemon.status()).await?;
        tries += 1;
        let same = status.engine.zones.iter().any(|view| view.apex == *zone && view.serial == serial);
        if same || tries == TRIES {
            return Ok((table, serial, status));
        }
    }
}

/// What a zone's decisions say, and which of them each RRset comes from.
type Steered = (Vec<SteeredBody>, BTreeMap<(Name, RrType), u64>);

fn steered(status: DaemonStatus, zone: &Name) -> Steered {
    let (mut services, mut decided) = (Vec::new(), BTreeMap::new());
    for service in status.engine.services {
        let Some(decision) = service.decision.filter(|_| service.zone == *zone) else { continue };
        let sets = decision.records.iter().map(|set| ((set.owner.clone(), set.rtype), decision.id));
        decided.extend(sets);
        services.push(SteeredBody {
            name: service.name,
            decision: decision.id,
            because: decision.because(),
            by_client: decision.is_by_client(),
            sites: decision.sites,
        });
    }
    (services, decided)
}

/// A zone on its way out.
struct Shown {
    head: ZoneBody,
    decided: BTreeMap<(Name, RrType), u64>,
    /// The lines of records that updates brought.
    added: BTreeSet<String>,
}

impl Shown {
    fn json(&self, listing: Listing, out: &mut Out) -> io::Result<()> {
        let head = serde_json::to_string(&self.head)?;
        // `records` is its last key, and empty.
        out.push(head.strip_suffix("]}").unwrap_or(&head))?;
        let mut between = "\n";
        for set in listing.flat_map(|(_, sets)| sets).flat_map(|set| set.by_covered()) {
            let mut served =
                ServedBody { records: (&set).into(), decision: self.decision(&set), edited: vec![] };
            if !self.added.is_empty() {
                let data = served.records.data.iter().zip(set.to_lines());
                let edited = data.filter(|(_, line)| self.added.contains(line)).map(|(data, _)| data.clone());
                served.edited = edited.collect();
            }
            out.push(between)?;
            out.push(&serde_json::to_string(&served)?)?;
            between = ",\n";
        }
        out.push("\n]}\n")
    }

    fn text(&self, listing: Listing, out: &mut Out) -> io::Result<()> {
        let ZoneBody { zone, serial, file, removed, services, .. } = &self.head;
        out.comment(&format!("{zone} serial {serial}, as it is served"))?;
        if let Some(file) = file {
            let edits = removed.len() + self.added.len();
            let edited =
                if edits > 0 { format!(", and {edits} records edited by updates") } else { String::new() };
            out.comment(&format!("from {}{edited}", file.display()))?;
        }
        let services: BTreeMap<&Name, &SteeredBody> = services.iter().map(|one| (&one.name, one)).collect();
        for (name, sets) in listing {
            if let Some(service) = services.get(&name) {
                out.comment(&because(service))?;
            }
            for set in sets {
                let steered = self.decision(&set).is_some();
                for line in set.to_lines() {
                    let mark = match steered {
                        true => " ; steered",
                        false if self.added.contains(&line) => " ; edited",
                        false => "",
                    };
                    out.push(&line)?;
                    out.push(mark)?;
                    out.push("\n")?;
                }
            }
        }
        for line in removed {
            out.comment(&format!("taken away by an update: {line}"))?;
        }
        Ok(())
    }

    fn decision(&self, set: &RrSet) -> Option<u64> {
        if self.decided.is_empty() {
            return None;
        }
        self.decided.get(&(set.owner.clone(), set.rtype)).copied()
    }
}

fn because(service: &SteeredBody) -> String {
    let SteeredBody { name, decision, sites, because, by_client } = service;
    let from = if sites.is_empty() { "no site".to_owned() } else { sites.join(", ") };
    let mut text = format!("{name} is steered: decision {decision}, from {from}: {because}");
    if *by_client {
        let _ = write!(text, "; clients differ, see `detour explain {name} --from ADDRESS`");
    }
    text
}

/// Text on its way to who reads it.
struct Out {
    text: String,
    sender: mpsc::Sender<Option<Bytes>>,
}

impl Out {
    /// A line that no parser reads, whatever is in it.
    fn comment(&mut self, text: &str) -> io::Result<()> {
        let text: String = text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
        self.push("; ")?;
        self.push(&text)?;
        self.push("\n")
    }

    fn push(&mut self, text: &str) -> io::Result<()> {
        self.text.push_str(text);
        if self.text.len() >= PIECE { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.text));
        self.sender.blocking_send(Some(piece)).map_err(io::Error::other)
    }

    fn end(mut self) -> io::Result<()> {
        self.send()?;
        self.sender.blocking_send(None).map_err(io::Error::other)
    }
}

/// The pieces as a body. One that ends without its end was broken off, and is no whole zone.
struct Pieces {
    pieces: mpsc::Receiver<Option<Bytes>>,
    ended: bool,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(context));
        self.ended = !matches!(piece, Some(Some(_)));
        Poll::Ready(match piece {
            Some(Some(piece)) => Some(Ok(Frame::data(piece))),
            Some(None) => None,
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }
}

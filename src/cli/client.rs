//! The way to a running daemon: one request, one answer, and what an answer means for the exit code.

use std::process::ExitCode;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::find::Found;
use super::trust::client_config;
use crate::api::{HealthzBody, MAX_WHO, Problem, WRITE_TIMEOUT};

/// Done.
pub const DONE: u8 = 0;
/// The answer is no.
pub const NO: u8 = 1;
/// The daemon can't be reached.
pub const UNREACHABLE: u8 = 3;
/// How long a connect to the daemon may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the daemon's own health may take: it waits for nothing, and whoever asks has a bound of its own.
const HEALTHZ_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer may take until the daemon is asked whether it is well; and then again.
const QUIET: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// A client of one daemon.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    found: Found,
}

/// Why there is no answer, or what it is when it is no.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody there.
    #[error("cannot reach the daemon at {addr} ({by}): {why}; is `detour serve` running?")]
    Unreachable {
        /// Where.
        addr: std::net::SocketAddr,
        /// Who says it is there.
        by: String,
        /// What the host says.
        why: String,
    },
    /// Somebody takes connections there, and says nothing.
    #[error(
        "the daemon at {addr} ({by}) takes connections and answers nothing, not even whether it is well: it is stopped, or \
         the host is overloaded; what was asked for may still be done once it goes on"
    )]
    Silent {
        /// Where.
        addr: std::net::SocketAddr,
        /// Who says it is there.
        by: String,
    },
    /// The daemon says no.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The operator asked for something that is not there.
    #[error("{0}")]
    Usage(String),
    /// Something else than a daemon of this version.
    #[error("the answer from {addr} is not one of detour's: {why}; is another program or version there?")]
    Foreign {
        /// Where.
        addr: std::net::SocketAddr,
        /// What is odd.
        why: String,
    },
}

impl ClientError {
    /// Whether no daemon answers there.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, ClientError::Unreachable { .. } | ClientError::Silent { .. })
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Unreachable { .. } | ClientError::Silent { .. } => UNREACHABLE,
            ClientError::Refused(_) | ClientError::Usage(_) | ClientError::Foreign { .. } => NO,
        }
    }
}

/// A client that speaks to whom it is told, and to no other.
fn http(found: &Found) -> anyhow::Result<reqwest::Client> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &found.token {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(WRITE_TIMEOUT + CONNECT_TIMEOUT)
        .default_headers(headers);
    let Some(tls) = &found.tls else {
        // It is never used, and reqwest would read what this host trusts to make one.
        let nobody = rustls::crypto::ring::default_provider();
        let nobody = rustls::ClientConfig::builder_with_provider(nobody.into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        return Ok(builder.tls_backend_preconfigured(nobody).build()?);
    };
    let builder = builder.tls_backend_preconfigured(client_config(&tls.trust)?).https_only(true);
    // The name was looked up already.
    Ok(builder.resolve(&tls.host, found.addr).build()?)
}

impl Client {
    /// A client of the daemon that was found.
    pub fn new(found: Found) -> anyhow::Result<Client> {
        let http = http(&found)?;
        let base = match &found.tls {
            Some(tls) => Url::parse(&format!("https://{}:{}/", tls.host, found.addr.port()))?,
            None => Url::parse(&format!("http://{}/", found.addr))?,
        };
        Ok(Client { http, base, found })
    }

    /// Where it asks.
    pub fn address(&self) -> String {
        self.found.addr.to_string()
    }

    /// Asks: `path` is unescaped segments, `query` unescaped pairs.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, ClientError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.get(url)).await
    }

    /// Asks for a change.
    pub async fn write(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Value, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| self.foreign(e.to_string()))?;
        let request = self.http.request(method, self.url(path));
        self.send(request.header("content-type", "application/json").body(body)).await
    }

    /// The shape behind an answer.
    pub fn decode<T: DeserializeOwned>(&self, answer: &Value) -> Result<T, ClientError> {
        T::deserialize(answer).map_err(|e| self.foreign(e.to_string()))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }

    /// Whether the daemon itself is well: a "no" here is an answer, not an error.
    pub async fn healthz(&self) -> Result<HealthzBody, ClientError> {
        let (_, body) = self.fetch(self.ask_healthz()).await?;
        serde_json::from_slice(&body).map_err(|e| self.foreign(e.to_string()))
    }

    fn ask_healthz(&self) -> reqwest::RequestBuilder {
        self.http.get(self.url(&["healthz"])).timeout(HEALTHZ_TIMEOUT)
    }

    /// What a request comes to, as long as the daemon says that it is there: a reload may take a while, and one that is
    /// stopped takes for ever.
    async fn attended<T>(
        &self,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let mut asked = std::pin::pin!(asked);
        loop {
            tokio::select! {
                answer = &mut asked => return answer,
                () = tokio::time::sleep(QUIET) => {}
            }
            tokio::select! {
                answer = &mut asked => return answer,
                well = self.fetch(self.ask_healthz()) => if well.is_err() {
                    let Found { addr, by, .. } = &self.found;
                    return Err(ClientError::Silent { addr: *addr, by: by.clone() });
                },
            }
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, ClientError> {
        let (status, body) = self.attended(self.fetch(request)).await?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|e| self.foreign(e.to_string()));
        }
        match serde_json::from_slice(&body) {
            Ok(problem) => Err(ClientError::Refused(problem)),
            Err(_) => Err(self.foreign(format!("status {status}"))),
        }
    }

    /// Asks for a long text and hands its pieces on as they come.
    pub async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), ClientError> {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        let begun = async { self.http.get(url).send().await.map_err(|e| self.unreachable(&e)) };
        let mut response = self.attended(begun).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
            return Err(match serde_json::from_slice(&body) {
                Ok(problem) => ClientError::Refused(problem),
                Err(_) => self.foreign(format!("status {status}")),
            });
        }
        loop {
            let next = async { response.chunk().await.map_err(|e| self.unreachable(&e)) };
            let Some(piece) = self.attended(next).await? else { break };
            match each(&piece) {
                // Whoever reads it may stop reading.
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                done => done.map_err(|e| ClientError::Usage(format!("cannot write: {e}")))?,
            }
        }
        Ok(())
    }

    async fn fetch(&self, request: reqwest::RequestBuilder) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let mut response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(self.foreign(format!("it is longer than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }

    /// The innermost cause: "connection refused" says more than "error sending request".
    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() };
        ClientError::Unreachable { addr: self.found.addr, by: self.found.by.clone(), why }
    }

    fn foreign(&self, why: String) -> ClientError {
        ClientError::Foreign { addr: self.found.addr, why }
    }
}

/// Prints what a command has to say, and ends with what it means.
pub fn finish(said: Result<String, ClientError>) -> anyhow::Result<ExitCode> {
    match said {
        Ok(text) => {
            super::show::print(&text)?;
            Ok(ExitCode::from(DONE))
        }
        Err(error) => {
            eprintln!("error: {}", super::show::printable(&error.to_string()));
            Ok(ExitCode::from(error.exit_code()))
        }
    }
}

/// An answer as it came, for programs.
pub fn pretty(answer: &Value) -> String {
    format!("{answer:#}")
}

/// The name of whoever started this process, or the number where it has none.
pub(super) fn of_this_process() -> String {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid-{uid}"), |user| user.name)
}

/// Who asks, for the history: `ana@ops1`. Behind sudo, the person and not `root`.
pub fn who() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|key| std::env::var(key).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(of_this_process);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let who = match host.trim() {
        "" => user,
        host => format!("{user}@{host}"),
    };
    who.chars().filter(char::is_ascii_graphic).take(MAX_WHO).collect()
}

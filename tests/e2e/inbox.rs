//! Receivers of alerts as the tests hold them: an HTTP listener that keeps what it is sent, and a mail server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// How long a client may take over its request.
const PATIENCE: Duration = Duration::from_secs(90);

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// An HTTP listener; it closes with this value.
pub struct Inbox {
    pub at: SocketAddr,
    /// What it answers; 0 answers nothing, and holds the connection.
    pub status: Arc<AtomicU16>,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
}

impl Inbox {
    pub fn open() -> Inbox {
        Inbox::at(0, None)
    }

    /// On this port, or on a free one; over TLS with a certificate and its key.
    pub fn at(port: u16, identity: Option<&(String, String)>) -> Inbox {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let tls = identity.map(tls);
        let inbox = Inbox {
            at: listener.local_addr().unwrap(),
            status: Arc::new(AtomicU16::new(200)),
            requests: Arc::default(),
            ended: Arc::default(),
        };
        let (status, requests, ended) = (inbox.status.clone(), inbox.requests.clone(), inbox.ended.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (status, requests, tls) = (status.clone(), requests.clone(), tls.clone());
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    match tls {
                        None => take(stream, &status, &requests),
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            take(StreamOwned::new(connection, stream), &status, &requests);
                        }
                    }
                });
            }
        });
        inbox
    }

    pub fn url(&self) -> String {
        format!("http://{}/told?by=detour", self.at)
    }

    /// Everything that came so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The first that says this of `key`, once it has come.
    pub fn said(&self, key: &str, value: &str) -> Option<Value> {
        self.requests().iter().map(Request::json).find(|body| body[key] == value)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // So that the listener looks up; it may be gone already.
        let _ = TcpStream::connect(self.at);
    }
}

fn tls((certificate, key): &(String, String)) -> Arc<ServerConfig> {
    let chain = rustls::pki_types::CertificateDer::pem_slice_iter(certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// One request; a client that goes away is none.
fn take(stream: impl Read + Write, status: &AtomicU16, requests: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let request = Request { head, body: String::new() };
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let status = status.load(Ordering::Relaxed);
    if status == 0 {
        // Until the client gives up.
        let _ = reader.read(&mut [0]);
        return;
    }
    let body = String::from_utf8(body).unwrap();
    if status < 300 {
        requests.lock().unwrap().push(Request { body, ..request });
    }
    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes");
    let _ = reader.get_mut().write_all(answer.as_bytes());
    let _ = reader.get_mut().flush();
}

/// A mail server; it ends with this value.
pub struct Mailbox {
    pub port: u16,
    process: Child,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl Mailbox {
    /// On this port, or on a free one. With more arguments it asks for TLS and a password.
    pub fn open(port: u16, more: &[&str]) -> Mailbox {
        // Debian's own Python: its packages are for that one.
        let mut process = Command::new("/usr/bin/python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/mailbox.py"))
            .arg(port.to_string())
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().expect("python3-aiosmtpd is there; ./test installs it").unwrap();
        let mails: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = mails.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Mailbox { port: port.parse().unwrap(), process, mails }
    }

    /// Everything that came so far.
    pub fn mails(&self) -> Vec<Value> {
        self.mails.lock().unwrap().clone()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

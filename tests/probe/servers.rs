//! Servers on loopback, some of which misbehave.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Runs `behave` on each connection; where it listens.
pub async fn serve<F, B>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> B + Send + 'static,
    B: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(behave(stream));
        }
    });
    addr
}

/// Reads the request's head, and writes these pieces, each by itself.
pub async fn answering(pieces: &[&[u8]]) -> SocketAddr {
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    serve(move |mut stream| {
        let pieces = pieces.clone();
        async move {
            head(&mut stream).await;
            for piece in pieces {
                stream.write_all(&piece).await.ok();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    })
    .await
}

/// A whole answer with this body.
pub fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// A request's head, to the empty line.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Reads until the other side hangs up.
pub async fn until_closed(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

/// Takes connections and says nothing.
pub async fn silent() -> SocketAddr {
    serve(|mut stream| async move { until_closed(&mut stream).await }).await
}

/// A port that is taken, so that nobody else gets it, and that refuses.
pub fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

/// A port that swallows connects: its queue is full, so the kernel drops every SYN.
pub struct BlackHole {
    pub addr: SocketAddr,
    _socket: Socket,
    _queued: Vec<StdStream>,
}

pub fn black_hole() -> BlackHole {
    let (socket, addr) = refusing();
    socket.listen(0).unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = StdStream::connect_timeout(&addr, Duration::from_millis(300)) {
        queued.push(stream);
        assert!(queued.len() < 64, "the queue never fills");
    }
    BlackHole { addr, _socket: socket, _queued: queued }
}

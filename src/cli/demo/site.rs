//! A demo site: a real HTTP server on loopback that can be switched off and on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";

/// One site.
pub struct Site {
    /// Where it serves.
    pub address: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Site {
    /// Starts two sites on different addresses and the same port, as two data centres have it.
    pub async fn pair(first: Ipv4Addr, second: Ipv4Addr) -> io::Result<[Site; 2]> {
        // The second address may have the port taken that the first was given: a few tries find one.
        const TRIES: u32 = 20;
        let mut last = io::Error::other("no port was tried");
        for _ in 0..TRIES {
            let one = TcpListener::bind((first, 0)).await?;
            match TcpListener::bind((second, one.local_addr()?.port())).await {
                Ok(two) => return Ok([Site::of(one)?, Site::of(two)?]),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn of(listener: TcpListener) -> io::Result<Site> {
        let address = listener.local_addr()?;
        Ok(Site { address, serving: Some(tokio::spawn(serve(listener))) })
    }

    /// Closes the listener: from now on connections are refused.
    pub async fn fail(&mut self) {
        if let Some(task) = self.serving.take() {
            task.abort();
            // Ends with the abort; the listener is closed when it has.
            let _ = task.await;
        }
    }

    /// Serves again, at the same address.
    pub async fn recover(&mut self) -> io::Result<()> {
        if self.serving.is_none() {
            self.serving = Some(tokio::spawn(serve(TcpListener::bind(self.address).await?)));
        }
        Ok(())
    }
}

async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 1024];
        // A client that leaves early is no concern of the site's.
        if stream.read(&mut request).await.is_ok_and(|len| len > 0) {
            let _ = stream.write_all(ANSWER).await;
        }
    }
}

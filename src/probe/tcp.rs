//! The `tcp` probe: a connect is enough.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::course::Course;
use super::failure::{judge, routed};
use crate::health::{Failure, Outcome};

/// Connects and hangs up.
pub(super) async fn ask(to: SocketAddr, course: &Course) -> Outcome {
    match connect(to).await {
        // A connect to a closed port of this host meets itself when the kernel happens to pick that
        // very port to connect from (RFC 9293, section 3.5: simultaneous open).
        Ok((local, _)) if local == to => Outcome::Failed(Failure::Refused),
        Ok(_) => Outcome::Ok,
        Err(error) => judge(&error, course.phase(), || routed(to.ip())),
    }
}

async fn connect(to: SocketAddr) -> io::Result<(SocketAddr, TcpStream)> {
    let stream = TcpStream::connect(to).await?;
    Ok((stream.local_addr()?, stream))
}

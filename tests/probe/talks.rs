//! What a tcp probe says and expects: to Redis, PostgreSQL and a mail server, and to those that misbehave.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use detour::model::{Expect, Pattern, ProbeKind, Step, TcpProbe};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::checks::{LONG, SHORT, ask, check};
use crate::peers::ports::free_port;
use crate::servers::{refusing, serve, silent, until_closed};

fn says(send: &[u8], expect: Expect) -> Step {
    Step { send: send.to_vec(), expect: Some(expect) }
}

fn text(text: &str) -> Expect {
    Expect::Bytes(text.as_bytes().to_vec())
}

fn regex(pattern: &str) -> Expect {
    Expect::Regex(Pattern::new(pattern).unwrap())
}

async fn talk(to: SocketAddr, steps: &[Step], timeout: Duration) -> String {
    ask(check(ProbeKind::Tcp(TcpProbe { steps: steps.to_vec() }), to, timeout)).await.to_string()
}

fn ping() -> Step {
    says(b"PING\r\n", text("+PONG"))
}

/// A server program of this test's own, killed with its group's other processes when dropped.
pub struct Server {
    child: Child,
    pub addr: SocketAddr,
}

impl Server {
    /// Starts it on a port that nobody else is given, and waits until it takes connections.
    pub async fn start(command: impl Fn(u16) -> Command) -> Server {
        let port = free_port();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = command(port);
        let shown = format!("{command:?}");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut server = Server { child: child.unwrap_or_else(|e| panic!("{shown}: {e}")), addr };
        while tokio::net::TcpStream::connect(addr).await.is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{shown} ended: {ended:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, so that PostgreSQL takes its children along.
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn redis_is_asked_for_a_pong() {
    let redis = async |password: &str| {
        Server::start(|port| {
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--save", "", "--dir", "/", "--port", &port.to_string()]);
            command.args(["--requirepass", password]);
            command
        })
        .await
    };
    let open = redis("").await;
    assert_eq!(talk(open.addr, &[ping()], LONG).await, "ok");
    let locked = redis("secret").await;
    assert_eq!(
        talk(locked.addr, &[ping()], SHORT).await,
        r#"unexpected reply: "+PONG" is not in "-NOAUTH Authentication required.\r\n", until the timeout"#
    );
    let with_password = [says(b"AUTH secret\r\n", text("+OK\r\n")), ping()];
    assert_eq!(talk(locked.addr, &with_password, LONG).await, "ok");
}

#[tokio::test]
async fn a_mail_server_is_greeted_and_left() {
    let server = Server::start(|port| {
        let mut command = Command::new("aiosmtpd");
        command.args(["-n", "-l", &format!("127.0.0.1:{port}"), "-c", "aiosmtpd.handlers.Sink"]);
        command
    })
    .await;
    let session = [
        Step { send: vec![], expect: Some(text("220 ")) },
        says(b"EHLO detour.example.com\r\n", regex("(?m)^250 [^\r]*\r\n")),
        says(b"QUIT\r\n", regex("^221 ")),
    ];
    assert_eq!(talk(server.addr, &session, LONG).await, "ok");
}

/// SSLRequest (PostgreSQL's protocol, message formats) is answered with one letter.
#[tokio::test]
async fn postgresql_says_whether_it_speaks_tls() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let versions = fs::read_dir("/usr/lib/postgresql").expect("the Debian package postgresql");
    let bin = versions.map(|version| version.unwrap().path().join("bin")).max().unwrap();
    // It refuses to run as root, so as root it is run as the user its package made.
    fs::create_dir(&data).unwrap();
    let root = fs::metadata(&data).unwrap().uid() == 0;
    let run = |program: &Path| {
        if !root {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    };
    if root {
        let given = Command::new("chown").args(["-R", "postgres:"]).arg(folder.path()).status().unwrap();
        assert!(given.success());
    }
    let made = run(&bin.join("initdb")).args(["-N", "-A", "trust", "-D"]).arg(&data).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = Server::start(|port| {
        let mut command = run(&bin.join("postgres"));
        command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", ""]);
        command
    })
    .await;
    let ssl_request = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    assert_eq!(talk(server.addr, &[says(&ssl_request, regex("^[SN]$"))], LONG).await, "ok");
    assert_eq!(
        talk(server.addr, &[says(&ssl_request, regex("^X"))], SHORT).await,
        r#"unexpected reply: /^X/ is not in "N", until the timeout"#
    );
}

#[tokio::test]
async fn those_who_misbehave() {
    let (_taken, closed) = refusing();
    assert_eq!(talk(closed, &[ping()], LONG).await, "connection refused");
    assert_eq!(talk(silent().await, &[ping()], SHORT).await, "timeout in reply");

    // Closed with something unread the kernel resets, so this one reads it all.
    let reads_and_leaves = serve(|mut stream| async move {
        stream.read_exact(&mut [0; 6]).await.ok();
    });
    assert_eq!(
        talk(reads_and_leaves.await, &[ping()], LONG).await,
        r#"closed early: nothing came where "+PONG" was expected"#
    );
    let half = serve(|mut stream| async move {
        stream.read_exact(&mut [0; 6]).await.ok();
        stream.write_all(b"+PO").await.ok();
    });
    assert_eq!(talk(half.await, &[ping()], LONG).await, r#"closed early: "+PONG" is not in "+PO""#);
    let resets = serve(|mut stream| async move {
        stream.read_exact(&mut [0; 6]).await.ok();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    assert_eq!(talk(resets.await, &[ping()], LONG).await, "connection reset");
}

#[tokio::test]
async fn a_drip_is_put_together() {
    let drips = serve(|mut stream| async move {
        for byte in b"+PONG\r\n" {
            stream.write_all(&[*byte]).await.ok();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        until_closed(&mut stream).await;
    });
    assert_eq!(talk(drips.await, &[ping()], LONG).await, "ok");
}

#[tokio::test]
async fn endless_data_is_read_no_further_than_the_bound() {
    let endless = serve(|mut stream| async move { while stream.write_all(&[b'x'; 4096]).await.is_ok() {} });
    let said = talk(endless.await, &[ping()], LONG).await;
    let came = "x".repeat(48);
    assert_eq!(said, format!("unexpected reply: \"+PONG\" is not in \"{came}…\", in 16384 bytes"));
}

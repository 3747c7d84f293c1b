//! nginx, an instance of a test's own, in a folder of its own.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// How often it is started anew because somebody else took a port meanwhile.
const TRIES: usize = 10;

/// One process without workers of its own; it ends with this value.
pub struct Nginx {
    folder: TempDir,
    process: Child,
    /// Where each of its servers listens, in the order they were given.
    pub at: Vec<SocketAddr>,
}

impl Nginx {
    /// Starts it with a server for each of `servers`: what `listen` says behind the address, as `ssl http2`,
    /// and what else is in its block. Names of `files` are below its folder, as are those in the blocks.
    pub fn start(address: IpAddr, files: &[(&str, &str)], servers: &[(&str, &str)]) -> Nginx {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::create_dir(folder.path().join("html")).unwrap();
        for _ in 0..TRIES {
            let at: Vec<SocketAddr> = free(address, servers.len());
            fs::write(folder.path().join("nginx.conf"), conf(servers, &at)).unwrap();
            if let Some(process) = start(folder.path(), at[0]) {
                return Nginx { folder, process, at };
            }
        }
        let log = fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
        panic!("nginx does not start:\n{log}");
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where `location /` finds a file of this name.
    pub fn page(&self, name: &str) -> PathBuf {
        self.folder.path().join("html").join(name)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// So many ports that are free at this moment.
fn free(address: IpAddr, count: usize) -> Vec<SocketAddr> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind((address, 0)).unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

fn conf(servers: &[(&str, &str)], at: &[SocketAddr]) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .concat();
    let server = |((how, block), at): (&(&str, &str), &SocketAddr)| {
        format!("server {{ listen {at} {how}; root html; {block} }}\n")
    };
    let servers: String = servers.iter().zip(at).map(server).collect();
    format!(
        "daemon off; master_process off; pid nginx.pid;\nevents {{ worker_connections 256; }}\n\
         http {{\naccess_log off;\n{temporary}{servers}}}\n"
    )
}

/// Nothing where it ended before it listened, as it does when a port is taken.
fn start(folder: &Path, at: SocketAddr) -> Option<Child> {
    let mut process = Command::new("nginx")
        .arg("-p")
        .arg(folder)
        .args(["-c", "nginx.conf", "-e", "error.log"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx runs; ./test installs it");
    while TcpStream::connect(at).is_err() {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(process)
}

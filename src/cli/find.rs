//! Where the daemon's control side listens, and how it is spoken to: `--control`, or what the configuration says, even a broken one.
//! A daemon goes on with its last good configuration while the file is being mended, and an operator in
//! that very moment needs `detour drain` to work.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::trust::{Trust, token};

/// What `control.listen` is when left out.
pub const DEFAULT_CONTROL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8053);
/// How much of a file is read.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Where to ask, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The address.
    pub addr: SocketAddr,
    /// `--control`, `/etc/detour/detour.toml`, `the default`.
    pub by: String,
    /// How TLS is spoken; without it, HTTP goes in clear text.
    pub tls: Option<Tls>,
    /// The token that is shown.
    pub token: Option<String>,
}

/// TLS with a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whose the certificate has to be: a name, or an address.
    pub host: String,
    /// Which certificates are good.
    pub trust: Trust,
}

/// What the command line says of the way to a daemon.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// `--control`
    pub control: Option<&'a str>,
    /// The configuration file.
    pub config: &'a Path,
    /// Whether that was asked for by name.
    pub named: bool,
    /// `--token-file`, or `DETOUR_TOKEN_FILE`
    pub token_file: Option<&'a Path>,
    /// `--ca`
    pub ca: Option<&'a Path>,
}

impl Way<'_> {
    /// The daemon, and what is needed to be let in.
    pub fn find(&self) -> anyhow::Result<Found> {
        let mut found = control_address(self.control, self.config, self.named)?;
        if let Some((tls, ca)) = found.tls.as_mut().zip(self.ca) {
            tls.trust = Trust::File(ca.to_owned());
        }
        found.token = self.token_file.map(token).transpose()?;
        Ok(found)
    }
}

/// The control address: `control` when given, else from `config`'s `[control] listen`. A configuration
/// that is not there means the default, unless it was `asked_for` by name.
fn control_address(control: Option<&str>, config: &Path, asked_for: bool) -> anyhow::Result<Found> {
    if let Some(control) = control {
        let addr = parse(control).with_context(|| {
            format!("--control {control}: write an address and a port, such as {DEFAULT_CONTROL}")
        })?;
        let tls = control.strip_prefix("https://").map(|at| {
            let host = at.trim_end_matches('/').rsplit_once(':').map_or(at, |(host, _)| host);
            Tls { host: host.to_owned(), trust: Trust::Host }
        });
        return Ok(Found { tls, ..Found::plain(addr, "--control") });
    }
    let text = match read(config) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !asked_for => {
            let by = format!("the default; there is no {}", config.display());
            return Ok(Found::plain(DEFAULT_CONTROL, &by));
        }
        Err(e) => bail!("cannot read {}: {e}; name the daemon's address with --control", config.display()),
    };
    let by = config.display().to_string();
    let folder = config.parent().unwrap_or(Path::new(""));
    let certificate = lenient_value(&text, "control", "tls");
    let certificate = certificate.as_ref().and_then(|tls| tls.get("certificate")?.as_str());
    let tls = |addr: SocketAddr| {
        let host = match addr.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        certificate.map(|file| Tls { host, trust: Trust::This(folder.join(file)) })
    };
    let Some(listen) = lenient(&text, "control", "listen") else {
        let found = Found::plain(DEFAULT_CONTROL, &format!("the default; {by} does not say"));
        return Ok(Found { tls: tls(DEFAULT_CONTROL), ..found });
    };
    let addr = parse(&listen).with_context(|| format!("{by}: [control] listen = \"{listen}\""))?;
    if addr.port() != 0 {
        return Ok(Found { tls: tls(addr), ..Found::plain(addr, &by) });
    }
    // Port 0 took a free one, which the running daemon wrote down.
    let state_dir = lenient(&text, "server", "state_dir").unwrap_or_else(|| "state".to_owned());
    let file: PathBuf = folder.join(state_dir).join("addresses.json");
    let bound = read(&file).with_context(|| {
        format!("{by} lets the daemon pick its control port; cannot read {}", file.display())
    })?;
    let bound: serde_json::Value =
        serde_json::from_str(&bound).with_context(|| format!("{} does not decode", file.display()))?;
    let addr = bound["control"].as_str().and_then(|addr| parse(addr).ok());
    let addr = addr.with_context(|| format!("{} names no control address", file.display()))?;
    Ok(Found { tls: tls(addr), ..Found::plain(addr, &file.display().to_string()) })
}

/// `--control` as it was written: what cannot be an address is wrong usage.
pub(super) fn control_argument(text: &str) -> Result<String, String> {
    let bare = bare(text);
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    match bare.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && is_port(port) => Ok(text.to_owned()),
        _ => Err(format!("write an address and a port, such as {DEFAULT_CONTROL}")),
    }
}

/// An address without what says how it is spoken to.
fn bare(text: &str) -> &str {
    let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    bare.trim_end_matches('/')
}

impl Found {
    /// In clear text, and without a token.
    pub fn plain(addr: SocketAddr, by: &str) -> Found {
        Found { addr, by: by.to_owned(), tls: None, token: None }
    }
}

/// An address to connect to: a wildcard address is reached by loopback, and a name by its first address.
fn parse(text: &str) -> anyhow::Result<SocketAddr> {
    let bare = bare(text);
    let text = match bare.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => bare.to_owned(),
    };
    let mut addr: SocketAddr = match text.parse() {
        Ok(addr) => addr,
        Err(_) => text.to_socket_addrs()?.next().context("the name has no address")?,
    };
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(addr)
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One string of one section.
fn lenient(text: &str, section: &str, key: &str) -> Option<String> {
    lenient_value(text, section, key)?.as_str().map(str::to_owned)
}

/// One value of one section. Where the file is not TOML as a whole, the line that looks like it.
fn lenient_value(text: &str, section: &str, key: &str) -> Option<toml::Value> {
    if let Ok(table) = text.parse::<toml::Table>() {
        return table.get(section)?.get(key).cloned();
    }
    let header = format!("[{section}]");
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.split('#').next().unwrap_or_default().trim() == header;
        } else if inside {
            let Ok(table) = line.parse::<toml::Table>() else { continue };
            if let Some(value) = table.get(key) {
                return Some(value.clone());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_key_of_a_broken_file() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(lenient(text, "control", "listen").as_deref(), want, "{text}");
        };
        check("[control]\nlisten = \"127.0.0.1:1\"", Some("127.0.0.1:1"));
        check("control = { listen = \"127.0.0.1:1\" }", Some("127.0.0.1:1"));
        check("[server]\nlisten = [\"127.0.0.1:2\"]\n", None);
        check("[server\n[control] # here\n listen = \"127.0.0.1:1\" # yes\nx =", Some("127.0.0.1:1"));
        check("[server]\nlisten = \"127.0.0.1:2\"\n[control\nlisten = \"127.0.0.1:1\"", None);
        check("[control]\n# listen = \"127.0.0.1:1\"\n[server]\nlisten = \"127.0.0.1:2\"\nx =", None);
        check("\u{0} nonsense", None);
    }

    #[test]
    fn takes_the_first_thing_that_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("detour.toml");
        let find = |control, asked_for| {
            control_address(control, &config, asked_for)
                .map(|f| f.addr.to_string())
                .map_err(|e| format!("{e:#}"))
        };
        let check = |text: &str, want: &str| {
            std::fs::write(&config, text).unwrap();
            assert_eq!(find(None, true).as_deref(), Ok(want), "{text}");
        };
        assert_eq!(find(None, false).as_deref(), Ok("127.0.0.1:8053"));
        assert!(find(None, true).unwrap_err().contains("cannot read"));
        assert_eq!(find(Some("[::1]:7"), true).as_deref(), Ok("[::1]:7"));
        assert_eq!(find(Some("http://localhost:7/"), true).as_deref(), Ok("127.0.0.1:7"));
        assert!(find(Some("here"), true).unwrap_err().contains("--control here: write an address"));
        check("[server]\n", "127.0.0.1:8053");
        check("[control]\nlisten = \"0.0.0.0:9\"\n", "127.0.0.1:9");
        check("[control]\nlisten = \"[::]:9\"\nlisten 7", "[::1]:9");
        std::fs::write(&config, "[server]\nstate_dir = \"s\"\n[control]\nlisten = \"127.0.0.1:0\"\n")
            .unwrap();
        assert!(find(None, true).unwrap_err().contains("addresses.json"));
        std::fs::create_dir(dir.path().join("s")).unwrap();
        let bound = r#"{"dns":["127.0.0.1:5353"],"control":"127.0.0.1:4711"}"#;
        std::fs::write(dir.path().join("s/addresses.json"), bound).unwrap();
        assert_eq!(find(None, true).as_deref(), Ok("127.0.0.1:4711"));
    }
    #[test]
    fn knows_whether_tls_is_spoken_and_whom_to_trust() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("detour.toml");
        let (token_file, ca) = (dir.path().join("token"), dir.path().join("ca.pem"));
        std::fs::write(&token_file, "detour_abc\n").unwrap();
        let way = Way { control: None, config: &config, named: true, token_file: None, ca: None };
        // The certificate that the configuration names is the one, even while the file is being mended.
        for end in ["", "listen 7"] {
            let text = "[control]\nlisten = \"[::]:9\"\ntls = { certificate = \"c.pem\", key = \"k\" }\n";
            std::fs::write(&config, format!("{text}{end}")).unwrap();
            let found = way.find().unwrap();
            let trust = Trust::This(dir.path().join("c.pem"));
            assert_eq!(found.tls, Some(Tls { host: "[::1]".to_owned(), trust }), "{end}");
            assert_eq!(found.token, None);
        }
        let found = Way { ca: Some(&ca), token_file: Some(&token_file), ..way }.find().unwrap();
        assert_eq!(found.tls.unwrap().trust, Trust::File(ca));
        assert_eq!(found.token.as_deref(), Some("detour_abc"));
        let found = Way { control: Some("https://localhost:7/"), ..way }.find().unwrap();
        assert_eq!(found.addr, "127.0.0.1:7".parse().unwrap());
        assert_eq!(found.tls, Some(Tls { host: "localhost".to_owned(), trust: Trust::Host }));
        assert_eq!(Way { control: Some("127.0.0.1:7"), ..way }.find().unwrap().tls, None);
    }
}

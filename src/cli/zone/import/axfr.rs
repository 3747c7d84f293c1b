//! Zones by AXFR (RFC 5936), from any server that lets this host have them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};

use super::source::FoundZone;
use super::{Output, canonical, config_text, file_name};
use crate::config::read_secret;
use crate::dns::Name;
use crate::dns::tsig::{Algorithm, Key};
use crate::model::Primary;
use crate::transfer::inbound::{Received, fetch};

/// Where DNS is served unless a port is given.
const PORT: u16 = 53;

/// Which zones, from where.
#[derive(Debug, clap::Args)]
#[group(id = "transfer")]
pub struct Args {
    /// The server to transfer from: an address, with a port or without
    #[arg(long, value_name = "SERVER", requires = "zones")]
    axfr: Option<Server>,
    /// The zones to transfer
    #[arg(value_name = "ZONE", requires = "axfr")]
    zones: Vec<Name>,
    /// The key to sign with, and the file that holds its secret in base64
    #[arg(long, value_name = "NAME=FILE", requires = "axfr")]
    key: Option<KeyFile>,
    /// The key's algorithm
    #[arg(long, value_name = "ALGORITHM", default_value = "hmac-sha256", value_parser = algorithm, requires = "key")]
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug)]
struct Server(SocketAddr);

impl FromStr for Server {
    type Err = String;
    fn from_str(text: &str) -> Result<Server, String> {
        let address = text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, PORT)));
        address.map(Server).ok_or_else(|| "write it like 192.0.2.53 or [2001:db8::53]:5353".to_owned())
    }
}

#[derive(Clone, Debug)]
struct KeyFile {
    name: Name,
    file: PathBuf,
}

impl FromStr for KeyFile {
    type Err = String;
    fn from_str(text: &str) -> Result<KeyFile, String> {
        let (name, file) = text.split_once('=').ok_or("write it like xfr=keys/xfr")?;
        let name = name.parse().map_err(|why| format!("key {name:?} {why}"))?;
        Ok(KeyFile { name, file: file.into() })
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::named(text)
        .ok_or_else(|| "it is one of hmac-sha1, -sha224, -sha256, -sha384, -sha512".to_owned())
}

/// The files to write, the configuration first. With an error in any zone there are none.
pub(super) async fn outputs(args: &super::Args) -> Result<Vec<Output>> {
    let Args { axfr, zones, key, algorithm } = &args.transfer;
    let Some(Server(address)) = axfr else {
        bail!("name a server with --axfr, or a file with --from-config")
    };
    let key = key.as_ref().map(|KeyFile { name, file }| {
        let secret = read_secret(file).map_err(|why| anyhow!("{}: {why}", file.display()))?;
        anyhow::Ok(Arc::new(Key::new(name.clone(), *algorithm, secret)))
    });
    let primary = Primary { address: *address, key: key.transpose()? };
    let (mut found, mut files) = (Vec::new(), Vec::new());
    for name in zones {
        let received =
            fetch(&primary, name, None).await.with_context(|| format!("zone {name} of {address}"))?;
        let Received::Whole { zone, .. } = received else { bail!("zone {name} of {address}: nothing came") };
        let path = args.into.join("zones").join(file_name(name));
        files.push(Output { path, bytes: canonical(&zone) });
        let file = PathBuf::from(format!("serial {}", zone.serial()));
        let (includes_from, place) = (PathBuf::new(), format!("AXFR from {address}"));
        found.push(FoundZone { name: name.clone(), file, includes_from, place });
    }
    let config = config_text(&address.to_string(), &found, &[]);
    files.insert(0, Output { path: args.into.join("detour.toml"), bytes: config.into_bytes() });
    Ok(files)
}

//! Certificates and keys, from the files that hold them. They are read when the configuration is, so
//! that a file that is missing or wrong is a problem with a place, and one that changed is a change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

use super::error::{ConfigError, short};
use super::files::{MAX_FILE_NAME, read_bounded};
use super::report::Findings;
use super::secrets;
use super::section::{Item, Reported, Section};
use super::values;
use crate::model::{Authorities, Identity};

/// The largest file, in bytes: what a whole system trusts takes about 200 KB.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// The files that a configuration names.
pub(super) struct Files<'a> {
    /// What a relative path is below.
    pub base: &'a Path,
    /// Those that were read, or should have been.
    pub named: &'a mut BTreeSet<PathBuf>,
}

/// Who shows a certificate; in messages, and in the names of examples.
#[derive(Clone, Copy)]
pub(super) enum Whose {
    Client,
    Server,
}

impl Whose {
    fn word(self) -> &'static str {
        match self {
            Whose::Client => "client",
            Whose::Server => "server",
        }
    }

    fn examples(self) -> [&'static str; 2] {
        match self {
            Whose::Client => ["certificate = \"client.pem\"", "key = \"client.key\""],
            Whose::Server => ["certificate = \"server.pem\"", "key = \"server.key\""],
        }
    }
}

/// A certificate and those between it and its authority.
struct Chain {
    file: String,
    certificates: Vec<CertificateDer<'static>>,
}

/// A private key.
struct Key {
    file: String,
    der: PrivateKeyDer<'static>,
}

/// Reads `certificate` and `key`: both or none.
pub(super) fn pair(
    section: &mut Section,
    whose: Whose,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<Option<Identity>, Reported> {
    let certificate =
        section.read("certificate", findings, |item, findings| chain(item, whose, files, findings));
    let key = section.read("key", findings, |item, findings| key(item, whose, files, findings));
    let [add_certificate, add_key] = whose.examples();
    match (certificate?, key?) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(section.missing("key", add_key, findings)),
        (None, Some(_)) => Err(section.missing("certificate", add_certificate, findings)),
        (Some(chain), Some(key)) => {
            let at = key.span();
            identity(chain.into_inner(), key.into_inner(), whose).map(Some).map_err(|error| {
                findings.push(&at, error);
                Reported
            })
        }
    }
}

/// The authorities an item's file holds.
pub(super) fn authorities(
    item: Item,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<Authorities, Reported> {
    let (name, path, bytes) = read(item, "CA certificates", files, findings)?;
    let certificates = certificates(&bytes).and_then(|certificates| {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|why| format!("a certificate in it is none: {why}"))?;
        }
        Ok(certificates)
    });
    match certificates {
        Ok(certificates) => Ok(Authorities { file: path, certificates }),
        Err(why) => Err(unreadable(item, "CA certificates", &name, why, findings)),
    }
}

/// The certificate an item's file begins with, and what comes after it.
fn chain(item: Item, whose: Whose, files: &mut Files, findings: &mut Findings) -> Result<Chain, Reported> {
    let what = format!("the {} certificate", whose.word());
    let (file, _, bytes) = read(item, &what, files, findings)?;
    match certificates(&bytes) {
        Ok(certificates) => Ok(Chain { file, certificates }),
        Err(why) => Err(unreadable(item, &what, &file, why, findings)),
    }
}

/// The private key an item's file holds.
fn key(item: Item, whose: Whose, files: &mut Files, findings: &mut Findings) -> Result<Key, Reported> {
    let what = format!("the {} key", whose.word());
    let (file, _, bytes) = read(item, &what, files, findings)?;
    let Ok(der) = PrivateKeyDer::from_pem_slice(&bytes) else {
        // The library's reason may quote the file, which is a secret.
        let why = "it holds no private key in PEM form".to_owned();
        return Err(unreadable(item, &what, &file, why, findings));
    };
    Ok(Key { file, der })
}

/// Puts a certificate and its key together, if they belong together.
#[allow(clippy::result_large_err, reason = "it is read once for each file")]
fn identity(chain: Chain, key: Key, whose: Whose) -> Result<Identity, ConfigError> {
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain.certificates.clone(), key.der.clone_key(), &provider) {
        Ok(_) => Ok(Identity { chain: chain.certificates, key: key.der }),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(ConfigError::KeyMismatch { key: short(&key.file), certificate: short(&chain.file) })
        }
        Err(why) => {
            let what = format!("the {} key {:?}", whose.word(), short(&key.file));
            Err(ConfigError::Unreadable { what, why: why.to_string() })
        }
    }
}

/// An item's file: its name, its path and its content.
fn read(
    item: Item,
    what: &str,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<(String, PathBuf, Vec<u8>), Reported> {
    let name = values::line(MAX_FILE_NAME)(item, findings)?;
    let path = files.base.join(&name);
    files.named.insert(path.clone());
    match read_bounded(&path, MAX_PEM_BYTES) {
        Ok(bytes) => Ok((name, path, bytes)),
        Err(why) => {
            // A key may stand where its file belongs.
            let name = secrets::file_name(&name, &path);
            Err(unreadable(item, what, &name, why.to_string(), findings))
        }
    }
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("it holds no certificate in PEM form".into()),
        Ok(certificates) => Ok(certificates),
        Err(why) => Err(format!("it is not PEM: {why}")),
    }
}

fn unreadable(item: Item, what: &str, name: &str, why: String, findings: &mut Findings) -> Reported {
    let what = format!("{what} {:?}", short(name));
    item.wrong(ConfigError::Unreadable { what, why }, findings)
}

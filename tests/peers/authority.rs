//! Certificates made on the spot.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::RootCertStore;

/// From and to the first day of these years: all the time that tests are run in.
pub const NOW: (i32, i32) = (2020, 2090);

/// An authority of the tests' own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub roots: RootCertStore,
    /// Its own certificate, as PEM.
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        Authority { issuer: Issuer::new(params, key), roots, pem: own.pem() }
    }

    /// A certificate for `names`, the first of which is its subject too, changed before it is signed.
    pub fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Certificate, KeyPair) {
        let mut params =
            CertificateParams::new(names.iter().map(|&name| name.into()).collect::<Vec<String>>()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        (params.not_before, params.not_after) = (date_time_ymd(NOW.0, 1, 1), date_time_ymd(NOW.1, 1, 1));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A certificate for `names` and its key, as PEM.
    pub fn pem(&self, names: &[&str]) -> (String, String) {
        pem(&self.issue(names, |_| {}))
    }

    /// The same, valid over these years.
    pub fn pem_over(&self, names: &[&str], years: (i32, i32)) -> (String, String) {
        pem(&self.issue(names, |params| {
            params.not_before = date_time_ymd(years.0, 1, 1);
            params.not_after = date_time_ymd(years.1, 1, 1);
        }))
    }

    /// The same, valid for so long from now on.
    pub fn pem_for(&self, names: &[&str], time: Duration) -> (String, String) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        pem(&self.issue(names, |params| params.not_after = date_time_ymd(1970, 1, 1) + since_1970 + time))
    }
}

fn pem((certificate, key): &(Certificate, KeyPair)) -> (String, String) {
    (certificate.pem(), key.serialize_pem())
}

//! TLS that the server serves itself.
//!
//! The certificate and its key are read again when their files change. Open connections go on with what they began with.
//! A new pair that cannot be used is reported, and the server keeps the old one.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::clock::date_time;
use crate::files::{Version, check_secret, version};

/// How often the files are looked at.
const FILES: Duration = Duration::from_secs(1);
/// The first byte of a client that speaks TLS: the type of a handshake record.
const HANDSHAKE: u8 = 22;
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
    Content-Length: 38\r\n\r\nThis port speaks HTTPS, and not HTTP.\n";

/// The certificate in use. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    certificate: PathBuf,
    key: PathBuf,
    /// What was read first. The files may change before the server runs.
    read: Versions,
    config: RwLock<Arc<ServerConfig>>,
}

/// The versions of both files.
type Versions = [Option<Version>; 2];

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// One line that names the setting and the file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, String> {
        let read = versions(certificate, key);
        let config = RwLock::new(Arc::new(config(certificate, key)?));
        Ok(Self(Arc::new(Shared { certificate: certificate.to_path_buf(), key: key.to_path_buf(), read, config })))
    }

    /// Uses new certificates as soon as they are there. Does not return.
    pub(super) async fn follow(self) {
        let mut used = self.0.read;
        let mut last = used;
        loop {
            tokio::time::sleep(FILES).await;
            let found = versions(&self.0.certificate, &self.0.key);
            // Whoever writes one file after the other needs a moment.
            let settled = found == std::mem::replace(&mut last, found);
            if settled && found != used {
                used = found;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match config(&self.0.certificate, &self.0.key) {
            Ok(config) => {
                *self.0.config.write() = Arc::new(config);
                info!("the new TLS certificate is in use");
            }
            Err(line) => warn!(error = line, "the new TLS certificate cannot be used; the server keeps the old one"),
        }
    }

    /// The handshake with a client; `None` if it fails, or if the client does not speak TLS.
    pub(super) async fn accept(&self, mut stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let mut first = [0];
        if stream.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first != [HANDSHAKE] {
            let _ = stream.write_all(NOT_TLS).await;
            return None;
        }
        let acceptor = TlsAcceptor::from(self.0.config.read().clone());
        acceptor.accept(stream).await.ok()
    }
}

fn versions(certificate: &Path, key: &Path) -> Versions {
    [version(certificate), version(key)]
}

fn config(certificate: &Path, key: &Path) -> Result<ServerConfig, String> {
    let of_certificate = |error: &dyn std::fmt::Display| at("tls_cert_file", certificate, error);
    let pem = fs::read(certificate).map_err(|error| of_certificate(&error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| of_certificate(&error))?;
    if chain.is_empty() {
        return Err(of_certificate(&"there is no certificate in PEM form"));
    }
    let of_key = |error: &dyn std::fmt::Display| at("tls_key_file", key, error);
    let mut file = File::open(key).map_err(|error| of_key(&error))?;
    check_secret(&file).map_err(|line| of_key(&line))?;
    let mut pem = Zeroizing::new(Vec::new());
    file.read_to_end(&mut pem).map_err(|error| of_key(&error))?;
    if ENCRYPTED.iter().any(|mark| pem.windows(mark.len()).any(|part| part == *mark)) {
        return Err(of_key(
            &"the key is encrypted with a password; `openssl pkey -in FILE -out FILE` writes it without one",
        ));
    }
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| of_key(&"there is no private key in PEM form"))?;
    let private = default_provider().key_provider.load_private_key(private).map_err(|error| of_key(&error))?;
    check_pair(&chain, &private).map_err(|line| of_certificate(&line))?;
    if let Some(doubt) = doubt(&chain) {
        warn!(file = %certificate.display(), "{doubt}");
    }
    let config =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let config = config.map_err(|error| of_certificate(&error))?.with_no_client_auth();
    let own = SingleCertAndKey::from(CertifiedKey::new(chain, private));
    let mut config = config.with_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What a file with an encrypted key contains: the new form, and the old one of OpenSSL.
const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

/// Refuses a key that is not that of the first certificate.
fn check_pair(chain: &[CertificateDer<'static>], key: &Arc<dyn SigningKey>) -> Result<(), String> {
    let fits =
        |certificate: &CertificateDer<'static>| CertifiedKey::new(vec![certificate.clone()], key.clone()).keys_match();
    match fits(&chain[0]) {
        // Some kinds of keys do not tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) if chain.iter().any(|certificate| fits(certificate).is_ok()) => {
            Err("the certificate of this server is not the first one in the file; put it first, and then those that have signed it, each after the one that it has signed".into())
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err("the key in tls_key_file is not the key of this certificate".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Why clients may refuse the certificate; `None` if nothing is known. Whom they trust is not known.
fn doubt(chain: &[CertificateDer<'static>]) -> Option<String> {
    let own = ParsedCertificate::try_from(chain.first()?).ok()?;
    let mut signer = RootCertStore::empty();
    for next in chain.get(1).into_iter().chain((chain.len() == 1).then(|| &chain[0])) {
        let _ = signer.add(next.clone());
    }
    let algorithms = default_provider().signature_verification_algorithms.all;
    let checked = verify_server_cert_signed_by_trust_anchor(&own, &signer, &[], UnixTime::now(), algorithms);
    let date = |time: UnixTime| {
        date_time(i64::try_from(time.as_secs()).unwrap_or_default().saturating_mul(1_000)).format("%Y-%m-%d %H:%M UTC")
    };
    match checked {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(format!("the TLS certificate expired at {}, so browsers refuse it: renew it", date(not_after)))
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            Some(format!("the TLS certificate is not valid before {}: correct the clock, or wait", date(not_before)))
        }
        // An authority of the same name may have signed it.
        Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature))
            if chain.len() > 1 =>
        {
            Some("the second certificate in the file has not signed the first one, so clients may refuse it: put each after the one that it has signed".into())
        }
        _ => None,
    }
}

fn at(setting: &str, file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("setting {setting}: {}: {error}", file.display())
}

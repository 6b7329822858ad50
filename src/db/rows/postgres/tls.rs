//! TLS, as sea-orm's driver does it.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sea_orm::sqlx::postgres::PgSslMode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The mode, and what it needs.
pub(super) struct Tls {
    pub(super) mode: PgSslMode,
    /// The certificate authorities besides the system's.
    pub(super) authorities: Option<Pem>,
    /// Our own certificate.
    pub(super) certificate: Option<Pem>,
    pub(super) key: Option<Pem>,
}

/// A text of certificates or of a key.
pub(super) enum Pem {
    File(PathBuf),
    Inline(String),
}

impl Pem {
    /// As the driver writes it in a URL.
    pub(super) fn from_url(text: &str) -> Self {
        match text.strip_prefix("file: ") {
            Some(file) => Self::File(file.into()),
            None => Self::Inline(text.to_owned()),
        }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::File(file) => std::fs::read(file),
            Self::Inline(text) => Ok(text.clone().into_bytes()),
        }
    }
}

impl Tls {
    pub(super) fn config(&self) -> Result<ClientConfig, Failed> {
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let config = match self.mode {
            PgSslMode::VerifyFull => config.with_root_certificates(self.trusted()?),
            PgSslMode::VerifyCa => {
                let whole = WebPkiServerVerifier::builder_with_provider(Arc::new(self.trusted()?), provider).build()?;
                config.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(whole)))
            }
            _ => config.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        };
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(config.with_no_client_auth());
        };
        let chain = CertificateDer::pem_slice_iter(&certificate.read()?).collect::<Result<_, _>>()?;
        Ok(config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&key.read()?)?)?)
    }

    fn trusted(&self) -> Result<RootCertStore, Failed> {
        let mut trusted = RootCertStore::empty();
        trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(authorities) = &self.authorities {
            for authority in CertificateDer::pem_slice_iter(&authorities.read()?) {
                trusted.add(authority?)?;
            }
        }
        Ok(trusted)
    }
}

/// Accepts every certificate, for connections that need encryption alone.
#[derive(Debug)]
pub struct AnyCertificate(pub Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts a certificate for any name, if a trusted authority signed it.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Encrypts a connection.
#[derive(Clone)]
pub(super) struct Encrypt {
    /// None if the mode asks for no encryption.
    pub(super) config: Option<Arc<ClientConfig>>,
    /// The name in the server's certificate.
    pub(super) name: Option<ServerName<'static>>,
}

impl MakeTlsConnect<Socket> for Encrypt {
    type Stream = Encrypted;
    type TlsConnect = Self;
    type Error = Failed;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self, Failed> {
        // A local socket has no name, and is not encrypted.
        Ok(Self { name: ServerName::try_from(host.to_owned()).ok(), config: self.config.clone() })
    }
}

impl TlsConnect<Socket> for Encrypt {
    type Stream = Encrypted;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted, Failed>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let config = self.config.ok_or("encryption was not asked for")?;
            let name = self.name.ok_or("the name of the host is not one of a certificate")?;
            Ok(Encrypted(TlsConnector::from(config).connect(name, socket).await?))
        })
    }
}

/// An encrypted connection.
pub(super) struct Encrypted(tokio_rustls::client::TlsStream<Socket>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, to)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

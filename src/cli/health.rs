//! `muster health`: asks the server how it is, for containers and scripts that have no client for HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::output::say;
use crate::config::Settings;
use crate::db::AnyCertificate;

/// How long the server may take to answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);
/// How much of an answer is read, in bytes.
const ANSWER: u64 = 64 * 1024;

#[derive(clap::Args)]
pub struct Command {
    /// Ask whether it can serve requests (/readyz), not only whether it is running (/healthz).
    #[arg(long)]
    ready: bool,
}

/// # Errors
/// One line, if the server does not answer that it is well.
pub async fn run(command: &Command, settings: &Settings) -> Result<(), String> {
    let path = if command.ready { "/readyz" } else { "/healthz" };
    let address = here(settings.listen);
    let at = |problem: &str| format!("{address}{path}: {problem}");
    let answer = match tokio::time::timeout(LONGEST_ANSWER, ask(settings, address, path)).await {
        Ok(answer) => answer.map_err(|error| at(&error.to_string()))?,
        Err(_) => return Err(at("no answer within 5 seconds")),
    };
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    if status != "200" {
        return Err(at(&format!("status {status}: {body}")));
    }
    say!("{body}");
    Ok(())
}

/// The address at which this machine reaches a server that listens there.
fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(settings: &Settings, address: SocketAddr, path: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    if settings.tls_files().is_none() {
        return Ok(exchange(stream, path).await?);
    }
    // The certificate is for the public name, and a certificate that has expired is no reason to restart the server.
    let provider = Arc::new(default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::from(address.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(exchange(stream, path).await?)
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> std::io::Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER).read_to_end(&mut answer).await?;
    Ok(answer)
}

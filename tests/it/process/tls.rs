//! TLS that the server serves itself.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::settings::refusal;
use super::{Home, Program, write_key};
use crate::support::authority::{Authority, openssl};
use crate::support::{Client, DEADLINE};

/// How long the server waits for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Puts a new certificate and its key where the server looks for them.
fn install(home: &Home, authority: &Authority) {
    let (certificate, key) = authority.sign("IP:127.0.0.1");
    write_key(&home.dir.path().join("tls.key"), fs::read(key).unwrap());
    fs::copy(certificate, home.dir.path().join("tls.pem")).unwrap();
}

fn home(authority: &Authority) -> Home {
    let home = Home::on_sqlite();
    install(&home, authority);
    home.set("TLS_CERT_FILE", "tls.pem").set("TLS_KEY_FILE", "tls.key")
}

/// Starts the server and waits until it is ready.
async fn serve(home: &Home, authority: &Authority) -> Program {
    let log = File::options().create(true).append(true).open(home.log_file()).unwrap();
    let mut child = home.command(&["serve"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let deadline = Instant::now() + DEADLINE;
    while !is_ready(home, authority).await {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "{}", home.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Program { client: Client::new(format!("https://127.0.0.1:{}", home.port), String::new()), child }
}

async fn is_ready(home: &Home, authority: &Authority) -> bool {
    let Some(mut stream) = connect(home, &[authority]).await else { return false };
    let mut answer = [0; 12];
    // The connection ends when the server becomes ready.
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && answer == *b"HTTP/1.1 200"
}

/// A connection that trusts these authorities alone.
async fn connect(home: &Home, authorities: &[&Authority]) -> Option<TlsStream<TcpStream>> {
    let mut trusted = RootCertStore::empty();
    for authority in authorities {
        trusted.add(CertificateDer::from_pem_file(authority.certificate()).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(trusted).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", home.port)).await.ok()?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

/// Sends a request, and returns what arrives until `end` is in it, or until the connection ends.
async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), request: &str, end: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(end) {
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(length) => seen.extend_from_slice(&part[..length]),
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

const LIVE: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn pages_and_sockets_are_served_over_tls_alone() {
    let authority = Authority::new();
    let home = home(&authority);
    let _program = serve(&home, &authority).await;
    let mut stream = connect(&home, &[&authority]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));

    let page = ask(&mut stream, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "</html>").await.to_lowercase();
    assert!(page.starts_with("http/1.1 200"), "{page}");
    for header in [
        "strict-transport-security: max-age=31536000",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "permissions-policy: accelerometer=()",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'",
    ] {
        assert!(page.contains(&format!("\r\n{header}")), "{header}: {page}");
    }
    let health = ask(&mut stream, LIVE, "ok").await;
    assert!(health.to_lowercase().contains("strict-transport-security") && !health.contains("permissions-policy"));
    let upgrade = "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
        Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
    assert!(ask(&mut stream, upgrade, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));

    let mut plain = TcpStream::connect(("127.0.0.1", home.port)).await.unwrap();
    let refused = ask(&mut plain, LIVE, "\n\n").await;
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("HTTPS"), "{refused}");
    assert!(home.log().contains("serving on https://127.0.0.1"), "{}", home.log());
    // It needs no trust in the certificate.
    let checked = home.run(&["health", "--ready"]);
    assert!(checked.status.success(), "{checked:?}");
}

/// Waits until the log has so many lines with this text.
async fn logged(home: &Home, text: &str, times: usize) {
    let deadline = Instant::now() + DEADLINE;
    while home.log().matches(text).count() < times {
        assert!(Instant::now() < deadline, "{text}: {}", home.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_at_once_and_a_broken_one_never() {
    let (old, new) = (Authority::new(), Authority::new());
    let home = home(&old);
    let _program = serve(&home, &old).await;
    let mut open = connect(&home, &[&old]).await.unwrap();
    assert!(ask(&mut open, LIVE, "ok").await.ends_with("ok"));

    install(&home, &new);
    logged(&home, "the new TLS certificate is in use", 1).await;
    assert!(connect(&home, &[&new]).await.is_some());
    assert!(connect(&home, &[&old]).await.is_none());
    assert!(ask(&mut open, LIVE, "ok").await.ends_with("ok"), "an open connection goes on");

    let kept = "the server keeps the old one";
    let certificate = home.dir.path().join("tls.pem");
    fs::write(&certificate, "not a certificate").unwrap();
    logged(&home, kept, 1).await;
    // The certificate of another key.
    fs::copy(old.sign("IP:127.0.0.1").0, &certificate).unwrap();
    logged(&home, kept, 2).await;
    fs::remove_file(&certificate).unwrap();
    logged(&home, kept, 3).await;
    assert!(connect(&home, &[&new]).await.is_some(), "the last pair that was whole");
    install(&home, &old);
    logged(&home, "the new TLS certificate is in use", 2).await;
    assert!(connect(&home, &[&old]).await.is_some());
    assert!(ask(&mut open, LIVE, "ok").await.ends_with("ok"));
}

#[tokio::test]
async fn a_handshake_that_stalls_is_given_up_and_disturbs_nobody() {
    let authority = Authority::new();
    let home = home(&authority).set("MAX_CONNECTIONS", "40");
    let _program = serve(&home, &authority).await;
    let begun = Instant::now();
    let mut stalled = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(("127.0.0.1", home.port)).await.unwrap();
        // The head of a handshake record, and nothing after it.
        stream.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
        stalled.push(stream);
    }
    assert!(connect(&home, &[&authority]).await.is_some());
    for mut stream in stalled {
        let closed = tokio::time::timeout(2 * HANDSHAKE, stream.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "the connection stays open");
    }
    assert!(begun.elapsed() >= HANDSHAKE / 2);
}

#[tokio::test]
async fn a_certificate_that_clients_will_refuse_is_warned_of() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let home = home(&authority);
    let certificate = home.dir.path().join("tls.pem");
    let own = fs::read_to_string(&certificate).unwrap();
    let _program = serve(&home, &authority).await;
    assert!(!home.log().contains("WARN"), "{}", home.log());
    let other = fs::read_to_string(stranger.certificate()).unwrap();
    fs::write(&certificate, format!("{own}{other}")).unwrap();
    logged(&home, "the second certificate in the file has not signed the first one", 1).await;
    let (expired, key) = authority.sign_expired();
    write_key(&home.dir.path().join("tls.key"), fs::read(key).unwrap());
    fs::copy(expired, &certificate).unwrap();
    logged(&home, "the TLS certificate expired at 2020-02-01", 1).await;
    logged(&home, "the new TLS certificate is in use", 2).await;
}

#[test]
fn a_pair_that_cannot_be_used_stops_the_start() {
    let authority = Authority::new();
    let mode = |file: &Path, mode: u32| {
        fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    let line = |setting: &str, change: &dyn Fn(&Path)| {
        let home = home(&authority);
        change(home.dir.path());
        let line = refusal(&home, &["serve"]);
        assert!(line.contains(&format!("setting {setting}: ")), "{line}");
        line
    };
    assert!(line("tls_key_file", &|dir| mode(&dir.join("tls.key"), 0o644)).contains("other users"));
    line("tls_key_file", &|dir| fs::remove_file(dir.join("tls.key")).unwrap());
    line("tls_key_file", &|dir| write_key(&dir.join("tls.key"), "not a key"));
    line("tls_cert_file", &|dir| fs::write(dir.join("tls.pem"), "").unwrap());
    let other = line("tls_cert_file", &|dir| {
        fs::copy(Authority::new().sign("IP:127.0.0.1").0, dir.join("tls.pem")).unwrap();
    });
    assert!(other.contains("the key in tls_key_file is not the key of this certificate"), "{other}");
    let turned = line("tls_cert_file", &|dir| {
        let text = |file: &Path| fs::read_to_string(file).unwrap();
        let (own, signer) = (text(&dir.join("tls.pem")), text(Path::new(&authority.certificate())));
        fs::write(dir.join("tls.pem"), format!("{signer}{own}")).unwrap();
    });
    assert!(turned.contains("is not the first one in the file"), "{turned}");
    for form in [&["pkcs8", "-topk8"][..], &["ec", "-aes256"]] {
        let locked = line("tls_key_file", &|dir| {
            let options = ["-in", "tls.key", "-out", "locked.key", "-passout", "pass:hush"];
            openssl(&[form, &options].concat(), dir);
            write_key(&dir.join("tls.key"), fs::read(dir.join("locked.key")).unwrap());
        });
        assert!(locked.contains("encrypted with a password"), "{form:?}: {locked}");
    }
    let half = Home::on_sqlite().set("TLS_CERT_FILE", "tls.pem");
    assert!(refusal(&half, &["serve"]).contains("setting tls_key_file: is not set"));
}

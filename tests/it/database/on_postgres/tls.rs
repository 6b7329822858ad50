//! TLS to the database: a server with a valid certificate is used, and another receives no login.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use entity::user;
use muster::db::{Db, Location};
use sea_orm::{EntityTrait, QuerySelect, QueryTrait};

use crate::peers::Cluster;
use crate::process::Home;
use crate::process::settings::refusal;
use crate::support::authority::Authority;

/// Copies a file to a place where only the server may read it.
fn hand_over(file: &Path, to: &Path) {
    let owner = fs::metadata(to.parent().unwrap()).unwrap();
    fs::copy(file, to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o600)).unwrap();
    chown(to, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// A server with TLS and a certificate for `host`.
async fn cluster(authority: &Authority, host: &str) -> Cluster {
    let cluster = Cluster::with(&["log_connections=on"], None).await;
    let (certificate, key) = authority.sign(host);
    let data = cluster.rows("SELECT current_setting('data_directory') AS at").await;
    let data = Path::new(data[0]["at"].as_str().unwrap());
    hand_over(&certificate, &data.join("server.crt"));
    hand_over(&key, &data.join("server.key"));
    cluster.set("ssl", "on").await;
    // The server reloads its settings a moment later.
    let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
    while cluster.rows("SELECT current_setting('ssl') AS ssl").await[0]["ssl"] != "on" {
        assert!(tokio::time::Instant::now() < deadline, "no TLS: {}", cluster.log());
    }
    cluster
}

fn home(cluster: &Cluster, parameters: &str) -> Home {
    let url = cluster.url().replacen("muster@", "muster:canary-password-5e1f@", 1);
    Home::on_sqlite().set("DATABASE_URL", format!("{url}?{parameters}"))
}

/// The line with which the start fails. No login must have reached the server.
fn refused(cluster: &Cluster, parameters: &str) -> String {
    let home = home(cluster, parameters);
    let line = refusal(&home, &["serve"]);
    assert!(line.contains("setting database_url") || line.contains("database"), "{line}");
    assert!(!line.contains("canary"), "{line}");
    assert!(!cluster.log().contains("user=muster"), "{parameters}: {}", cluster.log());
    line
}

#[tokio::test]
async fn a_server_that_proves_itself_is_used_over_tls() {
    let authority = Authority::new();
    let cluster = cluster(&authority, "IP:127.0.0.1").await;
    let home = home(&cluster, &format!("sslmode=verify-full&sslrootcert={}", authority.certificate()));
    let token = home.token();
    let program = home.serve(&token).await;
    let id = program.client.rehearse("Acme", &[("users", "7")]).await;
    assert_eq!(program.client.idle(&id, "userCount").await["userCount"], 7);
    let plain = "SELECT count(*) AS n FROM pg_stat_activity LEFT JOIN pg_stat_ssl USING (pid) WHERE usename = 'muster'";
    assert!(cluster.count(plain).await > 1);
    assert_eq!(cluster.count(&format!("{plain} AND ssl IS NOT TRUE")).await, 0);
}

#[tokio::test]
async fn the_connections_that_requests_share_are_encrypted_too() {
    let authority = Authority::new();
    let cluster = cluster(&authority, "IP:127.0.0.1").await;
    let known = format!("sslrootcert={}", authority.certificate());
    for parameters in [
        "sslmode=prefer".to_owned(),
        "sslmode=require".to_owned(),
        format!("sslmode=verify-ca&{known}"),
        format!("sslmode=verify-full&{known}"),
    ] {
        let db = Db::open(&Location::Postgres(format!("{}?{parameters}", cluster.url())), 20).await.unwrap();
        let none: Vec<user::Model> = db.read().rows(user::Entity::find().limit(7).into_query()).await.unwrap();
        assert!(none.is_empty());
        // The pools send a limit as a parameter.
        let there = "SELECT count(*) AS n FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE query LIKE '%user_account% LIMIT 7' AND ssl";
        assert_eq!(cluster.count(there).await, 1, "{parameters}");
        db.close().await.unwrap();
        assert_eq!(cluster.count(there).await, 0, "{parameters}");
    }
}

#[tokio::test]
async fn the_file_of_authorities_is_for_the_database_too() {
    let authority = Authority::new();
    let cluster = cluster(&authority, "IP:127.0.0.1").await;
    let line = refused(&cluster, "sslmode=verify-full");
    assert!(line.contains("certificate"), "the system does not know it: {line}");
    home(&cluster, "sslmode=verify-full").set("CA_FILE", authority.certificate()).token();
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_is_told_nothing() {
    let authority = Authority::new();
    let cluster = cluster(&authority, "DNS:elsewhere.example.com").await;
    let stranger = Authority::new();
    for (parameters, named) in [
        (format!("sslmode=verify-full&sslrootcert={}", stranger.certificate()), "certificate"),
        (format!("sslmode=verify-ca&sslrootcert={}", stranger.certificate()), "certificate"),
        // The right authority, but another host.
        (format!("sslmode=verify-full&sslrootcert={}", authority.certificate()), "certificate"),
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.pem".to_owned(), "/nowhere/ca.pem"),
    ] {
        let line = refused(&cluster, &parameters);
        assert!(line.contains(named), "{parameters}: {line}");
    }
    // Only the authority is checked.
    let home = home(&cluster, &format!("sslmode=verify-ca&sslrootcert={}", authority.certificate()));
    home.token();
}

#[tokio::test]
async fn a_server_without_tls_is_refused_when_tls_is_asked_for() {
    let cluster = Cluster::with(&["log_connections=on"], None).await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let line = refused(&cluster, &format!("sslmode={mode}"));
        assert!(line.to_lowercase().contains("tls"), "{line}");
    }
    // TLS is optional, and the certificate is not checked.
    home(&cluster, "sslmode=prefer").token();
}

//! Settings: a wrong one stops the start with one line that names it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::Instant;

use super::{Home, free_port, write_key};
use crate::support::DEADLINE;

/// Starts a server that must refuse to start. Returns its only line of output.
pub fn refusal(home: &Home, arguments: &[&str]) -> String {
    let mut child = home.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + DEADLINE;
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _too_late_if_it_has_ended = child.kill();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let said = String::from_utf8(ended.stderr).unwrap();
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("muster: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(said.trim_end().ends_with(lines[0]), "it is the last thing said: {said}");
    lines[0].to_owned()
}

#[test]
fn a_setting_that_does_not_fit_stops_the_start_and_is_named() {
    for (name, value, named) in [
        ("FOO", "1", "setting foo"),
        ("LISTEN", "nowhere", "setting listen"),
        ("LISTEN", "127.0.0.1", "setting listen"),
        ("PUBLIC_URL", "not an address", "setting public_url"),
        ("PUBLIC_URL", "ftp://example.com", "setting public_url"),
        ("PUBLIC_URL", "muster.example.com", "such as https://muster.example.com"),
        ("PUBLIC_URL", "https://example.com/?a=b", "must have no user, query or fragment"),
        ("PUBLIC_URL", "https://ada:hush@example.com", "must have no user, query or fragment"),
        ("OTLP_ENDPOINT", "localhost:4318", "setting otlp_endpoint"),
        ("ALLOWED_NETWORKS", "10.0.0.0/8,everything", "setting allowed_networks"),
        ("SYNC_CONCURRENCY", "0", "setting sync_concurrency"),
        ("SYNC_CONCURRENCY", "many", "setting sync_concurrency"),
        ("REMOVAL_GUARD_PERCENT", "101", "setting removal_guard_percent"),
        ("GROWTH_GUARD_FACTOR", "0", "setting growth_guard_factor"),
        ("INTROSPECTION", "perhaps", "setting introspection"),
        ("LOG", "muster=loud", "setting log"),
        ("LOG_FORMAT", "xml", "setting log_format"),
        ("DATABASE_URL", "postgres://localhost", "setting database_url"),
        ("DATABASE_URL", "mysql://localhost/muster", "setting database_url"),
        ("DATABASE_URL", "postgres://localhost/muster?sslmod=require", "did you mean sslmode?"),
        ("LISTN", "127.0.0.1:1", "did you mean listen?"),
        ("PORT", "8080", "setting port"),
        ("CA_FILE", "/nowhere/ca.pem", "setting ca_file: /nowhere/ca.pem"),
        ("CA_FILE", "/dev/null", "setting ca_file: /dev/null: there is no certificate"),
        ("HTTPS_PROXY", "proxy.example.com:3128", "setting https_proxy"),
        ("OIDC_ISSUER", "https://login.example.com", "setting oidc_issuer: oidc_client_id is not set"),
        ("OIDC_CLIENT_SECRET_FILE", "/nowhere/secret", "setting oidc_client_secret_file: /nowhere/secret"),
        ("TLS_KEY_FILE", "/nowhere/tls.key", "setting tls_cert_file: is not set"),
        ("SMTP_HELO_NAME", "my server", "setting smtp_helo_name"),
        ("SMTP_URL", "http://mail.example.com", "setting smtp_url"),
        ("SMTP_URL", "smtp://user:hush@mail.example.com", "sent without TLS"),
        ("SMTP_URL_FILE", "/nowhere/smtp", "setting smtp_url_file: /nowhere/smtp"),
        ("DATABASE_URL_FILE", "/dev/null", "setting database_url_file: /dev/null: is empty"),
        ("HTTPS_PROXY_FILE", "/proc/self/comm", "setting https_proxy_file"),
        ("MAIL_FROM", "nobody at all", "setting mail_from"),
        ("CONNECTORS_DIR", "/nowhere/at/all", "connectors_dir"),
    ] {
        // On PostgreSQL, the address of the database is set already.
        let home = Home::on_sqlite().set(name, value);
        let line = refusal(&home, &["serve"]);
        assert!(line.contains(named), "MUSTER_{name}={value}: {line}");
    }
}

#[tokio::test]
async fn what_a_cluster_says_about_services_is_warned_of_and_no_setting() {
    let mut home = Home::new();
    for (name, value) in [
        ("PORT", "tcp://10.0.0.5:8080"),
        ("SERVICE_HOST", "10.0.0.5"),
        ("SERVICE_PORT", "8080"),
        ("SERVICE_PORT_HTTP", "8080"),
        ("PORT_8080_TCP", "tcp://10.0.0.5:8080"),
        ("PORT_8080_TCP_ADDR", "10.0.0.5"),
        ("DB_PORT_5432_TCP_PROTO", "tcp"),
    ] {
        home = home.set(name, value);
    }
    let token = home.token();
    let _program = home.serve(&token).await;
    let log = home.log();
    assert!(log.contains("ignored") && log.contains("MUSTER_DB_PORT_5432_TCP_PROTO, MUSTER_PORT, "), "{log}");
}

#[test]
fn a_file_of_settings_is_held_to_the_same() {
    let home = Home::new();
    let file = home.dir.path().join("muster.toml");
    let path = file.to_str().unwrap();
    let line = refusal(&home, &["--config", path]);
    assert!(line.contains("--config") && line.contains(path), "{line}");
    for (text, named) in
        [("nowhere = 1", "setting nowhere"), ("sync_concurrency = \"x\"", "sync_concurrency"), ("= 1", "line 1")]
    {
        fs::write(&file, text).unwrap();
        let line = refusal(&home, &["serve", "--config", path]);
        assert!(line.contains(named), "{text}: {line}");
    }
}

#[tokio::test]
async fn the_file_is_read_and_the_environment_wins_over_it() {
    let home = Home::new();
    let token = home.token();
    // The address comes from the environment, so that the test knows it.
    let file = home.dir.path().join("muster.toml");
    fs::write(&file, "listen = \"127.0.0.1:1\"\nintrospection = false\n").unwrap();
    let program = home.serve_with(&["serve", "--config", file.to_str().unwrap()], &token).await;
    let answer = program.client.ask_as(&token, "{ __schema { queryType { name } } }", serde_json::json!({})).await;
    assert!(answer["errors"].is_array(), "the file switches introspection off: {answer:#}");
}

#[tokio::test]
async fn a_second_server_on_the_same_sqlite_file_is_refused() {
    let home = Home::on_sqlite();
    let token = home.token();
    let _program = home.serve(&token).await;
    let line = refusal(&home, &["serve"]);
    assert!(line.contains("setting data_dir") && line.contains("another muster is running"), "{line}");
}

#[test]
fn the_first_link_can_be_opened_wherever_the_server_listens() {
    let first_link = |name: &str, value: &str| {
        let home = Home::on_sqlite().set(name, value);
        let mut child = home.command(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let link = lines.find_map(|line| line.ok().filter(|line| line.contains("/#/set-up/"))).expect("a link");
        let hint = lines.nth(1).unwrap().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        (home.port, link.trim().to_owned(), hint)
    };
    let port = free_port();
    let (_, link, hint) = first_link("LISTEN", &format!("0.0.0.0:{port}"));
    assert!(
        link.starts_with(&format!("http://127.0.0.1:{port}/#/set-up/")) && hint.contains("MUSTER_PUBLIC_URL"),
        "{link} {hint}"
    );
    let (_, link, _) = first_link("LISTEN", &format!("[::]:{port}"));
    assert!(link.starts_with(&format!("http://[::1]:{port}/#/set-up/")), "{link}");
    let (own, link, hint) = first_link("KEEP_RUNS_DAYS", "9");
    assert!(
        link.starts_with(&format!("http://127.0.0.1:{own}/#/set-up/")) && hint.contains("MUSTER_PUBLIC_URL"),
        "{link} {hint}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let home = Home::new();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", home.port)).unwrap();
    let line = refusal(&home, &["serve"]);
    assert!(line.contains("setting listen") && line.contains(&home.port.to_string()), "{line}");
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let home = Home::new();
    let file = home.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let home = home.set("DATA_DIR", file.join("data").to_str().unwrap());
    let line = refusal(&home, &["serve"]);
    assert!(line.contains("setting data_dir") && line.contains("file/data"), "{line}");
}

#[tokio::test]
async fn a_new_data_folder_and_its_key_are_for_their_owner_alone() {
    let home = Home::new();
    let token = home.token();
    let _program = home.serve(&token).await;
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.data_dir()), 0o700);
    assert_eq!(mode(home.data_dir().join("secret.key")), 0o600);
}

#[tokio::test]
async fn another_secret_key_than_the_one_that_sealed_the_credentials_stops_the_start() {
    let scim = crate::peers::Scim::start(3, &[]);
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let token = home.token();
    let program = home.serve(&token).await;
    let id = program.client.integrate("scim", "Directory", &scim.config()).await;
    program.client.idle(&id, "").await;
    program.kill();

    let key = home.data_dir().join("secret.key");
    let right = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let line = refusal(&home, &["serve"]);
    assert!(line.contains("secret key"), "{line}");
    write_key(&key, "no key");
    let line = refusal(&home, &["serve"]);
    assert!(line.contains("secret") && line.contains("key"), "{line}");

    write_key(&key, right);
    let program = home.serve(&token).await;
    assert_eq!(program.client.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
}

//! What others on the machine get of a running server: no memory, no files, no settings.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::Home;
use super::settings::refusal;
use crate::maintenance::backup::{file, said};
use crate::support::{DEADLINE, http};

#[tokio::test]
async fn a_server_that_is_aborted_leaves_no_core() {
    let home = Home::new();
    let token = home.token();
    let program = home.command(&["serve"]);
    // As much as the machine allows.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -S -c \"$(ulimit -H -c)\"; exec \"$0\" serve"]).arg(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let mut child = limited.current_dir(home.dir.path()).stderr(Stdio::null()).spawn().unwrap();
    let ready = format!("http://127.0.0.1:{}/readyz", home.port);
    let deadline = Instant::now() + DEADLINE;
    while !http().get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let aborted = Command::new("kill").args(["-ABRT", &child.id().to_string()]).status().unwrap();
    assert!(aborted.success());
    let ended = child.wait().unwrap();
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false));
    let left: Vec<_> = fs::read_dir(home.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("core")), "{left:?}");
    assert!(!token.is_empty());
}

#[tokio::test]
async fn every_file_of_a_server_is_for_its_owner_alone_on_sqlite() {
    let home = Home::on_sqlite();
    let token = home.token();
    let program = home.serve(&token).await;
    let id = program.client.rehearse("Off", &[("outcomes", "token_inactive")]).await;
    program.client.idle(&id, "").await;
    let deadline = Instant::now() + DEADLINE;
    let mail = home.data_dir().join("mail");
    while !fs::read_dir(&mail).is_ok_and(|mut mails| mails.next().is_some()) {
        assert!(Instant::now() < deadline, "no mail");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut looked = 0;
    for folder in [home.data_dir(), mail] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            looked += 1;
        }
    }
    assert!(looked >= 5, "{looked}");
}

#[tokio::test]
async fn a_setting_with_a_secret_is_read_from_a_file() {
    let other = Home::on_sqlite();
    let path = file(&other, "url");
    let elsewhere = file(&other, "elsewhere.db");
    fs::write(&path, format!("sqlite://{}\n", elsewhere.display())).unwrap();
    let home = Home::on_sqlite().set("DATABASE_URL_FILE", path.to_str().unwrap());
    let made = home.run(&["token", "create", "--name", "x"]);
    assert!(made.status.success() && elsewhere.exists(), "{}", said(&made));

    let both = home.set("DATABASE_URL", "sqlite:///nowhere/at/all.db");
    assert!(refusal(&both, &["serve"]).contains("database_url is set too"));

    let canary = "canary-in-a-file-77aa";
    fs::write(&path, format!("smtp://user:{canary}@mail.example.com")).unwrap();
    let home = Home::on_sqlite().set("SMTP_URL_FILE", path.to_str().unwrap());
    let line = refusal(&home, &["serve"]);
    assert!(line.contains("sent without TLS") && !line.contains(canary), "{line}");

    fs::write(&path, format!("smtp://user:{canary}@127.0.0.1:9")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(home.serve("").await);
    let log = home.log();
    assert!(log.contains("setting smtp_url_file: ") && log.contains("can read it") && !log.contains(canary), "{log}");
}

#[test]
fn a_database_on_the_network_that_is_not_verified_is_warned_of() {
    let location = |url: &str| muster::db::Location::parse(url, None).unwrap().warnings;
    for url in [
        "postgres://u:p@db.example.com/muster",
        "postgres://u:p@db.example.com/muster?sslmode=require",
        "postgres://u:p@192.0.2.1/muster?sslmode=verify-ca",
    ] {
        assert!(location(url).iter().any(|warning| warning.contains("verify-full")), "{url}");
    }
    for url in [
        "postgres://u:p@db.example.com/muster?sslmode=verify-full",
        "postgres://u:p@127.0.0.1/muster",
        "postgres://u:p@[::1]/muster?sslmode=disable",
        "postgres://u:p@localhost/muster",
        "postgres:///muster?host=/run/postgresql",
    ] {
        assert_eq!(location(url), Vec::<String>::new(), "{url}");
    }
}

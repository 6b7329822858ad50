//! The first start of an installation, also if it is interrupted or happens twice at once.

use std::time::Duration;

use tokio::time::Instant;

use super::{Home, Program};
use crate::support::{Client, DEADLINE, http};

#[tokio::test]
async fn a_first_start_that_is_killed_at_any_moment_can_be_repeated() {
    let seed = std::env::var("TEST_KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("TEST_KILL_SEED={seed}");
    let mut moments = fastrand::Rng::with_seed(seed);
    for round in 0..20 {
        let home = Home::new();
        let mut child = home.command(&["serve"]).stderr(std::process::Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(moments.u64(0..300))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let token = home.token();
        let program = home.serve(&token).await;
        program.client.rehearse(&format!("Round {round}"), &[]).await;
        drop(program);
        home.assert_intact().await;
    }
}

#[tokio::test]
async fn a_server_and_commands_that_start_at_once_on_nothing_all_succeed() {
    let home = Home::new();
    let list = || home.command(&["token", "list"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let commands: Vec<_> = (0..4).map(|_| list()).collect();
    let program = home.serve("").await;
    for mut command in commands {
        assert!(command.wait().unwrap().success());
    }
    drop(program);
    home.assert_intact().await;
}

#[tokio::test]
async fn at_a_port_that_the_system_chooses_it_says_which_one_that_is() {
    let home = Home::new().set("LISTEN", "127.0.0.1:0");
    let [log, output] = ["stderr.log", "stdout.log"].map(|name| home.dir.path().join(name));
    let file = |path| std::fs::File::create(path).unwrap();
    let child = home.command(&["serve"]).stdout(file(&output)).stderr(file(&log)).spawn().unwrap();
    let mut program = Program { client: Client::new(String::new(), String::new()), child };
    let deadline = Instant::now() + DEADLINE;
    let address = loop {
        let told = home.log();
        if let Some((_, rest)) = told.split_once("serving on ") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline && program.child.try_wait().unwrap().is_none(), "{told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(address.starts_with("http://127.0.0.1:") && !address.ends_with(":0"), "{address}");
    assert_eq!(http().get(format!("{address}/healthz")).send().await.unwrap().status(), 200);
    while !std::fs::read_to_string(&output).unwrap().contains(&format!("{address}/#/set-up/")) {
        assert!(Instant::now() < deadline, "the link to sign in has another address");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

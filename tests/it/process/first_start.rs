//! The first start of an installation, also if it is interrupted or happens twice at once.

use std::time::Duration;

use super::Home;

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

//! The test bed of a round: the database, three replicas, an application and a mail server.

use std::time::Duration;

use tokio::time::Instant;

use super::replica::Replica;
use crate::peers::{Cluster, Proxy, Scim, Smtp};
use crate::process::Home;

/// The replicas, by their roles.
const ROLES: [&[&str]; 3] = [&["serve", "--api"], &["serve", "--workers"], &["serve"]];
/// The replicas that serve the API.
pub const APIS: [usize; 2] = [0, 2];

pub struct Stage {
    pub cluster: Cluster,
    /// The proxy between each replica and the database.
    pub lines: Vec<Proxy>,
    pub replicas: Vec<Replica>,
    pub smtp: Smtp,
    pub smtp_line: Proxy,
    /// A real application.
    pub scim: Scim,
    pub scim_line: Proxy,
    pub token: String,
}

impl Stage {
    /// Sets everything up and waits until all replicas are ready.
    pub async fn build() -> Stage {
        let cluster = Cluster::start().await;
        let smtp = Smtp::start();
        let smtp_line = Proxy::start(smtp.port()).await;
        let scim = Scim::start(40, &[]);
        let port = |url: &str| url.rsplit(':').next().and_then(|rest| rest.split('/').next()?.parse().ok());
        let scim_line = Proxy::start(port(&scim.base_url).expect("a port")).await;
        let (mut lines, mut replicas) = (Vec::new(), Vec::<Replica>::new());
        for role in ROLES {
            let line = Proxy::start(cluster.port).await;
            let mut home = Home::on_sqlite()
                .set("DATABASE_URL", Cluster::url_at(line.port))
                .set("SMTP_URL", format!("smtp://127.0.0.1:{}", smtp_line.port))
                .set("ALLOWED_NETWORKS", "127.0.0.0/8")
                .set("LOG", "info");
            if let Some(first) = replicas.first() {
                home = home.set("SECRET_KEY_FILE", first.home.data_dir().join("secret.key").display().to_string());
            }
            replicas.push(Replica::new(home, role));
            lines.push(line);
        }
        let token = replicas[0].home.token();
        let mut stage = Stage { cluster, lines, replicas, smtp, smtp_line, scim, scim_line, token };
        for replica in &mut stage.replicas {
            replica.launch();
            replica.until_ready(Duration::from_secs(30)).await;
        }
        stage
    }

    /// The configuration for the application, through its proxy.
    pub fn scim_config(&self) -> [(&'static str, String); 2] {
        [("base_url", format!("http://127.0.0.1:{}/v2", self.scim_line.port)), ("token", self.scim.token.clone())]
    }

    /// The URLs of the API.
    pub fn api_urls(&self) -> Vec<String> {
        APIS.iter().map(|at| self.replicas[*at].url()).collect()
    }

    /// Waits until every replica is ready, and returns how long that took.
    pub async fn until_ready(&mut self, within: Duration) -> Duration {
        let began = Instant::now();
        for replica in &mut self.replicas {
            replica.until_ready(within.saturating_sub(began.elapsed())).await;
        }
        began.elapsed()
    }

    /// The logs outlive the test.
    pub fn keep_logs(&mut self) {
        self.cluster.keep_log();
        for replica in &mut self.replicas {
            replica.home.dir.disable_cleanup(true);
        }
    }

    /// The places of all logs, and their last lines.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (role, replica) in ROLES.iter().zip(&self.replicas) {
            text.extend([
                "\n",
                &role.join(" "),
                ": ",
                &replica.log_file().display().to_string(),
                &replica.last_lines(),
            ]);
        }
        let log = self.cluster.log();
        let lines: Vec<_> = log.lines().rev().take(10).collect();
        text + "\nPostgreSQL:" + &*lines.into_iter().rev().fold(String::new(), |text, line| text + "\n    " + line)
    }
}

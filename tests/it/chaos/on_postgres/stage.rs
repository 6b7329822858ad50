//! Everything that a round happens to: the database, three replicas, and whom they talk to.

use std::time::Duration;

use tokio::time::Instant;

use super::replica::Replica;
use crate::peers::{Cluster, Proxy, Scim, Smtp};
use crate::process::Home;

/// The replicas, by what they do.
const ROLES: [&[&str]; 3] = [&["serve", "--api"], &["serve", "--workers"], &["serve"]];
/// Those that answer the API.
pub const APIS: [usize; 2] = [0, 2];

pub struct Stage {
    pub cluster: Cluster,
    /// Each replica's way to the database.
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

    /// The configuration that connects the application, past its proxy.
    pub fn scim_config(&self) -> [(&'static str, String); 2] {
        [("base_url", format!("http://127.0.0.1:{}/v2", self.scim_line.port)), ("token", self.scim.token.clone())]
    }

    /// Where the API can be asked.
    pub fn api_urls(&self) -> Vec<String> {
        APIS.iter().map(|at| self.replicas[*at].url()).collect()
    }

    /// Waits until every replica says that it is ready, and tells how long that took.
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

    /// Where everybody wrote what happened, and the end of it.
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
        text + "\nPostgreSQL:" + &lines.into_iter().rev().fold(String::new(), |text, line| text + "\n    " + line)
    }
}

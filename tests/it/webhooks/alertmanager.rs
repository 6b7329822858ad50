//! A real Alertmanager: what it shows while an instance fails, and after that.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{add_service, builder};
use crate::support::{DEADLINE, http};

/// It routes every alert to nobody.
const ROUTES: &str = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";

struct Alertmanager {
    child: Child,
    url: String,
    _files: TempDir,
}

impl Alertmanager {
    async fn start() -> Self {
        let files = TempDir::new().unwrap();
        let routes = files.path().join("routes.yml");
        std::fs::write(&routes, ROUTES).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", routes.display()))
            .arg(format!("--storage.path={}", files.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus-alertmanager is installed: run the tests with tests/run");
        let started = Self { child, url: format!("http://{address}"), _files: files };
        let deadline = Instant::now() + DEADLINE;
        while http().get(format!("{}/-/ready", started.url)).send().await.is_err() {
            assert!(Instant::now() < deadline, "Alertmanager does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        started
    }

    /// Waits until `wanted` is true for its active alerts, and returns them.
    async fn until(&self, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let alerts = http().get(format!("{}/api/v2/alerts", self.url)).send().await.unwrap();
            let alerts: Vec<Value> = serde_json::from_str(&alerts.text().await.unwrap()).unwrap();
            if wanted(&alerts) {
                return alerts;
            }
            assert!(Instant::now() < deadline, "waited too long; there are {alerts:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_shows_updates_and_resolves_the_alert_of_each_instance() {
    let (server, manager) = (builder().start().await, Alertmanager::start().await);
    let id = add_service(&server, "ALERTMANAGER", &manager.url, json!({})).await;
    let mut instances = Vec::new();
    for (name, outcomes) in [("Acme “HQ”", "success,garbage,token_inactive"), ("Other", "garbage,success")] {
        let instance = server.rehearse(name, &[("outcomes", outcomes)]).await;
        server.idle(&instance, "").await;
        instances.push(instance);
    }
    server.sync(&instances[0], "outcome").await;
    let both = manager.until(|alerts| alerts.len() == 2).await;
    let of = |alerts: &[Value], name: &str| {
        alerts.iter().find(|alert| alert["labels"]["instance"] == name).cloned().unwrap_or_default()
    };
    let acme = of(&both, "Acme “HQ”");
    assert_eq!(acme["status"]["state"], "active");
    assert!(acme["annotations"]["summary"].as_str().unwrap().contains("sync failed"), "{acme}");
    assert!(acme["generatorURL"].as_str().unwrap().ends_with(&instances[0]), "{acme}");

    server.sync(&instances[1], "outcome").await;
    server.sync(&instances[0], "outcome").await;
    let left = manager.until(|alerts| alerts.iter().all(|it| it["annotations"]["severity"] == "critical")).await;
    assert_eq!((left.len(), &left[0]["fingerprint"]), (1, &acme["fingerprint"]), "the other one is resolved");

    let delete = json!({ "id": instances[0], "acknowledgeIrreversible": true });
    server.done("deleteInstance", delete, "").await;
    manager.until(<[Value]>::is_empty).await;
    let tested = server.done("testWebhook", json!({ "id": id }), "delivery { state lastError }").await;
    assert_eq!(tested["delivery"], json!({ "state": "DELIVERED", "lastError": null }));
    let test = manager.until(|alerts| !alerts.is_empty()).await;
    assert_eq!(test[0]["labels"]["alertname"], "MusterTest");
}

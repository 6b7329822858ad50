//! `muster doctor`: finds exactly the violated rules, and nothing on a busy server.

use std::path::Path;
use std::sync::Mutex;

use muster::app::App;
use muster::auth::{Caller, Role, Who};
use muster::clock::Clock;
use muster::config::{Roles, Settings};
use muster::db::{Columns, Db};
use muster::doctor::{Examination, Finding, Report, examine};
use muster::error::Error;
use muster::maintenance::retention::Retention;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait};
use serde_json::{Value, json};
use uuid::Uuid;

use super::backup::{checkpoint, damage, running, said, sql};
use super::doctor_door::faults_of_the_door;
use super::doctor_spend::breaks_of_spend;
use super::{NOBODY, again_while, doctor_people, doctor_webhooks, eventually};
use crate::people::roster::settled;
use crate::process::Home;
use crate::support::{Place, Server, change};

pub(super) fn examination(key_file: &Path, thorough: bool) -> Examination<'_> {
    let retention =
        Retention { events: 30, runs: 400, changes: 90, mails: 400, removed_users: 400, audit: 400, audit_names: 400 };
    let data_dir = key_file.parent().unwrap();
    Examination { key_file, data_dir, retention, provider: None, thorough, now: Clock::System.now() }
}

/// The data of a stopped server with an instance in every state: one that is healthy and has lost users,
/// one that fails, one that was revoked, one with a run in progress, one that is being deleted, one that was
/// deleted; and queued mails.
async fn specimen() -> Place {
    let builder = Server::builder().settings(|settings| settings.smtp_url = Some(NOBODY.into()));
    let server = builder.start().await;
    // Its address is never called.
    server.done("createWebhook", json!({ "url": "https://127.0.0.1:9/hook" }), "").await;
    let make = |name: &'static str, outcomes: &'static str| {
        let config = [("users", "40"), ("churn_percent", "10"), ("outcomes", outcomes)];
        let server = &server;
        async move {
            let id = server.rehearse(name, &config).await;
            server.idle(&id, "").await;
            id
        }
    };
    let well = make("Well", "success").await;
    for _ in 0..3 {
        server.sync(&well, "outcome").await;
    }
    let failing = make("Failing", "success,transient,success,transient").await;
    for _ in 0..3 {
        server.sync(&failing, "outcome").await;
    }
    make("Off", "token_inactive").await;
    let gone = make("Gone", "success").await;
    server.done("deleteInstance", json!({ "id": gone, "acknowledgeIrreversible": true }), "instance { id }").await;
    server.until(&gone, "status", |found| found["status"] == "DELETED").await;
    make("Going", "success").await;
    let hanging = make("Hanging", "success,hang").await;
    server
        .ask("mutation($id: ID!) { syncInstance(input: { id: $id }) { run { id } } }", json!({ "id": hanging }))
        .await;
    server.until(&hanging, "syncState", |found| found["syncState"] == "RUNNING").await;
    settled(&server).await;
    let is_failing = || async {
        let found = server.ask("{ webhooks { failingSince } }", json!({})).await;
        found["webhooks"][0]["failingSince"].is_string()
    };
    eventually(is_failing).await;
    let place = server.stop().await;
    Box::pin(delete_without_workers(&place, "Going")).await;
    place
}

/// Deletes an instance without a worker that removes its users.
async fn delete_without_workers(place: &Place, name: &str) {
    let mut settings = Settings::defaults(place.path());
    settings.set_database(place.database.url().map(str::to_owned));
    let app = Box::pin(App::new(settings, Roles { api: true, workers: false }, Clock::System)).await.unwrap();
    let caller = Caller {
        who: Who::Token(Uuid::nil()),
        name: "tests".into(),
        email: None,
        role: Role::Admin,
        scope: None,
        unlimited: false,
    };
    let filter = muster::instance::queries::Filter { search: Some(name.into()), ..Default::default() };
    let page = muster::instance::queries::PageOf {
        filter,
        field: muster::instance::queries::OrderField::Name,
        descending: false,
        after: None,
        offset: 0,
        limit: 1,
    };
    let id = app.instances.page(&page, Columns::ALL).await.unwrap()[0].id;
    app.instances.delete(&caller, id, true).await.unwrap();
    app.db.close().await.unwrap();
}

/// The report after these statements, which are rolled back.
pub(super) async fn found_after(db: &Db, key_file: &Path, thorough: bool, statements: &str) -> Report {
    let found = Mutex::new(None);
    let kept = &found;
    let undone: Result<(), Error> = db
        .write(|tx| async move {
            tx.conn().execute_unprepared(statements).await?;
            *kept.lock().unwrap() = Some(examination(key_file, thorough).run(tx.conn()).await);
            Err(Error::Internal("undo".into()))
        })
        .await;
    let report = found.into_inner().unwrap();
    report.unwrap_or_else(|| panic!("{statements}: {undone:?}")).unwrap_or_else(|error| panic!("{statements}: {error}"))
}

pub(super) fn names(report: &Report) -> Vec<&'static str> {
    let mut names: Vec<_> = report.findings.iter().map(|finding| finding.check).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A literal of the database for bytes.
pub fn bytes(backend: DbBackend, bytes: &[u8]) -> String {
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    if backend == DbBackend::Postgres { format!("'\\x{hex}'") } else { format!("X'{hex}'") }
}

/// A literal of the database for an id.
pub fn literal(backend: DbBackend, id: Uuid) -> String {
    if backend == DbBackend::Postgres { format!("'{id}'") } else { bytes(backend, id.as_bytes()) }
}

pub const WELL: &str = "(SELECT id FROM instance WHERE name = 'Well')";

/// Each check with statements after which only this check has findings. Statements that change
/// instances delete the events first, because events contain the instance too.
fn breaks(backend: DbBackend, orphan: Uuid) -> Vec<(&'static str, String)> {
    let orphan = literal(backend, orphan);
    let rows = |sql: &str| format!("DELETE FROM event; {sql}");
    let sealed = bytes(backend, b"?");
    // A run that is neither the first nor the last, so that no other check depends on it.
    let middle = format!("instance_id = {WELL} AND number = 2");
    vec![
        ("instance-inactive", rows("UPDATE instance SET inactive_reason = NULL WHERE name = 'Off'")),
        ("instance-health", rows("UPDATE instance SET consecutive_failures = 0 WHERE name = 'Failing'")),
        ("instance-sync", rows("UPDATE instance SET sync_state = 'queued', next_sync_at = NULL WHERE name = 'Well'")),
        ("instance-schedule", rows("UPDATE instance SET next_sync_at = NULL WHERE name = 'Well'")),
        ("current-run", rows("UPDATE instance SET run_number = run_number + 1 WHERE name = 'Hanging'")),
        ("last-run", rows("UPDATE instance SET last_run_id = id WHERE name = 'Well'")),
        ("sync-job", "DELETE FROM job WHERE kind = 'sync'".into()),
        ("open-run", format!("UPDATE sync_run SET outcome = NULL, finished_at = NULL, mail_reason = NULL, removed = 0 WHERE {middle}; DELETE FROM user_change")),
        ("run-outcome", format!("UPDATE sync_run SET finished_at = NULL WHERE {middle}")),
        ("removals", "UPDATE sync_run SET removed = 3 WHERE outcome = 'failed'".into()),
        ("removals", "UPDATE user_change SET kind = 'removed', run_id = (SELECT id FROM sync_run WHERE outcome = 'failed' LIMIT 1)".into()),
        ("job-subject", "INSERT INTO job (kind, subject, run_at, lease_until, claims, take_overs) SELECT 'mail', id, updated_at, 0, 0, 0 FROM instance WHERE name = 'Well'".into()),
        ("job-lease", "UPDATE job SET lease_until = 5 WHERE kind = 'sync'".into()),
        ("workers", "UPDATE job SET run_at = 5, lease_until = 0 WHERE kind = 'sync'".into()),
        ("clock", rows("UPDATE instance SET next_sync_at = 9000000000000 WHERE name = 'Well'")),
        ("clock", "UPDATE job SET run_at = 9000000000000 WHERE kind = 'sync'".into()),
        ("deleting", rows("UPDATE instance SET purging = FALSE WHERE status = 'deleting'; DELETE FROM job WHERE kind = 'purge'")),
        ("deleted", "UPDATE user_account SET instance_id = (SELECT id FROM instance WHERE status = 'deleted')
            WHERE id = (SELECT id FROM user_account WHERE removed_at IS NOT NULL LIMIT 1)".into()),
        ("purge-job", "DELETE FROM job WHERE kind = 'purge'".into()),
        ("user-count", rows("UPDATE instance SET user_count = user_count + 1 WHERE name = 'Well'")),
        ("duplicate-users", format!(
            "DROP INDEX ux_user_external; INSERT INTO user_account (id, instance_id, external_id, status, first_seen_at, last_seen_at, removed_at, generation)
            SELECT {WELL}, instance_id, external_id, status, first_seen_at, last_seen_at, removed_at, generation
            FROM user_account WHERE removed_at IS NOT NULL AND instance_id = {WELL} LIMIT 1")),
        ("grants", format!("INSERT INTO oauth_grant (instance_id, sealed, generation, lease_until) VALUES ({orphan}, {sealed}, 1, 0)")),
        ("orphans", format!("UPDATE sync_run SET instance_id = id WHERE {middle}")),
        ("mail-jobs", "DELETE FROM job WHERE kind = 'mail'".into()),
        ("mail-decisions", "DELETE FROM job WHERE kind = 'mail'; DELETE FROM notification".into()),
        ("mail-decisions", "UPDATE notification SET kind = 'auto_revoked' WHERE kind = 'sync_failed'; DELETE FROM sync_run WHERE mail_kind = 'nothing'".into()),
        ("mail-order", "UPDATE sync_run SET mail_kind = 'initial_sync_succeeded' WHERE mail_kind = 'sync_failed';
            UPDATE notification SET kind = 'initial_sync_succeeded' WHERE kind = 'sync_failed'".into()),
        ("installation", "DELETE FROM installation".into()),
        ("secret-key", format!("UPDATE installation SET key_check = {}", bytes(backend, b"?"))),
        ("secret-key", rows(&format!("UPDATE instance SET secrets = {} WHERE name = 'Well'", bytes(backend, b"?")))),
        ("secret-key", "UPDATE installation SET key_check = NULL".into()),
        ("api-tokens", "UPDATE api_token SET role = 'admin' WHERE role = 'viewer'".into()),
        ("api-tokens", "UPDATE api_token SET signature = NULL WHERE role = 'viewer'".into()),
        ("audit-log", "UPDATE audit_chain SET last_id = last_id + 1".into()),
        ("members", format!("INSERT INTO member (id, name, role, created_at) VALUES ({orphan}, 'Eve', 'admin', 1)")),
        ("migrations", "DELETE FROM seaql_migrations WHERE version = (SELECT MAX(version) FROM seaql_migrations)".into()),
        ("schema", "DROP INDEX ux_user_external".into()),
        ("schema", "ALTER TABLE user_account RENAME COLUMN mfa_enabled TO mfa_gone".into()),
        ("newest-event", "UPDATE instance SET tenant = 'another' WHERE name = 'Well'".into()),
        ("event-numbers", match backend {
            DbBackend::Postgres => "ALTER SEQUENCE event_seq_seq RESTART WITH 1".into(),
            _ => "DELETE FROM event WHERE seq = 3".into(),
        }),
    ]
}

#[tokio::test]
async fn each_check_finds_what_it_is_for_and_no_other_does() {
    let place = specimen().await;
    let db = place.open().await;
    let key_file = place.path().join("secret.key");
    let whole = found_after(&db, &key_file, true, "SELECT 1").await;
    assert_eq!(whole.findings, [], "the specimen is well");
    // The ledger of erasures is a file, see `people::erased_again`.
    let mut tried = vec!["event-chain", "database-file", "erasures"];
    let of_people = doctor_people::BREAKS.map(|(check, statements)| (check, statements.to_owned()));
    let all = breaks(db.backend(), Uuid::now_v7()).into_iter().chain(breaks_of_spend(db.backend(), Uuid::now_v7()));
    let of_webhooks = doctor_webhooks::BREAKS.map(|(check, statements)| (check, statements.to_owned()));
    for (check, statements) in all.chain(of_people).chain(of_webhooks) {
        let report = found_after(&db, &key_file, false, &statements).await;
        let told = match check {
            // The index has to be removed to create duplicates.
            "duplicate-users" => vec![check, "schema"],
            // Figures are computed from the column.
            "schema" if statements.contains("mfa_enabled") => vec!["figures", check],
            // What has a price, and who is known, decides about findings, too.
            "currencies" => vec![check, "figures"],
            "people-sources" => vec!["figures", check],
            _ => vec![check],
        };
        assert_eq!(names(&report), told, "{statements}: {:#?}", report.findings);
        tried.push(check);
    }
    tried.extend(faults_of_the_door(db.backend()).into_iter().flat_map(|(checks, _)| checks));
    for check in whole.checks {
        assert!(tried.contains(&check.name), "{} has no test", check.name);
    }
    // Removes the first failure of the revoked instance.
    let hole =
        "DELETE FROM event WHERE cause = 'sync_failed' AND instance_id = (SELECT id FROM instance WHERE name = 'Off')";
    let report = found_after(&db, &key_file, true, hole).await;
    let both =
        if db.backend() == DbBackend::Postgres { &["event-chain"][..] } else { &["event-chain", "event-numbers"] };
    assert_eq!(names(&report), both);
    db.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_a_finding_and_the_other_checks_go_on() {
    let place = specimen().await;
    let db = place.open().await;
    let key_file = place.path().join("secret.key");
    let whole = found_after(&db, &key_file, false, "SELECT 1").await;
    let report = found_after(&db, &key_file, false, "UPDATE instance SET status = 'odd' WHERE name = 'Well'").await;
    let unread: Vec<_> =
        report.findings.iter().filter(|found| found.wrong.starts_with("it could not be checked")).collect();
    assert!(unread.iter().any(|found| found.check == "newest-event" && found.wrong.contains("odd")), "{unread:?}");
    let checked = |report: &Report| report.checks.iter().map(|check| check.name).collect::<Vec<_>>();
    assert_eq!(checked(&report), checked(&whole));
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_finding_says_what_it_is_about() {
    let place = specimen().await;
    let db = place.open().await;
    let key_file = place.path().join("secret.key");
    let report = found_after(&db, &key_file, false, "UPDATE sync_run SET removed = 3 WHERE outcome = 'failed'").await;
    let Finding { id, wrong, .. } = &report.findings[0];
    let run = entity::run::Entity::find_by_id(id.expect("an id"));
    let run = sea_orm::QuerySelect::limit(run, 1).one(db.read()).await.unwrap().expect("the run");
    assert_eq!(run.outcome, Some(entity::run::Outcome::Failed));
    assert_eq!(wrong, "its outcome is failed, and it removed 3 users");
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_busy_has_no_findings() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for number in 0..6 {
        let outcomes = ["success", "success,transient", "success,partial", "transient,success"][number % 4];
        let config = [
            ("users", "150"),
            ("page_size", "10"),
            ("latency_ms", "5"),
            ("churn_percent", "5"),
            ("outcomes", outcomes),
        ];
        ids.push(server.rehearse(&format!("Busy {number}"), &config).await);
    }
    let work = async {
        for round in 0..4 {
            for id in &ids {
                server.mutate("syncInstance", json!({ "id": id }), "run { id }").await;
            }
            let input = json!({ "id": ids[round], "name": format!("Renamed {round}") });
            server.done("updateInstance", input, "instance { id }").await;
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
        let users = json!({ "instanceId": ids[0], "acknowledgeIrreversible": true });
        server.done("deleteAllUsers", users, "instance { id }").await;
        let off = json!({ "id": ids[1], "status": "INACTIVE" });
        server.done("updateInstance", off, "instance { id }").await;
        server
            .done("deleteInstance", json!({ "id": ids[5], "acknowledgeIrreversible": true }), "instance { id }")
            .await;
    };
    let (location, key_file) = (server.place.location(), server.place.path().join("secret.key"));
    let look = async || {
        let report = examine(&location, &examination(&key_file, true)).await.unwrap();
        assert_eq!(report.findings, []);
        report
    };
    let looks = again_while(work, async || drop(look().await)).await;
    let idle = || async {
        let found = server
            .ask("{ instances(filter: { statuses: [LIVE, DELETING] }) { nodes { syncState status } } }", json!({}))
            .await;
        found["instances"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["syncState"] == "IDLE" && it["status"] == "LIVE")
    };
    eventually(idle).await;
    look().await;
    println!("{looks} looks while it was busy");
    assert!(looks > 0);
}

#[tokio::test]
async fn its_exit_code_tells_and_its_json_can_be_read() {
    let home = Home::new();
    let (program, _) = running(&home).await;
    let well = home.run(&["doctor", "--json"]);
    assert_eq!(well.status.code(), Some(0), "{}", said(&well));
    let report: Value = serde_json::from_slice(&well.stdout).unwrap();
    assert_eq!(report["findings"], json!([]));
    assert!(report["checks"].as_array().unwrap().len() > 20 && report["tookMs"].is_u64(), "{report:#}");

    program.kill();
    let db = Db::open(&home.location(), 3).await.unwrap();
    change(&db, "UPDATE instance SET user_count = 7; DELETE FROM event").await;
    db.close().await.unwrap();
    let ill = home.run(&["doctor", "--json"]);
    assert_eq!(ill.status.code(), Some(1), "{}", said(&ill));
    let report: Value = serde_json::from_slice(&ill.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!((&finding["check"], &finding["about"]), (&json!("user-count"), &json!("instance")));
    assert!(finding["id"].is_string() && finding["wrong"].is_string() && finding["remedy"].is_string(), "{finding}");
    let told = said(&home.run(&["doctor"]));
    assert!(told.contains("user-count: instance ") && told.contains("1 finding,"), "{told}");
}

#[test]
fn it_says_so_when_it_cannot_look() {
    let nothing = Home::on_sqlite().run(&["doctor"]);
    assert_eq!(nothing.status.code(), Some(2), "{}", said(&nothing));
    assert!(said(&nothing).contains("could not be checked") && said(&nothing).contains("muster.db"));
    let nobody = Home::on_sqlite().set("DATABASE_URL", "postgres://a:hush@127.0.0.1:9/b").run(&["doctor"]);
    assert_eq!(nobody.status.code(), Some(2), "{}", said(&nobody));
    assert!(!said(&nobody).contains("hush"));
    let wrong = Home::on_sqlite().set("KEEP_RUNS_DAYS", "999999").run(&["doctor"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("setting keep_runs_days"), "{}", said(&wrong));
}

#[tokio::test]
async fn a_damaged_file_is_found_on_sqlite() {
    let home = Home::on_sqlite();
    let (program, _) = running(&home).await;
    program.kill();
    let database = home.data_dir().join("muster.db");
    checkpoint(&database).await;
    // Exchanges the pages of two indexes, so that the file still opens.
    sql(
        &database,
        "PRAGMA writable_schema = ON;
        UPDATE sqlite_master SET rootpage = (SELECT SUM(rootpage) FROM sqlite_master WHERE name IN ('ux_user_external', 'ix_user_instance')) - rootpage
        WHERE name IN ('ux_user_external', 'ix_user_instance')",
    )
    .await;
    let looked = home.run(&["doctor", "--thorough"]);
    assert_eq!(looked.status.code(), Some(1), "{}", said(&looked));
    assert!(said(&looked).contains("database-file: database: "), "{}", said(&looked));
    damage(&database);
    let looked = home.run(&["doctor"]);
    assert_eq!(looked.status.code(), Some(1), "{}", said(&looked));
    assert!(said(&looked).contains("database-file: database: ") && said(&looked).contains("restore a backup"));
    std::fs::write(&database, vec![0xa5; 8192]).unwrap();
    let looked = home.run(&["doctor"]);
    assert_eq!(looked.status.code(), Some(1), "{}", said(&looked));
    assert!(said(&looked).contains("database-file: database: ") && said(&looked).contains("restore a backup"));
}

//! What `muster doctor` finds about members, sessions, links, tokens and consents.

use muster::auth::Role;
use muster::auth::members::NewMember;
use muster::auth::tokens::NewToken;
use muster::clock::Clock;
use muster::doctor::{Examination, Provider, Report, examine};
use sea_orm::DbBackend;

use super::doctor::{bytes, examination, found_after, names};
use crate::members::member;
use crate::support::{Place, Server, change};

/// The data of a stopped server with an administrator and a viewer who have signed in, a personal token of the viewer,
/// somebody who was invited, and an instance with two runs.
async fn door() -> Place {
    let server = Server::start().await;
    member(&server, "ada@example.com", Role::Admin).await;
    member(&server, "ben@example.com", Role::Viewer).await;
    let ben = server.members.id_of("ben@example.com").await.unwrap();
    let own = NewToken { member_id: Some(ben), ..NewToken::new("own", Role::Viewer) };
    server.tokens.create(own).await.unwrap();
    let invited = NewMember { name: "Cy".into(), email: "cy@example.com".into(), role: Role::Viewer };
    server.members.create(&invited).await.unwrap();
    let id = server.rehearse("Well", &[("users", "3")]).await;
    server.idle(&id, "").await;
    server.sync(&id, "outcome").await;
    server.stop().await
}

/// Statements, and the checks that have findings after them.
const FAULTS: [(&[&str], &str); 10] = [
    (&["session-member", "token-owner"], "DELETE FROM member WHERE email = 'ben@example.com'"),
    (&["members", "session-member"], "UPDATE member SET disabled_at = created_at WHERE email = 'ben@example.com'"),
    (&["link-member"], "DELETE FROM member WHERE email = 'cy@example.com'"),
    (&["link-member", "members"], "UPDATE member SET disabled_at = created_at WHERE email = 'cy@example.com'"),
    (&["link-member", "members"], "UPDATE member_link SET member_id = NULL"),
    (&["link-member", "members"], "UPDATE member_link SET purpose = 'first_admin'"),
    (&["members"], "UPDATE session SET expires_at = expires_at + 1"),
    (&["administrator"], "DELETE FROM session; DELETE FROM member WHERE role = 'admin'"),
    (&["administrator", "members"], "UPDATE member SET password_hash = NULL WHERE role = 'admin'"),
    (&["api-tokens", "door-times"], "UPDATE api_token SET expires_at = 1 WHERE name = 'own'"),
];

/// All of them.
pub fn faults_of_the_door(backend: DbBackend) -> Vec<(Vec<&'static str>, String)> {
    let fixed = FAULTS.iter().map(|(checks, statements)| (checks.to_vec(), (*statements).to_owned()));
    fixed.chain(faults_with_values(backend)).collect()
}

fn faults_with_values(backend: DbBackend) -> Vec<(Vec<&'static str>, String)> {
    let account = bytes(backend, &[7; 32]);
    let (far, now) = (9_000_000_000_000_i64, Clock::System.now());
    let attempt = |count: i64, last_at: i64| {
        format!("INSERT INTO sign_in_attempt (account, count, last_at) VALUES ({account}, {count}, {last_at})")
    };
    let sign_in = |expires_at: i64| {
        format!(
            "INSERT INTO oidc_sign_in (state_hash, browser_hash, return_to, address, expires_at) VALUES ({account}, {account}, '/', '', {expires_at})"
        )
    };
    let consent = |instance: &str, name: &str| {
        format!("INSERT INTO oauth_authorization (state_hash, integration_key, instance_id, name, sealed, token_id, actor, created_at, expires_at, own_redirect)
            SELECT {account}, 'okta', {instance}, {name}, {account}, id, 'ada', {now}, {now} + 600000, TRUE FROM api_token LIMIT 1")
    };
    let identity = |issuer: &str, subject: &str, of: &str| {
        format!(
            "INSERT INTO member_identity (issuer, subject, member_id, created_at) SELECT '{issuer}', '{subject}', id, 1 FROM {of}"
        )
    };
    let (ada, token) = ("member WHERE email = 'ada@example.com'", "api_token WHERE name = 'own'");
    let two = [identity("https://a", "1", ada), identity("https://a", "2", ada)].join("; ");
    vec![
        (vec!["identity-member", "members"], identity("https://a", "1", token)),
        (vec!["identity-member", "members"], two),
        (vec!["members"], identity("https://a", "1", ada)),
        (vec!["door-times"], format!("UPDATE api_token SET last_used_at = {far} WHERE name = 'own'")),
        (
            vec!["door-times", "members"],
            format!("UPDATE member SET created_at = {far} WHERE email = 'ben@example.com'"),
        ),
        (vec!["door-times", "members"], format!("UPDATE session SET expires_at = {far}")),
        (vec!["door-times", "members"], format!("UPDATE member_link SET expires_at = {far}")),
        (vec!["door-times"], attempt(1, far)),
        (vec!["door-times"], sign_in(far)),
        (vec!["sign-in-counts"], attempt(-1, now)),
        (vec!["consents"], consent("id", "NULL")),
        (vec!["consents"], consent("(SELECT id FROM instance)", "'New'")),
        (vec!["secret-key"], consent("NULL", "'New'")),
        // It may wait to be removed.
        (vec![], format!("{}; UPDATE oauth_authorization SET expires_at = created_at - 1", consent("NULL", "'New'"))),
        (vec!["shared-redirects"], format!("INSERT INTO oauth_shared_redirect (instance_id) SELECT id FROM {token}")),
        (
            vec!["audit-names"],
            format!("INSERT INTO audit_person (entry_id, key, actor_name) VALUES (99999, {account}, 'Eve')"),
        ),
        (
            vec!["expired-rows"],
            format!("UPDATE sync_run SET finished_at = {now} - 7200000 WHERE number = 1; {}", sign_in(1)),
        ),
        // Nobody knows whether workers were running since.
        (vec![], sign_in(1)),
        (vec!["members"], "UPDATE member SET role = 'owner' WHERE email = 'ben@example.com'".into()),
        (vec!["known-values"], "UPDATE sync_run SET outcome = 'strange' WHERE number = 1".into()),
        (vec!["audit-log"], "UPDATE audit_entry SET action = 'nothing' WHERE id = 1".into()),
    ]
}

#[tokio::test]
async fn each_fault_of_members_sessions_and_tokens_is_named() {
    let place = door().await;
    let db = place.open().await;
    let key_file = place.path().join("secret.key");
    let whole = found_after(&db, &key_file, true, "SELECT 1").await;
    assert_eq!(whole.findings, []);
    for (checks, statements) in faults_of_the_door(db.backend()) {
        let report = found_after(&db, &key_file, false, &statements).await;
        assert_eq!(names(&report), checks, "{statements}: {:#?}", report.findings);
    }
    db.close().await.unwrap();
}

#[tokio::test]
async fn what_an_older_or_newer_version_writes_is_noted() {
    let place = door().await;
    let db = place.open().await;
    let key_file = place.path().join("secret.key");
    let (now, sealed) = (Clock::System.now(), bytes(db.backend(), &[7; 32]));
    let consent = format!(
        "INSERT INTO oauth_authorization (state_hash, integration_key, instance_id, name, sealed, token_id, actor, created_at, expires_at, own_redirect)
            SELECT {sealed}, 'okta', i.id, NULL, {sealed}, t.id, 'ada', {now}, {now} + 600000, TRUE FROM instance i, api_token t LIMIT 1"
    );
    for (statement, noted) in [
        (consent.as_str(), "the settings of \"Well\" were changed since it began"),
        ("UPDATE api_token SET revoked_at = created_at WHERE name = 'own'", "1 revoked API tokens are not signed"),
        ("UPDATE sync_run SET failure_class = 'strange' WHERE number = 1", "\"strange\" in 1 rows"),
        ("UPDATE sync_run SET failure_class = 'unknown' WHERE number = 1", "\"unknown\" in 1 rows"),
    ] {
        let report = found_after(&db, &key_file, false, statement).await;
        assert_eq!(names(&report), Vec::<&str>::new(), "{statement}: {:?}", report.findings);
        assert!(report.notes.iter().any(|note| note.contains(noted)), "{statement}: {:?}", report.notes);
    }
    db.close().await.unwrap();
}

#[tokio::test]
async fn who_cannot_sign_in_is_noted_and_an_identity_provider_can_let_them_in() {
    let place = door().await;
    let db = place.open().await;
    let key_file = place.path().join("secret.key");
    let uninvited = found_after(&db, &key_file, false, "DELETE FROM member_link").await;
    assert_eq!(uninvited.findings, []);
    let noted =
        |report: &Report| report.notes.iter().any(|note| note.contains("cy@example.com") && note.contains("reset"));
    assert!(noted(&uninvited), "{:?}", uninvited.notes);
    assert!(!noted(&found_after(&db, &key_file, false, "SELECT 1").await));

    change(&db, "DELETE FROM session; DELETE FROM member WHERE role = 'admin'; DELETE FROM member_link").await;
    for (makes_admins, found) in [(false, 1), (true, 0)] {
        let provider = Some(Provider { issuer: "https://login.example.com".into(), makes_admins });
        let report =
            examine(&place.location(), &Examination { provider, ..examination(&key_file, false) }).await.unwrap();
        assert_eq!(report.findings.len(), found, "{:?}", report.findings);
        assert!(!noted(&report), "the provider knows her by her address");
    }
    db.close().await.unwrap();
}

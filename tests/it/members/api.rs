//! Members in the API and on the command line.

use muster::auth::Role;
use muster::auth::members::NewMember;
use muster::auth::tokens::NewToken;
use serde_json::{Value, json};

use super::{Browser, PASSWORD, member, secret};
use crate::process::Home;
use crate::support::Server;

const ADA: &str = "ada@example.com";
const BEN: &str = "ben@example.com";
const UPDATE: &str = "mutation($input: UpdateMemberInput!) {
    updateMember(input: $input) { member { role disabledAt } userErrors { code field } } }";

#[tokio::test]
async fn administrators_manage_members_and_there_is_always_one() {
    let server = Server::start().await;
    member(&server, ADA, Role::Admin).await;
    let mut ada = Browser::signed_in(&server, ADA).await;
    let create = "mutation($email: String!) { createMember(input: { name: \"Ben\", email: $email, role: VIEWER }) {
        member { id email role hasPassword } link userErrors { code field } } }";
    let made = ada.ask(create, json!({ "email": "Ben@Example.com" })).await["data"]["createMember"].take();
    assert_eq!((&made["member"]["email"], &made["member"]["hasPassword"]), (&json!(BEN), &json!(false)));
    let again = ada.ask(create, json!({ "email": BEN })).await["data"]["createMember"].take();
    assert_eq!(again["userErrors"], json!([{ "code": "EMAIL_TAKEN", "field": ["email"] }]));
    let link = made["link"].as_str().unwrap().rsplit('/').next().unwrap();
    let mut ben = Browser::new(&server);
    assert_eq!(ben.follow(&json!({ "link": link, "password": PASSWORD })).await.0, 204);

    let members = ada.ask("{ members { totalCount nodes { id email } } }", json!({})).await["data"]["members"].take();
    assert_eq!(members["totalCount"], 2);
    let id = |email: &str| -> Value {
        members["nodes"].as_array().unwrap().iter().find(|node| node["email"] == email).unwrap()["id"].clone()
    };
    for refused in [json!({ "id": id(ADA), "role": "VIEWER" }), json!({ "id": id(ADA), "disabled": true })] {
        let answer = ada.ask(UPDATE, json!({ "input": refused })).await["data"]["updateMember"].take();
        assert_eq!(answer["userErrors"][0]["code"], "LAST_ADMINISTRATOR", "{answer}");
        let entry = newest_entry(&server).await;
        let wanted = json!({ "action": "MEMBER_UPDATED", "outcome": "REFUSED", "code": "LAST_ADMINISTRATOR",
            "subjectKind": "MEMBER", "detail": "The mutation updateMember was refused." });
        assert_eq!(entry, wanted);
    }
    for (query, of) in
        [("{ members { totalCount } }", json!({})), (UPDATE, json!({ "input": { "id": id(BEN), "role": "ADMIN" } }))]
    {
        let refused = ben.ask(query, of).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused}");
    }
    let entry = newest_entry(&server).await;
    assert_eq!((&entry["code"], &entry["subjectKind"]), (&json!("FORBIDDEN"), &json!("MEMBER")), "{entry}");
    let others = "query($id: ID) { sessions(memberId: $id) { isCurrent } }";
    assert_eq!(ben.ask(others, json!({ "id": id(ADA) })).await["errors"][0]["extensions"]["code"], "FORBIDDEN");
    assert_eq!(ada.ask(others, json!({ "id": id(BEN) })).await["data"]["sessions"], json!([{ "isCurrent": false }]));
    let answer = ada.ask(UPDATE, json!({ "input": { "id": id(BEN), "role": "ADMIN" } })).await;
    assert_eq!(answer["data"]["updateMember"]["member"]["role"], "ADMIN");
    let told = newest_entry(&server).await["detail"].take();
    assert_eq!(told, "The mutation updateMember was executed. Role: viewer → admin.");
    assert!(!ben.is_in().await, "another role needs another session");
    let answer = ada.ask(UPDATE, json!({ "input": { "id": id(ADA), "disabled": true } })).await;
    assert_eq!(answer["data"]["updateMember"]["userErrors"], json!([]), "there is another one now");
    assert!(!ada.is_in().await);
}

/// The newest entry of the audit log.
async fn newest_entry(server: &Server) -> Value {
    let query = "{ auditLog(first: 1) { nodes { action outcome code subjectKind detail } } }";
    server.ask(query, json!({})).await["auditLog"]["nodes"][0].take()
}

#[tokio::test]
async fn to_end_a_session_of_somebody_else_is_a_refusal_in_the_audit_log() {
    let server = Server::start().await;
    for (email, role) in [(ADA, Role::Admin), (BEN, Role::Viewer)] {
        member(&server, email, role).await;
    }
    let mut ada = Browser::signed_in(&server, ADA).await;
    let mut ben = Browser::signed_in(&server, BEN).await;
    let own = ada.ask("{ sessions { id } }", json!({})).await["data"]["sessions"][0]["id"].take();
    let end = "mutation($id: ID!) { endSession(input: { id: $id }) { userErrors { code } } }";
    let answer = ben.ask(end, json!({ "id": own })).await;
    assert_eq!(answer["data"]["endSession"]["userErrors"], json!([]), "it is nobody's business that there is one");
    assert!(ada.is_in().await);
    let wanted = json!({ "action": "SESSION_ENDED", "outcome": "REFUSED", "code": "NOT_FOUND",
        "subjectKind": "SESSION", "detail": "The mutation endSession was refused." });
    assert_eq!(newest_entry(&server).await, wanted);
}

#[tokio::test]
async fn an_administrator_who_was_only_invited_is_not_one_who_can_sign_in() {
    let server = Server::start().await;
    let first = server.members.first_link().await.unwrap().unwrap();
    member(&server, BEN, Role::Viewer).await;
    let invite = json!({ "name": "Ghost", "email": "ghost@example.com", "role": "ADMIN" });
    let invited = server.mutate("createMember", invite, "member { id } link").await;
    let entered = json!({ "link": secret(&first), "name": "Ada", "email": ADA, "password": PASSWORD });
    let mut ada = Browser::new(&server);
    assert_eq!(ada.follow(&entered).await.0, 204, "nobody can administer yet");
    assert!(server.members.first_link().await.unwrap().is_none());

    let id = ada.ask("{ me { member { id } } }", json!({})).await["data"]["me"]["member"]["id"].take();
    let reset = "mutation($id: ID!) { resetMember(input: { id: $id }) { link userErrors { code field } } }";
    for refused in [json!({ "id": id, "disabled": true }), json!({ "id": id, "role": "OPERATOR" })] {
        let answer = ada.ask(UPDATE, json!({ "input": refused })).await["data"]["updateMember"].take();
        assert_eq!(answer["userErrors"][0]["code"], "LAST_ADMINISTRATOR", "{answer}");
    }
    let answer = ada.ask(reset, json!({ "id": id })).await["data"]["resetMember"].take();
    assert_eq!((&answer["link"], &answer["userErrors"][0]["code"]), (&json!(null), &json!("LAST_ADMINISTRATOR")));
    assert!(ada.is_in().await);

    let link = invited["link"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(Browser::new(&server).follow(&json!({ "link": link, "password": PASSWORD })).await.0, 204);
    let answer = ada.ask(reset, json!({ "id": id })).await["data"]["resetMember"].take();
    assert_eq!(answer["userErrors"], json!([]), "somebody else can sign in now");
    assert!(!ada.is_in().await);
}

#[tokio::test]
async fn a_name_can_be_seen() {
    let server = Server::start().await;
    for name in ["\u{202e}nimda", "adm\u{200b}in", "\u{feff}", "\u{200d}", "a\u{2066}b", "a\u{e0041}"] {
        let member = json!({ "name": name, "email": ADA, "role": "VIEWER" });
        let token = json!({ "name": name, "role": "VIEWER" });
        for (mutation, input) in [("createMember", member), ("createApiToken", token)] {
            let refused = server.mutate(mutation, input, "").await;
            assert_eq!(refused["userErrors"][0]["field"], json!(["name"]), "{name:?}: {refused}");
        }
    }
    let member = json!({ "name": "کتاب\u{200c}ها", "email": ADA, "role": "VIEWER" });
    assert_eq!(server.mutate("createMember", member, "").await["userErrors"], json!([]));
}

#[tokio::test]
async fn a_member_changes_the_own_password_and_a_token_has_none() {
    let server = Server::start().await;
    member(&server, ADA, Role::Viewer).await;
    let mut ada = Browser::signed_in(&server, ADA).await;
    let change = "mutation($old: String!, $new: String!) {
        changePassword(input: { currentPassword: $old, newPassword: $new }) { userErrors { field } } }";
    for (old, new, field) in [("wrong", "battery horse staple", "currentPassword"), (PASSWORD, "short", "newPassword")]
    {
        let answer = ada.ask(change, json!({ "old": old, "new": new })).await;
        assert_eq!(answer["data"]["changePassword"]["userErrors"][0]["field"], json!([field]), "{answer}");
    }
    let answer = ada.ask(change, json!({ "old": PASSWORD, "new": "battery horse staple" })).await;
    assert_eq!(answer["data"]["changePassword"]["userErrors"], json!([]), "{answer}");
    assert_eq!(Browser::new(&server).sign_in(ADA, PASSWORD).await.0, 401);
    assert_eq!(Browser::new(&server).sign_in(ADA, "battery horse staple").await.0, 204);

    let me = server.ask("{ me { name role member { id } } sessions { id } }", json!({})).await;
    assert_eq!(me, json!({ "me": { "name": "admin", "role": "ADMIN", "member": null }, "sessions": [] }));
    let refused = server.ask(change, json!({ "old": PASSWORD, "new": PASSWORD })).await;
    assert_eq!(refused["changePassword"]["userErrors"][0]["field"], json!(["currentPassword"]));
}

#[tokio::test]
async fn the_command_line_manages_members() {
    let home = Home::new();
    let run = |arguments: &[&str]| {
        let output = home.run(arguments);
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (made, link, _) = run(&["member", "create", "--email", ADA, "--name", "Ada", "--role", "admin"]);
    assert!(made && link.contains("/#/set-password/"), "{link}");
    assert!(run(&["member", "create", "--email", BEN]).0);
    let (refused, _, reason) = run(&["member", "create", "--email", BEN]);
    assert!(!refused && reason.contains("Another member has this address"), "{reason}");
    let program = home.serve("").await;
    assert!(!home.log().contains("/#/set-up/"));
    let entered = json!({ "link": link.trim().rsplit('/').next().unwrap(), "password": PASSWORD });
    let mut ada = Browser::new(&program.client);
    assert_eq!(ada.follow(&entered).await.0, 204);
    let listed = run(&["member", "list"]).1;
    assert!(
        listed.contains("ada@example.com\tadmin\tenabled\t") && listed.contains("\tviewer\tno password\t"),
        "{listed}"
    );
    let (last, _, reason) = run(&["member", "disable", "--email", ADA]);
    assert!(!last && reason.contains("last administrator"), "{reason}");
    assert!(run(&["member", "set-role", "--email", BEN, "--role", "admin"]).0);
    assert!(!run(&["member", "disable", "--email", ADA]).0, "the other one was only invited");
    let link = run(&["member", "reset", "--email", BEN]).1;
    let entered = json!({ "link": link.trim().rsplit('/').next().unwrap(), "password": PASSWORD });
    assert_eq!(Browser::new(&program.client).follow(&entered).await.0, 204);
    assert!(run(&["member", "disable", "--email", ADA]).0);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(!ada.is_in().await, "another process ended the session");
    assert!(run(&["member", "enable", "--email", ADA]).0);
    assert!(run(&["member", "reset", "--email", ADA]).1.contains("/#/set-password/"));
}

#[tokio::test]
async fn members_and_tokens_are_found_by_a_part_of_the_name_or_of_the_address() {
    let server = Server::start().await;
    let people = [
        ("Ada Lovelace", "countess@example.com"),
        ("Grace 100% Hopper", "grace@example.org"),
        ("Änne", "a_b@example.org"),
    ];
    for (name, email) in people {
        let new = NewMember { name: name.into(), email: email.into(), role: Role::Viewer };
        server.members.create(&new).await.unwrap();
        let token = NewToken { email: Some(email.into()), ..NewToken::new(name, Role::Viewer) };
        server.tokens.create(token).await.unwrap();
    }
    let query = "query($text: String, $member: String, $token: String) {
        members(first: 1, after: $member, filter: { search: $text }) { totalCount nodes { name } pageInfo { endCursor } }
        apiTokens(first: 1, after: $token, filter: { search: $text }) { totalCount nodes { name } pageInfo { endCursor } } }";
    let endless = "x".repeat(60_000);
    for (text, found) in [
        ("LOVELACE", &["Ada Lovelace"][..]),
        ("TESS@", &["Ada Lovelace"]),
        ("example.ORG", &["Grace 100% Hopper", "Änne"]),
        ("0%", &["Grace 100% Hopper"]),
        ("%", &["Grace 100% Hopper"]),
        ("_", &["Änne"]),
        ("Änn", &["Änne"]),
        ("\\", &[]),
        ("' OR '1' = '1", &[]),
        (&endless, &[]),
    ] {
        let (mut members, mut tokens) = (Vec::new(), Vec::new());
        let mut variables = json!({ "text": text });
        loop {
            let page = server.ask(query, variables.clone()).await;
            let counts = [&page["members"]["totalCount"], &page["apiTokens"]["totalCount"]];
            assert_eq!(counts, [found.len(), found.len()], "{text:.20}");
            members.extend(page["members"]["nodes"].as_array().unwrap().iter().map(|one| one["name"].clone()));
            tokens.extend(page["apiTokens"]["nodes"].as_array().unwrap().iter().map(|one| one["name"].clone()));
            if members.len() >= found.len() {
                break;
            }
            variables["member"] = page["members"]["pageInfo"]["endCursor"].clone();
            variables["token"] = page["apiTokens"]["pageInfo"]["endCursor"].clone();
        }
        tokens.reverse();
        assert_eq!(
            (members, tokens),
            (found.iter().map(|name| json!(name)).collect(), found.iter().map(|name| json!(name)).collect()),
            "{text:.20}"
        );
    }
    let all =
        server.ask("{ members { totalCount } apiTokens(filter: { search: \"\" }) { totalCount } }", json!({})).await;
    assert_eq!(all, json!({ "members": { "totalCount": 3 }, "apiTokens": { "totalCount": 5 } }));
}

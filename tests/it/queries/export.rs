//! The users of an instance as a file.

use std::time::Duration;

use muster::auth::tokens::NewToken;
use muster::auth::{Role, Scope};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::access::scope::key;
use crate::members::{Browser, member};
use crate::support::{Server, change, http};

const CRLF: &str = "\r\n";

async fn get(server: &Server, token: &str, query: &str) -> reqwest::Response {
    http().get(format!("{}/export/users.csv?{query}", server.url)).bearer_auth(token).send().await.unwrap()
}

async fn lines(server: &Server, query: &str) -> Vec<String> {
    let answer = get(server, &server.viewer, query).await;
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    text.strip_suffix(CRLF).unwrap().split(CRLF).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_file_has_each_user_once_and_no_formula() {
    let server = Server::start().await;
    let id = server.rehearse("Acme \"Küche\"", &[("users", "1234")]).await;
    server.idle(&id, "").await;
    server.searchable().await;
    let found = server.ask("{ users(first: 4) { nodes { externalId displayName email status } } }", json!({})).await;
    let users = found["users"]["nodes"].as_array().unwrap();
    let name = |number: usize| users[number]["externalId"].as_str().unwrap();
    for (number, hostile) in ["=HYPERLINK(\"x\")", "Ada; =1+1", "-1"].iter().enumerate() {
        let statement =
            format!("UPDATE user_account SET display_name = '{hostile}' WHERE external_id = '{}'", name(number));
        change(&server.db, &statement).await;
    }
    let all = lines(&server, &format!("instance={id}")).await;
    assert_eq!(all.len(), 1235);
    assert_eq!(
        all[0],
        "externalId,displayName,email,status,isAdmin,mfaEnabled,licenses,lastActiveAt,firstSeenAt,lastSeenAt"
    );
    let cell = |number: usize| all.iter().find(|line| line.starts_with(&format!("{},", name(number)))).unwrap();
    for (number, written) in ["\"'=HYPERLINK(\"\"x\"\")\"", "\"Ada;' =1+1\"", "\"'-1\""].iter().enumerate() {
        assert!(cell(number).contains(&format!(",{written},")), "{}", cell(number));
    }
    let mut ids: Vec<_> = all[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1234);

    // One who has kept the name that the search knows. Others may have a word that begins so.
    let email = users[3]["email"].as_str().unwrap();
    let some = lines(&server, &format!("instance={id}&search={email}")).await;
    assert!(some.len() < 200 && some.iter().any(|line| line.contains(email)), "{email}: {some:?}");
    let count = |status: &str| all.iter().filter(|line| line.contains(&format!(",{status},"))).count();
    let few = lines(&server, &format!("instance={id}&status=SUSPENDED,invited&status=UNKNOWN")).await;
    assert_eq!(few.len() - 1, count("SUSPENDED") + count("INVITED") + count("UNKNOWN"));

    let gone = format!("UPDATE user_account SET removed_at = last_seen_at WHERE external_id = '{}'", name(3));
    change(&server.db, &gone).await;
    let (present, everybody) =
        (lines(&server, &format!("instance={id}")).await, lines(&server, &format!("instance={id}&removed=1")).await);
    assert_eq!((present.len(), everybody.len()), (1234, 1235));
    assert_eq!(everybody[0], format!("{},removedAt", all[0]));
    let removed: Vec<_> = everybody[1..].iter().filter(|line| !line.ends_with(',')).collect();
    assert!(removed.len() == 1 && removed[0].starts_with(&format!("{},", name(3))), "{removed:?}");

    let answer = get(&server, &server.viewer, &format!("instance={id}&bom=1")).await;
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/csv; charset=utf-8; header=present");
    let named = answer.headers()[CONTENT_DISPOSITION].to_str().unwrap().to_owned();
    assert!(named.contains("filename=\"users-acme-k-che-20") && named.contains("K%C3%BCche"), "{named}");
    assert!(answer.bytes().await.unwrap().starts_with("\u{feff}externalId".as_bytes()));
    let log = server
        .ask("{ auditLog(filter: { actions: [USERS_EXPORTED] }) { nodes { actor outcome subjectName } } }", json!({}));
    let entries = log.await["auditLog"]["nodes"].take();
    assert_eq!(entries.as_array().unwrap().len(), 6);
    assert_eq!(entries[0], json!({ "actor": "viewer", "outcome": "OK", "subjectName": "Acme \"Küche\"" }));
}

#[tokio::test]
async fn a_file_is_for_those_who_may_ask_for_the_users() {
    let server = Server::start().await;
    let (inside, outside) = (server.rehearse("In", &[]).await, server.rehearse("Out", &[]).await);
    server.idle(&inside, "").await;
    let scope = Scope { instances: [key(&inside)].into(), ..Scope::default() };
    let limited = NewToken { scope: Some(scope), ..NewToken::new("limited", Role::Viewer) };
    let limited = server.tokens.create(limited).await.unwrap().text;
    let reports = server.tokens.create(NewToken::new("reports", Role::Reports)).await.unwrap().text;
    let of = |id: &str| format!("instance={id}");
    for (token, query, status) in [
        (limited.as_str(), of(&inside), 200),
        (&limited, of(&outside), 404),
        (&server.viewer, of("SW5zdGFuY2U6MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAw"), 404),
        (&reports, of(&inside), 403),
        ("nonsense", of(&inside), 401),
        (&server.viewer, String::new(), 400),
        (&server.viewer, of("x"), 400),
        (&server.viewer, of(&inside) + "&status=ASLEEP", 400),
        (&server.viewer, of(&inside) + "&order=name", 400),
    ] {
        let answer = get(&server, token, &query).await;
        assert_eq!(answer.status(), status, "{query}");
        if status != 200 {
            let text = answer.text().await.unwrap();
            assert!(text.contains("\"message\""), "{text}");
        }
    }
    member(&server, "ada@example.com", Role::Viewer).await;
    let mut browser = Browser::signed_in(&server, "ada@example.com").await;
    let line = format!("GET /export/users.csv?{}", of(&inside));
    assert_eq!(browser.send(&line, &["Sec-Fetch-Site: same-origin"], "").await.0, 200);
    for foreign in ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none", "Origin: https://evil.example"] {
        assert_eq!(browser.send(&line, &[foreign], "").await.0, 403, "{foreign}");
    }
    // Over plain http from another machine, a browser says only by which page a link was followed.
    let own = format!("Referer: {}/instances/{inside}?tab=users", server.url);
    assert_eq!(browser.send(&line, &[&own], "").await.0, 200);
    let evil = format!("Referer: http://evil.example/{}", server.url);
    for (headers, why) in [
        (&[][..], "nothing says who asks"),
        (&["Referer: "][..], "it names no page"),
        (&[evil.as_str()][..], "another page"),
        (&[own.as_str(), evil.as_str()][..], "one of two is another page"),
        (&[own.as_str(), "Sec-Fetch-Site: cross-site"][..], "the browser knows better"),
    ] {
        assert_eq!(browser.send(&line, headers, "").await.0, 403, "{why}");
    }
}

/// A part of a file is not taken for the whole.
#[tokio::test]
async fn a_file_ends_with_its_token_and_shows_that_it_is_not_whole() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "4000"), ("page_size", "1000")]).await;
    server.idle(&id, "").await;
    let long = "x".repeat(8_000);
    change(&server.db, &format!("UPDATE user_account SET display_name = '{long}'")).await;
    let token = server.tokens.create(NewToken::new("short", Role::Viewer)).await.unwrap();
    let authorization = format!("Authorization: Bearer {}", token.text);
    let mut stream = server.send(&format!("GET /export/users.csv?instance={id}"), &[&authorization], "").await;
    let mut read = vec![0; 1_000];
    stream.read_exact(&mut read).await.unwrap();
    assert!(String::from_utf8_lossy(&read).starts_with("HTTP/1.1 200"));
    let tokens = server.ask("{ apiTokens { nodes { id name } } }", json!({})).await["apiTokens"]["nodes"].take();
    let own = tokens.as_array().unwrap().iter().find(|one| one["name"] == "short").unwrap()["id"].clone();
    server.done("revokeApiToken", json!({ "id": own }), "").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut rest = Vec::new();
    let _cut = stream.read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the file looks whole");
    assert!(rest.len() < 4_000 * 8_000, "everything was sent");
}

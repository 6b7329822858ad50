//! The life of a session: its cookie, its beginning and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use muster::auth::Role;
use muster::auth::members::Change;
use muster::clock::Clock;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::{Browser, JSON, PASSWORD, member, secret};
use crate::process::Home;
use crate::support::wire::ENDLESS;
use crate::support::{Server, change};

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn the_first_link_makes_one_administrator_and_works_once() {
    let server = Server::start().await;
    let (one, other) = (server.members.first_link().await.unwrap(), server.members.first_link().await.unwrap());
    let entered = |link: &str| json!({ "link": link, "name": "Ada", "email": "Ada@Example.com", "password": PASSWORD });
    let (one, other) = (secret(&one.unwrap()), secret(&other.unwrap()));
    let mut weak = entered(&one);
    weak["password"] = "password1234".into();
    assert_eq!(Browser::new(&server).follow(&weak).await.0, 422, "and the link can still be used");
    let mut browser = Browser::new(&server);
    assert_eq!(browser.follow(&entered(&one)).await.0, 204);
    let me = browser.ask("{ me { role email member { hasPassword } } }", json!({})).await["data"]["me"].take();
    assert_eq!(me, json!({ "role": "ADMIN", "email": ADA, "member": { "hasPassword": true } }));

    let answers: Vec<_> = {
        let mut all = Vec::new();
        for link in [&one, &other, &"A".repeat(43), &String::new()] {
            let (status, answer) = Browser::new(&server).follow(&entered(link)).await;
            all.push((status, answer.split_once("\r\n\r\n").unwrap().1.to_owned()));
        }
        all
    };
    assert!(answers.iter().all(|answer| answer.0 == 422 && answer == &answers[0]), "{answers:#?}");
    assert!(server.members.first_link().await.unwrap().is_none(), "there is a member");
}

#[tokio::test]
async fn the_cookie_is_bound_to_the_host_where_browsers_allow_it() {
    for (public, name, secure) in [
        (None, "__Host-muster", true),
        (Some("https://muster.example.com"), "__Host-muster", true),
        (Some("http://muster.example.com"), "muster", false),
    ] {
        let home = Home::new();
        let home = if let Some(public) = public { home.set("PUBLIC_URL", public) } else { home };
        let made = home.run(&["member", "create", "--email", ADA]);
        let link = String::from_utf8(made.stdout).unwrap().trim().rsplit('/').next().unwrap().to_owned();
        let program = home.serve("").await;
        assert_eq!(home.log().contains("is not https"), !secure);
        let entered = json!({ "link": link, "password": PASSWORD });
        let (_, answer) = Browser::new(&program.client).follow(&entered).await;
        let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect(&answer);
        let (pair, attributes) = set.split_once("; ").unwrap();
        let (set_name, value) = pair.split_once('=').unwrap();
        assert_eq!((set_name, value.len()), (name, 43));
        let mut attributes: Vec<_> = attributes.split("; ").collect();
        attributes.sort_unstable();
        let wanted = ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax", "Secure"];
        assert_eq!(attributes, wanted[..if secure { 5 } else { 4 }]);
        assert!(answer.contains("cache-control: no-store"));
    }
}

#[tokio::test]
async fn signing_in_begins_a_new_session_and_ends_the_one_before() {
    let server = Server::start().await;
    member(&server, ADA, Role::Viewer).await;
    let mut browser = Browser::new(&server);
    let planted = format!("__Host-muster={}", "A".repeat(43));
    browser.cookie = Some(planted.clone());
    assert_eq!(browser.sign_in(ADA, PASSWORD).await.0, 204);
    let first = browser.cookie.clone().unwrap();
    assert_ne!(first, planted);
    browser.sign_in(ADA, PASSWORD).await;
    assert_ne!(browser.cookie.as_ref(), Some(&first));
    assert!(browser.is_in().await);
    for old in [first, planted] {
        browser.cookie = Some(old);
        assert!(!browser.is_in().await);
    }
}

#[tokio::test]
async fn an_ended_session_is_dead_at_once_with_its_sockets_and_streams() {
    let server = Server::start().await;
    member(&server, "root@example.com", Role::Admin).await;
    member(&server, ADA, Role::Viewer).await;
    let id = server.members.id_of(ADA).await.unwrap();
    for way in ["sign out", "password", "reset", "role", "disabled", "sign out elsewhere"] {
        let mut browser = Browser::signed_in(&server, ADA).await;
        let mut socket = browser.socket().await;
        socket.subscribe("1", ENDLESS).await;
        let headers = [JSON, "Accept: text/event-stream", &browser.cookie_header()];
        let mut stream = server.send("POST /graphql", &headers, &json!({ "query": ENDLESS }).to_string()).await;
        let kept = browser.cookie.clone();
        let began = Instant::now();
        match way {
            "sign out" => assert_eq!(browser.sign_out().await, 204),
            "password" => {
                let mut other = Browser::signed_in(&server, ADA).await;
                let change = "mutation { changePassword(input: { currentPassword: \"correct horse battery\", \
                    newPassword: \"correct horse battery\" }) { userErrors { message } } }";
                let changed = server.members.find(id).await.unwrap().unwrap().password_hash;
                let answer = other.ask(change, json!({})).await;
                if answer["errors"].is_null() {
                    assert_eq!(answer["data"]["changePassword"]["userErrors"], json!([]), "{answer}");
                    assert_ne!(server.members.find(id).await.unwrap().unwrap().password_hash, changed);
                    assert!(other.is_in().await);
                } else {
                    panic!("{answer}");
                }
            }
            "reset" => {
                let (_, link) = server.members.reset(id).await.unwrap();
                assert_eq!(Browser::new(&server).sign_in(ADA, PASSWORD).await.0, 401);
                let entered = json!({ "link": secret(&link), "password": PASSWORD });
                assert_eq!(Browser::new(&server).follow(&entered).await.0, 204);
            }
            "role" => {
                let change = Change { role: Some(Role::Admin), ..Change::default() };
                server.members.update(id, &change).await.unwrap();
            }
            "disabled" => {
                let disable = |disabled| Change { disabled: Some(disabled), ..Change::default() };
                server.members.update(id, &disable(true)).await.unwrap();
                assert_eq!(Browser::new(&server).sign_in(ADA, PASSWORD).await.0, 401);
                server.members.update(id, &disable(false)).await.unwrap();
            }
            _ => {
                let mut other = Browser::signed_in(&server, ADA).await;
                let sessions = other.ask("{ sessions { id isCurrent } }", json!({})).await["data"]["sessions"].take();
                let first = sessions.as_array().unwrap().iter().find(|it| it["isCurrent"] == false).unwrap();
                let end = "mutation($id: ID!) { endSession(input: { id: $id }) { userErrors { message } } }";
                other.ask(end, json!({ "id": first["id"] })).await;
                assert!(other.is_in().await);
            }
        }
        browser.cookie = kept;
        assert!(!browser.is_in().await, "{way}");
        assert_eq!(socket.close_code().await, 4401, "{way}");
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut rest)).await.expect(way).unwrap();
        assert!(began.elapsed() < Duration::from_secs(2), "{way}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_after_a_week() {
    const HOUR: i64 = 3_600_000;
    let time = Arc::new(AtomicI64::new(1_700_000_000_000));
    let server = Server::builder().clock(Clock::Manual(time.clone())).start().await;
    member(&server, ADA, Role::Viewer).await;
    let after = async |hours: i64| {
        time.fetch_add(hours * HOUR, Ordering::Relaxed);
        // What is cached runs out.
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let mut idle = Browser::signed_in(&server, ADA).await;
    let mut used = Browser::signed_in(&server, ADA).await;
    after(7).await;
    assert!(used.is_in().await);
    after(2).await;
    assert!(!idle.is_in().await && used.is_in().await);
    for _ in 0..22 {
        after(7).await;
        assert!(used.is_in().await);
    }
    after(7).await;
    assert!(!used.is_in().await, "{} hours", 9 + 23 * 7);
}

#[tokio::test]
async fn rows_that_somebody_else_wrote_are_refused() {
    let server = Server::start().await;
    member(&server, "root@example.com", Role::Admin).await;
    member(&server, ADA, Role::Viewer).await;
    let mut browser = Browser::signed_in(&server, ADA).await;
    change(&server.db, "UPDATE member SET role = 'admin'").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!browser.is_in().await);
    assert_eq!(browser.sign_in(ADA, PASSWORD).await.0, 401);
}

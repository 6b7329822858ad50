//! Who may deliver a list.

use muster::auth::tokens::NewToken;
use muster::auth::{Role, Scope};
use serde_json::json;

use super::{csv, put};
use crate::access::scope::key;
use crate::members::{Browser, member};
use crate::support::Server;

#[tokio::test]
async fn operators_deliver_to_what_they_see_and_nobody_else_does() {
    let server = Server::start().await;
    let (own, other) = (server.integrate("list", "Own", &[]).await, server.integrate("list", "Other", &[]).await);
    let token = |name: &str, role, scope| NewToken { scope, ..NewToken::new(name, role) };
    let scope = Scope { instances: [key(&own)].into(), ..Scope::default() };
    let limited = server.tokens.create(token("limited", Role::Operator, Some(scope))).await.unwrap().text;
    let reports = server.tokens.create(token("reports", Role::Reports, None)).await.unwrap().text;
    for (token, id, status) in [
        (&server.viewer, &own, 403),
        (&reports, &own, 403),
        (&"wrong".to_owned(), &own, 401),
        (&limited, &other, 404),
        (&limited, &own, 202),
    ] {
        assert_eq!(put(&server, token, id, "text/csv", csv(&["ada"])).await.status(), status);
    }
    server.idle(&own, "").await;
    assert!(server.people(&other).await.is_empty());
    let shown = server.instance(&own, "lastDelivery { deliveredBy }").await;
    assert_eq!(shown["lastDelivery"]["deliveredBy"], "limited");
    let seen = server
        .ask_as(&reports, "query($id: ID!) { instance(id: $id) { lastDelivery { userCount } } }", json!({ "id": own }))
        .await;
    assert_eq!(seen["data"]["instance"]["lastDelivery"]["userCount"], 1);
}

#[tokio::test]
async fn a_session_delivers_from_the_pages_of_the_server_only() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    member(&server, "bob@example.com", Role::Operator).await;
    let mut browser = Browser::signed_in(&server, "bob@example.com").await;
    let line = format!("PUT /lists/{id}");
    for (origin, status) in [("https://evil.example", 403), (server.url.as_str(), 202)] {
        let headers = [format!("Origin: {origin}"), "Content-Type: text/csv".to_owned()];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        assert_eq!(browser.send(&line, &headers, &csv(&["ada"])).await.0, status, "{origin}");
    }
    server.idle(&id, "").await;
    let shown = server.instance(&id, "lastDelivery { deliveredBy }").await;
    assert_eq!(shown["lastDelivery"]["deliveredBy"], "bob@example.com");
}

//! Sessions: login with a token or a cookie, and logout.

use futures_util::StreamExt as _;

use super::*;

const LOGIN: &str = "  - {key: id, label: User, type: text}\n  - {key: secret, label: Password, type: secret}";

fn session(rest: &str) -> Arc<Manifest> {
    connector(LOGIN, &format!("  session:\n    login:\n{rest}"), "headers: {X-Requested-By: muster}")
}

/// An application with `/login` and `/logout`, whose list requires a login.
async fn application(login: fn() -> Response<Body>, signature: (&'static str, &'static str)) -> Peer {
    Peer::answering(move |_, call| match call.uri.as_str() {
        "/api/login" => login(),
        _ if header(call, signature.0) != signature.1 => respond(401, &[], "{}"),
        "/api/users" => ok(&json!({"users": [{"id": "1"}]})),
        "/api/logout" => respond(204, &[], ""),
        _ => respond(404, &[], "{}"),
    })
    .await
}

async fn listed(manifest: &Arc<Manifest>, peer: &Peer) -> Vec<Call> {
    let base = format!("{}/api/", peer.origin);
    let source = signed_in(manifest, config(peer, &[("base_url", &base)]), settings());
    assert_eq!(ids(&source).await.unwrap(), ["1"]);
    peer.calls()
}

#[tokio::test]
async fn a_login_gives_a_token_and_a_logout_ends_it() {
    let manifest = session(
        "      path: /login
      json: {user: '{{config.id}}', password: '{{config.secret}}', remember: false}
      headers: {X-Login: 'of {{config.id}}'}
    token_at: $.session
    header: {X-Session: '{{token}}'}
    logout: {path: /logout}",
    );
    let peer = application(|| respond(201, &[], json!({"session": "s1"}).to_string()), ("x-session", "s1")).await;
    let calls = listed(&manifest, &peer).await;
    let uris: Vec<_> = calls.iter().map(|call| call.uri.as_str()).collect();
    assert_eq!(uris, ["/api/login", "/api/users", "/api/logout"]);
    let sent: Value = serde_json::from_str(&calls[0].body).unwrap();
    assert_eq!(sent, json!({"user": "my app", "password": TOKEN, "remember": false}));
    assert_eq!(header(&calls[0], "x-login"), "of my app");
    assert!(calls.iter().all(|call| header(call, "x-requested-by") == "muster"));
    assert_eq!((header(&calls[2], "x-session"), calls[2].body.as_str()), ("s1".to_owned(), ""));
}

#[tokio::test]
async fn a_login_gives_a_cookie() {
    let manifest = session(
        "      path: /login
      form: {user: '{{config.id}}', password: '{{config.secret}}'}
    cookie: sid
    logout: {path: /logout}",
    );
    let login = || {
        let mut response = respond(200, &[("content-type", "text/html")], "<html>Welcome</html>");
        for cookie in ["other=1; Path=/", "sid=; Max-Age=0", "sid=c%20=1; Path=/; HttpOnly; max-age=600"] {
            response.headers_mut().append("set-cookie", cookie.parse().unwrap());
        }
        response
    };
    let peer = application(login, ("cookie", "sid=c%20=1")).await;
    let calls = listed(&manifest, &peer).await;
    assert_eq!(form(&calls[0]), pairs([("user", "my app"), ("password", TOKEN)]));
    assert_eq!(calls[2].uri, "/api/logout");
}

#[tokio::test]
async fn a_cookie_ends_when_it_says() {
    let manifest = session("      path: /login\n      form: {p: '{{config.id}}{{config.secret}}'}\n    cookie: sid");
    let peer = Peer::answering(|_, _| respond(200, &[("set-cookie", "sid=1; Max-Age=600")], "")).await;
    let (clock, settings) = with_clock();
    let tokens = tokens(&manifest, config(&peer, &[]), settings);
    for (second, calls) in [(0, 1), (539, 1), (541, 2)] {
        clock.store(NOW + second * 1000, Ordering::SeqCst);
        tokens.current(&RetryPolicy::default()).await.unwrap();
        assert_eq!(peer.calls().len(), calls, "after {second} s");
    }
}

#[tokio::test]
async fn a_login_that_gives_nothing_is_an_error() {
    let manifest = session("      path: /login\n      form: {p: '{{config.id}}{{config.secret}}'}\n    cookie: sid");
    for (status, class) in [(200, ErrorClass::Config), (302, ErrorClass::Config), (401, ErrorClass::Token)] {
        let peer = Peer::answering(move |_, _| respond(status, &[("set-cookie", "anonymous=1")], "{}")).await;
        let error = ids(&signed_in(&manifest, config(&peer, &[]), settings())).await.unwrap_err();
        assert_eq!((error.class, error.definite), (class, false), "{error}");
        assert_eq!(peer.uris(), ["/login"]);
    }
}

#[tokio::test]
async fn a_refused_session_begins_anew() {
    let manifest = session(
        "      path: /login
      json: {user: '{{config.id}}', password: '{{config.secret}}'}
    token_at: $.t",
    );
    let peer = Peer::answering(|number, call| match call.uri.as_str() {
        "/login" => ok(&json!({"t": format!("s{number}")})),
        _ if header(call, "authorization") == "Bearer s3" => ok(&json!({"users": []})),
        _ => respond(401, &[], "{}"),
    })
    .await;
    ids(&signed_in(&manifest, config(&peer, &[]), settings())).await.unwrap();
    assert_eq!(peer.uris(), ["/login", "/users", "/login", "/users"]);
}

#[tokio::test]
async fn a_logout_that_fails_is_nobodys_trouble() {
    let manifest = session(
        "      path: /login
      json: {user: '{{config.id}}', password: '{{config.secret}}'}
    token_at: $.t
    logout: {path: /logout}",
    );
    let peer = Peer::answering(|_, call| match call.uri.as_str() {
        "/login" => ok(&json!({"t": "s1"})),
        "/logout" => respond(500, &[], "{}"),
        _ => ok(&json!({"users": []})),
    })
    .await;
    ids(&signed_in(&manifest, config(&peer, &[]), settings())).await.unwrap();
    assert_eq!(peer.uris(), ["/login", "/users", "/logout"]);
}

#[tokio::test]
async fn a_listing_that_goes_on_after_an_error_signs_in_anew() {
    let manifest = connector(
        LOGIN,
        "  session:
    login:
      path: /login
      json: {user: '{{config.id}}', password: '{{config.secret}}'}
    token_at: $.session
    header: {X-Session: '{{token}}'}
    logout: {path: /logout}",
        "users:\n  path: /users\n  query: {a: '1'}",
    );
    let peer = Peer::answering(|number, call| match call.uri.as_str() {
        "/login" => ok(&json!({"session": format!("s{number}")})),
        "/logout" => respond(204, &[], ""),
        _ if number < 6 => respond(503, &[], "{}"),
        _ => ok(&json!({"users": [{"id": "1"}]})),
    })
    .await;
    let source = signed_in(&manifest, config(&peer, &[]), settings());
    let mut pages = source.pages(None);
    assert_eq!(pages.next().await.unwrap().unwrap_err().class, ErrorClass::Transient);
    assert_eq!(pages.next().await.unwrap().unwrap().users.len(), 1);
    assert!(pages.next().await.is_none());
    let calls = peer.calls();
    let uris: Vec<_> = calls.iter().map(|call| call.uri.as_str()).collect();
    let users = "/users?a=1";
    assert_eq!(uris, ["/login", users, users, users, "/logout", "/login", users, "/logout"]);
    assert_eq!((header(&calls[4], "x-session"), header(&calls[6], "x-session")), ("s1".to_owned(), "s6".to_owned()));
}

#[tokio::test]
async fn what_a_login_gave_is_forgotten_with_its_session() {
    let manifest = connector(
        LOGIN,
        "  session:
    login:
      path: /login
      json: {user: '{{config.id}}', password: '{{config.secret}}'}
    token_at: $.session
    keep: {place: $.place}",
        "users:\n  path: '/{{found.place}}/users'",
    );
    let peer = Peer::answering(|number, call| match call.uri.as_str() {
        "/login" => ok(&json!({"session": "s", "place": format!("of{number}")})),
        "/of5/users" => ok(&json!({"users": [{"id": "1"}]})),
        _ => respond(503, &[], "{}"),
    })
    .await;
    let source = signed_in(&manifest, config(&peer, &[]), settings());
    let mut pages = source.pages(None);
    assert_eq!(pages.next().await.unwrap().unwrap_err().class, ErrorClass::Transient);
    assert_eq!(pages.next().await.unwrap().unwrap().users.len(), 1);
    assert!(pages.next().await.is_none());
    let users = "/of1/users";
    assert_eq!(peer.uris(), ["/login", users, users, users, "/login", "/of5/users"]);
}

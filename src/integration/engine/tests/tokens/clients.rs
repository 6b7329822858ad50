//! Client credentials: what is sent, and what is read from the response.

use super::*;

/// Lists once, and returns the request to the token endpoint and the one for the list.
async fn calls(manifest: &Arc<Manifest>, more: &[(&str, &str)], answer: Value) -> (Call, Call) {
    let peer = Peer::answering(
        move |_, call| {
            if call.uri == "/token" { ok(&answer) } else { ok(&json!({"users": [{"id": "1"}]})) }
        },
    )
    .await;
    assert_eq!(ids(&signed_in(manifest, config(&peer, more), settings())).await.unwrap(), ["1"]);
    let mut calls = peer.calls();
    assert_eq!(calls.len(), 2);
    (calls.remove(0), calls.remove(0))
}

#[tokio::test]
async fn the_secret_goes_by_basic_authentication_form_encoded() {
    let manifest = client_credentials("    scopes: [users.read, 'roles.read']\n    scope_separator: ','");
    let (token, list) = calls(&manifest, &[], json!({"access_token": "t1", "token_type": "mac"})).await;
    // Base64 of my+app:canary-6f1d%2F%2B%3D
    assert_eq!(header(&token, "authorization"), "Basic bXkrYXBwOmNhbmFyeS02ZjFkJTJGJTJCJTNE");
    assert_eq!(header(&token, "accept"), "application/json");
    assert_eq!(form(&token), pairs([("grant_type", "client_credentials"), ("scope", "users.read,roles.read")]));
    assert_eq!(header(&list, "authorization"), "Bearer t1");
}

#[tokio::test]
async fn the_secret_goes_in_the_body() {
    let manifest = client_credentials("    client_auth: body");
    let (token, _) = calls(&manifest, &[], json!({"access_token": "t1"})).await;
    assert_eq!(header(&token, "authorization"), "");
    let expected = [("grant_type", "client_credentials"), ("client_id", "my app"), ("client_secret", TOKEN)];
    assert_eq!(form(&token), pairs(expected));
}

#[tokio::test]
async fn parameters_replace_the_usual_ones_and_empty_ones_stay_away() {
    let fields = format!("{CLIENT}\n  - {{key: audience, label: Audience, type: text, optional: true}}");
    let auth = "  oauth2_client_credentials:
    token_url: '{{config.base_url}}/token'
    client_id: '{{config.id}}'
    client_secret: '{{config.secret}}'
    params: {grant_type: account_credentials, account_id: 'acc 1', audience: '{{config.audience}}'}";
    let manifest = connector(&fields, auth, "");
    let (token, _) = calls(&manifest, &[], json!({"access_token": "t1"})).await;
    assert_eq!(form(&token), pairs([("grant_type", "account_credentials"), ("account_id", "acc 1")]));
    let (token, _) = calls(&manifest, &[("audience", "api")], json!({"access_token": "t1"})).await;
    assert_eq!(form(&token)["audience"], "api");
}

#[tokio::test]
async fn a_token_found_elsewhere_goes_elsewhere() {
    let auth = "  oauth2_client_credentials:
    token_url: '{{config.base_url}}/token'
    client_id: '{{config.id}}'
    client_secret: '{{config.secret}}'
    token_at: $.data.key
    keep: {org: $.data.org}
    header: {X-Key: 'key={{token}}'}";
    let manifest = connector(CLIENT, auth, "users:\n  path: /orgs/{{found.org}}/users");
    let (_, list) = calls(&manifest, &[], json!({"data": {"key": "t1", "org": 7}, "access_token": "wrong"})).await;
    assert_eq!((list.uri.as_str(), header(&list, "x-key").as_str()), ("/orgs/7/users", "key=t1"));
    assert_eq!(header(&list, "authorization"), "");
}

#[tokio::test]
async fn a_setting_stays_within_its_part_of_the_address() {
    let fields = format!("{CLIENT}\n  - {{key: tenant, label: Tenant, type: text}}");
    let auth = "  oauth2_client_credentials:
    token_url: https://login.example.com/{{config.tenant}}/token
    client_id: '{{config.id}}'
    client_secret: '{{config.secret}}'";
    let manifest = connector(&fields, auth, "");
    for (tenant, path) in [
        ("acme.example.com", Some("/acme.example.com/token")),
        ("4f2b-9c1e", Some("/4f2b-9c1e/token")),
        ("../x?a=b#c", Some("/..%2Fx%3Fa%3Db%23c/token")),
        ("%2e%2e", Some("/%252e%252e/token")),
        ("..", None),
        (".", None),
    ] {
        let peer = application(vec![given("t1")], &["t1"]).await;
        let login = url::Url::parse("https://login.example.com").unwrap().origin();
        let settings = ClientSettings { detours: vec![(login, peer.origin.parse().unwrap())], ..settings() };
        let outcome = ids(&signed_in(&manifest, config(&peer, &[("tenant", tenant)]), settings)).await;
        if let Some(path) = path {
            outcome.unwrap();
            assert_eq!(peer.uris(), [path, "/users"]);
        } else {
            assert_eq!(outcome.unwrap_err().class, ErrorClass::Config);
            assert!(peer.calls().is_empty());
        }
    }
}

#[tokio::test]
async fn plain_http_is_for_permitted_addresses_only() {
    let peer = application(vec![given("t1")], &["t1"]).await;
    let settings = ClientSettings { allowed_networks: Vec::new(), ..settings() };
    let error = ids(&signed_in(&client_credentials(""), config(&peer, &[]), settings)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Config);
    assert!(error.message.contains("https") && error.message.contains("at sign-in"), "{error}");
    assert!(peer.calls().is_empty());
}

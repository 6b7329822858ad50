//! The connector `scim`.

use futures_util::StreamExt as _;
use serde_json::json;

use super::*;
use crate::source::{Capability, ErrorClass};
use crate::user::{AccountKind, SourceUser, UserStatus};

fn connector() -> Manifest {
    let text = include_str!("../../connectors/scim.yaml");
    manifest::parse(text, "scim.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"))
}

async fn users_of(page: Value) -> Result<Vec<SourceUser>, SourceError> {
    let peer = Peer::always(200, page).await;
    Ok(all(&source(connector(), &peer.origin)).await?.remove(0).users)
}

/// A server with `total` users and at most 40 per page.
async fn server(total: u64) -> Peer {
    Peer::answering(move |_, call| {
        let start = parameter(call, "startIndex").unwrap_or(1);
        let count = parameter(call, "count").unwrap_or(40).min(40);
        let resources = records((start..start + count).take_while(|number| *number <= total));
        ok(&json!({"totalResults": total, "startIndex": start, "itemsPerPage": resources.len(), "Resources": resources}))
    })
    .await
}

#[test]
fn it_says_truthfully_what_it_provides() {
    let connector = connector();
    assert_eq!(connector.key, "scim");
    assert_eq!(
        connector.capabilities(),
        [Capability::Users, Capability::AdminRoles, Capability::Licenses, Capability::Profile]
    );
    let keys: Vec<_> = connector.config.iter().map(|field| field.value.key.as_str()).collect();
    assert_eq!(keys, ["base_url", "token", "username", "password", "token_url", "client_id", "client_secret", "scope"]);
}

#[tokio::test]
async fn it_reads_all_users_of_a_server_that_caps_its_pages() {
    let peer = server(100).await;
    let source = source(connector(), &format!("{}/scim/v2/", peer.origin));
    assert_eq!(ids(&source).await.unwrap(), numbers(1..=100));
    assert_eq!(
        peer.uris(),
        [
            "/scim/v2/Users?count=100&startIndex=1",
            "/scim/v2/Users?count=100&startIndex=41",
            "/scim/v2/Users?count=100&startIndex=81"
        ]
    );
    assert_eq!(peer.calls()[0].headers["accept"], "application/scim+json, application/json");
}

#[tokio::test]
async fn it_follows_cursors_when_the_server_gives_them() {
    let peer = Peer::answering(|_, call| match call.uri.as_str() {
        "/Users?count=100&startIndex=1" => {
            ok(&json!({"totalResults": 3, "Resources": records([1, 2]), "nextCursor": "VZUTiy"}))
        }
        "/Users?count=100&cursor=VZUTiy" => ok(&json!({"Resources": records([3])})),
        other => panic!("{other}"),
    })
    .await;
    assert_eq!(ids(&source(connector(), &peer.origin)).await.unwrap(), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_list_may_be_missing_only_if_nobody_is_in_it() {
    assert_eq!(users_of(json!({"totalResults": 0})).await.unwrap(), []);
    assert_eq!(users_of(json!({"totalResults": 0, "Resources": []})).await.unwrap(), []);
    for page in [json!({"totalResults": 3}), json!({}), json!({"Resources": [{"id": "1"}]})] {
        let error = users_of(page.clone()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Config, "{page}: {}", error.message);
    }
}

#[tokio::test]
async fn it_maps_the_core_schema() {
    let rich = json!({
        "id": "2819c223", "userName": "bjensen", "displayName": "Babs Jensen", "active": true, "userType": "Employee",
        "emails": [{"value": "home@example.com", "type": "home"}, {"value": "bjensen@example.com", "type": "work", "primary": true}],
        "roles": [{"value": "workspace-admin", "primary": true}],
        "entitlements": [{"value": "E1", "display": "Enterprise"}, {"value": "E2"}],
    });
    let plain = json!({"id": "b", "userName": "j.doe@example.com", "name": {"givenName": "Jo", "familyName": "Doe"}, "active": false});
    let bare =
        json!({"id": "c", "userName": "svc", "roles": [{"value": "member"}], "emails": [{"value": "svc@example.com"}]});
    let users = users_of(json!({"totalResults": 3, "Resources": [rich, plain, bare]})).await.unwrap();

    assert_eq!(users[0].email.as_deref(), Some("bjensen@example.com"));
    assert_eq!(users[0].display_name.as_deref(), Some("Babs Jensen"));
    assert_eq!((users[0].status, users[0].is_admin), (UserStatus::Active, Some(true)));
    let licenses: Vec<_> = users[0].licenses.as_ref().unwrap().iter().map(String::as_str).collect();
    assert_eq!(licenses, ["Enterprise", "E2"]);
    assert_eq!((users[0].mfa_enabled, users[0].last_active_at), (None, None));

    assert_eq!(users[1].email.as_deref(), Some("j.doe@example.com"));
    assert_eq!(users[1].display_name.as_deref(), Some("Jo Doe"));
    assert_eq!((users[1].status, users[1].is_admin), (UserStatus::Suspended, None));

    assert_eq!(users[2].email.as_deref(), Some("svc@example.com"));
    assert_eq!(users[2].display_name.as_deref(), Some("svc"));
    assert_eq!((users[2].status, users[2].is_admin), (UserStatus::Active, None));
}

#[tokio::test]
async fn it_maps_what_ties_users_to_people() {
    let enterprise = json!({"employeeNumber": "1017", "department": "Design", "manager": {"value": "26118915", "displayName": "John"}});
    let rich = json!({
        "id": "1", "userName": "ann", "externalId": "00u1", "userType": "Employee",
        "emails": [{"value": "ann@example.com", "primary": true}, {"value": "A.Miller@example.com", "type": "work"},
            {"value": "ANN@example.com"}, {"value": "ann@home.example", "type": "home"}],
        "meta": {"created": "2025-01-23T04:56:22Z"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": enterprise,
    });
    let others = [
        ("External", Some(AccountKind::Human), Some(true)),
        ("bot", Some(AccountKind::Service), None),
        ("Astronaut", None, None),
    ];
    let resources = others.iter().map(|(kind, ..)| json!({"id": kind, "userName": kind, "userType": kind}));
    let resources: Vec<Value> = [rich].into_iter().chain(resources).collect();
    let users = users_of(json!({"totalResults": 4, "Resources": resources})).await.unwrap();
    let ann = &users[0];
    assert_eq!((ann.source_id.as_deref(), ann.employee_id.as_deref()), (Some("00u1"), Some("1017")));
    assert_eq!((ann.department.as_deref(), ann.manager.as_deref()), (Some("Design"), Some("26118915")));
    assert_eq!(ann.aliases, Some(vec!["A.Miller@example.com".to_owned()]), "no private address, and none twice");
    assert_eq!((ann.kind, ann.guest), (Some(AccountKind::Human), Some(false)));
    assert_eq!(ann.created_at.map(|at| at.to_string()).as_deref(), Some("2025-01-23T04:56:22Z"));
    for (user, (word, kind, guest)) in users[1..].iter().zip(others) {
        assert_eq!((user.kind, user.guest), (kind, guest), "{word}");
        assert_eq!((&user.source_id, user.created_at), (&None, None));
    }
}

#[tokio::test]
async fn a_check_is_the_list_itself_and_names_the_tenant() {
    let peer = server(100).await;
    let verified = source(connector(), &peer.origin).check().await.unwrap();
    assert_eq!(verified.tenant.as_deref(), peer.origin.strip_prefix("http://"));
    assert_eq!(peer.uris(), ["/Users?count=1&startIndex=1"]);

    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "401", "detail": "Authorization failure."});
    let peer = Peer::always(401, body).await;
    let error = source(connector(), &peer.origin).check().await.unwrap_err();
    assert_eq!((error.class, error.definite), (ErrorClass::Token, false));
    assert!(error.message.ends_with("It said: “Authorization failure.”."), "{}", error.message);
}

#[tokio::test]
async fn the_size_of_a_page_is_given_up_only_if_that_helps() {
    let page = |call: &Call| {
        let start = parameter(call, "startIndex").unwrap();
        ok(&json!({"totalResults": 3, "Resources": records((start..start + 2).take_while(|number| *number <= 3))}))
    };
    for status in [400, 422, 500] {
        let answer = move |_: usize, call: &Call| match parameter(call, "count") {
            Some(_) => respond(status, &[], "{}"),
            None => page(call),
        };
        let peer = Peer::answering(answer).await;
        assert_eq!(ids(&source(connector(), &peer.origin)).await.unwrap(), numbers(1..=3), "{status}");
        assert_eq!(peer.uris()[peer.uris().len() - 2..], ["/Users?startIndex=1", "/Users?startIndex=3"]);
    }

    // An outage that ends: what is asked afterwards has its size again.
    let answer = move |number: usize, call: &Call| if number <= 6 { respond(500, &[], "{}") } else { page(call) };
    let peer = Peer::answering(answer).await;
    let source = source(connector(), &peer.origin);
    let mut pages = source.pages(None);
    let error = pages.next().await.unwrap().unwrap_err();
    assert_eq!((error.http_status, peer.calls().len()), (Some(500), 6));
    assert_eq!(pages.next().await.unwrap().unwrap().users.len(), 2);
    assert_eq!(peer.uris()[6], "/Users?count=100&startIndex=1");
}

use serde_json::{Value, json};

use crate::support::Server;

async fn set(server: &Server, emails: Value) -> Value {
    server.mutate("setRecipients", json!({ "emails": emails }), "recipients { emails }").await
}

#[tokio::test]
async fn the_list_is_replaced_as_a_whole_and_may_be_empty() {
    let server = Server::start().await;
    let query = "{ recipients { emails } }";
    assert_eq!(server.ask(query, json!({})).await["recipients"]["emails"], json!([]));
    for list in [json!(["b@example.com", "a@example.com"]), json!(["c@example.com"]), json!([])] {
        let payload = set(&server, list.clone()).await;
        assert_eq!(payload, json!({ "recipients": { "emails": list }, "userErrors": [] }));
        assert_eq!(server.ask(query, json!({})).await["recipients"]["emails"], list);
    }
}

#[tokio::test]
async fn of_two_who_replace_the_same_list_the_second_is_told() {
    let server = Server::start().await;
    set(&server, json!(["ada@example.com"])).await;
    let replace = async |emails: Value| {
        let input = json!({ "emails": emails, "expectedEmails": ["ada@example.com"] });
        server.mutate("setRecipients", input, "recipients { emails }").await
    };
    let (one, other) = tokio::join!(replace(json!(["bob@example.com"])), replace(json!(["eve@example.com"])));
    let (first, second) = if one["userErrors"] == json!([]) { (one, other) } else { (other, one) };
    assert_eq!(first["userErrors"], json!([]));
    let told = &second["userErrors"][0];
    assert_eq!((&told["code"], &told["field"]), (&json!("REVISION_CONFLICT"), &json!(["expectedEmails"])), "{second}");
    assert_eq!(second["recipients"], first["recipients"], "the list as it is now");
    let again = json!({ "emails": [], "expectedEmails": first["recipients"]["emails"] });
    server.done("setRecipients", again, "").await;
    // The order counts as well: it is another list.
    set(&server, json!(["a@example.com", "b@example.com"])).await;
    let turned = json!({ "emails": [], "expectedEmails": ["b@example.com", "a@example.com"] });
    assert_eq!(server.refused("setRecipients", turned).await[0].0, "REVISION_CONFLICT");
    server.done("setRecipients", json!({ "emails": [] }), "").await;
    server.done("setRecipients", json!({ "emails": ["c@example.com"], "expectedEmails": [] }), "").await;
}

#[tokio::test]
async fn duplicate_addresses_are_removed() {
    let server = Server::start().await;
    let payload =
        set(&server, json!(["Ada@Example.com", " ada@example.com ", "bob@example.com", "ADA@EXAMPLE.COM"])).await;
    assert_eq!(payload["recipients"]["emails"], json!(["Ada@Example.com", "bob@example.com"]));
}

#[tokio::test]
async fn one_invalid_address_refuses_the_whole_list_and_each_is_named() {
    let server = Server::start().await;
    set(&server, json!(["ada@example.com"])).await;
    let bad = json!([
        "bob@example.com",
        "",
        "nonsense",
        "carl@example.com",
        "a@b@c",
        "x@",
        "@example.com",
        "Ada <ada@example.com>",
        "a\r\nBcc: eve@example.com",
        "eve@example.com\nSubject: x",
        "a b@example.com",
        "a@exam\u{202e}ple.com",
        format!("{}@example.com", "x".repeat(300))
    ]);
    let refusals = server.refused("setRecipients", json!({ "emails": bad })).await;
    let wanted: Vec<_> = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        .map(|place: usize| ("INVALID_INPUT".to_owned(), json!(["emails", place.to_string()])))
        .into();
    assert_eq!(refusals, wanted);
    let payload = set(&server, bad).await;
    assert_eq!(payload["recipients"]["emails"], json!(["ada@example.com"]), "the list as it is");
    assert!(!payload["userErrors"].to_string().contains("eve@"), "no address is repeated: {payload}");
}

#[tokio::test]
async fn the_list_has_at_most_a_hundred_addresses() {
    let server = Server::start().await;
    let many = |count: usize| (0..count).map(|number| format!("user{number}@example.com")).collect::<Vec<_>>();
    assert_eq!(
        server.refused("setRecipients", json!({ "emails": many(101) })).await,
        [("INVALID_INPUT".to_owned(), json!(["emails"]))]
    );
    server.done("setRecipients", json!({ "emails": many(100) }), "").await;
    let mut doubled = many(100);
    doubled.extend(many(100));
    server.done("setRecipients", json!({ "emails": doubled }), "").await;
}

#[tokio::test]
async fn a_test_mail_is_sent_to_one_valid_address() {
    let server = Server::start().await;
    for address in ["", "nonsense", "a@example.com, b@example.com", "a@example.com\r\nBcc: eve@example.com"] {
        let refusals = server.refused("sendTestMail", json!({ "address": address })).await;
        assert_eq!(refusals, [("INVALID_INPUT".to_owned(), json!(["address"]))], "{address:?}");
    }
    let payload = server
        .done(
            "sendTestMail",
            json!({ "address": " ada@example.com " }),
            "notification { kind state address instance { id } run { id } }",
        )
        .await;
    assert_eq!(
        payload["notification"],
        json!({ "kind": "TEST", "state": "SENT", "address": "ada@example.com", "instance": null, "run": null })
    );
    assert_eq!(std::fs::read_dir(server.mail_dir()).unwrap().count(), 1);
}

//! Prices: what is accepted, what comes back, and who may see and set them.

use muster::auth::Role;
use muster::auth::tokens::NewToken;
use serde_json::{Value, json};

use super::{contract, instance, set_price};
use crate::access::scope::only;
use crate::support::Server;

#[tokio::test]
async fn a_price_comes_back_as_it_was_given_and_can_be_removed() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "30")]).await;
    let money = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
    for (given, unit, total, seats, months) in [
        (json!({ "currency": "EUR", "unitPrice": "250.00" }), money("250.00", "EUR"), Value::Null, Value::Null, 12),
        (json!({ "currency": "eur", "unitPrice": "250" }), money("250.00", "EUR"), Value::Null, Value::Null, 12),
        (json!({ "currency": "EUR", "unitPrice": 250 }), money("250.00", "EUR"), Value::Null, Value::Null, 12),
        (
            json!({ "currency": "JPY", "unitPrice": "1200", "billingMonths": 1 }),
            money("1200", "JPY"),
            Value::Null,
            Value::Null,
            1,
        ),
        (
            json!({ "currency": "KWD", "totalPrice": "1.5", "seats": 3, "billingMonths": 36 }),
            Value::Null,
            money("1.500", "KWD"),
            json!(3),
            36,
        ),
    ] {
        let license = set_price(&server, &id, "Full", given.clone()).await;
        let expected = json!({ "unitPrice": unit, "totalPrice": total, "seats": seats, "billingMonths": months });
        assert_eq!(license["price"], expected, "{given}");
        assert_eq!(license["annualCosts"].as_array().unwrap().len(), 1);
    }
    // Nobody holds it yet.
    let future = set_price(&server, &id, "Premium", json!({ "currency": "EUR", "unitPrice": "1.00" })).await;
    assert_eq!((&future["assigned"], &future["annualCosts"][0]["amount"]), (&json!(0), &json!("0.00")));
    let removed = set_price(&server, &id, "Full", Value::Null).await;
    assert_eq!((&removed["price"], &removed["annualCosts"]), (&Value::Null, &Value::Null));

    let entries = server
        .ask(
            "{ auditLog(first: 10, filter: { actions: [PRICE_SET] }) { nodes { detail outcome subjectName } } }",
            json!({}),
        )
        .await;
    let entries = entries["auditLog"]["nodes"].as_array().unwrap();
    assert_eq!(entries.len(), 7);
    assert_eq!(entries[0]["detail"], "The price of the licence \"Full\" was removed.");
    assert!(entries[2]["detail"].as_str().unwrap().contains("1.500 KWD per 3 seats for 36 months"), "{entries:#?}");
    assert!(entries.iter().all(|entry| entry["outcome"] == "OK" && entry["subjectName"] == "Acme"));
}

#[tokio::test]
async fn a_wrong_price_is_refused_at_its_field() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "3")]).await;
    let refused = async |license: &str, price: Value| {
        server.refused("setPrice", json!({ "instanceId": id, "license": license, "price": price })).await
    };
    let at = |path: &[&str]| ("INVALID_INPUT".to_owned(), json!(path));
    let price = |field: &str| at(&["price", field]);
    for (given, expected) in [
        (json!({ "currency": "EURO", "unitPrice": "1" }), price("currency")),
        (json!({ "currency": "XAU", "unitPrice": "1" }), price("currency")),
        (json!({ "currency": "EUR", "unitPrice": "1.005" }), price("unitPrice")),
        (json!({ "currency": "JPY", "unitPrice": "0.5" }), price("unitPrice")),
        (json!({ "currency": "EUR", "unitPrice": "-1" }), price("unitPrice")),
        (json!({ "currency": "EUR", "unitPrice": "1e9" }), price("unitPrice")),
        (json!({ "currency": "EUR", "unitPrice": "99999999999999999999" }), price("unitPrice")),
        (json!({ "currency": "EUR" }), price("unitPrice")),
        (json!({ "currency": "EUR", "unitPrice": "1", "totalPrice": "2", "seats": 2 }), price("totalPrice")),
        (json!({ "currency": "EUR", "totalPrice": "2" }), price("seats")),
        (json!({ "currency": "EUR", "totalPrice": "2", "seats": 0 }), price("seats")),
        (json!({ "currency": "EUR", "unitPrice": "1", "seats": 2 }), price("seats")),
        (json!({ "currency": "EUR", "unitPrice": "1", "billingMonths": 0 }), price("billingMonths")),
        (json!({ "currency": "EUR", "unitPrice": "1", "billingMonths": 121 }), price("billingMonths")),
    ] {
        assert_eq!(refused("Full", given.clone()).await, [expected], "{given}");
    }
    for name in ["", "  ", "a\u{0}b", &"x".repeat(201)] {
        assert_eq!(refused(name, Value::Null).await, [at(&["license"])], "{name:?}");
    }
    // A number that is not exact is none of this type.
    let query = "mutation($id: ID!) { setPrice(input: { instanceId: $id, license: \"Full\", price: { currency: \"EUR\", unitPrice: 2.5 } }) { userErrors { code } } }";
    assert_eq!(server.error_code(query, json!({ "id": id })).await, "BAD_USER_INPUT");
    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    server.until(&id, "status", |found| found["status"] == "DELETED").await;
    let gone = refused("Full", json!({ "currency": "EUR", "unitPrice": "1" })).await;
    assert_eq!(gone, [("INSTANCE_DELETED".to_owned(), json!(["instanceId"]))]);
}

#[tokio::test]
async fn reports_read_figures_and_a_limited_token_those_of_its_instances() {
    let server = Server::start().await;
    let (acme, bolt) =
        (instance(&server, "Acme", &[("users", "30")]).await, instance(&server, "Bolt", &[("users", "30")]).await);
    for id in [&acme, &bolt] {
        set_price(&server, id, "Full", json!({ "currency": "EUR", "unitPrice": "12.00" })).await;
        server
            .done("upsertContract", contract(id, "Order", "EUR", &json!([{ "license": "Full", "seats": 4 }])), "")
            .await;
    }
    let token = async |role, scope| {
        let new = NewToken { scope, ..NewToken::new("figures", role) };
        server.tokens.create(new).await.unwrap().text
    };
    let query = "{ licenses { totalCount nodes { name assigned instance { name } } } renewals { totalCount nodes { name noticeBy } }
        spend(groupBy: APPLICATION) { totals { amount { amount } } unpriced { totalCount } } }";
    let reports = server.ask_as(&token(Role::Reports, None).await, query, json!({})).await["data"].take();
    assert_eq!((&reports["licenses"]["totalCount"], &reports["renewals"]["totalCount"]), (&json!(4), &json!(2)));
    assert_eq!(reports["spend"]["totals"], json!([{ "amount": { "amount": "240.00" } }]));
    let limited = server.ask_as(&token(Role::Reports, Some(only(&bolt))).await, query, json!({})).await["data"].take();
    assert_eq!((&limited["licenses"]["totalCount"], &limited["renewals"]["totalCount"]), (&json!(2), &json!(1)));
    assert!(limited["licenses"]["nodes"].as_array().unwrap().iter().all(|it| it["instance"]["name"] == "Bolt"));
    assert_eq!(
        limited["spend"],
        json!({ "totals": [{ "amount": { "amount": "120.00" } }], "unpriced": { "totalCount": 1 } })
    );

    let own = token(Role::Operator, Some(only(&bolt))).await;
    let set = "mutation($id: ID!) { setPrice(input: { instanceId: $id, license: \"Basic\", price: { currency: \"EUR\", unitPrice: \"1\" } }) { userErrors { code field } } }";
    let errors =
        async |id: &str| server.ask_as(&own, set, json!({ "id": id })).await["data"]["setPrice"]["userErrors"].take();
    assert_eq!(errors(&bolt).await, json!([]));
    assert_eq!(errors(&acme).await, json!([{ "code": "NOT_FOUND", "field": ["instanceId"] }]));
    let contracts = server.ask("{ renewals { nodes { id instance { name } } } }", json!({})).await;
    let contracts = contracts["renewals"]["nodes"].as_array().unwrap();
    let foreign = contracts.iter().find(|contract| contract["instance"]["name"] == "Acme").unwrap();
    let delete = "mutation($id: ID!) { deleteContract(input: { id: $id }) { id userErrors { code field } } }";
    let refused = server.ask_as(&own, delete, json!({ "id": foreign["id"] })).await["data"]["deleteContract"].take();
    assert_eq!(refused, json!({ "id": null, "userErrors": [{ "code": "NOT_FOUND", "field": ["id"] }] }));
    let viewer = server.ask_as(&server.viewer, set, json!({ "id": bolt })).await;
    assert_eq!(viewer["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

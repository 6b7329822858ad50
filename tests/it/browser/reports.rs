//! Reports: licences and their prices, what they cost, and contracts that end.

use muster::auth::Role as Allowed;
use muster::auth::tokens::NewToken;
use serde_json::{Value, json};
use thirtyfour::{By, Key};

use super::{Browser, Role};
use crate::spend::{contract, day, instance};
use crate::support::Server;

/// The year, the month and the day of `2027-03-31` in the order in which the browser has them.
fn keys(date: &str) -> String {
    let parts: Vec<_> = date.split('-').collect();
    [parts[1], parts[2], parts[0]].concat()
}

/// The number in a column of a row, once it is there.
pub async fn figure(browser: &Browser, row: &str, column: &str) -> String {
    let path = format!("//tr[th[contains(., '{row}')]]/td[@data-label='{column}']");
    let cell = async || browser.session.find(By::XPath(path.clone())).await.ok();
    let text = browser.wait("the figure", cell).await.text().await.unwrap();
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_price_is_set_and_what_it_costs_is_seen() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "30")]).await;
    let browser = Browser::open_with(&server, &server.admin, "/").await;
    browser.press(Role::Link, "Reports").await;
    browser.is_at("/reports").await;
    browser.press(Role::Link, "Licences").await;
    browser.is_at("/reports/licences").await;
    browser.sees("No price").await;
    let query = "query($id: ID!) { licenses(filter: { instanceId: $id }) { nodes { name assigned } } }";
    let licences = server.ask(query, json!({ "id": id })).await["licenses"]["nodes"].take();
    let own = |name: &str| licences.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    let assigned = own("Full")["assigned"].as_i64().unwrap();
    assert_eq!(figure(&browser, "Full", "Assigned").await, assigned.to_string());
    assert_eq!(figure(&browser, "Full", "Seats").await, "no contract");

    browser.press(Role::Button, "Price of Full in Acme").await;
    browser.enter("Amount", "2.505").await;
    browser.enter("Currency", "eur").await;
    browser.press(Role::Button, "Save").await;
    browser
        .wait("the field with the error", async || {
            let focus = "return document.activeElement.labels?.[0]?.textContent === 'Amount'
            && document.activeElement.getAttribute('aria-invalid') === 'true'";
            (browser.script(focus, vec![]).await == true).then_some(())
        })
        .await;
    browser.inspect("price").await;
    browser.enter("Amount", "250").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("The price of “Full” is saved.").await;
    browser.sees("EUR 250.00 a seat, a year").await;
    browser.inspect("reports-licences").await;

    browser.press(Role::Link, "Spend").await;
    browser.is_at("/reports/spend").await;
    let total = server.ask("{ spend(groupBy: LICENSE) { totals { amount { amount } } } }", json!({})).await;
    assert_eq!(total["spend"]["totals"][0]["amount"]["amount"], format!("{}.00", 250 * assigned));
    assert_eq!(figure(&browser, "Rehearsal", "Licences and seats").await, assigned.to_string());
    browser.find(Role::Heading, "Not contained").await;
    browser.inspect("reports-spend").await;
    browser.choose("Group", "By licence").await;
    browser.is_at("/reports/spend?by=licence").await;
    browser.press(Role::Link, "Full").await;
    browser.is_at(&format!("/reports/licences?instance={id}")).await;
    browser.find(Role::Button, "Remove the filter Acme").await;
    browser.press(Role::Button, "Price of Full in Acme").await;
    browser.press(Role::Button, "Remove the price").await;
    browser.sees("“Full” has no price any more.").await;
    browser.sees_no("EUR 250.00").await;
    browser.close().await;
}

#[tokio::test]
async fn a_contract_is_entered_changed_and_deleted() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "30")]).await;
    let browser = Browser::open_with(&server, &server.admin, "/reports/renewals").await;
    browser.sees("No contracts yet").await;
    browser.press(Role::Button, "Enter a contract").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("Choose the instance whose licences it is about.").await;
    browser.sees("Choose the last day.").await;
    browser.pick("Instance", "acm", "Acme").await;
    browser.enter("Name", "Order 4711").await;
    browser.find(Role::Entry, "First day").await.send_keys(keys(&day(-10))).await.unwrap();
    browser.find(Role::Entry, "Last day").await.send_keys(keys(&day(40))).await.unwrap();
    browser.enter("Days of notice", "20").await;
    browser.enter("Currency", "EUR").await;
    browser.enter("Licence", "Full").await;
    browser.enter("Seats", "12").await;
    browser.choose("Price", "For all seats").await;
    browser.enter("Amount", "much").await;
    browser.press(Role::Button, "Add a licence").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("The name of a licence must not be blank.").await;
    browser.inspect("contract").await;
    browser.press(Role::Button, "Remove licence 2").await;
    browser.enter("Amount", "28000").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("“Order 4711” is saved.").await;
    browser.sees("In force").await;
    browser.sees("in 20 days").await;
    browser.sees("EUR 28,000.00").await;
    browser.sees("20 days of notice").await;
    browser.inspect("reports-renewals").await;

    // Of two people, the second one is told.
    browser.press(Role::Button, "Edit Order 4711").await;
    let lines = json!([{ "license": "Full", "seats": 15 }]);
    let stored = server.ask("{ renewals { nodes { id } } }", json!({})).await["renewals"]["nodes"][0]["id"].take();
    let mut other = contract(&id, "Order of another", "EUR", &lines);
    other["id"] = stored;
    server.done("upsertContract", other, "").await;
    browser.enter("Days of notice", "5").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("Somebody has changed the contract meanwhile").await;
    browser.key(Key::Escape).await;
    browser.press(Role::Button, "Discard").await;
    browser.reload().await;
    browser.press(Role::Link, "Full").await;
    assert_eq!(figure(&browser, "Full", "Seats").await, "15");
    browser.press(Role::Link, "Renewals").await;
    browser.press(Role::Button, "Delete Order of another").await;
    browser.press(Role::Button, "Delete").await;
    browser.sees("No contracts yet").await;
    browser.close().await;
}

#[tokio::test]
async fn who_reads_figures_only_sees_the_reports_and_no_button_that_would_be_refused() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "30")]).await;
    let price = json!({ "currency": "EUR", "unitPrice": "10.00" });
    server.done("setPrice", json!({ "instanceId": id, "license": "Full", "price": price }), "").await;
    let lines = json!([{ "license": "Full", "seats": 15 }]);
    server.done("upsertContract", contract(&id, "Order 1", "EUR", &lines), "").await;
    let new = async |role| server.tokens.create(NewToken::new("reader", role)).await.unwrap().text;
    for token in [new(Allowed::Reports).await, server.viewer.clone()] {
        let browser = Browser::open_with(&server, &token, "/reports").await;
        for (path, shown) in
            [("/reports/licences", "EUR 150.00"), ("/reports/spend", "EUR 150.00"), ("/reports/renewals", "Order 1")]
        {
            browser.go(path).await;
            browser.sees(shown).await;
            browser.sees("Live").await;
            for name in ["Price", "New contract", "Edit", "Delete"] {
                assert!(browser.all(Role::Button, name).await.is_empty(), "{path}: {name}");
            }
        }
        browser.close().await;
    }
    let refused = server.ask("{ auditLog(filter: { outcomes: [REFUSED] }) { totalCount } }", json!({})).await;
    assert_eq!(refused["auditLog"]["totalCount"], Value::from(0));
}

//! What is held against accounts: changed by an administrator, by two at once, and seen by everybody else.

use muster::auth::Role as Allowed;
use muster::auth::tokens::NewToken;
use serde_json::{Value, json};
use thirtyfour::Key;

use super::{Browser, Role};
use crate::findings::application::evaluated;
use crate::spend::instance;
use crate::support::Server;

const PATH: &str = "/settings/reports";

async fn stored(server: &Server) -> Value {
    let query =
        "{ reportSettings { inactiveDays disabledTypes signInEnforcedBy { instance { name } provider { name } } } }";
    server.ask(query, json!({})).await["reportSettings"].take()
}

/// How many findings of a type hold.
async fn held(server: &Server, kind: &str) -> i64 {
    let query = "query($types: [FindingType!]) { findings(filter: { types: $types }) { totalCount } }";
    server.ask(query, json!({ "types": [kind] })).await["findings"]["totalCount"].as_i64().unwrap()
}

fn pair(instance: &str, provider: &str) -> Value {
    json!({ "instance": { "name": instance }, "provider": { "name": provider } })
}

/// Turns a type on or off.
async fn turn(browser: &Browser, label: &str) {
    browser.find(Role::Field, label).await.click().await.unwrap();
}

#[tokio::test]
async fn an_administrator_changes_each_setting_and_is_told_what_that_does() {
    let server = Server::start().await;
    instance(&server, "Acme", &[("users", "30")]).await;
    instance(&server, "Login", &[("users", "3")]).await;
    evaluated(&server).await;
    let browser = Browser::open_with(&server, &server.admin, "/reports").await;
    browser.press(Role::Link, "Report settings").await;
    browser.is_at(PATH).await;

    browser.enter("Days", "5").await;
    browser.press(Role::Button, "Save days").await;
    browser.sees("The days are a number from 7 to 730.").await;
    assert_eq!(browser.session.active_element().await.unwrap().attr("aria-invalid").await.unwrap().unwrap(), "true");
    browser.enter("Days", "30").await;
    browser.press(Role::Button, "Save days").await;
    browser.sees("Saved: an account is inactive after 30 days without activity.").await;
    browser.sees_no("The days are a number").await;
    assert_eq!(stored(&server).await["inactiveDays"], 30);
    evaluated(&server).await;

    let lost = held(&server, "NO_MFA").await;
    assert!(lost > 1, "{lost}");
    turn(&browser, "No second factor").await;
    browser.sees("Once you save, its findings are closed with the reason RULE_OFF").await;
    let question = "Switch off “No second factor”?";
    browser.press(Role::Button, "Save types").await;
    browser.find(Role::Window, question).await;
    browser.sees(&format!("{lost} findings are closed with the reason RULE_OFF.")).await;
    browser.key(Key::Escape).await;
    browser.misses(Role::Window, question).await;
    assert_eq!(stored(&server).await["disabledTypes"], json!([]), "a question changes nothing");
    browser.press(Role::Button, "Save types").await;
    browser.press(Role::Button, "Switch off").await;
    browser.sees("Saved: 1 type is switched off.").await;
    assert_eq!(stored(&server).await["disabledTypes"], json!(["NO_MFA"]));

    browser.pick("Add an application", "acm", "Acme").await;
    browser.sees("Choose the identity provider first.").await;
    browser.pick("Identity provider", "log", "Login").await;
    browser.sees_no("Choose the identity provider first.").await;
    for name in ["Acme", "Login"] {
        browser.pick("Add an application", name, name).await;
    }
    browser.press(Role::Button, "Save sign-in").await;
    browser.sees("An instance is not its own identity provider.").await;
    browser.inspect("settings-reports-edited").await;
    assert_eq!(stored(&server).await["signInEnforcedBy"], json!([]));
    // The first one is the provider that is chosen for the next application.
    let remove = browser.all(Role::Button, "Remove Login").await;
    assert_eq!(remove.len(), 2);
    remove[0].click().await.unwrap();
    browser.press(Role::Button, "Save sign-in").await;
    browser.sees("Saved: people sign in by an identity provider in 1 instance.").await;
    assert_eq!(stored(&server).await["signInEnforcedBy"], json!([pair("Acme", "Login")]));

    evaluated(&server).await;
    browser.go("/reports/findings?type=NO_MFA&state=CLOSED").await;
    browser.sees("its type was switched off").await;
    browser.press(Role::Link, "Posture").await;
    browser.sees("Do people have a second factor? Switched off in Report settings").await;
    browser.close().await;
}

#[tokio::test]
async fn what_two_people_set_at_once_is_not_lost() {
    let server = Server::start().await;
    let (acme, bolt) = (instance(&server, "Acme", &[("users", "3")]).await, instance(&server, "Bolt", &[]).await);
    let login = instance(&server, "Login", &[("users", "3")]).await;
    let set = async |input: Value| drop(server.done("setReportSettings", input, "").await);
    let browser = Browser::open_with(&server, &server.admin, PATH).await;

    browser.enter("Days", "30").await;
    set(json!({ "inactiveDays": 60 })).await;
    browser.press(Role::Button, "Save days").await;
    browser.sees("Somebody else has set 60 days meanwhile. Save again to set yours instead.").await;
    assert_eq!(stored(&server).await["inactiveDays"], 60);
    browser.press(Role::Button, "Save days").await;
    browser.sees("after 30 days without activity").await;
    assert_eq!(stored(&server).await["inactiveDays"], 30);

    turn(&browser, "From outside").await;
    browser.pick("Identity provider", "log", "Login").await;
    browser.pick("Add an application", "bol", "Bolt").await;
    let pairs = json!([{ "instanceId": acme, "providerId": login }, { "instanceId": bolt, "providerId": acme }]);
    set(json!({ "disabledTypes": ["INACTIVE"], "signInEnforcedBy": pairs })).await;
    browser.press(Role::Button, "Save types").await;
    browser.press(Role::Button, "Switch off").await;
    browser
        .sees("Saved: 2 types are switched off. Somebody else changed this meanwhile, and those changes are kept.")
        .await;
    browser.press(Role::Button, "Save sign-in").await;
    browser.sees("in 2 instances. Somebody else changed this meanwhile").await;
    let expected = json!({ "inactiveDays": 30, "disabledTypes": ["INACTIVE", "EXTERNAL"],
        "signInEnforcedBy": [pair("Acme", "Login"), pair("Bolt", "Login")] });
    assert_eq!(stored(&server).await, expected);

    // What is not saved is asked about, and what is discarded is what is stored.
    browser.enter("Days", "45").await;
    browser.press(Role::Link, "Overview").await;
    browser.find(Role::Window, "Discard your changes?").await;
    browser.press(Role::Button, "Cancel").await;
    browser.press(Role::Button, "Discard").await;
    assert_eq!(browser.value("Days").await, "30");
    browser.press(Role::Link, "Overview").await;
    browser.find(Role::Heading, "Overview").await;
    browser.close().await;
}

#[tokio::test]
async fn who_is_no_administrator_sees_the_settings_without_controls() {
    let server = Server::start().await;
    let (acme, login) = (instance(&server, "Acme", &[("users", "3")]).await, instance(&server, "Login", &[]).await);
    let input = json!({ "inactiveDays": 45, "disabledTypes": ["DUPLICATE"],
        "signInEnforcedBy": [{ "instanceId": acme, "providerId": login }] });
    server.done("setReportSettings", input, "").await;
    let new = async |role| server.tokens.create(NewToken::new("reader", role)).await.unwrap().text;
    for token in [server.viewer.clone(), new(Allowed::Operator).await, new(Allowed::Reports).await] {
        let browser = Browser::open_with(&server, &token, "/reports").await;
        browser.press(Role::Link, "Report settings").await;
        browser.is_at(PATH).await;
        browser.sees("45 days").await;
        browser.sees("Switched off: “Several accounts of one person”. All others are looked for.").await;
        browser.sees("Acme by Login").await;
        browser.sees("Only administrators can change this.").await;
        browser.sees("Live").await;
        assert!(browser.all(Role::Field, "").await.is_empty());
        for name in ["Save", "Remove", "Discard"] {
            assert!(browser.all(Role::Button, name).await.is_empty(), "{name}");
        }
        browser.close().await;
    }
    let refused = server.ask("{ auditLog(filter: { outcomes: [REFUSED] }) { totalCount } }", json!({})).await;
    assert_eq!(refused["auditLog"]["totalCount"], 0);
}

//! Posture, the findings behind it, and what was accepted.

use muster::auth::Role as Allowed;
use muster::auth::tokens::NewToken;
use serde_json::json;

use super::reports::figure;
use super::{Browser, Role};
use crate::findings::application::evaluated;
use crate::spend::instance;
use crate::support::Server;

#[tokio::test]
async fn a_figure_leads_to_its_findings_and_one_is_accepted() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "30")]).await;
    evaluated(&server).await;
    let browser = Browser::open_with(&server, &server.admin, "/").await;
    browser.press(Role::Link, "Reports").await;
    browser.is_at("/reports").await;
    browser.sees("27 active accounts").await;
    let query = "{ posture { mfa { yes no unknown } } findings(filter: { types: [NO_MFA] }) { totalCount } }";
    let known = server.ask(query, json!({})).await;
    let measure = &known["posture"]["mfa"];
    assert_eq!(measure["no"], known["findings"]["totalCount"]);
    for (column, field) in [("Yes", "yes"), ("No", "no"), ("Not known", "unknown")] {
        assert_eq!(figure(&browser, "Do people have a second factor?", column).await, measure[field].to_string());
    }
    browser.inspect("reports-posture").await;
    browser.press(Role::Link, "Trend").await;
    browser.sees("1 day (UTC) since").await;
    let today = "//h3[.='Days with a change']/following::tbody/tr[1]/td[@data-label='No']";
    let today = browser.session.find(thirtyfour::By::XPath(today)).await.unwrap().text().await.unwrap();
    assert_eq!(today, measure["no"].to_string());
    browser.inspect("reports-trend").await;
    browser.choose("Question", "Are people administrators?").await;
    browser.is_at("/reports/trend?question=ADMINS").await;
    browser.press(Role::Link, "Posture").await;
    browser.sees("27 active accounts").await;

    let path = "//tr[th[contains(., 'Do people have a second factor?')]]/td[@data-label='No']/a";
    browser.session.find(thirtyfour::By::XPath(path)).await.unwrap().click().await.unwrap();
    browser.is_at("/reports/findings?type=NO_MFA").await;
    browser.sees(&format!("{} findings", measure["no"])).await;
    browser.inspect("reports-findings").await;
    browser.choose("Type", "Administrator without a second factor").await;
    browser.sees("1 finding, the newest first").await;
    browser.press(Role::Button, "Accept").await;
    browser.press(Role::Button, "Accept").await;
    browser.sees("Say why this is acceptable.").await;
    browser.enter("Reason", "A kiosk <b>without</b> a person").await;
    browser.inspect("accept-finding").await;
    browser.session.find(thirtyfour::By::Css("dialog button[type=submit]")).await.unwrap().click().await.unwrap();
    browser.sees("The finding is accepted. It is still counted.").await;
    browser.sees("A kiosk <b>without</b> a person").await;
    browser.choose("State", "Open").await;
    browser.sees("Nothing matches the filters").await;
    browser.choose("State", "Accepted").await;
    browser.press(Role::Button, "Take back").await;
    browser.press(Role::Button, "Take back").await;
    browser.sees("The finding is open again.").await;
    browser.sees("Nothing matches the filters").await;
    browser.go(&format!("/reports/posture?instance={id}")).await;
    browser.find(Role::Button, "Remove the filter Acme").await;
    browser.close().await;

    let figures = server.tokens.create(NewToken::new("figures", Allowed::Reports)).await.unwrap().text;
    let browser = Browser::open_with(&server, &figures, "/reports").await;
    browser.sees("27 active accounts").await;
    browser.press(Role::Link, "Findings").await;
    browser.sees("Your role shows figures, and nothing about a person.").await;
    browser.close().await;
}

//! Every page: its address, its looks, and who sees what.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use muster::auth::Role as Allowed;
use muster::auth::members::NewMember;
use serde_json::json;
use uuid::Uuid;

use super::chromium::ELSEWHERE;
use super::{Browser, Role};
use crate::support::{Server, publish};

pub const PASSWORD: &str = "a few words in a row";

/// The path and fragment of the one-time link of a new member.
pub async fn invitation(server: &Server, email: &str, role: Allowed) -> String {
    let new = NewMember { name: "Ada Lovelace".into(), email: email.into(), role };
    let (_, link) = server.members.create(&new).await.unwrap();
    link.address("")
}

#[tokio::test]
async fn a_person_signs_in_by_a_link_and_by_a_password() {
    let server = Server::start().await;
    let browser = Browser::open(&server.url).await;
    browser.go(&invitation(&server, "ada@example.com", Allowed::Admin).await).await;
    browser.enter("New password", PASSWORD).await;
    browser.press(Role::Button, "Save and sign in").await;
    browser.find(Role::Heading, "Overview").await;
    browser.sees("Live").await;
    browser.sees("Ada Lovelace").await;
    browser.reload().await;
    browser.find(Role::Heading, "Overview").await;

    browser.press(Role::Button, "Sign out").await;
    browser.find(Role::Heading, "Sign in").await;
    browser.inspect("sign-in").await;
    browser.enter("E-mail address", "ada@example.com").await;
    browser.enter("Password", "something else").await;
    browser.press(Role::Button, "Sign in").await;
    browser.sees("The address or the password is not right.").await;
    browser.enter("Password", PASSWORD).await;
    browser.press(Role::Button, "Sign in").await;
    browser.find(Role::Heading, "Overview").await;
    browser.close_after(&["status of 401"]).await;
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_named_as_the_reason() {
    let server = Server::start().await;
    let browser = Browser::open(&server.url).await;
    browser.go("/").await;
    browser.press(Role::Button, "Use an API token").await;
    browser.enter("API token", "mst_wrong").await;
    browser.press(Role::Button, "Use the token").await;
    browser.sees("This token is not accepted. It may be mistyped, or revoked.").await;
    browser.enter("API token", &server.viewer).await;
    browser.press(Role::Button, "Use the token").await;
    browser.find(Role::Heading, "Overview").await;
    browser.sees("viewer, read-only").await;
    assert_eq!(server.tokens.revoke("viewer").await.unwrap(), 1);
    browser.sees("This token is not accepted. It may be mistyped, or revoked.").await;
    browser.find(Role::Heading, "Sign in").await;
    browser.close_after(&["status of 401"]).await;
}

#[tokio::test]
async fn an_address_of_nothing_says_so_quietly() {
    let server = Server::start().await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations?search=nothing").await;
    browser.sees("No instance has “nothing” in its name.").await;
    for (path, said) in [
        ("/integrations?show=all&search=nothing", "No application matches"),
        ("/integrations/nothing", "There is no such integration"),
        ("/integrations/nothing/connect", "There is no such integration"),
        ("/integrations/rehearsal/connect?instance=nothing", "There is no such instance"),
        ("/integrations/rehearsal?state=nothing", "Rehearsal is not connected yet"),
        ("/instances/nothing", "There is no such instance"),
        ("/instances/%E0%A4%A", "There is no such instance"),
        ("/people?state=nothing&q=nothing", "Nobody is found by that."),
        ("/people/nothing", "There is no such person"),
        ("/reports/nothing", "Nothing is at this address."),
        ("/reports/licences?application=nothing", "Nothing matches the filters"),
        ("/reports/findings?type=CONFLICT", "Nothing matches the filters"),
        ("/reports/findings?type=NOTHING", "Nothing matches the filters"),
        ("/notifications?instance=nothing", "Notifications"),
        ("/settings/nothing", "Nothing is at this address."),
    ] {
        browser.go(path).await;
        browser.sees(said).await;
        browser.sees("Live").await;
    }
    browser.close().await;
}

#[tokio::test]
async fn every_page_can_be_used_by_everybody() {
    let server = Server::start().await;
    let id = server.rehearse("Acme production", &[("users", "40")]).await;
    server.rehearse("Acme <b>staging</b> & tests", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let browser = Browser::open_with(&server, &server.admin, "/").await;
    for (path, heading) in [
        ("/".to_owned(), "Overview"),
        ("/integrations".to_owned(), "Integrations"),
        ("/integrations?show=all".to_owned(), "Integrations"),
        ("/integrations/rehearsal".to_owned(), "Rehearsal"),
        (format!("/instances/{id}"), "Acme production"),
        ("/people".to_owned(), "People"),
        ("/reports/posture".to_owned(), "Posture"),
        ("/reports/findings".to_owned(), "Findings"),
        ("/reports/trend".to_owned(), "Trend"),
        ("/reports/licences".to_owned(), "Licences"),
        ("/reports/spend".to_owned(), "Spend"),
        ("/reports/renewals".to_owned(), "Renewals"),
        ("/notifications".to_owned(), "Notifications"),
        ("/settings".to_owned(), "Account"),
        ("/settings/members".to_owned(), "Members"),
        ("/settings/people".to_owned(), "People"),
        ("/settings/reports".to_owned(), "Reports"),
        ("/settings/tokens".to_owned(), "Tokens"),
        ("/settings/webhooks".to_owned(), "Webhooks"),
        ("/settings/audit".to_owned(), "Audit log"),
        ("/nothing/here".to_owned(), "Page not found"),
    ] {
        browser.go(&path).await;
        browser.find(Role::Heading, heading).await;
        browser.sees("Live").await;
        let name: Vec<_> = path.split(['/', '?', '=']).filter(|part| !part.is_empty() && *part != id).collect();
        browser.inspect(&if name.is_empty() { "overview".to_owned() } else { name.join("-") }).await;
    }
    // The server answers with this status, too.
    browser.close_after(&["/nothing/here - "]).await;
}

/// The rows of the tiles: how many tiles each has, and whether it is as wide as all of them together.
const ROWS: &str = "
    const place = document.querySelector('.counts').getBoundingClientRect();
    const tops = Map.groupBy(document.querySelectorAll('.counts > a'), (tile) => Math.round(tile.getBoundingClientRect().top));
    return [...tops.values()].map((tiles) => {
        const [first, last] = [tiles[0].getBoundingClientRect(), tiles.at(-1).getBoundingClientRect()];
        const narrowest = Math.min(...tiles.map((tile) => tile.getBoundingClientRect().width));
        return [tiles.length, Math.abs(first.left - place.left) < 1 && Math.abs(last.right - place.right) < 1, narrowest > 84,
            tiles.every((tile) => tile.scrollWidth <= tile.clientWidth)];
    })";

#[tokio::test]
async fn the_tiles_of_the_overview_fill_their_rows_at_every_width() {
    let server = Server::start().await;
    let browser = Browser::open_with(&server, &server.admin, "/").await;
    // Each of these has a state of its own, and so a further tile.
    for (number, outcomes) in [(6, "success"), (7, "partial"), (8, "success,empty")] {
        let id = server.rehearse(&format!("Acme {number}"), &[("users", "40"), ("outcomes", outcomes)]).await;
        server.idle(&id, "").await;
        if number == 8 {
            server.sync(&id, "outcome").await;
        }
        for width in (320..1400).step_by(40).chain([390, 768, 1024, 1920, 2560]) {
            browser.resize(width, 900).await;
            if width == 320 {
                browser.go("/").await;
                browser.sees("Stale").await;
            }
            let rows = browser.script(ROWS, vec![]).await;
            let rows = rows.as_array().unwrap();
            let tiles: u64 = rows.iter().map(|row| row[0].as_u64().unwrap()).sum();
            let wide: Vec<_> = rows.iter().skip(1).map(|row| row[0].as_u64().unwrap()).collect();
            assert_eq!(tiles, number, "at {width}: {rows:?}");
            assert!(
                rows.iter().all(|row| row[1] == true && row[2] == true && row[3] == true),
                "{number} at {width}: {rows:?}"
            );
            assert!(wide.windows(2).all(|pair| pair[0] == pair[1]), "{number} at {width}: {rows:?}");
            if [320, 390, 768, 1024, 1280, 1920].contains(&width) {
                browser.screenshot(&format!("overview-{number}-tiles-{width}")).await;
            }
        }
    }
    browser.close().await;
}

#[tokio::test]
async fn a_session_over_plain_http_from_another_machine_gets_its_file() {
    let server = Server::builder().settings(|settings| {
        let url = format!("http://{ELSEWHERE}:{}", settings.listen.port());
        publish(settings, &url);
    });
    let server = server.start().await;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let port = server.url.rsplit(':').next().unwrap();
    let browser = Browser::open(&format!("http://{ELSEWHERE}:{port}")).await;
    browser.go(&invitation(&server, "ada@example.com", Allowed::Viewer).await).await;
    browser.enter("New password", PASSWORD).await;
    browser.press(Role::Button, "Save and sign in").await;
    browser.find(Role::Heading, "Overview").await;
    assert_eq!(browser.script("return window.isSecureContext", vec![]).await, false);
    browser.go(&format!("/instances/{id}?tab=users")).await;
    browser.press(Role::Link, "Export CSV").await;
    let exported = async || {
        let query = "{ auditLog(filter: { actions: [USERS_EXPORTED] }) { nodes { actor outcome } } }";
        let found = server.ask(query, json!({})).await["auditLog"]["nodes"].take();
        (found != json!([])).then_some(found)
    };
    let entries = browser.wait("the entry of the export", exported).await;
    assert_eq!(entries, json!([{ "actor": "ada@example.com", "outcome": "OK" }]));
    // What the browser says about every page and file over plain http.
    browser.close_after(&["Cross-Origin-Opener-Policy header has been ignored", "over an insecure connection"]).await;
}

#[tokio::test]
async fn addresses_that_earlier_versions_used_lead_to_the_same_pages() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    let browser = Browser::open_with(&server, &server.admin, &format!("/#/instances/{id}")).await;
    browser.find(Role::Heading, "Acme").await;
    browser.is_at(&format!("/instances/{id}")).await;
    let key = URL_SAFE_NO_PAD.decode(&id).unwrap();
    let key = Uuid::parse_str(std::str::from_utf8(&key).unwrap().trim_start_matches("Instance:")).unwrap();
    for (old, now) in [
        ("/#/catalog".to_owned(), "/integrations".to_owned()),
        ("/#/catalog/rehearsal".to_owned(), "/integrations/rehearsal".to_owned()),
        (format!("/?instance={key}"), format!("/instances/{id}")),
    ] {
        browser.go("/healthz").await;
        browser.go(&old).await;
        browser.is_at(&now).await;
    }
    browser.press(Role::Link, "Integrations").await;
    browser.is_at("/integrations").await;
    browser.back().await;
    browser.find(Role::Heading, "Acme").await;
    // Who has not signed in here sees that, and the browser has nothing to say about it.
    browser.script("sessionStorage.clear(); localStorage.clear()", vec![]).await;
    browser.go("/").await;
    browser.find(Role::Heading, "Sign in").await;
    browser.close().await;
}

#[tokio::test]
async fn times_are_those_of_the_persons_time_zone_and_of_utc() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let browser = Browser::open_with(&server, &server.admin, "/healthz").await;
    browser.move_to_time_zone("Asia/Kolkata").await;
    browser.go(&format!("/instances/{id}")).await;
    browser.sees("Last sync").await;
    let page = browser.script("return document.querySelector('main').outerHTML", vec![]).await;
    let page = page.as_str().unwrap();
    assert!(page.contains("GMT+5:30 (") && page.contains(" UTC)"), "{page}");
    browser.close().await;
}

//! Names that people, programs and attackers make up, on every page that shows them.

use std::time::Duration;

use muster::auth::Role as Allowed;
use muster::auth::members::NewMember;
use muster::auth::tokens::NewToken;
use serde_json::{Value, json};

use super::{Browser, Role};
use crate::people::roster::settled;
use crate::support::{Server, change};

const SCRIPT: &str = "<img src=x onerror=\"window.hacked = 1\"><script>window.hacked = 1</script>";
/// Those with characters that nobody sees or that turn the text around are refused by the API.
const NAMES: [&str; 5] = [
    "שלום עולם (1) ABC",
    "👪 family 🏴🇩🇪 क्ष मुंबई",
    SCRIPT,
    "{{constructor.constructor(\"window.hacked = 1\")()}} ${window.hacked = 1} %s",
    "\"--></title></style><b>bold</b>&amp;",
];
const HIDDEN: &str = "invoice\u{202e}fdp.exe\u{200b}\u{2066}\u{feff}";

/// A name without a space.
fn long(characters: usize) -> String {
    "Wg".repeat(characters / 2)
}

/// The faults of what is shown: what a script has done, what scrolls sideways, and texts with a name that are cut without
/// the whole text as a title. `arguments` are the names.
const FAULTS: &str = "
    const names = arguments[0];
    const faults = window.hacked ? ['A name was executed.'] : [];
    const cuts = (overflow) => overflow === 'hidden' || overflow === 'clip';
    const scrolls = (overflow) => overflow === 'auto' || overflow === 'scroll';
    for (const element of document.querySelectorAll('body *')) {
        if (!element.checkVisibility() || element.closest('.unseen, [aria-hidden=true], svg, input, select, textarea')) continue;
        const { overflowX, overflowY } = getComputedStyle(element);
        const isWide = element.scrollWidth > element.clientWidth + 1;
        const isHigh = element.scrollHeight > element.clientHeight + 1;
        if (isWide && scrolls(overflowX) && !element.matches('.tabs')) faults.push(`sideways: ${element.outerHTML.slice(0, 200)}`);
        const text = element.textContent.trim();
        const isCut = (isWide && cuts(overflowX)) || (isHigh && cuts(overflowY));
        if (!isCut || !names.some((name) => text.includes(name))) continue;
        if (!(element.closest('[title]')?.title ?? '').includes(text)) faults.push(`cut: ${element.outerHTML.slice(0, 300)}`);
    }
    const { scrollWidth } = document.documentElement;
    if (scrollWidth > window.innerWidth) faults.push(`The page is ${scrollWidth} wide: ` + [...document.querySelectorAll('body *')]
        .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1)
        .slice(0, 5).map((element) => element.outerHTML.slice(0, 200)).join(', '));
    return faults";

/// A server on which everything has such names: its instances by name, and all names.
async fn named() -> (Server, Vec<(String, String)>, Vec<String>) {
    let server = Server::start().await;
    let (longest, endless) = (long(200), long(300));
    let mut instances = Vec::new();
    for name in NAMES.into_iter().chain([longest.as_str(), "hidden"]) {
        let id = server.rehearse(name, &[("users", "8"), ("outcomes", "success,garbage")]).await;
        server.idle(&id, "").await;
        instances.push((name.to_owned(), id));
    }
    // Those of a version that refused less.
    change(&server.db, &format!("UPDATE instance SET name = '{HIDDEN}', name_key = '{HIDDEN}' WHERE name = 'hidden'"))
        .await;
    HIDDEN.clone_into(&mut instances.last_mut().unwrap().0);
    server.sync(&instances[5].1, "outcome").await;
    let users = "WITH numbered AS (SELECT id, row_number() OVER (PARTITION BY instance_id ORDER BY id) AS number FROM user_account)";
    for (name, number) in NAMES.into_iter().chain([endless.as_str(), HIDDEN]).zip(1..) {
        let set = "UPDATE user_account SET display_name =";
        let which = format!("WHERE id IN (SELECT id FROM numbered WHERE number = {number})");
        change(&server.db, &format!("{users} {set} '{name}', email = '{name}@example.com' {which}")).await;
        // Not by the API, which refuses some of them.
        server.tokens.create(NewToken::new(name, Allowed::Viewer)).await.unwrap();
    }
    settled(&server).await;
    let people = "WITH numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS number FROM person)";
    for (name, number) in NAMES.into_iter().chain([endless.as_str(), HIDDEN]).zip(1..) {
        let set =
            format!("UPDATE person SET display_name = '{name}', email = '{name}@example.com', department = '{name}'");
        let which = format!("WHERE id IN (SELECT id FROM numbered WHERE number = {number})");
        change(&server.db, &format!("{people} {set} {which}")).await;
    }
    for (name, number) in NAMES.iter().copied().chain([long(100).as_str()]).zip(1..) {
        let email = format!("{number}{}@example.com", "w".repeat(50));
        server.members.create(&NewMember { name: name.to_owned(), email, role: Allowed::Viewer }).await.unwrap();
    }
    let all = NAMES.into_iter().map(str::to_owned).chain([longest, endless, long(100), HIDDEN.to_owned()]).collect();
    (server, instances, all)
}

/// The pages that show these instances.
async fn pages(server: &Server, instances: &[(String, String)]) -> Vec<String> {
    let run = server.ask("{ syncHistory(first: 100) { nodes { id trigger instance { id } } } }", json!({})).await;
    let first = |id: &str| {
        let runs = run["syncHistory"]["nodes"].as_array().unwrap();
        runs.iter().rfind(|run| run["instance"]["id"] == id).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let mut pages: Vec<_> = [
        "/",
        "/integrations?state=healthy",
        "/integrations/rehearsal",
        "/notifications",
        "/notifications?tab=silent",
        "/people",
        "/reports/posture",
        "/reports/findings",
        "/reports/trend",
        "/reports/licences",
        "/reports/spend?by=licence",
        "/reports/renewals",
        "/settings/members",
        "/settings/people",
        "/settings/tokens",
        "/settings/audit",
    ]
    .map(str::to_owned)
    .into();
    let people = server.ask("{ persons(first: 10) { nodes { id } } }", json!({})).await;
    let people = people["persons"]["nodes"].as_array().unwrap();
    pages.extend(people.iter().take(7).map(|person| format!("/people/{}", person["id"].as_str().unwrap())));
    for (name, id) in instances {
        pages.push(format!("/instances/{id}"));
        if name.len() == 200 || name == SCRIPT || name == HIDDEN {
            pages.extend(["users", "history", "events", "mail"].map(|tab| format!("/instances/{id}?tab={tab}")));
            pages.push(format!("/instances/{id}?tab=history&run={}", first(id)));
            pages.push(format!("/notifications?instance={id}"));
        }
    }
    pages
}

#[tokio::test]
async fn no_name_is_executed_or_breaks_a_page_and_each_can_be_read() {
    let (server, instances, names) = named().await;
    let browser = Browser::open_with(&server, &server.admin, "/").await;
    let fine = async |place: &str| {
        let faults = browser.script(FAULTS, vec![json!(names)]).await;
        assert_eq!(faults, Value::Array(vec![]), "{place}: {faults:#}");
    };
    let pages = pages(&server, &instances).await;
    for width in [320, 1280] {
        browser.resize(width, 700).await;
        for page in &pages {
            browser.go(page).await;
            browser.sees("Live").await;
            browser.misses_all(".loading").await;
            fine(&format!("{page} at {width}")).await;
        }
    }

    // High enough that nothing is below the bar with the places.
    browser.resize(320, 3_000).await;
    for name in [&instances[2].0, &instances[5].0] {
        browser.go("/integrations/rehearsal").await;
        browser.press(Role::Button, &format!("Manage {name}")).await;
        browser.find(Role::Window, "Edit Instance").await;
        fine("the window of an instance").await;
        browser.press(Role::Button, "Delete Instance").await;
        browser.sees("I understand").await;
        fine("the window that deletes an instance").await;
    }
    let (longest, endless) = (long(100), long(300));
    for (page, button, window) in [
        ("/settings/members", format!("Edit {longest}"), "Edit member"),
        ("/settings/members", format!("Disable {longest}"), "Disable"),
        ("/settings/members", format!("Edit {SCRIPT}"), "Edit member"),
        ("/settings/tokens", format!("Revoke {endless}"), "Revoke"),
        ("/settings/tokens", format!("Revoke {SCRIPT}"), "Revoke"),
    ] {
        browser.go(page).await;
        browser.press(Role::Button, &button).await;
        browser.find(Role::Window, window).await;
        fine(&button).await;
    }
    browser.screenshot("hostile-names").await;
    // What is found is shown in a list.
    browser.go("/settings/audit").await;
    browser.enter("Who", "Wg").await;
    browser.sees(&longest).await;
    fine("the list of members and tokens").await;
    browser.close().await;
}

/// What is animated or would change gradually, also before and after an element: how many of both.
const MOVING: &str = "
    const all = [...document.querySelectorAll('*')];
    const styles = all.flatMap((element) => [null, '::before', '::after', '::backdrop'].map((part) => getComputedStyle(element, part)));
    const lasts = (durations) => durations.split(', ').some((duration) => parseFloat(duration) > 0);
    const moves = ({ animationName, transitionDuration, scrollBehavior }) =>
        animationName !== 'none' || lasts(transitionDuration) || scrollBehavior === 'smooth';
    return [document.getAnimations().length, styles.filter(moves).length]";

#[tokio::test]
async fn nothing_moves_for_those_who_asked_for_that() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "100000"), ("latency_ms", "500")]).await;
    server.until(&id, "syncState", |found| found["syncState"] == "RUNNING").await;
    let browser = Browser::open_with(&server, &server.admin, &format!("/instances/{id}")).await;
    browser.sees("Live").await;
    let moves = |moving: &Value| moving[0].as_u64() > Some(0) && moving[1].as_u64() > Some(0);
    let mut moving = Value::Null;
    for _ in 0..100 {
        moving = browser.script(MOVING, vec![]).await;
        if moves(&moving) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(moves(&moving), "the test sees what moves: {moving}");
    browser.prefer(&[("prefers-reduced-motion", "reduce")]).await;
    for page in
        [&format!("/instances/{id}"), "/", "/integrations/rehearsal", "/integrations?state=first_sync", "/settings"]
    {
        browser.go(page).await;
        assert_eq!(browser.script(MOVING, vec![]).await, json!([0, 0]), "{page} while it loads");
        browser.sees("Live").await;
        assert_eq!(browser.script(MOVING, vec![]).await, json!([0, 0]), "{page}");
    }
    browser.go("/integrations/rehearsal").await;
    browser.press(Role::Button, "Manage").await;
    browser.find(Role::Window, "Edit Instance").await;
    assert_eq!(browser.script(MOVING, vec![]).await, json!([0, 0]), "a window");
    browser.close().await;
}

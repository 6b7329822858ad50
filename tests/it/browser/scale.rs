//! How much a page loads, and long lists.

use entity::instance::Column;
use sea_orm::{DbBackend, IdenStatic, Iterable};
use serde_json::{Value, json};

use super::{Browser, Role};
use crate::support::{Server, change};

const INSTANCES: usize = 10_000;
/// What the first list may need, on a network where an answer takes 400 ms and a second carries 50 KB: requests, bytes
/// before it and in all, requests that wait for another, and a time that is generous to a busy machine.
const MOST_REQUESTS: u64 = 12;
/// Of a page whose parts are modules that other pages need, too: a tab, filters.
const MOST_WITH_TAB: u64 = 13;
const MOST_BEFORE: u64 = 70_000;
const MOST: u64 = 120_000;
const LONGEST_CHAIN: u64 = 4;
const MOST_MS: f64 = 10_000.0;

/// What was loaded until the text is visible, and the longest chain of requests of which each began after another ended.
const LOADED: &str = "
    const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .sort((one, other) => one.startTime - other.startTime);
    const depths = new Map();
    for (const entry of all) {
        const before = all.filter((other) => depths.has(other) && other.responseEnd <= entry.startTime);
        depths.set(entry, 1 + Math.max(0, ...before.map((other) => depths.get(other))));
    }
    return { requests: all.length, bytes: all.reduce((sum, { transferSize }) => sum + transferSize, 0),
        chain: Math.max(...depths.values()), at: performance.now(),
        names: all.map(({ name, startTime, responseEnd, transferSize }) => [name, startTime, responseEnd, transferSize].join(' ')) }";

#[tokio::test]
async fn the_first_list_is_there_soon_on_a_slow_network() {
    let server = Server::start().await;
    for number in 0..30 {
        server.rehearse(&format!("Acme {number}"), &[("users", "1")]).await;
    }
    let id = server.rehearse("Bolt", &[("users", "40")]).await;
    server.idle(&id, "").await;
    let users = format!("/instances/{id}?tab=users");
    let browser = Browser::open_with(&server, &server.admin, "/healthz").await;
    browser.throttle(400, 50_000).await;
    for (path, shown) in [
        ("/", "Acme 29"),
        ("/integrations/rehearsal", "Manage"),
        (users.as_str(), "@rehearsal.example"),
        ("/people", "@rehearsal.example"),
        ("/reports", "active accounts"),
    ] {
        browser.go("/healthz").await;
        browser.forget_files().await;
        browser.go(path).await;
        browser.sees(shown).await;
        let before = browser.script(LOADED, vec![]).await;
        browser.sees("Live").await;
        let after = browser.script(LOADED, vec![]).await;
        let number = |found: &Value, name: &str| found[name].as_u64().unwrap();
        let most = if path == users || path == "/reports" { MOST_WITH_TAB } else { MOST_REQUESTS };
        // Beside these there is the WebSocket.
        assert!(number(&after, "requests") < most, "{path}: {after:#}");
        assert!(number(&before, "bytes") <= MOST_BEFORE, "{path}: {before:#}");
        assert!(number(&after, "bytes") <= MOST, "{path}: {after:#}");
        assert!(number(&before, "chain") <= LONGEST_CHAIN, "{path}: {before:#}");
        assert!(before["at"].as_f64().unwrap() < MOST_MS, "{path}: {before:#}");
    }
    browser.close().await;
}

/// Further instances like the one that there is, "Acme 10001" and so on.
async fn multiply(server: &Server, to: usize) {
    let id = match server.db.backend() {
        DbBackend::Postgres => "gen_random_uuid()",
        _ => "randomblob(16)",
    };
    let value = |column: &Column| match column {
        Column::Id => id.to_owned(),
        Column::Name => "'Acme ' || (10000 + n.i)".to_owned(),
        Column::NameKey => "'acme ' || (10000 + n.i)".to_owned(),
        column => format!("instance.{}", column.as_str()),
    };
    let columns: Vec<_> = Column::iter().collect();
    let names: Vec<_> = columns.iter().map(IdenStatic::as_str).collect();
    let values: Vec<_> = columns.iter().map(value).collect();
    let statement = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})
            INSERT INTO instance ({}) SELECT {} FROM instance, n",
        to - 1,
        names.join(", "),
        values.join(", ")
    );
    change(&server.db, &statement).await;
}

/// Counts the rows that are drawn while the page follows an event.
const COUNT_MADE: &str = "
    const done = arguments[arguments.length - 1];
    import(document.querySelector('script[type=module]').src).then((modules) => {
        const { options } = Object.values(modules).find((module) => module.options && module.Fragment);
        const made = options.vnode;
        window.made = 1;
        options.vnode = (node) => { window.made += Number(node.type === 'tr'); made?.(node); };
        // What follows from scrolling is drawn first.
        const settle = () => {
            if (window.made === 0) return done(true);
            window.made = 0;
            setTimeout(settle, 400);
        };
        settle();
    })";

#[tokio::test]
async fn ten_thousand_instances_are_scrolled_filtered_and_searched() {
    let server = Server::start().await;
    let id = server.rehearse("Acme 10000", &[("users", "1")]).await;
    server.idle(&id, "").await;
    multiply(&server, INSTANCES).await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations/rehearsal").await;
    browser.sees("10,000 instances").await;
    browser.sees("Acme 10000").await;
    let scroll = "window.scrollTo(0, arguments[0] * document.documentElement.scrollHeight)";
    for (place, name) in [(1.0, "Acme 19999"), (0.5, "Acme 15000"), (0.0, "Acme 10000")] {
        browser.script(scroll, vec![json!(place)]).await;
        browser.find(Role::Link, name).await;
    }
    let look = "return [document.querySelectorAll('*').length,
        performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/graphql')).length]";
    let found = browser.script(look, vec![]).await;
    assert!(found[0].as_u64().unwrap() < 1_500, "{found} elements");
    assert!(found[1].as_u64().unwrap() < 15, "{found}: parts between are not loaded");

    // An event about one of them draws one row.
    browser.sees("Live").await;
    browser.script_async(COUNT_MADE).await;
    server.done("updateInstance", json!({ "id": id, "name": "Acme 10000 renamed" }), "").await;
    browser.sees("Acme 10000 renamed").await;
    let made = browser.script("return window.made", vec![]).await;
    assert!(made.as_u64().unwrap() < 5, "{made} rows are drawn for one");

    browser.choose("Instances in the state", "Failing").await;
    browser.sees("No instance matches").await;
    browser.choose("Instances in the state", "Any state").await;
    browser.enter("Search instances", "17777").await;
    browser.sees("1 instance").await;
    browser.press(Role::Link, "Acme 17777").await;
    browser.find(Role::Heading, "Acme 17777").await;
    browser.close().await;
}

//! Searches for users.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use muster::clock::Clock;
use muster::directory::{index, keys, rekey};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{self, Place, Server};

const SEARCH: &str = "query($filter: UserFilter, $first: Int, $after: String) {
    users(first: $first, filter: $filter, after: $after) {
        totalCount totalCountIsExact searchAsOf nodes { externalId instance { name } } pageInfo { endCursor hasNextPage } } }";

/// Those whom a search finds on all pages, in the order of their ids. Nobody may be on two pages.
async fn found(server: &Server, filter: Value) -> Vec<String> {
    let (mut all, mut after, mut total) = (Vec::new(), Value::Null, Value::Null);
    loop {
        let variables = json!({ "filter": filter, "first": 7, "after": after });
        let page = server.ask(SEARCH, variables).await["users"].take();
        let nodes = page["nodes"].as_array().unwrap();
        all.extend(nodes.iter().map(|user| user["externalId"].as_str().unwrap().to_owned()));
        total = if total.is_null() { page["totalCount"].clone() } else { total };
        assert_eq!((&page["totalCount"], &page["totalCountIsExact"]), (&total, &json!(true)), "{filter}");
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(total, all.len(), "{filter}: {all:?}");
    let distinct: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(distinct.len(), all.len(), "{filter}: {all:?}");
    all.sort_by_key(|id| id.rsplit_once('-').map(|(_, number)| number.parse::<u32>().unwrap()));
    all
}

fn people(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("person-{number}")).collect()
}

#[tokio::test]
async fn search_finds_the_beginning_of_every_word() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "40")]).await;
    server.idle(&id, "").await;
    // People 0, 16 and 32 are called Ada Abe, Ada Berg and Ada Costa.
    for (search, wanted) in [
        ("Ada", vec![0, 16, 32]),
        ("aDA b", vec![16]),
        ("b aDA", vec![16]),
        ("ADA.BERG.16@REHEARSAL", vec![16]),
        ("berg.ada", vec![16]),
        ("16", vec![16]),
        ("Ada Abe ", vec![0]),
        ("_bda", vec![]),
        ("ad\\", vec![0, 16, 32]),
        ("ada%", vec![0, 16, 32]),
        ("erg", vec![]),
        ("ada' OR '1'='1", vec![]),
        ("ådа", vec![]),
        ("Àdä", vec![0, 16, 32]),
        ("ada example", vec![]),
    ] {
        assert_eq!(found(&server, json!({ "search": search })).await, people(wanted), "{search:?}");
    }
    for search in [
        json!(null),
        json!(""),
        json!(" "),
        json!("%"),
        json!("\u{200b}"),
        json!("rehearsal.example"),
        json!("rehears"),
    ] {
        assert_eq!(found(&server, json!({ "search": search })).await, people(0..40), "{search}");
    }
    assert_eq!(found(&server, json!({ "search": "example" })).await, people([]));
}

#[tokio::test]
async fn a_cursor_belongs_to_its_search() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "40")]).await;
    server.idle(&id, "").await;
    let cursor = async |search: &str| {
        let variables = json!({ "filter": { "search": search }, "first": 1 });
        server.ask(SEARCH, variables).await["users"]["pageInfo"]["endCursor"].clone()
    };
    for (of, search) in [("", "ada"), ("ada", ""), ("ada", "berg")] {
        let variables = json!({ "filter": { "search": search }, "after": cursor(of).await });
        assert_eq!(server.error_code(SEARCH, variables).await, "BAD_USER_INPUT", "{of:?} {search:?}");
    }
}

#[tokio::test]
async fn a_search_in_each_of_several_instances_finds_its_own_users() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["Acme", "Bolt", "Cord"] {
        let id = server.rehearse(name, &[("users", "33"), ("churn_percent", "10")]).await;
        server.idle(&id, "").await;
        ids.push(id);
    }
    // The first three users of an instance leave.
    server.sync(&ids[1], "id").await;
    let of = |id: &str| json!({ "search": "ada", "instanceId": id });
    assert_eq!(found(&server, of(&ids[0])).await, people([0, 16, 32]));
    assert_eq!(found(&server, of(&ids[1])).await, people([16, 32]));
    let removed = json!({ "search": "ada", "instanceId": ids[1], "includeRemoved": true });
    assert_eq!(found(&server, removed).await, people([0, 16, 32]));
    assert_eq!(found(&server, json!({ "search": "ada", "statuses": ["INVITED"] })).await, Vec::<String>::new());
    let nested = "{ instances(orderBy: { field: NAME, direction: ASC }) { nodes {
        users(first: 2, filter: { search: \"a ada\" }) { totalCount nodes { externalId } pageInfo { hasNextPage } } } } }";
    let instances = server.ask(nested, json!({})).await["instances"]["nodes"].take();
    let users = |index: usize| {
        let users = &instances[index]["users"];
        (
            users["totalCount"].as_i64().unwrap(),
            users["nodes"].as_array().unwrap().len(),
            users["pageInfo"]["hasNextPage"] == true,
        )
    };
    assert_eq!([users(0), users(1), users(2)], [(3, 2, true), (2, 2, false), (3, 2, true)]);
    let done = json!({ "instanceId": ids[1], "acknowledgeIrreversible": true });
    server.done("deleteAllUsers", done, "").await;
    assert_eq!(found(&server, of(&ids[1])).await, Vec::<String>::new());
    let newest = "events(first: 1) { nodes { cause } }";
    server.until(&ids[1], newest, |found| found["events"]["nodes"][0]["cause"] == "USERS_DELETED").await;
    let left = "SELECT CAST(COUNT(*) AS TEXT) FROM user_word WHERE user_id NOT IN (SELECT id FROM user_account)";
    assert_eq!(support::one(&server.place.location(), left).await, "0");
}

#[tokio::test]
async fn the_users_of_a_first_sync_are_found_a_little_later() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "1500"), ("churn_percent", "20")]).await;
    server.idle(&id, "").await;
    server.searchable().await;
    let all = "SELECT CAST(COUNT(DISTINCT user_id) AS TEXT) FROM user_word";
    assert_eq!(support::one(&server.place.location(), all).await, "1500");
    let first = found(&server, json!({ "search": "ada" })).await;
    assert_eq!(first, people((0..1500).step_by(16)));
    server.sync(&id, "id").await;
    server.searchable().await;
    assert_eq!(found(&server, json!({ "search": "ada", "includeRemoved": true })).await.len(), 1800_usize.div_ceil(16));
    assert_eq!(found(&server, json!({ "search": "ada" })).await, people((0..1800).step_by(16).filter(|it| *it >= 300)));
}

/// A name and an address, from few words, so that searches find some of them.
fn person(number: usize) -> (String, String) {
    let given = ["Ada", "Ädam", "ADA-MARIA", "Béla", "bel", "", "Ｏskar"][number % 7];
    let family = ["Lovelace", "O'Neil", "van der Berg", "Adams", "Łukasz (ext.)"][number / 7 % 5];
    let local = ["ada.l", "b_berg", "x", "lovelace-ada", "oneil"][number / 3 % 5];
    let domain = ["example.com", "mail.example.com", "berg.example", "ada.org"][number / 2 % 4];
    (format!("{given} {family}"), format!("{local}@{domain}"))
}

/// The words of a text, as the documentation of the API describes them.
fn words(text: &str) -> Vec<String> {
    let letters = text.to_lowercase();
    let plain = letters.chars().map(|letter| match letter {
        'ä' => 'a',
        'é' => 'e',
        'ł' => 'l',
        'ｏ' => 'o',
        other => other,
    });
    let plain: String = plain.collect();
    plain.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn is_found(search: &str, (name, address): &(String, String)) -> bool {
    let (local, domain) = address.split_once('@').unwrap();
    let all = [words(name), words(local), vec![domain.to_owned()]].concat();
    let begins = |beginning: &str| all.iter().any(|word| word.starts_with(beginning));
    let mut terms = search.split([' ', '@']).filter(|term| !words(term).is_empty());
    terms.all(|term| begins(&term.to_lowercase()) || words(term).iter().all(|word| begins(word)))
}

#[tokio::test]
async fn users_of_an_earlier_version_are_missing_until_their_words_are_written() {
    let place = Place::new();
    let db = place.open().await;
    assert_eq!(index::as_of(db.read()).await.unwrap(), None);
    let nil = if db.shared() { "'00000000-0000-0000-0000-000000000000'" } else { "zeroblob(16)" };
    support::change(&db, &format!("UPDATE installation SET searchable_through = {nil}")).await;
    assert_eq!(index::as_of(db.read()).await.unwrap(), Some(0));
    rekey::run(&db, &Clock::System, &CancellationToken::new()).await.unwrap();
    assert_eq!(index::as_of(db.read()).await.unwrap(), None);
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_search_finds_whom_a_comparison_of_all_users_finds() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "90")]).await;
    server.idle(&id, "").await;
    server.searchable().await;
    let (mut names, mut addresses) = (String::new(), String::new());
    for number in 0..90 {
        let (name, address) = person(number);
        let _ = write!(names, " WHEN 'person-{number}' THEN '{}'", name.replace('\'', "''"));
        let _ = write!(addresses, " WHEN 'person-{number}' THEN '{address}'");
    }
    // As an earlier version stored them.
    let renamed = format!(
        "UPDATE user_account SET display_name = CASE external_id{names} END, email = CASE external_id{addresses} END,
        match_key = NULL, key_version = 0"
    );
    support::change(&server.db, "DELETE FROM user_word").await;
    support::change(&server.db, &renamed).await;
    rekey::run(&server.db, &Clock::System, &CancellationToken::new()).await.unwrap();
    assert_eq!(rekey::run(&server.db, &Clock::System, &CancellationToken::new()).await.unwrap(), 0);
    let parts = [
        "ada",
        "ADA",
        "a",
        "b",
        "berg",
        "love",
        "x",
        "oneil",
        "o'n",
        "example.com",
        "example",
        "com",
        "ada.l",
        "lukasz",
        "o",
    ];
    let pairs = parts.iter().flat_map(|one| parts.iter().map(move |other| format!("{one} {other}")));
    let more = ["b_berg@berg.example", "ada-maria van", "ext der", "a a a", "bela@x", "l.ada", "berg.example ada love"];
    for search in parts.iter().map(|part| (*part).to_owned()).chain(pairs).chain(more.map(str::to_owned)) {
        let wanted = people((0..90).filter(|number| is_found(&search, &person(*number))));
        assert_eq!(found(&server, json!({ "search": search })).await, wanted, "{search:?}");
        let of = json!({ "search": search, "instanceId": id });
        assert_eq!(found(&server, of).await, wanted, "{search:?} in the instance");
    }
    let all = format!(
        "SELECT CAST(COUNT(*) AS TEXT) FROM user_account WHERE match_key LIKE '%@%' AND key_version = {}",
        keys::VERSION
    );
    assert_eq!(support::one(&server.place.location(), &all).await, "90");
}

//! A person who is erased: nothing is left, and no sync brings anything back.

use std::time::Duration;

use muster::db::Location;
use serde_json::{Value, json};

use super::roster::{Account, Company, account, said, settled};
use crate::support::{DEADLINE, change, one};

/// What would tell who it was, in lower case: names, addresses, and the ids in the applications.
pub const TELLING: [&str; 7] = ["zelda", "quist", "olmstead", "e-7781", "hr-77", "chat-77", "nick@else.test"];

const REASON: &str = "Request 4711";

/// Ann's manager is the person who will be erased, by id; Bob's, by address.
pub fn staff() -> Vec<Account> {
    let managed = |account: Account, by: &str| account.enterprise("manager", json!({ "value": by }));
    vec![
        account("hr-77", "zelda.quist@acme.example").named("Zelda Quist").employee("E-7781"),
        managed(account("h1", "ann@acme.example").named("Ann Archer"), "hr-77"),
        managed(account("h2", "bob@acme.example").named("Bob Berg"), "Zelda.Quist@acme.example"),
    ]
}

/// The first one is hers by its address, and the last one, because a member has linked it. She owns the program's.
pub fn chat() -> Vec<Account> {
    vec![
        account("chat-77", "zelda.quist@acme.example").named("Zelda").alias("z.quist@acme.example"),
        account("ann", "ann@acme.example"),
        account("robot", "robot@acme.example"),
        account("nick", "nick@else.test"),
    ]
}

fn without(accounts: Vec<Account>, place: usize) -> Vec<Account> {
    accounts.into_iter().enumerate().filter(|(at, _)| *at != place).map(|(_, account)| account).collect()
}

async fn company() -> Company {
    let mut company = Company::start().await;
    let before: Vec<Account> =
        staff().into_iter().enumerate().map(|(at, it)| if at == 0 { it.named("Zelda Olmstead") } else { it }).collect();
    company.connect("HR", before).await;
    company.connect("Chat", chat()).await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    // Her name has a history.
    company.list("HR", staff()).await;
    let zelda = company.person("Zelda Quist").await;
    for (mutation, account) in [("setOwner", "robot"), ("linkAccount", "nick")] {
        let input = json!({ "userId": company.user("Chat", account).await, "personId": zelda });
        company.server.done(mutation, input, "user { id }").await;
    }
    company
}

/// Every table as text, with its name.
async fn dump(location: &Location) -> Vec<(String, String)> {
    let is_postgres = matches!(location, Location::Postgres(_));
    let tables = if is_postgres {
        "SELECT string_agg(tablename::text, ',') FROM pg_tables WHERE schemaname = 'public'"
    } else {
        "SELECT group_concat(name) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    };
    let mut found = Vec::new();
    for table in one(location, tables).await.split(',') {
        let rows = if is_postgres {
            format!("SELECT COALESCE(string_agg(t::text, ' '), '') FROM \"{table}\" t")
        } else {
            let cell = r#"'CASE typeof("' || name || '") WHEN ''blob'' THEN hex("' || name || '") ELSE COALESCE("' || name || '", '''') END'"#;
            let cells = format!("SELECT group_concat({cell}, ' || '' '' || ') FROM pragma_table_info('{table}')");
            format!("SELECT COALESCE(group_concat({}), '') FROM \"{table}\"", one(location, &cells).await)
        };
        found.push((table.to_owned(), one(location, &rows).await.to_lowercase()));
    }
    assert!(found.len() > 40, "the tables are read");
    found
}

/// Asserts that nothing in the database tells who it was.
pub async fn assert_gone(location: &Location) {
    for (table, rows) in dump(location).await {
        for word in TELLING {
            let around = rows.find(word).map(|at| {
                let from = rows.floor_char_boundary(at.saturating_sub(80));
                rows[from..].chars().take(200).collect::<String>()
            });
            assert_eq!(around, None, "{word} is in {table}");
        }
    }
}

/// Waits until nobody names the person as manager any more.
pub async fn swept(location: &Location) {
    let left = "SELECT CAST(count(*) AS VARCHAR(9)) FROM erasure WHERE swept = FALSE";
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while one(location, left).await != "0" {
        assert!(tokio::time::Instant::now() < deadline, "an erasure is never done");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub fn request(person: &str) -> Value {
    json!({ "id": person, "reason": REASON, "force": true, "acknowledgeIrreversible": true })
}

async fn erase(company: &Company) -> Value {
    let zelda = company.person("Zelda Quist").await;
    let erased = company.server.done("erasePerson", request(&zelda), "accounts").await;
    settled(&company.server).await;
    swept(&company.server.place.location()).await;
    erased["accounts"].clone()
}

/// The ids in an application that are stand-ins.
async fn stand_ins(company: &Company, name: &str) -> Vec<String> {
    let links = company.links(name).await;
    let erased: Vec<_> = links.iter().filter(|(id, _)| id.starts_with("erased-")).collect();
    assert!(erased.iter().all(|(_, link)| *link == "- - NOBODY"), "{erased:?}");
    erased.into_iter().map(|(id, _)| id.clone()).collect()
}

#[tokio::test]
async fn nothing_is_left_of_a_person_who_is_erased_and_no_sync_brings_anything_back() {
    let company = company().await;
    let location = company.server.place.location();
    assert!(dump(&location).await.iter().any(|(_, rows)| rows.contains("olmstead")), "the dump finds what is there");
    let changes = "SELECT CAST(count(*) AS VARCHAR(9)) FROM user_change";
    let before = one(&location, changes).await;
    assert_eq!(erase(&company).await, 3);
    assert_gone(&location).await;
    let needs = one(&location, "SELECT CAST(needs AS VARCHAR(9)) FROM installation").await;
    assert_eq!(
        needs,
        migration::that_know_erasures().to_string(),
        "no release works with it that would bring her back"
    );
    assert_eq!(one(&location, changes).await, before, "the counts of runs stay true");
    let ids = (stand_ins(&company, "HR").await, stand_ins(&company, "Chat").await);
    assert_eq!((ids.0.len(), ids.1.len()), (1, 2));
    assert_eq!(company.states().await, said([("Ann Archer", "CURRENT"), ("Bob Berg", "CURRENT")]));
    let count =
        company.server.instance(company.id("Chat"), "userCount users { totalCount nodes { status email } }").await;
    assert_eq!(
        (&count["userCount"], &count["users"]["totalCount"]),
        (&json!(4), &json!(4)),
        "accounts are still counted"
    );

    // The applications list everything as before.
    for _ in 0..2 {
        assert_eq!(company.list("HR", staff()).await["outcome"], "SUCCEEDED");
        assert_eq!(company.list("Chat", chat()).await["outcome"], "SUCCEEDED");
        assert_gone(&location).await;
        assert_eq!((stand_ins(&company, "HR").await, stand_ins(&company, "Chat").await), ids, "the same accounts");
    }
    let run = company.server.sync(company.id("Chat"), "seen added changed removed").await;
    assert_eq!(run, json!({ "seen": 4, "added": 0, "changed": 0, "removed": 0 }));
    // What counts of an account is kept up to date.
    let mut suspended = chat();
    suspended[0] = account("chat-77", "zelda.quist@acme.example").named("Zelda").suspended();
    company.list("Chat", suspended).await;
    let found = company.server.instance(company.id("Chat"), "users(filter: { statuses: [SUSPENDED] }) { totalCount }");
    assert_eq!(found.await["users"]["totalCount"], 1);
    company.end().await;
}

#[tokio::test]
async fn an_account_that_is_not_listed_is_removed_and_one_that_comes_back_is_still_nobodys() {
    let company = company().await;
    let location = company.server.place.location();
    erase(&company).await;
    let ids = stand_ins(&company, "Chat").await;
    company.list("Chat", without(chat(), 0)).await;
    assert_eq!(stand_ins(&company, "Chat").await.len(), 1, "it is removed as any other");
    company.list("Chat", chat()).await;
    assert_eq!(stand_ins(&company, "Chat").await, ids);
    assert_gone(&location).await;
    // Also if its row is gone.
    let input = json!({ "instanceId": company.id("Chat"), "acknowledgeIrreversible": true });
    company.server.done("deleteAllUsers", input, "").await;
    let events = "events(first: 9) { nodes { cause } }";
    company.server.until(company.id("Chat"), events, |found| found.to_string().contains("USERS_DELETED")).await;
    company.list("Chat", chat()).await;
    assert_eq!(stand_ins(&company, "Chat").await, ids);
    assert_gone(&location).await;

    // It is remembered while it is listed, and for a time after that.
    let forget = || async {
        company.server.db.write(|tx| async move { muster::directory::erased::prune(&tx, 500).await }).await.unwrap()
    };
    let long_ago = "UPDATE erased_account SET listed_at = 1";
    change(&company.server.db, long_ago).await;
    assert_eq!(forget().await, 0, "all are listed");
    company.list("Chat", chat()).await;
    company.list("Chat", without(chat(), 0)).await;
    assert_eq!(forget().await, 0, "it was listed not long ago");
    change(&company.server.db, long_ago).await;
    assert_eq!(forget().await, 1);
    company.list("Chat", chat()).await;
    assert!(company.links("Chat").await.contains_key("chat-77"), "it is a new account");
    company.end().await;
}

/// Whom an account names as its manager.
async fn manager(company: &Company, external_id: &str) -> String {
    let query = format!("SELECT COALESCE(manager, '-') FROM user_account WHERE external_id = '{external_id}'");
    one(&company.server.place.location(), &query).await
}

#[tokio::test]
async fn an_address_is_known_where_the_person_was_while_it_is_named_and_until_somebody_else_has_it() {
    let mut company = company().await;
    let managed = |account: Account, by: &str| account.enterprise("manager", json!({ "value": by }));
    let wiki =
        || [account("w1", "ann@acme.example"), managed(account("w2", "omar@acme.example"), "Z.Quist@acme.example")];
    company.connect("Wiki", wiki()).await;
    erase(&company).await;
    // She had no account there.
    assert_eq!(stand_ins(&company, "Wiki").await.len(), 0);
    company.list("Wiki", wiki()).await;
    assert_eq!(manager(&company, "w2").await, "Z.Quist@acme.example");
    company.list("HR", staff()).await;
    assert_eq!((manager(&company, "h1").await, manager(&company, "h2").await), ("-".into(), "-".into()));

    let forget = || async {
        company.server.db.write(|tx| async move { muster::directory::erased::prune(&tx, 500).await }).await.unwrap()
    };
    let count = || async {
        one(&company.server.place.location(), "SELECT CAST(count(*) AS VARCHAR(9)) FROM erased_name").await
    };
    let long_ago = "UPDATE erased_name SET listed_at = 1";
    assert_eq!(forget().await, 0);
    change(&company.server.db, long_ago).await;
    company.list("HR", staff()).await;
    assert!(forget().await > 0);
    assert_eq!(count().await, "1", "the one that is named");
    company.list("HR", staff()).await;
    assert_eq!(manager(&company, "h2").await, "-");

    // A successor gets the address.
    let successor = || account("h9", "zoe@acme.example").named("Zoe Zahn").alias("zelda.quist@acme.example");
    for _ in 0..2 {
        company.list("HR", staff().into_iter().chain([successor()])).await;
    }
    assert_eq!(count().await, "0");
    assert_eq!(
        (manager(&company, "h1").await.as_str(), manager(&company, "h2").await.as_str()),
        ("-", "Zelda.Quist@acme.example")
    );
    let managed = "{ persons(first: 9) { nodes { displayName manager { displayName } } } }";
    settled(&company.server).await;
    let found = company.server.ask(managed, json!({})).await["persons"]["nodes"].take();
    let bob = found.as_array().unwrap().iter().find(|it| it["displayName"] == "Bob Berg").unwrap();
    assert_eq!(bob["manager"]["displayName"], "Zoe Zahn", "{found}");
    company.end().await;
}

#[tokio::test]
async fn whoever_a_source_lists_is_erased_by_force_only_and_the_audit_log_names_nobody() {
    let company = company().await;
    let (server, zelda) = (&company.server, company.person("Zelda Quist").await);
    let but = |field: &str, value: Value| {
        let mut input = request(&zelda);
        input[field] = value;
        input
    };
    let nobody = company.user("HR", "h1").await;
    for (input, code, field) in [
        (but("force", json!(false)), "PERSON_CURRENT", "force"),
        (but("force", json!(null)), "PERSON_CURRENT", "force"),
        (but("acknowledgeIrreversible", json!(false)), "ACKNOWLEDGEMENT_REQUIRED", "acknowledgeIrreversible"),
        (but("reason", json!(" ")), "INVALID_INPUT", "reason"),
        (but("reason", json!("x".repeat(501))), "INVALID_INPUT", "reason"),
        (but("reason", json!("Quist, Zelda asked for it")), "INVALID_INPUT", "reason"),
        (but("reason", json!("for Z.QUIST@acme.example")), "INVALID_INPUT", "reason"),
        (but("id", json!(nobody)), "INVALID_INPUT", "id"),
    ] {
        let refused = server.refused("erasePerson", input.clone()).await;
        assert_eq!(refused, [(code.to_owned(), json!([field]))], "{input}");
    }
    assert!(!server.place.path().join("erasures.json").exists(), "nothing was noted");
    erase(&company).await;
    let entry = server
        .ask(
            "{ auditLog(first: 1, filter: { actions: [PERSON_ERASED] }) { nodes {
        action actor detail outcome subjectId subjectName } } }",
            json!({}),
        )
        .await["auditLog"]["nodes"][0]
        .take();
    assert_eq!((&entry["actor"], &entry["outcome"]), (&json!("ada@example.com"), &json!("OK")), "{entry}");
    assert!(entry["detail"].as_str().unwrap().contains("with 3 accounts"), "{entry}");
    assert_eq!((&entry["subjectId"], &entry["subjectName"]), (&json!(null), &json!(null)), "{entry}");
    let refused = server.refused("erasePerson", request(&zelda)).await;
    assert_eq!(refused, [("NOT_FOUND".to_owned(), json!(["id"]))]);

    // Nobody can give the account to somebody.
    let (stand_in, ann) = (stand_ins(&company, "Chat").await.remove(0), company.person("Ann Archer").await);
    let user = company.user("Chat", &stand_in).await;
    for (mutation, input) in [
        ("linkAccount", json!({ "userId": user, "personId": ann })),
        ("setOwner", json!({ "userId": user, "personId": ann })),
        ("unlinkAccount", json!({ "userId": user })),
    ] {
        let refused = server.refused(mutation, input).await;
        assert_eq!(refused, [("INVALID_INPUT".to_owned(), json!(["userId"]))], "{mutation}");
    }
    company.end().await;
}

#[tokio::test]
async fn whoever_has_left_is_erased_without_force() {
    let company = company().await;
    company.list("HR", without(staff(), 0)).await;
    assert_eq!(company.states().await["Zelda Quist"], "LEFT");
    let mut input = request(&company.person("Zelda Quist").await);
    input["force"] = json!(null);
    company.server.done("erasePerson", input, "accounts").await;
    swept(&company.server.place.location()).await;
    assert_gone(&company.server.place.location()).await;
    company.list("HR", staff()).await;
    assert_gone(&company.server.place.location()).await;
    company.end().await;
}

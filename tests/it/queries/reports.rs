//! Reports as files.

use std::collections::BTreeMap;

use muster::auth::tokens::NewToken;
use muster::auth::{Role, Scope};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::access::scope::key;
use crate::findings::application::evaluated;
use crate::spend::{counted, instance, set_price};
use crate::support::{Server, http};

/// Each report with the query of its rows.
const REPORTS: [(&str, &str); 8] = [
    ("users", "list: users(first: 100, after: $after)"),
    ("people", "list: persons(first: 100, after: $after)"),
    ("findings", "list: findings(first: 100, after: $after)"),
    ("licenses", "list: licenses(first: 100, after: $after)"),
    ("spend", "list: buckets(first: 100, after: $after)"),
    ("spend-by-department", "list: buckets(first: 100, after: $after)"),
    ("unpriced", "list: unpriced(first: 100, after: $after)"),
    ("renewals", "list: renewals(first: 100, after: $after)"),
];

async fn get(server: &Server, token: &str, file: &str, filter: Option<Value>) -> reqwest::Response {
    let mut url = url::Url::parse(&format!("{}/export/{file}", server.url)).unwrap();
    if let Some(filter) = filter {
        url.query_pairs_mut().append_pair("filter", &filter.to_string());
    }
    http().get(url).bearer_auth(token).send().await.unwrap()
}

/// The lines of a file, and its manifest.
pub async fn lines(server: &Server, token: &str, report: &str, filter: Option<Value>) -> (Vec<Value>, Value) {
    let answer = get(server, token, &format!("{report}.jsonl"), filter).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[CONTENT_TYPE]),
        (200, &"application/jsonl; charset=utf-8".parse().unwrap())
    );
    let text = answer.text().await.unwrap();
    let (rows, manifest) =
        text.trim_end().rsplit_once('\n').map_or(("", text.trim_end()), |(rows, last)| (&text[..=rows.len()], last));
    let manifest: Value = serde_json::from_str(manifest).unwrap();
    let manifest = manifest["manifest"].clone();
    let sum = ring::digest::digest(&ring::digest::SHA256, rows.as_bytes());
    let hash = manifest["sha256"].as_str().unwrap().as_bytes().chunks(2);
    let hash = hash.map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 16).unwrap());
    assert_eq!(hash.collect::<Vec<_>>(), sum.as_ref());
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&manifest["rows"], &manifest["version"]), (&json!(rows.len()), &json!(1)));
    (rows, manifest)
}

/// How many rows the query has.
async fn total(server: &Server, report: &str, query: &str) -> Value {
    let list = query.replace("list: ", "").replace("after: $after", "after: null");
    let (list, of) = match report {
        "spend" | "unpriced" => (format!("spend(groupBy: LICENSE) {{ {list} {{ totalCount }} }}"), "spend"),
        "spend-by-department" => (format!("spend(groupBy: DEPARTMENT) {{ {list} {{ totalCount }} }}"), "spend"),
        _ => (format!("{list} {{ totalCount }}"), ""),
    };
    let found = server.ask(&format!("{{ {list} }}"), json!({})).await;
    let found = if of.is_empty() { found } else { found[of].clone() };
    found.as_object().unwrap().values().next().unwrap()["totalCount"].clone()
}

async fn company() -> (Server, String, String) {
    let server = Server::start().await;
    let one = instance(&server, "One", &[("users", "230")]).await;
    let two = instance(&server, "Two", &[("users", "40")]).await;
    let monthly = json!({ "unitPrice": "12.50", "currency": "EUR", "billingMonths": 1 });
    set_price(&server, &one, "Full", monthly).await;
    server.done("setOwnedDomains", json!({ "owned": ["rehearsal.example"], "equivalents": [] }), "").await;
    let contract = crate::spend::contract(&one, "Order", "EUR", &json!([{ "license": "Full", "seats": 100 }]));
    server.done("upsertContract", contract, "").await;
    counted(&server).await;
    evaluated(&server).await;
    (server, one, two)
}

#[tokio::test]
async fn a_file_has_the_rows_of_its_query_and_says_what_it_is_made_of() {
    let (server, one, two) = company().await;
    for (report, query) in REPORTS {
        let (rows, manifest) = lines(&server, &server.viewer, report, None).await;
        assert_eq!(json!(rows.len()), total(&server, report, query).await, "{report}");
        assert_eq!(manifest["report"], report);
        let mut sources: Vec<_> =
            manifest["sources"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        sources.sort_unstable();
        let mut both = [one.as_str(), two.as_str()];
        both.sort_unstable();
        assert_eq!(sources, both);
        assert!(manifest["sources"][0]["lastSync"]["id"].is_string(), "{manifest}");

        let answer = get(&server, &server.viewer, &format!("{report}.csv"), None).await;
        if report == "users" {
            assert_eq!(answer.status(), 400, "that file is of one instance");
            continue;
        }
        let text = answer.text().await.unwrap();
        let table: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
        assert_eq!(table.len(), rows.len() + 1, "{report}");
        let heads: Vec<&str> = table[0].split(',').collect();
        assert!(heads.iter().all(|head| !head.contains('"')) && heads.len() > 4, "{heads:?}");
    }

    // The figures of one file from the rows of another.
    let (users, _) = lines(&server, &server.viewer, "users", Some(json!({ "instanceId": one }))).await;
    let mut holders: BTreeMap<String, u64> = BTreeMap::new();
    for user in &users {
        for name in user["licenses"].as_array().unwrap() {
            *holders.entry(name.as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let (licenses, _) = lines(&server, &server.viewer, "licenses", Some(json!({ "instanceId": one }))).await;
    let assigned: BTreeMap<String, u64> =
        licenses.iter().map(|it| (it["name"].as_str().unwrap().to_owned(), it["assigned"].as_u64().unwrap())).collect();
    assert_eq!(holders, assigned);

    let log = server
        .ask(
            "{ auditLog(first: 100, filter: { actions: [REPORT_EXPORTED] }) { totalCount nodes { detail } } }",
            json!({}),
        )
        .await;
    assert_eq!(log["auditLog"]["totalCount"], 8 + 7 + 2, "{log}");
    assert!(log["auditLog"]["nodes"][0]["detail"].as_str().unwrap().contains("licenses"), "{log}");
}

#[tokio::test]
async fn a_file_shows_a_caller_what_the_query_shows() {
    let (server, one, two) = company().await;
    let figures = NewToken::new("figures", Role::Reports);
    let figures = server.tokens.create(figures).await.unwrap().text;
    for (report, status) in [
        ("users", 403),
        ("people", 403),
        ("findings", 403),
        ("licenses", 200),
        ("spend", 200),
        ("spend-by-department", 200),
        ("spend-by-person", 403),
        ("renewals", 200),
    ] {
        let answer = get(&server, &figures, &format!("{report}.jsonl"), None).await;
        assert_eq!(answer.status(), status, "{report}");
    }
    let scope = Scope { instances: [key(&two)].into(), ..Scope::default() };
    let limited = NewToken { scope: Some(scope), ..NewToken::new("limited", Role::Viewer) };
    let limited = server.tokens.create(limited).await.unwrap().text;
    let (users, manifest) = lines(&server, &limited, "users", None).await;
    assert_eq!((users.len(), manifest["sources"].as_array().unwrap().len()), (40, 1));
    for file in ["people.csv", "spend-by-department.csv", "spend-by-person.jsonl"] {
        assert_eq!(get(&server, &limited, file, None).await.status(), 403, "{file}");
    }
    let none = lines(&server, &limited, "licenses", Some(json!({ "instanceId": one }))).await.0;
    assert_eq!(none, [] as [Value; 0]);

    for (file, filter, status) in [
        ("nothing.csv", None, 404),
        ("people.xml", None, 404),
        ("people", None, 404),
        ("people.csv", Some(json!({ "nobody": 1 })), 400),
        ("people.csv", Some(json!([])), 400),
        ("licenses.jsonl", Some(json!({ "instanceId": "x" })), 400),
    ] {
        let answer = get(&server, &server.viewer, file, filter.clone()).await;
        assert_eq!(answer.status(), status, "{file} {filter:?}");
        if status == 404 {
            continue;
        }
        let body: Value = answer.json().await.unwrap();
        assert!(body[0]["message"].is_string() || body["errors"][0]["message"].is_string(), "{body}");
    }
    let anonymous = http().get(format!("{}/export/people.csv", server.url)).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

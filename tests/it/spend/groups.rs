//! Costs by departments and people are computed again from the files of users, people and licences, and must be equal.

use std::collections::{BTreeMap, BTreeSet};

use muster::auth::Role;
use muster::auth::tokens::NewToken;
use serde_json::{Value, json};

use super::{contract, counted, set_price};
use crate::findings::application::{Office, ago, evaluated, tool};
use crate::people::roster::{Account, account};
use crate::queries::reports::lines;

/// Six of Sales, four of Research, the eleventh, one of the board, and another one of Sales, who may have left.
fn records(has_left: bool, eleventh: &str) -> Vec<Account> {
    let department = |number: u32| match number {
        1..=6 | 13 => "Sales",
        7..=10 => "Research",
        11 => eleventh,
        _ => "Board",
    };
    let record = |number: u32| {
        let record = account(&format!("h{number}"), &format!("p{number}@acme.example"));
        match department(number) {
            "" => record,
            department => record.enterprise("department", department.into()),
        }
    };
    let mut records: Vec<Account> = (1..=13).map(record).collect();
    if has_left {
        records[12] = record(13).suspended();
    }
    records
}

fn accounts() -> Vec<Value> {
    let own = |number: u32| {
        let licenses = if number.is_multiple_of(2) { json!(["Pro", "Basic"]) } else { json!(["Pro"]) };
        tool(&format!("t{number}"), &format!("p{number}@acme.example"), json!({ "licenses": licenses }))
    };
    let mut accounts: Vec<Value> = (1..=13).map(own).collect();
    accounts.extend([
        // One person twice, with one of the licences twice as well.
        tool("again", "p1@acme.example", json!({ "licenses": ["Pro", "Basic"] })),
        tool("off", "p2@acme.example", json!({ "licenses": ["Pro"], "status": "suspended" })),
        tool("ghost", "ghost@acme.example", json!({ "licenses": ["Pro"] })),
        tool("partner", "x@partner.test", json!({ "licenses": ["Basic"], "last": ago(200) })),
        tool("bot", "", json!({ "licenses": ["Pro"], "kind": "service" })),
        tool("none", "p3@acme.example", json!({ "licenses": ["Free"] })),
    ]);
    accounts
}

fn cents(value: &Value) -> i64 {
    let (whole, part) = value["amount"].as_str().unwrap().split_once('.').unwrap();
    whole.parse::<i64>().unwrap() * 100 + part.parse::<i64>().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A group, "kind name", in a currency, with what is held, free and unknown.
type Groups = BTreeMap<(String, String), [i64; 3]>;

fn add(groups: &mut Groups, group: &str, currency: &str, parts: [i64; 3]) {
    if parts != [0; 3] {
        let sum = groups.entry((group.to_owned(), currency.to_owned())).or_default();
        *sum = [0, 1, 2].map(|place| sum[place] + parts[place]);
    }
}

fn parts(row: &Value) -> [i64; 3] {
    ["held", "freeSeats", "unknownHolders"].map(|part| cents(&row[part]))
}

/// The groups of a file.
fn groups(rows: &[Value]) -> Groups {
    let mut groups = Groups::new();
    for row in rows {
        let name = if row["person"].is_object() { text(&row["person"]["id"]) } else { text(&row["department"]) };
        let group = format!("{} {name}", row["kind"].as_str().unwrap());
        assert_eq!(parts(row).iter().sum::<i64>(), cents(&row["amount"]), "{row}");
        let before = groups.len();
        add(&mut groups, group.trim(), row["amount"]["currency"].as_str().unwrap(), parts(row));
        assert_eq!(groups.len(), before + 1, "{row}");
    }
    groups
}

/// Divides an amount; what is left goes to the largest fractions.
fn divide(total: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i64 = weights.iter().sum();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(total * weights[*place] % sum));
    let mut parts: Vec<i64> = weights.iter().map(|weight| total * weight / sum).collect();
    let left = usize::try_from(total - parts.iter().sum::<i64>()).unwrap();
    for place in order.into_iter().take(left) {
        parts[place] += 1;
    }
    parts
}

/// Everything that the figures are made of.
struct Files {
    /// Of each licence and currency: what is held, free and unknown.
    costs: Vec<(String, String, [i64; 3])>,
    /// Of each licence: the group, and the person or the account, of each holder.
    holders: BTreeMap<String, Vec<(String, String)>>,
}

impl Files {
    async fn read(office: &Office) -> Self {
        let server = &office.server;
        let file = async |report: &str| lines(server, &server.viewer, report, None).await.0;
        let of_person = |row: &Value| match row["department"].as_str() {
            Some(department) => format!("DEPARTMENT {department}"),
            None => "NO_DEPARTMENT".to_owned(),
        };
        let people: BTreeMap<String, String> =
            file("people").await.iter().map(|row| (text(&row["id"]), of_person(row))).collect();
        let mut holders: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for user in file("users").await {
            let holder = match user["person"]["id"].as_str() {
                Some(person) => (people[person].clone(), person.to_owned()),
                None => ("UNMATCHED".to_owned(), text(&user["id"])),
            };
            for license in user["licenses"].as_array().into_iter().flatten() {
                holders.entry(text(license)).or_default().push(holder.clone());
            }
        }
        let costs = file("spend").await;
        let costs = costs.iter().map(|row| (text(&row["license"]), text(&row["amount"]["currency"]), parts(row)));
        Self { costs: costs.collect(), holders }
    }

    /// How many accounts and people of each group hold a licence: departments by name, then the others.
    fn cells(&self, license: &str) -> Vec<(String, i64, i64)> {
        let mut cells: BTreeMap<(u8, &String), (i64, BTreeSet<&String>)> = BTreeMap::new();
        for (group, who) in &self.holders[license] {
            let place = ["DEPARTMENT ", "NO_DEPARTMENT", "UNMATCHED"].iter().position(|kind| group.starts_with(kind));
            let cell = cells.entry((u8::try_from(place.unwrap()).unwrap(), group)).or_default();
            cell.0 += 1;
            cell.1.insert(who);
        }
        let count = |people: BTreeSet<&String>| i64::try_from(people.len()).unwrap();
        cells.into_iter().map(|((_, group), (holders, people))| (group.clone(), holders, count(people))).collect()
    }

    fn by_department(&self, is_suppressed: bool) -> Groups {
        let mut groups = Groups::new();
        for (license, currency, [held, free, unknown]) in &self.costs {
            let mut cells = self.cells(license);
            if is_suppressed {
                let small: i64 = cells.iter().map(|cell| cell.2).filter(|people| *people < 5).sum();
                let least = cells.iter().filter(|cell| cell.2 >= 5).map(|cell| (cell.2, cell.0.clone())).min();
                let more = least.filter(|_| (1..5).contains(&small)).map(|(_, group)| group);
                for cell in cells.iter_mut().filter(|cell| cell.2 < 5 || Some(&cell.0) == more.as_ref()) {
                    cell.0 = "SUPPRESSED".into();
                }
            }
            let weights: Vec<i64> = cells.iter().map(|cell| cell.1).collect();
            for (cell, part) in cells.iter().zip(divide(*held, &weights)) {
                add(&mut groups, &cell.0, currency, [part, 0, 0]);
            }
            add(&mut groups, "FREE_SEATS", currency, [0, *free, 0]);
            add(&mut groups, "UNKNOWN_HOLDERS", currency, [0, 0, *unknown]);
        }
        groups
    }

    fn by_person(&self) -> Groups {
        let mut groups = Groups::new();
        for (license, currency, [held, free, unknown]) in &self.costs {
            let holders = &self.holders[license];
            let all = i64::try_from(holders.len()).unwrap();
            for (group, who) in holders {
                let name = if group == "UNMATCHED" { group.clone() } else { format!("PERSON {who}") };
                add(&mut groups, &name, currency, [held / all, 0, 0]);
            }
            add(&mut groups, "ROUNDING", currency, [held % all, 0, 0]);
            add(&mut groups, "FREE_SEATS", currency, [0, *free, 0]);
            add(&mut groups, "UNKNOWN_HOLDERS", currency, [0, 0, *unknown]);
        }
        groups
    }
}

/// The same sums in every report.
async fn assert_totals(office: &Office, groups: &Groups, group_by: &str) {
    let query = format!("{{ spend(groupBy: {group_by}) {{ totals {{ currency amount {{ amount }} }} }} }}");
    let totals = office.server.ask(&query, json!({})).await["spend"]["totals"].take();
    for total in totals.as_array().unwrap() {
        let own = groups.iter().filter(|((_, currency), _)| total["currency"] == currency.as_str());
        assert_eq!(own.flat_map(|(_, parts)| parts).sum::<i64>(), cents(&total["amount"]), "{group_by}");
    }
}

async fn assert_computed(office: &Office, reports: &str) {
    counted(&office.server).await;
    let (server, files) = (&office.server, Files::read(office).await);
    let file = async |token: &str, report: &str| groups(&lines(server, token, report, None).await.0);
    let by_department = file(&server.viewer, "spend-by-department").await;
    assert_eq!(by_department, files.by_department(false));
    assert_totals(office, &by_department, "DEPARTMENT").await;
    let by_person = file(&server.viewer, "spend-by-person").await;
    assert_eq!(by_person, files.by_person());
    assert_totals(office, &by_person, "PERSON").await;
    let suppressed = file(reports, "spend-by-department").await;
    assert_eq!(suppressed, files.by_department(true));
    assert!(suppressed.keys().any(|(group, _)| group == "SUPPRESSED"), "{suppressed:#?}");
    assert_totals(office, &suppressed, "DEPARTMENT").await;
}

/// The parts of the licence `Pro`: how many can be taken back for each reason.
async fn reclaimable(office: &Office) -> Vec<(String, i64)> {
    let query = "query($id: ID!) { licenses(filter: { instanceId: $id }) { nodes { name reclaimable { parts { reason count } } } } }";
    let found = office.server.ask(query, json!({ "id": office.tool })).await["licenses"]["nodes"].take();
    let pro = found.as_array().unwrap().iter().find(|license| license["name"] == "Pro").unwrap();
    let parts = pro["reclaimable"]["parts"].as_array().unwrap();
    parts.iter().map(|part| (text(&part["reason"]), part["count"].as_i64().unwrap())).collect()
}

/// A price that leaves fractions, and contracts in two currencies. The first holders of Basic are in one, and there are
/// free seats in the other.
async fn set_prices(office: &Office) {
    let odd = json!({ "currency": "EUR", "totalPrice": "100.01", "seats": 7, "billingMonths": 5 });
    set_price(&office.server, &office.tool, "Pro", odd).await;
    for (name, currency, from, line) in [
        ("Few", "EUR", -20, json!({ "license": "Basic", "seats": 3, "unitPrice": "9.99" })),
        ("Many", "USD", -10, json!({ "license": "Basic", "seats": 40, "totalPrice": "1000.03" })),
    ] {
        let mut input = contract(&office.tool, name, currency, &json!([line]));
        input["startsOn"] = super::day(from).into();
        office.server.done("upsertContract", input, "").await;
    }
}

/// The kinds of the groups of people, by pages of one.
async fn kinds(office: &Office, token: &str, is_exact: bool) -> Vec<String> {
    let query = "query($after: String) { spend(groupBy: PERSON) { buckets(first: 1, after: $after) {
        totalCountIsExact pageInfo { hasNextPage endCursor } nodes { kind amount { amount currency } } } } }";
    let (mut kinds, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = office.server.ask_as(token, query, json!({ "after": after })).await;
        let page = &page["data"]["spend"]["buckets"];
        kinds.extend(page["nodes"].as_array().unwrap().iter().map(|row| text(&row["kind"])));
        assert_eq!(page["totalCountIsExact"], is_exact, "{page}");
        if page["pageInfo"]["hasNextPage"] == false {
            return kinds;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test]
async fn departments_and_people_pay_for_what_they_hold_and_add_up_to_the_cent() {
    let office = Office::start(records(true, ""), accounts()).await;
    let server = &office.server;
    set_prices(&office).await;
    let reports = server.tokens.create(NewToken::new("figures", Role::Reports)).await.unwrap().text;
    assert_computed(&office, &reports).await;
    let reasons = |left, suspended| {
        let reasons = [("LEFT", left), ("SUSPENDED", suspended), ("NEVER", 0), ("INACTIVE", 0)];
        reasons.map(|(reason, count)| (reason.to_owned(), count))
    };
    assert_eq!(reclaimable(&office).await, reasons(1, 1));

    // Whose accounts are, and who has left, is counted without a sync of the application.
    office.employ(records(false, "Sales")).await;
    assert_computed(&office, &reports).await;
    assert_eq!(reclaimable(&office).await, reasons(0, 1));
    let person = server.ask("{ persons(first: 1, filter: { search: \"H2\" }) { nodes { id } } }", json!({})).await;
    let user = "query($id: ID!) { users(filter: { instanceId: $id, search: \"ghost\" }) { nodes { id } } }";
    let user = server.ask(user, json!({ "id": office.tool })).await["users"]["nodes"][0]["id"].take();
    let input = json!({ "userId": user, "personId": person["persons"]["nodes"][0]["id"], "reason": "It is theirs." });
    server.done("linkAccount", input, "").await;
    evaluated(server).await;
    assert_computed(&office, &reports).await;

    // The role of figures sees nobody, and pages of one row are the same list.
    let who = "{ spend(groupBy: PERSON) { buckets(first: 100) { nodes { person { id } } } } }";
    assert_eq!(server.ask_as(&reports, who, json!({})).await["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let own = kinds(&office, &reports, true).await;
    assert!(
        own.iter().any(|kind| kind == "SUPPRESSED") && own.iter().all(|kind| kind != "PERSON" && kind != "UNMATCHED"),
        "{own:?}"
    );
    let rows = lines(server, &server.viewer, "spend-by-person", None).await.0;
    let all: Vec<String> = rows.iter().map(|row| text(&row["kind"])).collect();
    assert!(all.iter().any(|kind| kind == "PERSON"), "{all:?}");
    assert_eq!(kinds(&office, &server.viewer, false).await, all);
    office.end().await;
}

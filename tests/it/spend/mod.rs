//! Licences, prices, contracts, what they cost, and reminders.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Server, one};

mod contracts;
mod figures;
mod groups;
mod prices;
mod reminders;

const LICENSE: &str = "name assigned unknownHolders seats free over holders { active suspended invited unknown }
    reclaimable { count unknown parts { reason count unknown } } annualCosts { amount currency } asOf activityAsOf countedAt
    price { unitPrice { amount currency } totalPrice { amount currency } seats billingMonths }";
const MONEY: &str = "{ amount currency }";

/// Waits until the licences of all instances have been counted.
pub async fn counted(server: &Server) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let waiting = "SELECT CAST(COUNT(*) AS TEXT) FROM job WHERE kind = 'tally'";
    while one(&server.place.location(), waiting).await != "0" {
        assert!(tokio::time::Instant::now() < deadline, "the licences were never counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An instance whose first run has ended, and whose licences have been counted.
pub async fn instance(server: &Server, name: &str, config: &[(&str, &str)]) -> String {
    let id = server.rehearse(name, config).await;
    server.idle(&id, "").await;
    counted(server).await;
    id
}

/// The licences of an instance, by pages of one.
async fn licenses(server: &Server, instance: &str) -> Vec<Value> {
    let query = format!(
        "query($id: ID!, $after: String) {{ licenses(first: 1, after: $after, filter: {{ instanceId: $id }}) {{
            totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {LICENSE} }} }} }}"
    );
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = server.ask(&query, json!({ "id": instance, "after": after })).await["licenses"].take();
        found.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            assert_eq!(page["totalCount"], found.len(), "{page}");
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// What everything costs.
async fn spend(server: &Server, group_by: &str) -> Value {
    let parts = format!("amount {MONEY} held {MONEY} freeSeats {MONEY} unknownHolders {MONEY} quantity");
    let query = format!(
        "{{ spend(groupBy: {group_by}) {{ evaluatedAt staleInstances totals {{ currency {parts} }}
            buckets(first: 100) {{ totalCount nodes {{ integration {{ key }} instance {{ name }} license {parts} }} }}
            unpriced(first: 100) {{ totalCount nodes {{ instance {{ name }} license reason quantity }} }} }} }}"
    );
    server.ask(&query, json!({})).await["spend"].take()
}

pub async fn set_price(server: &Server, instance: &str, license: &str, price: Value) -> Value {
    let input = json!({ "instanceId": instance, "license": license, "price": price });
    let fields = format!("license {{ {LICENSE} }}");
    server.done("setPrice", input, &fields).await["license"].take()
}

/// The date so many days from now.
pub fn day(offset: i64) -> String {
    let now = chrono::DateTime::from_timestamp_millis(muster::clock::Clock::System.now()).unwrap();
    (now.date_naive() + chrono::Duration::days(offset)).to_string()
}

/// A contract that is in force now.
pub fn contract(instance: &str, name: &str, currency: &str, lines: &Value) -> Value {
    json!({ "instanceId": instance, "name": name, "currency": currency, "startsOn": day(-10), "endsOn": day(300), "lines": lines })
}

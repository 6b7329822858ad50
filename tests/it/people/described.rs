//! What is shown of a person: who says it, and that the order of syncs does not matter.

use serde_json::{Value, json};

use super::roster::{Account, Company, account, settled};

async fn shown(company: &Company) -> Vec<(String, Value)> {
    settled(&company.server).await;
    let query = "{ persons(first: 9) { nodes { displayName department accounts { totalCount } } } }";
    let found = company.server.ask(query, json!({})).await["persons"]["nodes"].take();
    let mut shown: Vec<(String, Value)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["displayName"].as_str().unwrap_or("-").to_owned(), it["department"].clone()))
        .collect();
    shown.sort_by(|a, b| a.0.cmp(&b.0));
    shown
}

fn of(name: &str, department: &str) -> Account {
    account(&format!("{name}-1"), "ann@acme.example").named(name).enterprise("department", json!(department))
}

#[tokio::test]
async fn the_first_by_name_describes_whom_no_source_has() {
    let mut company = Company::start().await;
    company.own(&["acme.example"]).await;
    for (application, account) in [("A", of("Mo", "M")), ("B", of("Bo", "B")), ("C", of("Zo", "Z"))] {
        company.connect(application, [account]).await;
    }
    assert_eq!(shown(&company).await, [("Bo".to_owned(), json!("B"))]);
    let renamed = |to: &str, department: &str| {
        [account("Bo-1", "ann@acme.example").named(to).enterprise("department", json!(department))]
    };
    // Only the department is another.
    company.list("B", renamed("Bo", "B2")).await;
    assert_eq!(shown(&company).await, [("Bo".to_owned(), json!("B2"))]);
    // It comes after one that nothing has changed.
    company.list("B", renamed("No", "B2")).await;
    assert_eq!(shown(&company).await, [("Mo".to_owned(), json!("M"))]);
    company.list("B", renamed("Ao", "B3")).await;
    assert_eq!(shown(&company).await, [("Ao".to_owned(), json!("B3"))]);
    // It is gone, or somebody else's.
    company.list("B", [account("Bo-1", "bob@acme.example").named("Ao")]).await;
    assert_eq!(shown(&company).await, [("Ao".to_owned(), json!(null)), ("Mo".to_owned(), json!("M"))]);
    let input = json!({ "id": company.id("A"), "acknowledgeIrreversible": true });
    company.server.done("deleteInstance", input, "instance { id }").await;
    company.server.until(company.id("A"), "status", |found| found["status"] == "DELETED").await;
    assert_eq!(shown(&company).await, [("Ao".to_owned(), json!(null)), ("Zo".to_owned(), json!("Z"))]);
    company.end().await;
}

#[tokio::test]
async fn what_a_member_has_linked_counts_whenever_it_comes_back() {
    let mut company = Company::start().await;
    company.own(&["acme.example"]).await;
    company.connect("A", [of("Mo", "M")]).await;
    company.connect("B", [account("b", "somebody@else.test").named("Al")]).await;
    let (mo, al) = (company.person("Mo").await, company.user("B", "b").await);
    company.server.done("linkAccount", json!({ "userId": al, "personId": mo }), "user { id }").await;
    assert_eq!(shown(&company).await, [("Al".to_owned(), json!(null))]);
    let input = json!({ "instanceId": company.id("B"), "acknowledgeIrreversible": true });
    company.server.done("deleteAllUsers", input, "").await;
    let events = "events(first: 9) { nodes { cause } }";
    company.server.until(company.id("B"), events, |found| found.to_string().contains("USERS_DELETED")).await;
    assert_eq!(shown(&company).await, [("Mo".to_owned(), json!("M"))]);
    company.list("B", [account("b", "somebody@else.test").named("Al")]).await;
    assert_eq!(shown(&company).await, [("Al".to_owned(), json!(null))]);
    company.end().await;
}

#[tokio::test]
async fn only_sources_describe_whom_they_have_in_any_order() {
    for other_is_first in [false, true] {
        let mut company = Company::start().await;
        company.own(&["acme.example"]).await;
        if other_is_first {
            company.connect("Chat", [of("Al", "C")]).await;
        }
        company.connect("HR", [account("h1", "ann@acme.example").named("Ann Archer")]).await;
        company.trust(&["HR"]).await;
        if !other_is_first {
            company.connect("Chat", [of("Al", "C")]).await;
        }
        company.list("HR", [account("h1", "ann@acme.example").named("Ann Berg")]).await;
        assert_eq!(shown(&company).await, [("Ann Berg".to_owned(), json!(null))], "{other_is_first}");
        company.end().await;
    }
}

use serde_json::{Value, json};

use crate::support::Server;

const TOTAL: &str = "totalCount totalCountIsExact";

fn exact(rows: i64) -> Value {
    json!({ "totalCount": rows, "totalCountIsExact": true })
}

#[tokio::test]
async fn rows_are_counted_up_to_ten_thousand() {
    let server = Server::start().await;
    let large = server.rehearse("Large", &[("users", "10050"), ("page_size", "1000")]).await;
    let small = server.rehearse("Small", &[("users", "30")]).await;
    server.idle(&large, "").await;
    server.idle(&small, "").await;
    let users = async |filter: String| {
        let query = format!("{{ users(first: 1, filter: {{ {filter} }}) {{ {TOTAL} }} }}");
        server.ask(&query, json!({})).await["users"].take()
    };
    let most = json!({ "totalCount": 10_000, "totalCountIsExact": false });
    let of = |id: &str| format!("instanceId: \"{id}\"");
    for (filter, total) in [
        (String::new(), exact(10_080)),
        (of(&large), exact(10_050)),
        ("includeRemoved: true".into(), most.clone()),
        (format!("includeRemoved: true, {}", of(&large)), most.clone()),
        (format!("includeRemoved: true, {}", of(&small)), exact(30)),
        (format!("statuses: [ACTIVE, SUSPENDED, INVITED, UNKNOWN], {}", of(&large)), most.clone()),
        (format!("statuses: [SUSPENDED], {}", of(&small)), exact(2)),
        (format!("statuses: [SUSPENDED, INVITED], {}", of(&small)), exact(3)),
    ] {
        assert_eq!(users(filter.clone()).await, total, "{filter}");
    }
    server.searchable().await;
    for (filter, total) in [
        ("search: \"rehearsal.example\"".to_owned(), most.clone()),
        (format!("search: \"rehearsal.example\", {}", of(&small)), exact(30)),
        (format!("search: \"rehearsal.example\", statuses: [INVITED], {}", of(&large)), exact(201)),
    ] {
        assert_eq!(users(filter.clone()).await, total, "{filter}");
    }
    let nested = format!(
        "{{ instances(orderBy: {{ field: NAME, direction: ASC }}) {{ {TOTAL} nodes {{
            users(first: 1) {{ {TOTAL} }} removed: users(first: 1, filter: {{ includeRemoved: true }}) {{ {TOTAL} }}
            syncHistory(first: 1) {{ {TOTAL} nodes {{ changes(first: 1) {{ {TOTAL} }} }} }} events(first: 1) {{ {TOTAL} }} }} }} }}"
    );
    let instances = server.ask(&nested, json!({})).await["instances"].take();
    assert_eq!((&instances["totalCount"], &instances["totalCountIsExact"]), (&json!(2), &json!(true)));
    let [large, small] = [&instances["nodes"][0], &instances["nodes"][1]];
    assert_eq!((&large["users"], &large["removed"]), (&exact(10_050), &most));
    assert_eq!((&small["users"], &small["removed"]), (&exact(30), &exact(30)));
    assert_eq!(small["events"]["totalCountIsExact"], true);
    let changes = |of: &Value| of["syncHistory"]["nodes"][0]["changes"].clone();
    assert_eq!((changes(large), changes(small)), (most, exact(30)));
}

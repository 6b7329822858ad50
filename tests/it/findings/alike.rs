//! A figure is the same wherever it is shown. The mail with the figures of a week is in [`super::digest`].

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::application::{Office, ago};
use super::world::{accounts, records};
use crate::queries::{csv, reports};
use crate::support::{change, http};

/// How many findings there are of each type and severity.
type Counts = BTreeMap<(String, String), i64>;

fn counted<'a>(findings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Counts {
    let mut counts = Counts::new();
    for (kind, severity) in findings {
        *counts.entry((kind.to_lowercase(), severity.to_lowercase())).or_default() += 1;
    }
    counts
}

/// A name of the API as metrics have it.
fn in_metrics(name: &str) -> String {
    name.chars()
        .flat_map(|letter| letter.is_uppercase().then_some('_').into_iter().chain(letter.to_lowercase()))
        .collect()
}

#[tokio::test]
async fn the_api_the_files_and_the_metrics_say_the_same() {
    let office = Office::start(records(), accounts()).await;
    let weak = office.finding("weak", "NO_MFA").await["id"].clone();
    let input = json!({ "findingId": weak, "reason": "A kiosk.", "until": ago(-9) });
    office.server.done("exceptFinding", input, "").await;
    let measures: Vec<String> =
        super::application::MEASURES.iter().map(|name| format!("{name} {{ yes no unknown }}")).collect();
    let query =
        format!("{{ posture {{ {} }} findings(first: 100) {{ nodes {{ id type severity }} }} }}", measures.join(" "));
    let told = office.server.ask(&query, json!({})).await;
    let text = |row: &'static str| move |it: &'_ Value| it[row].as_str().unwrap().to_owned();
    let nodes = told["findings"]["nodes"].as_array().unwrap();
    let pairs: Vec<(String, String)> = nodes.iter().map(|it| (text("type")(it), text("severity")(it))).collect();
    let counts = counted(pairs.iter().map(|(kind, severity)| (kind.as_str(), severity.as_str())));
    assert!(counts.len() > 8, "{counts:?}");

    let (lines, _) = reports::lines(&office.server, &office.server.viewer, "findings", None).await;
    let of_lines = counted(lines.iter().map(|it| (it["type"].as_str().unwrap(), it["severity"].as_str().unwrap())));
    assert_eq!(of_lines, counts, "JSON Lines");
    let table = csv::column(&csv::file(&office.server, "findings.csv").await, "type", "severity");
    let of_table = counted(table.iter().map(|(kind, severity)| (kind.as_str(), severity.as_str())));
    assert_eq!(of_table, counts, "CSV");

    // The registry is there after the first look. The program makes it when it starts.
    http().get(format!("{}/metrics", office.server.url)).send().await.unwrap();
    let metrics = http().get(format!("{}/metrics", office.server.url)).send().await.unwrap().text().await.unwrap();
    let gauges: BTreeMap<&str, i64> = metrics
        .lines()
        .filter(|line| line.starts_with("muster_findings{") || line.starts_with("muster_accounts{"))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, count)| (name, count.parse().unwrap()))
        .collect();
    for name in super::application::MEASURES {
        for answer in ["yes", "no", "unknown"] {
            let gauge = format!("muster_accounts{{measure=\"{}\",answer=\"{answer}\"}}", in_metrics(name));
            assert_eq!(json!(gauges[gauge.as_str()]), told["posture"][name][answer], "{gauge}");
        }
    }
    let all = gauges.iter().filter(|(name, count)| name.starts_with("muster_findings") && **count != 0);
    assert_eq!(all.map(|(_, count)| count).sum::<i64>(), counts.values().sum::<i64>());
    for ((kind, severity), count) in &counts {
        let gauge = format!("muster_findings{{type=\"{kind}\",severity=\"{severity}\"}}");
        assert_eq!(gauges[gauge.as_str()], *count, "{gauge}");
    }
    office.end().await;
}

#[tokio::test]
async fn a_list_is_as_old_as_its_figures() {
    let office = Office::start(records(), accounts()).await;
    office.list(accounts()).await;
    let limited = json!({ "name": "Limited", "role": "VIEWER", "scope": { "instanceIds": [office.tool] } });
    let limited = office.server.done("createApiToken", limited, "token").await["token"].as_str().unwrap().to_owned();
    let both = "query($ids: [ID!]) { posture(instanceIds: $ids) { mfa { basis { evaluatedAt } } }
        findings(filter: { instanceIds: $ids, types: [NO_MFA] }) { evaluatedAt } }";
    let at = async |token: &str, instances: Value| {
        let told = office.server.ask_as(token, both, json!({ "ids": instances })).await["data"].take();
        let at = told["findings"]["evaluatedAt"].clone();
        assert_eq!(at, told["posture"]["mfa"]["basis"]["evaluatedAt"], "{instances}");
        at
    };
    let viewer = office.server.viewer.clone();
    let (hr, tool) = (at(&viewer, json!([office.hr])).await, at(&viewer, json!([office.tool])).await);
    assert!(hr.as_str() < tool.as_str(), "{hr} {tool}");
    assert_eq!(
        [at(&viewer, json!([office.tool, office.hr])).await, at(&viewer, json!(null)).await],
        [&hr, &hr].map(Value::clone)
    );
    assert_eq!(at(&limited, json!(null)).await, tool, "of what the token sees");

    let user = office.finding("chief", "NO_MFA").await["user"]["id"].clone();
    let query = "query($id: ID!) { node(id: $id) { ... on User { person { id } findings { evaluatedAt } } } }";
    let user = office.server.ask(query, json!({ "id": user })).await["node"].take();
    assert_eq!(user["findings"]["evaluatedAt"], tool);
    let query = "query($id: ID!) { findings(filter: { personId: $id }) { evaluatedAt } }";
    let person = office.server.ask(query, json!({ "id": user["person"]["id"] })).await;
    assert_eq!(person["findings"]["evaluatedAt"], hr, "the person has an account in both");

    let never = "UPDATE evaluation SET counts = NULL, evaluated_at = NULL WHERE evaluated_at =
        (SELECT MIN(evaluated_at) FROM evaluation)";
    change(&office.server.db, never).await;
    assert_eq!(at(&viewer, json!([office.hr])).await, json!(null));
    assert_eq!(at(&viewer, json!(null)).await, tool);
}

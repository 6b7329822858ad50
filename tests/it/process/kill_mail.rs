//! A server that is killed while it sends mail: every queued mail arrives.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::kill::accident;
use super::{Home, rounds};
use crate::peers::{Smtp, recipient};
use crate::support::Client;

const RECIPIENTS: usize = 20;
/// How many mails are sent at once, and can therefore be accepted but not recorded when the server is killed.
const AT_ONCE: usize = 4;

async fn until_all_are_sent(client: &Client, id: &str) {
    // Polls the instance, and reads the ledger each time.
    let open = "query($id: ID!) { notifications(filter: { instanceId: $id, states: [QUEUED] }) { totalCount nodes { attempts lastError } } }";
    let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
    loop {
        let waiting = client.ask(open, json!({ "id": id })).await;
        if waiting["notifications"]["totalCount"] == 0 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "mails still wait: {waiting:#}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_that_were_decided_arrive_although_the_server_is_killed() {
    let (rounds, mut random) = rounds("mail");
    let smtp = Smtp::start();
    let home = Home::new().set("SMTP_URL", smtp.url());
    let token = home.token();
    let mut program = home.serve(&token).await;
    let emails: Vec<_> = (0..RECIPIENTS).map(|number| format!("r{number}@example.com")).collect();
    let recipients =
        "mutation($emails: [String!]!) { setRecipients(input: { emails: $emails }) { userErrors { code } } }";
    program.client.ask(recipients, json!({ "emails": emails })).await;
    // The outcome alternates, so that every run sends a mail to every recipient.
    let outcomes: Vec<_> = (0..=rounds).map(|run| if run % 2 == 0 { "success" } else { "garbage" }).collect();
    let id = program.client.rehearse("Acme", &[("users", "10"), ("outcomes", &outcomes.join(","))]).await;
    program.client.idle(&id, "").await;
    until_all_are_sent(&program.client, &id).await;

    for _ in 0..rounds {
        let sync = "mutation($id: ID!) { syncInstance(input: { id: $id }) { run { id } userErrors { code } } }";
        program.client.ask(sync, json!({ "id": id })).await;
        accident(&mut random, 0..250).await;
        program.kill();
        home.leases_run_out().await;
        program = home.serve(&token).await;
        program.client.idle(&id, "").await;
        until_all_are_sent(&program.client, &id).await;
        home.assert_intact().await;
    }

    let runs = rounds as usize + 1;
    let wanted = runs * (RECIPIENTS + 1);
    let ledger = "query($id: ID!) { instance(id: $id) { syncHistory(first: 100) { totalCount nodes { mailDecision { reason } } } }
        sent: notifications(filter: { instanceId: $id, states: [SENT] }) { totalCount } all: notifications { totalCount } }";
    let ledger = program.client.ask(ledger, json!({ "id": id })).await;
    assert_eq!(ledger["instance"]["syncHistory"]["totalCount"], runs);
    assert_eq!((&ledger["sent"]["totalCount"], &ledger["all"]["totalCount"]), (&json!(wanted), &json!(wanted)));

    let messages = smtp.messages().await;
    let id_of = |message: &Value| message["message_id"].as_str().unwrap().to_owned();
    let distinct: BTreeSet<_> = messages.iter().map(id_of).collect();
    assert_eq!(distinct.len(), wanted, "each mail arrived, and copies share its Message-ID");
    let mut per_person = BTreeMap::<_, BTreeSet<_>>::new();
    for message in &messages {
        per_person.entry(recipient(message)).or_default().insert(id_of(message));
    }
    assert!(
        per_person.len() == RECIPIENTS + 1 && per_person.values().all(|mails| mails.len() == runs),
        "{per_person:#?}"
    );
    let copies = messages.len() - wanted;
    assert!(copies <= rounds as usize * AT_ONCE, "{copies} copies after {rounds} kills");
}

//! Three replicas on one database that are killed under load: each event reaches each webhook, in the order of its
//! instance, and again only with the same id.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use entity::event::{Column, Entity};
use futures_util::future::join_all;
use muster::db::Location;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::receiver::Message;
use super::{Receiver, Reply, add, builder, until};
use crate::chaos::on_postgres::asking::{Asker, Tally};
use crate::chaos::on_postgres::replica::Replica;
use crate::process::kill::accident;
use crate::process::{Home, rounds};
use crate::support::Client;

const WEBHOOKS: usize = 20;
const INSTANCES: usize = 24;
const USERS: usize = 2;
/// In each of so many rounds, all replicas are killed at once. The leases that are left are those of the dead, and are
/// ended, so that the test need not wait for them.
const ALL_AT_ONCE: u32 = 5;
const STARTED: Duration = Duration::from_secs(30);

/// What one webhook got.
#[derive(Default)]
struct Seen {
    /// The hash of each message.
    texts: HashMap<String, u64>,
    /// The types of the messages, by the numbers of their events.
    types: BTreeMap<i64, String>,
    last: HashMap<String, i64>,
    messages: usize,
}

impl Seen {
    fn add(&mut self, message: &Message) {
        if message.kind() == "webhook.test" {
            return;
        }
        let (id, number, instance) = (message.id(), message.sequence(), message.instance());
        let mut hasher = DefaultHasher::new();
        message.text.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(before) = self.texts.get(id) {
            assert_eq!(*before, hash, "what comes again is the same: {}", message.text);
        } else {
            self.texts.insert(id.to_owned(), hash);
            let before = self.types.insert(number, message.kind().to_owned());
            assert_eq!(before, None, "event {number} comes again with another id: {}", message.text);
        }
        let last = self.last.entry(instance.to_owned()).or_default();
        assert!(*last <= number, "event {number} of an instance comes after {last}: {}", message.text);
        *last = number;
        self.messages += 1;
    }
}

struct Webhook {
    receiver: Receiver,
    id: String,
    seen: Seen,
}

impl Webhook {
    fn take(&mut self) {
        self.receiver.take().iter().for_each(|message| self.seen.add(message));
    }

    /// Waits until it has each of the events, and nothing else.
    async fn compare(&mut self, client: &Client, number: usize, events: &BTreeMap<i64, String>) {
        // It has failed, so it is not asked again for a while unless a test is accepted.
        if number < 2 {
            client.done("testWebhook", json!({ "id": self.id }), "delivery { state }").await;
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.seen.types.len() < events.len() {
            assert!(Instant::now() < deadline, "webhook {number} got {} of {}", self.seen.types.len(), events.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.take();
        }
        until(client, &self.id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
        self.take();
        assert_eq!(self.seen.types, *events, "webhook {number}");
    }
}

/// One that never answers until it is over, one that fails now and then, and others.
async fn webhooks(client: &Client, is_over: &Arc<AtomicBool>) -> Vec<Webhook> {
    let mut webhooks = Vec::new();
    for number in 0..WEBHOOKS {
        let (receiver, asked, is_over) = (Receiver::start().await, AtomicUsize::new(0), is_over.clone());
        receiver.answer(move |_, _| match number {
            0 if !is_over.load(Ordering::Relaxed) => Reply::Silence,
            1 if asked.fetch_add(1, Ordering::Relaxed) % 50 == 49 => Reply::Status(500),
            _ => Reply::Status(204),
        });
        let (id, _) = add(client, &receiver.url, json!({ "onlyChanges": false })).await;
        webhooks.push(Webhook { receiver, id, seen: Seen::default() });
    }
    webhooks
}

/// The types of the messages about all events, by their numbers.
async fn events(location: Location) -> BTreeMap<i64, String> {
    let Location::Postgres(url) = location else { unreachable!() };
    let db = sea_orm::Database::connect(url).await.unwrap();
    let events = Entity::find().order_by_asc(Column::Seq).all(&db).await.unwrap();
    db.close().await.unwrap();
    let named =
        events.into_iter().map(|event| (event.seq, format!("instance.{}", entity::growing::text(&event.cause))));
    named.collect()
}

/// Changes instances until `stop`, at any replica.
async fn change(asker: Asker, urls: Vec<String>, instances: Vec<String>, seed: u64, stop: CancellationToken) {
    let mut random = fastrand::Rng::with_seed(seed);
    while !stop.is_cancelled() {
        let (url, id) = (&urls[random.usize(..urls.len())], &instances[random.usize(..instances.len())]);
        let _any_answer = match random.u8(..10) {
            0..4 => {
                let input = json!({ "id": id, "name": format!("Name {}", random.u64(..)) });
                asker.mutate(url, "updateInstance", &input, "").await
            }
            4..8 => asker.mutate(url, "syncInstance", &json!({ "id": id }), "run { id }").await,
            chance => {
                let input = json!({ "id": id, "status": if chance == 8 { "INACTIVE" } else { "LIVE" } });
                asker.mutate(url, "updateInstance", &input, "").await
            }
        };
        tokio::time::sleep(Duration::from_millis(random.u64(50..250))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_reaches_each_webhook_however_often_replicas_are_killed() {
    let (rounds, mut random) = rounds("replicas");
    let first = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let token = first.token();
    let others = [first.replica(), first.replica()];
    let mut replicas: Vec<_> = [first].into_iter().chain(others).map(|home| Replica::new(home, &["serve"])).collect();
    start(&mut replicas).await;
    let client = Client::new(replicas[0].url(), token.clone());

    let is_over = Arc::new(AtomicBool::new(false));
    let mut webhooks = webhooks(&client, &is_over).await;
    let mut instances = Vec::new();
    for number in 0..INSTANCES {
        let config = [("users", "5"), ("outcomes", "success,garbage")];
        instances.push(client.rehearse(&format!("Number {number}"), &config).await);
    }
    let (tally, stop) = (Tally::default(), CancellationToken::new());
    let (asker, urls) = (Asker::new(&token, &tally), replicas.iter().map(Replica::url).collect::<Vec<_>>());
    let changes = (0..USERS)
        .map(|_| tokio::spawn(change(asker.clone(), urls.clone(), instances.clone(), random.u64(..), stop.clone())));
    let changes: Vec<_> = changes.collect();

    let (begun, mut kills) = (Instant::now(), 0);
    for round in 1..=rounds {
        accident(&mut random, 100..700).await;
        if round % ALL_AT_ONCE == 0 || round == rounds {
            kills += replicas.len();
            replicas.iter_mut().for_each(Replica::kill);
            replicas[0].home.leases_run_out().await;
            start(&mut replicas).await;
        } else {
            kills += 1;
            let at = usize::try_from(round).unwrap() % replicas.len();
            replicas[at].kill();
            start(&mut replicas[at..=at]).await;
        }
        webhooks.iter_mut().for_each(Webhook::take);
    }
    stop.cancel();
    join_all(changes).await;
    let lasted = begun.elapsed();

    is_over.store(true, Ordering::Relaxed);
    for id in &instances {
        client.idle(id, "").await;
    }
    let events = events(replicas[0].home.location()).await;
    for (number, webhook) in webhooks.iter_mut().enumerate() {
        webhook.compare(&client, number, &events).await;
    }
    let figures = tally.figures();
    assert_eq!(figures.faults, [""; 0]);
    let messages: usize = webhooks.iter().map(|webhook| webhook.seen.messages).sum();
    println!(
        "{kills} kills in {lasted:.0?}, {} changes acknowledged and {} without an answer; {} events, {messages} messages to \
         {WEBHOOKS} webhooks, {} of them again; everything was there {:.0?} later",
        figures.acknowledged,
        figures.lost,
        events.len(),
        messages - events.len() * WEBHOOKS,
        begun.elapsed().saturating_sub(lasted),
    );
    let doctor = replicas[0].home.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

async fn start(replicas: &mut [Replica]) {
    replicas.iter_mut().for_each(Replica::launch);
    for replica in replicas {
        replica.until_ready(STARTED).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_that_are_created_at_once_only_as_many_are_as_there_may_be() {
    let server = builder().start().await;
    let create = |number: usize| {
        let client = &*server;
        async move {
            let input = json!({ "url": format!("https://a.example/{number}") });
            client.mutate("createWebhook", input, "webhook { id }").await["userErrors"][0]["code"].clone()
        }
    };
    for number in 0..49 {
        assert_eq!(create(number).await, json!(null));
    }
    let answers = join_all((49..57).map(create)).await;
    assert_eq!(answers.iter().filter(|code| **code == "INVALID_INPUT").count(), 7, "{answers:?}");
    let all = server.ask("{ webhooks { id } }", json!({})).await;
    assert_eq!(all["webhooks"].as_array().unwrap().len(), 50);
}

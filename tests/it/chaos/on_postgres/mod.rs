//! The chaos suite: three replicas on one PostgreSQL, while everything around them fails.
//!
//! **What happens.** Users change instances without a pause, subscribers listen, applications are synced, mails are
//! sent. Each round draws one or two faults from a seed and causes them. Processes are killed, stopped and frozen. The
//! database is killed, restarted, or refuses writes. Its connections are cut, frozen, slow, or lose the answer to a
//! COMMIT. The mail server and the applications become unreachable.
//!
//! **What must hold.** After every round, all replicas are ready within seconds. Every acknowledged mutation is stored
//! and was carried out once. Every event has reached every subscriber once and in order. The rules of instances hold, by
//! our own checks and by the doctor's. Each mail arrived with one Message-ID, and twice only if a process or connection
//! failed during its delivery. Every tenth round and the last wait until no work is left; the others carry over work
//! that waits for the lease of a dead worker.
//!
//! **What it does not show.** A mutation without a response may have been carried out or not; both are correct.
//!
//! `TEST_CHAOS_ROUNDS` and `TEST_CHAOS_SEED` are parameters; both are printed with the statistics, whatever the outcome.
//! The same seed draws the same faults; what they hit depends on timing.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::actor::Actor;
use self::asking::{Answer, Asker, LONGEST, Tally};
use self::checks::Post;
use self::faults::{Fault, Group};
use self::listener::{Door, Listener};
use self::report::Report;
use self::stage::{APIS, Stage};

pub mod actor;
pub mod asking;
mod checks;
mod faults;
pub mod listener;
pub mod replica;
mod report;
mod stage;

const ACTORS: usize = 3;
/// After how many rounds no work may be left.
const REST_EVERY: u32 = 10;
/// How long a replica may take to be ready again, and how long if it must be started.
const READY: Duration = Duration::from_secs(5);
const STARTED: Duration = Duration::from_secs(15);
/// How long all work may take: a lease, a run after it, and the minute that its mails wait for others like them.
const REST: Duration = Duration::from_mins(3);
/// After this time, work that waits for a lease is carried over.
const SHORT_REST: Duration = Duration::from_secs(5);

struct Run {
    stage: Stage,
    random: fastrand::Rng,
    tally: Tally,
    asker: Asker,
    actors: Vec<Actor>,
    listeners: Vec<Listener>,
    /// The instance whose application is a process of its own.
    application: String,
    renamed: usize,
    post: Post,
    /// How many mails may arrive twice, and since when.
    excuses: Vec<(Instant, usize)>,
    report: Report,
    slowest: Duration,
    /// What was wrong.
    faults: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_whatever_breaks() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let rounds = number("TEST_CHAOS_ROUNDS").map_or(6, |rounds| u32::try_from(rounds).unwrap());
    let seed = number("TEST_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("TEST_CHAOS_ROUNDS={rounds} TEST_CHAOS_SEED={seed}");
    let mut run = Run::begin(seed).await;
    let ended = AssertUnwindSafe(run.rounds(rounds)).catch_unwind().await;
    run.end().await;
    if ended.is_err() || !run.faults.is_empty() {
        println!("TEST_CHAOS_SEED={seed}{}", run.stage.describe());
        run.stage.keep_logs();
        panic!("{} faults: {:#?}", run.faults.len(), run.faults);
    }
}

impl Run {
    async fn begin(seed: u64) -> Run {
        let mut random = fastrand::Rng::with_seed(seed);
        let stage = Stage::build().await;
        let tally = Tally::default();
        let asker = Asker::new(&stage.token, &tally);
        let config: Vec<_> =
            stage.scim_config().iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let input = json!({ "integrationKey": "scim", "name": "application", "config": config });
        let made = asker.mutate(&stage.api_urls()[0], "createInstance", &input, "instance { id }").await;
        let Answer::Done(made) = made else { panic!("{made:?}") };
        let application = made["instance"]["id"].as_str().unwrap().to_owned();
        let first = asker.newest_event(&stage.api_urls()[0], &application).await;
        let doors = [(APIS[0], Door::Events), (APIS[1], Door::Events), (APIS[1], Door::WebSocket)];
        let listen =
            |(at, door): (usize, Door)| Listener::start(door, stage.replicas[at].url(), stage.token.clone(), &first);
        let listeners: Vec<_> = doors.into_iter().map(listen).collect();
        for listener in &listeners {
            listener.connected().await;
        }
        let actors =
            (0..ACTORS).map(|number| Actor::new(number, random.u64(..), asker.clone(), stage.api_urls())).collect();
        Run {
            stage,
            random,
            tally,
            asker,
            actors,
            listeners,
            application,
            renamed: 0,
            post: Post::default(),
            excuses: Vec::new(),
            report: Report::default(),
            slowest: Duration::ZERO,
            faults: Vec::new(),
        }
    }

    async fn rounds(&mut self, rounds: u32) {
        for number in 1..=rounds {
            self.report.rounds = number;
            let began = Instant::now();
            let faults = self.round(number % REST_EVERY == 0 || number == rounds).await;
            println!("round {number}: {faults:?}, {:.1?}", began.elapsed());
            if !self.faults.is_empty() {
                println!("round {number} found {:#?}", self.faults);
                return;
            }
        }
    }

    async fn round(&mut self, to_the_end: bool) -> Vec<Fault> {
        let faults = Fault::some(&mut self.random);
        self.report.count(&faults);
        let stop = CancellationToken::new();
        let acting: Vec<_> = self.actors.drain(..).map(|actor| tokio::spawn(actor.act(stop.clone()))).collect();
        self.stage.scim.set_users(self.random.u32(40..48)).await;
        let _any_answer = self.sync_application().await;
        self.pause(200..800).await;
        for fault in &faults {
            fault.begin(&mut self.stage, &mut self.random).await;
            self.pause(0..300).await;
        }
        let lasts = faults.iter().map(|fault| fault.lasts(&mut self.random)).max();
        tokio::time::sleep(lasts.unwrap_or_default()).await;
        for fault in faults.iter().rev() {
            fault.end(&mut self.stage).await;
        }
        self.recover(&faults).await;
        self.pause(200..800).await;
        stop.cancel();
        for actor in acting {
            self.actors.push(actor.await.unwrap());
        }
        self.check(&faults, to_the_end).await;
        faults
    }

    /// Waits until all replicas are ready and both APIs acknowledge a mutation.
    async fn recover(&mut self, faults: &[Fault]) {
        let began = Instant::now();
        let within = if faults.iter().any(|fault| fault.group() == Group::Replica) { STARTED } else { READY };
        self.stage.until_ready(within).await;
        for url in self.stage.api_urls() {
            loop {
                self.renamed += 1;
                let input = json!({ "id": self.application, "name": format!("application {}", self.renamed) });
                match self.asker.mutate(&url, "updateInstance", &input, "__typename").await {
                    Answer::Done(_) => break,
                    answer if began.elapsed() > within + READY => {
                        return self
                            .faults
                            .push(format!("no mutation {:.1?} after the fault: {answer:?}", began.elapsed()));
                    }
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
        self.report.recovered(faults, began.elapsed());
    }

    async fn check(&mut self, faults: &[Fault], to_the_end: bool) {
        for actor in &mut self.actors {
            actor.look(&self.stage.cluster).await;
            self.faults.append(&mut actor.contradictions);
        }
        let complete = self.rest(to_the_end).await;
        for listener in &self.listeners {
            if let Err(fault) = listener.check(&self.stage.cluster, READY).await {
                self.faults.push(fault);
            }
        }
        checks::rules(&self.stage.cluster, &mut self.faults).await;
        checks::users(&self.stage.cluster, &mut self.faults).await;
        checks::doctor(&self.stage, &mut self.faults);
        self.application_is_known().await;
        let looked = self.post.check(&self.stage, complete, &mut self.faults).await;
        let excused = self.excuse(faults, looked.copies);
        if looked.copies > excused {
            self.faults.push(format!("{} mails arrived twice, {excused} may have: {faults:?}", looked.copies));
        }
        self.report.copies += looked.copies;
        self.report.dropped_and_sent = looked.dropped_and_sent;
        self.answers(faults);
    }

    /// How many mails may have arrived twice, and how many did. A mail whose process failed during its delivery is sent
    /// again when the lease ends, which may be some rounds later.
    fn excuse(&mut self, faults: &[Fault], mut copies: usize) -> usize {
        self.excuses.extend(faults.iter().map(|fault| (Instant::now(), fault.copies())));
        self.excuses.retain(|(since, left)| *left > 0 && since.elapsed() < REST);
        let excused = self.excuses.iter().map(|(_, left)| left).sum();
        for (_, left) in &mut self.excuses {
            let used = copies.min(*left);
            (copies, *left) = (copies - used, *left - used);
        }
        excused
    }

    /// Checks that clients received timely responses without inner error text.
    fn answers(&mut self, faults: &[Fault]) {
        let mut slowest = Duration::ZERO;
        self.tally.change(|figures| {
            slowest = std::mem::take(&mut figures.slowest);
            self.faults.append(&mut figures.faults);
        });
        self.slowest = self.slowest.max(slowest);
        let frozen = faults.iter().any(|fault| matches!(fault, Fault::ReplicaFrozen(_)));
        if !frozen && slowest > LONGEST + Duration::from_secs(1) {
            self.faults.push(format!("a request took {slowest:.1?}"));
        }
    }

    /// Waits until no work is left. False if some work waits for the lease of a dead worker.
    async fn rest(&mut self, to_the_end: bool) -> bool {
        let began = Instant::now();
        loop {
            // Again and again, because the schedule starts new runs meanwhile.
            for actor in &mut self.actors {
                actor.release().await;
            }
            // Makes delayed mails due now; the waits between attempts have their own tests.
            self.stage.cluster.execute("UPDATE job SET run_at = 0 WHERE kind = 'mail' AND lease_until = 0").await;
            let Some((rest, waits_for_lease)) = checks::unrest(&self.stage.cluster).await else { return true };
            if began.elapsed() > SHORT_REST && waits_for_lease && !to_the_end {
                self.report.carried_over += 1;
                return false;
            }
            if began.elapsed() > REST {
                self.faults.push(format!("after {REST:?} this is still to be done: {rest}"));
                return false;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn sync_application(&self) -> Answer {
        let urls = self.stage.api_urls();
        self.asker.mutate(&urls[0], "syncInstance", &json!({ "id": self.application }), "run { id }").await
    }

    /// Checks that after one more sync the register has the users of the application.
    async fn application_is_known(&mut self) {
        let wanted = self.stage.scim.users();
        let deadline = Instant::now() + REST;
        loop {
            let Answer::Done(_) = self.sync_application().await else {
                return self.faults.push("the application cannot be synced".into());
            };
            let query = format!(
                "{{ instance(id: {:?}) {{ syncState userCount lastSync {{ outcome failure {{ message }} }} }} }}",
                self.application
            );
            let mut found = Value::Null;
            while found["syncState"] != "IDLE" && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if let Answer::Done(data) = self.asker.read(&self.stage.api_urls()[1], &query).await {
                    found = data["instance"].clone();
                }
            }
            if found["userCount"] == wanted && found["lastSync"]["outcome"] == "SUCCEEDED" {
                return;
            }
            if Instant::now() > deadline {
                return self.faults.push(format!("the application holds {wanted} users: {found}"));
            }
        }
    }

    async fn pause(&mut self, milliseconds: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.random.u64(milliseconds))).await;
    }

    /// Prints the figures.
    async fn end(&mut self) {
        if self.stage.cluster.connect("muster").await.is_ok() {
            self.report.events = self.stage.cluster.count("SELECT count(*) FROM event").await;
            let revocations = "SELECT count(*) FROM event WHERE cause = 'revoked'";
            self.report.revocations = self.stage.cluster.count(revocations).await;
        }
        self.report.mails = self.post.distinct();
        self.report.lost_commits = self.stage.lines.iter().map(crate::peers::Proxy::lost_commits).sum();
        self.report.reconnections = self.listeners.iter().map(|listener| listener.connections() - 1).sum();
        let taken_over =
            |replica: &replica::Replica| replica.log().matches("continues where it was interrupted").count();
        self.report.take_overs = self.stage.replicas.iter().map(taken_over).sum();
        let mut figures = self.tally.figures();
        figures.slowest = self.slowest;
        self.report.print(&figures);
    }
}

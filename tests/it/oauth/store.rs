//! One grant that many callers renew at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use integration::catalog::Catalog;
use integration::engine::{Client, ClientSettings};
use integration::grant::{Grant, GrantStore, Renew, StoredGrant};
use integration::source::{ErrorClass, SourceError};
use ipnet::IpNet;
use muster::auth::access::Access;
use muster::auth::members::Members;
use muster::auth::tokens::Tokens;
use muster::clock::Clock;
use muster::instance::authorization::Authorizations;
use muster::instance::sealed::Owner;
use muster::instance::{Instances, Running, grants};
use muster::secrets::KeyRing;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::support::{DEADLINE, Place};

const FIRST: &str = "refresh-0";

/// An authorization server that rotates refresh tokens. The test fails if one is used twice.
struct Rotating {
    used: Mutex<BTreeSet<String>>,
    calls: AtomicUsize,
    /// One permit for each request that may be answered.
    answers: Semaphore,
    /// How many of the first requests fail.
    failing: usize,
}

impl Rotating {
    fn new(answers: usize, failing: usize) -> Arc<Self> {
        Arc::new(Self { used: Mutex::default(), calls: AtomicUsize::new(0), answers: Semaphore::new(answers), failing })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn called(&self) {
        let called = async {
            while self.calls() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, called).await.expect("a call in time");
    }
}

#[async_trait]
impl Renew for Rotating {
    async fn renew(&self, old: &Grant) -> Result<Grant, SourceError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        if number < self.failing {
            return Err(SourceError::new(ErrorClass::Transient, "Out of order."));
        }
        let token = old.refresh_token.clone().unwrap();
        assert!(self.used.lock().unwrap().insert(token.clone()), "{token} was used twice");
        Ok(grant(&format!("refresh-{}", number + 1)))
    }
}

fn grant(refresh_token: &str) -> Grant {
    Grant {
        access_token: format!("access of {refresh_token}"),
        refresh_token: Some(refresh_token.to_owned()),
        expires_at: None,
        refresh_expires_at: None,
        found: BTreeMap::new(),
    }
}

/// What a process on this storage has.
async fn process(place: &Place, clock: Clock) -> Instances {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(ClientSettings::new(Vec::<IpNet>::new(), || 0, || 0.5)).unwrap();
    let (catalog, faults) = Catalog::load(client, None).unwrap();
    assert!(faults.is_empty());
    Instances {
        db: place.open().await,
        clock,
        catalog: Arc::new(catalog),
        keys: Arc::new(KeyRing::load_or_create(&place.path().join("secret.key")).unwrap()),
        running: Running::default(),
        renewals: TaskTracker::new(),
    }
}

/// An instance without settings.
fn owner(id: Uuid) -> Owner {
    Owner::new(id, "x", &serde_json::Value::Null)
}

/// Stores a grant, and returns its generation.
async fn consent(instances: &Instances, id: Uuid, grant: &Grant) -> i64 {
    let replaced = instances
        .db
        .write(|tx| async move { grants::replace(&tx, &instances.keys.newest(), &owner(id), grant).await })
        .await;
    replaced.unwrap();
    stored(instances, id).await.0
}

async fn stored(instances: &Instances, id: Uuid) -> (i64, String) {
    let StoredGrant { grant, generation } = instances.grants(owner(id)).read().await.unwrap().expect("a grant");
    (generation, grant.refresh_token.unwrap())
}

fn renewing(
    store: &Arc<dyn GrantStore>,
    seen: i64,
    server: &Arc<Rotating>,
) -> tokio::task::JoinHandle<Result<StoredGrant, SourceError>> {
    let (store, server) = (store.clone(), server.clone());
    tokio::spawn(async move { store.renew(seen, server.as_ref()).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_callers_of_two_processes_renew_once() {
    let place = Place::new();
    let (one, other) = (process(&place, Clock::System).await, process(&place, Clock::System).await);
    let id = Uuid::now_v7();
    let first = consent(&one, id, &grant(FIRST)).await;
    let stores = [one.grants(owner(id)), other.grants(owner(id))];
    let server = Rotating::new(0, 0);
    let callers: Vec<_> = (0..20).map(|number| renewing(&stores[number % 2], first, &server)).collect();
    server.called().await;
    server.answers.add_permits(100);
    for caller in callers {
        let answered = caller.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((answered.generation, answered.grant.access_token.as_str()), (first + 1, "access of refresh-1"));
        // The grant was stored before it was returned.
        assert_eq!(stored(&other, id).await, (first + 1, "refresh-1".to_owned()));
    }
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn a_renewal_that_failed_leaves_the_next_one_its_turn() {
    let place = Place::new();
    let instances = process(&place, Clock::System).await;
    let id = Uuid::now_v7();
    let first = consent(&instances, id, &grant(FIRST)).await;
    let (store, server) = (instances.grants(owner(id)), Rotating::new(9, 1));
    assert_eq!(store.renew(first, server.as_ref()).await.err().map(|error| error.class), Some(ErrorClass::Transient));
    assert_eq!(stored(&instances, id).await, (first, FIRST.to_owned()));
    let renewed = store.renew(first, server.as_ref()).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((renewed.generation, server.calls()), (first + 1, 2));
}

#[tokio::test]
async fn a_lease_whose_holder_died_is_taken_over_when_it_has_run_out() {
    let place = Place::new();
    let time = Arc::new(AtomicI64::new(1_000_000));
    let dead = process(&place, Clock::Manual(time.clone())).await;
    let alive = process(&place, Clock::Manual(time.clone())).await;
    let id = Uuid::now_v7();
    let first = consent(&dead, id, &grant(FIRST)).await;

    // A renewal that gets no response.
    let silent = Rotating::new(0, 0);
    let stuck = renewing(&dead.grants(owner(id)), first, &silent);
    silent.called().await;
    let server = Rotating::new(9, 0);
    let waiting = renewing(&alive.grants(owner(id)), first, &server);
    time.fetch_add(179_000, Ordering::Relaxed);
    for _ in 0..50 {
        stored(&alive, id).await;
    }
    assert_eq!((server.calls(), waiting.is_finished()), (0, false), "the lease still holds");
    time.fetch_add(2_000, Ordering::Relaxed);
    let renewed = tokio::time::timeout(DEADLINE, waiting).await.expect("in time").unwrap();
    assert_eq!((renewed.ok().map(|it| it.generation), server.calls()), (Some(first + 1), 1));

    // If the first caller continues after all, it gets the grant that the other one has stored.
    silent.answers.add_permits(1);
    let late = stuck.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(late.generation, first + 1);
    assert_eq!(stored(&alive, id).await, (first + 1, "refresh-1".to_owned()));
}

#[tokio::test]
async fn a_server_that_stops_can_wait_for_a_renewal() {
    let place = Place::new();
    let instances = process(&place, Clock::System).await;
    let id = Uuid::now_v7();
    let first = consent(&instances, id, &grant(FIRST)).await;
    let server = Rotating::new(0, 0);
    let caller = renewing(&instances.grants(owner(id)), first, &server);
    server.called().await;
    drop(caller);
    instances.renewals.close();
    let mut stop = std::pin::pin!(instances.renewals.wait());
    assert!(futures_util::poll!(stop.as_mut()).is_pending());
    server.answers.add_permits(1);
    tokio::time::timeout(DEADLINE, stop).await.expect("a renewal that ends");
    assert_eq!(stored(&instances, id).await, (first + 1, "refresh-1".to_owned()));
}

#[tokio::test]
async fn a_new_consent_wins_over_a_renewal_that_is_under_way() {
    let place = Place::new();
    let instances = process(&place, Clock::System).await;
    let id = Uuid::now_v7();
    let first = consent(&instances, id, &grant(FIRST)).await;
    let server = Rotating::new(0, 0);
    let caller = renewing(&instances.grants(owner(id)), first, &server);
    server.called().await;
    consent(&instances, id, &grant("of another consent")).await;
    server.answers.add_permits(1);
    let answered = caller.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((answered.generation, answered.grant.refresh_token.as_deref()), (first + 1, Some("of another consent")));
    assert_eq!(stored(&instances, id).await, (first + 1, "of another consent".to_owned()));
}

#[tokio::test]
async fn what_was_destroyed_cannot_be_renewed_and_what_is_stored_cannot_be_read() {
    let place = Place::new();
    let instances = process(&place, Clock::System).await;
    let id = Uuid::now_v7();
    let error =
        instances.grants(owner(id)).renew(1, Rotating::new(9, 0).as_ref()).await.err().expect("nothing to renew");
    assert_eq!((error.class, error.definite), (ErrorClass::Token, true));
    assert!(instances.grants(owner(id)).read().await.is_ok_and(|found| found.is_none()));

    consent(&instances, id, &grant("a-refresh-token-to-be-found")).await;
    instances.db.close().await.unwrap();
    for (name, bytes) in place.stored().await {
        assert!(!String::from_utf8_lossy(&bytes).contains("a-refresh-token-to-be-found"), "{name}");
    }
}

#[tokio::test]
async fn consents_that_nobody_came_back_from_are_forgotten() {
    use entity::oauth_authorization::{Entity, Model};
    use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, PaginatorTrait};

    let place = Place::new();
    let time = Arc::new(AtomicI64::new(1_000_000));
    let instances = process(&place, Clock::Manual(time.clone())).await;
    let (db, clock, keys) = (&instances.db, &instances.clock, &instances.keys);
    let access = Access {
        tokens: Tokens::new(db.clone(), clock.clone(), keys.clone()),
        members: Members::new(db.clone(), clock.clone(), keys.clone(), None),
    };
    let authorizations = Authorizations::new(instances.clone(), access, "https://muster.example.com");
    let rows: Vec<_> = (0..3u8)
        .map(|number| {
            let row = Model {
                state_hash: vec![number; 32],
                browser_hash: None,
                integration_key: "x".into(),
                instance_id: None,
                name: None,
                sync_interval_minutes: None,
                sealed: Vec::new(),
                token_id: Uuid::now_v7(),
                actor: "ada".into(),
                created_at: 0,
                expires_at: 1_000_000 + i64::from(number),
                own_redirect: true,
            };
            row.into_active_model().reset_all()
        })
        .collect();
    let rows = &rows;
    let inserted = instances
        .db
        .write(|tx| async move { Ok(Entity::insert_many(rows.clone()).exec_without_returning(tx.conn()).await?) });
    inserted.await.unwrap();
    for (now, left) in [(999_999, 3), (1_000_000, 2), (1_000_002, 0)] {
        time.store(now, Ordering::Relaxed);
        authorizations.forget_expired().await.unwrap();
        assert_eq!(Entity::find().count(instances.db.read()).await.unwrap(), left);
    }
    let before = instances.db.statements();
    authorizations.forget_expired().await.unwrap();
    assert_eq!(instances.db.statements() - before, 1, "an idle worker only looks");
}

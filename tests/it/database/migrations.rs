//! Migrations: concurrent and interrupted first starts, and databases of earlier and later versions.

use std::time::Duration;

use ::migration::{Migrator, MigratorTrait};
use muster::db::{Db, Location};
use muster::events::findings::PLACES;
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait, QueryOrder};

use super::connect;
use crate::process::Home;
use crate::process::settings::refusal;
use crate::support::{Place, one};

#[tokio::test]
async fn instances_from_before_there_were_consents_stay_as_they_are() {
    let place = Place::new();
    let old = connect(&place.location()).await;
    Migrator::up(&old, Some(1)).await.unwrap();
    let (id, secrets) = match place.location() {
        Location::Sqlite(_) => ("X'01890A5DAC96774BBCCEB302099A8057'", "X'010203'"),
        Location::Postgres(_) => ("'01890A5D-AC96-774B-BCCE-B302099A8057'", "'\\x010203'"),
    };
    let insert = format!(
        "INSERT INTO instance (id, integration_key, name, name_key, status, sync_state, health, consecutive_failures,
            revocation_mailed, last_success_at, created_by, created_at, updated_at, revision, config, secrets,
            sync_interval_minutes, user_count, run_number, purge_through, purging, purged_users)
        VALUES ({id}, 'scim', 'Acme', 'acme', 'live', 'idle', 'ok', 0, false, 5, 'ada', 1, 2, 3,
            '{{\"token\":null}}', {secrets}, 60, 7, 4, -1, false, 0)"
    );
    old.execute_unprepared(&insert).await.unwrap();
    old.close().await.unwrap();

    let db = place.open().await;
    let kept = entity::instance::Entity::find().one(db.read()).await.unwrap().expect("the instance");
    assert_eq!((kept.name.as_str(), kept.user_count, kept.revision), ("Acme", 7, 3));
    assert_eq!((kept.secrets, kept.credential_expires_at), (Some(vec![1, 2, 3]), None));
    assert_eq!(entity::oauth_grant::Entity::find().count(db.read()).await.unwrap(), 0);
}

#[tokio::test]
async fn messages_that_wait_keep_their_order_when_there_are_more_places() {
    let place = Place::new();
    let old = connect(&place.location()).await;
    let known = Migrator::get_pending_migrations(&old).await.unwrap();
    let known = known.iter().position(|it| it.name() == "m0041_finding_changes").unwrap();
    Migrator::up(&old, Some(u32::try_from(known).unwrap())).await.unwrap();
    let id = |number: i64| match place.location() {
        Location::Sqlite(_) => format!("X'{number:032x}'"),
        Location::Postgres(_) => format!("'{:08x}-0000-0000-0000-{:012x}'", 0, number),
    };
    // The last ones have places that the first ones get.
    let before = [4, 7, 8, 16_777_216, 16_777_219, 33_554_432];
    for position in before {
        let insert = format!(
            "INSERT INTO webhook_delivery (id, webhook_id, position, message_type, body, state, attempts, queued_at,
                next_try_at, created_at) VALUES ({}, {}, {position}, 'x', '{{}}', 'queued', 0, 1, 1, 1)",
            id(position),
            id(1)
        );
        old.execute_unprepared(&insert).await.unwrap();
    }
    old.close().await.unwrap();

    let db = place.open().await;
    let rows = entity::webhook_delivery::Entity::find().order_by_asc(entity::webhook_delivery::Column::Id);
    let after: Vec<i64> = rows.all(db.read()).await.unwrap().into_iter().filter_map(|row| row.position).collect();
    assert_eq!(after, before.map(|position| position / 4 * PLACES + position % 4));
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_open_a_new_database_at_once_all_find_it_whole() {
    for _ in 0..5 {
        let place = Place::new();
        let opening: Vec<_> = (0..4)
            .map(|_| {
                let location = place.location();
                tokio::spawn(async move { Db::open(&location, 2).await })
            })
            .collect();
        for opened in opening {
            let db = opened.await.unwrap().unwrap_or_else(|error| panic!("{}", error.chain()));
            assert_eq!(entity::instance::Entity::find().count(db.read()).await.unwrap(), 0);
            db.close().await.unwrap();
        }
    }
}

/// Makes a database look like one that a newer version with one more migration has migrated. `needs` is the number
/// of migrations that a binary must know to use it.
async fn left_by_a_newer_version(home: &Home, needs: usize) {
    let program = home.serve("").await;
    program.kill();
    let db = connect(&home.location()).await;
    let statements = [
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_not_known_here', 0)".to_owned(),
        format!("UPDATE installation SET needs = {needs}"),
        "ALTER TABLE instance ADD COLUMN not_known_here text".to_owned(),
    ];
    for statement in statements {
        db.execute_unprepared(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_served_as_long_as_that_allows_it() {
    let home = Home::new();
    left_by_a_newer_version(&home, Migrator::migrations().len()).await;
    let token = home.token();
    let program = home.serve(&token).await;
    let id = program.client.rehearse("Acme", &[("users", "7")]).await;
    assert_eq!(program.client.idle(&id, "userCount").await["userCount"], 7);
    assert!(home.log().contains("newer Muster"), "{}", home.log());
}

#[tokio::test]
async fn a_database_that_needs_a_newer_version_is_left_alone() {
    let home = Home::new();
    left_by_a_newer_version(&home, Migrator::migrations().len() + 1).await;
    for arguments in [&["serve"][..], &["token", "list"]] {
        let line = refusal(&home, arguments);
        assert!(line.contains("newer Muster"), "{arguments:?}: {line}");
    }
    home.assert_intact().await;
}

#[tokio::test]
async fn a_running_server_stops_when_the_database_needs_a_newer_version() {
    for role in ["--api", "--workers"] {
        let home = Home::new();
        let mut program = home.serve_with(&["serve", role], "").await;
        let db = connect(&home.location()).await;
        let newer = format!("UPDATE installation SET needs = {}", Migrator::migrations().len() + 1);
        db.execute_unprepared(&newer).await.unwrap();
        db.close().await.unwrap();
        let status = program.ended(Duration::from_secs(25)).await;
        let log = home.log();
        assert_eq!(status.code(), Some(1), "{log}");
        assert_eq!(log.matches("this version cannot work with the new schema").count(), 1, "{log}");
        assert!(log.contains("stopped"), "{log}");
    }
}

#[tokio::test]
async fn a_chain_that_was_cut_after_any_of_its_steps_is_taken_up_again() {
    for steps in 0..Migrator::migrations().len() {
        let place = Place::new();
        let cut = connect(&place.location()).await;
        Migrator::up(&cut, Some(u32::try_from(steps).unwrap())).await.unwrap();
        assert_eq!(Migrator::get_pending_migrations(&cut).await.unwrap().len(), Migrator::migrations().len() - steps);
        cut.close().await.unwrap();
        place.open().await.close().await.unwrap();
        let whole = connect(&place.location()).await;
        assert!(Migrator::get_pending_migrations(&whole).await.unwrap().is_empty());
        whole.close().await.unwrap();
    }
}

#[tokio::test]
async fn an_index_whose_building_was_cut_is_built_again_on_postgres() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    let cut = connect(&place.location()).await;
    for statement in [
        "UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid = 'ix_user_status'::regclass",
        "DELETE FROM seaql_migrations WHERE version = 'm0012_indexes'",
    ] {
        assert_eq!(cut.execute_unprepared(statement).await.unwrap().rows_affected(), 1, "{statement}");
    }
    cut.close().await.unwrap();
    place.open().await.close().await.unwrap();
    let invalid = "SELECT CAST(count(*) AS TEXT) FROM pg_index WHERE NOT (indisvalid AND indisready)";
    assert_eq!(one(&place.location(), invalid).await, "0");
    let built = "SELECT CAST(count(*) AS TEXT) FROM pg_index WHERE indexrelid = to_regclass('ix_user_status')";
    assert_eq!(one(&place.location(), built).await, "1");
}

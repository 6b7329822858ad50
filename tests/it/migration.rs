//! A database that an earlier version has left.

use muster::db::Db;
use sea_orm::{ConnectionTrait, Database, EntityTrait, PaginatorTrait};

use ::migration::{Migrator, MigratorTrait};

#[tokio::test]
async fn instances_from_before_there_were_consents_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("muster.db");
    let old = Database::connect(format!("sqlite://{}?mode=rwc", file.display())).await.unwrap();
    Migrator::up(&old, Some(1)).await.unwrap();
    old.execute_unprepared(
        "INSERT INTO instance (id, integration_key, name, name_key, status, sync_state, health, consecutive_failures,
            revocation_mailed, last_success_at, created_by, created_at, updated_at, revision, config, secrets,
            sync_interval_minutes, user_count, run_number, purge_through, purging, purged_users)
        VALUES (X'01890A5DAC96774BBCCEB302099A8057', 'scim', 'Acme', 'acme', 'live', 'idle', 'ok', 0, 0, 5, 'ada', 1, 2, 3,
            '{\"token\":null}', X'010203', 60, 7, 4, -1, 0, 0)",
    )
    .await
    .unwrap();
    old.close().await.unwrap();

    let db = Db::open(&file).await.unwrap();
    let kept = entity::instance::Entity::find().one(db.read()).await.unwrap().expect("the instance");
    assert_eq!((kept.name.as_str(), kept.user_count, kept.revision), ("Acme", 7, 3));
    assert_eq!((kept.secrets, kept.credential_expires_at), (Some(vec![1, 2, 3]), None));
    assert_eq!(entity::oauth_grant::Entity::find().count(db.read()).await.unwrap(), 0);
}

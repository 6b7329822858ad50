//! Rows that are read fast are the rows that sea-orm reads.

use entity::{
    api_token, audit_entry, audit_person, capability_state, event, instance, notification, run, user, user_change,
};
use fastrand::Rng;
use muster::db::Db;
use sea_orm::sea_query::{ColumnType, Value};
use sea_orm::{
    ActiveEnum, ActiveModelBehavior, ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, Iterable,
    PrimaryKeyToColumn, QueryTrait,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use super::connect;
use crate::support::Place;

const ROWS: usize = 60;

/// The values of a column with an enum.
type Variants<C> = (C, Vec<Value>);

fn variants<C, T>(column: C) -> Variants<C>
where
    T: ActiveEnum<Value = String> + Iterable,
{
    (column, T::iter().map(|variant| variant.to_value().into()).collect())
}

fn text(random: &mut Rng) -> String {
    let alphabet: Vec<char> = "abc XYZ ß漢🦀\"'\\{},\n\t".chars().collect();
    (0..random.usize(6..12)).map(|_| alphabet[random.usize(..alphabet.len())]).collect()
}

/// A value for a column that is no enum.
fn value(random: &mut Rng, kind: &ColumnType) -> Value {
    match kind {
        ColumnType::Uuid => Uuid::from_u128(random.u128(..)).into(),
        ColumnType::BigInteger => (random.i64(..) >> random.u32(..64)).into(),
        ColumnType::Integer => (random.i32(..) >> random.u32(..32)).into(),
        ColumnType::Boolean => random.bool().into(),
        ColumnType::String(_) | ColumnType::Text => text(random).into(),
        ColumnType::Json | ColumnType::JsonBinary => {
            let any = [json!(null), json!({ "a": [1, -2.5, null, text(random)] }), json!("text"), json!([])];
            any[random.usize(..any.len())].clone().into()
        }
        ColumnType::VarBinary(_) | ColumnType::Binary(_) | ColumnType::Blob => {
            (0..random.usize(16..40)).map(|_| random.u8(..)).collect::<Vec<u8>>().into()
        }
        other => panic!("a column of the type {other:?}: say what its values are"),
    }
}

/// Stores random rows and reads them in every way.
async fn same<E>(random: &mut Rng, db: &Db, place: &Place, enums: &[Variants<E::Column>])
where
    E: EntityTrait,
    E::Model: DeserializeOwned + PartialEq + IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + ActiveModelBehavior + Send,
{
    let rows = (0..ROWS).map(|_| {
        let mut row = E::ActiveModel::new();
        for column in E::Column::iter() {
            let known = enums.iter().find(|(of, _)| format!("{of:?}") == format!("{column:?}"));
            let definition = column.def();
            let is_key = E::PrimaryKey::iter().any(|key| format!("{:?}", key.into_column()) == format!("{column:?}"));
            let mut any = match known {
                Some((_, variants)) => variants[random.usize(..variants.len())].clone(),
                None if is_key && definition.get_column_type() == &ColumnType::BigInteger => random.i64(1..).into(),
                None => value(random, definition.get_column_type()),
            };
            if definition.is_null() && random.bool() {
                any = any.as_null();
            }
            row.set(column, any);
        }
        row
    });
    let own = connect(&place.location()).await;
    E::insert_many(rows.collect::<Vec<_>>()).exec_without_returning(&own).await.unwrap();
    own.close().await.unwrap();

    let expected = E::find().all(db.read()).await.unwrap();
    assert!(expected.len() >= ROWS);
    let (fast, by_pool) = (db.read().rows(E::find().into_query()), db.read().rows_by_pool(E::find().into_query()));
    let (fast, by_pool): (Vec<E::Model>, Vec<E::Model>) = (fast.await.unwrap(), by_pool.await.unwrap());
    for read in [fast, by_pool] {
        assert_eq!(read.len(), expected.len());
        for row in read {
            assert!(expected.contains(&row), "{row:?} is not among what sea-orm reads");
        }
    }
}

#[tokio::test]
async fn every_table_is_read_as_sea_orm_reads_it() {
    let place = Place::new();
    let db = place.open().await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let to = &mut random;
    same::<api_token::Entity>(to, &db, &place, &[variants::<_, api_token::Role>(api_token::Column::Role)]).await;
    let of_entry = [
        variants::<_, audit_entry::Action>(audit_entry::Column::Action),
        variants::<_, audit_entry::Outcome>(audit_entry::Column::Outcome),
        variants::<_, audit_entry::ActorKind>(audit_entry::Column::ActorKind),
        variants::<_, audit_entry::SubjectKind>(audit_entry::Column::SubjectKind),
    ];
    same::<audit_entry::Entity>(to, &db, &place, &of_entry).await;
    same::<audit_person::Entity>(to, &db, &place, &[]).await;
    same::<capability_state::Entity>(to, &db, &place, &[]).await;
    same::<event::Entity>(to, &db, &place, &[variants::<_, event::Cause>(event::Column::Cause)]).await;
    let of_instance = [
        variants::<_, instance::Status>(instance::Column::Status),
        variants::<_, instance::InactiveReason>(instance::Column::InactiveReason),
        variants::<_, instance::SyncState>(instance::Column::SyncState),
        variants::<_, instance::Health>(instance::Column::Health),
        variants::<_, run::FailureClass>(instance::Column::FailureClass),
    ];
    same::<instance::Entity>(to, &db, &place, &of_instance).await;
    let of_mail = [
        variants::<_, notification::NotificationKind>(notification::Column::Kind),
        variants::<_, notification::NotificationState>(notification::Column::State),
        variants::<_, run::FailureClass>(notification::Column::Reason),
    ];
    same::<notification::Entity>(to, &db, &place, &of_mail).await;
    let of_run = [
        variants::<_, run::Trigger>(run::Column::Trigger),
        variants::<_, run::Outcome>(run::Column::Outcome),
        variants::<_, run::FailureClass>(run::Column::WaitingFor),
        variants::<_, run::FailureClass>(run::Column::FailureClass),
        variants::<_, notification::NotificationKind>(run::Column::MailKind),
        variants::<_, notification::MailReason>(run::Column::MailReason),
    ];
    same::<run::Entity>(to, &db, &place, &of_run).await;
    let of_user =
        [variants::<_, user::UserStatus>(user::Column::Status), variants::<_, user::AccountKind>(user::Column::Kind)];
    same::<user::Entity>(to, &db, &place, &of_user).await;
    same::<user_change::Entity>(to, &db, &place, &[variants::<_, user_change::Kind>(user_change::Column::Kind)]).await;
    db.close().await.unwrap();
}

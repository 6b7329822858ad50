use std::collections::HashSet;

use entity::instance::Column;
use sea_orm::sea_query::sea_value_to_json_value;
use sea_orm::{ColumnTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, Value as Cell};
use serde_json::Value;
use uuid::Uuid;

use super::*;

/// Events that releases have written, each in the first format and as a record in base64.
const RECORDED: &str = include_str!("fixtures/events.jsonl");
/// The largest average size of a record, in bytes.
const LARGEST: usize = 300;

#[derive(Deserialize)]
struct Recorded {
    instance_id: Uuid,
    at: i64,
    cause: Cause,
    actor: Option<String>,
    uncompressed: Value,
    record: String,
}

fn recorded() -> Vec<Recorded> {
    RECORDED.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Recorded {
    fn read(&self, uncompressed: Value, record: Option<Vec<u8>>) -> Snapshot {
        let row = event::Model {
            seq: 1,
            instance_id: self.instance_id,
            at: self.at,
            cause: self.cause,
            actor: self.actor.clone(),
            uncompressed,
            record,
        };
        Event::try_from(row).unwrap().snapshot
    }

    fn uncompressed(&self) -> Snapshot {
        self.read(self.uncompressed.clone(), None)
    }

    fn record(&self) -> Vec<u8> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.decode(&self.record).unwrap()
    }
}

/// Every column that the JSON has must be in the row.
fn assert_row<M: ModelTrait>(model: &M, json: &Value) {
    for (name, value) in json.as_object().unwrap() {
        let column = <M::Entity as EntityTrait>::Column::iter().find(|column| column.as_str() == name);
        let column = column.unwrap_or_else(|| panic!("no column {name}"));
        assert_eq!(sea_value_to_json_value(&model.get(column)), *value, "{name} of {json}");
    }
}

#[test]
fn the_events_of_the_first_releases_can_be_read() {
    for event in recorded() {
        let (json, snapshot) = (&event.uncompressed, event.uncompressed());
        assert_row(&snapshot.instance, &json["instance"]);
        for (run, json) in [(&snapshot.last_run, &json["last_run"]), (&snapshot.current_run, &json["current_run"])] {
            assert_eq!(run.is_some(), json.is_object());
            if let Some(run) = run {
                assert_row(run, json);
            }
        }
        assert_eq!(serde_json::to_value(snapshot.before).unwrap(), json["before"]);
    }
}

#[test]
fn records_can_be_read_and_show_what_the_first_format_shows() {
    let mut causes = HashSet::new();
    for event in recorded() {
        assert_eq!(event.read(Value::Null, Some(event.record())), event.uncompressed());
        causes.insert(event.cause);
    }
    let written = Cause::iter().filter(|cause| !matches!(cause, Cause::Snapshot | Cause::Unknown));
    let written: HashSet<_> = written.collect();
    assert_eq!(causes, written, "the fixtures have every cause");
}

#[test]
fn a_record_is_small() {
    let sizes: Vec<_> = recorded().iter().map(|event| event.uncompressed().encode().unwrap().len()).collect();
    let average = sizes.iter().sum::<usize>() / sizes.len();
    assert!(average < LARGEST, "{average} bytes on average: {sizes:?}");
}

/// Every value that a column has in the fixtures, and those that are extreme for its type.
fn values<M: ModelTrait>(models: &[M], column: <M::Entity as EntityTrait>::Column) -> Vec<Cell> {
    let mut values: Vec<_> = models.iter().map(|model| model.get(column)).collect();
    match values[0].clone() {
        Cell::BigInt(_) => values.extend([0, i64::MAX, i64::MIN].map(|value| Cell::BigInt(Some(value)))),
        Cell::Int(_) => values.extend([0, i32::MAX].map(|value| Cell::Int(Some(value)))),
        Cell::Bool(_) => values.extend([true, false].map(|value| Cell::Bool(Some(value)))),
        Cell::Json(_) => values.push(Cell::from(serde_json::json!([{ "a": null, "ä": [1, "\u{0}"] }]))),
        _ => {}
    }
    if column.def().is_null() {
        values.push(values[0].as_null());
    }
    values
}

/// Columns that events leave out.
const LEFT_OUT: [&str; 8] =
    ["secrets", "secrets_generation", "tries", "listed", "checkpoint", "waits", "waited_ms", "looks"];

fn assert_kept<M: ModelTrait>(models: &[M], change: impl Fn(&mut Snapshot, <M::Entity as EntityTrait>::Column, &Cell)) {
    let snapshots: Vec<_> = recorded().iter().map(Recorded::uncompressed).collect();
    for column in <M::Entity as EntityTrait>::Column::iter().filter(|column| !LEFT_OUT.contains(&column.as_str())) {
        for (value, snapshot) in values(models, column).iter().zip(snapshots.iter().cycle()) {
            let mut snapshot = snapshot.clone();
            change(&mut snapshot, column, value);
            let kept = Snapshot::decode(&snapshot.clone().encode().unwrap()).unwrap();
            assert_eq!(kept, snapshot, "{} is {value:?}", column.as_str());
        }
    }
}

#[test]
fn every_column_of_an_instance_is_kept() {
    let models: Vec<_> = recorded().iter().map(|event| event.uncompressed().instance).collect();
    assert_kept::<Model>(&models, |snapshot, column: Column, value| snapshot.instance.set(column, value.clone()));
}

#[test]
fn every_column_of_a_run_is_kept() {
    let models: Vec<_> = recorded().iter().filter_map(|event| event.uncompressed().last_run).collect();
    assert_kept::<run::Model>(&models, |snapshot, column, value| {
        for run in [&mut snapshot.last_run, &mut snapshot.current_run].into_iter().flatten() {
            run.set(column, value.clone());
        }
    });
}

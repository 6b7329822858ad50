//! What the doctor finds about licences and what they cost.

use sea_orm::DbBackend;
use uuid::Uuid;

use super::doctor::{WELL, literal};

/// Statements that break something, each with the check that finds it.
pub fn breaks_of_spend(backend: DbBackend, orphan: Uuid) -> Vec<(&'static str, String)> {
    let orphan = literal(backend, orphan);
    vec![
        ("license-tally", format!("UPDATE license_tally SET run_id = instance_id WHERE instance_id = {WELL}")),
        ("license-tally", format!("DELETE FROM license_tally WHERE instance_id = {WELL}")),
        ("license-counts", format!("UPDATE license_count SET active = active + 1 WHERE instance_id = {WELL} AND license = 'Full'")),
        ("license-counts", format!("DELETE FROM license_count WHERE instance_id = {WELL} AND license = 'Full'")),
        ("license-counts", format!("UPDATE license_count SET inactive = inactive - 1 WHERE instance_id = {WELL}")),
        ("license-counts", format!("UPDATE license_count SET departed = departed + 1 WHERE instance_id = {WELL}")),
        ("license-counts", format!("UPDATE license_group SET people = people + 1 WHERE instance_id = {WELL}")),
        ("license-counts", format!("DELETE FROM license_group WHERE instance_id = {WELL}")),
        ("license-counts", format!("UPDATE license_tally SET untold = untold + 1 WHERE instance_id = {WELL}")),
        ("contracts", format!("INSERT INTO price (instance_id, license, currency, amount, months, updated_at) VALUES ({WELL}, 'Full', 'EUR', -1, 12, 0)")),
        ("contracts", format!("INSERT INTO contract (id, instance_id, name, name_key, currency, months, starts_on, ends_on, notice_days, notice_by, created_by, created_at, updated_at, revision)
            VALUES ({orphan}, {WELL}, 'A', 'a', 'EUR', 12, 1, 100, 0, 100, 'ada', 0, 0, 1)")),
        ("contract-owners", format!("INSERT INTO contract_line (contract_id, license, position, seats, is_total) VALUES ({orphan}, 'Full', 0, 1, FALSE)")),
        ("contract-owners", format!("INSERT INTO price (instance_id, license, currency, amount, months, updated_at) VALUES ({orphan}, 'Full', 'EUR', 1, 12, 0)")),
        ("currencies", format!("INSERT INTO price (instance_id, license, currency, amount, months, updated_at) VALUES ({WELL}, 'Full', 'ZZZ', 1, 12, 0)")),
    ]
}

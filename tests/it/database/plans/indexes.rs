//! The indexes, and what each is for.

/// The use of an index.
pub enum Use {
    /// A statement that contains these texts uses it.
    Finds(&'static [&'static str]),
    /// The same, in the test about people.
    OfPeople(&'static [&'static str]),
    /// It enforces uniqueness; statements need not use it.
    Forbids,
    /// Its statements are about contracts, webhooks or lists, which these servers do not have.
    Unplayed,
}
use self::Use::{Finds, Forbids, OfPeople, Unplayed};

/// The condition of users of a status that few have.
pub const OF_FEW: &str = r#""user_account"."status" IN ('suspended', 'invited')"#;

/// Every index of the migrations. The test fails for one that is missing here or is not used as stated.
pub const INDEXES: &[(&str, Use)] = &[
    ("ix_instance_name", Finds(&[r#"ORDER BY "name_key" ASC, "id" ASC"#])),
    ("ix_instance_created", Finds(&[r#"ORDER BY "created_at" ASC, "id" ASC"#])),
    ("ix_instance_synced", Finds(&[r#"ORDER BY "last_success_at" DESC, "id" DESC"#])),
    ("ix_instance_integration", Finds(&[r#""instance"."integration_key" = "#])),
    ("ix_instance_due", Finds(&[r#""next_sync_at" <="#])),
    ("ux_instance_name", Forbids),
    ("ix_sync_run_instance", Finds(&[r#""sync_run"."instance_id" = "#, r#""sync_run"."id" DESC"#])),
    ("ux_user_external", Finds(&["SELECT", "external_id", r#""user_account"."instance_id" = "#])),
    ("ix_user_instance", Finds(&[r#"ORDER BY "user_account"."instance_id" ASC, "user_account"."id" ASC"#])),
    ("ix_user_outdated_keys", Finds(&[r#""user_account"."key_version" < "#])),
    ("ix_user_removed", Finds(&[r#""user_account"."removed_at" < "#])),
    ("ix_user_status", Finds(&[OF_FEW, r#"ORDER BY "user_account"."id" ASC"#])),
    ("ix_user_instance_status", Finds(&[OF_FEW, r#"ORDER BY "user_account"."instance_id" ASC"#])),
    ("ix_user_instance_name", Finds(&["lower(", r#""user_account"."id" DESC"#])),
    ("ix_user_instance_status_name", Finds(&[OF_FEW, "lower("])),
    ("ix_user_word_instance", Finds(&[r#""user_word"."word" >="#, r#""user_word"."instance_id" = "#])),
    ("ix_instance_purging", Finds(&[r#"NOT IN (SELECT "instance"."id" FROM "instance" WHERE "instance"."purging")"#])),
    ("ix_user_change_run", Finds(&[r#""user_change"."run_id" = "#])),
    ("ix_user_change_user", Finds(&[r#"DELETE FROM "user_change" WHERE "user_change"."user_id" IN"#])),
    ("ix_event_instance", Finds(&[r#""event"."instance_id" = "#, r#""event"."seq" DESC"#])),
    ("ux_notification_once", Forbids),
    ("ix_notification_instance", Finds(&[r#""notification"."instance_id" = "#])),
    ("ux_job_subject", Forbids),
    ("ix_job_claim", Finds(&[r#"SELECT "job"."id""#, r#""job"."run_at" <= "#])),
    ("ix_notification_alike", Finds(&[r#""notification"."address_key" = "#])),
    ("ux_api_token_hash", Finds(&[r#""api_token"."hash" = "#])),
    ("ix_session_member", Finds(&[r#""session"."member_id" = "#])),
    ("ix_sign_in_attempt_last", Finds(&[r#"DELETE FROM "sign_in_attempt""#, r#""last_at" < "#])),
    ("ix_audit_entry_at", Finds(&[r#""audit_entry"."at" >="#])),
    ("ix_audit_entry_actor", Finds(&[r#""audit_entry"."actor_id" = "#])),
    ("ix_audit_entry_action", Finds(&[r#""audit_entry"."action" IN"#])),
    ("ix_audit_entry_subject", Finds(&[r#""audit_entry"."subject_id" = "#])),
    ("ix_audit_entry_outcome", Finds(&[r#""audit_entry"."outcome" IN"#])),
    ("ix_audit_person_address", Finds(&[r#""audit_person"."address" = "#])),
    ("ix_oauth_authorization_expires", Finds(&[r#""oauth_authorization"."expires_at" <="#])),
    ("ux_person_address", Forbids),
    ("ix_person_state", OfPeople(&[r#""person"."state" = "#, r#"ORDER BY "person"."id" ASC"#])),
    ("ix_person_source", OfPeople(&[r#""person"."source_instance_id" = "#, r#"ORDER BY "person"."id" ASC"#])),
    ("ix_person_word_person", OfPeople(&[r#"DELETE FROM "person_word" WHERE "person_word"."person_id""#])),
    ("ix_source_account_person", OfPeople(&[r#"FROM "source_account" WHERE "source_account"."person_id""#])),
    ("ix_source_account_employee", OfPeople(&[r#"FROM "source_account""#, r#""source_account"."employee_id" "#])),
    ("ix_source_account_address", OfPeople(&[r#"OR "source_account"."address""#])),
    ("ix_source_account_external", OfPeople(&[r#"FROM "source_account" WHERE "source_account"."external_id""#])),
    ("ix_person_key_value", OfPeople(&[r#"FROM "person_key" WHERE "person_key"."value""#])),
    (
        "ix_person_key_account",
        OfPeople(&[r#"FROM "person_key" WHERE "person_key"."instance_id" = "#, r#""person_key"."external_id""#]),
    ),
    ("ix_account_link_person", OfPeople(&[r#"FROM "account_link" WHERE "account_link"."person_id""#])),
    ("ix_account_link_address", OfPeople(&[r#"FROM "account_link" WHERE "account_link"."address""#])),
    ("ix_account_link_source_id", OfPeople(&[r#"FROM "account_link" WHERE "account_link"."source_id""#])),
    ("ix_person_pin_person", OfPeople(&[r#""person_pin"."person_id""#])),
    ("ix_account_owner_person", OfPeople(&[r#""account_owner"."person_id""#])),
    ("ix_contract_notice", Unplayed),
    ("ux_contract_name", Forbids),
    ("ux_finding_open", Forbids),
    ("ix_finding_account", Finds(&["SELECT", r#""finding"."instance_id" = "#, r#""finding"."user_id" > "#])),
    ("ix_finding_kind", Finds(&[r#"ORDER BY "finding"."kind" DESC, "finding"."id" DESC"#])),
    ("ix_finding_list", Finds(&[r#"ORDER BY "finding"."kind" DESC, "finding"."instance_id" DESC"#])),
    ("ix_finding_user", Finds(&[r#"ORDER BY "finding"."user_id" DESC, "finding"."id" DESC"#])),
    ("ix_finding_excepted", Finds(&[r#""finding"."excepted_until" > "#, "GROUP BY"])),
    ("ix_finding_closed", Finds(&[r#""finding"."closed_at" < "#])),
    ("ix_account_link_duplicate", OfPeople(&["b.person_id = l.person_id"])),
    ("ix_account_link_kind", OfPeople(&["l.kind IS NOT NULL"])),
    ("ux_webhook_delivery_position", Forbids),
    ("ix_webhook_delivery_queue", Unplayed),
    ("ix_webhook_delivery_lane", Unplayed),
    ("ix_webhook_delivery_page", Unplayed),
    ("ix_list_delivery_instance", Unplayed),
];

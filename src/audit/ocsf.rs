//! Entries in the shape of the Open Cybersecurity Schema Framework (OCSF 1.3), which log systems read.
//!
//! Sign-ins are of the class Authentication, and everything else is of the class API Activity. What the schema has no
//! place for is in `unmapped`.

use entity::audit_entry::{Action, Outcome};
use serde_json::{Value, json};

use super::queries::Found;
use crate::secrets::hex;

const SCHEMA: &str = "1.3.0";

/// A class of the schema, and what is done in it.
struct Activity {
    class: u32,
    category: u32,
    id: u32,
}

impl Activity {
    fn of(action: Action) -> Self {
        use Action as A;
        let authentication = |id| Self { class: 3002, category: 3, id };
        let api = |id| Self { class: 6003, category: 6, id };
        match action {
            A::SignedIn | A::SignInFailed => authentication(1),
            A::SignedOut | A::SessionEnded => authentication(2),
            A::InstanceCreated | A::MemberCreated | A::TokenCreated | A::LinkCreated | A::ContractCreated => api(1),
            A::WebhookCreated => api(1),
            A::AuditExported | A::UsersExported | A::ReportExported | A::PersonRead => api(2),
            A::InstanceUpdated | A::RecipientsSet | A::MemberUpdated | A::TokenUpdated | A::PasswordSet => api(3),
            A::KeysRotated | A::PriceSet | A::ContractUpdated | A::ListDelivered | A::Changed => api(3),
            A::AccountLinked | A::AccountUnlinked | A::LinkReset | A::AccountKindSet | A::OwnerSet => api(3),
            A::PeopleSourcesSet | A::OwnedDomainsSet | A::WebhookUpdated | A::WebhookSecretRotated => api(3),
            A::FindingExcepted | A::ExceptionRevoked | A::ReportSettingsSet => api(3),
            A::InstanceDeleted | A::UsersDeleted | A::TokenRevoked | A::NamesErased | A::ContractDeleted => api(4),
            A::PersonErased => api(4),
            A::WebhookDeleted => api(4),
            A::WebhookTested | A::DeliveriesRetried => api(99),
            A::ConnectionTested | A::TestMailSent | A::RemovalsAccepted | A::GrowthAccepted => api(99),
            A::AuthorizationBegun | A::AuthorizationCompleted | A::AuthorizationFailed => api(99),
            A::SyncRequested | A::SyncCancelled | A::AccessRefused | A::AuditAccepted | A::BackupRestored => api(99),
            A::Unknown => api(99),
        }
    }
}

/// An entry as an event of the schema.
pub fn event(found: &Found) -> Value {
    let (entry, person) = (&found.entry, found.person.as_ref());
    let Activity { class, category, id } = Activity::of(entry.action());
    let name = person.map_or(&entry.actor, |person| &person.actor_name);
    let mut event = json!({
        "category_uid": category,
        "class_uid": class,
        "activity_id": id,
        "type_uid": class * 100 + id,
        "time": entry.at,
        "severity_id": if entry.outcome() == Outcome::Ok { 1 } else { 2 },
        "status_id": if entry.outcome() == Outcome::Ok { 1 } else { 2 },
        "count": entry.times,
        "message": entry.detail,
        "metadata": {
            "version": SCHEMA,
            "uid": entry.id.to_string(),
            "product": { "name": "Muster", "vendor_name": "Muster", "version": env!("CARGO_PKG_VERSION") },
        },
        "actor": { "user": { "name": name, "uid": entry.actor_id, "type": entry.actor_kind } },
        "api": { "operation": entry.action, "request": { "uid": entry.request_id } },
        "unmapped": { "outcome": entry.outcome, "hash": entry.hash.as_deref().map(hex) },
    });
    if let Some(code) = &entry.code {
        event["status_code"] = code.as_str().into();
    }
    if let Some(address) = person.and_then(|person| person.address.as_deref()) {
        event["src_endpoint"] = json!({ "ip": address });
    }
    if let (Some(kind), Some(id)) = (&entry.subject_kind, entry.subject_id) {
        let name = person.and_then(|person| person.subject_name.as_deref());
        event["resources"] = json!([{ "type": kind, "uid": id, "name": name }]);
    }
    if let (None, Some(name)) = (&entry.subject_kind, person.and_then(|person| person.subject_name.as_deref())) {
        event["resources"] = json!([{ "name": name }]);
    }
    if class == 3002 {
        event["user"] = event["actor"]["user"].clone();
    }
    event
}

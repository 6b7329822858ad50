//! Ids as clients see them: opaque, and each of one kind.

use async_graphql::ID;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::error::ApiError;
use crate::audit::{self, Subject};
use crate::error::Refusal;

/// The type of the thing that an id identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integration,
    Instance,
    SyncRun,
    User,
    Notification,
    Member,
    Session,
    ApiToken,
    Person,
    Contract,
    Finding,
    Webhook,
    WebhookDelivery,
}

const KINDS: [(Kind, &str); 13] = [
    (Kind::Integration, "Integration"),
    (Kind::Instance, "Instance"),
    (Kind::SyncRun, "SyncRun"),
    (Kind::User, "User"),
    (Kind::Notification, "Notification"),
    (Kind::Member, "Member"),
    (Kind::Session, "Session"),
    (Kind::ApiToken, "ApiToken"),
    (Kind::Person, "Person"),
    (Kind::Contract, "Contract"),
    (Kind::Finding, "Finding"),
    (Kind::Webhook, "Webhook"),
    (Kind::WebhookDelivery, "WebhookDelivery"),
];

impl Kind {
    fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// The longest text of a row's id: the name of its kind, a colon and 32 digits.
const MAX_ROW_TEXT: usize = 48;

/// The id of a row.
pub fn encode(kind: Kind, id: Uuid) -> ID {
    // Pages consist of ids to a good part, so that the text is put together without an allocation.
    let (name, mut text) = (kind.name().as_bytes(), [b':'; MAX_ROW_TEXT]);
    text[..name.len()].copy_from_slice(name);
    let digits = name.len() + 1;
    let end = digits + id.simple().encode_lower(&mut text[digits..]).len();
    ID(URL_SAFE_NO_PAD.encode(&text[..end]))
}

/// The text of an instance's id.
pub fn text_of_instance(id: Uuid) -> String {
    encode(Kind::Instance, id).0
}

/// The text of a run's id.
pub fn text_of_run(id: Uuid) -> String {
    encode(Kind::SyncRun, id).0
}

/// The path of an instance's page in the console, below its root.
pub fn page_of_instance(id: Uuid) -> String {
    format!("instances/{}", encode(Kind::Instance, id).0)
}

/// The id of something that is identified by a text.
pub fn encode_key(kind: Kind, key: &str) -> ID {
    ID(URL_SAFE_NO_PAD.encode([kind.name(), key].join(":")))
}

/// The kind and the key of an id of any kind; the error is a sentence for the client.
pub fn decode_any(id: &str) -> Result<(Kind, String), String> {
    let parse = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
        let (name, key) = text.split_once(':')?;
        let (kind, _) = KINDS.iter().find(|(_, known)| *known == name)?;
        Some((*kind, key.to_owned()))
    };
    parse().ok_or_else(|| "This is not an id that this server gave.".into())
}

/// The row that an id of this kind identifies; the error is a sentence for the client.
pub fn decode(kind: Kind, id: &str) -> Result<Uuid, String> {
    match decode_any(id)? {
        (found, key) if found == kind => {
            Uuid::try_parse(&key).map_err(|_| format!("This is not an id of a {}.", kind.name()))
        }
        (found, _) => Err(format!("This is the id of a {}, not of a {}.", found.name(), kind.name())),
    }
}

/// As [`decode`], for an argument of a query.
pub fn argument(kind: Kind, id: &ID) -> Result<Uuid, ApiError> {
    decode(kind, id).map_err(ApiError::InvalidInput)
}

/// As [`decode`], for the field of a mutation's input that says what the mutation is about.
pub fn input(kind: Kind, id: &ID, field: &str) -> Result<Uuid, Refusal> {
    let row = decode(kind, id).map_err(|message| Refusal::invalid(message, [field]))?;
    if let Some(subject) = subject(kind, row) {
        audit::note_subject(subject);
    }
    Ok(row)
}

/// What the audit log calls it.
pub fn subject(kind: Kind, id: Uuid) -> Option<Subject> {
    match kind {
        Kind::Instance => Some(Subject::instance(id)),
        Kind::ApiToken => Some(Subject::token(id)),
        Kind::Member => Some(Subject::member(id)),
        Kind::Session => Some(Subject::session(id)),
        Kind::User => Some(Subject::user(id)),
        Kind::Person => Some(Subject::person(id)),
        Kind::Webhook => Some(Subject::webhook(id)),
        Kind::Integration
        | Kind::SyncRun
        | Kind::Notification
        | Kind::Contract
        | Kind::Finding
        | Kind::WebhookDelivery => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_one_thing_of_one_kind() {
        let id = Uuid::now_v7();
        for (kind, _) in KINDS {
            assert_eq!(decode(kind, &encode(kind, id)), Ok(id));
            assert_eq!(encode(kind, id), encode_key(kind, &id.simple().to_string()));
        }
        assert!(decode(Kind::Instance, &encode(Kind::User, id)).unwrap_err().contains("of a User"));
        for bad in ["", "x", "SW5zdGFuY2U", "SW5zdGFuY2U6bm9wZQ", "💥", &"A".repeat(10_000)] {
            assert!(decode(Kind::Instance, bad).is_err(), "{bad}");
        }
    }
}

//! What a finding follows from: fields of the account with their values, named as in the API.

use entity::account_link;
use entity::finding::Kind;
use entity::user;
use sea_orm::ActiveEnum;

use crate::clock::date_time;

/// A field and its value; `None` if it has none.
pub type Fact = (String, Option<String>);

/// The facts, as they are now. They contain no address.
pub fn facts(kind: Kind, user: &user::Model, link: Option<&account_link::Model>) -> Vec<Fact> {
    match kind {
        Kind::LeaverActive => {
            let mut facts = vec![fact("status", name(Some(user.status))), fact("person.state", Some("LEFT".into()))];
            facts.extend(linked(link));
            facts
        }
        Kind::Unmatched | Kind::Conflict | Kind::Duplicate => linked(link).into(),
        Kind::NoMfa => vec![flag("mfaEnabled", user.mfa_enabled)],
        Kind::AdminWithoutMfa => vec![flag("isAdmin", user.is_admin), flag("mfaEnabled", user.mfa_enabled)],
        Kind::ExternalAdmin => vec![flag("isAdmin", user.is_admin), outside(user)],
        Kind::Inactive => vec![activity(user), age(user)],
        Kind::NeverUsed => vec![fact("licenses", user.licenses.clone()), activity(user), age(user)],
        Kind::External => vec![outside(user)],
        Kind::UnownedService => vec![fact("kind", name(link.and_then(|link| link.kind).or(user.kind)))],
    }
}

fn fact(field: &str, value: Option<String>) -> Fact {
    (field.to_owned(), value)
}

fn flag(field: &str, value: Option<bool>) -> Fact {
    fact(field, value.map(|value| value.to_string()))
}

/// A value of an enum as the API names it.
fn name<E: ActiveEnum<Value = String>>(value: Option<E>) -> Option<String> {
    value.map(|value| value.to_value().to_uppercase())
}

fn time(at: i64) -> String {
    date_time(at).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn activity(user: &user::Model) -> Fact {
    match user.last_active_at {
        Some(0) => flag("neverActive", Some(true)),
        at => fact("lastActiveAt", at.map(time)),
    }
}

fn age(user: &user::Model) -> Fact {
    match user.created_at {
        Some(at) => fact("createdAt", Some(time(at))),
        None => fact("firstSeenAt", Some(time(user.first_seen_at))),
    }
}

fn outside(user: &user::Model) -> Fact {
    if user.guest == Some(true) {
        return flag("guest", user.guest);
    }
    let domain = user.match_key.as_deref().and_then(|key| key.rsplit_once('@')).map(|(_, domain)| domain.to_owned());
    fact("domain", domain)
}

fn linked(link: Option<&account_link::Model>) -> [Fact; 2] {
    let rule = link.and_then(|link| link.rule);
    [fact("link.state", name(link.map(|link| link.state))), fact("link.rule", name(rule))]
}

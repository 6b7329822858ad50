//! Values that are written at once, as the library writes them.

use async_graphql::resolver_utils::EnumType;
use async_graphql::{Context, ID};
use chrono::{DateTime, Utc};

use super::plan::{Plan, Selected};
use crate::graphql::json;

/// A value that needs nothing to be read. Objects implement it by deriving `Fields`.
pub trait WriteJson {
    /// What is selected of an object, or of the objects of a list; a scalar has no plan. `None` if the library must
    /// resolve the field.
    fn plan<'a>(_: Selected<'_, 'a>) -> Option<Option<Plan<'a>>> {
        Some(None)
    }

    fn write(&self, plan: Option<&Plan<'_>>, ctx: &Context<'_>, text: &mut Vec<u8>);
}

impl<T: WriteJson + ?Sized> WriteJson for &T {
    fn plan<'a>(selected: Selected<'_, 'a>) -> Option<Option<Plan<'a>>> {
        T::plan(selected)
    }

    fn write(&self, plan: Option<&Plan<'_>>, ctx: &Context<'_>, text: &mut Vec<u8>) {
        T::write(self, plan, ctx, text);
    }
}

impl<T: WriteJson> WriteJson for Option<T> {
    fn plan<'a>(selected: Selected<'_, 'a>) -> Option<Option<Plan<'a>>> {
        T::plan(selected)
    }

    fn write(&self, plan: Option<&Plan<'_>>, ctx: &Context<'_>, text: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(plan, ctx, text),
            None => text.extend_from_slice(b"null"),
        }
    }
}

impl<T: WriteJson> WriteJson for [T] {
    fn plan<'a>(selected: Selected<'_, 'a>) -> Option<Option<Plan<'a>>> {
        T::plan(selected)
    }

    fn write(&self, plan: Option<&Plan<'_>>, ctx: &Context<'_>, text: &mut Vec<u8>) {
        text.push(b'[');
        for (index, value) in self.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            value.write(plan, ctx, text);
        }
        text.push(b']');
    }
}

impl<T: WriteJson> WriteJson for Vec<T> {
    fn plan<'a>(selected: Selected<'_, 'a>) -> Option<Option<Plan<'a>>> {
        T::plan(selected)
    }

    fn write(&self, plan: Option<&Plan<'_>>, ctx: &Context<'_>, text: &mut Vec<u8>) {
        self.as_slice().write(plan, ctx, text);
    }
}

impl WriteJson for str {
    fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
        json::write_text(self, text);
    }
}

impl WriteJson for String {
    fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
        json::write_text(self, text);
    }
}

impl WriteJson for ID {
    fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
        json::write_text(self, text);
    }
}

impl WriteJson for DateTime<Utc> {
    fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
        json::write_date_time(self, text);
    }
}

impl WriteJson for bool {
    fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
        text.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl WriteJson for i32 {
    fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
        json::write_plain(self, text);
    }
}

/// An enum is written as a text.
fn write_enum<T: EnumType>(value: T, text: &mut Vec<u8>) {
    let item = T::items().iter().find(|item| item.value == value);
    json::write_text(item.map_or("", |item| item.name), text);
}

macro_rules! enums {
    ($($ty:ty),* $(,)?) => {$(
        impl WriteJson for $ty {
            fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
                write_enum(*self, text);
            }
        }
    )*};
}

enums! {
    crate::instance::freshness::FreshnessState,
    crate::instance::notice::RemedyAction,
    crate::instance::notice::Severity,
    crate::instance::standing::Headline,
    crate::spend::reclaim::Reason,
    crate::spend::renewals::State,
    crate::spend::report::BucketKind,
    crate::spend::report::Reason,
    entity::audit_entry::Action,
    entity::audit_entry::ActorKind,
    entity::audit_entry::Outcome,
    entity::audit_entry::SubjectKind,
    crate::findings::queries::State,
    entity::event::Cause,
    entity::finding::CloseReason,
    entity::finding::Kind,
    entity::finding::Severity,
    entity::instance::Health,
    entity::instance::InactiveReason,
    entity::instance::Status,
    entity::account_link::Rule,
    entity::account_link::State,
    entity::api_token::Role,
    entity::person::State,
    entity::instance::SyncState,
    entity::notification::MailReason,
    entity::notification::NotificationKind,
    entity::notification::NotificationState,
    entity::run::FailureClass,
    entity::run::Outcome,
    entity::run::Trigger,
    entity::user::AccountKind,
    entity::user::UserStatus,
    entity::user_change::Kind,
    entity::webhook::DisabledReason,
    entity::webhook::Kind,
    entity::webhook::State,
    entity::webhook_delivery::State,
    integration::list::DateOrder,
    integration::list::Encoding,
    integration::list::Format,
    integration::manifest::auth::AuthenticationKind,
    integration::manifest::config::FieldKind,
    integration::source::Capability,
    integration::user::UserField,
}

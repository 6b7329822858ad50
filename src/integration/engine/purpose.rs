//! The purpose of a request, for error messages.

use serde_saphyr::Spanned;

use super::body::BodyError;
use crate::manifest::Manifest;
use crate::manifest::errors::ErrorRule;
use crate::manifest::listing::UserList;
use crate::source::{Advice, ErrorClass, SourceError};

/// What a request is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose<'a> {
    /// Pages are counted from 1.
    Users {
        list: &'a UserList,
        page: u64,
    },
    Join {
        name: &'a str,
        page: u64,
    },
    Detail {
        name: &'a str,
    },
    Identify,
    /// Counts the users.
    Count,
}

impl<'a> Purpose<'a> {
    /// The subject of a sentence about the response.
    fn subject(self) -> String {
        match self {
            Self::Users { list: UserList { name: None, .. }, page } => format!("Page {page} of the user list"),
            Self::Users { list: UserList { name: Some(name), .. }, page } => {
                format!("Page {page} of the list “{name}”")
            }
            Self::Join { name, page } => format!("Page {page} of the list “{name}”"),
            Self::Detail { name } => format!("The response “{name}” about a user"),
            Self::Identify => "The response that tells whose credential it is".to_owned(),
            Self::Count => "The response that counts the users".to_owned(),
        }
    }

    /// A sentence that says where an error occurred; `None` for the very first page.
    pub fn location(self) -> Option<String> {
        Some(match self {
            Self::Users { list: UserList { name: Some(name), .. }, .. } => format!("This was at the list “{name}”."),
            Self::Users { page: 1, .. } => return None,
            Self::Users { page, .. } => format!("This was at page {page} of the user list."),
            Self::Join { name, .. } => format!("This was at the list “{name}”."),
            Self::Detail { name } => format!("This was at the request “{name}” about a user."),
            Self::Identify => "This was at the request that tells whose credential it is.".to_owned(),
            Self::Count => "This was at the request that counts the users.".to_owned(),
        })
    }

    /// The error rules for this request alone, which come before the manifest's.
    pub fn error_rules(self, manifest: &'a Manifest) -> &'a [Spanned<ErrorRule>] {
        let users = &manifest.users;
        match self {
            Self::Users { list, .. } => &list.errors,
            Self::Join { name, .. } => users.joins.get(name).map_or(&[], |join| &join.value.errors),
            Self::Detail { name } => users.details.get(name).map_or(&[], |detail| &detail.value.errors),
            Self::Identify | Self::Count => &[],
        }
    }

    /// Whether the listing continues if the request fails.
    pub fn is_optional(self, manifest: &Manifest) -> bool {
        let users = &manifest.users;
        match self {
            Self::Join { name, .. } => users.joins.get(name).is_some_and(|join| !join.value.provides.0.is_empty()),
            Self::Detail { name } => users.details.get(name).is_some_and(|detail| !detail.value.provides.0.is_empty()),
            Self::Identify => manifest.may_skip_identify(),
            Self::Count => true,
            Self::Users { list, .. } => list.permission.is_some(),
        }
    }

    /// The permissions that the request needs.
    pub fn permissions(self, manifest: &'a Manifest) -> &'a [String] {
        let users = &manifest.users;
        let one = match self {
            Self::Users { list, .. } => match &list.permission {
                Some(permission) => Some(&permission.value),
                None => return &manifest.required_permissions,
            },
            Self::Join { name, .. } => users.joins.get(name).map(|join| &join.value.permission),
            Self::Detail { name } => users.details.get(name).map(|detail| &detail.value.permission),
            Self::Identify | Self::Count => return &manifest.required_permissions,
        };
        one.map_or(&[], std::slice::from_ref)
    }

    /// The error for a response that is not as the manifest says; `clause` tells why.
    pub fn unexpected(self, clause: &str, http_status: u16) -> SourceError {
        let message = format!("{} does not fit: {clause}.", self.subject());
        SourceError { http_status: Some(http_status), ..SourceError::new(ErrorClass::Config, message) }
    }

    /// The error for a response whose body cannot be read.
    pub fn unreadable(self, error: &BodyError, http_status: u16) -> SourceError {
        let class = if *error == BodyError::Incomplete { ErrorClass::Transient } else { ErrorClass::Config };
        let advice = if *error == BodyError::TooLarge { Advice::SmallerPage } else { Advice::None };
        SourceError { class, advice, ..self.unexpected(&error.to_string(), http_status) }
    }

    /// The error for a request that cannot be built; `clause` tells why.
    pub fn unbuildable(self, clause: &str) -> SourceError {
        SourceError::new(ErrorClass::Config, format!("{} cannot be read: {clause}.", self.subject()))
    }
}

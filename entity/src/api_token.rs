//! An API token. Only its hash is stored.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::growing::growing;

/// What a member, or the bearer of a token, may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, async_graphql::Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and changes everything.
    Admin,
    /// Reads and changes everything about instances, and nothing about those who use the server.
    Operator,
    /// Reads everything about instances and accounts, changes nothing.
    Viewer,
    /// Reads figures, and nothing about a person.
    // Nobody uses a row with a role that only a newer version knows: its signature covers that role, and not this one.
    #[serde(other)]
    Reports,
}

growing!(Role, 16);

impl Role {
    /// The one of two roles that allows less.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        let weakest_first = [Self::Reports, Self::Viewer, Self::Operator, Self::Admin];
        if weakest_first.into_iter().find(|role| [self, other].contains(role)) == Some(self) { self } else { other }
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "api_token")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
    pub role: Role,
    /// Receives mail about the instances that were created with this token.
    pub email: Option<String>,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
    /// Authenticates the other columns. A row without it is not valid.
    pub signature: Option<Vec<u8>>,
    /// Whether the limits of tokens do not apply.
    pub unlimited: bool,
    /// When it stops working; null for never.
    pub expires_at: Option<i64>,
    /// When it was used last, to about a minute. It is not signed.
    pub last_used_at: Option<i64>,
    /// The instances that it is limited to, as JSON; null for all.
    pub scope: Option<String>,
    /// The member that it belongs to, and ends with.
    pub member_id: Option<Uuid>,
    /// The address or name of the member, or the name of the token, that created it through the API.
    pub created_by: Option<String>,
    /// The member who created it, or a token before it, if it does not belong to a member.
    pub creator_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}

#[cfg(test)]
mod tests {
    use sea_orm::ActiveEnum;

    use super::Role;

    #[test]
    fn a_role_of_a_newer_version_is_read_as_the_one_that_allows_least() {
        assert_eq!(Role::try_from_value(&"wizard".to_owned()).unwrap(), Role::Reports);
        assert_eq!(Role::try_from_value(&"admin".to_owned()).unwrap(), Role::Admin);
    }
}

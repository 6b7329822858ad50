//! What callers may do. Nothing else compares roles.

use super::{Caller, Role};

impl Caller {
    /// Accounts, addresses, and everything else that names a person.
    pub fn may_read_people(&self) -> bool {
        matches!(self.role, Role::Admin | Role::Operator | Role::Viewer)
    }

    /// Instances, and who gets mail about them.
    pub fn may_operate(&self) -> bool {
        matches!(self.role, Role::Admin | Role::Operator)
    }

    /// The installation, and those who use it: members, tokens, the audit log.
    pub fn may_administer(&self) -> bool {
        self.role == Role::Admin
    }

    /// The schema, by introspection. Its file is public, so that this only keeps others from having the server write
    /// it.
    pub fn may_read_schema(&self) -> bool {
        self.may_operate()
    }
}

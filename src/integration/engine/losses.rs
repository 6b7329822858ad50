//! The optional parts of a listing that the application refused.

use std::collections::BTreeSet;

use crate::source::{ErrorClass, Loss, SourceError};
use crate::user::UserField;

/// What is not known in this run because the application refused it.
#[derive(Debug, Default)]
pub(super) struct Losses {
    pub fields: BTreeSet<UserField>,
    pub parts: Vec<Loss>,
}

impl Losses {
    /// Notes that the request for these fields was refused. Returns the error if it is no
    /// refusal, or if the run cannot go on without one of the fields.
    pub fn note(&mut self, provides: &[UserField], permission: &str, error: SourceError) -> Result<(), SourceError> {
        if error.class != ErrorClass::Permission || provides.is_empty() {
            return Err(error);
        }
        let missing = error.missing_permissions.first().cloned().unwrap_or_else(|| permission.to_owned());
        let loss = |field: &UserField| {
            let capability = field.info().capability?;
            Some(Loss { capability, missing_permission: Some(missing.clone()), reason: None })
        };
        let Some(losses) = provides.iter().map(loss).collect::<Option<Vec<_>>>() else {
            return Err(SourceError { missing_permissions: vec![missing], ..error });
        };
        self.parts.extend(losses);
        self.fields.extend(provides);
        Ok(())
    }

    /// Notes fields that some record lacked, although the application always writes them.
    pub fn note_incomplete(&mut self, fields: &BTreeSet<UserField>) {
        for field in fields {
            let Some(capability) = field.info().capability else { continue };
            let reason = Some(format!("Some records lack “{field}”, which the application always writes."));
            let loss = Loss { capability, missing_permission: None, reason };
            if !self.parts.contains(&loss) {
                self.parts.push(loss);
            }
        }
    }
}

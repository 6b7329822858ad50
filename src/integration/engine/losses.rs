//! The optional parts of a listing that the application refused, or did not answer.

use std::collections::BTreeSet;

use crate::source::{Advice, Capability, ErrorClass, Loss, SourceError};
use crate::user::UserField;

/// What is not known in this run because the application did not tell it.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// The fields that are not known for any of the users who follow.
    pub fields: BTreeSet<UserField>,
    pub parts: Vec<Loss>,
}

impl Losses {
    /// Notes that the part which provides these fields is lost for the rest of the run. Returns the error if the run
    /// cannot continue without the part.
    pub fn note(&mut self, provides: &[UserField], permission: &str, error: SourceError) -> Result<(), SourceError> {
        self.note_single(provides, permission, error)?;
        self.fields.extend(provides);
        Ok(())
    }

    /// Notes that some of the users were not listed.
    pub fn note_users(&mut self, permission: String, error: SourceError) {
        let (missing_permission, reason) = (Some(permission), Some(error.message));
        self.add(Loss { capability: Capability::Users, missing_permission, reason });
    }

    /// Notes fields that some records lack, although the application always writes them.
    pub fn note_incomplete(&mut self, fields: &BTreeSet<UserField>) {
        for field in fields {
            let Some(capability) = field.info().capability else { continue };
            let reason = Some(format!("Some records lack “{field}”, which the application always writes."));
            self.add(Loss { capability, missing_permission: None, reason });
        }
    }

    fn add(&mut self, loss: Loss) {
        if !self.parts.contains(&loss) {
            self.parts.push(loss);
        }
    }

    /// Notes that these fields are lost for single users.
    pub fn note_single(
        &mut self,
        provides: &[UserField],
        permission: &str,
        error: SourceError,
    ) -> Result<(), SourceError> {
        // Nothing else would succeed without the credential, and a password must not be tried again and again.
        let ended = error.definite || error.advice == Advice::SignIn || error.class == ErrorClass::Internal;
        if ended || provides.is_empty() {
            return Err(error);
        }
        let refused = error.class == ErrorClass::Permission;
        let missing = error.missing_permissions.into_iter().next().unwrap_or_else(|| permission.to_owned());
        let missing = Some(missing).filter(|missing| refused && !missing.is_empty());
        for field in provides {
            // Without addresses or names, the user list itself is incomplete.
            let capability = field.info().capability.unwrap_or(Capability::Users);
            let known = |loss: &Loss| loss.capability == capability && loss.missing_permission == missing;
            if !self.parts.iter().any(known) {
                let reason = Some(error.message.clone());
                self.parts.push(Loss { capability, missing_permission: missing.clone(), reason });
            }
        }
        Ok(())
    }
}

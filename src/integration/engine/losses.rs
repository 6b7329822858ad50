//! The optional parts of a listing that the application refused, or did not answer.

use std::collections::BTreeSet;

use crate::manifest::listing::UserList;
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

    /// Notes that a list of users could not be read. Returns the error if the run cannot continue without it.
    pub fn note_list(&mut self, list: &UserList, error: SourceError) -> Result<(), SourceError> {
        let Some(permission) = list.permission.as_ref().filter(|_| !ends_run(&error)) else { return Err(error) };
        // Some applications hide what a credential may not see.
        let refused = matches!(error.class, ErrorClass::Permission | ErrorClass::Config)
            && matches!(error.http_status, Some(400 | 403 | 404 | 405));
        let missing = error.missing_permissions.into_iter().next().unwrap_or_else(|| permission.value.clone());
        let is_absent = error.class == ErrorClass::Config;
        let loss = Loss::new(list.capability(), Some(missing).filter(|_| refused), Some(error.message));
        self.add(Loss { is_absent, ..loss });
        Ok(())
    }

    /// Notes fields that some records lack, although the application always writes them.
    pub fn note_incomplete(&mut self, fields: &BTreeSet<UserField>) {
        for field in fields {
            let Some(capability) = field.info().capability else { continue };
            let reason = Some(format!("Some records lack “{field}”, which the application always writes."));
            self.add(Loss::new(capability, None, reason));
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
        if ends_run(&error) || provides.is_empty() {
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
                self.parts.push(Loss::new(capability, missing.clone(), reason));
            }
        }
        Ok(())
    }
}

/// Whether nothing else would succeed after an error: the credential is gone, or it is a password, which must not be
/// tried again and again.
fn ends_run(error: &SourceError) -> bool {
    error.definite || error.advice == Advice::SignIn || error.class == ErrorClass::Internal
}

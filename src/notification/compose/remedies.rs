//! What each failure class means, and what a person can do about it.

use entity::run::FailureClass as Class;

use super::moment;
use super::wording::Words;

const PROOF: &str = "Muster checks the token first, then syncs at once. A mail tells you when it works again.";

impl Words<'_> {
    /// Why, in the few words that a subject has room for.
    pub(super) fn reason(&self, class: Class) -> String {
        let app = &self.app;
        match class {
            Class::Token => "the token is no longer accepted".to_owned(),
            Class::Permission => "a permission is missing".to_owned(),
            Class::RateLimit => format!("{app} asks to slow down"),
            Class::Transient => format!("{app} is unreachable or has an error"),
            Class::Config => format!("the answer of {app} does not fit"),
            Class::RemovalGuard => "too many users would be removed".to_owned(),
            Class::Timeout => "it was not completed in time".to_owned(),
            Class::Internal => "an error of Muster itself".to_owned(),
        }
    }

    /// The same in a sentence.
    pub(super) fn cause(&self, class: Class) -> String {
        let app = &self.app;
        match class {
            Class::Token => format!(
                "{app} does not accept the token of this instance: it was revoked, or it \
                has expired."
            ),
            Class::Permission => format!(
                "{app} knows the token of this instance, but does not allow it to list \
                the users."
            ),
            Class::RateLimit => format!("{app} asked Muster to slow down, for longer than one sync may wait."),
            Class::Transient => format!(
                "{app} could not be reached or answered with an error of its own, \
                several times in a row."
            ),
            Class::Config => format!("{app} gave an answer that Muster cannot use."),
            Class::RemovalGuard => format!(
                "The user list that {app} gave is so much shorter than before that \
                Muster holds the removals until a person confirms them."
            ),
            Class::Timeout => format!("{app} stopped answering, or the sync was interrupted too often."),
            Class::Internal => format!("Muster itself had an error; neither {app} nor the token is at fault."),
        }
    }

    /// What to do now, in order.
    pub(super) fn steps(&self, class: Class) -> Vec<String> {
        let Self { app, revoked, .. } = self;
        let grant = if self.permissions.is_empty() {
            format!("In {app}, allow the token to list users.")
        } else {
            format!("In {app}, give the token what is missing: {}.", self.permissions)
        };
        if self.facts.consents
            && let Some(steps) = self.steps_of_consent(class, &grant)
        {
            return steps;
        }
        match (class, revoked) {
            (Class::Token, true) => vec![
                format!("In {app}, make a new token with the same permissions, or make the old one valid again."),
                "In Muster, open the instance and enter the new token; if the old one is valid again, set the \
                    instance to Live."
                    .to_owned(),
                PROOF.to_owned(),
            ],
            (Class::Permission, true) => vec![
                grant,
                format!(
                    "In Muster, open the instance and set it to Live; if {app} gave you a new token, enter \
                    that instead."
                ),
                PROOF.to_owned(),
            ],
            (_, true) => self.steps_without_class(),
            (Class::Token, false) => vec![
                format!("Look in {app} whether the token is still valid."),
                "If it is not, open the instance in Muster and enter a new one.".to_owned(),
                format!("If it is, {}", self.wait()),
            ],
            (Class::Permission, false) => vec![grant, format!("Then {}", self.wait())],
            (Class::RateLimit, false) => vec![
                format!("At first, {}", self.wait()),
                format!(
                    "If it keeps failing, let this instance sync less often, or look in {app} what else \
                    uses up its limit."
                ),
            ],
            (Class::Transient, false) => vec![
                format!("At first, {}", self.wait()),
                format!(
                    "If it keeps failing, look at the status page of {app}, and whether this server can \
                    reach {app}."
                ),
            ],
            (Class::Config, false) => vec![
                "In Muster, check the settings of the instance, first of all its address, and test the \
                    connection."
                    .to_owned(),
                format!(
                    "If they are right, {app} may have changed its interface: give the detail above to \
                    whoever looks after Muster."
                ),
            ],
            (Class::RemovalGuard, false) => vec![
                format!("Look in {app} whether these users are really gone."),
                "If they are, start a sync in Muster that accepts the removals.".to_owned(),
                format!("If they are not, put right in {app} what the token may see; then {}", self.wait()),
            ],
            (Class::Timeout, false) => vec![
                format!("At first, {}", self.wait()),
                format!(
                    "If it keeps failing, look whether {app} answers slowly, and whether this server is \
                    restarted often."
                ),
            ],
            (Class::Internal, false) => vec![
                format!("There is nothing to do in {app}: {}", self.wait()),
                format!(
                    "If it keeps failing, look into the log of the Muster server at \
                    {}.",
                    moment(self.facts.outcome_at_ms)
                ),
            ],
        }
    }

    /// The same where a person consents in their browser; `None` where that makes no difference.
    fn steps_of_consent(&self, class: Class, grant: &str) -> Option<Vec<String>> {
        let app = &self.app;
        Some(match (class, self.revoked) {
            (Class::Token, true) => vec![
                format!(
                    "In Muster, open the instance and choose to consent again; {app} then asks you in your browser."
                ),
                "If the old consent counts again, set the instance to Live instead.".to_owned(),
                PROOF.to_owned(),
            ],
            (Class::Permission, true) => vec![
                grant.to_owned(),
                format!(
                    "In Muster, open the instance and set it to Live; if {app} asks for a new consent, give it there."
                ),
                PROOF.to_owned(),
            ],
            (Class::Token, false) => vec![
                format!("Look in {app} whether the consent still counts."),
                "If it does not, open the instance in Muster and choose to consent again.".to_owned(),
                format!("If it does, {}", self.wait()),
            ],
            _ => return None,
        })
    }

    /// When the class says nothing, or does not fit what the server did.
    pub(super) fn steps_without_class(&self) -> Vec<String> {
        if self.revoked {
            vec![
                format!("Put right in {} what is described above.", self.app),
                "In Muster, open the instance and set it to Live.".to_owned(),
                PROOF.to_owned(),
            ]
        } else {
            vec!["Open the instance in Muster and look at its history.".to_owned()]
        }
    }

    fn wait(&self) -> String {
        match self.facts.next_sync_ms {
            Some(next) => format!(
                "wait: Muster tries again at {}. You can also start a sync in \
                Muster.",
                moment(next)
            ),
            None => "start a sync in Muster, or wait for the next one.".to_owned(),
        }
    }
}

//! The meaning of each failure class, and what a person can do about it.

use entity::run::FailureClass as Class;

use super::format_time;
use super::wording::Writer;

/// What to do when no list was delivered.
const DELIVER: [&str; 2] = [
    "Find out why the list was not delivered: who exports it, and what sends it.",
    "Deliver the list as it is now: on the page of the instance in Muster, or with `muster list push`.",
];

impl Writer<'_> {
    /// What has the permissions: the token, or the account that a password belongs to.
    pub(super) fn holder(&self) -> &'static str {
        if self.facts.secret == "password" { "account" } else { "token" }
    }

    fn verification(&self) -> String {
        let secret = self.facts.secret;
        format!("Muster checks the {secret} first, then syncs at once, and writes when it works again.")
    }

    /// The reason in a few words, for the subject.
    pub(super) fn reason(&self, class: Class) -> String {
        let app = &self.app;
        match class {
            Class::Token => format!("the {} is not accepted", self.facts.secret),
            Class::Permission => "a permission is missing".to_owned(),
            Class::RateLimit => format!("{app} asks to slow down"),
            Class::Transient => format!("{app} is unreachable or has an error"),
            Class::Config => format!("the response of {app} is not as expected"),
            Class::RemovalGuard => "too many users would be removed".to_owned(),
            Class::GrowthGuard => "far too many users are listed".to_owned(),
            Class::Timeout => "it was not completed in time".to_owned(),
            Class::Overdue => "no list was delivered in time".to_owned(),
            Class::Internal => "an error of Muster itself".to_owned(),
            Class::Unknown => "a newer version of Muster knows why".to_owned(),
        }
    }

    /// The reason in a sentence.
    pub(super) fn cause(&self, class: Class) -> String {
        let (app, secret, holder) = (&self.app, self.facts.secret, self.holder());
        match class {
            Class::Token => format!(
                "{app} does not accept the {secret} of this instance: it was revoked or changed, or it \
                has expired."
            ),
            Class::Permission => format!(
                "{app} knows the {holder} of this instance, but does not allow it to list \
                the users."
            ),
            Class::RateLimit => format!("{app} asked Muster to slow down, for longer than one sync may wait."),
            Class::Transient => format!(
                "{app} could not be reached or answered with an error of its own, \
                several times in a row."
            ),
            Class::Config => format!("{app} sent a response that Muster cannot use."),
            Class::RemovalGuard => format!(
                "The user list that {app} gave is so much shorter than before that \
                Muster holds the removals until a person confirms them."
            ),
            Class::GrowthGuard => format!(
                "The user list that {app} gave is so much longer than before that \
                Muster keeps none of the new users until a person confirms them."
            ),
            Class::Timeout => format!("{app} stopped answering, or the sync was interrupted too often."),
            Class::Overdue => {
                "Muster waits for a list, and nobody delivered one within the interval of this instance.".to_owned()
            }
            Class::Internal => format!("Muster itself had an error; neither {app} nor the {secret} is at fault."),
            Class::Unknown => "Only a newer version of Muster, which runs beside this one, knows why.".to_owned(),
        }
    }

    /// What to do now, step by step.
    pub(super) fn steps(&self, class: Class) -> Vec<String> {
        let special = if self.facts.uses_consent { self.steps_for_consent(class) } else { None };
        special.unwrap_or_else(|| if self.revoked { self.steps_if_revoked(class) } else { self.steps_if_live(class) })
    }

    fn grant_permissions(&self) -> String {
        if self.permissions.is_empty() {
            format!("In {}, allow the {} to list users.", self.app, self.holder())
        } else {
            format!("In {}, give the {} what is missing: {}.", self.app, self.holder(), self.permissions)
        }
    }

    fn steps_if_revoked(&self, class: Class) -> Vec<String> {
        let (app, secret) = (&self.app, self.facts.secret);
        match class {
            Class::Token => vec![
                format!("In {app}, make a new {secret} with the same permissions, or make the old one valid again."),
                format!(
                    "In Muster, open the instance and enter the new {secret}; if the old one is valid again, set the \
                    instance to Live."
                ),
                self.verification(),
            ],
            Class::Permission => vec![
                self.grant_permissions(),
                format!(
                    "In Muster, open the instance and set it to Live; if {app} gave you a new {secret}, enter \
                    that instead."
                ),
                self.verification(),
            ],
            _ => self.steps_without_class(),
        }
    }

    fn steps_if_live(&self, class: Class) -> Vec<String> {
        let (app, secret, holder) = (&self.app, self.facts.secret, self.holder());
        match class {
            Class::Token => vec![
                format!("Check in {app} whether the {secret} is still valid."),
                "If it is not, open the instance in Muster and enter a new one.".to_owned(),
                format!("If it is, {}", self.wait()),
            ],
            Class::Permission => vec![self.grant_permissions(), format!("Then {}", self.wait())],
            Class::RateLimit => vec![
                format!("At first, {}", self.wait()),
                format!(
                    "If it keeps failing, let this instance sync less often, or check in {app} what else \
                    uses up its limit."
                ),
            ],
            Class::Transient => vec![
                format!("At first, {}", self.wait()),
                format!(
                    "If it keeps failing, look at the status page of {app}, and check whether this server can \
                    reach {app}."
                ),
            ],
            Class::Config => vec![
                "In Muster, check the settings of the instance, first of all its address, and test the \
                    connection."
                    .to_owned(),
                format!(
                    "If they are right, {app} may have changed its interface: give the detail above to \
                    the administrator of Muster."
                ),
            ],
            Class::RemovalGuard => vec![
                format!("Check in {app} whether these users are really gone."),
                "If they are, start a sync in Muster that accepts the removals.".to_owned(),
                format!("If they are not, correct in {app} what the {holder} may see; then {}", self.wait()),
            ],
            Class::GrowthGuard => vec![
                format!("Check in {app} whether all these users belong to it."),
                "If they do, start a sync in Muster that accepts the growth.".to_owned(),
                format!("If they do not, correct in {app} what the {holder} may see; then {}", self.wait()),
            ],
            Class::Timeout => vec![
                format!("At first, {}", self.wait()),
                format!(
                    "If it keeps failing, check whether {app} answers slowly, and whether this server is \
                    restarted often."
                ),
            ],
            Class::Overdue => DELIVER.map(str::to_owned).to_vec(),
            Class::Unknown => vec![format!("At first, {}", self.wait())],
            Class::Internal => vec![
                format!("There is nothing to do in {app}: {}", self.wait()),
                format!(
                    "If it keeps failing, look into the log of the Muster server at {}.",
                    format_time(self.facts.outcome_at_ms)
                ),
            ],
        }
    }

    /// The steps for an instance that uses consent; `None` if they are the same.
    fn steps_for_consent(&self, class: Class) -> Option<Vec<String>> {
        let app = &self.app;
        Some(match (class, self.revoked) {
            (Class::Token, true) => vec![
                format!(
                    "In Muster, open the instance and choose to consent again; {app} then asks you in your browser."
                ),
                "If the old consent is valid again, set the instance to Live instead.".to_owned(),
                self.verification(),
            ],
            (Class::Permission, true) => vec![
                self.grant_permissions(),
                format!(
                    "In Muster, open the instance and set it to Live; if {app} asks for a new consent, give it there."
                ),
                self.verification(),
            ],
            (Class::Token, false) => vec![
                format!("Check in {app} whether the consent is still valid."),
                "If it is not, open the instance in Muster and choose to consent again.".to_owned(),
                format!("If it is, {}", self.wait()),
            ],
            _ => return None,
        })
    }

    /// The steps if there is no failure class, or none for which the server revokes.
    pub(super) fn steps_without_class(&self) -> Vec<String> {
        if self.revoked {
            vec![
                format!("Fix in {} what is described above.", self.app),
                "In Muster, open the instance and set it to Live.".to_owned(),
                self.verification(),
            ]
        } else {
            vec!["Open the instance in Muster and look at its history.".to_owned()]
        }
    }

    pub(super) fn wait(&self) -> String {
        match self.facts.next_sync_ms {
            Some(next) => format!(
                "wait: Muster tries again at {}. You can also start a sync in \
                Muster.",
                format_time(next)
            ),
            None => "start a sync in Muster, or wait for the next one.".to_owned(),
        }
    }
}

//! What members may give for a webhook.

use entity::event::Cause;
use entity::webhook::{Kind, Model};
use ipnet::IpNet;
use url::Url;

use super::kind::{self, Address, Family, Wrong, family};
use super::wanted::Wanted;
use super::{MOST_WEBHOOKS, sealed};
use crate::auth::Scope;
use crate::error::{Error, Refusal, Result};
use crate::instance::Instances;
use crate::secrets::KeyRing;

/// In characters.
const LONGEST_URL: usize = 2_000;
const LONGEST_DESCRIPTION: usize = 200;
/// How many integrations, and how many instances, a scope names at most.
const MOST_NAMED: usize = 100;

/// What a member decides about a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub kind: Kind,
    /// Of one that is stored and is a chat or an alert manager, only what is not secret.
    pub url: String,
    /// The key or token of a service.
    pub key: Option<String>,
    pub description: String,
    pub wanted: Wanted,
}

impl Definition {
    pub fn of(row: &Model) -> Result<Self> {
        Ok(Self {
            kind: row.kind,
            url: row.url.clone(),
            key: None,
            description: row.description.clone(),
            wanted: Wanted::of(row)?,
        })
    }

    /// The same with the address that is sealed in the row.
    pub(super) fn with_address(self, keys: &KeyRing, row: &Model) -> Self {
        match sealed::open_address(keys, row) {
            Ok(Address { url, key }) if family(row.kind) != Family::Standard => Self { url, key, ..self },
            _ => self,
        }
    }

    pub(super) fn address(&self) -> Address {
        Address { url: self.url.clone(), key: self.key.clone() }
    }

    /// The definition as it is stored, or everything that is wrong with it. An address that is as it was `before` is not
    /// checked again.
    pub(super) fn checked(mut self, networks: &[IpNet], before: Option<&Self>) -> Result<Self> {
        let mut refusals = Vec::new();
        self.url = self.url.trim().into();
        if before.is_none_or(|before| before.address() != self.address()) {
            match self.checked_address(networks) {
                Ok(Address { url, key }) => (self.url, self.key) = (url, key),
                Err((field, message)) => refusals.push(Refusal::invalid(message, [field])),
            }
        }
        self.description = self.description.trim().into();
        if self.description.chars().count() > LONGEST_DESCRIPTION || self.description.chars().any(char::is_control) {
            let message = format!("A description has at most {LONGEST_DESCRIPTION} characters on one line.");
            refusals.push(Refusal::invalid(message, ["description"]));
        }
        if family(self.kind) != Family::Standard
            && self.wanted != (Wanted { scope: self.wanted.scope.clone(), ..NOTICES })
        {
            let message = "A chat gets what is also written by mail, and an alert manager gets alerts. Leave causes, onlyChanges, \
                           accountChanges and findingChanges out.";
            refusals.push(Refusal::invalid(message, ["causes"]));
        }
        let Wanted { causes, account_changes, finding_changes, scope, .. } = &mut self.wanted;
        if let Some(causes) = causes {
            if causes.iter().any(|cause| matches!(cause, Cause::Snapshot | Cause::Unknown)) {
                refusals.push(Refusal::invalid("No event of the log has the cause SNAPSHOT or UNKNOWN.", ["causes"]));
            }
            if causes.is_empty() && account_changes.is_empty() && !*finding_changes {
                let message = "Choose at least one cause, or changes of accounts or of findings.";
                refusals.push(Refusal::invalid(message, ["causes"]));
            }
            dedup(causes);
        }
        dedup(account_changes);
        if let Some(refusal) = scope.as_ref().and_then(check_scope) {
            refusals.push(refusal);
        }
        if refusals.is_empty() { Ok(self) } else { Err(Error::Refused(refusals)) }
    }

    fn checked_address(&self, networks: &[IpNet]) -> Result<Address, Wrong> {
        let address = kind::checked(self.kind, &self.url, self.key.as_deref(), networks)?;
        check_url(&address.url, !networks.is_empty()).map_err(|message| ("url", message))?;
        Ok(address)
    }
}

/// What a chat and an alert manager want: they cannot choose.
const NOTICES: Wanted =
    Wanted { causes: None, only_changes: true, account_changes: Vec::new(), finding_changes: false, scope: None };

fn dedup<T: PartialEq>(values: &mut Vec<T>) {
    let mut seen = Vec::new();
    for value in values.drain(..) {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    *values = seen;
}

fn check_url(text: &str, allows_http: bool) -> Result<(), String> {
    if text.chars().count() > LONGEST_URL {
        return Err(format!("An address has at most {LONGEST_URL} characters."));
    }
    let Ok(url) = Url::parse(text) else {
        return Err("This is no address. It must be a whole one, such as https://example.com/hook.".into());
    };
    match url.scheme() {
        "https" => {}
        "http" if allows_http => {}
        "http" => {
            return Err(
                "The address must begin with https://. Plain http is for the networks of MUSTER_ALLOWED_NETWORKS \
                        only, and there are none."
                    .into(),
            );
        }
        _ => return Err("The address must begin with https://.".into()),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("The address has no host.".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("The address must not contain a user name or a password. Check the signature instead.".into());
    }
    if url.fragment().is_some() {
        return Err("The address must not contain a fragment (#…), because it is never sent.".into());
    }
    Ok(())
}

fn check_scope(scope: &Scope) -> Option<Refusal> {
    let Scope { integrations, instances } = scope;
    if integrations.is_empty() && instances.is_empty() {
        return Some(Refusal::invalid("Give at least one integration or instance.", ["scope"]));
    }
    let is_long = integrations.len().max(instances.len()) > MOST_NAMED;
    is_long.then(|| Refusal::invalid(format!("At most {MOST_NAMED} integrations and as many instances."), ["scope"]))
}

/// Refuses a scope with an integration or an instance that does not exist.
pub(super) async fn check_known(instances: &Instances, scope: &Scope) -> Result<()> {
    if scope.integrations.iter().any(|key| instances.catalog.find(key).is_none()) {
        let message = "The catalog has no integration of one of these keys.";
        return Err(Refusal::invalid(message, ["scope", "integrationKeys"]).into());
    }
    let known = instances.existing(scope.instances.iter().copied().collect(), &None).await?;
    if known.len() < scope.instances.len() {
        let message = "There is no instance with one of these ids.";
        return Err(Refusal::invalid(message, ["scope", "instanceIds"]).into());
    }
    Ok(())
}

/// The refusal of one webhook too many.
pub(super) fn too_many() -> Error {
    let message = format!("There are at most {MOST_WEBHOOKS} webhooks. Delete one that is not used any more.");
    Refusal::invalid(message, ["url"]).into()
}

#[cfg(test)]
mod tests {
    use entity::user_change::Kind as AccountChange;

    use super::*;

    fn definition(url: &str) -> Definition {
        let wanted = NOTICES;
        Definition { kind: Kind::Standard, url: url.into(), key: None, description: " Tickets ".into(), wanted }
    }

    #[test]
    fn an_address_is_whole_and_has_no_password() {
        for good in ["https://a.example", " https://a.example:8443/x?token=1 ", "https://[2001:db8::1]/"] {
            let checked = definition(good).checked(&[], None).unwrap();
            assert_eq!((checked.url.as_str(), checked.description.as_str()), (good.trim(), "Tickets"));
        }
        for bad in [
            "",
            "x",
            "a.example/hook",
            "ftp://a.example",
            "http://a.example",
            "https://",
            "https://u:p@a.example",
            "https://a.example/#x",
        ] {
            assert!(definition(bad).checked(&[], None).is_err(), "{bad}");
        }
        assert!(definition("http://10.0.0.1/hook").checked(&["10.0.0.0/8".parse().unwrap()], None).is_ok());
        assert!(
            definition(&format!("https://a.example/{}", "x".repeat(LONGEST_URL)))
                .checked(&["10.0.0.0/8".parse().unwrap()], None)
                .is_err()
        );
    }

    #[test]
    fn a_webhook_wants_something_that_happens() {
        let with = |causes: Vec<Cause>, account_changes: Vec<AccountChange>| {
            let wanted = Wanted { causes: Some(causes), account_changes, ..definition("").wanted };
            Definition { wanted, ..definition("https://a.example") }.checked(&[], None)
        };
        assert!(with(Vec::new(), Vec::new()).is_err());
        assert!(with(vec![Cause::Snapshot], Vec::new()).is_err());
        assert!(with(Vec::new(), vec![AccountChange::Added]).is_ok());
        let wanted = Wanted { causes: Some(Vec::new()), finding_changes: true, ..NOTICES };
        assert!(Definition { wanted, ..definition("https://a.example") }.checked(&[], None).is_ok());
        let twice = with(vec![Cause::SyncFailed, Cause::SyncFailed], Vec::new()).unwrap();
        assert_eq!(twice.wanted.causes, Some(vec![Cause::SyncFailed]));
    }

    #[test]
    fn a_scope_names_something() {
        let with = |scope: Scope| {
            let wanted = Wanted { scope: Some(scope), ..definition("").wanted };
            Definition { wanted, ..definition("https://a.example") }.checked(&[], None)
        };
        assert!(with(Scope::default()).is_err());
        assert!(with(Scope { integrations: ["okta".to_owned()].into(), ..Scope::default() }).is_ok());
        let many = (0..=MOST_NAMED).map(|number| number.to_string()).collect();
        assert!(with(Scope { integrations: many, ..Scope::default() }).is_err());
    }

    #[test]
    fn a_chat_cannot_choose_its_events() {
        let chat = |wanted: Wanted| {
            let url = "https://hooks.slack.com/services/T0/B0/abc".to_owned();
            Definition { kind: Kind::Slack, url, wanted, ..definition("") }.checked(&[], None)
        };
        assert!(chat(NOTICES).is_ok());
        assert!(chat(Wanted { only_changes: false, ..NOTICES }).is_err());
        assert!(chat(Wanted { finding_changes: true, ..NOTICES }).is_err());
        assert!(chat(Wanted { causes: Some(vec![Cause::SyncFailed]), ..NOTICES }).is_err());
        let scope = Some(Scope { integrations: ["okta".to_owned()].into(), ..Scope::default() });
        assert!(chat(Wanted { scope, ..NOTICES }).is_ok());
    }
}

//! Replays a case, and finds what a file of samples does not cover.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_saphyr::{Location, Spanned};

use super::format::{Case, Exchange, SampleGrant};
use super::outcome::Outcome;
use super::recording::Recording;
use super::{NOW, Replay, Samples};
use crate::engine::{Client, ClientSettings, HttpSource, RetryPolicy, Transport};
use crate::grant::{Grant, GrantInMemory, GrantStore};
use crate::manifest::Manifest;
use crate::manifest::auth::Auth;
use crate::manifest::expr::Document;
use crate::manifest::listing::UserList;
use crate::manifest::paging::Paging;
use crate::source::{Config, ErrorClass, Loss, Source as _};
use crate::user::UserStatus;

impl Samples {
    /// Replays every case with the manifest.
    pub async fn replay(&self, manifest: &Arc<Manifest>) -> Replay {
        let (mut faults, mut sent) = (Vec::new(), BTreeSet::new());
        for case in &self.cases {
            let name = &case.value.name;
            let recording = Arc::new(Recording::new(&case.value.exchanges, manifest));
            let found = self.replay_case(manifest, case, &recording).await;
            faults.extend(found.into_iter().map(|(at, message)| self.fault(at, format!("case “{name}”: {message}"))));
            sent.extend(recording.sent());
        }
        faults.sort_by_key(|fault| (fault.line, fault.column));
        Replay { cases: self.cases.len(), faults, gaps: self.gaps(manifest, &sent) }
    }

    async fn replay_case(
        &self,
        manifest: &Arc<Manifest>,
        case: &Spanned<Case>,
        recording: &Arc<Recording>,
    ) -> Vec<(Location, String)> {
        let mut config = self.config.clone();
        config.extend(case.value.config.clone());
        let outcome = run(manifest, config, &case.value, recording.clone()).await;
        let mut faults = recording.faults(case.referenced);
        if recording.has_unexpected_request() {
            return faults;
        }
        faults.extend(outcome.differences(case));
        // After an unexpected error, the remaining requests cannot be expected.
        if outcome.error.is_none() || case.value.error.is_some() {
            faults.extend(recording.missing_requests());
        }
        faults
    }

    /// What the samples should cover and do not. `sent` are the addresses that a body was sent to.
    fn gaps(&self, manifest: &Manifest, sent: &BTreeSet<String>) -> Vec<String> {
        let users = &manifest.users;
        let cases = || self.cases.iter().map(|case| &case.value);
        let expected_users = || cases().flat_map(|case| case.users.iter().flat_map(|users| &users.value));
        let exchanges = || cases().flat_map(|case| case.exchanges.iter().map(|exchange| &exchange.value));
        let mut gaps = Vec::new();
        for (status, name) in [(UserStatus::Suspended, "suspended"), (UserStatus::Invited, "invited")] {
            let list_gives = |list: &UserList| match status {
                UserStatus::Invited => list.is_of_invitations(),
                status => list.map.value.can_give(status),
            };
            if users.lists.iter().any(list_gives) && !expected_users().any(|user| user.value.status == status) {
                gaps.push(format!("no user is {name}, although the status rules can give that status"));
            }
        }
        for list in users.lists.iter().filter(|list| list.permission.is_some()) {
            let capability = list.capability();
            let loses = |case: &Case| case.lost.as_ref().is_some_and(|lost| lost.value.contains(&capability));
            if !cases().any(loses) {
                let name = list.name.as_deref().unwrap_or_default();
                gaps.push(format!("the list “{name}” is refused in no case (lost)"));
            }
        }
        let one_page = |list: &UserList| matches!(list.pages.value, Paging::None | Paging::Scim);
        let several = |case: &Case| case.error.is_none() && case.exchanges.len() > 1;
        if !users.lists.iter().all(one_page) && !cases().any(several) {
            gaps.push("no case has a first and a last page".to_owned());
        }
        let refused = |case: &Case| case.error.as_ref().is_some_and(|error| error.value.class == ErrorClass::Token);
        if !manifest.options().iter().all(|option| matches!(option.auth, Auth::None)) && !cases().any(refused) {
            gaps.push("the credential is refused in no case (error: {class: token})".to_owned());
        }
        let has_body = |exchange: &&Exchange| exchange.json.is_some() || exchange.form.is_some();
        let compared: BTreeSet<String> = exchanges().filter(has_body).map(|one| one.call.value.address()).collect();
        let unchecked = sent.difference(&compared);
        gaps.extend(unchecked.map(|request| format!("no exchange says what {request} must send (json or form)")));
        for list in &users.lists {
            let records = exchanges().filter_map(|exchange| {
                let mut body = Document::new(exchange.answer.value.body.clone()?);
                list.records.take(&mut body).ok()
            });
            let mut records = records.flatten().map(Document::new);
            // A test on joined parts or details cannot be evaluated on the record alone.
            let plain = list.skip_if.iter().filter(|test| !test.to_string().contains("_joined"));
            let plain: Vec<_> = plain.filter(|test| !test.to_string().contains("_details")).collect();
            if !plain.is_empty() && !records.any(|record| plain.iter().any(|test| test.holds(&record))) {
                gaps.push("no record is skipped, although there is skip_if".to_owned());
            }
        }
        gaps.dedup();
        gaps
    }
}

/// Runs the engine to its end, with `transport` in place of the network.
pub(super) async fn run(
    manifest: &Arc<Manifest>,
    config: Config,
    case: &Case,
    transport: Arc<dyn Transport>,
) -> Outcome {
    let settings = ClientSettings {
        retry: RetryPolicy { waits: false, ..RetryPolicy::default() },
        ..ClientSettings::new(Vec::new(), || NOW, || 0.5)
    };
    let client = Client::with_transport(transport, settings);
    let grants = case.grant.clone().map(|grant| Arc::new(GrantInMemory::new(grant.into())) as Arc<dyn GrantStore>);
    let mut outcome = Outcome::default();
    let source = match HttpSource::new(Arc::clone(manifest), config, &client, grants) {
        Ok(source) => source,
        Err(error) => {
            outcome.error = Some(error);
            return outcome;
        }
    };
    if case.check {
        match source.check().await {
            Ok(verified) => {
                outcome.tenant = verified.tenant;
                outcome.credential_expires_at = verified.credential_expires_at;
                outcome.lost.extend(verified.lost.into_iter().map(|Loss { capability, .. }| capability));
            }
            Err(error) => outcome.error = Some(error),
        }
        return outcome;
    }
    let mut pages = source.pages(None);
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => {
                outcome.users.extend(page.users.into_iter().map(|user| (user.external_id.clone(), user)));
                outcome.lost.extend(page.lost.into_iter().map(|Loss { capability, .. }| capability));
                outcome.credential_expires_at = page.credential_expires_at.or(outcome.credential_expires_at);
            }
            Err(error) => {
                outcome.error = Some(error);
                break;
            }
        }
    }
    drop(pages);
    outcome.tenant = source.tenant();
    outcome
}

impl From<SampleGrant> for Grant {
    fn from(grant: SampleGrant) -> Self {
        Self {
            access_token: grant.access_token,
            refresh_token: grant.refresh_token,
            expires_at: grant.expires_at.map(|moment| moment.0),
            refresh_expires_at: grant.refresh_expires_at.map(|moment| moment.0),
            found: grant.found,
        }
    }
}

//! One case, from its settings to its faults; and what a file of samples does not show.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_saphyr::{Location, Spanned};

use super::format::{Case, Exchange, SampleGrant};
use super::outcome::Outcome;
use super::recording::Recording;
use super::{NOW, Played, Samples};
use crate::engine::{Client, ClientSettings, HttpSource, RetryPolicy};
use crate::grant::{Grant, GrantInMemory, GrantStore};
use crate::manifest::Manifest;
use crate::manifest::auth::Auth;
use crate::manifest::expr::Subject;
use crate::manifest::paging::Paging;
use crate::source::{Config, ErrorClass, Loss, Source as _};
use crate::user::UserStatus;

impl Samples {
    /// Plays every case against the manifest.
    pub async fn play(&self, manifest: &Arc<Manifest>) -> Played {
        let (mut faults, mut sent) = (Vec::new(), BTreeSet::new());
        for case in &self.cases {
            let name = &case.value.name;
            let recording = Arc::new(Recording::new(&case.value.exchanges, manifest));
            let found = self.play_case(manifest, case, &recording).await;
            faults.extend(found.into_iter().map(|(at, message)| self.fault(at, format!("case “{name}”: {message}"))));
            sent.extend(recording.sent());
        }
        faults.sort_by_key(|fault| (fault.line, fault.column));
        Played { cases: self.cases.len(), faults, gaps: self.gaps(manifest, &sent) }
    }

    async fn play_case(
        &self,
        manifest: &Arc<Manifest>,
        case: &Spanned<Case>,
        recording: &Arc<Recording>,
    ) -> Vec<(Location, String)> {
        let mut config = self.config.clone();
        config.extend(case.value.config.clone());
        let outcome = listen(manifest, config, &case.value, Arc::clone(recording)).await;
        let mut faults = recording.faults(case.referenced);
        if recording.astray() {
            return faults;
        }
        faults.extend(outcome.differences(case));
        // After an error that was not expected, the rest was not to be.
        if outcome.error.is_none() || case.value.error.is_some() {
            faults.extend(recording.left());
        }
        faults
    }

    /// What good samples show and these do not. `sent`: the calls that had a body.
    fn gaps(&self, manifest: &Manifest, sent: &BTreeSet<String>) -> Vec<String> {
        let users = &manifest.users;
        let cases = || self.cases.iter().map(|case| &case.value);
        let wanted = || cases().flat_map(|case| case.users.iter().flat_map(|users| &users.value));
        let exchanges = || cases().flat_map(|case| case.exchanges.iter().map(|exchange| &exchange.value));
        let mut gaps = Vec::new();
        if users.map.value.can_give(UserStatus::Suspended)
            && !wanted().any(|user| user.value.status == UserStatus::Suspended)
        {
            gaps.push("no user is suspended, and the status rules can tell".to_owned());
        }
        let counted = matches!(users.pages.value, Paging::None | Paging::Scim);
        let several = |case: &Case| case.error.is_none() && case.exchanges.len() > 1;
        if !counted && !cases().any(several) {
            gaps.push("no case has a first and a last page".to_owned());
        }
        let refused = |case: &Case| case.error.as_ref().is_some_and(|error| error.value.class == ErrorClass::Token);
        if !manifest.options().iter().all(|option| matches!(option.auth, Auth::None)) && !cases().any(refused) {
            gaps.push("in no case the credential is refused (error: {class: token})".to_owned());
        }
        let written = |exchange: &&Exchange| exchange.json.is_some() || exchange.form.is_some();
        let compared: BTreeSet<String> = exchanges().filter(written).map(|one| one.call.value.address()).collect();
        let blind = sent.difference(&compared);
        gaps.extend(blind.map(|post| format!("what {post} must send is written nowhere (json or form)")));
        let records = exchanges().filter_map(|exchange| {
            let mut body = Subject::new(exchange.answer.value.body.clone()?);
            body.take(&users.records)?.as_array().cloned()
        });
        let mut records = records.flatten().map(Subject::new);
        // What is joined to a record is not seen here.
        let plain = users.skip_if.iter().filter(|test| !test.to_string().contains("_joined"));
        let plain: Vec<_> = plain.filter(|test| !test.to_string().contains("_details")).collect();
        if !plain.is_empty() && !records.any(|record| plain.iter().any(|test| test.holds(&record))) {
            gaps.push("no record is skipped, and there is skip_if".to_owned());
        }
        gaps
    }
}

/// Carries the manifest out until it ends.
async fn listen(manifest: &Arc<Manifest>, config: Config, case: &Case, recording: Arc<Recording>) -> Outcome {
    let settings = ClientSettings {
        retry: RetryPolicy { waits: false, ..RetryPolicy::default() },
        ..ClientSettings::new(Vec::new(), || NOW, || 0.5)
    };
    let client = Client::over(recording, settings);
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
            Err(error) => outcome.error = Some(error),
        }
    }
    outcome.tenant = source.tenant().map(str::to_owned);
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

//! What is held against accounts.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use entity::finding::Kind;
use uuid::Uuid;

use crate::error::Refusal;
use crate::findings::settings::{NewSettings, Provided, Rules};
use crate::graphql::api::Api;
use crate::graphql::batch::Batch;
use crate::graphql::error::ApiError;
use crate::graphql::id;
use crate::graphql::instance::{Instance, InstanceById};
use crate::graphql::page::int;
use crate::graphql::user_error::{UserError, split_refusals};

pub struct ReportSettings {
    rules: Rules,
    provided: Vec<SignInEnforcement>,
    backlog: u64,
}

/// What is held against accounts.
#[Object]
impl ReportSettings {
    /// After how many days without activity an account is inactive.
    async fn inactive_days(&self) -> i32 {
        self.rules.inactive_days
    }

    /// The types that are switched off.
    async fn disabled_types(&self) -> &[Kind] {
        &self.rules.disabled
    }

    /// The applications whose people sign in by an identity provider.
    async fn sign_in_enforced_by(&self) -> &[SignInEnforcement] {
        &self.provided
    }

    /// Whether every recipient gets a mail on Monday mornings with the counts of the findings of the week.
    async fn weekly_digest(&self) -> bool {
        self.rules.has_digest
    }

    /// How many instances are still to be evaluated. If it is 0, the findings follow from everything that is known.
    async fn pending_evaluations(&self) -> i32 {
        int(i64::try_from(self.backlog).unwrap_or(i64::MAX))
    }
}

impl ReportSettings {
    async fn read(api: &Api) -> Result<Self, ApiError> {
        let provided = api.findings.provided().await?;
        let ids = provided.iter().flat_map(|it| [it.instance_id, it.provider_id]);
        let instances = Arc::new(Batch::new(ids));
        let provided = provided.into_iter().map(|it| SignInEnforcement { it, instances: instances.clone() });
        Ok(Self {
            rules: api.findings.rules().await?,
            provided: provided.collect(),
            backlog: api.findings.backlog().await?,
        })
    }
}

pub struct SignInEnforcement {
    it: Provided,
    instances: Arc<Batch<Uuid>>,
}

impl SignInEnforcement {
    async fn load(&self, ctx: &Context<'_>, id: Uuid) -> Result<Instance, ApiError> {
        InstanceById::of_row(&self.instances, ctx, id, "a setting").await
    }
}

/// An application whose people sign in by an identity provider, so that its second factor counts.
#[Object]
impl SignInEnforcement {
    /// The application.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Instance, ApiError> {
        self.load(ctx, self.it.instance_id).await
    }

    /// The identity provider.
    async fn provider(&self, ctx: &Context<'_>) -> Result<Instance, ApiError> {
        self.load(ctx, self.it.provider_id).await
    }
}

/// An application whose people sign in by an identity provider.
#[derive(InputObject)]
pub struct SignInEnforcementInput {
    /// The instance of the application.
    instance_id: ID,
    /// The instance of the identity provider.
    provider_id: ID,
}

/// New settings. A field that is left out, or null, changes nothing.
#[derive(InputObject)]
pub struct SetReportSettingsInput {
    /// After how many days without activity an account is inactive, from 7 to 730; 90 at first.
    inactive_days: Option<i32>,
    /// The types that are switched off, instead of those before.
    disabled_types: Option<Vec<Kind>>,
    /// The applications whose people sign in by an identity provider, at most 500, instead of those before.
    sign_in_enforced_by: Option<Vec<SignInEnforcementInput>>,
    /// Whether every recipient gets a weekly digest; it is off at first.
    weekly_digest: Option<bool>,
}

/// The result of `setReportSettings`.
#[derive(SimpleObject)]
pub struct SetReportSettingsPayload {
    /// The settings as they are now; null if the change was refused.
    settings: Option<ReportSettings>,
    /// Why the change was refused; empty if it was made.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct ReportSettingsQuery;

#[Object]
impl ReportSettingsQuery {
    /// What is held against accounts.
    async fn report_settings(&self, ctx: &Context<'_>) -> Result<ReportSettings, ApiError> {
        ReportSettings::read(ctx.data_unchecked()).await
    }
}

#[derive(Default)]
pub struct SetReportSettings;

#[Object]
impl SetReportSettings {
    /// Changes what is held against accounts. Findings follow in the background.
    async fn set_report_settings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new settings.")] input: SetReportSettingsInput,
    ) -> Result<SetReportSettingsPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let SetReportSettingsInput { inactive_days, disabled_types: disabled, sign_in_enforced_by, weekly_digest } =
            input;
        let set = async {
            let provided = sign_in_enforced_by.map(provided).transpose()?;
            api.findings.set(&NewSettings { inactive_days, disabled, provided, has_digest: weekly_digest }).await
        };
        Ok(match split_refusals(set.await)? {
            Ok(()) => {
                SetReportSettingsPayload { settings: Some(ReportSettings::read(api).await?), user_errors: Vec::new() }
            }
            Err(user_errors) => SetReportSettingsPayload { settings: None, user_errors },
        })
    }
}

fn provided(given: Vec<SignInEnforcementInput>) -> Result<Vec<Provided>, Refusal> {
    let one = |(index, it): (usize, SignInEnforcementInput)| {
        let row = |id: &ID, field: &str| {
            id::decode(id::Kind::Instance, id).map_err(|message| {
                Refusal::invalid(message, ["signInEnforcedBy".to_owned(), index.to_string(), field.to_owned()])
            })
        };
        Ok(Provided {
            instance_id: row(&it.instance_id, "instanceId")?,
            provider_id: row(&it.provider_id, "providerId")?,
        })
    };
    given.into_iter().enumerate().map(one).collect()
}

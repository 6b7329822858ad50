//! How people are recognised: the people sources, and the domains.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use uuid::Uuid;

use crate::error::{Error, Refusal};
use crate::graphql::api::Api;
use crate::graphql::batch::Batch;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::{Instance, InstanceById};
use crate::graphql::page::int;
use crate::graphql::user_error::{UserError, split_refusals};
use crate::people::settings::{Change, Domains, Source};
use crate::people::tasks;

pub struct PeopleSettings {
    sources: Vec<PeopleSource>,
    domains: Domains,
    backlog: u64,
}

/// How people are recognised.
#[Object]
impl PeopleSettings {
    /// The instances that say who the people of the company are. Those with the last word come first.
    async fn sources(&self) -> &[PeopleSource] {
        &self.sources
    }

    /// The domains of the company, in lower case, and as they are sent over the wire.
    async fn owned_domains(&self) -> &[String] {
        &self.domains.owned
    }

    /// The domains in which an address is that of the same person.
    async fn equivalent_domains(&self) -> Vec<EquivalentDomain> {
        let pairs = self.domains.equivalents.iter();
        pairs.map(|(domain, same_as)| EquivalentDomain { domain: domain.clone(), same_as: same_as.clone() }).collect()
    }

    /// Whether the part of an address that follows a `+` is left out, in owned domains.
    async fn strip_tags(&self) -> bool {
        self.domains.strip_tags
    }

    /// How many tasks are still to be done, such as that of a run that has just ended. If it is 0, everything that is
    /// known of accounts is considered in whose they are.
    async fn pending_tasks(&self) -> i32 {
        int(i64::try_from(self.backlog).unwrap_or(i64::MAX))
    }
}

impl PeopleSettings {
    async fn read(api: &Api) -> Result<Self, ApiError> {
        let sources = api.people.sources().await?;
        let instances = Arc::new(Batch::new(sources.iter().map(|source| source.instance_id)));
        let source = |source: Source| PeopleSource { source, instances: instances.clone() };
        Ok(Self {
            sources: sources.into_iter().map(source).collect(),
            domains: api.people.domains().await?,
            backlog: tasks::backlog(api.people.db.read()).await?,
        })
    }
}

pub struct PeopleSource {
    source: Source,
    instances: Arc<Batch<Uuid>>,
}

/// An instance that says who the people of the company are.
#[Object]
impl PeopleSource {
    /// The instance.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Instance, ApiError> {
        InstanceById::of_row(&self.instances, ctx, self.source.instance_id, "a people source").await
    }

    /// Its rank. The lowest number has the last word.
    async fn rank(&self) -> i32 {
        self.source.rank
    }
}

/// Two domains in which an address is that of the same person.
#[derive(SimpleObject)]
pub struct EquivalentDomain {
    /// One of them.
    domain: String,
    /// The other one.
    same_as: String,
}

/// What a change of the settings would change.
#[derive(SimpleObject)]
pub struct PeopleChange {
    /// How many accounts get a person.
    accounts_linked: i32,
    /// How many accounts lose their person.
    accounts_unlinked: i32,
    /// How many accounts get another person.
    accounts_moved: i32,
    /// How many people are new.
    people_added: i32,
    /// How many people are not known any more, because they have no account.
    people_removed: i32,
    /// How many people become `CURRENT`.
    become_current: i32,
    /// How many people become `LEFT`.
    become_left: i32,
    /// How many people become `UNKNOWN`.
    become_unknown: i32,
    /// False if there was no time to look at all accounts. There are then more changes than these.
    is_complete: bool,
}

impl From<Change> for PeopleChange {
    fn from(change: Change) -> Self {
        let Change { linked, unlinked, moved, people_added, people_removed, current, left, unknown, is_complete } =
            change;
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            accounts_linked: count(linked),
            accounts_unlinked: count(unlinked),
            accounts_moved: count(moved),
            people_added: count(people_added),
            people_removed: count(people_removed),
            become_current: count(current),
            become_left: count(left),
            become_unknown: count(unknown),
            is_complete,
        }
    }
}

/// A people source.
#[derive(InputObject)]
pub struct PeopleSourceInput {
    /// The instance.
    instance_id: ID,
    /// Its rank, from 1 to 100. The lowest number has the last word: personnel records come before an identity provider.
    /// Sources of equal rank decide together.
    rank: i32,
}

/// The new list of people sources.
#[derive(InputObject)]
pub struct SetPeopleSourcesInput {
    /// At most 20 instances. Instances that are not in the list are no people sources any more.
    sources: Vec<PeopleSourceInput>,
    /// True to change nothing, and to learn what would change.
    dry_run: Option<bool>,
}

/// A pair of equivalent domains.
#[derive(InputObject)]
pub struct EquivalentDomainInput {
    /// One of them.
    domain: String,
    /// The other one.
    same_as: String,
}

/// What is declared of domains from now on.
#[derive(InputObject)]
pub struct SetOwnedDomainsInput {
    /// All domains of the company, such as `example.com`; at most 500. A subdomain is a domain of its own.
    owned: Vec<String>,
    /// Pairs of domains in which an address is that of the same person; at most 500.
    equivalents: Option<Vec<EquivalentDomainInput>>,
    /// True to leave out the part of an address that follows a `+`, in owned domains.
    strip_tags: Option<bool>,
    /// True to change nothing, and to learn what would change.
    dry_run: Option<bool>,
}

macro_rules! payload {
    ($name:ident, $mutation:literal) => {
        #[doc = concat!("The result of `", $mutation, "`.")]
        #[derive(SimpleObject)]
        pub struct $name {
            /// The settings as they are now.
            settings: PeopleSettings,
            /// What would change, if that was asked for. Otherwise it changes in the background.
            change: Option<PeopleChange>,
            /// Why the settings were not changed; empty if they were.
            user_errors: Vec<UserError>,
        }

        impl $name {
            async fn of(api: &Api, set: Result<Option<Change>, Error>) -> Result<Self, ApiError> {
                let (change, user_errors) = match split_refusals(set)? {
                    Ok(change) => (change.map(PeopleChange::from), Vec::new()),
                    Err(user_errors) => (None, user_errors),
                };
                Ok(Self { settings: PeopleSettings::read(api).await?, change, user_errors })
            }
        }
    };
}

payload!(SetPeopleSourcesPayload, "setPeopleSources");
payload!(SetOwnedDomainsPayload, "setOwnedDomains");

#[derive(Default)]
pub struct PeopleSettingsQuery;

#[Object]
impl PeopleSettingsQuery {
    /// How people are recognised.
    async fn people_settings(&self, ctx: &Context<'_>) -> Result<PeopleSettings, ApiError> {
        PeopleSettings::read(ctx.data_unchecked()).await
    }
}

#[derive(Default)]
pub struct SetPeopleSettings;

#[Object]
impl SetPeopleSettings {
    /// Replaces the people sources. People and their accounts follow in the background.
    async fn set_people_sources(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new list.")] input: SetPeopleSourcesInput,
    ) -> Result<SetPeopleSourcesPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let set = async {
            let sources = input.sources.iter().enumerate().map(|(index, source)| {
                let instance_id = id::decode(Kind::Instance, &source.instance_id).map_err(|message| {
                    Refusal::invalid(message, ["sources".to_owned(), index.to_string(), "instanceId".to_owned()])
                })?;
                Ok(Source { instance_id, rank: source.rank })
            });
            let sources = sources.collect::<Result<Vec<_>, Refusal>>()?;
            api.people.set_sources(&sources, input.dry_run.unwrap_or(false)).await
        };
        SetPeopleSourcesPayload::of(api, set.await).await
    }

    /// Replaces the owned and the equivalent domains. People and their accounts follow in the background.
    async fn set_owned_domains(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new domains.")] input: SetOwnedDomainsInput,
    ) -> Result<SetOwnedDomainsPayload, ApiError> {
        let SetOwnedDomainsInput { owned, equivalents, strip_tags, dry_run } = input;
        let api = ctx.data_unchecked::<Api>();
        let equivalents = equivalents.unwrap_or_default().into_iter().map(|pair| (pair.domain, pair.same_as)).collect();
        let domains = Domains { owned, equivalents, strip_tags: strip_tags.unwrap_or(false) };
        SetOwnedDomainsPayload::of(api, api.people.set_domains(&domains, dry_run.unwrap_or(false)).await).await
    }
}

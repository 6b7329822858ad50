//! Figures: how many accounts answer a question with yes, with no, and of how many it is not known.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::clock::date_time;
use crate::findings::posture::{self, Measured, PostureQuestion};
use crate::findings::tally::Sort;
use crate::graphql::api::Api;
use crate::graphql::batch::Relation;
use crate::graphql::error::ApiError;
use crate::graphql::id;
use crate::graphql::instance::Instance;
use crate::graphql::page::{self, int};
use crate::instance::freshness::Freshness;

/// The figures of an instance, or of several.
#[derive(Clone, Default)]
pub struct Posture(Arc<posture::Posture>);

impl Posture {
    fn measure(&self, question: PostureQuestion) -> Measure {
        Measure { measured: self.0.measure(question), posture: self.clone() }
    }
}

/// How accounts stand, by question. Each question has its own population, see the guide to findings.
#[Object]
impl Posture {
    /// How many accounts there are, by what uses them and by status.
    async fn accounts(&self) -> PostureAccounts {
        let of = |sort| int(self.0.accounts(sort));
        PostureAccounts {
            active: of(Sort::Active),
            service: of(Sort::Service),
            shared: of(Sort::Shared),
            invited: of(Sort::Invited),
            suspended: of(Sort::Suspended),
            unknown_status: of(Sort::UnknownStatus),
        }
    }

    /// Whether people have a second factor. Those who do not are the findings `NO_MFA`.
    async fn mfa(&self) -> Measure {
        self.measure(PostureQuestion::Mfa)
    }

    /// Whether people are administrators.
    async fn admins(&self) -> Measure {
        self.measure(PostureQuestion::Admins)
    }

    /// Whether administrators have a second factor. Those who do not are the findings `ADMIN_WITHOUT_MFA`.
    async fn admin_mfa(&self) -> Measure {
        self.measure(PostureQuestion::AdminMfa)
    }

    /// Whether administrators are from outside: the findings `EXTERNAL_ADMIN`.
    async fn external_admins(&self) -> Measure {
        self.measure(PostureQuestion::ExternalAdmins)
    }

    /// Whether people are from outside: the findings `EXTERNAL`.
    async fn externals(&self) -> Measure {
        self.measure(PostureQuestion::Externals)
    }

    /// Whether active accounts are of people who have left: the findings `LEAVER_ACTIVE`.
    async fn leavers(&self) -> Measure {
        self.measure(PostureQuestion::Leavers)
    }

    /// Whether accounts of the company are nobody's: the findings `UNMATCHED`.
    async fn unmatched(&self) -> Measure {
        self.measure(PostureQuestion::Unmatched)
    }

    /// Whether people have not used their accounts for long: the findings `INACTIVE`.
    async fn inactive(&self) -> Measure {
        self.measure(PostureQuestion::Inactive)
    }

    /// Whether people have never used their accounts, however old these are.
    async fn never_active(&self) -> Measure {
        self.measure(PostureQuestion::NeverActive)
    }

    /// Whether accounts that have a licence are old and were never used: the findings `NEVER_USED`.
    async fn never_used(&self) -> Measure {
        self.measure(PostureQuestion::NeverUsed)
    }

    /// Whether accounts of programs, and shared ones, have an owner. Those who do not are the findings
    /// `UNOWNED_SERVICE`.
    async fn owned_services(&self) -> Measure {
        self.measure(PostureQuestion::OwnedServices)
    }

    /// Whether people have several accounts in one instance: the findings `DUPLICATE`.
    async fn duplicates(&self) -> Measure {
        self.measure(PostureQuestion::Duplicates)
    }

    /// Whether the address of an account belongs to somebody else by now: the findings `CONFLICT`.
    async fn conflicts(&self) -> Measure {
        self.measure(PostureQuestion::Conflicts)
    }
}

/// Accounts by what uses them and by status. The parts add up to all that are listed.
#[derive(SimpleObject)]
pub struct PostureAccounts {
    /// Accounts of people that can sign in. Most questions are about these.
    active: i32,
    /// Accounts of programs.
    service: i32,
    /// Accounts of several people.
    shared: i32,
    /// People who were invited and have not joined yet.
    invited: i32,
    /// Accounts of people that are disabled.
    suspended: i32,
    /// Accounts of people whose status is not known.
    unknown_status: i32,
}

pub struct Measure {
    measured: Measured,
    posture: Posture,
}

/// The answers to a question.
#[Object]
impl Measure {
    /// How many answer with yes.
    async fn yes(&self) -> i32 {
        int(self.measured.yes)
    }

    /// How many answer with no.
    async fn no(&self) -> i32 {
        int(self.measured.no)
    }

    /// Of how many it is not known.
    async fn unknown(&self) -> i32 {
        int(self.measured.unknown)
    }

    /// How many of those that have the finding are accepted by an exception. They are counted in `yes` or `no` as well.
    async fn excepted(&self) -> i32 {
        int(self.measured.excepted)
    }

    /// `yes / (yes + no)`; null if both are 0.
    async fn ratio(&self) -> Option<f64> {
        let (yes, all) = (self.measured.yes, self.measured.yes + self.measured.no);
        let float = |count: i64| f64::from(int(count));
        (all > 0).then(|| float(yes) / float(all))
    }

    /// What the answers follow from.
    async fn basis(&self) -> Basis {
        Basis { as_of: self.measured.as_of, posture: self.posture.clone() }
    }
}

pub struct Basis {
    as_of: Option<i64>,
    posture: Posture,
}

/// What figures follow from.
#[Object]
impl Basis {
    /// When the part of the user list that answers the question was last read; of several instances, the oldest. Null if
    /// it was never read.
    async fn as_of(&self) -> Option<DateTime<Utc>> {
        self.as_of.map(date_time)
    }

    /// When it was evaluated; of several instances, the oldest. Null if it never was.
    async fn evaluated_at(&self) -> Option<DateTime<Utc>> {
        self.posture.0.evaluated_at.map(date_time)
    }

    /// The instances that are not fresh, at most 100. They are counted as they were.
    async fn stale_sources(&self, ctx: &Context<'_>) -> Vec<StaleSource> {
        let now = ctx.data_unchecked::<Api>().findings.clock.now();
        let stale = &self.posture.0.stale;
        let freshness: Vec<Freshness> = stale.iter().map(|instance| Freshness::of(instance, now)).collect();
        let source = |(instance, freshness): (Instance, Freshness)| StaleSource {
            instance,
            as_of: freshness.as_of.map(date_time),
            stale_since: freshness.stale_since.map(date_time),
        };
        Instance::list(stale.clone()).into_iter().zip(freshness).map(source).collect()
    }

    /// How many accounts belong to instances that were not evaluated yet. They are counted nowhere else.
    async fn unassessed(&self) -> i32 {
        int(self.posture.0.unassessed)
    }
}

/// An instance that is not fresh.
#[derive(SimpleObject)]
pub struct StaleSource {
    /// The instance.
    instance: Instance,
    /// When its last successful run finished; null if none has succeeded.
    as_of: Option<DateTime<Utc>>,
    /// Since when it is stale; null if no run has succeeded.
    stale_since: Option<DateTime<Utc>>,
}

/// The figures of instances.
#[derive(PartialEq)]
pub struct PostureOf;

impl Relation for PostureOf {
    type Key = Uuid;
    type Value = Posture;

    async fn fetch(&self, api: &Api, instances: &[Uuid]) -> Result<HashMap<Uuid, Posture>, ApiError> {
        let found = posture::by_instance(api.findings.db.read(), instances, api.findings.clock.now()).await?;
        Ok(found.into_iter().map(|(instance, posture)| (instance, Posture(Arc::new(posture)))).collect())
    }
}

#[derive(Default)]
pub struct PostureQuery;

#[Object]
impl PostureQuery {
    /// The figures of all instances together, or of some. `Instance.posture` has those of each.
    #[graphql(complexity = "page::FIGURES + child_complexity")]
    async fn posture(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Some instances, at most 100; all by default.")] instance_ids: Option<Vec<ID>>,
    ) -> Result<Posture, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let asked = page::bounded(instance_ids, "instanceIds")?;
        let asked = asked.map(|ids| ids.iter().map(|id| id::argument(id::Kind::Instance, id)).collect());
        let asked: Option<Vec<Uuid>> = asked.transpose()?;
        let now = api.findings.clock.now();
        let found = posture::together(api.findings.db.read(), asked.as_deref(), &api.seen, now).await?;
        Ok(Posture(Arc::new(found)))
    }
}

//! What the accounts of an instance are held against.

use std::collections::{BTreeSet, HashMap};

use entity::finding::Kind;
use entity::{
    capability_state, contract, contract_line, instance, owned_domain, people_source, price, sign_in_provider,
};
use integration::source::Capability;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::code::Code;
use super::settings::Rules;
use crate::clock::DAY_MS;
use crate::error::Result;

/// When a part of the user list was last read, in Unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsOf {
    pub users: Option<i64>,
    pub activity: Option<i64>,
    pub mfa: Option<i64>,
    pub admins: Option<i64>,
}

/// What one evaluation holds against the accounts of an instance.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standard {
    pub instance: Uuid,
    pub as_of: AsOf,
    /// Accounts without activity since then are inactive.
    pub edge: Option<i64>,
    /// The last run could not read the second factors.
    pub mfa_is_lost: bool,
    pub is_source: bool,
    pub has_sources: bool,
    pub owns_domains: bool,
    /// The instance of the identity provider whose second factors count.
    pub provider: Option<Uuid>,
    pub disabled: Vec<Kind>,
    /// The licences that have a price.
    pub priced: BTreeSet<String>,
}

impl Standard {
    pub async fn of<C: ConnectionTrait>(conn: &C, instance: Uuid, rules: &Rules) -> Result<Self> {
        let provider = sign_in_provider::Entity::find_by_id(instance).one(conn).await?.map(|row| row.provider_id);
        let own = states(conn, instance).await?;
        let of_provider = match provider {
            Some(provider) => Some(states(conn, provider).await?),
            None => None,
        };
        let find = |states: &[capability_state::Model], capability: Capability| {
            let name = serde_json::to_value(capability).unwrap_or_default();
            states.iter().find(|row| name == row.capability.as_str()).cloned()
        };
        let as_of = |capability| find(&own, capability).and_then(|row| row.as_of);
        let mfa = find(of_provider.as_deref().unwrap_or(&own), Capability::Mfa);
        let as_of = AsOf {
            users: as_of(Capability::Users),
            activity: as_of(Capability::LastActivity),
            mfa: mfa.as_ref().and_then(|row| row.as_of),
            admins: as_of(Capability::AdminRoles),
        };
        let sources: Vec<Uuid> =
            people_source::Entity::find().all(conn).await?.into_iter().map(|row| row.instance_id).collect();
        Ok(Self {
            instance,
            as_of,
            edge: as_of.activity.map(|at| at - i64::from(rules.inactive_days) * DAY_MS),
            mfa_is_lost: mfa.is_some_and(|row| row.lost_since.is_some()),
            is_source: sources.contains(&instance),
            has_sources: !sources.is_empty(),
            owns_domains: owned_domain::Entity::find().count(conn).await? > 0,
            provider,
            disabled: rules.disabled.clone(),
            priced: priced(conn, instance, as_of.activity.or(as_of.users).unwrap_or_default()).await?,
        })
    }

    /// Whether the two differ in nothing but times.
    pub fn is_like(&self, other: &Self) -> bool {
        Self { as_of: other.as_of, edge: other.edge, ..self.clone() } == *other
    }

    /// Whether an unknown answer is so only because the last run could not read what it follows from.
    pub fn is_lost(&self, kind: Kind) -> bool {
        self.mfa_is_lost && matches!(kind, Kind::NoMfa | Kind::AdminWithoutMfa)
    }
}

/// Completes codes: says who holds no licence that has a price.
pub struct Priced<'a> {
    standard: &'a Standard,
    /// Accounts have few different lists of licences.
    known: HashMap<String, bool>,
}

impl<'a> Priced<'a> {
    pub fn new(standard: &'a Standard) -> Self {
        Self { standard, known: HashMap::new() }
    }

    /// The code of an account with these licences.
    pub fn complete(&mut self, code: Code, licenses: Option<String>) -> Result<Code> {
        let Some(text) = licenses else { return Ok(code) };
        let is_priced = if let Some(is_priced) = self.known.get(&text) {
            *is_priced
        } else {
            let names: Vec<String> = serde_json::from_str(&text)?;
            let is_priced = names.iter().any(|name| self.standard.priced.contains(name));
            self.known.insert(text, is_priced);
            is_priced
        };
        Ok(if is_priced { code } else { code.without(Kind::NeverUsed) })
    }
}

/// The licences of an instance that cost something at a time: by their own price, or by a contract that is in force.
async fn priced<C: ConnectionTrait>(conn: &C, instance: Uuid, at: i64) -> Result<BTreeSet<String>> {
    use {contract as c, contract_line as l};
    let own = price::Entity::find().select_only().column(price::Column::License);
    let own = own.filter(price::Column::InstanceId.eq(instance)).filter(price::Column::Amount.gt(0));
    let mut all: BTreeSet<String> = own.into_tuple::<String>().all(conn).await?.into_iter().collect();
    let day = i32::try_from(at.div_euclid(DAY_MS)).unwrap_or(i32::MAX);
    let mut in_force = Query::select();
    in_force
        .column(c::Column::Id)
        .from(c::Entity)
        .and_where(Expr::col(c::Column::InstanceId).eq(instance))
        .and_where(Expr::col(c::Column::StartsOn).lte(day))
        .and_where(Expr::col(c::Column::EndsOn).gte(day));
    let lines = l::Entity::find().select_only().column(l::Column::License).filter(l::Column::Amount.gt(0));
    let lines = lines.filter(l::Column::ContractId.in_subquery(in_force));
    all.extend(lines.into_tuple::<String>().all(conn).await?);
    Ok(all)
}

async fn states<C: ConnectionTrait>(conn: &C, instance: Uuid) -> Result<Vec<capability_state::Model>> {
    let own = capability_state::Entity::find().filter(capability_state::Column::InstanceId.eq(instance));
    Ok(own.all(conn).await?)
}

/// Users up to this run of the instance are deleted.
pub async fn purge_through<C: ConnectionTrait>(conn: &C, id: Uuid) -> Result<Option<i64>> {
    let row = instance::Entity::find_by_id(id).one(conn).await?;
    Ok(row.filter(|row| !row.status.is_deleted()).map(|row| row.purge_through))
}

/// The values of [`Standard::accounts`].
pub fn values(standard: &Standard, purge_through: i64) -> Vec<Value> {
    vec![standard.instance.into(), purge_through.into()]
}

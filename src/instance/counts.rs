//! How many instances have which headline.

use std::collections::HashMap;

use entity::instance::{Column, Entity};
use sea_orm::sea_query::{CaseStatement, Expr, Func, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait};

use super::Instances;
use super::queries::Filter;
use super::standing::{Headline, Sql};
use crate::error::Result;

/// The column of the statement with the headline.
const HEADLINE: &str = "headline";

/// How many instances there are, and in which state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those of each headline that any instance has.
    pub by_headline: Vec<(Headline, i64)>,
    pub stale: i64,
    pub need_attention: i64,
    /// When a number changes, if nothing is stored until then.
    pub changes_at: Option<i64>,
}

/// One row of the statement: key, headline, instances, stale ones, those that need attention, and when one of them may
/// change.
type Group = (String, Headline, i64, i64, i64, Option<i64>, Option<i64>, Option<i64>);

impl Counts {
    pub fn total(&self) -> i64 {
        self.by_headline.iter().map(|(_, instances)| instances).sum()
    }

    fn add(&mut self, group: &Group) {
        let &(_, headline, instances, stale, need_attention, overdue, warned, expired) = group;
        match self.by_headline.iter_mut().find(|(known, _)| *known == headline) {
            Some((_, number)) => *number += instances,
            None => self.by_headline.push((headline, instances)),
        }
        self.stale += stale;
        self.need_attention += need_attention;
        self.changes_at = [self.changes_at, overdue, warned, expired].into_iter().flatten().min();
    }
}

impl Instances {
    /// Of the instances that match, in one statement.
    pub async fn counts(&self, filter: &Filter) -> Result<Counts> {
        let mut counts = Counts::default();
        for group in self.groups(filter.condition(self.clock.now())).await? {
            counts.add(&group);
        }
        Ok(counts)
    }

    /// The same for each of several integrations.
    pub async fn counts_by_integration(&self, keys: &[String], filter: &Filter) -> Result<HashMap<String, Counts>> {
        let own = filter.condition(self.clock.now()).add(Column::IntegrationKey.is_in(keys));
        let mut found: HashMap<String, Counts> = HashMap::new();
        for group in self.groups(own).await? {
            found.entry(group.0.clone()).or_default().add(&group);
        }
        Ok(found)
    }

    async fn groups(&self, of: Condition) -> Result<Vec<Group>> {
        let sql = Sql { now: self.clock.now() };
        let [overdue, warned, expired] = sql.changes();
        let groups = Entity::find()
            .select_only()
            .column(Column::IntegrationKey)
            .column_as(Sql::headline(), HEADLINE)
            .column_as(Column::Id.count(), "instances")
            .column_as(count(sql.is_stale()), "stale")
            .column_as(count(sql.needs_attention()), "need_attention")
            .column_as(overdue, "overdue")
            .column_as(warned, "warned")
            .column_as(expired, "expired")
            .filter(of)
            .group_by(Column::IntegrationKey)
            .group_by(Expr::col(HEADLINE));
        self.db.read().rows(groups.into_query()).await
    }
}

/// How many rows meet a condition.
fn count(condition: Condition) -> SimpleExpr {
    let one: SimpleExpr = CaseStatement::new().case(condition, Expr::cust("1")).into();
    Func::count(one).into()
}

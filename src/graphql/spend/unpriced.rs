//! Licences that no total contains.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, Object};
use uuid::Uuid;

use crate::db::Total;
use crate::graphql::api::Api;
use crate::graphql::batch::Batch;
use crate::graphql::connection::connection;
use crate::graphql::error::ApiError;
use crate::graphql::instance::{Instance, InstanceById};
use crate::graphql::list::{List, PageRows, RootList};
use crate::graphql::page::int;
use crate::graphql::written::{Written, fields};
use crate::spend::facts::Key;
use crate::spend::report::{Reason, Report, Unpriced};

#[derive(Clone)]
pub struct UnpricedLicense {
    unpriced: Unpriced,
    instances: Arc<Batch<Uuid>>,
}

/// A licence that no total contains, or not with all its seats.
#[fields]
#[Object]
impl UnpricedLicense {
    /// The instance.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Written<Instance>, ApiError> {
        InstanceById::of_row(&self.instances, ctx, self.unpriced.instance_id, "a licence").await.map(Written)
    }

    /// The name of the licence.
    fn license(&self) -> &str {
        &self.unpriced.license
    }

    /// Why it is not contained.
    fn reason(&self) -> Reason {
        self.unpriced.reason
    }

    /// How many licences and seats are not contained; null if it is not known.
    fn quantity(&self) -> Option<i32> {
        self.unpriced.quantity.map(int)
    }
}

/// In the order of instances and names.
pub struct UnpricedList(pub Arc<Report>);

fn key(unpriced: &Unpriced) -> Key {
    (unpriced.instance_id, unpriced.license.clone())
}

impl List for UnpricedList {
    type Row = UnpricedLicense;
    type Position = Key;

    fn name(&self) -> Cow<'static, str> {
        "unpriced licenses".into()
    }

    fn position(&self, row: &UnpricedLicense) -> Key {
        key(&row.unpriced)
    }
}

impl RootList for UnpricedList {
    async fn page(&self, _: &Api, after: Option<Key>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let later = self.0.unpriced.iter().filter(|row| after.as_ref().is_none_or(|after| key(row) > *after));
        let page: Vec<Unpriced> = later.take(limit).cloned().collect();
        let instances = Arc::new(Batch::new(page.iter().map(|row| row.instance_id)));
        let row = |unpriced| UnpricedLicense { unpriced, instances: instances.clone() };
        Ok(page.into_iter().map(row).collect::<Vec<_>>().into())
    }

    async fn total(&self, _: &Api) -> Result<Total, ApiError> {
        Ok(Total::of(self.0.unpriced.len()))
    }
}

connection!(UnpricedLicenseConnection, UnpricedLicenseEdge, UnpricedList, "licences that no total contains");

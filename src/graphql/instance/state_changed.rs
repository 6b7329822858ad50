//! The subscription to the changes of instances.

use async_graphql::{Context, Subscription};
use futures_util::stream::{self, BoxStream, StreamExt};

use super::event::InstanceEvent;
use super::list::InstanceFilter;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::subscription::cursor::Cursor;
use crate::graphql::subscription::step::{Source, Step};
use crate::graphql::written::Written;

#[derive(Default)]
pub struct InstanceSubscription;

#[allow(clippy::unused_async, reason = "the macro accepts only async functions")]
#[Subscription]
impl InstanceSubscription {
    /// The changes of instances. Without `after`, it begins with a snapshot of each matching instance (cause
    /// `SNAPSHOT`), and each change follows as it happens. With `after`, it begins with the changes
    /// since that cursor. No change is left out or repeated. If the log no longer reaches back to
    /// the cursor, it begins with snapshots again. A change is sent if the instance matches
    /// the filter before or after it. A filter without statuses includes the last change, `DELETED`.
    async fn instance_state_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Selects instances.")] filter: Option<InstanceFilter>,
        #[graphql(desc = "The cursor of the last event that was received.")] after: Option<String>,
    ) -> Result<BoxStream<'static, Written<InstanceEvent>>, ApiError> {
        if let Step::InstanceState(event, cursor) = ctx.data_unchecked() {
            return Ok(stream::iter(InstanceEvent::live(event, *cursor).map(Written)).boxed());
        }
        let api = ctx.data_unchecked::<Api>();
        let not_a_cursor = || ApiError::InvalidInput("after is not a cursor of an event.".into());
        let after = after.map(|text| Cursor::decode(&text, api.epoch).ok_or_else(not_a_cursor)).transpose()?;
        let filter = filter.unwrap_or_default().decode(&api.seen)?;
        ctx.data_unchecked::<Step>().create_source(Source::InstanceStates { filter, after });
        Ok(stream::empty().boxed())
    }
}

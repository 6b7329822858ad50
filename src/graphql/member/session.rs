use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::session::Model;

use crate::auth::Caller;
use crate::clock::date_time;
use crate::error::RefusalCode;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, note_refusal, split_refusals_about};

/// A member who is signed in with a browser.
#[derive(SimpleObject)]
pub struct Session {
    /// The opaque id.
    id: ID,
    /// When the member signed in.
    created_at: DateTime<Utc>,
    /// When it was used last, to a few minutes.
    last_used_at: DateTime<Utc>,
    /// When it ends, however much it is used.
    expires_at: DateTime<Utc>,
    /// The address that signed in.
    address: Option<String>,
    /// What the browser called itself.
    user_agent: String,
    /// Whether this request belongs to it.
    is_current: bool,
}

impl Session {
    fn of(row: Model, caller: &Caller) -> Self {
        Session {
            id: id::encode(Kind::Session, row.id),
            created_at: date_time(row.created_at),
            last_used_at: date_time(row.last_used_at),
            expires_at: date_time(row.expires_at),
            address: row.address,
            user_agent: row.user_agent,
            is_current: caller.credential() == row.id,
        }
    }
}

#[derive(Default)]
pub struct SessionQuery;

#[Object]
impl SessionQuery {
    /// The open sessions of the caller, the newest first. Administrators can ask for those of any member. A token has
    /// none.
    #[graphql(complexity = "50 * child_complexity")]
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member; by default the caller.")] member_id: Option<ID>,
    ) -> Result<Vec<Session>, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let member = match member_id {
            Some(id) => id::argument(Kind::Member, &id)?,
            None => caller.id(),
        };
        if member != caller.id() && !caller.may_administer() {
            return Err(ApiError::Forbidden("Only administrators see the sessions of others."));
        }
        let rows = api.members.sessions.list(member).await?;
        Ok(rows.into_iter().map(|row| Session::of(row, caller)).collect())
    }
}

/// The session that is to end.
#[derive(InputObject)]
pub struct EndSessionInput {
    /// The session.
    id: ID,
}

/// The result of `endSession`.
#[derive(SimpleObject)]
pub struct EndSessionPayload {
    /// Why it was not ended; empty if it was, or had ended before.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct EndSession;

#[Object]
impl EndSession {
    /// Ends a session of the caller; an administrator can end any. Its browser is signed out, and its sockets are closed
    /// within a second.
    async fn end_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session.")] input: EndSessionInput,
    ) -> Result<EndSessionPayload, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let sessions = &api.members.sessions;
        let ended = async {
            let id = id::input(Kind::Session, &input.id, "id")?;
            match sessions.member_of(id).await? {
                Some(member) if member == caller.id() || caller.may_administer() => sessions.end(id).await,
                // That somebody else has such a session is nobody's business, but the attempt is in the audit log.
                Some(_) | None => {
                    note_refusal(RefusalCode::NotFound);
                    Ok(())
                }
            }
        };
        let split = split_refusals_about("id", ended.await)?;
        Ok(EndSessionPayload { user_errors: split.err().unwrap_or_default() })
    }
}

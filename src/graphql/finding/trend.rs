//! Figures day by day.

use async_graphql::{Context, ID, Object, SimpleObject};
use uuid::Uuid;

use crate::clock::{day_of, day_of_date};
use crate::findings::posture::PostureQuestion;
use crate::findings::trend::{self, Day};
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id;
use crate::graphql::page::{self, int};
use crate::graphql::spend::money::Date;

/// How many days are asked for at most.
const MAX_DAYS: i32 = 1_000;

/// The answers to a question at the end of a day (UTC), or now if the day has not ended.
#[derive(SimpleObject)]
struct TrendDay {
    /// The day.
    day: Date,
    /// How many answer with yes.
    yes: i32,
    /// How many answer with no.
    no: i32,
    /// Of how many it is not known.
    unknown: i32,
    /// `yes / (yes + no)`; null if both are 0.
    ratio: Option<f64>,
    /// Whether nothing was evaluated on the day, so that the answers are those of an earlier day.
    is_carried: bool,
}

impl TrendDay {
    fn of(day: Day, is_turned: bool) -> Self {
        let (mut yes, mut no) = (day.answers.yes, day.answers.no);
        if is_turned {
            std::mem::swap(&mut yes, &mut no);
        }
        let (yes, no, unknown) = (int(yes), int(no), int(day.answers.unknown));
        let all = f64::from(yes) + f64::from(no);
        let ratio = (all > 0.0).then(|| f64::from(yes) / all);
        TrendDay { day: Date::of_day(day.day), yes, no, unknown, ratio, is_carried: day.is_carried }
    }
}

#[derive(Default)]
pub struct TrendQuery;

#[Object]
impl TrendQuery {
    /// The answers to a question day by day, the oldest first. Days before the first evaluation are left out. Instances
    /// count until they are deleted, and days stay as they were.
    #[graphql(complexity = "page::FIGURES + child_complexity")]
    async fn trend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The question.")] question: PostureQuestion,
        #[graphql(desc = "The first day.")] from: Date,
        #[graphql(desc = "The last day, at most 999 days later; today by default.")] to: Option<Date>,
        #[graphql(desc = "Some instances, at most 100; all by default.")] instance_ids: Option<Vec<ID>>,
    ) -> Result<Vec<TrendDay>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let asked = page::bounded(instance_ids, "instanceIds")?;
        let asked = asked.map(|ids| ids.iter().map(|id| id::argument(id::Kind::Instance, id)).collect());
        let asked: Option<Vec<Uuid>> = asked.transpose()?;
        let today = day_of(api.findings.clock.now());
        let (first, last) = (day_of_date(from.0), to.map_or(today, |to| day_of_date(to.0)));
        if first > last {
            return Err(ApiError::InvalidInput("from must not be later than to.".into()));
        }
        if last - first >= MAX_DAYS {
            return Err(ApiError::InvalidInput(format!("Ask for at most {MAX_DAYS} days.")));
        }
        let (question, is_turned) = question.asked();
        let days = trend::days(api.findings.db.read(), question, (first, last.min(today)), asked.as_deref(), &api.seen)
            .await?;
        Ok(days.into_iter().map(|day| TrendDay::of(day, is_turned)).collect())
    }
}

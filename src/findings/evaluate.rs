//! Evaluates an instance: goes through its accounts, opens and closes findings, and counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use entity::evaluation::{Entity as Evaluations, Model as Evaluation};
use entity::finding::{ActiveModel, CloseReason, Column, Entity, Model, Severity};
use entity::user::{self, UserStatus};
use entity::{account_link, finding_exception, sign_in_provider};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Findings;
use super::changes::{self, Changes, Fate, Key};
use super::code::{Asked, Code, Question};
use super::evidence;
use super::exceptions::{excepted_until, exceptions};
use super::news::{self, Pending};
use super::settings::Rules;
use super::standard::{self, Priced, Standard};
use super::tally::{Open, Tally};
use super::trend;
use crate::db::{Tx, keyset};
use crate::directory::evaluations::SOON_MS;
use crate::error::Result;
use crate::events::findings::{self as log, Counts};
use crate::queue::{
    self, Claim,
    worker::{Handler, in_parts},
};

/// How many instances are evaluated at once in a process.
pub const EVALUATIONS_AT_ONCE: usize = 1;
/// How many accounts one transaction looks at, and how many if many of their findings change.
const MANY: u64 = 20_000;
const FEW: u64 = 500;
/// How many findings one transaction changes.
const MAX_CHANGES: usize = 2_000;
/// How many rows one statement writes, or looks up by id.
const ROWS_WRITTEN: usize = 500;

impl Handler for Findings {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        in_parts((&self.db, &self.clock), &claim, &stop, || self.work(&claim)).await
    }
}

impl Findings {
    /// Does a part of an evaluation. Returns true if nothing is left to do at present.
    async fn work(&self, claim: &Claim) -> Result<bool> {
        let now = self.clock.now();
        let (is_done, news) = self
            .db
            .write(|tx| async move {
                // Before the job, because requests lock them in this order.
                let row = Evaluations::find_by_id(claim.subject).lock_exclusive().one(tx.conn()).await?;
                if !queue::renew(tx.conn(), claim, self.clock.now()).await? {
                    return Ok((true, Counts::default()));
                }
                let (left, news) = match row {
                    Some(row) => step(&tx, row, now).await?,
                    None => (Left::Nothing, Counts::default()),
                };
                match left {
                    Left::More => return Ok((false, news)),
                    Left::Again => queue::release(&tx, claim, now + SOON_MS).await?,
                    Left::Nothing => {
                        let _gone_either_way = queue::finish(&tx, claim).await?;
                    }
                }
                Ok((true, news))
            })
            .await?;
        news::tell(&news, claim.subject);
        Ok(is_done)
    }
}

/// What is left of an evaluation.
enum Left {
    More,
    /// Another one was requested since it began.
    Again,
    Nothing,
}

/// Does a part of an evaluation, whose row is locked. At its end, returns what it has changed.
async fn step(tx: &Tx, mut row: Evaluation, now: i64) -> Result<(Left, Counts)> {
    let conn = tx.conn();
    let Some(purge_through) = standard::purge_through(conn, row.instance_id).await? else {
        return end_with_instance(tx, row, now).await;
    };
    let mut tally = if let Some(pending) = &row.pending {
        Tally::read(pending)?
    } else {
        let standard = Standard::of(conn, row.instance_id, &Rules::read(conn).await?).await?;
        (row.begun, row.position) = (row.requested, None);
        let (is_whole, rules_changed) = (std::mem::take(&mut row.is_whole), std::mem::take(&mut row.rules_changed));
        match &row.counts {
            Some(counts) if !is_whole => Tally::read(counts)?.again(standard),
            _ => Tally::new(standard, rules_changed),
        }
    };
    let mut open = Open::read(&row.open)?;
    let mut part = Part::read(tx, &tally, row.position, purge_through, MANY).await?;
    if part.changes.open.len() + part.changes.update.len() + part.changes.doubtful.len() > MAX_CHANGES {
        part = Part::read(tx, &tally, row.position, purge_through, FEW).await?;
    }
    for (code, accounts) in &part.codes {
        tally.add(*code, *accounts);
    }
    part.carry_out(tx, &mut tally, purge_through, &mut open, now).await?;
    row.open = open.text()?;
    row.position = part.last;
    let (is_done, mut news) = (part.last.is_none(), Counts::default());
    if is_done {
        news = std::mem::take(&mut tally.news);
        log::append(tx, row.instance_id, &news, now).await?;
        tally.asked = Asked::Everything;
        trend::record(tx, row.instance_id, &mut row.recorded, (&tally, &open), now).await?;
        (row.counts, row.pending, row.evaluated_at) = (Some(tally.text()?), None, Some(now));
    } else {
        row.pending = Some(tally.text()?);
    }
    let left = match is_done {
        false => Left::More,
        true if row.begun < row.requested => Left::Again,
        true => Left::Nothing,
    };
    row.into_active_model().reset_all().update(conn).await?;
    Ok((left, news))
}

/// Closes some of the findings of an instance that is deleted.
async fn end_with_instance(tx: &Tx, mut row: Evaluation, now: i64) -> Result<(Left, Counts)> {
    use {finding_exception as x, sign_in_provider as s};
    let instance = row.instance_id;
    let (conn, backend) = (tx.conn(), tx.conn().get_database_backend());
    let left = Entity::find().filter(Column::ClosedAt.is_null()).filter(Column::InstanceId.eq(instance));
    let left = left.order_by_asc(Column::UserId).limit(MAX_CHANGES as u64).all(conn).await?;
    let mut pending = Pending::read(row.pending.as_deref())?;
    for finding in left.iter().filter(|finding| !is_accepted(finding.excepted_until, now)) {
        pending.news.close(finding.kind);
    }
    let left: Vec<Uuid> = left.into_iter().map(|finding| finding.id).collect();
    close(tx, &left, CloseReason::InstanceDeleted, now).await?;
    if left.len() == MAX_CHANGES {
        row.pending = Some(pending.text()?);
        row.into_active_model().reset_all().update(conn).await?;
        return Ok((Left::More, Counts::default()));
    }
    log::append(tx, instance, &pending.news, now).await?;
    trend::end(tx, instance, &row.recorded, now).await?;
    x::Entity::delete_many().filter(x::Column::InstanceId.eq(instance)).exec(conn).await?;
    s::Entity::delete_many()
        .filter(Condition::any().add(s::Column::InstanceId.eq(instance)).add(s::Column::ProviderId.eq(instance)))
        .exec(conn)
        .await?;
    Evaluations::delete_many()
        .filter(keyset::among((Evaluations, entity::evaluation::Column::InstanceId), &[instance], backend))
        .exec(conn)
        .await?;
    Ok((Left::Nothing, pending.news))
}

/// Some of the accounts of an instance, in the order of their ids.
#[derive(Default)]
pub(super) struct Part {
    /// The last of them; `None` if there are no more accounts.
    pub last: Option<Uuid>,
    /// How many accounts have each code.
    pub codes: Vec<(Code, i64)>,
    pub holds: BTreeMap<Key, Severity>,
    changes: Changes,
}

impl Part {
    async fn read(tx: &Tx, tally: &Tally, after: Option<Uuid>, purge_through: i64, limit: u64) -> Result<Self> {
        let (conn, standard) = (tx.conn(), &tally.standard);
        if tally.asked == Asked::Nothing {
            return Ok(Self::default());
        }
        let mut part = Self::look(conn, (standard, tally.asked), after, purge_through, limit).await?;
        let mut open = Entity::find().filter(Column::ClosedAt.is_null());
        open = open.filter(Column::InstanceId.eq(standard.instance));
        open = open.filter(Column::UserId.gt(after.unwrap_or_default()));
        if let Some(last) = part.last {
            open = open.filter(Column::UserId.lte(last));
        }
        let mut open = open.all(conn).await?;
        open.retain(|row| tally.asked.contains(Question::Finding(row.kind)));
        part.changes = changes::compare(open, &part.holds);
        Ok(part)
    }

    /// Looks at accounts, without their findings.
    pub async fn look<C: ConnectionTrait>(
        conn: &C,
        (standard, asked): (&Standard, Asked),
        after: Option<Uuid>,
        purge_through: i64,
        limit: u64,
    ) -> Result<Self> {
        let backend = conn.get_database_backend();
        let after = after.unwrap_or_default();
        let last = user::Entity::find().select_only().column(user::Column::Id).filter(user::Column::Id.gt(after));
        let last = keyset::of_parent(
            last,
            (user::Column::InstanceId, standard.instance),
            user::Column::Id,
            sea_orm::Order::Asc,
            backend,
        );
        let last: Option<Uuid> = last.offset(limit - 1).limit(1).into_tuple().one(conn).await?;
        let mut values = standard::values(standard, purge_through);
        values.push(after.into());
        let mut range = " AND u.id > $3".to_owned();
        if let Some(last) = last {
            values.push(last.into());
            range.push_str(" AND u.id <= $4");
        }
        let sql = format!(
            "WITH looked AS MATERIALIZED ({}{range}),
                coded AS (SELECT code, licenses, CASE WHEN {} THEN id END AS id FROM looked)
            SELECT CAST(code AS bigint) AS code, licenses, id, count(*) AS accounts FROM coded GROUP BY code, licenses, id",
            standard.accounts(asked, backend),
            Standard::has_finding(),
        );
        let (mut codes, mut holds, mut priced) = (Vec::new(), BTreeMap::new(), Priced::new(standard));
        for row in conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await? {
            let code = priced.complete(Code(row.try_get("", "code")?), row.try_get("", "licenses")?)?;
            codes.push((code, row.try_get("", "accounts")?));
            if let Some(id) = row.try_get::<Option<Uuid>>("", "id")? {
                holds.extend(code.findings().map(|(kind, severity)| ((id, kind), severity)));
            }
        }
        Ok(Self { last, codes, holds, changes: Changes::default() })
    }

    /// Writes the changes, and counts them.
    async fn carry_out(&self, tx: &Tx, tally: &mut Tally, purge_through: i64, open: &mut Open, now: i64) -> Result<()> {
        let Changes { open: new, update, doubtful } = &self.changes;
        self.add(tx, tally, new, open, now).await?;
        self.update(tx, &tally.standard, update, open).await?;
        let users: BTreeSet<Uuid> = doubtful.iter().map(|row| row.user_id).collect();
        let looked = look_again(tx, &tally.standard, &users, purge_through).await?;
        let mut closed: HashMap<CloseReason, Vec<Uuid>> = HashMap::new();
        let mut unconfirmed = Vec::new();
        for row in doubtful {
            let account = looked.get(&row.user_id).copied();
            match changes::fate(row.kind, account, &tally.standard, tally.rules_changed) {
                Fate::Close(reason) => {
                    if !is_accepted(row.excepted_until, now) {
                        tally.news.close(row.kind);
                    }
                    closed.entry(reason).or_default().push(row.id);
                }
                Fate::Unconfirmed if row.confirmed => unconfirmed.push(row.id),
                Fate::Unconfirmed => continue,
            }
            if row.confirmed {
                open.add(row.kind, row.severity, -1);
            }
        }
        for (reason, ids) in &closed {
            close(tx, ids, *reason, now).await?;
        }
        change(tx, &unconfirmed, ActiveModel { confirmed: Set(false), ..Default::default() }).await
    }

    /// Confirms findings, or gives them other severities.
    async fn update(&self, tx: &Tx, standard: &Standard, update: &[(Model, Severity)], open: &mut Open) -> Result<()> {
        let exceptions = exceptions(tx, standard, update.iter().map(|(row, _)| row.user_id)).await?;
        let mut alike: HashMap<(Severity, Option<i64>), Vec<Uuid>> = HashMap::new();
        for (before, severity) in update {
            if before.confirmed {
                open.add(before.kind, before.severity, -1);
            }
            open.add(before.kind, *severity, 1);
            let until = excepted_until(&exceptions, (before.user_id, before.kind), *severity);
            alike.entry((*severity, until)).or_default().push(before.id);
        }
        for ((severity, until), ids) in &alike {
            let set = ActiveModel {
                severity: Set(*severity),
                confirmed: Set(true),
                excepted_until: Set(*until),
                ..Default::default()
            };
            change(tx, ids, set).await?;
        }
        Ok(())
    }

    /// Stores new findings.
    async fn add(
        &self,
        tx: &Tx,
        Tally { standard, news, .. }: &mut Tally,
        new: &[(Key, Severity)],
        open: &mut Open,
        now: i64,
    ) -> Result<()> {
        let (conn, backend) = (tx.conn(), tx.conn().get_database_backend());
        let users: BTreeSet<Uuid> = new.iter().map(|((user, _), _)| *user).collect();
        let exceptions = exceptions(tx, standard, users.iter().copied()).await?;
        let users: Vec<Uuid> = users.into_iter().collect();
        let (mut accounts, mut links) = (HashMap::new(), HashMap::new());
        for ids in users.chunks(ROWS_WRITTEN) {
            let own = keyset::among((user::Entity, user::Column::Id), ids, backend);
            accounts.extend(user::Entity::find().filter(own).all(conn).await?.into_iter().map(|row| (row.id, row)));
            let own = keyset::among((account_link::Entity, account_link::Column::UserId), ids, backend);
            let found = account_link::Entity::find().filter(own).all(conn).await?;
            links.extend(found.into_iter().map(|link| (link.user_id, link)));
        }
        let mut rows = Vec::new();
        for ((user, kind), severity) in new {
            let Some(account) = accounts.get(user) else { continue };
            open.add(*kind, *severity, 1);
            let until = excepted_until(&exceptions, (*user, *kind), *severity);
            if !is_accepted(until, now) {
                news.open(*kind);
            }
            rows.push(Model {
                id: Uuid::now_v7(),
                kind: *kind,
                instance_id: standard.instance,
                user_id: *user,
                severity: *severity,
                confirmed: true,
                excepted_until: until,
                opened_at: now,
                closed_at: None,
                close_reason: None,
                evidence: serde_json::to_string(&evidence::facts(*kind, account, links.get(user)))?,
            });
        }
        for rows in rows.chunks(ROWS_WRITTEN) {
            let rows = rows.iter().cloned().map(IntoActiveModel::<ActiveModel>::into_active_model);
            Entity::insert_many(rows).exec_without_returning(conn).await?;
        }
        Ok(())
    }
}

/// Whether a finding that is accepted until a time is so now.
fn is_accepted(until: Option<i64>, now: i64) -> bool {
    until.is_some_and(|until| until > now)
}

/// The codes and statuses of those of these accounts that are listed.
async fn look_again(
    tx: &Tx,
    standard: &Standard,
    users: &BTreeSet<Uuid>,
    purge_through: i64,
) -> Result<HashMap<Uuid, (Code, UserStatus)>> {
    let (conn, backend) = (tx.conn(), tx.conn().get_database_backend());
    let users: Vec<Uuid> = users.iter().copied().collect();
    let (mut found, mut priced) = (HashMap::new(), Priced::new(standard));
    for users in users.chunks(ROWS_WRITTEN) {
        let mut values = standard::values(standard, purge_through);
        let first = values.len() + 1;
        let places: Vec<String> = (first..first + users.len()).map(|place| format!("${place}")).collect();
        values.extend(users.iter().map(|id| Value::from(*id)));
        let sql = format!(
            "SELECT id, status, licenses, CAST(code AS bigint) AS code FROM ({} AND u.id IN ({})) looked",
            standard.accounts(Asked::Everything, backend),
            places.join(", ")
        );
        for row in conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await? {
            let status = UserStatus::try_from_value(&row.try_get::<String>("", "status")?)?;
            let code = priced.complete(Code(row.try_get("", "code")?), row.try_get("", "licenses")?)?;
            found.insert(row.try_get("", "id")?, (code, status));
        }
    }
    Ok(found)
}

async fn close(tx: &Tx, ids: &[Uuid], reason: CloseReason, now: i64) -> Result<()> {
    let set = ActiveModel { closed_at: Set(Some(now)), close_reason: Set(Some(reason)), ..Default::default() };
    change(tx, ids, set).await
}

/// Changes these findings.
async fn change(tx: &Tx, ids: &[Uuid], set: ActiveModel) -> Result<()> {
    for ids in ids.chunks(ROWS_WRITTEN) {
        let own = keyset::among((Entity, Column::Id), ids, tx.conn().get_database_backend());
        Entity::update_many().set(set.clone()).filter(own).exec(tx.conn()).await?;
    }
    Ok(())
}

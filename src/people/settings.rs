//! Which instances are people sources, and which domains are the company's. A change can be tried out first.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use entity::instance::{self, Status};
use entity::person::State;
use entity::{equivalent_domain, owned_domain, people_setting, people_source, people_task};
use parking_lot::Mutex;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, QueryOrder};
use tokio::time::Instant;
use uuid::Uuid;

use super::People;
use super::lane::{Lane, SETTING};
use crate::audit::{self, Subject};
use crate::db::Tx;
use crate::directory::evaluations::{self, Changed};
use crate::directory::follow_up;
use crate::directory::keys::match_key;
use crate::error::{Error, Refusal, RefusalCode, Result};

/// The most sources, and the most domains of each kind.
const MAX_SOURCES: usize = 20;
const MAX_DOMAINS: usize = 500;
/// How long a trial may keep others from writing.
const TRIAL: Duration = Duration::from_secs(3);

/// What a change of the settings changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Accounts that get a person, that lose theirs, and that get another one.
    pub linked: usize,
    pub unlinked: usize,
    pub moved: usize,
    pub people_added: usize,
    pub people_removed: usize,
    /// People who get this state.
    pub current: usize,
    pub left: usize,
    pub unknown: usize,
    /// False if there was no time to look at everything.
    pub is_complete: bool,
}

/// What a transaction changes, compared with what was before it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The person of each account, before and after.
    accounts: HashMap<Uuid, (Option<Uuid>, Option<Uuid>)>,
    /// The state of each person; `None` for somebody who is not known.
    people: HashMap<Uuid, (Option<State>, Option<State>)>,
}

impl Ledger {
    pub fn account(&mut self, user: Uuid, before: Option<Uuid>, after: Option<Uuid>) {
        self.accounts.entry(user).or_insert((before, after)).1 = after;
    }

    pub fn person(&mut self, person: Uuid, before: Option<State>, after: Option<State>) {
        self.people.entry(person).or_insert((before, after)).1 = after;
    }

    fn change(&self, is_complete: bool) -> Change {
        let mut change = Change { is_complete, ..Change::default() };
        for person in self.accounts.values() {
            match person {
                (None, Some(_)) => change.linked += 1,
                (Some(_), None) => change.unlinked += 1,
                (Some(before), Some(after)) if before != after => change.moved += 1,
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        for (before, after) in self.people.values() {
            change.people_added += usize::from(before.is_none() && after.is_some());
            change.people_removed += usize::from(before.is_some() && after.is_none());
            match after.filter(|after| before.unwrap_or_default() != *after) {
                Some(State::Current) => change.current += 1,
                Some(State::Left) => change.left += 1,
                Some(State::Unknown) => change.unknown += 1,
                None => {}
            }
        }
        change
    }
}

/// A people source and its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub instance_id: Uuid,
    pub rank: i32,
}

/// What is declared of domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains {
    pub owned: Vec<String>,
    /// Each stands for the other.
    pub equivalents: Vec<(String, String)>,
    pub strip_tags: bool,
}

impl Domains {
    /// In the form of match keys, each once. Refuses what is no domain.
    fn checked(&self) -> Result<Self> {
        let mut refusals = Vec::new();
        let mut check = |text: &str, field: Vec<String>| {
            let key = match_key(&format!("x@{}", text.trim().trim_start_matches('@')));
            let domain = key.and_then(|key| Some(key.strip_prefix("x@")?.to_owned())).filter(|it| it.contains('.'));
            if domain.is_none() {
                refusals.push(Refusal::invalid(format!("\"{text}\" is not a domain, such as example.com."), field));
            }
            domain.unwrap_or_default()
        };
        let place = |field: &str, index: usize, name: &str| -> Vec<String> {
            [field, &index.to_string(), name]
                .iter()
                .filter(|part| !part.is_empty())
                .map(|part| (*part).to_owned())
                .collect()
        };
        let owned: BTreeSet<String> =
            self.owned.iter().enumerate().map(|(index, text)| check(text, place("owned", index, ""))).collect();
        let mut equivalents = BTreeSet::new();
        for (index, (domain, same_as)) in self.equivalents.iter().enumerate() {
            let domain = check(domain, place("equivalents", index, "domain"));
            let same_as = check(same_as, place("equivalents", index, "sameAs"));
            equivalents.insert(if domain < same_as { (domain, same_as) } else { (same_as, domain) });
        }
        if equivalents.iter().any(|(domain, same_as)| domain == same_as && !domain.is_empty()) {
            refusals.push(Refusal::invalid("A domain is not equivalent to itself.", ["equivalents"]));
        }
        for (field, count) in [("owned", owned.len()), ("equivalents", equivalents.len())] {
            if count > MAX_DOMAINS {
                refusals.push(Refusal::invalid(format!("At most {MAX_DOMAINS} domains."), [field]));
            }
        }
        if !refusals.is_empty() {
            return Err(Error::Refused(refusals));
        }
        let (owned, equivalents) = (owned.into_iter().collect(), equivalents.into_iter().collect());
        Ok(Self { owned, equivalents, strip_tags: self.strip_tags })
    }
}

impl People {
    /// The people sources, those with the last word first.
    pub async fn sources(&self) -> Result<Vec<Source>> {
        use people_source::Column;
        let rows = people_source::Entity::find().order_by_asc(Column::Rank).order_by_asc(Column::InstanceId);
        let rows = rows.all(self.db.read()).await?;
        Ok(rows.into_iter().map(|row| Source { instance_id: row.instance_id, rank: row.rank }).collect())
    }

    /// The owned and equivalent domains.
    pub async fn domains(&self) -> Result<Domains> {
        let conn = self.db.read();
        let owned = owned_domain::Entity::find().order_by_asc(owned_domain::Column::Domain).all(conn).await?;
        let pairs = equivalent_domain::Entity::find().order_by_asc(equivalent_domain::Column::Domain).all(conn).await?;
        let setting = people_setting::Entity::find_by_id(SETTING).one(conn).await?;
        Ok(Domains {
            owned: owned.into_iter().map(|row| row.domain).collect(),
            equivalents: pairs.into_iter().map(|row| (row.domain, row.same_as)).collect(),
            strip_tags: setting.is_some_and(|setting| setting.strip_tags),
        })
    }

    /// Replaces the people sources. A trial changes nothing, and says what would change.
    pub async fn set_sources(&self, sources: &[Source], trial: bool) -> Result<Option<Change>> {
        let distinct: BTreeSet<Uuid> = sources.iter().map(|source| source.instance_id).collect();
        if distinct.len() < sources.len() {
            return Err(Refusal::invalid("An instance is given twice.", ["sources"]).into());
        }
        if sources.len() > MAX_SOURCES {
            return Err(Refusal::invalid(format!("At most {MAX_SOURCES} people sources."), ["sources"]).into());
        }
        for (index, source) in sources.iter().enumerate() {
            if !(1..=100).contains(&source.rank) {
                let field = ["sources".to_owned(), index.to_string(), "rank".to_owned()];
                return Err(Refusal::invalid("A rank is a number from 1 to 100.", field).into());
            }
        }
        let detail = format!("There are {} people sources.", sources.len());
        self.set(trial, &detail, New::Sources(sources)).await
    }

    /// Replaces what is declared of domains. A trial changes nothing, and says what would change.
    pub async fn set_domains(&self, domains: &Domains, trial: bool) -> Result<Option<Change>> {
        let domains = &domains.checked()?;
        let detail = format!("There are {} owned domains.", domains.owned.len());
        self.set(trial, &detail, New::Domains(domains)).await
    }

    async fn set(&self, trial: bool, detail: &str, new: New<'_>) -> Result<Option<Change>> {
        let (now, tried) = (self.clock.now(), &Mutex::new(None));
        let done = self
            .db
            .write(|tx| async move {
                // Waits for those who work with the settings as they are.
                Lane::enter(&tx, now).await?;
                match new {
                    New::Sources(sources) => store_sources(&tx, sources).await?,
                    New::Domains(domains) => store_domains(&tx, domains).await?,
                }
                if trial {
                    *tried.lock() = Some(try_out(&tx, now).await?);
                    // Nothing of it is kept.
                    return Err(Error::Refused(Vec::new()));
                }
                audit::record_change(&tx, now, || None::<Subject>, detail);
                evaluations::request_all(&tx, None, Changed::Everything, now).await?;
                follow_up::everything(&tx, now).await
            })
            .await;
        match (done, tried.lock().take()) {
            (Err(Error::Refused(refusals)), Some(change)) if refusals.is_empty() => Ok(Some(change)),
            (done, _) => done.map(|()| None),
        }
    }
}

/// A setting that is replaced.
#[derive(Clone, Copy)]
enum New<'a> {
    Sources(&'a [Source]),
    Domains(&'a Domains),
}

/// Does in this transaction what the tasks would do, as far as there is time.
async fn try_out(tx: &Tx, now: i64) -> Result<Change> {
    let mut lane = Lane::enter(tx, now).await?;
    let mut task = people_task::Model {
        id: Uuid::nil(),
        kind: people_task::Kind::Everything,
        instance_id: None,
        run_id: None,
        at: now,
        phase: 0,
        position: None,
    };
    let begun = Instant::now();
    let mut is_complete = false;
    while !is_complete && begun.elapsed() < TRIAL {
        is_complete = lane.step(&mut task).await?;
    }
    Ok(lane.ledger.change(is_complete))
}

async fn store_sources(tx: &Tx, sources: &[Source]) -> Result<()> {
    let conn = tx.conn();
    for (index, source) in sources.iter().enumerate() {
        let instance = instance::Entity::find_by_id(source.instance_id).one(conn).await?;
        if !instance.is_some_and(|instance| matches!(instance.status, Status::Live | Status::Inactive)) {
            let field = ["sources".to_owned(), index.to_string(), "instanceId".to_owned()];
            return Err(Refusal::new(RefusalCode::NotFound, "There is no instance with this id.").at(field).into());
        }
    }
    let before = people_source::Entity::find().all(conn).await?;
    people_source::Entity::delete_many().exec(conn).await?;
    let rows = sources.iter().map(|source| {
        let known = before.iter().find(|row| row.instance_id == source.instance_id);
        let settled = known.is_some_and(|row| row.settled);
        people_source::ActiveModel {
            instance_id: Set(source.instance_id),
            rank: Set(source.rank),
            settled: Set(settled),
        }
    });
    if !sources.is_empty() {
        people_source::Entity::insert_many(rows).exec_without_returning(conn).await?;
    }
    Ok(())
}

async fn store_domains(tx: &Tx, domains: &Domains) -> Result<()> {
    let conn = tx.conn();
    owned_domain::Entity::delete_many().exec(conn).await?;
    equivalent_domain::Entity::delete_many().exec(conn).await?;
    if !domains.owned.is_empty() {
        let rows = domains.owned.iter().map(|domain| owned_domain::ActiveModel { domain: Set(domain.clone()) });
        owned_domain::Entity::insert_many(rows).exec_without_returning(conn).await?;
    }
    if !domains.equivalents.is_empty() {
        let rows = domains.equivalents.iter().map(|(domain, same_as)| equivalent_domain::ActiveModel {
            domain: Set(domain.clone()),
            same_as: Set(same_as.clone()),
        });
        equivalent_domain::Entity::insert_many(rows).exec_without_returning(conn).await?;
    }
    let strip_tags = Set(domains.strip_tags);
    people_setting::ActiveModel { id: Set(SETTING), strip_tags, ..Default::default() }.update(conn).await?;
    Ok(())
}

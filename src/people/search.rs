//! Searches for people by words, as users are searched for.
//!
//! A search walks the words that begin with its leading word, in the order of words and then of people. A person is found
//! by the first of these words, and so once on all pages.

use entity::person;
use entity::person_word::{Column, Entity};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoColumnRef, Order, Query, SelectStatement, SimpleExpr};
use sea_orm::{Condition, EntityTrait, QueryFilter, QueryTrait, Select};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::queries::{self, Filter, Found};
use crate::db::{self, Reader, Total, keyset};
use crate::directory::words::Term;
use crate::error::Result;

/// A position in a search: a word and a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub word: String,
    pub person: Uuid,
}

/// One page.
pub(super) async fn page(reader: &Reader, filter: &Filter, after: Option<Position>, limit: u64) -> Result<Vec<Found>> {
    let Some(select) = select(filter) else { return Ok(Vec::new()) };
    let (word, person) = ((Entity, Column::Word), (Entity, Column::PersonId));
    let mut entries = select.into_query();
    entries
        .clear_selects()
        .columns([word, person])
        .order_by(word, Order::Asc)
        .order_by(person, Order::Asc)
        .limit(limit);
    if let Some(Position { word: at, person: id }) = after {
        entries.and_where(keyset::after(word, person, &Order::Asc, at, id));
    }
    let entries: Vec<(String, Uuid)> = reader.rows(entries).await?;
    let ids: Vec<Uuid> = entries.iter().map(|(_, id)| *id).collect();
    let people = queries::by_ids(reader, &ids).await?;
    let found = |(word, id): (String, Uuid)| {
        let person = people.get(&id)?.clone();
        Some(Found { person, position: queries::Position::Word(Position { word, person: id }) })
    };
    Ok(entries.into_iter().filter_map(found).collect())
}

/// How many people are found.
pub(super) async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    match select(filter) {
        Some(select) => db::total(reader, select).await,
        None => Ok(Total::exact(0)),
    }
}

/// The words by which people are found, one for each.
fn select(filter: &Filter) -> Option<Select<Entity>> {
    let terms: Vec<&Term> = filter.search.iter().collect();
    // Whatever a term finds has a word that begins with its first word. The longest is probably the rarest.
    let lead = terms.iter().filter_map(|term| term.words.first()).max_by_key(|word| word.len())?;
    let (word, id) = (Expr::col((Entity, Column::Word)), Expr::col((Entity, Column::PersonId)));
    let other = Alias::new("other");
    let earlier = own(&other, id.clone())
        .and_where(begins((other.clone(), Column::Word), lead))
        .and_where(Expr::col((other.clone(), Column::Word)).lt(word))
        .take();
    let mut all = Condition::all().add(begins((Entity, Column::Word), lead)).add(Expr::exists(earlier).not());
    for term in terms {
        all = all.add(finds(term, &id));
    }
    let mut people = filter.select().into_query();
    people.clear_selects().expr(Expr::value(1)).and_where(Expr::col((person::Entity, person::Column::Id)).eq(id));
    Some(Entity::find().filter(all).filter(Expr::exists(people)))
}

/// The words of a person.
fn own(other: &Alias, id: SimpleExpr) -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(Expr::value(1))
        .from_as(Entity, other.clone())
        .and_where(Expr::col((other.clone(), Column::PersonId)).eq(id));
    select
}

/// Whether a term finds a person: as one word, or as several.
fn finds(term: &Term, id: &SimpleExpr) -> Condition {
    let other = Alias::new("other");
    let has = |word: &str| {
        Expr::exists(own(&other, id.clone()).and_where(begins((other.clone(), Column::Word), word)).take())
    };
    let words = term.words.iter().fold(Condition::all(), |all, word| all.add(has(word)));
    if !term.is_compound() {
        return words;
    }
    Condition::any().add(has(&term.whole)).add(words)
}

/// The condition that a word begins with a text.
fn begins(column: impl IntoColumnRef + Clone, text: &str) -> SimpleExpr {
    // No text is greater than one with the greatest character after it.
    Expr::col(column.clone()).gte(text).and(Expr::col(column).lt(format!("{text}{}", char::MAX)))
}

/// The people who have each of these words, at most so many. For suggestions.
pub(super) fn with_all_words(words: &[String], limit: u64) -> Option<SelectStatement> {
    let (first, others) = words.split_first()?;
    let (word, id) = ((Entity, Column::Word), Expr::col((Entity, Column::PersonId)));
    let other = Alias::new("other");
    let mut select = Query::select();
    select.expr_as(id.clone(), "person_id").from(Entity).and_where(Expr::col(word).eq(first.as_str()));
    for text in others {
        let same = own(&other, id.clone()).and_where(Expr::col((other.clone(), Column::Word)).eq(text.as_str())).take();
        select.and_where(Expr::exists(same));
    }
    select.order_by((Entity, Column::PersonId), Order::Asc).limit(limit);
    Some(select)
}

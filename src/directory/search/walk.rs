//! Ranges of the index of words.

use std::collections::VecDeque;

use entity::user_word::{Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, Select};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::keyset;
use crate::directory::users::Filter;
use crate::directory::words::Term;

/// The place of an entry in a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    #[serde(flatten)]
    walk: Walk,
    word: String,
    user: Uuid,
}

/// The users who have a word that begins with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walk {
    pub(super) lead: String,
    /// Users with a word that begins so are left out, because another walk finds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) except: Option<String>,
}

/// An entry that a walk looks at.
#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) word: String,
    pub(super) user_id: Uuid,
    pub(super) instance_id: Uuid,
    pub(super) words: String,
    /// Whether the walk ends with it, and it need not be of a user that is found.
    pub(super) is_last: bool,
}

impl Walk {
    /// The walks that find the users of a term together. `word` is one of the term's words.
    pub(super) fn all(term: &Term, word: &str) -> VecDeque<Self> {
        let whole = Self { lead: term.whole.clone(), except: None };
        if !term.is_compound() {
            return [whole].into();
        }
        [whole, Self { lead: word.to_owned(), except: Some(term.whole.clone()) }].into()
    }

    /// The walks that are left at a position; `None` if no search for these terms can be there.
    pub(super) fn from(filter: &Filter, position: &Position) -> Option<VecDeque<Self>> {
        let Position { walk, word, .. } = position;
        if !word.starts_with(&walk.lead) {
            return None;
        }
        filter.search.iter().find_map(|term| match &walk.except {
            None if term.whole == walk.lead => {
                let longest = term.words.iter().max_by_key(|word| word.len())?;
                Some(Self::all(term, longest))
            }
            Some(except) if term.whole == *except && term.words.contains(&walk.lead) => Some([walk.clone()].into()),
            _ => None,
        })
    }

    /// Its first place.
    pub(super) fn start(&self) -> Position {
        Position { walk: self.clone(), word: self.lead.clone(), user: Uuid::nil() }
    }

    /// The place of an entry.
    pub(super) fn at(&self, entry: &Entry) -> Position {
        Position { walk: self.clone(), word: entry.word.clone(), user: entry.user_id }
    }

    /// Its entries, of all instances or of one.
    pub(super) fn entries(&self, instance: Option<Uuid>, backend: DbBackend) -> Select<Entity> {
        let mut entries = Entity::find().filter(Column::Word.gte(self.lead.as_str()));
        if let Some(end) = end_of(&self.lead) {
            entries = entries.filter(Column::Word.lt(end));
        }
        let ordered = match instance {
            Some(id) => keyset::of_parent(entries, (Column::InstanceId, id), Column::Word, Order::Asc, backend),
            None => entries.order_by_asc(Column::Word),
        };
        ordered.order_by_asc(Column::UserId)
    }

    /// Those after a place.
    pub(super) fn entries_after(entries: Select<Entity>, Position { word, user, .. }: &Position) -> Select<Entity> {
        let place = Expr::tuple([Column::Word, Column::UserId].map(|column| Expr::col((Entity, column))));
        entries.filter(place.gt(Expr::tuple([Expr::value(word.as_str()), Expr::value(*user)])))
    }
}

/// The end of the range of texts that begin with `text`: the successor of its last character. The last code point has
/// no successor.
fn end_of(text: &str) -> Option<String> {
    let mut end: Vec<char> = text.chars().collect();
    while let Some(last) = end.pop() {
        if let Some(next) = (u32::from(last) + 1..=0x0010_FFFF).find_map(char::from_u32) {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}

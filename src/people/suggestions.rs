//! Suggests people for accounts that nobody is known for. Names never link an account; they only suggest.

use std::collections::HashMap;

use entity::person::Model;
use entity::{account_link, user};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::{queries, search};
use crate::db::{Columns, Reader, keyset};
use crate::directory::words::Words;
use crate::error::Result;

/// At most `limit` people for each of these accounts that is nobody's. They have all words of its name, or all of its
/// address before the `@`. One word alone suggests nobody.
pub async fn suggest(reader: &Reader, users: &[Uuid], limit: u64) -> Result<HashMap<Uuid, Vec<Model>>> {
    use account_link::Column;
    let own = keyset::among((account_link::Entity, Column::UserId), users, reader.get_database_backend());
    let anybodys = account_link::Entity::find().select_only().column(Column::UserId).filter(own);
    let anybodys: Vec<Uuid> = anybodys.filter(Column::PersonId.is_not_null()).into_tuple().all(reader).await?;
    let nobodys: Vec<Uuid> = users.iter().copied().filter(|user| !anybodys.contains(user)).collect();
    let own = keyset::among((user::Entity, user::Column::Id), &nobodys, reader.get_database_backend());
    let rows: Vec<(Uuid, Option<String>, Option<String>)> = user::Entity::find()
        .select_only()
        .columns([user::Column::Id, user::Column::DisplayName, user::Column::Email])
        .filter(own)
        .into_tuple()
        .all(reader)
        .await?;
    let wanted = rows.iter().flat_map(|(user, name, email)| {
        let local = email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(local, _)| local);
        [name.as_deref(), local].into_iter().flatten().filter_map(|text| {
            let words: Vec<String> = Words::of(None, Some(text)).shared().map(|(word, _)| word.to_owned()).collect();
            let mut select = search::with_all_words(&words, limit).filter(|_| words.len() > 1)?;
            let account = Expr::col((user::Entity, user::Column::Id));
            select.expr_as(account.clone(), "user_id").from(user::Entity).and_where(account.eq(*user));
            Some(select)
        })
    });
    let found = keyset::pages(reader, wanted.collect(), Columns::ALL, |(_, user): &(Uuid, Uuid)| *user).await?;
    let ids: Vec<Uuid> = found.values().flatten().map(|(person, _)| *person).collect();
    let people = queries::by_ids(reader, &ids).await?;
    let suggested = found.into_iter().map(|(user, found)| {
        let mut ids: Vec<Uuid> = found.into_iter().map(|(person, _)| person).collect();
        ids.sort_unstable();
        ids.dedup();
        let people = ids.into_iter().filter_map(|id| people.get(&id).cloned());
        (user, people.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    });
    Ok(suggested.collect())
}

//! Searching for a part of a text.

use sea_orm::Condition;
use sea_orm::sea_query::{Expr, ExprTrait, Func, IntoColumnRef, LikeExpr, SimpleExpr};

/// Nothing that is searched like this is longer, in bytes. SQLite refuses patterns of more than 50,000.
const LONGEST: usize = 4_000;

/// The condition that a text contains another one. SQLite does not tell `a` from `A`, for the letters from A to Z.
pub fn contains(text: impl Into<SimpleExpr>, part: &str) -> SimpleExpr {
    if part.len() > LONGEST {
        return Expr::value(false);
    }
    text.into().like(LikeExpr::new(format!("%{}%", escape(part))).escape('\\'))
}

/// The condition that the text of one of these columns contains another one, in any case of the letters from A to Z.
/// PostgreSQL knows the case of others, too. All rows are found without a text.
pub fn any_contains(columns: impl IntoIterator<Item = impl IntoColumnRef + Clone>, part: Option<&str>) -> Condition {
    let Some(part) = part else { return Condition::all() };
    let mut any = Condition::any();
    for column in columns {
        let lower = SimpleExpr::from(Func::lower(Expr::col(column.clone())));
        any = any.add(contains(lower, &part.to_lowercase())).add(contains(Expr::col(column), part));
    }
    any
}

/// Escapes a text for LIKE, with `\` as the escape character.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

//! Which columns of a row its fields read.

/// What a field reads of its row.
pub enum Reads {
    /// The columns with these names, beside those that are always read, see [`crate::graphql::wanted`].
    Columns(&'static [&'static str]),
    /// All of it, and of the rows that it refers to.
    Everything,
}

/// The fields of a type whose values are rows. The macro `fields` implements it.
pub trait ReadFields {
    /// `None` if the type has no such field.
    fn reads(field: &str) -> Option<Reads>;
}

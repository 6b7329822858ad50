//! What rules are made of.

/// What a caller needs for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it is about the caller.
    Own,
    /// To read figures: the catalog, instances, runs and counts. Nothing of it names a person.
    Figures,
    /// To read what names a person: accounts, addresses, and texts and settings that may contain an address.
    People,
    /// To change instances and the recipients of mail.
    Operate,
    /// To read and change what is about the installation and those who use it.
    Administer,
    /// To read the schema.
    Schema,
}

/// A type, what its fields need, and some of its fields. Some types have fields of both kinds.
pub(super) type Object = (&'static str, Need, &'static [&'static str]);

pub(super) const PAGE: &[&str] = &["edges", "nodes", "pageInfo", "totalCount", "totalCountIsExact"];
pub(super) const EDGE: &[&str] = &["cursor", "node"];

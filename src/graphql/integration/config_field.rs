//! The form that connects an application.

use async_graphql::Object;

use crate::graphql::written::fields;

use integration::manifest::config::{self, FieldKind};

pub struct ConfigField(pub config::ConfigField);

/// A field of the form that connects an application.
#[fields]
#[Object]
impl ConfigField {
    /// The key of the field, for `ConfigValueInput.key`.
    fn key(&self) -> &str {
        &self.0.key
    }

    /// Its label in a form.
    fn label(&self) -> &str {
        &self.0.label
    }

    /// The type of its value.
    #[graphql(name = "type")]
    fn kind(&self) -> FieldKind {
        self.0.kind
    }

    /// A sentence of help next to the field.
    fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// An example to show while the field is empty.
    fn placeholder(&self) -> Option<&str> {
        self.0.placeholder.as_deref()
    }

    /// A regular expression that the whole value must match.
    fn pattern(&self) -> Option<&str> {
        self.0.pattern.as_ref().map(|pattern| pattern.source.as_str())
    }

    /// The values that are allowed; empty unless its type is `ENUM`.
    fn options(&self) -> &[String] {
        &self.0.options
    }

    /// The keys of the `authenticationOptions` that need this field; empty if all of them do.
    fn only_with(&self) -> &[String] {
        &self.0.only_with
    }

    /// The value that is used if the field is left empty.
    fn default(&self) -> Option<&str> {
        self.0.default.as_deref()
    }

    /// Whether a value must be given, where the field is needed.
    fn required(&self) -> bool {
        self.0.required()
    }

    /// Whether the value is stored encrypted and never shown again.
    fn secret(&self) -> bool {
        self.0.secret()
    }
}

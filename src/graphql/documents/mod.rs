//! Documents that were checked before.
//!
//! Clients send the same few documents again and again. [`Documents`] keeps those that the [guard](super::guard) and
//! the schema accepted, so that they are neither parsed nor validated again. [`verdicts`] says for which variables that
//! holds. Nothing is kept that was refused.

use std::sync::{Arc, OnceLock};

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Request, Variables};
use hashlink::LruCache;
use parking_lot::Mutex;
use ring::digest::{Context, SHA256, digest};
use serde::Serialize;

use self::covered::is_covered;
use self::verdicts::{Shape, Verdicts};
use super::access::Needs;
use super::api::Wanted;

pub mod covered;
pub mod validation;
pub mod verdicts;

/// The most documents that are kept.
const MAX_DOCUMENTS: usize = 1_000;
/// The most memory that the kept documents take together, in bytes, as it is estimated.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How much a byte of text takes in a parsed document, and how much each selection takes beyond that.
const BYTES_PER_BYTE: usize = 25;
const BYTES_PER_SELECTION: usize = 256;

/// The SHA-256 of the text of a document.
pub type Hash = [u8; 32];

/// Identifies a document with the name of an operation and the values of variables.
pub type QueryKey = [u8; 32];

/// The SHA-256 of the text of a document.
pub fn hash(text: &str) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

/// A document that passed every check that does not depend on the values of variables.
pub struct Document {
    pub hash: Hash,
    pub parsed: ExecutableDocument,
    /// The variables that are given null if they have no value.
    pub nullable: Vec<Name>,
    /// What it needs of rows, see [`super::wanted`].
    pub wanted: OnceLock<Wanted>,
    /// What its fields need of their caller. It is found when the document is valid.
    pub needs: OnceLock<Needs>,
    /// Whether its answers may be kept, see [`super::answers`].
    pub keeps_answers: bool,
    /// How much memory it takes, as it is estimated.
    bytes: usize,
    verdicts: Verdicts,
}

impl Document {
    pub fn new(text: &str, hash: Hash, parsed: ExecutableDocument, nullable: Vec<Name>) -> Self {
        let verdicts = Verdicts::of(&parsed);
        let keeps_answers = is_covered(&parsed);
        let bytes = text.len() * BYTES_PER_BYTE + selections_of(&parsed) * BYTES_PER_SELECTION;
        Self { hash, parsed, nullable, wanted: OnceLock::new(), needs: OnceLock::new(), keeps_answers, bytes, verdicts }
    }

    /// The key of the document with the name of an operation and the values of variables.
    pub fn key(&self, operation_name: Option<&str>, values: impl Serialize) -> QueryKey {
        // Their keys are texts, so that nothing is refused.
        let text = serde_json::to_string(&(operation_name, values)).unwrap_or_default();
        let mut context = Context::new(&SHA256);
        context.update(&self.hash);
        context.update(text.as_bytes());
        let mut key = QueryKey::default();
        key.copy_from_slice(context.finish().as_ref());
        key
    }
}

fn selections_of(document: &ExecutableDocument) -> usize {
    fn of(set: &SelectionSet) -> usize {
        let inner = set.items.iter().map(|item| match &item.node {
            Selection::Field(field) => of(&field.node.selection_set.node),
            Selection::InlineFragment(inline) => of(&inline.node.selection_set.node),
            Selection::FragmentSpread(_) => 0,
        });
        set.items.len() + inner.sum::<usize>()
    }
    let operations = document.operations.iter().map(|(_, operation)| of(&operation.node.selection_set.node));
    let fragments = document.fragments.values().map(|fragment| of(&fragment.node.selection_set.node));
    operations.chain(fragments).sum()
}

/// A document and the values of its variables, which passed the guard. It is in the data of each request.
#[derive(Clone)]
pub struct Checked {
    pub document: Arc<Document>,
    /// The name of the operation, if it was given.
    operation: Option<Arc<str>>,
    shape: Option<Arc<Shape>>,
    documents: Arc<Documents>,
}

impl Checked {
    pub fn new(
        document: Arc<Document>,
        documents: Arc<Documents>,
        operation_name: Option<&str>,
        variables: &Variables,
    ) -> Self {
        let shape = document.verdicts.shape(operation_name, variables).map(Arc::new);
        Self { document, operation: operation_name.map(Arc::from), shape, documents }
    }

    /// The request that executes the document.
    pub fn request(&self, operation_name: Option<String>, variables: Variables) -> Request {
        // The text is read nowhere, because the document is parsed.
        let mut request = Request::new(String::new()).variables(variables).data(self.clone());
        request.operation_name = operation_name;
        request.set_parsed_query(self.document.parsed.clone());
        request
    }
}

/// The documents that are kept, those that were used least recently first.
#[derive(Default)]
pub struct Documents(Mutex<Kept>);

struct Kept {
    documents: LruCache<Hash, Arc<Document>>,
    bytes: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self { documents: LruCache::new_unbounded(), bytes: 0 }
    }
}

impl Documents {
    pub fn find(&self, hash: &Hash) -> Option<Arc<Document>> {
        self.0.lock().documents.get(hash).cloned()
    }

    fn keep(&self, document: &Arc<Document>) {
        let mut kept = self.0.lock();
        if kept.documents.contains_key(&document.hash) {
            return;
        }
        kept.documents.insert(document.hash, document.clone());
        kept.bytes += document.bytes;
        while kept.bytes > MAX_BYTES || kept.documents.len() > MAX_DOCUMENTS {
            let Some((_, oldest)) = kept.documents.remove_lru() else { return };
            kept.bytes -= oldest.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn document(text: &str) -> Arc<Document> {
        Arc::new(Document::new(text, hash(text), parse_query(text).unwrap(), Vec::new()))
    }

    #[test]
    fn selections_count_wherever_they_are() {
        let count = |text: &str| selections_of(&parse_query(text).unwrap());
        assert_eq!(count("{ a b { c ... on D { e } ...F } }"), 6);
        assert_eq!(count("query A { a } query B { ...F } fragment F on D { e { f } }"), 4);
    }

    #[test]
    fn what_was_used_least_recently_is_dropped() {
        let documents = Documents::default();
        let short = |number: usize| format!("{{ field{number} }}");
        let known = |text: &str| documents.find(&hash(text)).is_some();
        for number in 0..=MAX_DOCUMENTS {
            documents.keep(&document(&short(number)));
            assert!(known(&short(0)), "it was used");
        }
        assert!(!known(&short(1)) && known(&short(2)));
        let long = |number: usize| format!("{{ field{number} }} #{}", "x".repeat(30_000));
        for number in 0..30 {
            documents.keep(&document(&long(number)));
            documents.keep(&document(&long(number)));
        }
        assert!(known(&long(29)) && !known(&long(0)) && !known(&short(0)));
        let kept = documents.0.lock();
        assert!((MAX_BYTES - 31_000 * BYTES_PER_BYTE..=MAX_BYTES).contains(&kept.bytes), "{}", kept.bytes);
        assert_eq!(kept.bytes, kept.documents.iter().map(|(_, document)| document.bytes).sum::<usize>());
    }
}

//! Rows that are written as JSON at once are the same as what the library makes of them by itself, and a document that
//! is asked again has the same answers as one that was never checked.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use async_graphql::parser::types::{BaseType, FieldDefinition, Selection, Type, TypeKind, TypeSystemDefinition};
use async_graphql::parser::{parse_query, parse_schema};
use async_graphql::{Name, Request, Response, Variables};
use fastrand::Rng;
use muster::app::App;
use muster::audit::journal::Journal;
use muster::auth::access::Access;
use muster::auth::{Caller, Role, Who};
use muster::clock::Clock;
use muster::config::{Roles, Settings};
use muster::findings::Findings;
use muster::graphql::api::{Api, Services};
use muster::graphql::guard::Guard;
use muster::graphql::schema::{AppSchema, build, sdl};
use muster::graphql::wanted::wanted;
use muster::graphql::{id, json, written::Unmerged};
use muster::instance::authorization::Authorizations;
use muster::notification::test_mail::TestMail;
use muster::webhook::{Ids, Webhooks};
use serde_json::json;
use uuid::Uuid;

use crate::support::Server;

/// How many answers each test compares, two of most documents.
const ANSWERS: usize = 5_000;
/// The deepest selection.
const DEPTH: usize = 4;

/// The fields of the schema's types, and random documents over them.
pub struct Schema {
    types: HashMap<String, TypeKind>,
    /// Values of arguments by their names.
    values: HashMap<&'static str, Vec<String>>,
}

/// Chance, whether response keys are repeated, and the types of the variables of a document, each with the values of
/// two requests.
pub struct Random {
    rng: Rng,
    pub repeats: bool,
    variables: Vec<(String, [String; 2])>,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), repeats: false, variables: Vec::new() }
    }
}

/// A document, and the variables of two requests.
pub struct Document {
    pub text: String,
    pub variables: [Variables; 2],
}

impl std::ops::Deref for Random {
    type Target = Rng;

    fn deref(&self) -> &Rng {
        &self.rng
    }
}

impl std::ops::DerefMut for Random {
    fn deref_mut(&mut self) -> &mut Rng {
        &mut self.rng
    }
}

impl Schema {
    pub fn new(ids: &[String], cursors: &[String]) -> Self {
        let document = parse_schema(sdl()).unwrap();
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(it) => Some((it.node.name.node.to_string(), it.node.kind)),
            _ => None,
        });
        let quoted = |texts: &[String]| texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>();
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let with = |mut texts: Vec<String>, more: &[&str]| {
            texts.extend(more.iter().map(|text| (*text).to_owned()));
            texts
        };
        let values = HashMap::from([
            ("first", texts(&["1", "2", "3", "7", "0", "101", "null"])),
            ("after", with(quoted(cursors), &["\"nonsense\"", "null"])),
            ("id", with(quoted(ids), &["\"nonsense\""])),
            ("key", texts(&["\"rehearsal\"", "\"scim\"", "\"none\""])),
            ("kind", texts(&["ADDED", "REMOVED"])),
            ("orderBy", texts(&["{field: NAME, direction: DESC}", "{field: CREATED_AT, direction: ASC}"])),
            ("search", texts(&["\"a\"", "\"number\"", "\"\""])),
        ]);
        Self { types: types.collect(), values }
    }

    pub fn document(&self, random: &mut Random) -> Document {
        let mut fragments = Vec::new();
        random.variables.clear();
        let mut text = self.selection("Query", 0, random, &mut fragments);
        // A fragment spreads only those before it, and validation refuses one that is not used.
        for (index, (on, selection)) in fragments.iter().enumerate().rev() {
            if text.contains(&format!("...F{index} ")) {
                let _ = write!(text, " fragment F{index} on {on} {selection}");
            }
        }
        let used = |index: usize| text.contains(&format!("$v{index})")) || text.contains(&format!("$v{index},"));
        let used: Vec<_> = random.variables.iter().enumerate().filter(|(index, _)| used(*index)).collect();
        let definitions: Vec<_> = used.iter().map(|(index, (of, _))| format!("$v{index}: {of}")).collect();
        let definitions = definitions.join(" ");
        let values = |request: usize| {
            let value = |(index, (_, values)): &(usize, &(String, [String; 2]))| {
                (Name::new(format!("v{index}")), constant(&values[request]))
            };
            Variables::from_value(async_graphql::Value::Object(used.iter().map(value).collect()))
        };
        let variables = [values(0), values(1)];
        if definitions.is_empty() {
            text.insert_str(0, "query ");
        } else {
            text.insert_str(0, &format!("query({definitions})"));
        }
        Document { text, variables }
    }

    fn fields(&self, name: &str) -> &[async_graphql::Positioned<FieldDefinition>] {
        match &self.types[name] {
            TypeKind::Object(object) => &object.fields,
            TypeKind::Interface(interface) => &interface.fields,
            _ => &[],
        }
    }

    fn is_composite(&self, name: &str) -> bool {
        matches!(self.types.get(name), Some(TypeKind::Object(_) | TypeKind::Interface(_)))
    }

    fn selection(&self, on: &str, depth: usize, random: &mut Random, fragments: &mut Vec<(String, String)>) -> String {
        let mut parts: Vec<String> = Vec::new();
        let all = self.fields(on);
        let mut seen = HashSet::new();
        for _ in 0..random.usize(1..=if depth == 0 { 2 } else { 4 }) {
            let field = &all[random.usize(..all.len())].node;
            if !random.repeats && !seen.insert(field.name.node.as_str()) {
                continue;
            }
            let Some(part) = self.field(field, depth, random, fragments) else { continue };
            // The same response key again, with the same arguments and another selection.
            if random.repeats && part.ends_with('}') && !part.contains('(') && random.bool() {
                let again = self.field(field, depth, random, fragments);
                parts.extend(again.filter(|again| !again.contains([':', '('])));
            }
            parts.push(part);
        }
        if on == "Node" {
            for name in ["Instance", "SyncRun", "User", "Integration"] {
                if random.bool() {
                    parts.push(format!("... on {name} {}", self.selection(name, depth + 1, random, fragments)));
                }
            }
        }
        parts.push("__typename".to_owned());
        random.shuffle(&mut parts);
        let mut text = String::from("{");
        for part in parts {
            match random.u8(..20) {
                0 => {
                    let _ = write!(text, " ... {{ {part} }}");
                }
                1 => {
                    let _ = write!(text, " ... on {on} {{ {part} }}");
                }
                2 => {
                    let _ = write!(text, " ... on {on} @include(if: {}) {{ {part} }}", random.bool());
                }
                3 if fragments.len() < 6 => {
                    let _ = write!(text, " ...F{}", fragments.len());
                    fragments.push((on.to_owned(), format!("{{ {part} }}")));
                }
                _ => {
                    let _ = write!(text, " {part}");
                }
            }
        }
        text.push_str(" }");
        text
    }

    fn field(
        &self,
        field: &FieldDefinition,
        depth: usize,
        random: &mut Random,
        fragments: &mut Vec<(String, String)>,
    ) -> Option<String> {
        let name = field.name.node.as_str();
        let of = base(&field.ty.node);
        let composite = self.is_composite(of);
        // A count or a time that differs between two moments.
        if composite && depth >= DEPTH || name == "serverStatus" {
            return None;
        }
        let mut text = String::new();
        if random.u8(..10) == 0 {
            let _ = write!(text, "a{}: ", random.u8(..3));
        }
        text.push_str(name);
        let mut arguments = Vec::new();
        for argument in &field.arguments {
            let argument = &argument.node;
            let name = argument.name.node.as_str();
            let required = !argument.ty.node.nullable;
            let rare = name == "after";
            if !required && random.u8(..) > if rare { 20 } else { 90 } {
                continue;
            }
            let Some(values) = self.values.get(name) else { continue };
            let mut value = || values[random.usize(..values.len())].clone();
            let both = [value(), value()];
            if random.u8(..3) == 0 {
                arguments.push(format!("{name}: $v{}", random.variables.len()));
                random.variables.push((argument.ty.node.to_string(), both));
            } else {
                arguments.push(format!("{name}: {}", both[0]));
            }
        }
        if !arguments.is_empty() {
            let _ = write!(text, "({})", arguments.join(", "));
        }
        if random.u8(..30) == 0 {
            let _ = write!(text, " @skip(if: {})", random.bool());
        }
        if composite {
            text.push(' ');
            text.push_str(&self.selection(of, depth + 1, random, fragments));
        }
        Some(text)
    }
}

/// The value of a literal.
fn constant(literal: &str) -> async_graphql::Value {
    let document = parse_query(format!("{{ a(b: {literal}) }}")).unwrap();
    let (_, operation) = document.operations.iter().next().unwrap();
    let Selection::Field(field) = &operation.node.selection_set.node.items[0].node else { panic!("{literal}") };
    field.node.arguments[0].1.node.clone().into_const().unwrap()
}

fn base(of: &Type) -> &str {
    match &of.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => base(inner),
    }
}

/// The response, with its errors in one order: the library resolves fields at once. Which of several errors it finds
/// first where each takes all data with it, is left open by the specification.
async fn answer(schema: &AppSchema, request: Request) -> String {
    let mut response: Response = schema.execute(request).await;
    response.errors.sort_by_key(|error| format!("{:?} {}", error.path, error.message));
    String::from_utf8(json::response(&response)).unwrap()
}

fn test_mail(app: &App) -> TestMail {
    let (db, clock, mail_host) = (app.db.clone(), app.clock.clone(), app.engine.mail_host.clone());
    TestMail { db, clock, public_url: app.engine.public_url.clone(), mail_host }
}

/// A schema over a register with rows in every list, and ids and cursors of some of them.
pub async fn register() -> (Api, AppSchema, App, Vec<String>, Vec<String>, crate::support::Place) {
    let server = Server::start().await;
    server.done("setRecipients", json!({ "emails": ["grace@example.com"] }), "").await;
    let mut ids = Vec::new();
    for number in 0..4 {
        let outcomes = if number % 2 == 0 { "success,transient" } else { "success,partial" };
        let settings = [("users", "12"), ("churn_percent", "20"), ("outcomes", outcomes)];
        let id = server.rehearse(&format!("number {number}"), &settings).await;
        server.idle(&id, "").await;
        server.sync(&id, "id").await;
        ids.push(id);
    }
    server.done("updateInstance", json!({ "id": ids[3], "status": "INACTIVE" }), "").await;
    let found = server
        .ask(
            "{ users(first: 3) { edges { cursor node { id } } } syncHistory(first: 3) { edges { cursor node { id } } }
               notifications(first: 2) { edges { cursor node { id } } } instances(first: 2) { edges { cursor } } }",
            json!({}),
        )
        .await;
    let mut cursors = Vec::new();
    for list in ["users", "syncHistory", "notifications", "instances"] {
        for edge in found[list]["edges"].as_array().unwrap() {
            cursors.push(edge["cursor"].as_str().unwrap().to_owned());
            ids.extend(edge["node"]["id"].as_str().map(str::to_owned));
        }
    }
    ids.push("none".to_owned());
    let place = server.stop().await;
    let mut settings = Settings::defaults(place.path());
    settings.set_database(place.database.url().map(str::to_owned));
    let now = Arc::new(AtomicI64::new(Clock::System.now()));
    let app = Box::pin(App::new(settings, Roles::BOTH, Clock::Manual(now)));
    let app = app.await.unwrap_or_else(|error| panic!("{error}"));
    let api = Api::new(Services {
        instances: app.instances.clone(),
        authorizations: Authorizations::new(
            app.instances.clone(),
            Access { tokens: app.tokens.clone(), members: app.members.clone() },
            "http://127.0.0.1",
        ),
        members: app.members.clone(),
        people: app.people.clone(),
        findings: Findings { db: app.db.clone(), clock: app.clock.clone() },
        test_mail: test_mail(&app),
        webhooks: Webhooks {
            instances: app.instances.clone(),
            networks: Vec::new(),
            public_url: "http://127.0.0.1".into(),
            ids: Ids { instance: id::text_of_instance, run: id::text_of_run, page: app.engine.page_of },
        },
        journal: Journal::new(app.db.clone(), app.clock.clone()),
        tokens: app.tokens.clone(),
        epoch: 1,
    });
    (api, build(), app, ids, cursors, place)
}

/// Four, so that they run at once and each is short.
macro_rules! comparisons {
    ($($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            Box::pin(compare()).await;
        }
    )*};
}
comparisons! {
    written_rows_are_the_library_s_own_1_on_sqlite
    written_rows_are_the_library_s_own_2_on_sqlite
    written_rows_are_the_library_s_own_3_on_sqlite
    written_rows_are_the_library_s_own_4_on_sqlite
}

async fn compare() {
    let (api, schema, _app, ids, cursors, _place) = register().await;
    let documents = Schema::new(&ids, &cursors);
    let caller = Caller {
        who: Who::Token(Uuid::nil()),
        name: "test".into(),
        email: None,
        role: Role::Admin,
        scope: None,
        unlimited: false,
    };
    let seed = fastrand::u64(..);
    let mut random = Random::new(seed);
    let guard = Guard::new(true);
    let (mut compared, mut again, mut with_data, mut with_errors, mut longest) = (0, 0, 0, 0, 0);
    while compared < ANSWERS {
        random.repeats = random.bool();
        let Document { text, variables } = documents.document(&mut random);
        let mut before = None;
        for variables in variables {
            let request = || Request::new(text.clone()).variables(variables.clone());
            let Ok(checked) = guard.check(request()) else { continue };
            let document = checked.checked().document.clone();
            again += usize::from(before.is_some_and(|before| Arc::ptr_eq(&before, &document)));
            before = Some(document.clone());
            let wanted = api.of(&caller, wanted(&document));
            let written = answer(&schema, checked.into_request().data(caller.clone()).data(wanted)).await;
            let own = answer(&schema, request().data(caller.clone()).data(api.clone()).data(Unmerged)).await;
            if written.contains("conflict. Use") {
                // The library executes both fields, if its validation does not notice.
                continue;
            }
            let nothing = "\"data\":null}";
            // Where one of two equal keys fails, the library keeps the other, against the specification.
            let failed = own.contains("\"errors\"") && (random.repeats || own.ends_with(nothing));
            if !(failed && written.contains("\"errors\"")) {
                assert_eq!(written, own, "seed {seed}: {text} {variables:?}");
            }
            compared += 1;
            with_data += usize::from(!own.ends_with(nothing));
            with_errors += usize::from(own.contains("\"errors\""));
            longest = longest.max(own.len());
        }
    }
    println!(
        "{compared} answers, {again} of known documents, {with_data} with data, {with_errors} with errors, {longest} bytes at most"
    );
    assert!(with_data > ANSWERS / 2 && with_errors > ANSWERS / 100 && longest > 10_000);
    assert!(again > ANSWERS / 4, "{again}");
}

use std::fmt::Write;

use async_graphql::Variables;
use serde_json::json;

use super::*;

fn ask(query: &str) -> Request {
    Request::new(query)
}

/// A guard that has seen no document yet.
fn check(request: Request, introspection: bool) -> Result<Operation, ServerError> {
    Guard::new(introspection).check(request)
}

fn code(refusal: &ServerError) -> String {
    let code = refusal.extensions.as_ref().and_then(|values| values.get("code"));
    code.map(ToString::to_string).unwrap_or_default().trim_matches('"').to_owned()
}

fn refusal(query: &str) -> ServerError {
    check(ask(query), true).expect_err("to be refused")
}

#[track_caller]
fn assert_refused(query: &str, expected: Code) {
    let refusal = refusal(query);
    assert_eq!(code(&refusal), expected.as_str(), "{}", refusal.message);
    assert!(refusal.message.len() < 300, "{}", refusal.message);
}

#[test]
fn an_ordinary_operation_passes_with_its_parts() {
    let request = Request::new("query A($n: Int) { a(n: $n) } mutation B { b }")
        .operation_name("B")
        .variables(Variables::from_json(json!({ "n": 1 })));
    let operation = check(request, false).expect("to pass");
    assert_eq!(operation.kind(), OperationType::Mutation);
    assert_eq!(operation.name(), Some("B"));
    assert!(!format!("{operation:?}").contains('1'));
    let mut request = operation.into_request();
    assert_eq!(request.operation_name.as_deref(), Some("B"));
    assert_eq!(request.parsed_query().expect("parsed before").operations.iter().len(), 2);
    assert_eq!(request.variables.len(), 1);
    let unnamed = check(ask("query A { a }"), false).expect("to pass");
    assert_eq!(unnamed.name(), Some("A"));
    assert_eq!(unnamed.into_request().operation_name, None);
}

#[test]
fn each_limit_holds() {
    let repeat = |n: usize, part: &dyn Fn(usize) -> String| (0..n).map(part).collect::<String>();
    let aliases = repeat(51, &|i| format!("a{i}:b "));
    for document in [
        format!("{{a}} #{}", "x".repeat(MAX_DOCUMENT_BYTES)),
        format!("{{{}}}", "a ".repeat(MAX_TOKENS)),
        "{a".repeat(100_000),
        format!("{{{aliases}}}"),
        format!("{{...F}} fragment F on Query {{{aliases}}}"),
        format!("{{a {}}}", "@b ".repeat(51)),
        repeat(11, &|i| format!("query q{i} {{a}} ")),
        format!("query({}) {{a}}", repeat(51, &|i| format!("$v{i}:Int "))),
        format!("{}a{}", "{a".repeat(16), "}".repeat(16)),
        format!("{{...F ...F ...F}} fragment F on Query {{{}}}", "a ".repeat(700)),
        format!("{{{}}}", "__schema{a} ".repeat(6)),
        "{__type(name:\"A\"){fields{type{interfaces{possibleTypes{name}}}}}}".to_owned(),
        "{__schema{types{fields{type{fields{type{fields{name}}}}}}}}".to_owned(),
    ] {
        assert_refused(&document, Code::TooComplex);
    }
}

#[test]
fn deep_input_of_every_kind_leaves_the_stack_alone() {
    for (open, close) in [("{a", "}"), ("{...on A{", "}}"), ("{a(b:[", "])}"), ("{a(b:{c:", "})}")] {
        for levels in [MAX_NESTING / 2, 100, 3000] {
            let _ = check(ask(&format!("{}{}", open.repeat(levels), close.repeat(levels))), true);
            let _ = check(ask(&open.repeat(levels)), true);
        }
    }
    let lists = "[".repeat(3000);
    assert_refused(&format!("query($a:{lists}Int) {{a}}"), Code::TooComplex);
    assert_refused(&format!(r#"{{a(b:[""" [ " {lists}"#), Code::ParseFailed);
}

#[test]
fn a_fragment_bomb_is_refused_at_once() {
    let mut bomb = "{...f0} ".to_owned();
    for i in 0..8 {
        let spreads = format!("...f{} ", i + 1).repeat(6);
        write!(bomb, "fragment f{i} on Query {{{spreads}}} ").expect("a String");
    }
    assert_refused(&(bomb + "fragment f8 on Query {a}"), Code::TooComplex);
    assert_refused("{...a} fragment a on Q{...b} fragment b on Q{...a}", Code::ValidationFailed);
    assert_refused("{x} fragment a on Q{...a}", Code::ValidationFailed);
}

#[test]
fn a_syntax_error_says_where_and_repeats_nothing() {
    let refusal = refusal("{\n  CANARY(\n}");
    assert_eq!(code(&refusal), "GRAPHQL_PARSE_FAILED");
    assert_eq!(refusal.locations.first().map(|at| at.line), Some(3));
    assert!(!refusal.message.contains("CANARY"), "{}", refusal.message);
    for document in ["", "{", "qwerty cop { abc }", "query A{a} query A{b}", "{a} {b}", "{a\0}"] {
        assert_refused(document, Code::ParseFailed);
    }
}

#[test]
fn the_operation_is_chosen_or_the_request_refused() {
    let choose = |query: &str, name: &str| check(ask(query).operation_name(name), true);
    assert_eq!(choose("query A{a} mutation B{b}", "B").expect("to pass").kind(), OperationType::Mutation);
    assert!(choose("query A{a}", "C").is_err());
    assert!(choose("{a}", "A").is_err());
    assert_refused("query A{a} query B{b}", Code::OperationUnresolved);
    let long = choose("{a}", &"x".repeat(100_000)).expect_err("to be refused");
    assert!(long.message.len() < 200);
}

#[test]
fn introspection_can_be_switched_off_and_typename_cannot() {
    for query in [
        "{__schema{queryType{name}}}",
        "{a:__type(name:\"A\"){name}}",
        "{...F} fragment F on Query{__schema{queryType{name}}}",
        "query A{a} query B{__schema{queryType{name}}}",
        "{a} fragment F on Query{__schema{queryType{name}}}",
    ] {
        let refusal = check(ask(query), false).expect_err(query);
        assert_eq!(code(&refusal), "INTROSPECTION_DISABLED");
    }
    assert!(check(ask("{__typename a{__typename}}"), false).is_ok());
}

#[test]
fn the_standard_introspection_query_passes() {
    let types = "kind name ".to_owned() + &"ofType{kind name ".repeat(9) + &"}".repeat(9);
    let query = format!(
        "query IntrospectionQuery {{ __schema {{ description queryType {{ name kind }} mutationType {{ name kind }}
            subscriptionType {{ name kind }} types {{ ...FullType }}
            directives {{ name description isRepeatable locations args(includeDeprecated: true) {{ ...InputValue }} }} }} }}
        fragment FullType on __Type {{ kind name description specifiedByURL isOneOf
            fields(includeDeprecated: true) {{ name description args(includeDeprecated: true) {{ ...InputValue }}
                type {{ ...TypeRef }} isDeprecated deprecationReason }}
            inputFields(includeDeprecated: true) {{ ...InputValue }} interfaces {{ ...TypeRef }}
            enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }}
            possibleTypes {{ ...TypeRef }} }}
        fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue isDeprecated deprecationReason }}
        fragment TypeRef on __Type {{ {types} }}"
    );
    check(ask(&query), true).expect("to pass");
}

#[test]
fn a_subscription_has_one_root_field() {
    assert!(check(ask("subscription { a { b c } }"), true).is_ok());
    assert!(check(ask("subscription { ...F } fragment F on S { a }"), true).is_ok());
    for query in [
        "subscription { a b }",
        "subscription { ...F ...F } fragment F on S { a }",
        "subscription { __typename }",
        "subscription { ...Unknown }",
    ] {
        assert_refused(query, Code::ValidationFailed);
    }
}

#[test]
fn typename_is_a_plain_field() {
    assert!(check(ask("query($b: Boolean = true) { __typename @skip(if: $b) a { __typename } }"), true).is_ok());
    for query in [
        "{ __typename @aa }",
        "{ a { ... on A { __typename @include(if: true) @aa } } }",
        "{ ...F } fragment F on Q { __typename(a: 1) }",
        "{ __typename { a } }",
    ] {
        assert_refused(query, Code::ValidationFailed);
    }
}

#[test]
fn a_mutation_does_not_begin_without_its_variables() {
    let give = |variables: serde_json::Value| {
        let request = ask("mutation A($n: Int!, $m: Int! = 1, $o: Int) { a b(n: $n, m: $m, o: $o) }");
        check(request.variables(Variables::from_json(variables)), true)
    };
    assert!(give(json!({ "n": 1 })).is_ok());
    for variables in [json!(null), json!({}), json!({ "n": null }), json!({ "m": 1 })] {
        assert_eq!(code(&give(variables).expect_err("to be refused")), "GRAPHQL_VALIDATION_FAILED");
    }
}

#[test]
fn a_document_that_is_not_executed_is_not_kept() {
    let guard = Guard::new(true);
    let hash = |text: &str| hash(text).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let ask = |text: &str, extension: serde_json::Value| {
        let mut request = ask(text);
        let extension = async_graphql::Value::from_json(extension).expect("a value");
        request.extensions.0.insert(persisted::EXTENSION.to_owned(), extension);
        guard.check(request).map(|_| ()).map_err(|error| format!("{} {}", code(&error), error.message))
    };
    let claim = |hash: &str| json!({ "version": 1, "sha256Hash": hash });
    let unknown = Err("PERSISTED_QUERY_NOT_FOUND PersistedQueryNotFound".to_owned());
    assert_eq!(ask("", claim(&hash("{a}"))), unknown);
    assert_eq!(ask("{a}", claim(&hash("{a}"))), Ok(()));
    assert_eq!(ask("", claim(&hash("{a}"))), unknown, "the schema has not seen it");
    let mismatch = Err("BAD_REQUEST provided sha does not match query".to_owned());
    for wrong in [&hash("{b}"), "", "é", &hash("{a}")[1..], &format!("{}0", hash("{a}")), &"g".repeat(64)] {
        assert_eq!(ask("{a}", claim(wrong)), mismatch, "{wrong}");
        assert_eq!(ask("", claim(wrong)), unknown, "{wrong}");
    }
    assert_eq!(ask("{a}", json!(null)), Ok(()));
    for wrong in [json!(1), json!({}), json!({ "version": 2, "sha256Hash": "0" }), json!({ "version": 1 })] {
        assert!(ask("{a}", wrong.clone()).is_err_and(|error| error.starts_with("BAD_REQUEST")), "{wrong}");
    }
}

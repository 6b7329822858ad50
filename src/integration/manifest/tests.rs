//! Faults: found, placed, and explained.

use super::*;

pub(super) const GOOD: &str = r#"name: Acme
category: identity
description: Lists the users of Acme.
documentation_url: https://acme.example/docs
required_permissions: [users.read]
setup: Make a token.
config:
  - {key: domain, label: Domain, type: host, placeholder: acme.example}
  - {key: token, label: Token, type: secret, pattern: '00[A-Za-z0-9]+'}
base_url: https://{{config.domain}}/api
auth: {header: {Authorization: "SSWS {{config.token}}"}}
users:
  path: /users
  pages: {link_header: {}}
  records: $
  map:
    external_id: $.id
    email: [$.mail, $.login]
    status:
      - of: $.status
        values: {ACTIVE: active}
"#;

fn faults(find: &str, put: &str) -> Vec<String> {
    assert!(GOOD.contains(find), "{find}");
    match parse(&GOOD.replacen(find, put, 1), "connectors/acme.yaml") {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_good_manifest_is_read_whole() {
    let manifest = parse(GOOD, "connectors/acme.yaml").unwrap();
    assert_eq!(manifest.key, "acme");
    assert_eq!(manifest.options()[0].auth.kind(), auth::AuthenticationKind::ApiToken);
    assert_eq!(manifest.capabilities(), [Capability::Users]);
    assert_eq!(manifest.field("token").unwrap().pattern.as_ref().unwrap().source, "00[A-Za-z0-9]+");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn each_fault_has_its_place_and_says_the_way_out() {
    let cases = [
        ("name: Acme", "nam: Acme", "1:1: unknown key “nam”; did you mean “name”? Known are: name, also_known_as, "),
        ("category: identity", "category: [", "2:"),
        (
            "category: identity",
            "category: identity\nalso_known_as: [Acme Cloud, acme]",
            "3:1: also_known_as has “acme”, which is empty or a name that it has already",
        ),
        ("  path: /users\n", "", "12:1: the key “path” is missing here"),
        ("category: identity", "category: ''", "2:1: category is empty"),
        (
            "category: identity",
            "category: identities",
            "2:1: there is no category “identities”; take one of identity, ",
        ),
        ("https://acme.example/docs", "http://acme.example/docs", "4:20: documentation_url must begin with https://"),
        ("required_permissions: [users.read]", "", "required_permissions is missing"),
        ("{key: domain,", "{key: Domain,", "8:5: the key “Domain” must be of lower-case"),
        ("{key: domain,", "{key: token,", "there are two settings “token”"),
        ("type: host", "type: hostname", "8:40: “hostname” is not known here; did you mean “host”?"),
        ("type: host", "type: enum", "8:5: “domain”: options belong to an enum"),
        ("type: secret,", "type: secret, default: abc,", "the secret “token” must not have a default"),
        ("type: host,", "type: host, default: 'a b',", "the default of “domain” does not fit"),
        ("'00[A-Za-z0-9]+'", "'00['", "9:55: not a regular expression: error: unclosed character class"),
        (
            "{{config.domain}}",
            "{{config.host}}",
            "10:11: there is no setting “host” under config (there are: domain, token)",
        ),
        ("{{config.domain}}", "{{domain}}", "10:11: “{{domain}}” is not known; write {{config.key}}"),
        ("{{config.domain}}", "{{config.domain", "10:11: “{{” without “}}”"),
        ("https://{{config.domain}}/api", "https://acme.example", "the setting “domain” is not used"),
        ("https://{{config.domain}}", "http://{{config.domain}}", "10:11: base_url must begin with https://"),
        ("type: host", "type: text", "10:11: “domain” could lead the address to another host"),
        (
            "/api\n",
            "/api\nheaders: {X-Key: \"{{config.token}}\"}\n",
            "11:18: the secret “token” may be used under auth only",
        ),
        ("/api\n", "/api\nheaders: {Host: a}\n", "the header “host” is set by the engine"),
        ("SSWS {{config.token}}", "SSWS {{config.domain}}", "11:7: auth uses no setting of type secret"),
        ("auth: {header:", "auth: {headers:", "11:8: unknown key “headers”; did you mean “header”?"),
        ("path: /users", "path: users", "13:9: path must begin with /"),
        ("path: /users", "path: /users?x=1", "parameters stand under query"),
        (
            "  pages: {link_header: {}}",
            "  pages: {link_header: {re: next}}",
            "14:25: unknown key “re”; did you mean “rel”?",
        ),
        ("  pages: {link_header: {}}", "  pages: {offset: {param: p}}\n  query: {p: 1}", "“p” is set twice"),
        ("  pages:", "  page_size: {param: n, count: 0}\n  pages:", "14:14: page_size.count must be from 1 to 10000"),
        ("records: $", "records: $.users[*]", "15:12: name the list itself: $.users, not $.users[*]"),
        ("records: $", "records: $.*", "15:12: name the list itself"),
        ("records: $", "records: '$.users[0:10]'", "15:12: name the list itself"),
        ("ACTIVE: active", "ACTIVE: active, '': suspended", "an empty text in values never matches"),
        (
            "path: /users\n",
            "path: /users\n  skip_if: [\"$[?@.roles[*].name == 'bot']\"]\n",
            "14:13: a member of a list is tested by a test of its own; write $[?@.roles[?@.name == 'bot']]",
        ),
        ("external_id: $.id", "external_id: id", "17:18: not a JSONPath"),
        (
            "path: /users\n",
            "path: /users\n  skip_if: [\"$[?search(@.a, 'b')]\"]\n",
            "14:13: patterns stand beside paths",
        ),
        ("external_id: $.id", "external_id: $[?@.id]", "17:18: this is a test, and a path is wanted here"),
        ("    email: [$.mail, $.login]\n", "", "map email or display_name"),
        ("email: [$.mail, $.login]", "email: {join: [$.a], const: b}", "write a path, a list, {join"),
        (
            "ACTIVE: active",
            "ACTIVE: enabled",
            "21:26: “enabled” is not known here; known are: active, suspended, invited, unknown",
        ),
        ("users:\n", "errors: [{is: token}]\nusers:\n", "12:10: a rule needs a condition"),
        ("users:\n", "errors: [{status: [40], is: token}]\nusers:\n", "from 100 to 599"),
        ("users:\n", "errors: [{when: $.ok, is: token}]\nusers:\n", "12:17: a test is written $[?…]"),
        ("name: Acme", "name: {a: b}", "1:7: expected a text, found something else"),
        ("name: Acme", "name: Acme\nname: Acme", "2:1: "),
        ("\"SSWS {{config.token}}\"", "{{config.token}}", "quote a text that begins with {{"),
        ("records: $", "skip_if: [$[?@.bot == true]]\n  records: $", "within {…} and […], quote paths and tests"),
        ("users:\n", "rate_limit:\n  concurrency: 99\nusers:\n", "13:3: rate_limit.concurrency must be from 1 to 16"),
        ("users:\n", "rate_limit: {reset_header: a b}\nusers:\n", "12:14: “a b” is not the name of a header"),
        ("external_id: $.id", "external_id: $..a..b", "17:18: a path may contain .. only once"),
        (
            "  records: $",
            "  require_some: {mfa_enabled: admin}\n  records: $",
            "require_some names a column that map does not have",
        ),
        ("  records: $", "  order: {by: sort}\n  records: $", "“sort” must be a parameter under query"),
        ("  records: $", "  absent: {mfa_enabled: no}\n  records: $", "absent names a column that map does not have"),
        ("  records: $", "  absent: {email: no}\n  records: $", "`no` is for columns that are yes or no"),
        ("  records: $", "  absent: {email: empty}\n  records: $", "`empty` is for columns that are lists"),
        (
            "    status:\n",
            "    kind: robot\n    status:\n",
            "“robot” is not known here; known are: human, service, shared",
        ),
        (
            "    status:\n",
            "    kind: {of: $.type, values: {bot: service, '': human}}\n    status:\n",
            "an empty text in values never matches",
        ),
        (
            "  records: $",
            "  absent: {last_active_at: never}\n  records: $",
            "absent names a column that map does not have",
        ),
        (
            "  records: $\n  map:\n",
            "  absent: {created_at: never}\n  records: $\n  map:\n    created_at: {from: $.at, format: iso}\n",
            "`never` is for last_active_at",
        ),
        (
            "  records: $\n  map:\n",
            "  absent: {last_active_at: never}\n  records: $\n  joins: {seen: {path: /seen, pages: none, records: $, key: $.id, \
             keep: {at: $.at}, provides: last_active_at, permission: p}}\n  map:\n    last_active_at: {from: $._joined.seen.at, format: iso}\n",
            "was not “never” active; write known_when",
        ),
        ("  records: $", "  absent: {status: incomplete}\n  records: $", "status needs no entry under absent"),
        ("  records: $", "  count: {path: count, at: $}\n  records: $", "path must begin with /"),
        (
            "  records: $",
            "  records: {map: $.users}",
            "write a path, {map: path, key: name} or {rows: path, columns: path}",
        ),
        (
            "  records: $",
            "  records: {rows: '$.data[*]', columns: [a]}",
            "name the list itself: $.users, not $.users[*]",
        ),
        ("  records: $", "  records: {rows: $.data, column: [a]}", "unknown key “column”; did you mean “columns”?"),
    ];
    for (find, put, expected) in cases {
        let found = faults(find, put);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{put}\n expected {expected}\n found {found:#?}");
        assert!(found.iter().all(|fault| fault.starts_with("connectors/acme.yaml:")), "{found:#?}");
    }
}

#[test]
fn faults_of_the_whole_are_reported_together_in_order() {
    let text = GOOD.replace("{{config.domain}}", "{{config.host}}").replace("path: /users", "path: users");
    let found = parse(&text, "acme.yaml").unwrap_err();
    let lines: Vec<_> = found.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [8, 10, 13], "{found:#?}");
}

#[test]
fn the_file_name_is_the_key() {
    assert!(parse(GOOD, "Acme_2.yaml").unwrap_err()[0].message.contains("the file's name is the key"));
}

#[test]
fn an_address_and_a_host_have_one_form_however_they_are_written() {
    let cases = [
        ("host", "acme.example", "acme.example"),
        ("host", " Acme.Example:443 ", "acme.example"),
        ("host", "https://acme.example/", "acme.example"),
        ("host", "http://ACME.example:80", "http://acme.example"),
        ("host", "acme.example:8443", "acme.example:8443"),
        ("host", "acme.example/path", "acme.example/path"),
        ("url", "https://Acme.Example/", "https://acme.example"),
        ("url", "https://acme.example:443/Path//", "https://acme.example/Path"),
        ("url", "http://acme.example:8080/a", "http://acme.example:8080/a"),
        ("url", "not an address", "not an address"),
        ("text", " Acme/ ", "Acme/"),
    ];
    let manifest = parse(GOOD, "acme.yaml").unwrap();
    for (kind, written, expected) in cases {
        let kind = match kind {
            "host" => config::FieldKind::Host,
            "url" => config::FieldKind::Url,
            _ => config::FieldKind::Text,
        };
        let field = ConfigField { kind, ..manifest.field("domain").unwrap().clone() };
        assert_eq!(field.normal(written), expected, "{written}");
    }
}

#[test]
fn settings_are_trimmed_completed_and_judged() {
    let text = GOOD.replace(
        "  - {key: token",
        "  - {key: region, label: Region, type: enum, options: [eu, us], default: eu}\n  - {key: token",
    );
    let text = text.replace("/api\n", "/api/{{config.region}}\n");
    let manifest = parse(&text, "acme.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"));
    let config =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();

    let complete =
        manifest.complete(config(&[("domain", " a.example:8443 "), ("token", "00abc\n"), ("region", "")])).unwrap();
    assert_eq!(complete, config(&[("domain", "a.example:8443"), ("token", "00abc"), ("region", "eu")]));

    let given = config(&[("domain", "a.example/x"), ("token", "x00abc"), ("region", "mars"), ("size", "1")]);
    let keys: Vec<_> = manifest.complete(given).unwrap_err().into_iter().map(|fault| fault.key).collect();
    assert_eq!(keys, ["domain", "region", "token", "size"]);
    for host in ["evil@a.example", "a..b", "-a.example", "a.example:99999", "a b", "a.example#", "[::1]"] {
        assert!(manifest.field("domain").unwrap().problem(host).is_some(), "{host}");
    }
}

#[test]
fn a_manifest_should_say_its_order_and_what_a_part_provides() {
    let advice = |pages: &str| {
        let text = GOOD.replacen("pages: {link_header: {}}", pages, 1);
        let manifest = parse(&text, "acme.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"));
        super::advice(&manifest, "acme.yaml").iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let join = "pages: none\n  joins: {seats: {path: /seats, pages: none, records: $, key: $.id, keep: {mail: $.mail}, provides: licenses, permission: p}}";
    let text = GOOD.replacen("pages: {link_header: {}}", join, 1);
    let text =
        text.replacen("email: [$.mail, $.login]", "email: $._joined.seats.mail\n    licenses: $._joined.seats.mail", 1);
    let manifest = parse(&text, "acme.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"));
    let found: Vec<_> = super::advice(&manifest, "acme.yaml").into_iter().map(|one| one.message).collect();
    assert_eq!(found, ["“seats” is used for email: add it to its provides"]);

    let found = advice("pages: {offset: {param: p}}");
    assert!(found[0].starts_with("acme.yaml:14:10: say in which order the list comes"), "{found:?}");
    for pages in [
        "pages: {link_header: {}}",
        "pages: {offset: {param: p}}\n  order: none",
        "pages: {page: {param: p}}\n  order: default",
        "pages: {page: {param: p}}\n  query: {sort: id}\n  order: {by: sort}",
    ] {
        assert!(advice(pages).is_empty(), "{pages}");
    }
}

#[test]
fn the_mistakes_most_often_made_are_named_with_the_way_out() {
    for (find, put, expected) in [
        ("external_id: $.id", "external_id: profile.id", "17:18: not a JSONPath: "),
        ("external_id: $.id", "external_id: profile.id", "; a path begins with $; write $.profile.id"),
        ("    status:\n", "    is_admin: $.role == 'admin'\n    status:\n", "; a comparison is a test: {any: "),
        ("  records: $", "  skip_if: ['$[?@.type == bot]']\n  records: $", "; in a test, a text is in quotes"),
        ("    status:\n", "    last_active_at: $.seen\n    status:\n", "; a time is written with its format: {from: "),
        ("  path: /users", "\tpath: /users", "; line 13 begins with a tab"),
        ("setup: Make a token.", "setup: Note: make a token.", "; quote a text that contains a colon and a space"),
    ] {
        let found = faults(find, put);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{put}\n expected {expected}\n found {found:#?}");
    }
    let header = "header: {Authorization: \"SSWS {{config.token}}\"}";
    let unencoded = "header: {authorization: \"Basic {{config.domain}}:{{config.token}}\"}";
    let (_, map) = GOOD.split_once("  map:\n").unwrap();
    let skipping =
        "    external_id: $.id\n    email: $.mail\n    status: active\n  skip_if: ['$[?@.active == false]']\n";
    for (find, put, expected) in [
        ("path: /users", "path: /api/users", "13:9: base_url ends with /api already"),
        (header, "bearer: \"Bearer {{config.token}}\"", "11:7: bearer writes the word Bearer itself"),
        (header, unencoded, "11:7: a name and a password must be encoded after Basic"),
        ("{link_header: {}}", "none\n  page_size: {param: n, count: 9}", "14:10: “page_size” asks for a page"),
        ("{link_header: {}}", "none\n  query: {per_page: '9'}", "14:10: “per_page” asks for a page"),
        ("ACTIVE: active", "'true': active", "a value for “true” and none for “false”"),
        ("ACTIVE: active", "'False': suspended", "a value for “false” and none for “true”"),
        (map, skipping, "skip_if leaves out who cannot sign in"),
    ] {
        assert!(GOOD.contains(find), "{find}");
        let manifest = parse(&GOOD.replacen(find, put, 1), "acme.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"));
        let found: Vec<_> = super::advice(&manifest, "acme.yaml").iter().map(ToString::to_string).collect();
        assert!(matches!(found.as_slice(), [one] if one.contains(expected)), "{put}: {found:#?}");
    }
    let manifest = parse(GOOD, "acme.yaml").unwrap();
    assert!(super::advice(&manifest, "acme.yaml").is_empty());
}

#[test]
fn several_lists_are_put_together_and_each_is_checked() {
    let lists = |lists: &str| faults("  records: $", &format!("  records: $\n  lists: {lists}"));
    for right in [
        "[{}, {query: {state: left}, map: {status: suspended}}]",
        "[{name: invitations, path: /invitations, permission: p, map: {status: invited}}, {}]",
        "[{name: open, map: {external_id: $.number, email: $.to, status: invited}}, {map: {is_admin: $.admin}}]",
    ] {
        assert!(lists(right).is_empty(), "{right}: {:?}", lists(right));
    }
    for (wrong, expected) in [
        ("[{}, {map: {status: invited}}]", "16:15: write the list of those who are invited before the others"),
        ("[{permission: p}, {}]", "16:11: with permission, a list needs a name"),
        ("[{name: a, permission: p}]", "16:11: one list at least must have no permission"),
        ("[{name: a}, {name: a}]", "16:22: there are two lists “a”"),
        ("[{status: invited}]", "unknown key “status”; write map: {status: …}"),
        ("[{}]\n  variants: [{}]", "unknown key “variants”; it is called lists now"),
        ("[{map: {external_id: $.n, email: $.e}}]", "16:11: the key “status” is missing: write it in this list"),
        ("[{map: {external_id: $.n, status: active}}]", "map email or display_name"),
        ("[{path: members}]", "16:18: path must begin with /"),
        ("[{}]\n  count: {path: /count, at: $}", "17:10: a count is of one list"),
        ("[{skip_if: [$.bot]}]", "a test is written $[?…]"),
        ("[{query: {a: '{{config.no}}'}}]", "there is no setting “no”"),
        ("[{order: {by: sort}}]", "“sort” must be a parameter under query"),
        ("[{}]\n  require_some: {mfa_enabled: p}", "require_some names a column that map does not have"),
    ] {
        let found = lists(wrong);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{wrong}\n expected {expected}\n found {found:#?}");
    }
    let without =
        GOOD.replace("  path: /users\n", "").replace("  records: $", "  records: $\n  lists: [{path: /a}, {}]");
    let found = parse(&without, "acme.yaml").unwrap_err();
    assert!(found[0].to_string().contains("15:23: the key “path” is missing: write it in this list"), "{found:?}");
}

#[test]
fn a_list_takes_what_it_does_not_say_from_the_keys_above() {
    let lists = "  records: $\n  query: {a: '1', b: '1'}\n  skip_if: ['$[?@.bot]']\n  lists:\n    \
                 - {name: invitations, query: {b: '2'}, records: $.open, map: {external_id: $.n, email: $.e, status: invited}}\n    \
                 - {map: {is_admin: $.admin}}";
    let manifest = parse(&GOOD.replacen("  records: $", lists, 1), "acme.yaml").unwrap();
    let [invitations, members] = manifest.users.lists.as_slice() else { panic!() };
    assert_eq!(invitations.query.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((invitations.records.to_string(), members.records.to_string()), ("$.open".to_owned(), "$".to_owned()));
    // Records of another kind have their own rules.
    assert!(invitations.skip_if.is_empty() && !members.skip_if.is_empty());
    assert!(members.map.value.has(UserField::IsAdmin) && members.map.value.email.is_some());
    assert!(invitations.is_of_invitations() && !members.is_of_invitations());
    assert_eq!(manifest.capabilities(), [Capability::Users, Capability::Invitations, Capability::AdminRoles]);
}

#[test]
fn only_what_decides_who_is_listed_changes_the_digest() {
    let of = |text: &str| super::digest(text, "acme.yaml").unwrap();
    let good = of(GOOD);
    let words = GOOD.replace("name: Acme", "name: Acme Inc.\nalso_known_as: [Acme Cloud]");
    assert_eq!(of(&words), good);
    assert_ne!(of(&GOOD.replace("base_url: ", "base_url: https://other.example/")), good);
}

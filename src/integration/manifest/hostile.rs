//! Malformed files: small errors in good manifests, random text, and files made to exhaust the parser.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::template::{BodyPath, Part, Template};
use super::tests::GOOD;
use super::*;

/// The longest that a refusal may take, in a build without optimisation on a busy machine.
const QUICK: Duration = Duration::from_secs(5);

/// The texts of the built-in manifests.
fn built_in() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    assert!(!files.is_empty());
    files.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Reads a text, and checks what must be true of every answer.
fn read(text: &str) -> Result<Manifest, Vec<Fault>> {
    let answer = parse(text, "connectors/acme.yaml");
    if let Err(faults) = &answer {
        assert!(!faults.is_empty() && faults.len() < 1000, "{} faults", faults.len());
        let lines = text.lines().count() as u64 + 1;
        for fault in faults {
            assert!(fault.line <= lines, "{fault}");
            assert!(!fault.message.trim().is_empty() && fault.message.len() < 4096, "{fault}");
        }
    }
    answer
}

/// What a small error puts in the place of a value.
const VALUES: [&str; 20] = [
    "",
    "~",
    "true",
    "-1",
    "99999999999999999999",
    "[]",
    "{}",
    "[[]]",
    "{a: b}",
    "\"\"",
    "\"{{config.}}\"",
    "\"{{token}}{{found.x}}\"",
    "$",
    "$..a",
    "\"$[?@.a == 'b']\"",
    "'(['",
    "*anchor",
    "&anchor x",
    "!!binary AAAA",
    "https://[::1",
];

#[derive(Clone, Debug)]
enum Slip {
    Delete(Index),
    Double(Index),
    Swap(Index, Index),
    Indent(Index, usize),
    Value(Index, usize),
    Cut(Index),
    Insert(Index, String),
}

fn slip() -> impl Strategy<Value = Slip> {
    prop_oneof![
        any::<Index>().prop_map(Slip::Delete),
        any::<Index>().prop_map(Slip::Double),
        any::<(Index, Index)>().prop_map(|(one, other)| Slip::Swap(one, other)),
        (any::<Index>(), 0..12_usize).prop_map(|(line, depth)| Slip::Indent(line, depth)),
        (any::<Index>(), 0..VALUES.len()).prop_map(|(line, value)| Slip::Value(line, value)),
        any::<Index>().prop_map(Slip::Cut),
        (any::<Index>(), "[ -~\\n\u{e9}\u{1F600}]{0,20}").prop_map(|(at, text)| Slip::Insert(at, text)),
    ]
}

fn slipped(text: &str, slips: &[Slip]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for slip in slips {
        if lines.is_empty() {
            break;
        }
        let count = lines.len();
        match slip {
            Slip::Delete(line) => drop(lines.remove(line.index(count))),
            Slip::Double(line) => {
                let line = line.index(count);
                lines.insert(line, lines[line].clone());
            }
            Slip::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
            Slip::Indent(line, depth) => {
                let line = &mut lines[line.index(count)];
                *line = format!("{}{}", " ".repeat(*depth), line.trim_start());
            }
            Slip::Value(line, value) => {
                let line = &mut lines[line.index(count)];
                if let Some((key, _)) = line.split_once(": ") {
                    *line = format!("{key}: {}", VALUES[*value]);
                }
            }
            Slip::Cut(line) => lines.truncate(line.index(count)),
            Slip::Insert(line, text) => {
                let line = &mut lines[line.index(count)];
                let middle = line.char_indices().nth(line.chars().count() / 2).map_or(0, |(at, _)| at);
                line.insert_str(middle, text);
            }
        }
    }
    lines.join("\n")
}

fn template() -> impl Strategy<Value = Vec<Part>> {
    let name = || "[a-z0-9_]{1,8}";
    let part = prop_oneof![
        // A brace at the end would become a part of the next mark.
        "[a-zA-Z0-9/:?&=. \u{e9}]{1,12}".prop_map(Part::Text),
        (name(), proptest::option::of(name())).prop_map(|(key, member)| Part::Config(key, member)),
        name().prop_map(Part::Found),
        proptest::collection::vec(name(), 1..4).prop_map(Part::Record),
        Just(Part::Token),
    ];
    proptest::collection::vec(part, 0..6).prop_map(|parts| {
        // Neighbouring texts are one.
        let mut merged: Vec<Part> = Vec::new();
        for part in parts {
            match (merged.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(text)) => before.push_str(&text),
                (_, part) => merged.push(part),
            }
        }
        merged
    })
}

fn written(parts: &[Part]) -> String {
    let mark = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Config(key, None) => format!("{{{{config.{key}}}}}"),
        Part::Config(key, Some(member)) => format!("{{{{ config.{key}.{member} }}}}"),
        Part::Found(name) => format!("{{{{found.{name}}}}}"),
        Part::Record(members) => format!("{{{{record.{}}}}}", members.join(".")),
        Part::Token => "{{token}}".to_owned(),
    };
    parts.iter().map(mark).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slips_in_a_manifest_are_answered(which in any::<Index>(), slips in proptest::collection::vec(slip(), 1..6)) {
        let texts = built_in();
        let text: &String = which.get(&texts);
        let _ = read(&slipped(text, &slips));
    }

    #[test]
    fn noise_is_answered(text in "[a-z0-9 :\\-\\[\\]{}&*!|>'\"%@`,\n\t#?$.~\u{0}\u{e9}]{0,400}") {
        prop_assert!(read(&text).is_err());
    }

    #[test]
    fn a_template_is_read_as_it_was_written(parts in template()) {
        let template = Template::parse(&written(&parts)).unwrap();
        prop_assert_eq!(template.parts(), &parts[..]);
    }

    #[test]
    fn a_place_in_a_body_is_read_as_it_is_shown(members in proptest::collection::vec("[a-zA-Z0-9_-]{1,8}", 1..5)) {
        let text = format!("$.{}", members.join("."));
        let place: BodyPath = serde_json::from_value(text.clone().into()).unwrap();
        prop_assert_eq!(place.to_string(), text);
        let mut body = serde_json::json!({"other": 1});
        place.put(&mut body, "x".into());
        prop_assert_eq!(&body.pointer(&format!("/{}", members.join("/"))).cloned(), &Some("x".into()));
    }
}

/// Refused within [`QUICK`], with a part of this in the message.
fn refused(text: &str, expected: &str) {
    #[expect(clippy::disallowed_methods, reason = "a duration inside the process is measured")]
    let begun = std::time::Instant::now();
    let faults = read(text).expect_err("a fault");
    let took = begun.elapsed();
    assert!(faults.iter().any(|fault| fault.message.contains(expected)), "{expected}: {faults:?}");
    assert!(took < QUICK, "{expected}: {took:?}");
}

#[test]
fn what_is_made_to_exhaust_the_reader_is_refused_quickly() {
    let good = GOOD;
    let json = |body: &str| good.replacen("users:\n", &format!("users:\n  json: {body}\n"), 1);
    // Each level is ten of the one before.
    let level = |level: u32| format!("a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(", "));
    let levels: Vec<String> = (1..30).map(level).collect();
    refused(&format!("a0: &a0 [x]\n{}\n", levels.join("\n")), "unknown key “a0”");
    // Where any value is read, so that the aliases are followed.
    refused(&json(&format!("{{a0: &a0 [x], {}}}", levels.join(", "))), "the file exceeds a limit");
    let many = vec!["*a"; 5000].join(", ");
    refused(&json(&format!("[&a [1, 2, 3], {many}]")), "the file exceeds a limit");

    for depth in [100, 10_000, 100_000] {
        refused(&json(&"[".repeat(depth)), "");
        refused(&json(&"{a: ".repeat(depth)), "");
        let keys: Vec<String> = (4..depth.min(400) + 4).map(|column| format!("{}a:", " ".repeat(column))).collect();
        refused(&json(&format!("\n{}\nx", keys.join("\n"))), "");
        refused(&"- ".repeat(depth.min(60_000)), "");
    }
    refused(&json(&format!("[{}]", vec!["1"; 60_000].join(","))), "the file exceeds a limit");
    refused(&"x".repeat(10 * 1024 * 1024), "the file has 10240 KiB; no more than 256 are read");
    refused(&format!("{good}#{}", " ".repeat(256 * 1024)), "no more than 256 are read");
    refused(&format!("{good}---\n{good}"), "a file must contain one document");

    let path = |path: &str| good.replacen("    external_id: $.id\n", &format!("    external_id: \"{path}\"\n"), 1);
    assert_ne!(path("$.a"), good);
    let nested = "no more than 12 brackets within each other";
    refused(&path(&format!("$.a[?{}@.a{}]", "(".repeat(450), ")".repeat(450))), nested);
    refused(&path(&format!("$.a[?{}@.a{}]", "@[?".repeat(240), "]".repeat(240))), nested);
    refused(&path(&format!("$.{}", "a".repeat(2000))), "no path is longer than 1000 bytes");
    let pattern = |pattern: &str| {
        good.replacen(
            "    external_id:",
            &format!("    email: {{when: {{of: $.a, matches: '{pattern}'}}, then: $.b}}\n    external_id:"),
            1,
        )
    };
    refused(&pattern("((a{1000}){1000}){1000}"), "");
    refused(&pattern(&"(".repeat(100_000)), "");
}

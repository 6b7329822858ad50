use proptest::prelude::*;

use super::*;
use crate::user::{AccountKind, Timestamp, UserStatus};

fn read(form: &Form, bytes: &[u8]) -> Result<Vec<SourceUser>, Vec<String>> {
    read_in_parts(form, bytes, bytes.len().max(1))
}

fn read_in_parts(form: &Form, bytes: &[u8], size: usize) -> Result<Vec<SourceUser>, Vec<String>> {
    let mut reader = Reader::new(form, 1_000);
    for part in bytes.chunks(size) {
        if !reader.push(part) {
            break;
        }
    }
    reader.end();
    let faults: Vec<String> = reader.faults().iter().map(ToString::to_string).collect();
    if faults.is_empty() { Ok(reader.take(usize::MAX)) } else { Err(faults) }
}

fn csv(text: &str) -> Result<Vec<SourceUser>, Vec<String>> {
    read(&Form::default(), text.as_bytes())
}

fn lines(text: &str) -> Result<Vec<SourceUser>, Vec<String>> {
    read(&Form { format: Format::JsonLines, ..Form::default() }, text.as_bytes())
}

fn columns(pairs: &[(&str, &[&str])]) -> Columns {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    pairs.iter().map(|(target, columns)| (Target::find(target).unwrap(), names(columns))).collect()
}

#[test]
fn the_columns_are_found_by_their_usual_names_and_the_separator_by_the_first_row() {
    for (separator, heads) in [
        (",", ["E-Mail", "Full name", "Status", "Department"]),
        (";", ["Mailadresse", "Name", "Zustand", "Abteilung"]),
        ("\t", ["email", "displayName", "state", "Dept."]),
        ("|", ["Primary e-mail", "full_name", "Account status", "department"]),
    ] {
        let text =
            format!("{}\nAda@acme.example{separator}Ada{separator}active{separator}R&D\n", heads.join(separator));
        let users = csv(&text).unwrap();
        let [user] = &users[..] else { panic!("{users:?}") };
        assert_eq!((&*user.external_id, user.email.as_deref()), ("ada@acme.example", Some("Ada@acme.example")));
        assert_eq!((user.display_name.as_deref(), user.status), (Some("Ada"), UserStatus::Active));
        assert_eq!(user.department.as_deref(), Some("R&D"));
    }
}

#[test]
fn chosen_columns_are_taken_and_no_others() {
    let form = Form {
        columns: columns(&[("externalId", &["No"]), ("displayName", &["First", "Last"]), ("email", &["work mail"])]),
        ..Form::default()
    };
    let users = read(&form, b"No,First,Last,Work Mail,Department\n7,Ada,Lovelace,ada@acme.example,R&D\n").unwrap();
    assert_eq!(users[0].external_id, "7");
    assert_eq!(users[0].display_name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(users[0].department, None);
    let missing = Form { columns: columns(&[("email", &["Post"])]), ..Form::default() };
    assert_eq!(
        read(&missing, b"Mail\na@b.c\n").unwrap_err(),
        ["Line 1, column “Post”: The file has no column of this name."]
    );
}

#[test]
fn first_and_last_names_are_one_name_and_quoted_line_breaks_are_kept() {
    let users = csv("mail;Vorname;Nachname;Dept\r\na@b.c;Ada;\"King, \"\"Countess\"\"\";\"one\r\ntwo\"\r\n").unwrap();
    assert_eq!(users[0].display_name.as_deref(), Some("Ada King, \"Countess\""));
    assert_eq!(users[0].department.as_deref(), Some("one\r\ntwo"));
}

#[test]
fn the_line_that_programs_write_to_say_the_separator_is_understood() {
    let users = csv("sep=;\r\nmail;name\r\na@b.c;Ada, Countess\r\n").unwrap();
    assert_eq!(users[0].display_name.as_deref(), Some("Ada, Countess"));
    let faults = csv("sep=;\r\nmail;admin\r\na@b.c;perhaps\r\n").unwrap_err();
    assert!(faults[0].starts_with("Line 3, column “admin”:"), "{faults:?}");
}

#[test]
fn a_fault_names_the_line_and_the_column_and_never_the_value() {
    let text = "mail,admin,last login,status\n\
                secret-at-acme,maybe,yesterday,gone fishing\n\
                \"b@c.d\",yes,\"2026-01-02\",active\n\
                c@d.e,\n\
                B@C.D,no,,\n\
                ,no,,\n";
    let faults = csv(text).unwrap_err();
    assert_eq!(
        faults,
        [
            "Line 2, column “mail”: The value is not an e-mail address.",
            "Line 2, column “admin”: The value is neither yes nor no. Write yes or no, true or false, or 1 or 0.",
            "Line 2, column “last login”: The value is not a date. Write 2026-01-31 or 2026-01-31T12:00:00Z.",
            "Line 2, column “status”: The value is not a status. Write active, suspended, invited or unknown.",
            "Line 4: The row has 2 columns, and the first row has 4. A value with the separator in it needs quotes.",
            "Line 5: The id of this row is that of line 3, too. An id may occur once.",
            "Line 6: The row has neither an id nor an e-mail address.",
        ]
    );
}

#[test]
fn lines_are_counted_over_line_breaks_in_quotes_and_empty_lines() {
    for end in ["\n", "\r\n"] {
        let text = ["mail,dept,admin", "a@b.c,\"x", "y\",yes", "", "b@b.c,z,perhaps", ""].join(end);
        assert!(csv(&text).unwrap_err()[0].starts_with("Line 5, column “admin”:"), "{:?}", csv(&text));
    }
}

#[test]
fn at_most_twenty_faults_are_told() {
    let rows = (0..50).map(|row| format!("{row}\n")).collect::<Vec<_>>().concat();
    assert_eq!(csv(&format!("mail\n{rows}")).unwrap_err().len(), MOST_FAULTS);
    let keys = (0..50).map(|key| format!("\"k{key}\":1,")).collect::<Vec<_>>().concat();
    assert_eq!(lines(&format!("{{{keys}\"email\":null}}")).unwrap_err().len(), MOST_FAULTS);
}

#[test]
fn every_encoding_is_read_and_a_mark_says_it() {
    let text = "mail;name\nzoë@acme.example;Zoë Müller €\n";
    let wide = |big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
    let windows: Vec<u8> = text
        .chars()
        .map(|letter| match letter {
            'ë' => 0xeb,
            'ü' => 0xfc,
            '€' => 0x80,
            other => u8::try_from(other).unwrap(),
        })
        .collect();
    for (encoding, bytes) in [
        (Encoding::Utf8, text.as_bytes().to_vec()),
        (Encoding::Utf8, marked(b"\xef\xbb\xbf", text.as_bytes().to_vec())),
        (Encoding::Windows1252, marked(b"\xef\xbb\xbf", text.as_bytes().to_vec())),
        (Encoding::Utf8, marked(b"\xff\xfe", wide(false))),
        (Encoding::Utf8, marked(b"\xfe\xff", wide(true))),
        (Encoding::Utf16Le, wide(false)),
        (Encoding::Utf16Be, wide(true)),
        (Encoding::Windows1252, windows.clone()),
    ] {
        let form = Form { encoding, ..Form::default() };
        for size in [1, 3, 1_000] {
            let users = read_in_parts(&form, &bytes, size).unwrap();
            assert_eq!(users[0].display_name.as_deref(), Some("Zoë Müller €"), "{encoding:?}, {size}");
        }
    }
    assert_eq!(
        read(&Form::default(), &windows).unwrap_err(),
        ["Line 2: The text is not UTF-8. Say its encoding: utf-16le, utf-16be, windows-1252."]
    );
    let unmarked = read(&Form::default(), b"m\0a\0i\0l\0\n\0").unwrap_err();
    assert!(unmarked[0].contains("UTF-16"), "{unmarked:?}");
    assert_eq!(Encoding::find("ISO-8859-1"), Some(Encoding::Windows1252));
    assert_eq!(Encoding::find("shift_jis"), None);
}

#[test]
fn values_have_many_spellings() {
    let text = "mail,status,admin,kind,licences,last active,created,guest\n\
                a@b.c,Inaktiv,JA,Bot,\"Visio; M365 E3, Visio\",03.04.2026 05:06,2026-04-03,\n\
                b@b.c,,0,shared mailbox,,never,2026-04-03T05:06:07+02:00,x\n\
                c@b.c,true,,,Full,2026-04-03 05:06:07,20260403,-\n";
    let users = csv(text).unwrap();
    let [a, b, c] = &users[..] else { panic!("{users:?}") };
    let at = |text: &str| Some(Timestamp(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()));
    assert_eq!((a.status, a.is_admin, a.kind), (UserStatus::Suspended, Some(true), Some(AccountKind::Service)));
    assert_eq!(a.licenses.as_deref(), Some(&["Visio".to_owned(), "M365 E3".to_owned()][..]));
    assert_eq!((a.last_active_at, a.created_at), (at("2026-04-03T05:06:00Z"), at("2026-04-03T00:00:00Z")));
    assert_eq!(a.guest, None);
    assert_eq!((b.status, b.is_admin, b.kind), (UserStatus::Unknown, Some(false), Some(AccountKind::Shared)));
    assert_eq!((b.last_active_at, b.created_at), (Some(Timestamp::NEVER), at("2026-04-03T03:06:07Z")));
    assert_eq!((b.guest, b.licenses.as_deref()), (Some(true), Some(&[][..])));
    assert_eq!((c.status, c.is_admin, c.kind, c.guest), (UserStatus::Active, None, None, Some(false)));
    assert_eq!((c.last_active_at, c.created_at), (at("2026-04-03T05:06:07Z"), at("2026-04-03T00:00:00Z")));
}

#[test]
fn a_date_with_slashes_needs_an_order() {
    let text = b"mail,created\na@b.c,03/04/2026\n";
    let day = |order| {
        let users = read(&Form { dates: Some(order), ..Form::default() }, text).unwrap();
        users[0].created_at.unwrap().to_string()
    };
    assert_eq!(day(DateOrder::DayFirst), "2026-04-03T00:00:00Z");
    assert_eq!(day(DateOrder::MonthFirst), "2026-03-04T00:00:00Z");
    assert!(read(&Form::default(), text).unwrap_err()[0].contains("dmy or mdy"));
}

#[test]
fn json_lines_have_the_names_of_the_api() {
    let users = lines(
        "{\"externalId\": \"7\", \"email\": \"a@b.c\", \"isAdmin\": true, \"licenses\": [\"Full\"], \"employeeId\": 12}\n\n\
         {\"email\": \"B@b.c\", \"status\": \"suspended\", \"manager\": null}",
    )
    .unwrap();
    assert_eq!((&*users[0].external_id, users[0].is_admin), ("7", Some(true)));
    assert_eq!(users[0].employee_id.as_deref(), Some("12"));
    assert_eq!((&*users[1].external_id, users[1].status), ("b@b.c", UserStatus::Suspended));
    let mut faults =
        lines("{\"email\": \"a@b.c\"}\n{\"mail\": \"b@b.c\", \"isAdmin\": {}}\n[]\n{\"email\": 7}").unwrap_err();
    // In which order the keys of an object come, another crate decides.
    faults.sort();
    assert!(faults[0].starts_with("Line 2, column “isAdmin”: The value must be"), "{faults:?}");
    assert!(faults[1].starts_with("Line 2, column “mail”: There is no such field."), "{faults:?}");
    assert_eq!(
        faults[2..],
        ["Line 3: The line is not a JSON object.", "Line 4, column “email”: The value is not an e-mail address."]
    );
}

#[test]
fn an_empty_list_is_a_list_and_an_empty_file_is_none() {
    assert_eq!(csv("mail,name\n"), Ok(vec![]));
    assert_eq!(csv("mail,name"), Ok(vec![]));
    assert_eq!(lines(""), Ok(vec![]));
    assert_eq!(csv("").unwrap_err(), ["Line 1: The file is empty: the names of the columns are missing."]);
    let nameless = csv("first,second\na@b.c,Ada\n").unwrap_err();
    assert!(nameless[0].contains("The columns are “first”, “second”."), "{nameless:?}");
}

#[test]
fn what_is_too_long_is_refused() {
    let open = format!("mail,name\na@b.c,\"{}", "x\n".repeat(LONGEST_ROW));
    assert!(csv(&open).unwrap_err()[0].starts_with("Line 2: The row is too long."), "{:?}", csv(&open));
    assert!(csv(&",".repeat(MOST_COLUMNS + 1)).unwrap_err()[0].contains("more than 256 columns"));
    assert!(lines(&"x".repeat(LONGEST_ROW + 1)).unwrap_err()[0].contains("too long"));
    let rows = (0..1_001).map(|row| format!("{row}@b.c\n")).collect::<Vec<_>>().concat();
    assert_eq!(
        csv(&format!("mail\n{rows}")).unwrap_err(),
        ["Line 1002: The list is too long: it may have at most 1000 rows."]
    );
}

proptest! {
    #[test]
    fn how_a_file_is_cut_changes_nothing(rows in prop::collection::vec("[a-zä,;\"\n\r@]{0,12}", 0..20), size in 1..40usize) {
        let text = format!("mail,name\n{}", rows.join("\n"));
        let form = Form::default();
        prop_assert_eq!(read_in_parts(&form, text.as_bytes(), size), read(&form, text.as_bytes()));
    }

    #[test]
    fn what_is_quoted_is_read_as_it_was(names in prop::collection::vec("[ -~äß€]{1,20}", 1..10)) {
        let quoted = names.iter().enumerate().map(|(at, name)| format!("{at};\"{}\"\n", name.replace('"', "\"\"")));
        let text = format!("id;name\n{}", quoted.collect::<String>());
        let users = csv(&text).unwrap();
        let read: Vec<_> = users.iter().map(|user| user.display_name.clone().unwrap_or_default()).collect();
        prop_assert_eq!(read, names.iter().map(|name| name.trim().to_owned()).collect::<Vec<_>>());
    }
}

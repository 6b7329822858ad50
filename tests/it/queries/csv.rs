//! Files of CSV, read as a spreadsheet reads them.

use serde_json::json;

use super::reports;
use crate::findings::application::{Office, tool};
use crate::people::roster::account;
use crate::support::{Server, http};

/// The rows of a file, by RFC 4180.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut letters, mut is_quoted) = (text.chars().peekable(), false);
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => cell.extend(letters.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !is_quoted && letters.peek() == Some(&'\n') => {
                letters.next();
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    assert!(!is_quoted && row.is_empty() && cell.is_empty(), "it ends in a line: {row:?} {cell:?}");
    rows
}

/// The cells of a column, by those of another one.
pub fn column(rows: &[Vec<String>], by: &str, name: &str) -> Vec<(String, String)> {
    let place = |name: &str| {
        let found = rows[0].iter().position(|head| head == name);
        found.unwrap_or_else(|| panic!("no column {name}: {:?}", rows[0]))
    };
    let (by, name) = (place(by), place(name));
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    rows[1..].iter().map(|row| (row[by].clone(), row[name].clone())).collect()
}

/// A file as the viewer gets it.
pub async fn file(server: &Server, path: &str) -> Vec<Vec<String>> {
    let answer = http().get(format!("{}/export/{path}", server.url)).bearer_auth(&server.viewer).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    rows(&answer.text().await.unwrap())
}

#[tokio::test]
async fn licences_in_a_cell_are_those_of_the_account() {
    let held = [
        ("none", json!([])),
        ("one", json!(["Pro"])),
        ("several", json!(["Pro", "Add-on 2", "Zusätze für Küchen"])),
        ("punctuated", json!(["Basic, yearly", "The \"large\" one", "50% off"])),
    ];
    let accounts = held.iter().map(|(id, licenses)| tool(id, "", json!({ "licenses": licenses }))).collect();
    let office = Office::start(vec![account("h1", "p1@acme.example")], accounts).await;
    let (of_tool, filter) = (format!("users.csv?instance={}", office.tool), json!({ "instanceId": office.tool }));
    let table = file(&office.server, &of_tool).await;
    let (lines, _) = reports::lines(&office.server, &office.server.viewer, "users", Some(filter)).await;
    assert_eq!((table.len(), lines.len()), (held.len() + 1, held.len()));
    let cells = column(&table, "externalId", "licenses");
    for (id, licenses) in &held {
        let (_, cell) = cells.iter().find(|(own, _)| own == id).unwrap();
        let names: Vec<&str> = if cell.is_empty() { Vec::new() } else { cell.split("; ").collect() };
        assert_eq!(json!(names), *licenses, "{id}");
        let line = lines.iter().find(|line| line["externalId"] == *id).unwrap();
        assert_eq!(line["licenses"], *licenses, "{id}");
    }
    office.end().await;
}

//! A list that a person delivers in the console: its columns are chosen, faults are shown, and they are remembered.

use serde_json::json;

use super::{Browser, Role};
use crate::support::{Server, assert_intact};

/// Puts a file in the window. Chromium reads it until it is sent.
async fn take(browser: &Browser, name: &str, content: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    browser.find(Role::Field, "File").await.send_keys(path.to_str().unwrap()).await.unwrap();
    browser.find(Role::Field, "Encoding").await;
    dir
}

/// The value of a choice.
async fn chosen(browser: &Browser, label: &str) -> String {
    browser.find(Role::Field, label).await.prop("value").await.unwrap().unwrap_or_default()
}

#[tokio::test]
async fn somebody_integrates_a_list_chooses_its_columns_and_delivers_it_again() {
    let server = Server::start().await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations/list/connect").await;
    browser.sees("Nobody is asked for these users: you deliver a list next.").await;
    browser.enter("Name", "Payroll").await;
    browser.press(Role::Button, "Integrate").await;
    browser.sees("Deliver the first list now, or later on the page of the instance.").await;
    browser.press(Role::Button, "Deliver a list…").await;
    browser.find(Role::Window, "Deliver a list").await;

    // A list of a program in Germany, as it writes them.
    let first =
        b"Personalnummer;Post;Vorname;Nachname\r\n7;zoe@acme.example;Zo\xeb;M\xfcller\r\n8;ada@acme.example;Ada;L.\r\n";
    let _first = take(&browser, "personal.csv", first).await;
    browser.sees("Zoë").await;
    assert_eq!(chosen(&browser, "Encoding").await, "windows-1252");
    assert_eq!(chosen(&browser, "Separator").await, ";");
    browser.sees("Choose the column with the e-mail addresses, or that with the ids.").await;
    browser.choose("Column Personalnummer is", "Employee ID").await;
    browser.choose("Column Post is", "E-mail").await;
    browser.choose("Column Vorname is", "Name").await;
    browser.choose("Column Nachname is", "Name").await;
    browser.sees_no("Choose the column").await;
    browser.inspect("list-columns").await;
    browser.press(Role::Button, "Deliver").await;
    browser.sees("2 rows were delivered to “Payroll”.").await;
    let id = server.ask("{ instances { nodes { id } } }", json!({})).await["instances"]["nodes"][0]["id"].take();
    let id = id.as_str().unwrap();
    server.idle(id, "").await;
    let users = server.instance(id, "users { nodes { email displayName employeeId } }").await["users"]["nodes"].take();
    let user =
        |email: &str, name: &str, number: &str| json!({ "email": email, "displayName": name, "employeeId": number });
    let mut users = users.as_array().unwrap().clone();
    users.sort_by_key(|user| user["email"].to_string());
    assert_eq!(users, [user("ada@acme.example", "Ada L.", "8"), user("zoe@acme.example", "Zoë Müller", "7")]);

    browser.press(Role::Link, "Open the instance").await;
    browser.sees("Last delivered").await;
    browser.sees("2 users").await;
    browser.press(Role::Button, "Deliver a list…").await;
    let _again = take(
        &browser,
        "again.csv",
        "Personalnummer;Post;Vorname;Nachname\n7;zoe@acme.example;Zoë;M\n8;nobody;Ada;L.\n".as_bytes(),
    )
    .await;
    browser.sees("nobody").await;
    assert_eq!(chosen(&browser, "Column Vorname is").await, "displayName", "the columns are remembered");
    browser.press(Role::Button, "Deliver").await;
    browser.sees("The list was refused, and nothing was changed.").await;
    browser.sees("Line 3, column “Post”").await;
    browser.inspect("list-refused").await;
    browser.press(Role::Button, "Cancel").await;
    let count = server.instance(id, "userCount lastDelivery { userCount isWaiting }").await;
    assert_eq!(count, json!({ "userCount": 2, "lastDelivery": { "userCount": 2, "isWaiting": false } }));
    browser.close_after(&["status of 422"]).await;
    assert_intact(&server.stop().await.location()).await;
}

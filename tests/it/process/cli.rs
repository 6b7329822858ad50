//! The commands other than `serve`.

use std::process::Output;

use serde_json::json;

use super::Home;
use crate::support::http;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_new_token_stands_alone_on_stdout_and_works() {
    let home = Home::new();
    let made = home.run(&["token", "create", "--name", "ada", "--email", "ada@example.com"]);
    assert!(made.status.success(), "{made:?}");
    let printed = out(&made);
    let token = printed.strip_suffix('\n').unwrap();
    assert!(token.starts_with("muster_") && !token.contains(char::is_whitespace), "{printed:?}");
    let program = home.serve(token).await;
    let id = program.client.rehearse("Acme", &[]).await;
    assert_eq!(program.client.instance(&id, "createdBy").await["createdBy"], "ada@example.com");
}

#[tokio::test]
async fn a_reader_who_leaves_is_no_failure_and_a_full_disk_is_one() {
    let home = Home::new();
    home.token();
    home.run(&["member", "create", "--name", "Bo", "--email", "bo@example.com"]);
    let closed = || std::io::pipe().unwrap().1;
    for arguments in [
        &["schema"][..],
        &["token", "list"],
        &["token", "create", "--name", "unread"],
        &["member", "list"],
        &["keys", "list"],
        &["audit", "export"],
        &["audit", "verify"],
        &["connectors", "list"],
        &["connectors", "schema"],
        &["completions", "bash"],
        &["migrate"],
    ] {
        let left = home.command(arguments).stdout(closed()).output().unwrap();
        assert!(left.status.success() && !err(&left).contains("panicked"), "{arguments:?}: {left:?}");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let refused = home.command(arguments).stdout(full).output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {refused:?}");
        assert!(err(&refused).contains("cannot write the output: No space left on device"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_database_is_migrated_before_a_server_starts_and_a_file_not_while_one_runs() {
    let home = Home::new();
    for _ in 0..2 {
        let migrated = home.run(&["migrate"]);
        assert_eq!(
            (out(&migrated).contains("has the schema of muster"), err(&migrated).contains("error")),
            (true, false)
        );
    }
    let token = home.token();
    let _program = home.serve(&token).await;
    let beside = home.run(&["migrate"]);
    let is_file = home.database.url().is_none();
    assert_eq!(beside.status.success(), !is_file, "{beside:?}");
    assert_eq!(err(&beside).contains("another muster is running"), is_file, "{beside:?}");
}

#[test]
fn packages_get_completions_and_a_manual_page_for_each_command() {
    let home = Home::on_sqlite();
    for (shell, text) in [("bash", "complete -F _muster"), ("zsh", "#compdef muster"), ("fish", "complete -c muster")] {
        let script = out(&home.run(&["completions", shell]));
        assert!(script.contains(text) && script.contains("erasures"), "{shell}: {script}");
    }
    let folder = home.dir.path().join("man");
    let written = home.command(&["man"]).arg(&folder).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    for (page, text) in [("muster.1", "register of every user account"), ("muster-token-create.1", "\\-\\-name")] {
        let page = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

#[tokio::test]
async fn a_viewer_token_reads_and_changes_nothing() {
    let home = Home::new();
    let viewer = out(&home.run(&["token", "create", "--name", "wall", "--role", "viewer"]));
    let program = home.serve(viewer.trim()).await;
    let counted = program.client.ask("{ instances { totalCount } }", json!({})).await;
    assert_eq!(counted["instances"]["totalCount"], 0);
    let refused = program
        .client
        .ask_as(viewer.trim(), "mutation { setRecipients(input: { emails: [] }) { recipients { emails } } }", json!({}))
        .await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused:#}");
}

#[tokio::test]
async fn tokens_are_listed_without_themselves_and_revoked_by_name() {
    let home = Home::new();
    let token = home.token();
    home.run(&["token", "create", "--name", "wall", "--role", "viewer"]);
    let listed = out(&home.run(&["token", "list"]));
    let lines: Vec<Vec<_>> = listed.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert_eq!((&lines[0][..3], lines[0][4]), (&["tests", "admin", "valid"][..], "ada@example.com"));
    assert_eq!(lines[1][..3], ["wall", "viewer", "valid"]);
    assert!(!listed.contains(&token));

    let program = home.serve(&token).await;
    program.client.ask("{ __typename }", json!({})).await;
    let revoked = home.run(&["token", "revoke", "--name", "tests"]);
    assert!(revoked.status.success(), "{revoked:?}");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    let web = http();
    loop {
        let call = web
            .post(format!("{}/graphql", program.client.url))
            .bearer_auth(&token)
            .header("content-type", "application/json");
        let answer = call.body(r#"{"query":"{ __typename }"}"#).send().await.unwrap();
        if answer.status() == 401 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "a revoked token still works");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(out(&home.run(&["token", "list"])).contains("revoked"));
    let unknown = home.run(&["token", "revoke", "--name", "tests"]);
    assert!(!unknown.status.success() && err(&unknown).contains("no valid token named \"tests\""), "{unknown:?}");
}

#[tokio::test]
async fn what_commands_do_to_tokens_and_members_is_in_the_audit_log() {
    let home = Home::new();
    let address = ["--email", "grace@example.com"];
    home.run(&["token", "create", "--name", "wall"]);
    home.run(&["token", "revoke", "--name", "wall"]);
    for command in ["create", "disable", "enable", "reset"] {
        let done = home.run(&[&["member", command], &address[..]].concat());
        assert!(done.status.success(), "{}", err(&done));
    }
    let refused = home.run(&[&["member", "create"], &address[..]].concat());
    assert!(!refused.status.success(), "the address is taken");
    let exported = out(&home.run(&["audit", "export"]));
    let did = ["A token was created.", "The tokens of a name were revoked.", "A member was created."];
    let did = did.into_iter().chain(["A member was changed."; 2]).chain(["A member was reset."]);
    let lines: Vec<&str> = exported.lines().collect();
    assert_eq!(lines.len(), 7, "the last is the export itself: {exported}");
    for (line, did) in lines.into_iter().zip(did) {
        assert!(line.contains(did), "{did} {line}");
        assert!(line.contains("wall") || line.contains("grace@example.com"), "{line}");
    }
    let verified = home.run(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", err(&verified));
}

#[test]
fn a_token_that_cannot_be_made_is_refused_with_the_option_at_fault() {
    let home = Home::new();
    for (arguments, fault) in [
        (vec!["token", "create", "--name", ""], "--name"),
        (vec!["token", "create", "--name", "ada", "--email", "not an address"], "--email"),
        (vec!["token", "create", "--name", "ada", "--role", "owner"], "--role"),
        (vec!["token", "create"], "--name"),
    ] {
        let refused = home.run(&arguments);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{arguments:?}: {refused:?}");
        assert!(err(&refused).contains(fault), "{arguments:?}: {refused:?}");
    }
}

#[test]
fn the_schema_that_is_printed_is_the_file_in_the_repository() {
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    let printed = out(&Home::new().run(&["schema"]));
    let differs = printed.lines().zip(file.lines()).find(|(printed, file)| printed != file);
    assert!(printed == file, "it differs first at {differs:?}");
}

#[test]
fn the_catalog_is_listed() {
    let listed = Home::new().run(&["connectors", "list"]);
    assert!(listed.status.success(), "{listed:?}");
    let keys: Vec<_> = out(&listed).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    assert!(keys.contains(&"scim".into()) && keys.contains(&"rehearsal".into()), "{keys:?}");
}

#[test]
fn a_manifest_is_checked_with_line_and_column_of_each_fault() {
    let home = Home::new();
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/src/integration/connectors/scim.yaml");
    let checked = home.run(&["connectors", "check", good]);
    assert!(
        checked.status.success()
            && out(&checked).contains("scim.yaml: ok; ")
            && out(&checked).ends_with(" samples played\n"),
        "{checked:?}"
    );

    let manifest = std::fs::read_to_string(good).unwrap();
    let broken = home.dir.path().join("broken.yaml");
    std::fs::write(&broken, manifest.replace("external_id: $.id", "external_id: $..[").replace("bearer:", "bearerr:"))
        .unwrap();
    let place = |text: &str, within: &str| {
        let at = within.lines().position(|line| line.contains(text)).unwrap();
        format!("broken.yaml:{}:", at + 1)
    };
    let checked = home.run(&["connectors", "check", good, broken.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let said = out(&checked);
    assert!(said.contains(&place("bearer:", &manifest)), "{said}");

    std::fs::write(&broken, manifest.replace("external_id: $.id", "external_id: $..[")).unwrap();
    let said = out(&home.run(&["connectors", "check", broken.to_str().unwrap()]));
    assert!(said.contains(&place("external_id:", &manifest)), "{said}");

    let missing = home.run(&["connectors", "check", "nowhere.yaml"]);
    assert!(!missing.status.success() && out(&missing).contains("nowhere.yaml:0:0: cannot be read"), "{missing:?}");
}

#[test]
fn a_folder_of_manifests_adds_to_the_catalog_and_faulty_ones_are_left_out() {
    let home = Home::new();
    let folder = home.dir.path().join("connectors");
    std::fs::create_dir(&folder).unwrap();
    let manifest =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/integration/connectors/scim.yaml")).unwrap();
    std::fs::write(folder.join("ours.yaml"), manifest.replace("name: SCIM 2.0", "name: Our directory")).unwrap();
    std::fs::write(folder.join("faulty.yaml"), "name: [").unwrap();
    let listed = home.set("CONNECTORS_DIR", folder.to_str().unwrap()).run(&["connectors", "list"]);
    assert!(out(&listed).contains("ours\tOur directory\t"), "{listed:?}");
    assert!(!out(&listed).contains("faulty"), "{listed:?}");
    assert!(err(&listed).contains("faulty.yaml:1:"), "{listed:?}");
}

//! `muster restore`: either the old database or the new one is in place, never anything else.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use super::backup::{checkpoint, damage, file, one, refused, running, said, sql};
use crate::process::{Home, rounds, write_key};

/// A stopped installation with an instance, and its backup.
async fn backed_up() -> (Home, PathBuf, String) {
    let home = Home::on_sqlite();
    let (program, id) = running(&home).await;
    let to = file(&home, "backup");
    let made = home.run(&["backup", to.to_str().unwrap()]);
    assert!(made.status.success(), "{}", said(&made));
    program.kill();
    (home, to, id)
}

#[tokio::test]
async fn what_was_backed_up_is_there_again_in_a_new_place_on_sqlite() {
    let (home, backup, id) = backed_up().await;
    let other = Home::on_sqlite();
    fs::create_dir(other.data_dir()).unwrap();
    fs::copy(home.data_dir().join("secret.key"), other.data_dir().join("secret.key")).unwrap();
    let restored = other.run(&["restore", backup.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", said(&restored));
    assert!(said(&restored).contains("1 instances and 300 users"), "{}", said(&restored));
    let token = other.token();
    let program = other.serve(&token).await;
    let found = program.client.instance(&id, "name userCount").await;
    assert_eq!(found, json!({ "name": "Acme", "userCount": 300 }));
    assert_eq!(program.client.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
    let looked = other.run(&["doctor", "--thorough"]);
    assert!(looked.status.success(), "{}", said(&looked));
}

#[tokio::test]
async fn a_database_that_is_replaced_is_kept_and_clients_are_told_everything_anew_on_sqlite() {
    let home = Home::on_sqlite();
    let (program, id) = running(&home).await;
    let backup = file(&home, "backup");
    assert!(home.run(&["backup", backup.to_str().unwrap()]).status.success());
    // More events happen after the backup, and a subscriber sees them.
    for round in 0..5 {
        let input = json!({ "id": id, "name": format!("Acme {round}") });
        program.client.done("updateInstance", input, "instance { id }").await;
    }
    let newest = program.client.instance(&id, "events(first: 1) { nodes { cursor } }").await;
    let cursor = newest["events"]["nodes"][0]["cursor"].clone();
    refused(&home.run(&["restore", "--replace", backup.to_str().unwrap()]), "another muster is running");
    let token = program.client.admin.clone();
    program.kill();
    let restored = home.run(&["restore", "--replace", backup.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", said(&restored));
    let kept: Vec<_> = fs::read_dir(home.data_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let kept: Vec<_> = kept.iter().filter(|path| path.to_string_lossy().contains(".replaced-")).collect();
    assert_eq!(kept.len(), 1, "{}", said(&restored));
    assert!(said(&restored).contains(kept[0].to_str().unwrap()));
    assert_eq!(one(kept[0], "SELECT name FROM instance").await, "Acme 4");

    // As many events as before, so that the numbers alone reveal nothing.
    let program = home.serve(&token).await;
    for round in 0..9 {
        let input = json!({ "id": id, "name": format!("Other {round}") });
        program.client.done("updateInstance", input, "instance { id }").await;
    }
    let mut socket = program.client.acknowledged(&token).await;
    let query = format!("subscription {{ instanceStateChanged(after: {cursor}) {{ cause instance {{ name }} }} }}");
    socket.subscribe("s", &query).await;
    let first = socket.next().await["payload"]["data"]["instanceStateChanged"].clone();
    assert_eq!(first, json!({ "cause": "SNAPSHOT", "instance": { "name": "Other 8" } }));
}

#[tokio::test]
async fn nobody_is_let_in_again_by_a_restore_on_sqlite() {
    let home = Home::on_sqlite();
    for name in ["kept", "leaked"] {
        assert!(home.run(&["token", "create", "--name", name]).status.success());
    }
    for email in ["ada@example.com", "bob@example.com"] {
        assert!(home.run(&["member", "create", "--email", email, "--role", "operator"]).status.success());
    }
    let database = home.data_dir().join("muster.db");
    sql(
        &database,
        "INSERT INTO session (id, hash, member_id, created_at, last_used_at, expires_at, user_agent)
            SELECT id, x'00', id, 0, 0, 0, '' FROM member LIMIT 1",
    )
    .await;
    let backup = file(&home, "backup");
    assert!(home.run(&["backup", backup.to_str().unwrap()]).status.success());
    assert!(home.run(&["token", "revoke", "--name", "leaked"]).status.success());
    assert!(home.run(&["member", "disable", "--email", "bob@example.com"]).status.success());

    let restored = home.run(&["restore", "--replace", backup.to_str().unwrap()]);
    let words = said(&restored);
    assert!(restored.status.success(), "{words}");
    for wanted in [
        "All sessions and one-time links have ended.",
        "The token \"leaked\" was revoked after the backup, and is revoked again.",
        "bob@example.com was disabled after the backup, and is disabled again.",
        "1 API tokens are valid. Passwords and roles are those of the backup.",
    ] {
        assert!(words.contains(wanted), "{wanted}: {words}");
    }
    assert_eq!(one(&database, "SELECT group_concat(name) FROM api_token WHERE revoked_at IS NULL").await, "kept");
    assert_eq!(
        one(&database, "SELECT group_concat(email) FROM member WHERE disabled_at IS NULL").await,
        "ada@example.com"
    );
    for table in ["session", "member_link"] {
        assert_eq!(one(&database, &format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await, "0", "{table}");
    }
    let actions = "SELECT group_concat(action) FROM (SELECT action FROM audit_entry ORDER BY id DESC LIMIT 3)";
    assert_eq!(one(&database, actions).await, "member_updated,token_revoked,backup_restored");
    assert!(home.run(&["audit", "verify"]).status.success());
    // That nobody can administer now is another finding.
    let looked = said(&home.run(&["doctor"]));
    for signed in ["ok  api-tokens: ", "ok  members: ", "ok  audit-log: "] {
        assert!(looked.contains(signed), "what was ended again is signed: {looked}");
    }

    // In a new place, nothing says who was let in no more.
    let other = Home::on_sqlite();
    fs::create_dir(other.data_dir()).unwrap();
    fs::copy(home.data_dir().join("secret.key"), other.data_dir().join("secret.key")).unwrap();
    let words = said(&other.run(&["restore", backup.to_str().unwrap()]));
    assert!(words.contains("2 API tokens are valid. Tokens that were revoked after the backup"), "{words}");
}

#[tokio::test]
async fn a_restore_that_could_not_end_everything_again_fails_and_says_what_is_left_on_sqlite() {
    let home = Home::on_sqlite();
    let created = |arguments: &[&str]| assert!(home.run(arguments).status.success(), "{arguments:?}");
    created(&["token", "create", "--name", "leaked"]);
    created(&["member", "create", "--email", "ada@example.com", "--role", "admin"]);
    created(&["member", "create", "--email", "bob@example.com", "--role", "operator"]);
    let backup = file(&home, "backup");
    created(&["backup", backup.to_str().unwrap()]);
    created(&["token", "revoke", "--name", "leaked"]);
    created(&["member", "disable", "--email", "bob@example.com"]);
    let database = home.data_dir().join("muster.db");
    let ended = file(&home, "ended");
    checkpoint(&database).await;
    fs::copy(&database, &ended).unwrap();

    let forged = file(&home, "forged");
    fs::copy(&backup, &forged).unwrap();
    sql(&forged, "UPDATE member SET name = 'Eve' WHERE email = 'bob@example.com'").await;
    let failed = home.run(&["restore", "--replace", "--unsigned", forged.to_str().unwrap()]);
    let words = said(&failed);
    assert!(!failed.status.success() && words.contains("bob@example.com was not disabled again"), "{words}");
    assert!(!words.contains("Start the server") && !words.contains("..") && !words.contains(".;"), "{words}");
    let revoked = "SELECT group_concat(name) FROM api_token WHERE revoked_at IS NOT NULL";
    assert_eq!(one(&database, revoked).await, "leaked", "what can be done is done");

    for left in ["-wal", "-shm"] {
        let _absent = fs::remove_file(home.data_dir().join(format!("muster.db{left}")));
    }
    fs::copy(&ended, &database).unwrap();
    sql(&database, "ALTER TABLE api_token RENAME COLUMN revoked_at TO ended_at").await;
    let failed = home.run(&["restore", "--replace", backup.to_str().unwrap()]);
    refused(&failed, "so nothing says who had ended");
    assert!(!said(&failed).contains("Start the server"), "{}", said(&failed));
}

#[tokio::test]
async fn a_restore_names_whom_the_replaced_database_does_not_know_and_who_was_less_on_sqlite() {
    let home = Home::on_sqlite();
    let done = |arguments: &[&str]| assert!(home.run(arguments).status.success(), "{arguments:?}");
    done(&["token", "create", "--name", "machine"]);
    done(&["member", "create", "--email", "ada@example.com", "--role", "admin"]);
    done(&["member", "create", "--email", "bob@example.com", "--role", "operator"]);
    let backup = file(&home, "backup");
    done(&["backup", backup.to_str().unwrap()]);
    done(&["member", "set-role", "--email", "bob@example.com", "--role", "viewer"]);
    let restored = said(&home.run(&["restore", "--replace", backup.to_str().unwrap()]));
    let lower = "bob@example.com has the role operator of the backup again; it was viewer.";
    assert!(restored.contains(lower) && !restored.contains("ada@example.com has"), "{restored}");
    assert!(restored.contains("Start the server"), "{restored}");

    // The disk was lost, and a server has made a new database since.
    for left in ["", "-wal", "-shm"] {
        let _absent = fs::remove_file(home.data_dir().join(format!("muster.db{left}")));
    }
    done(&["token", "create", "--name", "new"]);
    let restored = home.run(&["restore", "--replace", backup.to_str().unwrap()]);
    let words = said(&restored);
    assert!(restored.status.success(), "{words}");
    for unknown in ["the token \"machine\"", "the member ada@example.com", "the member bob@example.com"] {
        assert!(words.contains(&format!("The previous database does not know {unknown} of the backup.")), "{words}");
    }
    assert!(words.contains("1 API tokens are valid. Tokens that were revoked after the backup"), "{words}");
}

#[tokio::test]
async fn what_cannot_stand_in_for_the_database_is_refused_and_nothing_is_changed_on_sqlite() {
    let (home, backup, _) = backed_up().await;
    let database = home.data_dir().join("muster.db");
    checkpoint(&database).await;
    let before = fs::read(&database).unwrap();
    let copy = |name: &str| {
        let path = file(&home, name);
        fs::copy(&backup, &path).unwrap();
        path
    };
    let text = file(&home, "text");
    fs::write(&text, "no database at all, but long enough").unwrap();
    let empty = file(&home, "empty");
    fs::write(&empty, "").unwrap();
    let foreign = file(&home, "foreign");
    fs::write(&foreign, "").unwrap();
    sql(&foreign, "CREATE TABLE instance (id INTEGER); CREATE TABLE seaql_migrations (version TEXT)").await;
    let damaged = copy("broken");
    damage(&damaged);
    let short = copy("short");
    fs::File::options().write(true).open(&short).unwrap().set_len(fs::metadata(&backup).unwrap().len() / 2).unwrap();
    let newer = copy("newer");
    sql(&newer, "INSERT INTO seaql_migrations VALUES ('m9999_future', 0); UPDATE installation SET needs = 9999").await;
    for (path, words) in [
        (&file(&home, "nowhere"), "nowhere"),
        (&text, "is not a database of Muster"),
        (&empty, "is not a database of Muster"),
        (&foreign, "is not a database of Muster"),
        (&damaged, " damaged: "),
        (&short, "is not complete"),
        (&newer, "comes from a newer Muster"),
    ] {
        refused(&home.run(&["restore", "--replace", path.to_str().unwrap()]), words);
        assert!(fs::read(&database).unwrap() == before, "{words}");
    }
    refused(&home.run(&["restore", backup.to_str().unwrap()]), "--replace");

    let key = home.data_dir().join("secret.key");
    let right = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    refused(&home.run(&["restore", "--replace", backup.to_str().unwrap()]), "secret key that is not here");
    Home::on_sqlite().token();
    write_key(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    refused(&home.run(&["restore", "--replace", backup.to_str().unwrap()]), "another secret key");
    write_key(&key, right);
    assert!(fs::read(&database).unwrap() == before);
    assert!(home.run(&["restore", "--replace", backup.to_str().unwrap()]).status.success());
}

#[tokio::test]
async fn a_log_of_writes_that_was_left_behind_is_never_applied_to_another_database_on_sqlite() {
    let (home, backup, _) = backed_up().await;
    let database = home.data_dir().join("muster.db");
    fs::remove_file(&database).unwrap();
    fs::write(home.data_dir().join("muster.db-wal"), "of another database").unwrap();
    refused(&home.run(&["restore", backup.to_str().unwrap()]), "muster.db-wal");
}

#[tokio::test]
async fn killed_anywhere_it_leaves_the_old_database_or_the_new_one_on_sqlite() {
    let (home, backup, _) = backed_up().await;
    let database = home.data_dir().join("muster.db");
    let (rounds, mut random) = rounds("restore");
    let mut replaced = 0;
    for round in 0..rounds {
        sql(&database, "UPDATE instance SET name = 'Old'").await;
        let mut child = home
            .command(&["restore", "--replace", backup.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_micros(random.u64(0..150_000))).await;
        let _ended_already = child.kill();
        child.wait().unwrap();
        let name = one(&database, "SELECT name FROM instance").await;
        assert!(name == "Old" || name == "Acme", "round {round}: {name}");
        replaced += u32::from(name == "Acme");
        assert_eq!(one(&database, "PRAGMA integrity_check").await, "ok", "round {round}");
    }
    println!("{replaced} of {rounds} were cut after the replacement");
    assert!(home.run(&["restore", "--replace", backup.to_str().unwrap()]).status.success());
    assert_eq!(one(&database, "SELECT name FROM instance").await, "Acme");
    let left: Vec<_> = fs::read_dir(home.data_dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("restoring")), "{left:?}");
}

#[tokio::test]
async fn a_copy_that_was_changed_or_has_no_signature_is_refused_unless_it_is_asked_for_on_sqlite() {
    let (home, backup, _) = backed_up().await;
    let whole = fs::read(&backup).unwrap();
    let copy = file(&home, "copy");
    let restore = |bytes: &[u8]| {
        fs::write(&copy, bytes).unwrap();
        home.run(&["restore", "--replace", copy.to_str().unwrap()])
    };
    refused(&restore(&whole[..whole.len() - 100]), "is not complete");
    let mut places = fastrand::Rng::with_seed(7);
    for _ in 0..30 {
        let mut changed = whole.clone();
        let place = places.usize(100..whole.len() - 8);
        changed[place..place + 8].iter_mut().for_each(|byte| *byte ^= 0x5a);
        let restored = restore(&changed);
        assert!(!restored.status.success(), "eight bytes from {place} on: {}", said(&restored));
    }
    let intact = restore(&whole);
    assert!(intact.status.success() && !said(&intact).contains("warning"), "{}", said(&intact));
    let left = "SELECT CAST(COUNT(*) AS TEXT) FROM sqlite_master WHERE name LIKE '%seal%'";
    assert_eq!(one(&home.data_dir().join("muster.db"), left).await, "0", "the signature does not fit what comes after");

    fs::write(&copy, &whole).unwrap();
    let changed = "UPDATE api_token SET name = 'somebody'";
    for (statements, words) in [
        (changed, "was cut off or changed since"),
        ("UPDATE backup_signature SET key_id = X'0000000000000000'", "a key that is not in the key file"),
        ("DROP TABLE backup_signature", "carries no signature"),
        // A digest can be computed by everybody, so a wrong one is no worse than a right one.
        (
            "CREATE TABLE backup_seal (digest BLOB); INSERT INTO backup_seal VALUES (X'00')",
            "was cut off or changed since",
        ),
    ] {
        sql(&copy, statements).await;
        refused(&home.run(&["restore", "--replace", copy.to_str().unwrap()]), words);
        let asked = home.run(&["restore", "--replace", "--unsigned", copy.to_str().unwrap()]);
        assert!(asked.status.success() && said(&asked).contains(words), "{}", said(&asked));
    }
}

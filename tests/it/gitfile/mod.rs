//! The settings of a server as a file: `muster export`, `muster plan` and `muster apply`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::oauth::provider;
use crate::process::{Home, Program};
use crate::support::Client;

mod faults;
mod names;
mod round;
mod secrets;
mod sides;

/// A server, and a folder in which somebody keeps its file.
struct Desk {
    home: Home,
    program: Program,
    variables: Vec<(&'static str, String)>,
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl Ended {
    /// Asserts the exit code, and returns what was printed.
    fn with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.output, self.errors);
        format!("{}{}", self.output, self.errors)
    }
}

impl Desk {
    async fn start() -> Self {
        let home = Home::on_sqlite();
        let connectors = home.dir.path().join("connectors");
        fs::create_dir(&connectors).unwrap();
        fs::write(connectors.join("consenting.yaml"), provider::MANIFEST).unwrap();
        let home = home.set("CONNECTORS_DIR", connectors.display().to_string()).set("ALLOWED_NETWORKS", "127.0.0.0/8");
        let token = home.token();
        fs::write(home.dir.path().join("token"), format!("{token}\n")).unwrap();
        let program = home.serve(&token).await;
        Self { home, program, variables: Vec::new() }
    }

    fn client(&self) -> &Client {
        &self.program.client
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.path("muster.yaml"), text).unwrap();
    }

    /// Replaces a text of the file.
    fn edit(&self, find: &str, put: &str) {
        let text = self.read("muster.yaml");
        assert!(text.contains(find), "{find} is not in: {text}");
        self.write(&text.replacen(find, put, 1));
    }

    /// Runs a command with the server and the token in the file `token`.
    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_as("token", arguments)
    }

    fn run_as(&self, token: &str, arguments: &[&str]) -> Ended {
        let at = ["--server", &self.client().url, "--token-file", token];
        let mut command = self.home.command(&[arguments, &at].concat());
        let output = command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) }
    }

    fn export(&self) -> String {
        self.run(&["export", "--output", "muster.yaml", "--replace"]).with(0);
        self.read("muster.yaml")
    }

    fn plan(&self, code: i32) -> String {
        self.run(&["plan", "muster.yaml"]).with(code)
    }

    fn apply(&self, code: i32) -> String {
        self.run(&["apply", "muster.yaml"]).with(code)
    }

    /// The names and revisions of the instances.
    async fn instances(&self) -> Vec<(String, i64)> {
        let found = self.client().ask("{ instances(first: 100) { nodes { name revision } } }", json!({})).await;
        let row = |row: &Value| (row["name"].as_str().unwrap().to_owned(), row["revision"].as_i64().unwrap());
        found["instances"]["nodes"].as_array().unwrap().iter().map(row).collect()
    }
}

/// Asserts that a text has some parts.
#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "“{part}” is not in:\n{text}");
    }
}

//! `muster connectors`: tools for authors of connector manifests.
//!
//! They need neither a database nor a running server. `new` and `try --record` write one file, and the
//! others write nothing.

use std::path::PathBuf;

use clap::Subcommand;
use integration::manifest;

use super::output::say;
use crate::app;
use crate::clock::Clock;
use crate::config::Settings;

mod check;
mod draft;
mod new;
mod record;
mod report;
mod trial;

#[derive(Subcommand)]
pub enum Command {
    /// List the applications that can be connected.
    List,
    /// Check manifests and replay their samples. Prints each error with its line and column.
    Check {
        /// Manifests, or folders with manifests. The samples of DIR/KEY.yaml are in DIR/samples/KEY.yaml.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Write the first version of a manifest. Asks a few questions, or takes the answers as options.
    New(Box<new::New>),
    /// List the users of a real application with a manifest, and print them as mapped. Writes nothing but a sample.
    Try(trial::Trial),
    /// Print the JSON Schema of manifests, for editors.
    Schema,
}

pub async fn run(command: Command, config: &[String]) -> Result<(), String> {
    match command {
        Command::List => list(config),
        Command::Check { files } => check::run(&files).await,
        Command::New(new) => new::run(&new),
        Command::Try(trial) => trial::run(trial).await,
        Command::Schema => {
            say!("{:#}", manifest::schema::schema());
            Ok(())
        }
    }
}

fn list(config: &[String]) -> Result<(), String> {
    let settings = Settings::load(super::settings_file(config)?.as_deref())?;
    let (catalog, faults) = app::load_catalog(&settings, Clock::System)?;
    for entry in catalog.all() {
        say!("{}\t{}\t{}\t{}", entry.key, entry.name, entry.category, entry.description);
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err("some manifests have errors and were left out".into()) }
}

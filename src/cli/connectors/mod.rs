//! The catalog, and manifests under construction: what the author of a manifest works with.
//!
//! Nothing here needs a database or a running server, and nothing is written.

use std::path::PathBuf;

use clap::Subcommand;
use integration::manifest;

use crate::app;
use crate::clock::Clock;
use crate::config::Settings;

mod check;
mod report;
mod trial;

#[derive(Subcommand)]
pub enum Command {
    /// List the applications that can be connected.
    List,
    /// Check manifests, and play the samples beside them: each fault with its line and column.
    Check {
        /// Manifests, or folders of them. The samples of DIR/KEY.yaml are DIR/samples/KEY.yaml.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List a real application with a manifest, and print what was mapped. Nothing is written.
    Try(trial::Trial),
    /// Print the JSON Schema of manifests, for editors.
    Schema,
}

pub async fn run(command: Command, config: &[String]) -> Result<(), String> {
    match command {
        Command::List => list(config),
        Command::Check { files } => check::run(&files).await,
        Command::Try(trial) => trial::run(trial).await,
        Command::Schema => {
            println!("{:#}", manifest::schema::schema());
            Ok(())
        }
    }
}

fn list(config: &[String]) -> Result<(), String> {
    let settings = Settings::load(super::settings_file(config)?.as_deref())?;
    let (catalog, faults) = app::load_catalog(&settings, Clock::System)?;
    for entry in catalog.all() {
        println!("{}\t{}\t{}\t{}", entry.key, entry.name, entry.category, entry.description);
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err("some manifests have faults and were left out".into()) }
}

//! The catalog, and manifests under construction.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::app;
use crate::clock::Clock;
use crate::config::Settings;
use crate::integration::manifest;

#[derive(Subcommand)]
pub enum Command {
    /// List the applications that can be connected.
    List,
    /// Check manifests: each fault with its line and column.
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub fn run(command: Command, config: Option<&Path>) -> Result<(), String> {
    match command {
        Command::List => {
            let settings = Settings::load(config)?;
            let (catalog, faults) = app::load_catalog(&settings, Clock::System)?;
            for entry in catalog.all() {
                println!("{}\t{}\t{}\t{}", entry.key, entry.name, entry.category, entry.description);
            }
            for fault in &faults {
                eprintln!("{fault}");
            }
            if faults.is_empty() { Ok(()) } else { Err("some manifests have faults and were left out".into()) }
        }
        Command::Check { files } => {
            let mut faults = 0;
            for file in &files {
                let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                match manifest::parse(&text, &file.display().to_string()) {
                    Ok(_) => println!("{}: ok", file.display()),
                    Err(found) => {
                        faults += found.len();
                        for fault in found {
                            println!("{fault}");
                        }
                    }
                }
            }
            if faults == 0 { Ok(()) } else { Err(format!("{faults} faults")) }
        }
    }
}

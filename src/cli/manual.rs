//! What packages bring along for the command line: completions, and manual pages.

use std::fs;
use std::path::Path;

use super::output::say;

pub fn completions(shell: clap_complete::Shell, command: &mut clap::Command) {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "muster", &mut script);
    say!("{}", String::from_utf8_lossy(&script).trim_end());
}

/// One page for each command: `muster.1`, `muster-serve.1` …
pub fn pages(folder: &Path, command: clap::Command) -> Result<(), String> {
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(|error| format!("{}: {error}", folder.display()))
}

//! `muster connectors check`: checks manifests and replays their samples.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use integration::manifest::{self, Fault};
use integration::samples;

use super::super::output::say;

/// Checks each file, and each manifest in a folder. Fails if there is any error.
pub async fn run(files: &[PathBuf]) -> Result<(), String> {
    let mut faults = 0;
    for file in expand(files)? {
        faults += check_file(&file).await;
    }
    match faults {
        0 => Ok(()),
        1 => Err("1 fault".to_owned()),
        more => Err(format!("{more} faults")),
    }
}

/// Replaces each folder by its manifests.
fn expand(files: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for file in files {
        if !file.is_dir() {
            found.push(file.clone());
            continue;
        }
        let at = |error: std::io::Error| format!("{}: {error}", file.display());
        let mut manifests = Vec::new();
        for entry in std::fs::read_dir(file).map_err(at)? {
            let path = entry.map_err(at)?.path();
            if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
                manifests.push(path);
            }
        }
        if manifests.is_empty() {
            return Err(format!("{}: this folder has no manifests (KEY.yaml)", file.display()));
        }
        manifests.sort();
        found.extend(manifests);
    }
    Ok(found)
}

/// Checks one manifest with its samples, and returns the number of errors.
async fn check_file(file: &Path) -> usize {
    let shown = file.display().to_string();
    let text = match read(file) {
        Ok(text) => text,
        Err(fault) => return print(&[fault]),
    };
    let manifest = match manifest::parse(&text, &shown) {
        Ok(manifest) => Arc::new(manifest),
        Err(faults) => return print(&faults),
    };
    let advice = manifest::advice(&manifest, &shown);
    if !advice.is_empty() {
        return print(&advice);
    }
    let name = file.file_name().unwrap_or_default();
    let beside = file.parent().unwrap_or(Path::new("")).join("samples").join(name);
    if !beside.exists() {
        say!("{shown}: ok; no samples (write samples/{} beside it)", name.display());
        return 0;
    }
    let samples = match read(&beside).map_err(|fault| vec![fault]) {
        Ok(text) => samples::parse(&text, &beside.display().to_string()),
        Err(faults) => Err(faults),
    };
    let samples = match samples {
        Ok(samples) => samples,
        Err(faults) => return print(&faults),
    };
    let replay = samples.replay(&manifest).await;
    for gap in &replay.gaps {
        say!("{}: warning: {gap}", beside.display());
    }
    if replay.faults.is_empty() {
        say!("{shown}: ok; {} samples played", replay.cases);
    }
    print(&replay.faults)
}

/// Prints the faults, and returns their number.
fn print(faults: &[Fault]) -> usize {
    for fault in faults {
        say!("{}", fault);
    }
    faults.len()
}

fn read(file: &Path) -> Result<String, Fault> {
    let unreadable = |error: std::io::Error| Fault {
        file: file.display().to_string(),
        line: 0,
        column: 0,
        message: format!("cannot be read: {error}"),
    };
    std::fs::read_to_string(file).map_err(unreadable)
}

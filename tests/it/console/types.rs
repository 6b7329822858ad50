//! The console's scripts by the TypeScript compiler, which knows the types of the libraries and of what comments say.
//!
//! It is not strict: null may be anything, and what has no type is of any type. What it finds are names, fields and
//! functions that there are not, wrong numbers of arguments, what is compared in vain, and what nobody uses.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The settings, the types of the libraries, and `app` in a folder.
fn project(app: &Path) -> TempDir {
    let modules = std::env::var("TEST_NODE_MODULES").expect("tests/run sets TEST_NODE_MODULES");
    let project = TempDir::new().unwrap();
    let peers = Path::new(ROOT).join("tests/peers/console");
    for name in ["tsconfig.json", "vendor", "window.d.ts"] {
        symlink(peers.join(name), project.path().join(name)).unwrap();
    }
    symlink(app, project.path().join("app")).unwrap();
    symlink(modules, project.path().join("node_modules")).unwrap();
    project
}

/// What the compiler says.
fn check(app: &Path) -> String {
    let project = project(app);
    let node = std::env::var("TEST_NODE").expect("tests/run sets TEST_NODE");
    let compiler = project.path().join("node_modules/typescript/bin/tsc");
    assert!(compiler.exists(), "tests/run installs typescript");
    let output =
        Command::new(node).arg(compiler).arg("-p").arg("tsconfig.json").current_dir(&project).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_scripts_of_the_console_fit_together() {
    let found = check(&Path::new(ROOT).join("src/console/app"));
    assert_eq!(found, "");
    let wrong = TempDir::new().unwrap();
    let script = "import { signal } from \"../vendor/signals.js\";\nsignal(1).valeu += 1;\n";
    std::fs::write(wrong.path().join("wrong.js"), script).unwrap();
    let found = check(wrong.path());
    assert!(found.contains("'valeu' does not exist"), "{found}");
}

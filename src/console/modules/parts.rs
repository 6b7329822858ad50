//! The modules that are loaded later, in few files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Export, Part, Walk, binding, moved, relative};

/// The modules that are no part of the first file, and the files that they are in.
pub(super) struct Parts<'a> {
    first: &'a Walk<'a>,
    rest: &'a Walk<'a>,
    /// The modules that something loads later. Each has the file of its own name.
    loaded: &'a BTreeSet<String>,
    entry: &'a str,
    /// The file of each module.
    pub(super) files: BTreeMap<String, String>,
}

impl<'a> Parts<'a> {
    /// A module that only one loaded module needs is in its file. Those that the same loaded modules need are one file.
    pub(super) fn new(first: &'a Walk, rest: &'a Walk, loaded: &'a BTreeSet<String>, entry: &'a str) -> Self {
        let mut needed_by: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for path in loaded {
            let mut open = vec![path.as_str()];
            while let Some(path_of_part) = open.pop() {
                if first.position(path_of_part).is_none() && needed_by.entry(path_of_part).or_default().insert(path) {
                    open.extend(rest.modules[path_of_part].imports());
                }
            }
        }
        let mut shared: BTreeMap<&BTreeSet<&str>, &str> = BTreeMap::new();
        let mut files = BTreeMap::new();
        for path in rest.order.iter().filter(|path| needed_by.contains_key(path.as_str())) {
            let needed_by = &needed_by[path.as_str()];
            let file = match needed_by.first() {
                _ if loaded.contains(path) => path,
                Some(only) if needed_by.len() == 1 => *only,
                _ => *shared.entry(needed_by).or_insert(path),
            };
            files.insert(path.clone(), file.to_owned());
        }
        Self { first, rest, loaded, entry, files }
    }

    fn number(&self, path: &str) -> usize {
        self.rest.position(path).expect("every module that is loaded later was visited")
    }

    /// The name of the exports of the module `path` in `file`, and the statement that imports them.
    fn exports(&self, path: &str, file: &str) -> (String, Option<String>) {
        if let Some(number) = self.first.position(path) {
            let from = relative(file, self.entry);
            return (format!("module{number}"), Some(format!("import {{ module{number} }} from \"{from}\";\n")));
        }
        let name = format!("part{}", self.number(path));
        let own = &self.files[path];
        let what = if self.loaded.contains(path) { format!("* as {name}") } else { format!("{{ {name} }}") };
        let statement = format!("import {what} from \"{}\";\n", relative(file, own));
        (name, (own != file).then_some(statement))
    }

    pub(super) fn write(&self, file: &str) -> Result<String, String> {
        let (mut head, mut body, mut shared) = (BTreeSet::new(), String::new(), Vec::new());
        for path in self.rest.order.iter().filter(|path| self.files.get(*path).is_some_and(|own| own == file)) {
            let module = &self.rest.modules[path];
            let mut code = String::new();
            for part in &module.parts {
                match part {
                    Part::Code(own) => code.push_str(&moved(own, path, file)?),
                    Part::Import { path: imported, clause } => {
                        let (name, statement) = self.exports(imported, file);
                        head.extend(statement);
                        code.push_str(&binding(clause, &name));
                    }
                }
            }
            if self.loaded.contains(path) {
                let names = module.exports.iter().map(|Export { name, local }| format!("{local} as {name}"));
                let _ = writeln!(body, "{code}export {{ {} }};", names.collect::<Vec<_>>().join(", "));
            } else {
                let name = format!("part{}", self.number(path));
                let _ = write!(body, "{}", module.function(&name, &code));
                shared.push(name);
            }
        }
        let exports =
            if self.loaded.contains(file) { String::new() } else { format!("export {{ {} }};\n", shared.join(", ")) };
        Ok([head.into_iter().collect(), body, exports].concat())
    }
}

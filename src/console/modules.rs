//! The console's ES modules, joined into few files, so that a page needs few requests.
//!
//! The modules that the first one imports become one file with it. A module that `import("…")` loads later becomes one
//! with what only it imports. What several of those import are further files. Each joined module is a function that returns
//! its exports, so its other names cannot meet those of another module.
//!
//! This reads no JavaScript, but lines: `import` and `export` are statements at the start of a line. What may be
//! exported is a function, a class, a constant, or a list of them.

mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use self::parts::Parts;

/// Texts by path.
pub(super) type Files = BTreeMap<String, String>;

/// A module with its statements taken apart.
struct Module {
    parts: Vec<Part>,
    exports: Vec<Export>,
}

enum Part {
    Code(String),
    Import { path: String, clause: String },
}

struct Export {
    name: String,
    local: String,
}

/// A walk from the first module along the imports.
struct Walk<'a> {
    sources: &'a Files,
    modules: BTreeMap<String, Module>,
    /// Modules after those that they import.
    order: Vec<String>,
    /// The modules between the first one and the current one.
    open: Vec<String>,
    /// Modules that are loaded later.
    later: Vec<String>,
}

/// The files that a browser needs for the module at `entry`.
pub(super) fn join(sources: &Files, entry: &str) -> Result<Files, String> {
    let mut first = Walk::new(sources);
    first.visit(entry)?;
    let mut joined = String::new();
    for (number, path) in first.order.iter().enumerate() {
        let module = &first.modules[path];
        let mut whole = String::new();
        for part in &module.parts {
            match part {
                Part::Code(code) => whole.push_str(&moved(code, path, entry)?),
                Part::Import { path: imported, clause } => {
                    let position = first.position(imported).expect("what a module imports comes before it");
                    whole.push_str(&binding(clause, &format!("module{position}")));
                }
            }
        }
        joined.push_str(&module.function(&format!("module{number}"), &whole));
    }
    let all = (0..first.order.len()).map(|number| format!("module{number}"));
    let _ = writeln!(joined, "export {{ {} }};", all.collect::<Vec<_>>().join(", "));

    let mut files = Files::from([(entry.to_owned(), joined)]);
    let mut rest = Walk::new(sources);
    let mut loaded = BTreeSet::new();
    let mut later = std::mem::take(&mut first.later);
    while let Some(path) = later.pop() {
        if first.position(&path).is_some() {
            return Err(format!("{path} is imported at once, and loaded later as well"));
        }
        // The rest of the console works without a page that is missing.
        if sources.contains_key(&path) {
            rest.visit(&path)?;
            later.append(&mut rest.later);
            loaded.insert(path);
        }
    }
    let parts = Parts::new(&first, &rest, &loaded, entry);
    for file in parts.files.values().collect::<BTreeSet<_>>() {
        files.insert(file.clone(), parts.write(file)?);
    }
    Ok(files)
}

/// The paths of what a joined file imports at once.
pub(super) fn imports(path: &str, text: &str) -> Vec<String> {
    let statements = text.lines().filter(|line| line.starts_with("import "));
    let targets = statements.filter_map(|line| line.rsplit_once(" from \"")?.1.split('"').next());
    targets.map(|target| resolve(path, target)).collect()
}

impl Module {
    /// The paths of what it imports at once.
    fn imports(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Import { path, .. } => Some(path.as_str()),
            Part::Code(_) => None,
        })
    }

    /// It as a function whose result, its exports, is the constant `name`.
    fn function(&self, name: &str, code: &str) -> String {
        let names = self.exports.iter().map(|Export { name, local }| format!("{name}: {local}"));
        format!("const {name} = (() => {{\n{code}return {{ {} }};\n}})();\n", names.collect::<Vec<_>>().join(", "))
    }
}

impl<'a> Walk<'a> {
    fn new(sources: &'a Files) -> Self {
        Self { sources, modules: BTreeMap::new(), order: Vec::new(), open: Vec::new(), later: Vec::new() }
    }

    fn position(&self, path: &str) -> Option<usize> {
        self.order.iter().position(|known| known == path)
    }

    fn visit(&mut self, path: &str) -> Result<(), String> {
        if self.modules.contains_key(path) {
            return Ok(());
        }
        if self.open.iter().any(|open| open == path) {
            return Err(format!("the imports of {path} lead back to it: {}", self.open.join(" → ")));
        }
        let text = self.sources.get(path).ok_or_else(|| format!("{path} is imported and does not exist"))?;
        let module = parse(path, text)?;
        self.open.push(path.to_owned());
        for part in &module.parts {
            match part {
                Part::Import { path, .. } => self.visit(path)?,
                Part::Code(code) => self.later.extend(loads(code).map(|target| resolve(path, target))),
            }
        }
        self.open.pop();
        self.order.push(path.to_owned());
        self.modules.insert(path.to_owned(), module);
        Ok(())
    }
}

fn parse(path: &str, text: &str) -> Result<Module, String> {
    let mut module = Module { parts: Vec::new(), exports: Vec::new() };
    let mut code = String::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let keyword = ["import ", "import{", "export ", "export{"].into_iter().find(|word| line.starts_with(word));
        let declared = line.strip_prefix("export ").filter(|rest| !rest.starts_with('{'));
        if let Some(declared) = declared {
            let name = declared_name(declared).ok_or_else(|| format!("{path} exports in another way: {line}"))?;
            module.exports.push(Export { name: name.to_owned(), local: name.to_owned() });
            code.push_str(declared);
        } else if let Some(keyword) = keyword {
            let mut statement = line.to_owned();
            while !statement.contains(';') {
                statement.push_str(lines.next().ok_or_else(|| format!("{path} ends in a statement: {line}"))?);
            }
            if keyword.starts_with("export") {
                module.exports.extend(exports(&statement));
            } else {
                let (clause, target) = import(&statement).ok_or_else(|| format!("{path}: {statement}"))?;
                module.parts.push(Part::Code(std::mem::take(&mut code)));
                module.parts.push(Part::Import { path: resolve(path, target), clause: clause.to_owned() });
            }
        } else {
            code.push_str(line);
        }
    }
    if !code.ends_with('\n') {
        code.push('\n');
    }
    module.parts.push(Part::Code(code));
    Ok(module)
}

/// The name that a declaration declares.
fn declared_name(declaration: &str) -> Option<&str> {
    let kinds = ["async function* ", "async function ", "function* ", "function ", "class ", "const "];
    let rest = kinds.into_iter().find_map(|kind| declaration.strip_prefix(kind))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').next().filter(|name| !name.is_empty())
}

/// The clause and the address of an import.
fn import(statement: &str) -> Option<(&str, &str)> {
    let (clause, rest) = statement.strip_prefix("import")?.split_once('"')?;
    Some((clause.trim_end().strip_suffix("from")?.trim(), rest.split('"').next()?))
}

/// The names in braces, each with the name after `as`.
fn names(clause: &str) -> impl Iterator<Item = (&str, &str)> {
    let list = clause.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(list, _)| list);
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.split_once(" as ").unwrap_or((name, name)))
}

fn exports(statement: &str) -> impl Iterator<Item = Export> {
    names(statement).map(|(local, name)| Export { name: name.to_owned(), local: local.to_owned() })
}

/// The declaration of what a clause imports from the exports of a module.
fn binding(clause: &str, module: &str) -> String {
    if let Some(name) = clause.strip_prefix("* as ") {
        return format!("const {name} = {module};\n");
    }
    let default = clause.split('{').next().unwrap_or_default().trim().trim_end_matches(',').trim_end();
    let default = Some(("default", default)).filter(|(_, local)| !local.is_empty());
    let names = default.into_iter().chain(names(clause)).map(|(name, local)| format!("{name}: {local}"));
    format!("const {{ {} }} = {module};\n", names.collect::<Vec<_>>().join(", "))
}

const LOAD: &str = "import(\"";

/// The addresses that code loads later.
fn loads(code: &str) -> impl Iterator<Item = &str> {
    code.split(LOAD).skip(1).filter_map(|rest| rest.split('"').next())
}

/// The code of the module `path` as a part of the file `file`, with its addresses still leading to the same places.
fn moved(code: &str, path: &str, file: &str) -> Result<String, String> {
    let mut parts = code.split(LOAD);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (target, rest) = part.split_once('"').ok_or_else(|| format!("{path} loads something without a name"))?;
        let _ = write!(text, "{LOAD}{}\"{rest}", relative(file, &resolve(path, target)));
    }
    if path != file {
        let own = format!("new URL(\"{}\", import.meta.url).href", relative(file, path));
        text = text.replace("import.meta.url", &own);
    }
    Ok(text)
}

/// The path at a relative address in the file `from`.
fn resolve(from: &str, address: &str) -> String {
    let mut path: Vec<_> = from.split('/').collect();
    path.pop();
    for step in address.split('/') {
        match step {
            "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join("/")
}

/// The relative address of `to` in the file `from`.
fn relative(from: &str, to: &str) -> String {
    let (from, to): (Vec<_>, Vec<_>) = (from.split('/').collect(), to.split('/').collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count().min(from.len() - 1);
    let up = "../".repeat(from.len() - 1 - common);
    format!("{}{}", if up.is_empty() { "./" } else { &up }, to[common..].join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_the_first_module_imports_is_one_file_with_it() {
        let sources = files(&[
            (
                "app/main.js",
                "import { shown as text } from \"./ui/part.js\";\nimport h, { a } from \"../vendor/h.js\";\n\
                export const start = () => [import(\"./pages/late.js\"), import(\"./pages/later.js\")];\n",
            ),
            (
                "app/ui/part.js",
                "import {\n  a,\n} from \"../../vendor/h.js\";\nconst at = import.meta.url;\n\
                export async function shown() {}\nexport class Part {}\n",
            ),
            (
                "app/pages/late.js",
                "import { a } from \"../../vendor/h.js\";\nimport * as table from \"../ui/table.js\";\n\
                import { own } from \"../ui/own.js\";\nexport function Page() {}\n",
            ),
            ("app/pages/later.js", "import { rows } from \"../ui/table.js\";\n"),
            ("app/ui/own.js", "export const own = 1;"),
            ("app/ui/table.js", "export const rows = 1;"),
            ("vendor/h.js", "var x=1,y=2;\nexport{x as default,y as a};\n"),
            ("app/unused.js", ""),
        ]);
        let joined = join(&sources, "app/main.js").unwrap();
        assert_eq!(
            joined["app/main.js"],
            "const module0 = (() => {\nvar x=1,y=2;\nreturn { default: x, a: y };\n})();\n\
             const module1 = (() => {\nconst { a: a } = module0;\n\
             const at = new URL(\"./ui/part.js\", import.meta.url).href;\nasync function shown() {}\nclass Part {}\n\
             return { shown: shown, Part: Part };\n})();\n\
             const module2 = (() => {\nconst { shown: text } = module1;\nconst { default: h, a: a } = module0;\n\
             const start = () => [import(\"./pages/late.js\"), import(\"./pages/later.js\")];\nreturn { start: start };\n})();\n\
             export { module0, module1, module2 };\n"
        );
        assert_eq!(
            joined["app/pages/late.js"],
            "import { module0 } from \"../main.js\";\nimport { part0 } from \"../ui/table.js\";\n\
             const part3 = (() => {\nconst own = 1;\nreturn { own: own };\n})();\n\
             const { a: a } = module0;\nconst table = part0;\nconst { own: own } = part3;\nfunction Page() {}\n\
             export { Page as Page };\n"
        );
        assert_eq!(
            joined["app/ui/table.js"],
            "const part0 = (() => {\nconst rows = 1;\nreturn { rows: rows };\n})();\nexport { part0 };\n"
        );
        let files = ["app/main.js", "app/pages/late.js", "app/pages/later.js", "app/ui/table.js"];
        assert_eq!(joined.keys().collect::<Vec<_>>(), files);
    }

    #[test]
    fn what_cannot_be_joined_is_refused() {
        for (text, expected) in [
            ("import { a } from \"./a.js\";", "lead back"),
            ("import { a } from \"./missing.js\";", "does not exist"),
            ("export let x = 1;", "in another way"),
            ("export default 1;", "in another way"),
            ("import { a }\n", "ends in a statement"),
        ] {
            let error = join(&files(&[("a.js", text)]), "a.js").unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let both =
            [("a.js", "import { b } from \"./b.js\";\nimport(\"./b.js\");\n"), ("b.js", "export const b = 1;\n")];
        assert!(join(&files(&both), "a.js").unwrap_err().contains("loaded later as well"));
    }
}

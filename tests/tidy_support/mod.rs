//! The source tree as text: files, their product part, their functions, the rooms that they import.
//!
//! Nothing here parses Rust. It relies on the tree being formatted by rustfmt: a function ends at the first line that
//! is a closing brace under the `fn`, and declarations stand on lines of their own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One file of `src/`.
pub struct Source {
    /// From the root, as `src/plan/make.rs`.
    pub path: String,
    pub text: String,
    /// Compiled for tests only.
    pub is_test: bool,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Text files below a folder, as paths from the root; of the root itself, only what lies directly in it.
pub fn file_names(folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    collect(&root().join(folder), folder != ".", &mut names);
    let kept = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        path.file_name()
            .is_some_and(|name| name == "Makefile" || name.to_string_lossy().starts_with("ensure-"))
            || extension.is_some_and(|known| ["rs", "md", "toml", "txt", "sql", "yml"].contains(&known))
    };
    let mut names: Vec<String> = names.into_iter().filter(kept).map(|path| name_of(&path)).collect();
    names.sort();
    names
}

fn collect(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if deep => collect(&path, deep, found),
            true => {}
            false => found.push(path),
        }
    }
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().trim_start_matches("./").to_owned()
}

/// Every file of `src/`, in the order of names.
pub fn sources() -> Vec<Source> {
    let files = file_names("src").into_iter().filter(|name| name.ends_with(".rs"));
    let mut sources: Vec<Source> =
        files.map(|path| Source { text: document(&path), path, is_test: false }).collect();
    let tests: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        let is = |module: &String| {
            source.path == format!("{module}.rs") || source.path.starts_with(&format!("{module}/"))
        };
        source.is_test = tests.iter().any(is);
    }
    sources
}

/// The folders directly in `src/`.
pub fn rooms() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

impl Source {
    /// The folder of `src/` that it lies in; empty for `lib.rs` and `main.rs`.
    pub fn room(&self) -> &str {
        let below = self.path.trim_start_matches("src/");
        below.split_once('/').map_or("", |(room, _)| room)
    }

    /// The lines before the tests at its end.
    pub fn product(&self) -> impl Iterator<Item = &str> {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_module =
            |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{');
        let end = lines.windows(2).rposition(is_module).unwrap_or(lines.len());
        lines.into_iter().take(end)
    }

    /// The product without comments.
    pub fn code(&self) -> impl Iterator<Item = &str> {
        self.product().filter(|line| !line.trim_start().starts_with("//"))
    }

    /// Functions of the product with their lines, signature and closing brace included.
    pub fn functions(&self) -> Vec<(String, usize)> {
        let lines: Vec<&str> = self.product().collect();
        let mut found = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            let closing = format!("{}}}", " ".repeat(indent));
            let end = lines[at..].iter().position(|line| *line == closing);
            found.extend(end.filter(|_| !line.ends_with(';')).map(|end| (name, end + 1)));
        }
        found
    }

    /// Rooms that the product names by `crate::`, its own aside.
    pub fn imported_rooms(&self) -> BTreeSet<String> {
        let mut rooms = BTreeSet::new();
        for line in self.code() {
            let line = line.split(" // ").next().unwrap_or_default();
            for rest in line.split("crate::").skip(1) {
                let grouped = rest.strip_prefix('{').map(|group| group.split('}').next().unwrap_or_default());
                let names = match grouped {
                    Some(group) => group.split(',').map(first_word).collect(),
                    None => vec![first_word(rest)],
                };
                rooms.extend(
                    names
                        .into_iter()
                        .filter(|name| !name.is_empty() && *name != self.room())
                        .map(str::to_owned),
                );
            }
        }
        rooms
    }

    /// Modules that it declares for tests only, as paths without their ending.
    fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.strip_suffix("/mod.rs") {
            Some(folder) => folder.to_owned(),
            None => self.path.trim_end_matches(".rs").to_owned(),
        };
        let beside = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let lines: Vec<&str> = self.text.lines().collect();
        let declared = lines.iter().enumerate().filter(|(_, line)| line.trim() == "#[cfg(test)]");
        let mut modules = Vec::new();
        for (at, _) in declared {
            let next = |offset: usize| lines.get(at + offset).copied().unwrap_or_default();
            if let Some(file) = next(1).strip_prefix("#[path = \"") {
                modules.push(format!("{beside}/{}", file.trim_end_matches(".rs\"]")));
            } else if let Some(name) = next(1).strip_prefix("mod ").and_then(|name| name.strip_suffix(';')) {
                modules.push(format!("{folder}/{name}"));
            }
        }
        modules
    }
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    while word.starts_with("pub") || matches!(word, "const" | "async" | "unsafe") {
        word = words.next()?;
    }
    (word == "fn").then(|| words.next().map(first_word).map(str::to_owned))?
}

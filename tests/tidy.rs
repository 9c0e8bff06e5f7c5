//! Tidy: the habits of this source tree, held by an ordinary test. It reads files only and needs no server.
//!
//! Each test is one habit, and fails with every place that breaks it. What breaks a habit for a reason stands in a list
//! beside it, with the reason; an entry that is no longer needed fails too, so that lists only get shorter.
//!
//! What is a test and what is not is read from the tree: a file or folder declared by `#[cfg(test)] mod …;`, and what
//! follows `#[cfg(test)] mod … {` at the end of a file.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

mod tidy_support;

use std::collections::BTreeSet;
use std::fs;

use tidy_support::{Source, document, file_names, rooms, root, sources};

/// Lines of a file, its tests aside.
const FILE_LINES_MAX: usize = 600;
/// Lines of a function.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a header. The least is for files that a header of five lines would only inflate.
const HEADER_LINES: std::ops::RangeInclusive<usize> = 1..=60;

/// Files beyond [`FILE_LINES_MAX`], with their length: it may fall, not rise.
const LONG_FILES: &[(&str, usize)] = &[];

/// Functions beyond [`FUNCTION_LINES_MAX`], with their length and the reason.
const LONG_FUNCTIONS: &[(&str, &str, usize, &str)] = &[];

/// Rooms that decide and do no I/O. `wire` is one but for the files of [`DRIVERS`].
const PURE_ROOMS: &[&str] = &["geo", "sql", "merge", "plan", "topology", "wire"];

/// Files of pure rooms that wait for something.
const DRIVERS: &[(&str, &str)] = &[
    ("src/topology/signals.rs", "wakes those who wait for a role: a watch and a notify, no I/O"),
    ("src/wire/stream.rs", "the socket"),
    ("src/wire/encoding/stream.rs", "the socket of a client with another encoding"),
    ("src/wire/startup.rs", "a client's first packets, read with a deadline"),
    ("src/wire/login.rs", "connecting to a server"),
];

/// Words of an I/O library or of a clock, which a pure file does not use.
const IMPURE: &[&str] =
    &["tokio", "std::net", "std::fs", "SystemTime", "Instant::now", "rand::", "tracing::"];

/// The floors, ground first. A room imports rooms that stand before it.
const FLOORS: &[&str] = &[
    "geo",
    "wire",
    "sql",
    "merge",
    "topology",
    "figures",
    "config",
    "catalog",
    "plan",
    "backend",
    "transaction",
    "health",
    "execute",
    "session",
    "admin",
    "server",
    "demo",
    "cli",
];

/// Arrows that point up, one file to one room, with the reason.
const ARROWS_UP: &[(&str, &str, &str)] = &[
    ("src/transaction/recovery.rs", "health", "a control connection is made in one place: health/connect"),
    ("src/transaction/schema.rs", "health", "as recovery"),
];

/// Machines' paths and the numbers of a tracker: a reader elsewhere can do nothing with them. Each in two parts, so that
/// this file has none.
const FOREIGN_WORDS: &[(&str, &str)] =
    &[("/wo", "rk/"), ("/ro", "ot/"), ("issue ", "#"), ("ticket ", "#"), ("session of ", "work")];

/// Fails with everything that was found, one line each.
fn expect_none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_file_says_what_it_owns() {
    let all = sources();
    let wrong = all.iter().filter_map(|source| {
        let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        (!HEADER_LINES.contains(&lines)).then(|| format!("{}: {lines} lines of header", source.path))
    });
    expect_none("headers (//!) that are missing or too long", wrong.collect());
}

#[test]
fn files_stay_below_the_wall() {
    let all = sources();
    let mut wrong = Vec::new();
    for source in &all {
        let lines = source.product().count();
        let allowed = LONG_FILES.iter().find(|(path, _)| *path == source.path).map(|(_, lines)| *lines);
        if lines > allowed.unwrap_or(FILE_LINES_MAX) {
            wrong.push(format!("{}: {lines} lines", source.path));
        }
        if allowed.is_some_and(|allowed| lines < allowed) {
            wrong.push(format!("{}: {lines} lines; LONG_FILES can be lowered", source.path));
        }
    }
    wrong.extend(missing(LONG_FILES.iter().map(|(path, _)| *path), &all));
    expect_none(&format!("files of more than {FILE_LINES_MAX} lines"), wrong);
}

#[test]
fn functions_stay_below_the_wall() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (name, lines) in source.functions() {
            let entry = LONG_FUNCTIONS.iter().find(|(path, long, ..)| *path == source.path && *long == name);
            if lines > entry.map_or(FUNCTION_LINES_MAX, |(_, _, lines, _)| *lines) {
                wrong.push(format!("{}: {name} has {lines} lines", source.path));
            }
            if entry.is_some() && lines > FUNCTION_LINES_MAX {
                seen.insert((source.path.clone(), name));
            }
        }
    }
    for (path, name, ..) in LONG_FUNCTIONS {
        if !seen.contains(&((*path).to_owned(), (*name).to_owned())) {
            wrong.push(format!("{path}: {name} need not stand in LONG_FUNCTIONS"));
        }
    }
    expect_none(&format!("functions of more than {FUNCTION_LINES_MAX} lines"), wrong);
}

#[test]
fn nothing_unfinished_is_left() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", ".unwrap()"];
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (number, line) in source.product().enumerate() {
            let code = line.trim_start();
            let is_comment = code.starts_with("//");
            let left = words.iter().find(|word| code.contains(**word) && !(is_comment && word.contains('(')));
            found.extend(left.map(|word| format!("{}:{}: {word}", source.path, number + 1)));
        }
    }
    expect_none("left in the product", found);
}

#[test]
fn no_file_is_named_after_nothing() {
    let vague = ["util", "utils", "helper", "helpers", "manager", "common", "misc"];
    let named = sources().into_iter().filter(|source| {
        let parts = source.path.trim_end_matches(".rs").split('/');
        parts.into_iter().any(|part| vague.contains(&part))
    });
    expect_none("names that say nothing", named.map(|source| source.path).collect());
}

#[test]
fn pure_rooms_do_no_io() {
    let all = sources();
    let mut found = Vec::new();
    let pure = |source: &&Source| PURE_ROOMS.contains(&source.room()) && !source.is_test;
    for source in all.iter().filter(pure) {
        let used: BTreeSet<&str> = source
            .code()
            .flat_map(|line| IMPURE.iter().copied().filter(move |word| line.contains(word)))
            .collect();
        let excused = DRIVERS.iter().any(|(path, _)| *path == source.path);
        if !excused {
            found.extend(used.iter().map(|word| format!("{}: {word}", source.path)));
        } else if used.is_empty() {
            found.push(format!("{} need not stand in DRIVERS", source.path));
        }
    }
    found.extend(missing(DRIVERS.iter().map(|(path, _)| *path), &all));
    expect_none("I/O, clocks or randomness in a pure room", found);
}

#[test]
fn arrows_point_down() {
    let floor = |room: &str| FLOORS.iter().position(|known| *known == room);
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        let Some(own) = floor(source.room()) else { continue };
        for target in source.imported_rooms() {
            let Some(other) = floor(&target) else {
                found.push(format!("{}: {target} stands on no floor", source.path));
                continue;
            };
            if other <= own {
                continue;
            }
            let up = ARROWS_UP.iter().position(|(path, room, _)| *path == source.path && *room == target);
            match up {
                Some(index) => drop(used.insert(index)),
                None => found.push(format!("{} imports {target}, which is above it", source.path)),
            }
        }
    }
    for (index, (path, room, _)) in ARROWS_UP.iter().enumerate() {
        if !used.contains(&index) {
            found.push(format!("{path} to {room} need not stand in ARROWS_UP"));
        }
    }
    expect_none("imports against the floors", found);
    let listed: BTreeSet<String> = FLOORS.iter().map(|room| (*room).to_owned()).collect();
    assert_eq!(listed, rooms(), "the rooms of src/ and the floors");
}

#[test]
fn every_folder_is_on_the_map() {
    let map = document("ARCHITECTURE.md");
    let mut folders = BTreeSet::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        if let Some((folder, _)) = source.path.trim_start_matches("src/").rsplit_once('/') {
            folders.insert(folder.to_owned());
        }
    }
    let lost = folders.into_iter().filter(|folder| !map.contains(&format!("`{folder}/`")));
    expect_none("folders that ARCHITECTURE.md does not name (as `folder/`)", lost.collect());
    let named = map.split('`').filter(|word| {
        word.ends_with(".rs") && !word.contains('*') && !word.contains(' ') && word.contains('/')
    });
    let gone = named.filter(|path| {
        let path = path.trim_start_matches("src/");
        !root().join("src").join(path).exists() && !root().join(path).exists()
    });
    expect_none("files that ARCHITECTURE.md names and that are gone", gone.map(str::to_owned).collect());
}

#[test]
fn tests_that_hold_invariants_exist() {
    let mut tests = String::new();
    for folder in ["src", "tests"] {
        for file in file_names(folder) {
            tests.push_str(&fs::read_to_string(root().join(file)).unwrap());
        }
    }
    let architecture = document("ARCHITECTURE.md");
    let table = architecture.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();
    let named =
        table.split('`').skip(1).step_by(2).filter(|word| word.contains('_') && !word.contains(['/', '.']));
    let gone = named
        .filter(|name| !tests.contains(&format!("fn {name}(")) && !tests.contains(&format!("mod {name};")));
    expect_none("tests that ARCHITECTURE.md names and that are gone", gone.map(str::to_owned).collect());
}

#[test]
fn documents_begin_with_what_a_reader_wants() {
    let readme = document("README.md");
    let opening: String = readme.lines().take(25).collect::<Vec<_>>().join("\n");
    assert!(
        opening.contains("make demo") && opening.contains("make test"),
        "README.md begins with the two commands"
    );
    assert!(
        readme.contains("docs/limits.md") && readme.contains("config/meridian.toml"),
        "README.md points on"
    );
    assert!(document("CHANGELOG.md").contains(env!("CARGO_PKG_VERSION")), "CHANGELOG.md knows this version");
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(!document(file).is_empty());
    }
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for file in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = document(file);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !target.starts_with("http") && !path.is_empty() && !root().join(path).exists() {
                broken.push(format!("{file}: {target}"));
            }
        }
    }
    expect_none("links to files that do not exist", broken);
}

#[test]
fn the_documented_configuration_loads() {
    for file in ["config/meridian.toml", "config/demo.toml"] {
        if let Err(errors) = meridian::config::Config::load(&root().join(file)) {
            panic!("{file}: {errors}");
        }
    }
}

#[test]
fn the_configuration_in_the_readme_loads() {
    let readme = document("README.md");
    let example = readme.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let example = example.replace("${MERIDIAN_PASSWORD}", "secret").replace("${APP_PASSWORD}", "secret");
    if let Err(errors) = meridian::config::Config::parse(&example, "README.md", root()) {
        panic!("{errors}");
    }
}

#[test]
fn the_tree_speaks_of_itself_only() {
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "config", "docs", "scripts", "."] {
        for file in file_names(folder) {
            let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
            for (number, line) in text.lines().enumerate() {
                let line = line.to_lowercase();
                let word =
                    FOREIGN_WORDS.iter().map(|(a, b)| format!("{a}{b}")).find(|word| line.contains(word));
                found.extend(word.map(|word| format!("{file}:{}: {word}", number + 1)));
            }
        }
    }
    expect_none("words about something outside of the project", found);
}

/// Entries of a list whose file does not exist any more.
fn missing<'a>(paths: impl Iterator<Item = &'a str>, all: &[Source]) -> Vec<String> {
    let gone = paths.filter(|path| !all.iter().any(|source| source.path == *path));
    gone.map(|path| format!("{path} does not exist any more")).collect()
}

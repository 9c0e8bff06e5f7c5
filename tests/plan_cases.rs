//! The plan cases: `tests/cases/plan/*.txt`, statements against a fixed topology and catalog, and what they come to.
//!
//! ```text
//! # why this case is here
//! SELECT * FROM rides WHERE region = $1
//! params: eu-central
//! servers: 14
//! ----
//! way: relay
//! shards=[eu-central] because region = 'eu-central'
//! access: read
//! ```
//!
//! Cases stand between blank lines. `UPDATE=1 cargo test --test plan_cases` rewrites what is below the dashes, for
//! review. Parameters are separated by ` | `: `null`, `text`, or `25:text` with a declared type; `23:\x00000005` is
//! binary. The same test target holds `docs/limits.md` to the list of refusals.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own cases has failed")]

mod plan_support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meridian::plan::Plan;
use meridian::plan::explain::render_refusal;
use meridian::plan::refusal::Refusal;
use meridian::sql::arguments::Arguments;
use meridian::sql::lexer::LexOptions;
use meridian::sql::parse::parse;
use meridian::sql::shape::{ShapeBuffers, shape};

use plan_support::{Sample, TextParameters};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plan")
}

struct Case {
    comment: Vec<String>,
    statement: String,
    params: Option<String>,
    /// The servers' major version, if it is not the newest.
    servers: Option<u32>,
    expected: String,
}

impl Case {
    fn read(paragraph: &str) -> Self {
        let mut case = Self {
            comment: Vec::new(),
            statement: String::new(),
            params: None,
            servers: None,
            expected: String::new(),
        };
        let (head, expected) = paragraph.split_once("\n----").unwrap_or((paragraph, ""));
        case.expected = expected.trim().to_owned();
        for line in head.lines() {
            if let Some(params) = line.strip_prefix("params: ") {
                case.params = Some(params.to_owned());
            } else if let Some(major) = line.strip_prefix("servers: ") {
                case.servers = Some(major.parse().unwrap());
            } else if line.starts_with('#') && case.statement.is_empty() {
                case.comment.push(line.to_owned());
            } else {
                case.statement.push_str(line);
                case.statement.push('\n');
            }
        }
        case.statement = case.statement.trim().to_owned();
        case
    }

    fn write(&self, result: &str) -> String {
        let mut lines = self.comment.clone();
        if self.statement.is_empty() {
            return lines.join("\n");
        }
        lines.push(self.statement.clone());
        lines.extend(self.params.iter().map(|params| format!("params: {params}")));
        lines.extend(self.servers.iter().map(|major| format!("servers: {major}")));
        lines.push("----".to_owned());
        lines.push(result.to_owned());
        lines.join("\n")
    }

    fn run(&self, sample: &Sample) -> String {
        let options = LexOptions::default();
        let text = self.statement.as_bytes();
        let mut buffers = ShapeBuffers::default();
        let shaped = shape(text, options, &mut buffers);
        let hint = match &shaped.hint {
            Ok(hint) => hint.as_ref().and_then(|hint| hint.shard.clone()),
            Err(error) => return format!("hint error: {error}"),
        };
        let literals = shaped.literals.to_vec();
        let parsed = parse(text, options);
        let repeated = parsed.facts.repeated_params.clone();
        let older = self.servers.map(Sample::of_servers);
        let context = &older.as_ref().unwrap_or(sample).context;
        let plan = Plan::make(Arc::new(parsed.facts), context, &|_| Err(scattering()));
        let parameters = TextParameters::read(self.params.as_deref().unwrap_or(""), repeated);
        let arguments = Arguments { text, literals: &literals, parameters: &parameters };
        // Which combine a scatter has is the scatter's own business, and its cases'.
        let marked = scattering();
        let lines = match plan.bind(&arguments, hint.as_deref()) {
            Err(refusal) if refusal.code == marked.code => {
                let needed = plan.needed(&arguments).map(|shards| plan.shards_and_reason(shards, &arguments));
                vec![
                    "way: scatter".to_owned(),
                    needed.unwrap_or_else(|refusal| render_refusal(&refusal)),
                    format!("access: {}", plan.access.name()),
                ]
            }
            _ => plan.explain(&arguments, hint.as_deref()),
        };
        lines.join("\n")
    }
}

/// Stands for a scatter that could be compiled.
fn scattering() -> Refusal {
    Refusal { code: "scatter", sqlstate: "", message: String::new(), detail: None, hint: None }
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
}

/// What is kept for a shape is for texts with other blanks, too.
#[test]
fn facts_that_are_kept_tell_nothing_of_blanks() {
    let mut kept = 0;
    for path in files() {
        let text = std::fs::read_to_string(path).unwrap();
        let cases = text.split("\n\n").map(str::trim).filter(|p| !p.is_empty()).map(Case::read);
        for statement in cases.map(|case| case.statement).filter(|statement| !statement.is_empty()) {
            let facts = |text: &str| parse(text.as_bytes(), LexOptions::default());
            let parsed = facts(&statement);
            if parsed.cacheable {
                kept += 1;
                let moved = facts(&format!("/* in front */  {statement}"));
                assert!(parsed.facts == moved.facts, "the facts tell where something stands: {statement}");
            }
        }
    }
    assert!(kept > 100, "{kept}");
}

#[test]
fn statements_are_planned_as_the_cases_say() {
    let sample = Sample::new();
    let update = std::env::var_os("UPDATE").is_some();
    let files = files();
    let mut failures = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let mut rewritten = Vec::new();
        for paragraph in text.split("\n\n").map(str::trim).filter(|p| !p.is_empty()) {
            let case = Case::read(paragraph);
            if case.statement.is_empty() {
                rewritten.push(case.write(""));
                continue;
            }
            let result = case.run(&sample);
            if result != case.expected {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                failures.push(format!(
                    "{name}: {}\n--- expected\n{}\n--- got\n{result}\n",
                    case.statement, case.expected
                ));
            }
            rewritten.push(case.write(&result));
        }
        if update {
            std::fs::write(path, rewritten.join("\n\n") + "\n").unwrap();
        }
    }
    assert!(update || failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn limits_document_is_the_list() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/limits.md");
    let document = meridian::plan::refusal::document(&[
        ("In planning", meridian::plan::refusal::LIMITS),
        (
            "In combining several shards, where the tables cannot be gathered either",
            meridian::plan::scatter::refusals::LIMITS,
        ),
        ("In running", meridian::execute::refusals::LIMITS),
    ]);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == document, "docs/limits.md is not the lists of refusals: run with UPDATE=1");
}

#[test]
fn satisfying_rows_lie_on_bound_shards() {
    plan_support::properties::satisfying_rows_lie_on_bound_shards();
}

#[test]
fn joined_rows_lie_on_bound_shards() {
    plan_support::properties::joined_rows_lie_on_bound_shards();
}

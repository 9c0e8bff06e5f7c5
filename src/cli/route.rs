//! `meridian route`: where a statement would go, and why, without running it.
//!
//! The plan is made by the same functions as in a session, from the servers' catalogs where they can be asked.

use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;

use super::servers;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::plan::explain::render_refusal;
use crate::plan::{Action, Many, PlanningContext};
use crate::session::planning::make_plan;
use crate::sql::arguments::{Arguments, Parameters};
use crate::sql::lexer::LexOptions;
use crate::sql::parse::parse;
use crate::sql::shape::{ShapeBuffers, shape};
use crate::sql::split::split;

/// Says that the statement is refused; 1 is for what went wrong.
const REFUSED: u8 = 2;

/// What is asked.
pub(super) struct Asked {
    /// The statement, or `-` for standard input.
    pub sql: String,
    pub search_path: Vec<String>,
    /// By number, from 1.
    pub parameters: Vec<(usize, String)>,
    pub catalogs: Source,
}

/// Where the catalogs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Servers,
    /// Nothing is known of tables but what the file says.
    Nowhere,
}

struct Given<'a>(&'a [(usize, String)]);

impl Parameters for Given<'_> {
    fn value(&self, index: usize) -> Option<Option<&[u8]>> {
        self.0.iter().find(|(number, _)| *number == index + 1).map(|(_, value)| Some(value.as_bytes()))
    }

    fn is_binary(&self, _index: usize) -> bool {
        false
    }

    fn declared_type(&self, _index: usize) -> u32 {
        0
    }
}

pub(super) async fn route(config: Config, asked: Asked) -> anyhow::Result<ExitCode> {
    let mut text = asked.sql;
    if text == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text)?;
    }
    let catalog = match asked.catalogs {
        Source::Servers => read_catalogs(&config).await?,
        Source::Nowhere => {
            eprintln!("note: without catalogs nothing is known of columns, types, views and functions");
            Catalog::default()
        }
    };
    let search_path = match asked.search_path.as_slice() {
        [] => vec!["public".to_owned()],
        path => path.to_vec(),
    };
    let planning = PlanningContext {
        catalog: Arc::new(catalog),
        topology: Arc::new(config.topology),
        search_path: search_path.into(),
    };
    let mut pieces = Vec::new();
    split(text.as_bytes(), LexOptions::default(), &mut pieces);
    anyhow::ensure!(!pieces.is_empty(), "there is no statement");
    let mut code = ExitCode::SUCCESS;
    for piece in &pieces {
        let statement = &text.as_bytes()[piece.start as usize..piece.end as usize];
        if pieces.len() > 1 {
            println!("-- {}", String::from_utf8_lossy(statement).trim());
        }
        if let Outcome::Refused = print_plan(statement, &planning, &Given(&asked.parameters))? {
            code = ExitCode::from(REFUSED);
        }
    }
    Ok(code)
}

enum Outcome {
    Planned,
    Refused,
}

fn print_plan(
    statement: &[u8],
    planning: &PlanningContext,
    parameters: &Given<'_>,
) -> anyhow::Result<Outcome> {
    let options = LexOptions::default();
    let mut buffers = ShapeBuffers::default();
    let shaped = shape(statement, options, &mut buffers);
    let hint = shaped.hint.clone().map_err(|error| anyhow::anyhow!("{error}"))?;
    let hint = hint.and_then(|hint| hint.shard);
    let literals = shaped.literals.to_vec();
    let plan = make_plan(parse(statement, options), statement, options, planning);
    let arguments = Arguments { text: statement, literals: &literals, parameters };
    let bound = match plan.bind(&arguments, hint.as_deref()) {
        Ok(bound) => bound,
        Err(refusal) => {
            println!("{}", render_refusal(&refusal));
            return Ok(Outcome::Refused);
        }
    };
    for line in plan.explain(&arguments, hint.as_deref()) {
        println!("{line}");
    }
    match (&plan.action, bound.shards.single()) {
        (Action::Routed { many: Many::Scatter(scatter) }, None) => {
            scatter.describe(&arguments).iter().for_each(|line| println!("{line}"));
            Ok(Outcome::Planned)
        }
        (Action::Refuse(_), _) | (Action::Routed { many: Many::Refuse(_) }, None) => Ok(Outcome::Refused),
        _ => Ok(Outcome::Planned),
    }
}

async fn read_catalogs(config: &Config) -> anyhow::Result<Catalog> {
    servers::facts(config).await;
    let catalogs = servers::catalogs(config).await;
    catalogs.catalog.ok_or_else(|| {
        let reasons = catalogs.failures.join("; ");
        anyhow::anyhow!(
            "the catalogs of the default shard cannot be read ({reasons}); --offline plans without them"
        )
    })
}

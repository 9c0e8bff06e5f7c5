//! `meridian route`: where a statement would go, and why, without running it.
//!
//! The plan is made by the same functions as in a session, from the servers' catalogs where they can be asked.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;

use super::{outline, servers};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::demo::output::line;
use crate::health;
use crate::plan::explain::render_refusal;
use crate::plan::{Action, Many, PlanningContext};
use crate::session::planning::make_plan;
use crate::sql::arguments::{Arguments, Parameters};
use crate::sql::lexer::{LexOptions, Lexer, TokenKind};
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
    /// Nothing is known of tables but what the file says (`outline`).
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
            outline::notes(&config.topology).iter().for_each(|note| eprintln!("note: {note}"));
            outline::catalog(&config.topology)
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
    let options = LexOptions::default();
    let mut pieces = Vec::new();
    split(text.as_bytes(), options, &mut pieces);
    anyhow::ensure!(!pieces.is_empty(), "there is no statement");
    let mut code = ExitCode::SUCCESS;
    for piece in &pieces {
        let statement = &text.as_bytes()[piece.start as usize..piece.end as usize];
        if pieces.len() > 1 {
            line!("-- {}", String::from_utf8_lossy(statement).trim());
        }
        note_missing(statement, &asked.parameters);
        if asked.catalogs == Source::Nowhere
            && let Some(obstacle) = outline::obstacle(&parse(statement, options).facts.kind, &planning)
        {
            anyhow::bail!("{obstacle}; without --offline it can be said");
        }
        if let Outcome::Refused = print_plan(statement, &planning, &Given(&asked.parameters))? {
            code = ExitCode::from(REFUSED);
        }
    }
    Ok(code)
}

/// Says which parameters have no value here: what they would narrow is not narrowed.
fn note_missing(statement: &[u8], given: &[(usize, String)]) {
    for number in missing(statement, given) {
        eprintln!("note: ${number} has no value here, and narrows nothing: give --param {number}=VALUE");
    }
}

/// The numbers of parameters that are named and not given.
fn missing(statement: &[u8], given: &[(usize, String)]) -> BTreeSet<usize> {
    let tokens = Lexer::new(statement, LexOptions::default());
    let params = tokens.filter(|token| token.kind == TokenKind::Param);
    let numbers = params.filter_map(|token| {
        let digits = token.bytes(statement).get(1..)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    });
    numbers.filter(|number| !given.iter().any(|(known, _)| known == number)).collect()
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
            line!("{}", render_refusal(&refusal));
            return Ok(Outcome::Refused);
        }
    };
    for line in plan.explain(&arguments, hint.as_deref()) {
        line!("{line}");
    }
    match (&plan.action, bound.shards.single()) {
        (Action::Routed { many: Many::Scatter(scatter) }, None) => {
            scatter.describe(&arguments).iter().for_each(|line| line!("{line}"));
            Ok(Outcome::Planned)
        }
        (Action::Refuse(_), _) | (Action::Routed { many: Many::Refuse(_) }, None) => Ok(Outcome::Refused),
        _ => Ok(Outcome::Planned),
    }
}

async fn read_catalogs(config: &Config) -> anyhow::Result<Catalog> {
    let asked = servers::facts(config).await;
    let catalogs = servers::catalogs(config).await;
    catalogs.catalog.ok_or_else(|| {
        let nodes = &config.topology.shard(config.topology.default_shard).nodes;
        let silent = asked.iter().filter(|(id, _)| nodes.contains(id)).filter_map(|(id, facts)| {
            let reason = facts.as_ref().err()?;
            Some(format!("{}: {reason}", health::connect::address(config.topology.node(*id))))
        });
        let failures = catalogs.failures.iter().map(ToString::to_string);
        let reasons: Vec<String> = failures.chain(silent).collect();
        anyhow::anyhow!(
            "the catalogs of the default shard cannot be read ({}); --offline plans without them",
            reasons.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_are_not_given_are_found() {
        let given = [(2, "x".to_owned())];
        let sql = b"UPDATE t SET a = $2, b = '$4' WHERE k = $1 AND l = $1 -- $5";
        assert_eq!(missing(sql, &given).into_iter().collect::<Vec<_>>(), [1]);
    }
}

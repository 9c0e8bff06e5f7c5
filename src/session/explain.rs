//! EXPLAIN: the route and why, then PostgreSQL's own plan from each shard that would be asked.
//!
//! ```text
//!   Meridian: way: scatter
//!   Meridian: shards=[us-east, eu-central] because region IN ('us-east', 'eu-central')
//!   Shard us-east (replica 127.0.0.1:5433)
//!     Limit  (cost=…)
//! ```
//!
//! With ANALYZE the statement runs on the shards; the time that each took, as seen from here, stands beside its name.

use std::time::Instant;

use super::perform::Work;
use super::planning::Planned;
use super::snapshot::Tie;
use super::{Failure, Outcome, Session};
use crate::execute::refusals;
use crate::execute::scatter::reduce::expected_rows;
use crate::plan::scatter::scratch::Counts;
use crate::plan::scatter::{Combine, Scratch, ShardText};
use crate::plan::{Access, Action, Many, Plan};
use crate::sql::arguments::{Arguments, NoParameters};
use crate::sql::facts::{Explain, Kind, SessionObject};
use crate::sql::hint::HintRole;
use crate::topology::{NodeRole, ShardId, ShardSet};
use crate::wire::error::SqlError;

/// The column's name is PostgreSQL's.
const COLUMN: &str = "QUERY PLAN";

impl Session {
    pub(super) async fn explain(&mut self, planned: &Planned, explain: &Explain, work: Work<'_>) -> Outcome {
        let Some(inner) = planned.plan.inner.clone() else {
            return self.perform_on(planned, work, self.default_shard()).await;
        };
        let parameterized = explain.inner.param_count > 0;
        let text = work.text();
        let arguments = Arguments { text, literals: &planned.literals, parameters: &NoParameters };
        if self.executes_ours(&explain.inner).is_some() {
            return Err(Failure::Sql(refusals::EXPLAIN_EXECUTE.error(&[])));
        }
        if let Some(reason) = self.pins_explained(explain, &inner) {
            let doing = self.doing_as_explained(planned, explain);
            return self.perform_pinned(&doing, work, reason).await;
        }
        if matches!(inner.action, Action::Pinned(_) | Action::Control) {
            return self.perform_on(planned, work, self.default_shard()).await;
        }
        let hint = planned.hint.as_ref().and_then(|hint| hint.shard.as_deref());
        let bound = inner.bind(&arguments, hint).map_err(SqlError::from)?;
        if parameterized || !explain.text_format {
            let Some(shard) = bound.shards.single() else {
                return Err(Failure::Sql(refusals::EXPLAIN_FORM.error(&[])));
            };
            return self.perform_on(planned, work, shard).await;
        }
        // What code sets on one server holds on the others.
        if explain.analyze && !planned.sets.is_nothing() {
            let Some(shard) = bound.shards.single() else {
                return Err(Failure::Sql(refusals::EXPLAIN_ANALYZE_SETS.error(&[])));
            };
            return self.perform_on(planned, work, shard).await;
        }
        let makes = matches!(explain.inner.kind, Kind::CreateTableAs { .. } | Kind::Session(_));
        let is_one = bound.shards.single().is_some() && !makes;
        if explain.analyze && inner.access == Access::Write && !is_one {
            return Err(Failure::Sql(refusals::EXPLAIN_ANALYZE_WRITE.error(&[])));
        }
        let mut lines: Vec<String> = inner.explain(&arguments, hint);
        if let (Action::Routed { many: Many::Scatter(scatter) }, None) =
            (&inner.action, bound.shards.single())
        {
            lines.extend(scatter.describe(&arguments));
        }
        for line in &mut lines {
            line.insert_str(0, "Meridian: ");
        }
        if let Some((sql, shards)) = shard_statement(&inner, &arguments, bound.shards, explain)? {
            let hinted = match Self::hinted_role(planned) {
                Some(HintRole::Primary) => Access::ReadPrimary,
                Some(HintRole::Replica) | None => Access::Read,
            };
            for shard in shards.iter() {
                let access = if explain.analyze { inner.access.max(hinted) } else { hinted };
                let suspect = explain.analyze && planned.is_suspect(self.pin.is_some());
                let question = Question { sql: &sql, access, analyze: explain.analyze, suspect };
                self.explain_on(shard, &question, &mut lines).await?;
            }
        }
        if let (Action::Routed { many: Many::Scatter(scatter) }, None) =
            (&inner.action, bound.shards.single())
            && let Combine::Scratch(scratch) = &scatter.combine
        {
            self.explain_gathering(scratch, &arguments, bound.shards, &mut lines).await?;
        }
        self.answer_text(COLUMN, &lines, "EXPLAIN", work.describes());
        Ok(())
    }

    /// What ANALYZE executes does what was prepared.
    fn doing_as_explained(&mut self, planned: &Planned, explain: &Explain) -> Planned {
        match (&explain.inner.kind, explain.analyze) {
            (Kind::Session(SessionObject::Execute { name }), true) => self.doing_as_prepared(planned, name),
            _ => planned.clone(),
        }
    }

    /// Why what is explained runs on the server that the session is pinned to, or is to be.
    fn pins_explained(&self, explain: &Explain, inner: &Plan) -> Option<&'static str> {
        match &inner.action {
            Action::Pinned(reason) if explain.analyze => Some(reason),
            Action::Control if matches!(inner.facts.kind, Kind::Session(SessionObject::Execute { .. })) => {
                self.pin
            }
            _ => None,
        }
    }

    /// The shards' plans of what is gathered, and in which order it is.
    async fn explain_gathering(
        &mut self,
        scratch: &Scratch,
        arguments: &Arguments<'_>,
        shards: ShardSet,
        lines: &mut Vec<String>,
    ) -> Outcome {
        let large = self.live.scratch.reduce_from_rows;
        let mut expected = Counts::default();
        for table in scratch.tables(false) {
            let select = table.ask(arguments, true, None).map_err(SqlError::from)?;
            let sql = format!("EXPLAIN {}", String::from_utf8_lossy(&select));
            let question = Question { sql: &sql, access: Access::Read, analyze: false, suspect: false };
            let mut rows = 0;
            for shard in table.sources(shards).iter() {
                let mut plan = Vec::new();
                self.explain_on(shard, &question, &mut plan).await?;
                rows += plan.iter().filter_map(|line| expected_rows(line.strip_prefix("  ")?)).sum::<u64>();
                lines.extend(plan);
            }
            expected.note(table, rows);
        }
        let mut before = Counts::default();
        for table in scratch.in_order(false, &expected) {
            let reduced = match scratch.reduced_by(table, &expected, &before, large) {
                Some(link) => {
                    let by = &scratch.table(link.by).name;
                    format!(", if that is much less: those with a key of {by} ({})", link.describe())
                }
                None => String::new(),
            };
            let rows = expected.of(table).unwrap_or(0);
            lines.push(format!("Meridian: gather {}: {rows} rows expected{reduced}", table.name));
            before.note(table, rows);
        }
        Ok(())
    }

    /// Asks one shard, and appends its plan.
    async fn explain_on(
        &mut self,
        shard: ShardId,
        question: &Question<'_>,
        lines: &mut Vec<String>,
    ) -> Outcome {
        let Question { sql, access, analyze, suspect } = *question;
        self.see(ShardSet::one(shard), Tie::Loose).await?;
        let index = self.join(shard, access, &[]).await?;
        let lane = &mut self.lanes[index];
        let writes = analyze && access == Access::Write;
        lane.note_write(writes && lane.in_block);
        lane.ran_code |= analyze;
        lane.connection.suspect |= writes || suspect;
        self.quiet_lane(index).await?;
        let began = Instant::now();
        let captured = self.capture_on(index, sql).await?;
        let took = began.elapsed();
        if let Some(error) = captured.error {
            return Err(Failure::Sql(error));
        }
        if writes && !self.lanes[index].in_block {
            self.ask_position_now(index).await;
        }
        let topology = &self.context.planning.topology;
        let node = self.lanes[index].connection.node;
        let role = match topology.node(node).state.role() {
            NodeRole::Replica => "replica",
            NodeRole::Primary | NodeRole::Unknown | NodeRole::Down => "primary",
        };
        let address = &self.lanes[index].connection.address;
        let name = &topology.shard(shard).name;
        let time = if analyze { format!(", {:.3} ms", took.as_secs_f64() * 1e3) } else { String::new() };
        lines.push(format!("Shard {name} ({role} {address}{time})"));
        let rows = captured.rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
        lines.extend(rows.map(|row| format!("  {row}")));
        Ok(())
    }
}

/// EXPLAIN for one shard.
struct Question<'a> {
    sql: &'a str,
    access: Access,
    analyze: bool,
    /// What runs may leave something behind.
    suspect: bool,
}

/// What each shard is asked: the client's text, or EXPLAIN with the scatter's text. None where no server plans it.
fn shard_statement(
    inner: &Plan,
    arguments: &Arguments<'_>,
    shards: ShardSet,
    explain: &Explain,
) -> Result<Option<(String, ShardSet)>, Failure> {
    let whole = String::from_utf8_lossy(arguments.text).into_owned();
    match &inner.action {
        Action::Routed { .. } | Action::Anywhere | Action::Fixed(_) if shards.single().is_some() => {
            Ok(Some((whole, shards)))
        }
        // No server has the rows yet that the plan would be of.
        Action::Routed { many: Many::Scatter(scatter) } if scatter.is_gathered() => match explain.analyze {
            true => Err(Failure::Sql(refusals::EXPLAIN_GATHERED.error(&[]))),
            false => Ok(None),
        },
        Action::Routed { many: Many::Scatter(scatter) } => {
            let prefix =
                String::from_utf8_lossy(&arguments.text[..explain.inner_start as usize]).into_owned();
            let sql = match &scatter.shard {
                ShardText::Original => arguments.text[explain.inner_start as usize..].to_vec(),
                ShardText::Rewritten(text) => text.fill(arguments).map_err(SqlError::from)?,
            };
            let mut sql = String::from_utf8_lossy(&sql).into_owned();
            if let Some(parameter) = scatter.pushed_limit {
                // EXPLAIN takes no parameters: the bound is written out.
                let pushed = scatter.limits.bind(arguments).map_err(SqlError::from)?.pushed;
                let written = pushed.map_or("NULL".to_owned(), |rows| rows.to_string());
                // The clause is the last of the text; a literal that looks like it stands before.
                let clause = format!("LIMIT ${}::bigint", parameter + 1);
                if let Some(at) = sql.rfind(&clause) {
                    sql.replace_range(at..at + clause.len(), &format!("LIMIT {written}"));
                }
            }
            Ok(Some((format!("{prefix}{sql}"), shards)))
        }
        Action::Everywhere => Ok(Some((whole, shards))),
        Action::Routed { many: Many::Refuse(refusal) } => Err(SqlError::from(refusal.clone()).into()),
        Action::Refuse(refusal) => Err(SqlError::from(refusal.clone()).into()),
        Action::Anywhere
        | Action::Fixed(_)
        | Action::EachShard
        | Action::CopyIn(_)
        | Action::CopyOut { .. }
        | Action::Routed { many: Many::Gather(_) }
        | Action::Hold { .. }
        | Action::Pinned(_)
        | Action::Control => Ok(None),
    }
}

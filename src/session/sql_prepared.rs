//! SQL's PREPARE, EXECUTE and DEALLOCATE.
//!
//! Called by `perform` and `described`. A statement on the default shard's tables alone is the server's to keep, to which the
//! session is pinned by its PREPARE. Every other is kept here, under the names that the protocol's statements have, too:
//!
//! ```text
//!   PREPARE q(…) AS query ─▶ a server judges it, and says its parameters' types ─▶ statements: q
//!   EXECUTE q(…)          ─▶ its arguments as a Bind of q                       ─▶ performed, as if it had come so
//!   DEALLOCATE q
//! ```
//!
//! Invariants:
//! 1. A name stands for one statement, whoever keeps it.
//! 2. An argument is converted as PostgreSQL assigns it to the parameter's type; where that is not known for certain, it is
//!    refused.
//!
//! Not here: what pins (`perform`), statements as servers know them (`statements`, `reuse`).

use std::ops::Range;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::interner::Prepared;
use super::perform::{Execution, Pieces, Work};
use super::planning::Planned;
use super::{Failure, Outcome, Session};
use crate::backend::settings::{quote_identifier, quote_literal};
use crate::execute::refusals;
use crate::plan::{Access, Action, Effect, oid, refusal};
use crate::sql::arguments::{Argument, Arguments, NoParameters};
use crate::sql::facts::{Facts, Kind, SessionObject, Value};
use crate::sql::prepared::{Given, arguments_of, executed_within, statement_of};
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::frontend::{Bind, Parse};

const NUMBERS: [u32; 6] = [oid::INT2, oid::INT4, oid::INT8, oid::FLOAT4, oid::FLOAT8, oid::NUMERIC];
const TIMES: [u32; 3] = [oid::DATE, oid::TIMESTAMP, oid::TIMESTAMPTZ];
const STRINGS: [u32; 3] = [oid::TEXT, oid::VARCHAR, oid::BPCHAR];

/// Names of a portal and of its statement.
const UNNAMED: (&[u8], &[u8]) = (b"", b"");

/// The value of a parameter as text; None: NULL.
type Text = Option<String>;

/// What an EXECUTE runs, and its plan.
type Executable = (Rc<Prepared>, Rc<Planned>);

impl Session {
    /// A statement that no server could keep for the session.
    pub(super) async fn keep_prepared(&mut self, name: &str, work: Work<'_>) -> Outcome {
        self.check_unprepared(name)?;
        self.check_statements()?;
        let text = work.text();
        let start = statement_of(text, self.lex_options());
        let inner = &text[start.ok_or_else(|| Self::internal("a PREPARE without a statement"))?..];
        let planned = self.plan_text(inner)?;
        match &planned.plan.action {
            Action::Refuse(refusal) => return Err(Failure::Sql(refusal.clone().into())),
            _ if can_be_executed(&planned) => {}
            _ => return Err(Failure::Sql(refusal::SQL_PREPARE.error(&[]))),
        }
        let types = self.judge_prepare(name, text).await?;
        // What is wrong with it later is at the place where the client has written it.
        let before = String::from_utf8_lossy(&text[..text.len() - inner.len()]).chars().count();
        let placed = [" ".repeat(before).as_bytes(), inner].concat();
        let mut tail = BytesMut::new();
        encode::client::parse(&mut tail, b"", &placed, &types);
        let tail = tail.split_off(HEADER_BYTES + 1);
        let parse = Parse::with_tail(name.as_bytes(), &tail).map_err(SqlError::from)?;
        let prepared = self.prepare(&parse, false);
        if let Some(answer) = self.answer_of(&planned, prepared.text()) {
            self.statements.note_answer(name.as_bytes(), answer);
        }
        self.statements.insert(name.as_bytes(), prepared, self.reading(false));
        self.describe_no_rows(work);
        self.complete("PREPARE");
        Ok(())
    }

    /// Neither the protocol nor SQL has prepared a statement of this name.
    pub(super) fn check_unprepared(&self, name: &str) -> Result<(), SqlError> {
        let ours = self.statements.get(name.as_bytes()).is_some();
        if !ours && self.statements.prepare_of(name).is_none() {
            return Ok(());
        }
        let message = format!("prepared statement \"{name}\" already exists");
        Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message))
    }

    /// The client may have one more.
    pub(super) fn check_statements(&self) -> Result<(), SqlError> {
        let bound = self.live.session.client_statements_max;
        if self.statements.len() < bound {
            return Ok(());
        }
        let message = format!("this client has prepared {bound} statements and may not prepare more");
        let error = SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message);
        Err(error.hint("Close statements that are no longer needed."))
    }

    /// Has a server read a PREPARE. Returns the types of its parameters, by the default shard's numbers.
    async fn judge_prepare(&mut self, name: &str, text: &[u8]) -> Result<Vec<u32>, Failure> {
        let text = std::str::from_utf8(text).map_err(|_| not_utf8())?;
        let index = self.join_default(Access::Read).await?;
        self.quiet_lane(index).await?;
        self.rows_on(index, text).await?;
        let types = format!(
            "SELECT pg_catalog.array_to_string(parameter_types::pg_catalog.oid[], ',') \
             FROM pg_catalog.pg_prepared_statements WHERE name = {}",
            quote_literal(name)
        );
        let told = self.rows_on(index, &types).await?;
        self.rows_on(index, &format!("DEALLOCATE {}", quote_identifier(name))).await?;
        let told = told.into_iter().flatten().next().flatten().unwrap_or_default();
        let numbers = self.lanes[index].numbers.clone();
        let types = told.split(',').filter(|number| !number.is_empty()).map(|number| {
            let number = number.parse().ok()?;
            numbers.as_ref().map_or(Some(number), |numbers| numbers.type_to_default(number))
        });
        let types: Option<Vec<u32>> = types.collect();
        types.ok_or_else(|| Self::internal("a parameter's type is not the default shard's").into())
    }

    pub(super) async fn execute_prepared(
        &mut self,
        planned: &Planned,
        name: &str,
        work: Work<'_>,
    ) -> Outcome {
        if self.statements.get(name.as_bytes()).is_none() {
            self.check_execute(name)?;
            let planned = self.doing_as_prepared(planned, name);
            return self.perform_on(&planned, work, self.default_shard()).await;
        }
        let Some(given) = arguments_of(work.text(), self.lex_options()) else {
            // A server says what is wrong with it.
            return self.perform_on(planned, work, self.home_shard()).await;
        };
        let (inner, execution) = self.executed(planned, name, &given, work).await?;
        self.perform(&inner, Work::Extended { execution: &execution }).await
    }

    /// The plan of an EXECUTE, or of an EXPLAIN ANALYZE of one, that does what the statement does which the pinned server has.
    pub(super) fn doing_as_prepared(&mut self, planned: &Planned, name: &str) -> Planned {
        let Some(text) = self.statements.prepare_of(name).map(Box::<[u8]>::from) else {
            return planned.clone();
        };
        let start = statement_of(&text, self.lex_options());
        let inner = start.and_then(|start| self.plan_text(&text[start..]).ok());
        let (access, effect) =
            inner.map_or((Access::Write, Effect::Writes), |inner| (inner.plan.access, inner.plan.effect));
        Planned { plan: Rc::new(planned.plan.doing(access, effect)), ..planned.clone() }
    }

    /// A statement that is kept here and can be executed, with its plan.
    fn executable(&mut self, name: &str) -> Result<Option<Executable>, Failure> {
        let Some(prepared) = self.prepared(name.as_bytes(), false)? else { return Ok(None) };
        let planned = self.plan_prepared(&prepared)?;
        self.check_answer(name.as_bytes(), &planned, &prepared)?;
        Ok(can_be_executed(&planned).then_some((prepared, planned)))
    }

    /// The statement of an EXECUTE with its arguments, as if the client had bound it. `planned`: the EXECUTE's.
    pub(super) async fn executed(
        &mut self,
        planned: &Planned,
        name: &str,
        given: &[Given],
        work: Work<'_>,
    ) -> Result<(Rc<Planned>, Execution), Failure> {
        let refused = || Failure::Sql(refusals::EXECUTE_PARSED.error(&[name]));
        let (prepared, inner) = self.executable(name)?.ok_or_else(refused)?;
        let types = prepared.declared_all(inner.plan.facts.param_count).ok_or_else(refused)?;
        let given = taken(given, types);
        if given.len() != types.len() {
            return Err(Failure::Sql(wrong_count(name, types.len(), given.len())));
        }
        let mut values: Vec<Option<Text>> = values_of(work.text(), planned, given, types).collect();
        if values.contains(&None) {
            self.compute(&mut values, given, work.text(), types).await?;
        }
        let values: Vec<Text> = values.into_iter().flatten().collect();
        let execution = execution_of(&prepared, &inner, &values, work)?;
        Ok((inner, execution))
    }

    /// What a Bind of an EXECUTE of our statement binds, with the body of that Bind; None where it is another statement, or
    /// arguments must be computed.
    pub(super) fn bound_execute(
        &mut self,
        (prepared, planned): (&Prepared, &Planned),
        bind: &Bind<'_>,
    ) -> Result<Option<(Rc<Prepared>, Bytes)>, SqlError> {
        let Some(name) = self.executes_ours(&planned.plan.facts).map(str::to_owned) else { return Ok(None) };
        bind.check_count(0)?;
        let Ok(Some((inner, inner_planned))) = self.executable(&name) else { return Ok(None) };
        let values = self.values_at_hand((prepared, planned), (&inner, &inner_planned));
        let formats: Vec<i16> = bind.result_formats.iter().collect();
        let body = values.map(|values| bind_body((bind.portal, name.as_bytes()), &values, &formats));
        Ok(body.map(|body| (inner, body)))
    }

    /// The arguments of an EXECUTE of this `inner` statement, where no server has to compute them.
    fn values_at_hand(
        &self,
        (prepared, planned): (&Prepared, &Planned),
        (inner, inner_planned): (&Prepared, &Planned),
    ) -> Option<Vec<Text>> {
        let types = inner.declared_all(inner_planned.plan.facts.param_count)?;
        let given = arguments_of(prepared.text(), self.lex_options())?;
        let given = taken(&given, types);
        if given.len() != types.len() {
            return None;
        }
        values_of(prepared.text(), planned, given, types).collect()
    }

    /// Has a server compute the values that are still missing.
    async fn compute(
        &mut self,
        values: &mut [Option<Text>],
        given: &[Given],
        text: &[u8],
        types: &[u32],
    ) -> Outcome {
        let refused = || Failure::Sql(refusals::EXECUTE_ARGUMENT.error(&[]));
        if !self.prints_exactly() {
            return Err(refused());
        }
        let missing: Vec<usize> = (0..values.len()).filter(|index| values[*index].is_none()).collect();
        let text = std::str::from_utf8(text).map_err(|_| not_utf8())?;
        let missing_ranges: Vec<Range<usize>> =
            missing.iter().map(|index| given[*index].range.clone()).collect();
        // What may stand there is what a SELECT may compute without a table.
        let plain = Computation::of(text, &missing_ranges, |term, _| vec![("(", term, ")".to_owned())]);
        let planned = self.plan_text(plain.sql.as_bytes())?;
        let access = planned.plan.access;
        match &planned.plan.action {
            Action::Refuse(refusal) => return Err(Failure::Sql(refusal.clone().into())),
            Action::Anywhere | Action::Fixed(_)
                if access != Access::Write
                    && planned.sets.is_nothing()
                    && planned.plan.facts.block.children.is_empty() => {}
            _ => return Err(refused()),
        }
        let index = self.join_default(access).await?;
        self.quiet_lane(index).await?;
        let numbers = self.lanes[index].numbers.clone();
        let there = |kind: u32| numbers.as_ref().map_or(Some(kind), |numbers| numbers.type_to_shard(kind));
        let kinds: Option<Vec<u32>> = missing.iter().map(|index| there(types[*index])).collect();
        let kinds = kinds.ok_or_else(refused)?;
        let listed = kinds.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let named = self.rows_on(index, &TYPE_NAMES.replace("{}", &listed)).await?;
        let read = |row: Vec<Text>| match <[Text; 2]>::try_from(row).ok()? {
            [Some(name), Some(base)] => Some((name, base.parse::<u32>().ok()?)),
            _ => None,
        };
        let named: Option<Vec<(String, u32)>> = named.into_iter().map(read).collect();
        let named = named.filter(|named| named.len() == kinds.len()).ok_or_else(refused)?;
        let computation = Computation::of(text, &missing_ranges, |term, place| {
            let name = &named[place].0;
            vec![
                ("CAST((", term, format!(") AS {name})")),
                ("pg_catalog.pg_typeof(", term, ")::pg_catalog.oid".to_owned()),
            ]
        });
        let computed = self.rows_on(index, &computation.sql).await.map_err(|failure| match failure {
            Failure::Sql(error) => Failure::Sql(computation.place(error)),
            other => other,
        })?;
        let [row] = computed.as_slice() else { return Err(refused()) };
        for ((place, pair), (_, kind)) in missing.into_iter().zip(row.chunks(2)).zip(named) {
            let [value, Some(from)] = pair else { return Err(refused()) };
            if !from.parse().is_ok_and(|from| is_assigned(from, kind)) {
                return Err(refused());
            }
            values[place] = Some(value.clone());
        }
        Ok(())
    }

    /// Whether a value's text says all of it, under the settings in force.
    fn prints_exactly(&self) -> bool {
        let digits = self
            .default_of("extra_float_digits")
            .is_none_or(|digits| digits.parse::<i32>().is_ok_and(|digits| digits > 0));
        digits && self.default_of("datestyle").is_none_or(|style| style.starts_with("iso"))
    }

    /// DEALLOCATE knows the protocol's prepared statements and those that are kept, which are ours, and a pinned server's.
    pub(super) async fn deallocate(
        &mut self,
        planned: &Planned,
        name: Option<&str>,
        work: Work<'_>,
    ) -> Outcome {
        let ours = name.is_some_and(|name| self.statements.get(name.as_bytes()).is_some());
        match name {
            Some(name) if ours => self.statements.remove(name.as_bytes()),
            None => {
                self.statements.clear_named();
                if self.pin.is_some() {
                    let index = self.join_pinned().await?;
                    self.lanes[index].connection.statements.clear();
                    self.lanes[index].connection.unnamed = None;
                    return self.perform_on(planned, work, self.default_shard()).await;
                }
            }
            Some(name) => {
                self.statements.note_prepare(name, None);
                return self.perform_on(planned, work, self.default_shard()).await;
            }
        }
        self.describe_no_rows(work);
        self.complete(if name.is_none() { "DEALLOCATE ALL" } else { "DEALLOCATE" });
        Ok(())
    }

    /// Describe of an EXECUTE: it has no parameters, and the columns of what it executes.
    pub(super) async fn describe_execute(&mut self, prepared: &Rc<Prepared>) -> Outcome {
        let planned = self.plan_prepared(prepared)?;
        let execution = Execution {
            prepared: Rc::clone(prepared),
            bind: bind_body(UNNAMED, &[], &[]),
            describe: true,
            rows_max: 0,
            portal: 0,
            pieces: Pieces::None,
            parsed_with: true,
        };
        encode::server::parameter_description(&mut self.client.outbox, &[]);
        self.describe_portal(&planned, &execution).await
    }

    /// A table is not made from an EXECUTE of a statement of ours, which the server that has the table does not know.
    pub(super) fn check_made_from(&self, facts: &Facts, text: &[u8]) -> Result<(), SqlError> {
        if !matches!(facts.kind, Kind::CreateTableAs { .. }) {
            return Ok(());
        }
        let executed = executed_within(text, self.lex_options());
        match executed.filter(|name| self.statements.get(name.as_bytes()).is_some()) {
            Some(name) => Err(refusals::MADE_FROM_EXECUTE.error(&[&name])),
            None => Ok(()),
        }
    }

    /// Servers list to the session what they have of it: all that it has, and nothing else.
    pub(super) fn check_lists(&self, planned: &Planned) -> Result<(), SqlError> {
        let lists = planned.plan.lists;
        if !lists.any() {
            return Ok(());
        }
        let is_alone = matches!(planned.plan.action, Action::Anywhere | Action::Fixed(_));
        if lists.statements && (!is_alone || self.statements.has_named()) {
            return Err(refusals::LISTED.error(&["pg_prepared_statements"]));
        }
        let shard = self.default_shard();
        let elsewhere = self.cursors.values().any(|cursor| *cursor != shard)
            || self.portals.has_named_elsewhere(shard)
            || self.held.has_cursors();
        match lists.cursors && (elsewhere || !is_alone) {
            true => Err(refusals::LISTED.error(&["pg_cursors"])),
            false => Ok(()),
        }
    }

    /// The name that an EXECUTE of a statement of ours gives.
    pub(super) fn executes_ours<'f>(&self, facts: &'f Facts) -> Option<&'f str> {
        match &facts.kind {
            Kind::Session(SessionObject::Execute { name }) => {
                self.statements.get(name.as_bytes()).map(|_| name.as_str())
            }
            _ => None,
        }
    }
}

/// What the arguments of an EXECUTE assign to parameters of these types, each None where only a server can tell.
fn values_of<'a>(
    text: &'a [u8],
    planned: &'a Planned,
    given: &'a [Given],
    types: &'a [u32],
) -> impl Iterator<Item = Option<Text>> + 'a {
    let arguments = Arguments { text, literals: &planned.literals, parameters: &NoParameters };
    given.iter().zip(types).map(move |(given, kind)| converted(&arguments, given.value.as_ref()?, *kind))
}

/// A SELECT of terms out of another text, and where in that they stand.
struct Computation {
    sql: String,
    /// In characters: where a term begins in the SELECT, and in the other text.
    places: Vec<(u32, u32)>,
}

impl Computation {
    /// `around` says what a term is put into, by its text and its number.
    fn of<'t>(
        text: &'t str,
        terms: &[Range<usize>],
        around: impl Fn(&'t str, usize) -> Vec<(&'static str, &'t str, String)>,
    ) -> Self {
        let characters = |text: &str| text.chars().count() as u32;
        let (mut sql, mut places) = ("SELECT ".to_owned(), Vec::new());
        for (number, range) in terms.iter().enumerate() {
            for (before, term, behind) in around(&text[range.clone()], number) {
                if !places.is_empty() {
                    sql.push_str(", ");
                }
                sql.push_str(before);
                places.push((characters(&sql), characters(&text[..range.start])));
                sql.push_str(term);
                sql.push_str(&behind);
            }
        }
        Self { sql, places }
    }

    /// An error's place in the other text.
    fn place(&self, error: SqlError) -> SqlError {
        let position = error.position.and_then(|position| {
            let (there, here) = self.places.iter().rev().find(|(there, _)| *there < position)?;
            Some(here + (position - there))
        });
        SqlError { position, ..error }
    }
}

/// Names of types by their numbers, in their order, and the types that values of theirs are of: of a domain, the one below it.
const TYPE_NAMES: &str = "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname), \
     CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END \
     FROM pg_catalog.unnest(ARRAY[{}]::pg_catalog.oid[]) WITH ORDINALITY AS given(number, place) \
     JOIN pg_catalog.pg_type t ON t.oid = given.number JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
     ORDER BY given.place";

/// Rows that are read or changed, so that its answer is one of those.
fn can_be_executed(planned: &Planned) -> bool {
    let kind = &planned.plan.facts.kind;
    !planned.broken
        && matches!(
            kind,
            Kind::Select { into: false, .. } | Kind::Insert(_) | Kind::Update(_) | Kind::Delete(_)
        )
}

/// The text of a literal for a parameter of a type, where PostgreSQL's conversion is that of the type's input function.
fn converted(arguments: &Arguments<'_>, value: &Value, kind: u32) -> Option<Text> {
    match arguments.resolve(value) {
        Argument::Null => Some(None),
        Argument::Bool(value) if kind == oid::BOOL => Some(Some(value.to_string())),
        Argument::Text { text, is_number: false } => Some(Some(text.into_owned())),
        Argument::Text { text, is_number: true } => {
            let fits = match kind {
                oid::INT2 => text.parse::<i16>().is_ok(),
                oid::INT4 => text.parse::<i32>().is_ok(),
                oid::INT8 => text.parse::<i64>().is_ok(),
                kind => NUMBERS.contains(&kind),
            };
            fits.then(|| Some(text.into_owned()))
        }
        _ => None,
    }
}

/// Whether PostgreSQL assigns values of the type `from` to parameters of the type `to`, with what a cast makes of them.
fn is_assigned(from: u32, to: u32) -> bool {
    let both = |family: &[u32]| family.contains(&from) && family.contains(&to);
    from == to || from == oid::UNKNOWN || both(&NUMBERS) || both(&TIMES) || STRINGS.contains(&to)
}

/// PostgreSQL does not look at the arguments of a statement that has no parameters.
fn taken<'a>(given: &'a [Given], types: &[u32]) -> &'a [Given] {
    if types.is_empty() { &[] } else { given }
}

fn wrong_count(name: &str, wanted: usize, given: usize) -> SqlError {
    SqlError::new(
        SqlState::SYNTAX_ERROR,
        format!("wrong number of parameters for prepared statement \"{name}\""),
    )
    .detail(format!("Expected {wanted} parameters but got {given}."))
}

fn not_utf8() -> SqlError {
    SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"")
}

/// Formats of the results are those that the client has bound; all text in the simple protocol.
fn execution_of(
    prepared: &Rc<Prepared>,
    inner: &Planned,
    values: &[Text],
    work: Work<'_>,
) -> Result<Execution, SqlError> {
    let execution = Execution {
        prepared: Rc::clone(prepared),
        bind: Bytes::new(),
        describe: inner.plan.facts.kind.returns_rows(),
        rows_max: 0,
        portal: 0,
        pieces: Pieces::None,
        parsed_with: true,
    };
    Ok(match work {
        Work::Simple { .. } => Execution { bind: bind_body(UNNAMED, values, &[]), ..execution },
        Work::Extended { execution: outer } => {
            let formats: Vec<i16> = Bind::decode(&outer.bind)?.result_formats.iter().collect();
            let Execution { describe, rows_max, portal, pieces, .. } = *outer;
            let bind = bind_body(UNNAMED, values, &formats);
            Execution { bind, describe, rows_max, portal, pieces, ..execution }
        }
    })
}

/// The body of a Bind of parameters in text; the portal's name stands before the statement's.
fn bind_body((portal, statement): (&[u8], &[u8]), values: &[Text], result_formats: &[i16]) -> Bytes {
    let parameters: Vec<Option<&[u8]>> =
        values.iter().map(|value| value.as_deref().map(str::as_bytes)).collect();
    let mut frame = BytesMut::new();
    let bind = encode::client::Bind {
        portal,
        statement,
        parameter_formats: &[],
        parameters: &parameters,
        result_formats,
    };
    encode::client::bind(&mut frame, &bind);
    frame.split_off(HEADER_BYTES).freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assignments_of_postgresql_are_taken() {
        for (from, to) in
            [(oid::INT4, oid::INT8), (oid::NUMERIC, oid::INT4), (oid::DATE, oid::TIMESTAMP), (16, 25)]
        {
            assert!(is_assigned(from, to), "{from} {to}");
        }
        for (from, to) in
            [(oid::INT4, oid::BOOL), (oid::TEXT, oid::INT4), (oid::INT4, oid::DATE), (3802, oid::INT4)]
        {
            assert!(!is_assigned(from, to), "{from} {to}");
        }
    }
}

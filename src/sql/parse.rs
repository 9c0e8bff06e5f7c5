//! Text to facts: recognises commands, parses the rest with sqlparser, once per shape.
//!
//! `session` calls [`parse`] when a shape is not in its cache; the scatter compiler calls [`parse_tree`] on
//! [`Parsed::text`] for a tree of its own to change and print.
//!
//! Invariants:
//! 1. Trees are parsed, read and dropped on a stack whose size follows from the number of tokens, and are never cloned:
//!    sqlparser's recursion would otherwise overflow the stack and end the process.
//! 2. Text that is not parsed, or parsed to a tree with a node that is not followed, becomes [`Kind::Unparsed`] with every
//!    identifier of the text.
//! 3. The facts of a [`Parsed`] with `cacheable` hold for every text of the same shape.
//!
//! Not here: reading a tree (`extract`), printing (`render`).

use std::mem::ManuallyDrop;
use std::ops::{ControlFlow, Deref, DerefMut, Range};

use sqlparser::ast::{Expr, Ident, ObjectName as Name, Statement, visit_expressions};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserOptions};
use sqlparser::tokenizer::Token;

use super::bare::bare_lists;
use super::commands::{self, Command, Recognised};
use super::extract;
use super::facts::{Block, Cell, Facts, Insert, InsertSource, Kind, Makes, SessionObject, Value};
use super::lexer::{LexOptions, Lexer, TokenKind};
use super::name::ObjectName;
use super::parser_text::{self, Mode, ParserText};
use super::rows;
use super::shape::{NESTING_MAX, TEXT_BYTES_MAX, TOKENS_MAX};
use super::tokens::{Tokens, truncate};

/// sqlparser's own measure of depth: several units per nested parenthesis.
const RECURSION_MAX: usize = 1_000;
/// Stack per token of the text, for the deepest tree that the tokens could make.
const STACK_PER_TOKEN: usize = 8 << 10;
const STACK_BASE: usize = 1 << 20;

#[derive(Debug)]
pub struct Parsed {
    pub facts: Facts,
    /// The placeholder text that was parsed; None for commands, shadows and INSERTs whose rows were read by the lexer.
    pub text: Option<String>,
    /// The facts hold for every text of this shape. False where they hold byte offsets or values of literals.
    pub cacheable: bool,
}

/// Parses one statement (see `split`).
pub fn parse(text: &[u8], options: LexOptions) -> Parsed {
    let Some(tokens) = Tokens::new(text, options) else {
        return Parsed { facts: unparsed_scan(text, options), text: None, cacheable: false };
    };
    let mut parsed = statement(&tokens, 0..tokens.len(), 0);
    parsed.facts.param_count = tokens.param_count;
    parsed.facts.repeated_params = inferred_elsewhere(&parsed.facts.kind, &tokens.repeated_params);
    parsed.facts.read_since = tokens.read_since();
    parsed
}

/// Parameters whose type another place may decide. Not those that are only whole cells of an INSERT's rows: each gets the
/// type of its column, and PostgreSQL refuses the statement where the columns' types differ.
fn inferred_elsewhere(kind: &Kind, repeated: &[(u32, usize)]) -> Vec<u32> {
    let rows = match kind {
        Kind::Insert(Insert { source: InsertSource::Rows(rows), .. }) => rows.as_slice(),
        _ => &[],
    };
    let cells = |param: u32| {
        let is_cell = |cell: &&Cell| **cell == Cell::Value(Value::Param(param));
        rows.iter().flatten().filter(is_cell).count()
    };
    repeated.iter().filter(|(param, times)| cells(*param) < *times).map(|(param, _)| *param).collect()
}

/// EXPLAIN, PREPARE and DECLARE may hold each other only a little.
const COMMANDS_DEPTH_MAX: u32 = 4;

fn statement(tokens: &Tokens<'_>, range: Range<usize>, depth: u32) -> Parsed {
    if depth > COMMANDS_DEPTH_MAX {
        return unparsed(tokens, range);
    }
    match commands::recognise(tokens, range.clone()) {
        Some(Recognised::Command(command)) => complete(tokens, *command, range, depth),
        Some(Recognised::Explain { explain, inner }) => {
            let mut inner = statement(tokens, inner, depth + 1).facts;
            inner.param_count = tokens.param_count;
            inner.repeated_params = inferred_elsewhere(&inner.kind, &tokens.repeated_params);
            inner.read_since = tokens.read_since();
            let mut facts = empty_facts(explain.with_inner(inner));
            facts.param_count = tokens.param_count;
            Parsed { facts, text: None, cacheable: false }
        }
        None => query(tokens, range),
    }
}

/// The facts of a command, with those of the statement inside it.
fn complete(tokens: &Tokens<'_>, command: Command, range: Range<usize>, depth: u32) -> Parsed {
    let mut facts = empty_facts(command.kind);
    facts.block.relations = command.relations;
    if let Kind::Session(SessionObject::Signal { .. }) = &facts.kind {
        facts.param_count = tokens.param_count;
    }
    facts.targets = command.targets;
    if command.words {
        facts.words = tokens.words();
    }
    if let Kind::Ddl { creates, .. } = &facts.kind {
        facts.objects = commands::objects(tokens, creates.as_ref());
    }
    let temporary_code = matches!(facts.kind, Kind::Ddl { temporary: true, creates: Some(_), .. })
        && facts.words.iter().any(|word| word == "function" || word == "procedure");
    let looks_into_strings = temporary_code || matches!(facts.kind, Kind::Do);
    if looks_into_strings {
        for code in codes(tokens) {
            facts.words.extend(code.words());
            facts.words.extend(commands::clock_in(&code));
            facts.objects.extend(read_by(&code));
        }
    }
    if let Some(inner) = command.inner {
        let inner = statement(tokens, inner, depth + 1).facts;
        // Not understood inside is not understood outside; writes inside are not followed either.
        if !matches!(inner.kind, Kind::Select { .. }) {
            facts.words = tokens.words();
            facts.block.opaque_sources = true;
        }
        match (&inner.kind, &mut facts.kind) {
            (Kind::Unparsed { .. }, _) => return unparsed(tokens, range),
            (Kind::Select { into: false, .. }, Kind::CreateTableAs { reads, .. }) => *reads = true,
            (
                Kind::Select { locking: locks, .. },
                Kind::Session(SessionObject::DeclareCursor { locking, .. }),
            ) => *locking = *locks,
            _ => {}
        }
        facts.block.relations.extend(inner.kind.target().cloned());
        facts.block.children.push(inner.block);
        facts.functions = inner.functions;
        facts.casts = inner.casts;
        facts.operators = inner.operators;
        facts.attributes = inner.attributes;
        facts.shadowed = inner.shadowed;
        if facts.block.relations.is_empty() && facts.block.children.len() == 1 {
            facts.block = facts.block.children.remove(0);
        }
    }
    Parsed { facts, text: None, cacheable: !command.text_bound && !looks_into_strings }
}

fn query(tokens: &Tokens<'_>, range: Range<usize>) -> Parsed {
    let rows = rows::read(tokens, range.clone());
    let (mut facts, text) = match &rows {
        Some(rows) => match tree_facts(tokens, rows.stand_in(tokens)) {
            Some((facts, _)) => (facts, None),
            None => return unparsed(tokens, range),
        },
        None if fits(tokens, &range) => match parse_range(tokens, range.clone()) {
            Some((facts, text)) => (facts, text),
            None => return unparsed(tokens, range),
        },
        None => return unparsed(tokens, range),
    };
    if let Kind::Insert(insert) = &mut facts.kind {
        insert.overrides_user = range.clone().any(|at| tokens.are(at, &["overriding", "user"]));
        if let Some(rows) = rows {
            insert.source = InsertSource::Rows(rows.cells);
        }
    }
    facts.param_count = tokens.param_count;
    facts.operators = tokens.operators();
    Parsed {
        facts,
        text,
        cacheable: tokens.text.len() <= TEXT_BYTES_MAX && tokens.len() <= TOKENS_MAX as usize,
    }
}

fn parse_range(tokens: &Tokens<'_>, range: Range<usize>) -> Option<(Facts, Option<String>)> {
    let call = tokens.is(range.start, "call");
    if !call
        && let Some(plain) = parser_text::write(tokens, range.clone(), Mode::Plain)
        && let Some((facts, text)) = tree_facts(tokens, Some(plain))
    {
        return Some((facts, text));
    }
    let mut shadow = parser_text::write(tokens, range, Mode::Shadow)?;
    if call {
        shadow.text = shadow.text.replacen("call", "select", 1);
    }
    let (mut facts, _) = tree_facts(tokens, Some(shadow))?;
    if call {
        facts.kind = Kind::Call;
    }
    Some((facts, None))
}

fn tree_facts(tokens: &Tokens<'_>, text: Option<ParserText>) -> Option<(Facts, Option<String>)> {
    let text = text?;
    let need = STACK_BASE + tokens.len().min(TOKENS_MAX as usize) * STACK_PER_TOKEN;
    let mut facts = with_stack(need, || {
        let tree = parse_tree(&text.text)?;
        extract::facts(&tree).ok()
    })?;
    facts.shadowed |= text.shadowed;
    if text.targets_opaque {
        extract::forget_targets(&mut facts.kind);
    }
    let text = (!facts.shadowed).then_some(text.text);
    Some((facts, text))
}

fn fits(tokens: &Tokens<'_>, range: &Range<usize>) -> bool {
    if tokens.text.len() > TEXT_BYTES_MAX || range.len() > TOKENS_MAX as usize {
        return false;
    }
    let mut depth = 0u32;
    range.clone().all(|at| {
        match tokens.bytes(at) {
            b"(" | b"[" => depth += 1,
            b")" | b"]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= NESTING_MAX
    })
}

fn empty_facts(kind: Kind) -> Facts {
    Facts {
        kind,
        block: Block::empty(),
        words: Vec::new(),
        objects: Vec::new(),
        targets: Vec::new(),
        functions: Vec::new(),
        casts: Vec::new(),
        operators: Vec::new(),
        attributes: Vec::new(),
        system_column: None,
        param_count: 0,
        repeated_params: Vec::new(),
        computes_values: true,
        shadowed: false,
        read_since: 0,
    }
}

fn unparsed(tokens: &Tokens<'_>, range: Range<usize>) -> Parsed {
    let words = range.filter(|at| tokens.kind(*at) == Some(TokenKind::Word)).map(|at| tokens.word(at));
    let mut facts = empty_facts(Kind::Unparsed { makes: made_by(words) });
    facts.words = tokens.words();
    facts.operators = tokens.operators();
    facts.param_count = tokens.param_count;
    Parsed { facts, text: None, cacheable: tokens.text.len() <= TEXT_BYTES_MAX }
}

/// The identifiers of a text that is too long for a list of tokens.
fn unparsed_scan(text: &[u8], options: LexOptions) -> Facts {
    let mut seen = std::collections::HashSet::new();
    let mut keywords = Vec::new();
    for token in Lexer::new(text, options) {
        let bytes = token.bytes(text);
        let word = match token.kind {
            TokenKind::Word => {
                let word = String::from_utf8_lossy(bytes).to_ascii_lowercase();
                keywords.push(word.clone());
                word
            }
            TokenKind::QuotedIdentifier => {
                String::from_utf8_lossy(&bytes[1..bytes.len() - 1]).replace("\"\"", "\"")
            }
            _ => continue,
        };
        seen.insert(truncate(word));
    }
    let mut facts = empty_facts(Kind::Unparsed { makes: made_by(keywords.into_iter()) });
    facts.words = seen.into_iter().collect();
    facts
}

/// By the unquoted words of a statement, in their order. INTO is that of SELECT, but behind INSERT and MERGE.
fn made_by(words: impl Iterator<Item = String>) -> Makes {
    let mut before = String::new();
    let (mut makes, mut declares) = (Makes::Nothing, false);
    for word in words {
        let first = before.is_empty();
        declares |= first && word == "declare";
        let of_session = match word.as_str() {
            "create" if first => {
                makes = Makes::Table;
                false
            }
            "prepare" => first,
            "hold" => declares && before == "with",
            "temp" | "temporary" | "pg_temp" => makes == Makes::Table,
            "into" => before != "insert" && before != "merge",
            _ => false,
        };
        if of_session {
            return Makes::OfSession;
        }
        before = word;
    }
    makes
}

/// The contents of string literals: DO's body is SQL, as that of a function is.
fn codes<'t>(tokens: &'t Tokens<'_>) -> impl Iterator<Item = Tokens<'t>> {
    (0..tokens.len()).filter(|at| tokens.is_string(*at)).filter_map(|at| {
        let bytes = tokens.bytes(at);
        let delimiter = if bytes.starts_with(b"$") {
            bytes.iter().skip(1).position(|b| *b == b'$').map_or(0, |tag| tag + 2)
        } else {
            bytes.iter().position(|b| *b == b'\'').map_or(0, |quote| quote + 1)
        };
        let inner = bytes.get(delimiter..bytes.len().saturating_sub(1)).unwrap_or(&[]);
        Tokens::new(inner, LexOptions::default())
    })
}

/// The names that stand behind FROM, JOIN and USING in code, with those in one list with them.
fn read_by(code: &Tokens<'_>) -> Vec<ObjectName> {
    let mut names = Vec::new();
    for at in (0..code.len()).filter(|at| code.is_any(*at, &["from", "join", "using"])) {
        let mut next = at + 1;
        while let Some((name, behind)) = code.name(next) {
            names.push(name);
            // An alias may follow, with AS or without.
            let comma = (behind..behind + 3).find(|at| code.punctuation(*at, b','));
            let Some(comma) = comma else { break };
            next = comma + 1;
        }
    }
    names
}

/// A tree that is dropped on a large stack.
#[derive(Debug)]
pub struct Tree {
    statement: ManuallyDrop<Statement>,
    stack: usize,
}

impl Deref for Tree {
    type Target = Statement;

    fn deref(&self) -> &Statement {
        &self.statement
    }
}

impl DerefMut for Tree {
    fn deref_mut(&mut self) -> &mut Statement {
        &mut self.statement
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // SAFETY: the statement is taken once, here, and not touched again.
        let statement = unsafe { ManuallyDrop::take(&mut self.statement) };
        with_stack(self.stack, || drop(statement));
    }
}

/// The tree of a placeholder text ([`Parsed::text`]); None where it is not exactly one statement.
pub fn parse_tree(text: &str) -> Option<Tree> {
    // A token is at least one byte and a blank.
    let stack = STACK_BASE + (text.len() / 2).min(TOKENS_MAX as usize) * STACK_PER_TOKEN;
    with_stack(stack, || {
        let dialect = PostgreSqlDialect {};
        let options = ParserOptions::new().with_unescape(false);
        let mut parser = Parser::new(&dialect)
            .with_recursion_limit(RECURSION_MAX)
            .with_options(options)
            .try_with_sql(text)
            .ok()?;
        let statement = parser.parse_statement().ok()?;
        let mut tree = Tree { statement: ManuallyDrop::new(statement), stack };
        bare_lists(&mut tree);
        // A list of statements would end at a column's label `end`.
        while parser.consume_token(&Token::SemiColon) {}
        let whole = parser.peek_token_ref().token == Token::EOF;
        (whole && !is_misread(&tree)).then_some(tree)
    })
}

/// Whether a word is an operand or a function that PostgreSQL never reads as one: a label such as `and` was taken for an
/// operator, and FROM for what stands behind it; or the word is SYMMETRIC.
fn is_misread(tree: &Statement) -> bool {
    let never = |ident: &Ident| ident.quote_style.is_none() && parser_text::never_begins(&ident.value);
    let first = |name: &Name| name.0.first().and_then(|part| part.as_ident()).is_some_and(never);
    visit_expressions(tree, |expr| {
        let misread = match expr {
            Expr::Identifier(ident) => never(ident),
            Expr::CompoundIdentifier(parts) => parts.first().is_some_and(never),
            Expr::Function(function) => first(&function.name),
            Expr::Collate { collation, .. } => first(collation),
            _ => false,
        };
        if misread { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .is_break()
}

/// The facts of a part of a statement, by its own tree: parameters are the whole statement's.
pub fn facts_of_part(tree: &Statement, whole: &Facts) -> Option<Facts> {
    let facts = extract::facts(tree).ok()?;
    Some(Facts { param_count: whole.param_count, shadowed: whole.shadowed || facts.shadowed, ..facts })
}

/// Runs `work` where at least `need` bytes of stack are left. For everything that walks a tree.
pub fn with_stack<R>(need: usize, work: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(need, need + (64 << 10), work)
}

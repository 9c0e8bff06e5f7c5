//! Facts as text, for the tables of cases.

use std::fmt::Write;

use crate::sql::facts::{Block, Cell, ColumnRef, Comparison, Facts, Predicate, Relation, Value};

pub fn facts(facts: &Facts) -> String {
    let mut out = format!("{:?}\n", facts.kind).replace("ObjectName ", "");
    block(&facts.block, 0, &mut out);
    if !facts.functions.is_empty() {
        let list: Vec<_> =
            facts.functions.iter().map(|f| format!("{}/{}", f.name, f.argument_count)).collect();
        let _ = writeln!(out, "functions {}", list.join(" "));
    }
    if !facts.words.is_empty() {
        let _ = writeln!(out, "words {}", facts.words.join(" "));
    }
    if facts.shadowed {
        out.push_str("shadowed\n");
    }
    out
}

fn block(b: &Block, depth: usize, out: &mut String) {
    let relations: Vec<_> = b.relations.iter().map(relation).collect();
    let _ = write!(out, "{}[{}]", "  ".repeat(depth), relations.join(", "));
    if b.filter != Predicate::Constant(true) {
        let _ = write!(out, " where {}", predicate(&b.filter));
    }
    if !b.merged_columns.is_empty() {
        let _ = write!(out, " merged {:?}", b.merged_columns);
    }
    if b.natural_join {
        out.push_str(" natural");
    }
    if b.opaque_sources {
        out.push_str(" opaque");
    }
    out.push('\n');
    for child in &b.children {
        block(child, depth + 1, out);
    }
}

fn relation(r: &Relation) -> String {
    let mut text = r.name.to_string();
    if let Some(alias) = &r.alias {
        let _ = write!(text, " {alias}");
    }
    for (flag, name) in [(r.nullable, " nullable"), (r.only, " only"), (r.opaque_columns, " opaque")] {
        if flag {
            text.push_str(name);
        }
    }
    text
}

fn column(c: &ColumnRef) -> String {
    let mut text = match &c.qualifier {
        Some(q) => format!("{q}.{}", c.column),
        None => c.column.clone(),
    };
    if let Some(cast) = &c.cast {
        let _ = write!(text, "::{cast}");
    }
    text
}

fn value(v: &Value) -> String {
    match v {
        Value::Literal(n) => format!("L{n}"),
        Value::Param(n) => format!("P{n}"),
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Negative(v) => format!("-{}", value(v)),
        Value::Cast { value: v, type_name, has_modifier } => {
            format!("{}::{type_name}{}", value(v), if *has_modifier { "(..)" } else { "" })
        }
        Value::Array(vs) => format!("array[{}]", values(vs)),
    }
}

fn values(vs: &[Value]) -> String {
    vs.iter().map(value).collect::<Vec<_>>().join(", ")
}

pub fn cell(c: &Cell) -> String {
    match c {
        Cell::Value(v) => value(v),
        Cell::Default => "default".into(),
        Cell::Own => "own".into(),
        Cell::Expression => "?".into(),
    }
}

pub fn predicate(p: &Predicate) -> String {
    let list = |parts: &[Predicate], word: &str| {
        format!("({})", parts.iter().map(predicate).collect::<Vec<_>>().join(word))
    };
    match p {
        Predicate::Unknown => "?".into(),
        Predicate::Constant(b) => b.to_string(),
        Predicate::And(parts) => list(parts, " and "),
        Predicate::Or(parts) => list(parts, " or "),
        Predicate::Compare { column: c, comparison, value: v } => {
            let sign = match comparison {
                Comparison::Equal => "=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
            };
            format!("{} {sign} {}", column(c), value(v))
        }
        Predicate::In { column: c, values: vs } => format!("{} in ({})", column(c), values(vs)),
        Predicate::EqualAny { column: c, array } => format!("{} = any {}", column(c), value(array)),
        Predicate::Like { column: c, pattern } => format!("{} like {}", column(c), value(pattern)),
        Predicate::StartsWith { column: c, prefix } => format!("{} starts {}", column(c), value(prefix)),
        Predicate::IsNull { column: c } => format!("{} is null", column(c)),
        Predicate::ColumnsEqual(a, b) => format!("{} == {}", column(a), column(b)),
    }
}

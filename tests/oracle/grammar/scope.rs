//! What a query may name: the columns of its FROM, with their types and usual values.

use crate::random::Random;
use crate::tables::{Column, Table, Type};
use crate::tree::Node;

/// A column that can be named.
#[derive(Debug, Clone)]
pub struct Field {
    /// As SQL: `p1.age`.
    pub sql: String,
    pub ty: Type,
    pub values: &'static [&'static str],
    pub is_wild: bool,
    pub is_collated: bool,
    pub is_key: bool,
}

/// One item of FROM.
#[derive(Debug, Clone)]
pub struct Source {
    pub alias: String,
    pub fields: Vec<Field>,
    /// Columns that together are no row's but one; empty: none are known.
    pub unique: Vec<String>,
    pub table: Option<&'static Table>,
}

impl Source {
    pub fn of(table: &'static Table, alias: String) -> Self {
        let field = |column: &Column| Field {
            sql: format!("{alias}.{}", column.name),
            ty: column.ty,
            // Numbers of rows are compared with small ones.
            values: column.values,
            is_wild: column.is_wild,
            is_collated: column.is_collated,
            is_key: table.key.contains(&column.name),
        };
        Self {
            fields: table.columns.iter().map(field).collect(),
            unique: table.unique.iter().map(|name| format!("{alias}.{name}")).collect(),
            table: Some(table),
            alias,
        }
    }

    /// Its columns named by themselves, but for those of `unique`: an output's name would hide them in ORDER BY.
    pub fn unqualified(mut self) -> Self {
        for field in &mut self.fields {
            field.sql = field.sql.rsplit('.').next().unwrap_or_default().to_owned();
        }
        self
    }

    pub fn key(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.is_key)
    }
}

#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub sources: Vec<Source>,
}

impl Scope {
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.sources.iter().flat_map(|source| &source.fields)
    }

    pub fn any<'a>(&'a self, random: &mut Random) -> &'a Field {
        let fields: Vec<_> = self.fields().collect();
        fields[random.below(fields.len())]
    }

    pub fn key<'a>(&'a self, random: &mut Random) -> Option<&'a Field> {
        let keys: Vec<_> = self.fields().filter(|field| field.is_key).collect();
        (!keys.is_empty()).then(|| keys[random.below(keys.len())])
    }

    /// A column of this type that may be computed with, as SQL.
    pub fn column(&self, ty: Type, random: &mut Random) -> Option<Node> {
        let fitting: Vec<_> = self.fields().filter(|field| field.ty == ty && !field.is_wild).collect();
        let field = *fitting.get(random.below(fitting.len().max(1)))?;
        Some(match field.is_collated {
            // Two collations in one expression are an error, which depends on the rows.
            true => Node::from(format!("({} COLLATE \"C\")", field.sql)),
            false => Node::from(field.sql.clone()),
        })
    }

    /// A text under one of the collations: what is equal under it, and in which order, differs.
    pub fn collated(&self, random: &mut Random) -> Option<Node> {
        let texts: Vec<_> = self.fields().filter(|field| field.ty == Type::Text).collect();
        let field = *texts.get(random.below(texts.len().max(1)))?;
        let collation = *random.pick(&["folded", "\"en-x-icu\"", "\"C\"", "\"de-x-icu\""]);
        Some(format!("({} COLLATE {collation})", field.sql).into())
    }

    /// Sort keys without ties, if every source has some.
    pub fn unique(&self) -> Option<String> {
        let all: Vec<_> = self.sources.iter().map(|source| source.unique.join(", ")).collect();
        (!all.is_empty() && all.iter().all(|keys| !keys.is_empty())).then(|| all.join(", "))
    }
}

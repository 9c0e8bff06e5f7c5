//! What the catalog says of the columns that a statement's outermost level can name.
//!
//! A [`Scope`] resolves written column names to catalog columns where that is certain, and proves that text is
//! ordered by bytes. Made once per compilation from the facts; asked by every other file here.
//!
//! Invariant: what is not certain is None or [`Order::Unknown`]; a name that two relations may own is not certain.

use sqlparser::ast::{Expr, Ident};

use crate::catalog::{Collation, Column, RelationInfo};
use crate::merge::types::oid;
use crate::plan::PlanningContext;
use crate::sql::facts::Facts;

use super::collation::{self, is_of_bytes};
use super::expression;

/// What is proved of how an expression's values are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By bytes if it is text; whatever else it is has its own order.
    Bytes,
    /// Text under another collation.
    OtherText,
    /// Neither is proved: the type tells at run time.
    Unknown,
}

struct ScopeTable<'a> {
    alias: &'a str,
    schema: Option<&'a str>,
    /// None: the columns are not what the catalog says.
    info: Option<&'a RelationInfo>,
}

/// The relations of the outermost FROM.
pub struct Scope<'a> {
    tables: Vec<ScopeTable<'a>>,
    /// Every source of columns is in `tables` with its catalog entry.
    complete: bool,
    merged: bool,
    database: Option<Collation>,
    /// The order of the servers' bytes is not that of ours.
    other_encoding: bool,
    pub(super) ctx: &'a PlanningContext,
}

impl<'a> Scope<'a> {
    pub fn new(facts: &'a Facts, ctx: &'a PlanningContext) -> Self {
        let tables: Vec<ScopeTable<'a>> = facts
            .block
            .relations
            .iter()
            .map(|relation| {
                let info = ctx.catalog.resolve(&relation.name, &ctx.search_path);
                ScopeTable {
                    alias: relation.alias.as_deref().unwrap_or(&relation.name.name),
                    schema: match relation.alias {
                        Some(_) => None,
                        None => info.and_then(|info| info.name.schema.as_deref()),
                    },
                    info: info.filter(|_| !relation.opaque_columns),
                }
            })
            .collect();
        let complete = !facts.block.opaque_sources && tables.iter().all(|table| table.info.is_some());
        Self {
            tables,
            complete,
            merged: facts.block.natural_join || facts.block.joins_using,
            database: ctx.catalog.database_collation,
            other_encoding: ctx.catalog.other_encoding,
            ctx,
        }
    }

    /// Whether a bare name is a column of FROM; None where that is not known.
    pub fn is_input_column(&self, name: &str) -> Option<bool> {
        const SYSTEM: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
        if SYSTEM.contains(&name) || self.owners(name).next().is_some() {
            return Some(true);
        }
        self.complete.then_some(false)
    }

    /// Whether exactly one relation answers to the name, a table of the catalog.
    pub fn is_table(&self, alias: &str) -> bool {
        let mut tables = self.tables.iter().filter(|table| table.alias == alias);
        tables.next().is_some_and(|table| table.info.is_some()) && tables.next().is_none()
    }

    /// The table alias and the column that an expression names, if it is a column and certain.
    pub fn column(&self, expr: &Expr) -> Option<(&'a str, &'a Column)> {
        match expr {
            Expr::Nested(inner) => self.column(inner),
            Expr::Identifier(name) => {
                if !self.complete {
                    return None;
                }
                let name = expression::folded(name);
                let mut owners = self.owners(&name);
                let owner = owners.next()?;
                owners.next().is_none().then_some(owner)
            }
            Expr::CompoundIdentifier(parts) => self.qualified(parts),
            _ => None,
        }
    }

    fn qualified(&self, parts: &[Ident]) -> Option<(&'a str, &'a Column)> {
        let (schema, alias, column) = match parts {
            [alias, column] => (None, expression::folded(alias), expression::folded(column)),
            [schema, alias, column] => {
                (Some(expression::folded(schema)), expression::folded(alias), expression::folded(column))
            }
            _ => return None,
        };
        let mut tables = self.tables.iter().filter(|table| {
            table.alias == alias && schema.as_deref().is_none_or(|schema| table.schema == Some(schema))
        });
        let table = tables.next()?;
        if tables.next().is_some() {
            return None;
        }
        let column = table.info?.columns.iter().find(|c| c.name == column)?;
        Some((table.alias, column))
    }

    fn owners(&self, name: &str) -> impl Iterator<Item = (&'a str, &'a Column)> {
        self.tables.iter().filter_map(move |table| {
            let column = table.info?.columns.iter().find(|c| c.name == name)?;
            Some((table.alias, column))
        })
    }

    /// Columns of `*`, where FROM is one table or plainly several.
    pub fn width(&self) -> Option<usize> {
        let plain = self.complete && !self.merged;
        plain.then(|| self.tables.iter().filter_map(|table| table.info).map(|info| info.columns.len()).sum())
    }

    /// The columns of `*`, or of `alias.*`; None where they are not certain.
    pub fn expand(&self, alias: Option<&str>) -> Option<Vec<Expr>> {
        self.width()?;
        let mut tables = self.tables.iter().filter(|table| alias.is_none_or(|alias| table.alias == alias));
        let named = tables.clone().count();
        if alias.is_some() && named != 1 {
            return None;
        }
        let columns =
            tables.by_ref().filter_map(|table| Some((table.alias, table.info?))).flat_map(|(alias, info)| {
                info.columns.iter().map(move |column| {
                    Expr::CompoundIdentifier(vec![
                        expression::quoted(alias),
                        expression::quoted(&column.name),
                    ])
                })
            });
        Some(columns.collect())
    }

    /// The n-th column (from one) of `*` over exactly one table.
    pub fn nth_column(&self, position: usize) -> Option<(&'a str, &'a Column)> {
        match self.tables.as_slice() {
            [ScopeTable { alias, info: Some(info), .. }] if self.complete => {
                Some((alias, info.columns.get(position.checked_sub(1)?)?))
            }
            _ => None,
        }
    }

    /// What is proved of the order of an expression's values.
    pub fn order(&self, expr: &Expr) -> Order {
        match expr {
            Expr::Nested(inner) => self.order(inner),
            Expr::Collate { collation, .. } => match expression::object_name(collation) {
                Some(name) if is_of_bytes(&name, self.ctx) => self.by_bytes(),
                _ => Order::OtherText,
            },
            _ => match self.column(expr) {
                Some((_, column)) => match column.collation {
                    Collation::None => Order::Bytes,
                    Collation::Bytes => self.by_bytes(),
                    Collation::Deterministic | Collation::Nondeterministic => Order::OtherText,
                },
                None if self.all_bytes() && collation::is_of_columns(expr, self) => Order::Bytes,
                None => Order::Unknown,
            },
        }
    }

    /// Of text that the servers order by bytes.
    fn by_bytes(&self) -> Order {
        if self.other_encoding { Order::OtherText } else { Order::Bytes }
    }

    /// Whether a column is of type real: its sums are exact enough only in double precision.
    pub fn is_real(&self, expr: &Expr) -> bool {
        self.column(expr).is_some_and(|(_, column)| column.type_oid == oid::FLOAT4)
    }

    /// No collation other than byte order can come from the database or a column.
    fn all_bytes(&self) -> bool {
        let by_bytes = |column: &Column| matches!(column.collation, Collation::None | Collation::Bytes);
        !self.other_encoding
            && self.database == Some(Collation::Bytes)
            && self.complete
            && self.tables.iter().filter_map(|table| table.info).all(|info| info.columns.iter().all(by_bytes))
    }
}

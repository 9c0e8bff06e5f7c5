//! Query levels: WITH and its scopes, set operations, SELECT.
//!
//! Invariants:
//! 1. A CTE is in scope in the CTEs after it and in the body; with RECURSIVE in itself and in those before it too. It
//!    shadows unqualified names only.
//! 2. Branches of set operations are children of one empty block, however long the chain.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, GroupByWithModifier, LimitClause, OrderByKind, Query, Select, SelectFlavor,
    SelectInto, SelectItem, SetExpr, Statement,
};

use super::{Extractor, Into, Unfollowed, names, predicate};
use crate::sql::facts::{Block, Kind};

impl Extractor {
    pub(super) fn statement(&mut self, statement: &Statement) -> Result<(Kind, Block), Unfollowed> {
        match statement {
            Statement::Query(query) => self.top_query(query),
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_) => {
                self.write(statement)
            }
            _ => Err(Unfollowed),
        }
    }

    fn top_query(&mut self, query: &Query) -> Result<(Kind, Block), Unfollowed> {
        let (kind, mut block) = match query.body.as_ref() {
            SetExpr::Insert(write)
            | SetExpr::Update(write)
            | SetExpr::Delete(write)
            | SetExpr::Merge(write) => {
                if query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some() {
                    return Err(Unfollowed);
                }
                let mark = self.scope.len();
                let mut children = self.with(query)?;
                let (kind, mut block) = self.write(write)?;
                self.scope.truncate(mark);
                children.append(&mut block.children);
                block.children = children;
                (kind, block)
            }
            _ => {
                let block = self.query(query)?;
                (Kind::Select { locking: self.locking, into: false }, block)
            }
        };
        if self.modifying {
            block.relations.extend(kind.target().cloned());
            return Ok((Kind::ModifyingWith, block));
        }
        match self.into.take() {
            Some(into) => {
                Ok((Kind::CreateTableAs { name: into.name, temporary: into.temporary, reads: true }, block))
            }
            None => Ok((kind, block)),
        }
    }

    pub(super) fn query(&mut self, query: &Query) -> Result<Block, Unfollowed> {
        let foreign = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if foreign {
            return Err(Unfollowed);
        }
        let mark = self.scope.len();
        let mut children = self.with(query)?;
        let mut block = self.body(&query.body)?;
        children.append(&mut block.children);
        block.children = children;
        if let Some(order_by) = &query.order_by {
            if order_by.interpolate.is_some() || matches!(order_by.kind, OrderByKind::All(_)) {
                return Err(Unfollowed);
            }
            self.walk(order_by, &mut block)?;
        }
        match &query.limit_clause {
            Some(LimitClause::OffsetCommaLimit { .. }) => return Err(Unfollowed),
            Some(LimitClause::LimitOffset { limit_by, .. }) if !limit_by.is_empty() => {
                return Err(Unfollowed);
            }
            Some(limit) => self.walk(limit, &mut block)?,
            None => {}
        }
        if let Some(fetch) = &query.fetch {
            self.walk(fetch, &mut block)?;
        }
        self.locking |= !query.locks.is_empty();
        self.scope.truncate(mark);
        Ok(block)
    }

    /// Brings the CTEs into scope and gives their blocks. The caller ends the scope.
    fn with(&mut self, query: &Query) -> Result<Vec<Block>, Unfollowed> {
        let Some(with) = &query.with else { return Ok(Vec::new()) };
        let mut ctes = Vec::with_capacity(with.cte_tables.len());
        for cte in &with.cte_tables {
            if cte.from.is_some() || cte.alias.at.is_some() {
                return Err(Unfollowed);
            }
            ctes.push((names::identifier(&cte.alias.name).ok_or(Unfollowed)?, &cte.query));
        }
        if with.recursive {
            self.scope.extend(ctes.iter().map(|(name, _)| name.clone()));
        }
        let mut blocks = Vec::with_capacity(ctes.len());
        for (name, query) in ctes {
            blocks.push(self.query(query)?);
            if !with.recursive {
                self.scope.push(name);
            }
        }
        Ok(blocks)
    }

    fn body(&mut self, body: &SetExpr) -> Result<Block, Unfollowed> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { .. } => self.set_operation(body),
            SetExpr::Values(values) => {
                let mut block = Block::empty();
                self.walk(values, &mut block)?;
                Ok(block)
            }
            SetExpr::Insert(write)
            | SetExpr::Update(write)
            | SetExpr::Delete(write)
            | SetExpr::Merge(write) => {
                self.modifying = true;
                let (kind, mut block) = self.write(write)?;
                block.relations.extend(kind.target().cloned());
                Ok(block)
            }
            // The tree has lost whether the name was quoted.
            SetExpr::Table(_) => Err(Unfollowed),
        }
    }

    fn set_operation(&mut self, body: &SetExpr) -> Result<Block, Unfollowed> {
        let mut block = Block::empty();
        let mut rest = body;
        let mut branches = Vec::new();
        while let SetExpr::SetOperation { left, right, .. } = rest {
            branches.push(right);
            rest = left;
        }
        block.children.push(self.body(rest)?);
        for branch in branches.into_iter().rev() {
            block.children.push(self.body(branch)?);
        }
        Ok(block)
    }

    fn select(&mut self, select: &Select) -> Result<Block, Unfollowed> {
        if is_foreign(select) {
            return Err(Unfollowed);
        }
        let mut block = Block::empty();
        let mut conditions = self.from(&select.from, &mut block)?;
        for item in &select.projection {
            self.select_item(item)?;
        }
        self.walk(&select.projection, &mut block)?;
        if let Some(Distinct::On(expressions)) = &select.distinct {
            self.walk(expressions, &mut block)?;
        }
        if let Some(into) = &select.into {
            self.select_into(into)?;
        }
        if let Some(condition) = &select.selection {
            self.walk(condition, &mut block)?;
            conditions.push(predicate::of(condition));
        }
        if has_nested_sets(&select.group_by) {
            return Err(Unfollowed);
        }
        self.walk(&select.group_by, &mut block)?;
        self.walk(&select.having, &mut block)?;
        self.walk(&select.named_window, &mut block)?;
        block.filter = predicate::and(conditions);
        Ok(block)
    }

    fn select_item(&mut self, item: &SelectItem) -> Result<(), Unfollowed> {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                // `pg_lsn '0/1'` is a typed literal, which sqlparser takes for an alias.
                self.shadowed |= alias.quote_style == Some('\'');
                Ok(())
            }
            SelectItem::ExprWithAliases { .. } => Err(Unfollowed),
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
                let plain = options.opt_ilike.is_none()
                    && options.opt_exclude.is_none()
                    && options.opt_except.is_none()
                    && options.opt_replace.is_none()
                    && options.opt_rename.is_none();
                if plain { Ok(()) } else { Err(Unfollowed) }
            }
            SelectItem::UnnamedExpr(_) => Ok(()),
        }
    }

    fn select_into(&mut self, into: &SelectInto) -> Result<(), Unfollowed> {
        let [target] = into.targets.as_slice() else { return Err(Unfollowed) };
        let name = match target {
            Expr::Identifier(ident) => names::of_idents(&[ident]),
            Expr::CompoundIdentifier(parts) => names::of_idents(&parts.iter().collect::<Vec<_>>()),
            _ => None,
        };
        let name = name.ok_or(Unfollowed)?;
        let temporary = into.temporary || name.schema.as_deref() == Some("pg_temp");
        self.into = Some(Into { name, temporary });
        Ok(())
    }
}

/// ROLLUP or CUBE inside of GROUPING SETS, which sqlparser takes for a function.
fn has_nested_sets(group_by: &GroupByExpr) -> bool {
    let GroupByExpr::Expressions(groups, _) = group_by else { return false };
    let is_set = |expr: &Expr| match expr {
        Expr::Function(function) if !names::is_quoted(&function.name) => {
            let name = names::object(&function.name);
            name.is_some_and(|name| name.schema.is_none() && ["rollup", "cube"].contains(&name.name.as_str()))
        }
        _ => false,
    };
    groups.iter().any(|group| match group {
        Expr::GroupingSets(sets) => sets.iter().flatten().any(is_set),
        _ => false,
    })
}

/// Clauses that PostgreSQL does not have.
fn is_foreign(select: &Select) -> bool {
    let grouping = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(_, modifiers) => {
            !modifiers.iter().all(|modifier| matches!(modifier, GroupByWithModifier::GroupingSets(_)))
        }
    };
    grouping || has_foreign_clauses(select)
}

/// Clauses of a SELECT's own level that PostgreSQL does not have, grouping apart.
pub fn has_foreign_clauses(select: &Select) -> bool {
    select.top.is_some()
        || select.exclude.is_some()
        || select.select_modifiers.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.qualify.is_some()
        || select.value_table_mode.is_some()
        || select.flavor != SelectFlavor::Standard
}

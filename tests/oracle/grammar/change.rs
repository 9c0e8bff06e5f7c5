//! INSERT, UPDATE and DELETE, mostly of one row or one shard, and a look at the table afterwards.

use super::scope::{Field, Scope, Source};
use super::value;
use super::{Grammar, Work};
use crate::tables::{Column, Fill, Table};
use crate::tree::{Node, seq};

impl Grammar {
    /// Changes, what they did, and reads between them.
    pub fn transaction(&mut self) -> Work {
        let mut statements = Vec::new();
        let mut tables = Vec::new();
        let table = self.writable();
        for _ in 0..self.random.weighted(&[0, 60, 25, 15]) {
            if self.chance(20) {
                let (change, name) = self.rare_change();
                statements.push(change);
                tables.push(name);
                continue;
            }
            // Mostly the same table: one transaction writes to one shard.
            let table = if self.chance(80) { table } else { self.writable() };
            statements.push(self.change(table));
            tables.push(table.name);
            match self.random.below(12) {
                0 => statements.push(self.query()),
                1 => statements.insert(0, self.query()),
                2 => {
                    statements.insert(statements.len() - 1, "SAVEPOINT s".into());
                    statements.push("ROLLBACK TO s".into());
                }
                _ => {}
            }
        }
        tables.dedup();
        statements.extend(tables.into_iter().map(|name| format!("SELECT * FROM {name}").into()));
        Work { settings: Vec::new(), statements, in_transaction: true }
    }

    fn writable(&mut self) -> &'static Table {
        loop {
            let table = self.table();
            if table.is_writable() {
                return table;
            }
        }
    }

    fn change(&mut self, table: &'static Table) -> Node {
        let source = Source::of(table, table.name.to_owned());
        match self.random.below(5) {
            0 | 1 => self.insert(table),
            2 | 3 => self.update(table, source),
            _ => {
                let filter = self.narrow(&Scope { sources: vec![source.clone()] });
                seq!["DELETE FROM ", table.name, filter, self.returning(&source)]
            }
        }
    }

    fn insert(&mut self, table: &'static Table) -> Node {
        let columns: Vec<&Column> = table
            .columns
            .iter()
            .filter(|column| {
                let needed = column.definition.contains("NOT NULL") || column.definition.contains("PRIMARY");
                needed
                    || table.key.contains(&column.name)
                    || table.unique.contains(&column.name)
                    || self.random.chance(60)
            })
            .collect();
        let names: Vec<_> = columns.iter().map(|column| column.name).collect();
        let key: Vec<Node> = columns.iter().map(|column| self.new_value(column)).collect();
        let rows = 1 + usize::from(self.chance(25)) * self.random.below(3);
        let mut items = Vec::new();
        for _ in 0..rows {
            let mut values = Vec::new();
            for (column, first) in columns.iter().zip(&key) {
                // Rows of one statement have one key, mostly.
                let same = table.key.contains(&column.name) && self.random.chance(90);
                values.push(if same { first.clone() } else { self.new_value(column) });
            }
            let least = values.len();
            items.push(Node::List { head: "(", between: ", ", tail: ")", items: values, least });
        }
        let rows = Node::List { head: "", between: ", ", tail: "", items, least: 1 };
        let source = Source::of(table, table.name.to_owned());
        let conflict = self.conflict(table);
        seq![
            "INSERT INTO ",
            table.name,
            " (",
            names.join(", "),
            ") VALUES ",
            rows,
            conflict,
            self.returning(&source)
        ]
    }

    fn conflict(&mut self, table: &'static Table) -> Node {
        let primary = table.columns.iter().find(|column| column.definition.contains("PRIMARY KEY"));
        match (self.random.below(6), primary) {
            (0, _) => Node::from(" ON CONFLICT DO NOTHING").optional(),
            (1, Some(key)) => format!(" ON CONFLICT ({}) DO NOTHING", key.name).into(),
            (2, Some(key)) => {
                let other = table.columns.iter().find(|column| !std::ptr::eq(*column, key));
                other.map_or(Node::empty(), |other| {
                    let (key, other) = (key.name, other.name);
                    format!(" ON CONFLICT ({key}) DO UPDATE SET {other} = excluded.{other}").into()
                })
            }
            _ => Node::empty(),
        }
    }

    fn new_value(&mut self, column: &Column) -> Node {
        match column.fill {
            Fill::Number => {
                // What no constraint keeps unique is unique by itself.
                let number = match column.definition.contains("PRIMARY") {
                    true => self.random.pick(&["3", "500", "501", "502"]).to_string(),
                    false => (1_000 + self.random.below(1_000_000)).to_string(),
                };
                value::bare(&mut self.random, &number, column.ty, self.parameters)
            }
            _ if self.chance(8) => "DEFAULT".into(),
            _ => {
                let value = *self.random.pick(column.values);
                value::bare(&mut self.random, value, column.ty, self.parameters)
            }
        }
    }

    fn update(&mut self, table: &'static Table, source: Source) -> Node {
        let scope = Scope { sources: vec![source.clone()] };
        let mut sets = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            let column = self.random.pick(&table.columns);
            if table.key.contains(&column.name) && !self.random.chance(15) {
                continue;
            }
            let value = match self.chance(50) {
                true if !column.values.is_empty() => {
                    let value = *self.random.pick(column.values);
                    value::bare(&mut self.random, value, column.ty, self.parameters)
                }
                _ => self.expression(&scope, column.ty, 1),
            };
            let set = seq![column.name, " = ", value];
            if sets.is_empty() {
                sets.push(set);
            }
        }
        if sets.is_empty() {
            let column = table.columns.last().expect("a table has columns");
            sets.push(seq![column.name, " = NULL"]);
        }
        let list = Node::List { head: " SET ", between: ", ", tail: "", items: sets, least: 1 };
        let filter = self.narrow(&scope);
        seq!["UPDATE ", table.name, list, filter, self.returning(&source)]
    }

    /// A condition on the key, and others.
    fn narrow(&mut self, scope: &Scope) -> Node {
        let mut items = Vec::new();
        if let Some(key) = scope.key(&mut self.random).cloned().filter(|_| self.random.chance(85)) {
            items.push(match self.chance(70) {
                true => seq![key.sql.clone(), " = ", self.usual(&key)],
                false => self.on_key(&key, scope),
            });
        }
        if items.is_empty() || self.chance(60) {
            items.push(self.predicate(scope, 0));
        }
        Node::List { head: " WHERE ", between: " AND ", tail: "", items, least: 0 }
    }

    fn returning(&mut self, source: &Source) -> Node {
        match self.random.below(4) {
            0 => Node::empty(),
            1 => Node::from(" RETURNING *").optional(),
            _ => {
                let field: &Field = self.random.pick(&source.fields);
                let scope = Scope { sources: vec![source.clone()] };
                let field = field.sql.clone();
                let ty = self.a_type(&scope);
                seq![" RETURNING ", field, ", ", self.expression(&scope, ty, 1), " AS x"].optional()
            }
        }
    }
}

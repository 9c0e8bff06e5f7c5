//! The rows of an INSERT: for each row, the values that name its shard, found once per shape and read per execution.
//!
//! Made by `writes`; [`Rows::shards`] is asked by `bind`. A later split of an INSERT over shards starts from
//! [`Rows::shard_of`], which answers for one row.
//!
//! ```text
//! INSERT INTO rides (ride_id, region, pickup_lat, pickup_lon) VALUES ($1, $2, $3, $4)
//!     row 0:   key = $2   latitude = $3   longitude = $4   geohash = its default, NULL
//! ```
//!
//! Invariants:
//! 1. A row has the shard that its stored values name, or the statement is refused.
//! 2. A default counts only where it is a plain constant; everything that the server would compute is refused.

use crate::catalog::{Column, RelationInfo};
use crate::sql::arguments::Arguments;
use crate::sql::facts::{Cell, Insert, InsertSource, Value};
use crate::topology::{
    KeyType, Placement, PlacementError, PositionColumns, RowPosition, ShardId, ShardSet, TableRule, Topology,
};

use super::refusal::{self, Refusal};
use super::scope;
use super::value::{self, Datum};

/// The rows of an INSERT into a sharded table.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub table: String,
    rule: TableRule,
    key_type: Option<KeyType>,
    rows: Vec<Row>,
}

/// What one row says of its home.
#[derive(Debug, Clone)]
struct Row {
    key: Given,
    latitude: Given,
    longitude: Given,
    geohash: Given,
}

/// Where a value of a row comes from.
#[derive(Debug, Clone)]
enum Given {
    Null,
    Value(Value),
    /// The constant of a column's default.
    Constant(String),
}

impl Rows {
    /// Refused where a value that names a shard is not there to be read.
    pub fn of(rule: &TableRule, info: Option<&RelationInfo>, insert: &Insert) -> Result<Self, Refusal> {
        let table = insert.target.name.to_string();
        let Some(info) = info else { return Err(refusal::CATALOG_UNKNOWN.naming(&[&table])) };
        let listed: Vec<&str> = match &insert.columns {
            Some(columns) => columns.iter().map(String::as_str).collect(),
            None => info.columns.iter().map(|column| column.name.as_str()).collect(),
        };
        let finder = Finder { table: &table, info, listed: &listed, overrides_user: insert.overrides_user };
        let key_type = match rule.key() {
            Some(name) => Some(finder.key_type(name)?),
            None => None,
        };
        let none = [Vec::new()];
        let cells: &[Vec<Cell>] = match &insert.source {
            InsertSource::DefaultValues => &none,
            InsertSource::Rows(rows) => rows,
            InsertSource::Query => return Err(refusal::INSERT_QUERY.naming(&[&table])),
        };
        let rows = cells.iter().map(|row| finder.row(rule, row)).collect::<Result<Vec<_>, _>>()?;
        let given = |name: &str| {
            finder
                .place(name)
                .is_some_and(|i| cells.iter().all(|row| matches!(row.get(i), Some(c) if *c != Cell::Default)))
        };
        refuse_sequences(&table, info, given)?;
        Ok(Self { table, rule: rule.clone(), key_type, rows })
    }

    /// The shards of all rows.
    pub fn shards(&self, topology: &Topology, arguments: &Arguments<'_>) -> Result<ShardSet, Refusal> {
        let mut shards = ShardSet::EMPTY;
        for row in &self.rows {
            shards.insert(self.shard_of(row, topology, arguments)?);
        }
        Ok(shards)
    }

    fn shard_of(
        &self,
        row: &Row,
        topology: &Topology,
        arguments: &Arguments<'_>,
    ) -> Result<ShardId, Refusal> {
        let rule = &self.rule;
        let position = rule.position.as_ref();
        let column = |name: Option<&String>| name.cloned().unwrap_or_default();
        let geohash = row.geohash.datum(arguments);
        let place = RowPosition {
            latitude: self.coordinate(&row.latitude, arguments, || {
                column(position.and_then(|p| p.latitude.as_ref()))
            })?,
            longitude: self.coordinate(&row.longitude, arguments, || {
                column(position.and_then(|p| p.longitude.as_ref()))
            })?,
            geohash: match (&geohash, geohash.text()) {
                (Datum::Null, _) => None,
                (_, Some(text)) => Some(text),
                (_, None) => return Err(self.unreadable(&column(position.and_then(|p| p.geohash.as_ref())))),
            },
        };
        let placed = match (self.key_type, &rule.placement) {
            (_, Placement::Geo) => rule.shard_of_position(topology, place),
            (Some(key_type), _) => {
                let datum = row.key.datum(arguments);
                let key = match datum {
                    Datum::Null => None,
                    _ => Some(
                        datum.key(key_type).ok_or_else(|| self.unreadable(rule.key().unwrap_or_default()))?,
                    ),
                };
                rule.shard_of_key(topology, key.as_ref())
                    .and_then(|shard| rule.check_position(topology, key.as_ref(), place).map(|()| shard))
            }
            (None, _) => Err(PlacementError::NoKey),
        };
        placed.map_err(|error| misplaced(&self.table, rule, &error))
    }

    fn coordinate(
        &self,
        given: &Given,
        arguments: &Arguments<'_>,
        column: impl FnOnce() -> String,
    ) -> Result<Option<f64>, Refusal> {
        match given.datum(arguments) {
            Datum::Null => Ok(None),
            datum => datum.coordinate().map(Some).ok_or_else(|| self.unreadable(&column())),
        }
    }

    fn unreadable(&self, column: &str) -> Refusal {
        refusal::KEY_UNREADABLE.naming(&[column, &self.table])
    }
}

impl Given {
    fn datum<'a>(&'a self, arguments: &Arguments<'a>) -> Datum<'a> {
        match self {
            Self::Null => Datum::Null,
            Self::Value(value) => value::datum(value, arguments),
            Self::Constant(text) => Datum::Text { text: text.as_str().into(), of: 0 },
        }
    }
}

/// Finds the cells of the columns that matter.
struct Finder<'f> {
    table: &'f str,
    info: &'f RelationInfo,
    listed: &'f [&'f str],
    overrides_user: bool,
}

impl Finder<'_> {
    fn column(&self, name: &str) -> Option<&Column> {
        self.info.columns.iter().find(|column| column.name == name)
    }

    /// Where the column's value stands in a row, if one is given and taken.
    fn place(&self, name: &str) -> Option<usize> {
        let ignored = self.overrides_user && self.column(name).is_some_and(|column| column.identity);
        self.listed.iter().position(|column| *column == name).filter(|_| !ignored)
    }

    fn key_type(&self, name: &str) -> Result<KeyType, Refusal> {
        let column = self.column(name).ok_or_else(|| self.absent(name))?;
        scope::key_type(column).ok_or_else(|| refusal::KEY_UNREADABLE.naming(&[name, self.table]))
    }

    /// The table is known, and has no such column.
    fn absent(&self, name: &str) -> Refusal {
        refusal::PLACING_COLUMN_ABSENT.naming(&[self.table, name])
    }

    fn row(&self, rule: &TableRule, cells: &[Cell]) -> Result<Row, Refusal> {
        let optional = |name: Option<&String>| match name {
            Some(name) => self.given(name, cells),
            None => Ok(Given::Null),
        };
        let position = rule.position.as_ref();
        let of = |pick: fn(&PositionColumns) -> Option<&String>| optional(position.and_then(pick));
        Ok(Row {
            key: match rule.key() {
                Some(name) => self.given(name, cells)?,
                None => Given::Null,
            },
            latitude: of(|p| p.latitude.as_ref())?,
            longitude: of(|p| p.longitude.as_ref())?,
            geohash: of(|p| p.geohash.as_ref())?,
        })
    }

    fn given(&self, name: &str, cells: &[Cell]) -> Result<Given, Refusal> {
        match self.place(name).and_then(|index| cells.get(index)) {
            Some(Cell::Value(value)) => Ok(Given::Value(value.clone())),
            Some(Cell::Own | Cell::Expression) => Err(refusal::KEY_COMPUTED.naming(&[name, self.table])),
            Some(Cell::Default) | None => match self.column(name) {
                Some(column) => {
                    default_of(column).ok_or_else(|| refusal::KEY_MISSING.naming(&[self.table, name]))
                }
                None => Err(self.absent(name)),
            },
        }
    }
}

/// The constant that the column takes by itself; None: computed.
fn default_of(column: &Column) -> Option<Given> {
    if column.generated || column.identity {
        return None;
    }
    match &column.default {
        None => Some(Given::Null),
        Some(text) => constant(text),
    }
}

/// `'text'::type`, a number, NULL: as `pg_get_expr` writes a constant.
fn constant(expression: &str) -> Option<Given> {
    let (value, cast) = match expression.rfind("'::") {
        Some(end) => (expression.get(..=end)?, expression.get(end + 3..)?),
        None => match expression.split_once("::") {
            Some((value, cast)) => (value, cast),
            None => (expression, ""),
        },
    };
    // A length may cut the value; anything else behind the type is an expression.
    if !cast.bytes().all(|b| b.is_ascii_alphabetic() || b == b' ' || b.is_ascii_digit()) {
        return None;
    }
    if value.eq_ignore_ascii_case("null") {
        return Some(Given::Null);
    }
    if let Some(inner) = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')) {
        let plain = !inner.contains(['\'', '\\']);
        return plain.then(|| Given::Constant(inner.to_owned()));
    }
    let number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    number.then(|| Given::Constant(value.to_owned()))
}

/// Refuses the columns that would be numbered by each shard for itself.
pub(super) fn refuse_sequences(
    table: &str,
    info: &RelationInfo,
    given: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    let counted = |column: &&Column| {
        column.identity || column.default.as_deref().is_some_and(|text| text.contains("nextval("))
    };
    match info.columns.iter().filter(counted).find(|column| !given(&column.name)) {
        Some(column) => Err(refusal::SEQUENCE_DEFAULT.naming(&[&column.name, table])),
        None => Ok(()),
    }
}

/// The refusal of a row that has no shard, or not the one that it says. Rows of COPY are refused in the same words.
pub fn misplaced(table: &str, rule: &TableRule, error: &PlacementError) -> Refusal {
    let key = rule.key().unwrap_or("position");
    let mut refused = match error {
        PlacementError::UnknownRegion(name) | PlacementError::RegionWithoutShard(name) => {
            refusal::KEY_WITHOUT_SHARD.naming(&[table, &format!("{key} = '{name}'")])
        }
        PlacementError::NotListed(value) => {
            refusal::KEY_WITHOUT_SHARD.naming(&[table, &format!("{key} = {value}")])
        }
        PlacementError::NullKey => refusal::KEY_NULL.naming(&[key, table]),
        PlacementError::NullPosition => refusal::KEY_NULL.naming(&[&position_columns(rule), table]),
        PlacementError::Contradiction { said, implied, .. } => {
            refusal::POSITION_CONTRADICTS.naming(&[table, implied, said])
        }
        PlacementError::Nowhere(_)
        | PlacementError::Ambiguous(_)
        | PlacementError::HalfPosition
        | PlacementError::Outside { .. }
        | PlacementError::BadPosition(_) => refusal::POSITION_NOWHERE.naming(&[table]),
        PlacementError::GeohashElsewhere { .. } => refusal::GEOHASH_CONTRADICTS.naming(&[table]),
        PlacementError::NoKey => refusal::KEY_UNREADABLE.naming(&[key, table]),
    };
    if !matches!(error, PlacementError::NoKey | PlacementError::NullKey | PlacementError::NullPosition) {
        refused.sqlstate = error.sqlstate();
        refused.detail = Some(format!("The row: {error}."));
        if let Some(hint) = error.hint() {
            refused.hint = Some(hint.to_owned());
        }
    }
    refused
}

fn position_columns(rule: &TableRule) -> String {
    let Some(position) = &rule.position else { return "position".to_owned() };
    let columns = [&position.latitude, &position.longitude, &position.geohash];
    columns.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

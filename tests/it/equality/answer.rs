//! What a target answers to one statement, in a form in which two answers can be compared.

use super::script::{Mode, Order, Statement};
use crate::stand::{self, Column, Message, Parameter, RawClient};

/// Relative difference that two sums of the same floats may have.
const TOLERANCE: f64 = 1e-9;

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
    pub tags: Vec<String>,
    /// SQLSTATE and message.
    pub error: Option<(String, String)>,
    pub status: char,
    /// So many rows came that are not among `rows`.
    pub withheld: u64,
}

/// Runs a statement in one way.
pub fn ask(client: &mut RawClient, statement: &Statement, mode: Mode) -> Answer {
    let messages = match mode {
        Mode::Simple => client.simple(&statement.text),
        Mode::Extended => extended(client, statement, &[], |value, _| Parameter::Text(value.into())),
        Mode::Binary => extended(client, statement, &[1], binary),
    };
    read(&messages)
}

fn extended(
    client: &mut RawClient,
    statement: &Statement,
    formats: &[i16],
    encode: impl Fn(&str, u32) -> Parameter,
) -> Vec<Message> {
    client.send(&[stand::parse("", &statement.text, &[]), stand::describe(b'S', ""), stand::sync()].concat());
    let prepared = client.until_ready();
    let Some(types) = prepared.iter().find(|message| message.tag == b't') else {
        return prepared;
    };
    let types = types.parameter_types();
    let parameters: Vec<_> = statement
        .parameters
        .iter()
        .zip(types.iter().chain(std::iter::repeat(&0)))
        .map(|(value, oid)| value.as_deref().map_or(Parameter::Null, |value| encode(value, *oid)))
        .collect();
    let flight = [
        stand::bind("", "", &parameters, formats),
        stand::describe(b'P', ""),
        stand::execute("", 0),
        stand::sync(),
    ];
    client.send(&flight.concat());
    client.until_ready()
}

/// The send format of a parameter's type, as far as cases use it; text has none of its own.
fn binary(value: &str, oid: u32) -> Parameter {
    let number = || value.parse::<i64>().unwrap_or_default();
    Parameter::Binary(match oid {
        16 => vec![u8::from(value == "true" || value == "t")],
        20 => number().to_be_bytes().to_vec(),
        21 => (number() as i16).to_be_bytes().to_vec(),
        23 => (number() as i32).to_be_bytes().to_vec(),
        701 => value.parse::<f64>().unwrap_or(f64::NAN).to_be_bytes().to_vec(),
        2950 => uuid::Uuid::parse_str(value).expect("a uuid").as_bytes().to_vec(),
        1009 | 1015 => text_array(value, if oid == 1009 { 25_i32 } else { 1043 }),
        25 | 1043 | 705 | 1042 => value.into(),
        _ => return Parameter::Text(value.into()),
    })
}

fn text_array(value: &str, element: i32) -> Vec<u8> {
    let elements: Vec<_> =
        value.trim_matches(['{', '}']).split(',').filter(|element| !element.is_empty()).collect();
    let nulls = elements.contains(&"NULL");
    let mut bytes: Vec<u8> =
        [i32::from(!elements.is_empty()), i32::from(nulls), element].map(i32::to_be_bytes).concat();
    if !elements.is_empty() {
        bytes.extend([elements.len() as i32, 1].map(i32::to_be_bytes).concat());
    }
    for element in elements {
        if element == "NULL" {
            bytes.extend((-1_i32).to_be_bytes());
        } else {
            bytes.extend((element.len() as i32).to_be_bytes());
            bytes.extend(element.bytes());
        }
    }
    bytes
}

pub fn read(messages: &[Message]) -> Answer {
    let mut answer =
        Answer { columns: vec![], rows: vec![], tags: vec![], error: None, status: '?', withheld: 0 };
    for message in messages {
        match message.tag {
            b'T' => answer.columns.extend(message.columns()),
            b'D' => answer.rows.push(message.values()),
            // A line of COPY TO STDOUT.
            b'd' => answer.rows.push(vec![Some(message.body.clone())]),
            b'C' => answer.tags.push(message.command_tag()),
            b'E' => {
                let field = |code| message.field(code).unwrap_or_default();
                answer.error = Some((field(b'C'), field(b'M')));
            }
            b'Z' => answer.status = message.status(),
            stand::WITHHELD => {
                answer.withheld += u64::from_be_bytes(message.body[..8].try_into().expect("a number"));
            }
            _ => {}
        }
    }
    answer
}

impl Answer {
    pub fn sqlstate(&self) -> Option<&str> {
        self.error.as_ref().map(|(code, _)| code.as_str())
    }

    /// In what this answer differs from the plain server's; none when they are equal.
    pub fn difference(&self, plain: &Self, statement: &Statement) -> Option<String> {
        if self.sqlstate() != plain.sqlstate() {
            return Some(format!("error {:?}, plain: {:?}", self.error, plain.error));
        }
        if self.status != plain.status {
            return Some(format!("transaction status {}, plain: {}", self.status, plain.status));
        }
        if self.error.is_some() {
            return None;
        }
        let shape = |answer: &Self| -> Vec<String> { answer.columns.iter().map(shape_of).collect() };
        if shape(self) != shape(plain) {
            return Some(format!("columns {:?}\n      plain {:?}", shape(self), shape(plain)));
        }
        if self.tags != plain.tags {
            return Some(format!("tags {:?}, plain: {:?}", self.tags, plain.tags));
        }
        self.row_difference(plain, statement)
    }

    fn row_difference(&self, plain: &Self, statement: &Statement) -> Option<String> {
        if self.rows.len() != plain.rows.len() {
            return Some(format!("{} rows, plain: {}", self.rows.len(), plain.rows.len()));
        }
        let (mut mine, mut theirs) = (self.rows.clone(), plain.rows.clone());
        match statement.order {
            Order::CountOnly => return None,
            Order::Open => {
                mine.sort();
                theirs.sort();
            }
            Order::Defined => {}
        }
        let alike = |(one, other): &(&Option<Vec<u8>>, &Option<Vec<u8>>)| {
            one == other || (statement.approximate && nearly(one.as_deref(), other.as_deref()))
        };
        let different = mine.iter().zip(&theirs).enumerate().find(|(_, (one, other))| {
            one.len() != other.len() || !one.iter().zip(other.iter()).all(|pair| alike(&pair))
        });
        different.map(|(index, (one, other))| {
            format!("row {index} of {}: {}\n      plain: {}", mine.len(), shown(one), shown(other))
        })
    }
}

fn shape_of(column: &Column) -> String {
    let Column { name, type_oid, size, modifier, format, .. } = column;
    format!("{name} {} size {size} modifier {modifier} format {format}", stand::type_name(*type_oid))
}

fn shown(row: &[Option<Vec<u8>>]) -> String {
    let values =
        row.iter().map(|value| value.as_ref().map_or("NULL".to_owned(), |value| stand::escaped(value)));
    values.collect::<Vec<_>>().join(" | ").chars().take(300).collect()
}

/// Equal but for the last digits: as text, or as a double's eight bytes. The sign of what is no number says nothing.
fn nearly(one: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    let number = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok());
        text.or_else(|| bytes.try_into().ok().map(f64::from_be_bytes))
    };
    match (one.and_then(number), other.and_then(number)) {
        (Some(one), Some(other)) if one.is_nan() => other.is_nan(),
        (Some(one), Some(other)) => (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()),
        _ => false,
    }
}

//! The ways in which a statement is sent and its rows are fetched.

use crate::answer::{self, Answer};
use crate::script::{Mode, Order, Statement};
use crate::stand::{self, Message, Parameter, RawClient};
use crate::tree::{Printed, Style};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Simple,
    /// The extended protocol, all values in text.
    Extended,
    /// The extended protocol, all values in binary.
    Binary,
    /// Parameters with the types declared in Parse, and no Describe of the statement.
    Declared,
    /// Prepared by name, executed with nulls, then with the values.
    Again,
    /// A few rows at a time, in a transaction.
    Portal,
    /// DECLARE and FETCH, in a transaction.
    Cursor,
    /// COPY (…) TO STDOUT.
    Copy,
    /// Between BEGIN and COMMIT, in one simple query.
    Amid,
    /// The same under REPEATABLE READ.
    Steady,
}

impl Way {
    /// As often as they stand here.
    pub const ALL: &[Self] = &[
        Self::Simple,
        Self::Simple,
        Self::Simple,
        Self::Simple,
        Self::Simple,
        Self::Extended,
        Self::Extended,
        Self::Extended,
        Self::Binary,
        Self::Binary,
        Self::Binary,
        Self::Binary,
        Self::Binary,
        Self::Declared,
        Self::Declared,
        Self::Again,
        Self::Again,
        Self::Portal,
        Self::Cursor,
        Self::Copy,
        Self::Amid,
        Self::Steady,
    ];

    pub fn has_parameters(self) -> bool {
        matches!(self, Self::Extended | Self::Binary | Self::Declared | Self::Again | Self::Portal)
    }

    pub fn style(self) -> Style {
        if self.has_parameters() { Style::AsIs } else { Style::Literals }
    }

    /// The same in a transaction block that others have begun.
    pub fn in_transaction(self) -> Self {
        match self {
            Self::Portal | Self::Again => Self::Extended,
            Self::Cursor | Self::Copy | Self::Amid | Self::Steady => Self::Simple,
            way => way,
        }
    }

    pub fn ask(self, client: &mut RawClient, printed: &Printed) -> Answer {
        let text = &printed.text;
        match self {
            Self::Simple => answer::ask(client, &statement(printed), Mode::Simple),
            Self::Extended => answer::ask(client, &statement(printed), Mode::Extended),
            Self::Binary => answer::ask(client, &statement(printed), Mode::Binary),
            Self::Declared => extended(client, printed, &printed.types, ("", 0)),
            Self::Again => again(client, printed),
            Self::Portal => {
                client.simple("BEGIN");
                let answer = extended(client, printed, &[], ("p", 7));
                ended(client, answer)
            }
            Self::Cursor => {
                client.simple("BEGIN");
                let declared = answer::read(&client.simple(&format!("DECLARE c CURSOR FOR {text}")));
                let answer = match declared.error {
                    Some(_) => declared,
                    None => answer::read(&client.simple("FETCH ALL FROM c")),
                };
                ended(client, answer)
            }
            Self::Copy => answer::read(&client.simple(&format!("COPY ({text}) TO STDOUT"))),
            Self::Amid => amid(client, "BEGIN", text),
            Self::Steady => amid(client, "BEGIN ISOLATION LEVEL REPEATABLE READ", text),
        }
    }
}

fn amid(client: &mut RawClient, begin: &str, text: &str) -> Answer {
    let answer = answer::read(&client.simple(&format!("{begin}; {text}; COMMIT")));
    if answer.error.is_some() { ended(client, answer) } else { answer }
}

/// The transaction's status is that of its end.
fn ended(client: &mut RawClient, answer: Answer) -> Answer {
    let end = answer::read(&client.simple("ROLLBACK"));
    Answer { status: end.status, ..answer }
}

/// Parse, Bind and Execute in one flight; then Execute again while rows are left.
fn extended(
    client: &mut RawClient,
    printed: &Printed,
    types: &[u32],
    (portal, rows_max): (&str, i32),
) -> Answer {
    let parameters = values(printed);
    let flight = [
        stand::parse("", &printed.text, types),
        stand::bind(portal, "", &parameters, &[]),
        stand::describe(b'P', portal),
        stand::execute(portal, rows_max),
        stand::sync(),
    ];
    client.send(&flight.concat());
    let mut messages = Vec::new();
    let mut more = client.until_ready();
    while is_suspended(&more) {
        messages.extend(more.into_iter().filter(|message| message.tag != b's'));
        client.send(&[stand::execute(portal, rows_max), stand::sync()].concat());
        more = client.until_ready();
    }
    messages.extend(more);
    answer::read(&messages)
}

/// One prepared statement, two executions; the second is the answer.
fn again(client: &mut RawClient, printed: &Printed) -> Answer {
    client.send(&[stand::parse("again", &printed.text, &[]), stand::sync()].concat());
    let parsed = answer::read(&client.until_ready());
    if parsed.error.is_some() {
        return parsed;
    }
    let mut run = |parameters: &[Parameter]| {
        let flight = [
            stand::bind("", "again", parameters, &[]),
            stand::describe(b'P', ""),
            stand::execute("", 0),
            stand::sync(),
        ];
        client.send(&flight.concat());
        answer::read(&client.until_ready())
    };
    run(&vec![Parameter::Null; printed.parameters.len()]);
    let answer = run(&values(printed));
    client.send(&[stand::close(b'S', "again"), stand::sync()].concat());
    client.until_ready();
    answer
}

fn values(printed: &Printed) -> Vec<Parameter> {
    let value = |value: &Option<String>| match value {
        Some(value) => Parameter::Text(value.clone().into_bytes()),
        None => Parameter::Null,
    };
    printed.parameters.iter().map(value).collect()
}

fn is_suspended(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.tag == b's')
        && messages.last().is_some_and(|message| message.tag == b'Z')
}

fn statement(printed: &Printed) -> Statement {
    Statement {
        place: String::new(),
        text: printed.text.clone(),
        modes: Vec::new(),
        order: Order::Open,
        approximate: false,
        may_be_refused: true,
        refused_with: None,
        error: None,
        parameters: printed.parameters.clone(),
    }
}

//! Values of literals, parameters and arrays.

use std::borrow::Cow;

use crate::sql::arguments::{Argument, Arguments, NoParameters, Parameters};
use crate::sql::facts::Value;
use crate::sql::lexer::LexOptions;
use crate::sql::shape::{ShapeBuffers, shape};

fn text(value: &str) -> Argument<'_> {
    Argument::Text { text: Cow::Borrowed(value), is_number: false }
}

fn value(literal: &str) -> Option<String> {
    let sql = format!("select {literal}");
    let mut buffers = ShapeBuffers::default();
    let shaped = shape(sql.as_bytes(), LexOptions::default(), &mut buffers);
    let arguments = Arguments { text: sql.as_bytes(), literals: shaped.literals, parameters: &NoParameters };
    match arguments.resolve(&Value::Literal(0)) {
        Argument::Text { text, .. } => Some(text.into_owned()),
        _ => None,
    }
}

#[test]
fn literals_unescape_as_documented() {
    let cases = [
        ("'a'", Some("a")),
        ("''", Some("")),
        ("''''", Some("'")),
        ("'Dianne''s horse'", Some("Dianne's horse")),
        ("'foo'\n'bar'", Some("foobar")),
        ("'a''' -- x\n '''b'", Some("a''b")),
        (r"'\n'", Some(r"\n")),
        (r"E'\n\t\\\'x'''", Some("\n\t\\'x'")),
        (r"E'\101\x41\u0041\U00000041'", Some("AAAA")),
        (r"E'\ud83d\ude00'", Some("😀")),
        (r"E'\ud83d'", None),
        (r"E'\xff'", None),
        (r"E'\xc3\xa9'", Some("é")),
        (r"E'\0'", None),
        (r"E'\q\x'", Some("qx")),
        ("$$it's$$", Some("it's")),
        ("$a$ $$ $a$", Some(" $$ ")),
        ("$$$$", Some("")),
        ("U&'a'", None),
        ("B'1'", None),
        ("0x1", None),
        ("15", Some("15")),
        ("1.50", Some("1.50")),
    ];
    for (literal, expected) in cases {
        assert_eq!(value(literal).as_deref(), expected, "{literal}");
    }
}

struct Bound<'b>(Vec<(Option<&'b [u8]>, bool, u32)>);

impl Parameters for Bound<'_> {
    fn value(&self, index: usize) -> Option<Option<&[u8]>> {
        self.0.get(index).map(|p| p.0)
    }

    fn is_binary(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(|p| p.1)
    }

    fn declared_type(&self, index: usize) -> u32 {
        self.0.get(index).map_or(0, |p| p.2)
    }
}

#[test]
fn parameters_resolve_by_format() {
    let bound = Bound(vec![
        (Some(b"5"), false, 0),
        (Some(&[0, 0, 0, 5]), true, 23),
        (None, false, 0),
        (Some(b"\xff"), false, 0),
    ]);
    let arguments = Arguments { text: b"", literals: &[], parameters: &bound };
    assert_eq!(arguments.resolve(&Value::Param(0)), text("5"));
    assert_eq!(arguments.resolve(&Value::Param(1)), Argument::Binary { bytes: &[0, 0, 0, 5], type_oid: 23 });
    assert_eq!(arguments.resolve(&Value::Param(2)), Argument::Null);
    assert_eq!(arguments.resolve(&Value::Param(3)), Argument::Unknown);
    assert_eq!(arguments.resolve(&Value::Param(4)), Argument::Unknown);
    assert_eq!(arguments.resolve(&Value::Literal(0)), Argument::Unknown);
}

#[test]
fn negatives_are_numbers_only() {
    let sql = b"select 5, '5'";
    let mut buffers = ShapeBuffers::default();
    let shaped = shape(sql, LexOptions::default(), &mut buffers);
    let arguments = Arguments { text: sql, literals: shaped.literals, parameters: &NoParameters };
    let negative = |index| arguments.resolve(&Value::Negative(Box::new(Value::Literal(index))));
    assert_eq!(negative(0), Argument::Text { text: Cow::Borrowed("-5"), is_number: true });
    assert_eq!(negative(1), Argument::Unknown);
}

fn array_of(literal: &str) -> Option<Vec<Argument<'static>>> {
    crate::sql::array::parse_text(literal)
}

#[test]
fn text_arrays() {
    assert_eq!(array_of("{}"), Some(vec![]));
    assert_eq!(
        array_of(r#" { a , "c d" ,"NULL", x y , "q\"\\" } "#),
        Some(vec![text("a"), text("c d"), text("NULL"), text("x y"), text("q\"\\")])
    );
    // What it is a setting decides.
    assert_eq!(array_of("{a,NULL}"), None);
    for malformed in
        ["", "{", "{a", "{a,}", "{,a}", "{{a}}", "[1:2]={a,b}", "{a}b", "{a\"b\"}", "{\"a\"b}", "{a,\\"]
    {
        assert_eq!(array_of(malformed), None, "{malformed}");
    }
}

#[test]
fn binary_arrays() {
    let mut bytes = Vec::new();
    for word in [1i32, 1, 23, 2, 1, 4, 7, -1] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    let parse = crate::sql::array::parse_binary;
    assert_eq!(
        parse(&bytes),
        Some(vec![Argument::Binary { bytes: &[0, 0, 0, 7], type_oid: 23 }, Argument::Null])
    );
    assert_eq!(parse(&bytes[..bytes.len() - 1]), None);
    bytes.push(0);
    assert_eq!(parse(&bytes), None);
    let empty: Vec<u8> = [0i32, 0, 25].iter().flat_map(|w| w.to_be_bytes()).collect();
    assert_eq!(parse(&empty), Some(vec![]));
    let huge: Vec<u8> = [1i32, 0, 25, i32::MAX, 1].iter().flat_map(|w| w.to_be_bytes()).collect();
    assert_eq!(parse(&huge), None);
}

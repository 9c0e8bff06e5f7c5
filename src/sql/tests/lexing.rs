//! The lexer and the splitter.

use proptest::prelude::*;

use crate::sql::lexer::{LexOptions, Lexer, TokenKind};
use crate::sql::split::split;
use crate::sql::tokens::Tokens;

fn tokens(text: &str, options: LexOptions) -> Vec<(TokenKind, &str)> {
    Lexer::new(text.as_bytes(), options)
        .filter(|token| !token.kind.is_trivia())
        .map(|token| (token.kind, &text[token.start as usize..token.end as usize]))
        .collect()
}

fn texts(text: &str) -> Vec<&str> {
    tokens(text, LexOptions::default()).into_iter().map(|(_, text)| text).collect()
}

fn kinds(text: &str) -> Vec<TokenKind> {
    tokens(text, LexOptions::default()).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn strings_end_where_postgresql_ends_them() {
    assert_eq!(texts("'a''b' x"), ["'a''b'", "x"]);
    assert_eq!(texts(r"'a\' x"), [r"'a\'", "x"]);
    assert_eq!(texts(r"E'a\'b' x"), [r"E'a\'b'", "x"]);
    assert_eq!(texts(r"e'\\' x"), [r"e'\\'", "x"]);
    assert_eq!(texts("'a'\n'b' x"), ["'a'\n'b'", "x"]);
    assert_eq!(texts("'a' -- c\n  'b' x"), ["'a' -- c\n  'b'", "x"]);
    assert_eq!(texts("'a' 'b'"), ["'a'", "'b'"]);
    assert_eq!(texts("'a' /* \n */ 'b'"), ["'a'", "'b'"]);
    assert_eq!(texts("E'a'\n'\\'' x"), ["E'a'\n'\\''", "x"]);
    assert_eq!(
        kinds("U&'\\0061' U&\"x\" N'a' B'1' X'ff' \"q\"\"r\""),
        [
            TokenKind::UnicodeString,
            TokenKind::UnicodeIdentifier,
            TokenKind::NationalString,
            TokenKind::BitString,
            TokenKind::BitString,
            TokenKind::QuotedIdentifier
        ]
    );
    assert_eq!(texts("u & 'x'"), ["u", "&", "'x'"]);
    assert_eq!(texts("e 'x'"), ["e", "'x'"]);
}

#[test]
fn backslashes_escape_when_strings_do_not_conform() {
    let off = LexOptions { standard_conforming_strings: false };
    assert_eq!(tokens(r"'a\'b' c", off), [(TokenKind::EscapeString, r"'a\'b'"), (TokenKind::Word, "c")]);
}

#[test]
fn dollar_quotes() {
    assert_eq!(texts("$$a'b$$ x"), ["$$a'b$$", "x"]);
    assert_eq!(texts("$t$ $$ $u$ $t$ x"), ["$t$ $$ $u$ $t$", "x"]);
    assert_eq!(texts("a$b$ c$b$"), ["a$b$", "c$b$"]);
    assert_eq!(
        kinds("$1 $12a $é$x$é$ $$"),
        [
            TokenKind::Param,
            TokenKind::Param,
            TokenKind::Word,
            TokenKind::DollarString,
            TokenKind::Unterminated
        ]
    );
}

#[test]
fn operators_follow_the_trailing_sign_rule() {
    assert_eq!(texts("a>=-1"), ["a", ">=", "-", "1"]);
    assert_eq!(texts("a<>-1"), ["a", "<>", "-", "1"]);
    assert_eq!(texts("a=@-1"), ["a", "=@-", "1"]);
    assert_eq!(texts("a=@b"), ["a", "=@", "b"]);
    assert_eq!(texts("1*-- c\n2"), ["1", "*", "2"]);
    assert_eq!(texts("1+/*c*/2"), ["1", "+", "2"]);
    assert_eq!(texts("a+-+-b"), ["a", "+", "-", "+", "-", "b"]);
    assert_eq!(
        texts("a::int b:=c d=>e f->>g"),
        ["a", "::", "int", "b", ":=", "c", "d", "=>", "e", "f", "->>", "g"]
    );
    assert_eq!(texts("a[1:2]"), ["a", "[", "1", ":", "2", "]"]);
}

/// Read once for each of its bytes, any of these would take hours.
#[test]
fn long_runs_of_operators_are_read_once() {
    for piece in ["+", "+-", "=+", "+/**/", "*/**/", "<>-"] {
        let text = piece.repeat(4_000_000 / piece.len());
        let operators = Lexer::new(text.as_bytes(), LexOptions::default())
            .filter(|token| token.kind == TokenKind::Operator)
            .count();
        assert!(operators > 0, "{piece}");
    }
    let sign = |digit: u8| char::from(b"#<>=~!^&|%"[usize::from(digit - b'0')]);
    let operator = |n: u32| n.to_string().bytes().map(sign).collect::<String>() + " a ";
    let text: String = (100_000..300_000).map(operator).collect();
    let tokens = Tokens::new(text.as_bytes(), LexOptions::default()).unwrap();
    assert_eq!(tokens.operators().len(), 200_000);
}

#[test]
fn numbers() {
    use TokenKind::*;
    assert_eq!(
        kinds("1 1. .5 1.5 1e5 1.e-5 1..2"),
        [Integer, Decimal, Decimal, Decimal, Decimal, Decimal, Integer, Operator, Integer]
    );
    assert_eq!(
        kinds("0x1F 1_000 12abc 1e 1ea 1.5e+x"),
        [OddNumber, OddNumber, OddNumber, OddNumber, OddNumber, OddNumber, Operator, Word]
    );
    assert_eq!(texts("t.1"), ["t", ".1"]);
}

#[test]
fn comments_nest_and_lines_end_at_carriage_returns() {
    assert_eq!(texts("a /* /* ; */ ' */ b"), ["a", "b"]);
    assert_eq!(texts("a -- x\rb"), ["a", "b"]);
    assert_eq!(kinds("/* /* */"), [TokenKind::Unterminated]);
}

fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    split(text.as_bytes(), LexOptions::default(), &mut out);
    out.into_iter().map(|range| &text[range.start as usize..range.end as usize]).collect()
}

#[test]
fn statements_split_at_top_level_semicolons() {
    assert_eq!(pieces("select 1"), ["select 1"]);
    assert_eq!(pieces("select 1;"), ["select 1"]);
    assert_eq!(pieces("select 1; select ';' ; "), ["select 1", " select ';' "]);
    assert_eq!(pieces(";; select 1;;"), [" select 1"]);
    assert_eq!(pieces(";;").len(), 1);
    assert_eq!(pieces(""), [""]);
    assert_eq!(pieces("/* x */"), ["/* x */"]);
    assert_eq!(pieces("select 1; -- bye"), ["select 1"]);
    assert_eq!(pieces("/* h */ select 1; /* i */ select 2"), ["/* h */ select 1", " /* i */ select 2"]);
    assert_eq!(pieces("do $$ begin; end $$; select 2"), ["do $$ begin; end $$", " select 2"]);
    assert_eq!(pieces("create rule r as on insert to t do (select 1; select 2); select 3").len(), 2);
    assert_eq!(pieces("begin; atomic; end; select 1").len(), 4);
    let body = "create or replace function f() returns int begin atomic select case when true then 1 end; \
                select 2; end; select 3";
    assert_eq!(pieces(body).len(), 2);
}

proptest! {
    #[test]
    fn tokens_cover_every_byte(bytes in proptest::collection::vec(
        prop_oneof![
            proptest::sample::select(b"'\"$\\/*-+=@;:.,()[]eEuU&xX01a\n\r ".to_vec()),
            any::<u8>()
        ], 0..60), conforming: bool) {
        let options = LexOptions { standard_conforming_strings: conforming };
        let mut at = 0;
        for token in Lexer::new(&bytes, options) {
            prop_assert_eq!(token.start, at);
            prop_assert!(token.end > token.start);
            at = token.end;
        }
        prop_assert_eq!(at as usize, bytes.len());
        let mut out = Vec::new();
        split(&bytes, options, &mut out);
        prop_assert!(!out.is_empty());
    }
}

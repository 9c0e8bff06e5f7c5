//! Keys, literals and hints.

use proptest::prelude::*;

use crate::sql::hint::{Hint, HintError, HintRole};
use crate::sql::lexer::{LexOptions, Lexer};
use crate::sql::shape::{ShapeBuffers, Size, TOKENS_MAX, shape};

fn key(text: &str) -> String {
    let mut buffers = ShapeBuffers::default();
    let shape = shape(text.as_bytes(), LexOptions::default(), &mut buffers);
    String::from_utf8_lossy(shape.key)
        .chars()
        .map(|c| if c < ' ' { char::from(b'@' + c as u8) } else { c })
        .collect()
}

fn literals(text: &str) -> Vec<String> {
    let mut buffers = ShapeBuffers::default();
    let shape = shape(text.as_bytes(), LexOptions::default(), &mut buffers);
    shape.literals.iter().map(|l| text[l.start as usize..l.end as usize].to_owned()).collect()
}

fn hint(text: &str) -> Result<Option<Hint>, HintError> {
    shape(text.as_bytes(), LexOptions::default(), &mut ShapeBuffers::default()).hint
}

#[test]
fn keys_are_canonical() {
    // A string, C int4, D int8, E larger, F decimal, G odd, B bits.
    assert_eq!(
        key("SELECT  a.b FROM T /* c */ WHERE x='v' AND y=17"),
        "select a.b from t where x = A and y = C"
    );
    assert_eq!(
        key("select a . \"B\",c from t where x=E'v'and y= 2147483648"),
        "select a.\"B\",c from t where x = A and y = D"
    );
    assert_eq!(key("select 9223372036854775808, 1.5, 0x1, b'1', $$x$$"), "select E,F,G,B,A");
    assert_eq!(key("select a>=-1, $1::int"), "select a >= - C,$1 :: int");
    assert_eq!(key("select 00000000001"), "select C");
    assert_eq!(key("select \u{1}"), "select _A");
    assert_ne!(key("select \u{1}"), key("select 'x'"));
    assert_eq!(literals("select 'a''b', 12 from t where x = $t$ ' $t$"), ["'a''b'", "12", "$t$ ' $t$"]);
}

#[test]
fn ordinals_and_type_modifiers_stay() {
    assert_eq!(
        key("select a from t order by 1, a + 2, 3 desc limit 4"),
        "select a from t order by 1,a + C,3 desc limit C"
    );
    assert_eq!(
        key("select 1 from t group by 1, (2), rollup(3) having 4 = 5"),
        "select C from t group by 1,(2),rollup(3)having C = C"
    );
    assert_eq!(key("select distinct on (1, 2) 3 from t"), "select distinct on(1,2)C from t");
    assert_eq!(key("select (select 1 from u order by 1), 2"), "select(select C from u order by 1),C");
    assert_eq!(
        key("select a::numeric(10,2), b::foo.bar(7), f(7)"),
        "select a :: numeric(10,2),b :: foo.bar(7),f(C)"
    );
    assert_eq!(key("select cast(a as varchar(3))"), "select cast(a as varchar(3))");
    assert_eq!(key("select a::int in (1, 2)"), "select a :: int in(C,C)");
    assert_eq!(key("select a from t order by 12345"), "select a from t order by C");
}

#[test]
fn too_large_is_flagged() {
    let mut buffers = ShapeBuffers::default();
    let many = format!("select {}", "1,".repeat(TOKENS_MAX as usize));
    assert_eq!(shape(many.as_bytes(), LexOptions::default(), &mut buffers).size, Size::TooLarge);
    let deep = format!("select {}1{}", "(".repeat(500), ")".repeat(500));
    assert_eq!(shape(deep.as_bytes(), LexOptions::default(), &mut buffers).size, Size::TooLarge);
    assert_eq!(shape(b"select 1", LexOptions::default(), &mut buffers).size, Size::Parseable);
    assert!(shape(b"select 'a", LexOptions::default(), &mut buffers).broken);
}

#[test]
fn hints_stand_in_the_first_comment_only() {
    let shard = |name: &str| Some(name.to_owned());
    assert_eq!(
        hint(" /* meridian: shard=eu-central role=primary */ select 1"),
        Ok(Some(Hint { shard: shard("eu-central"), role: Some(HintRole::Primary) }))
    );
    assert_eq!(
        hint("/*meridian: role=replica*/select 1"),
        Ok(Some(Hint { shard: None, role: Some(HintRole::Replica) }))
    );
    assert_eq!(hint("select /* meridian: shard=a */ 1"), Ok(None));
    assert_eq!(hint("/* app */ /* meridian: shard=a */ select 1"), Ok(None));
    assert_eq!(hint("select '/* meridian: shard=a */'"), Ok(None));
    assert_eq!(hint("-- meridian: shard=a\nselect 1"), Ok(None));
    assert_eq!(hint("/* meridian: shrad=a */ select 1"), Err(HintError::UnknownKey("shrad".into())));
    assert!(hint("/* meridian: role=both */ select 1").is_err());
    assert!(hint("/* meridian: shard=a shard=b */ select 1").is_err());
    assert_eq!(key("/* meridian: shard=a */ select 1"), key("select 1"));
}

proptest! {
    /// The key holds the text's tokens in order, with markers in the literals' places.
    #[test]
    fn key_and_literals_reconstruct_the_tokens(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "select", "'a'", "E'\\''", "12", "1.5", ".", "\"Q\"", "$1", "(", ")", ",", "order", "by", "::", "=", "-",
            "/*c*/", "\n", "$$x$$", "+", "t", "[", ":", "]", "0x1",
        ]), 0..40)) {
        let text = words.join(" ");
        let mut buffers = ShapeBuffers::default();
        let shaped = shape(text.as_bytes(), LexOptions::default(), &mut buffers);
        let mut literals = shaped.literals.iter();
        let mut rebuilt = Vec::new();
        let mut quoted = false;
        for byte in shaped.key {
            quoted ^= *byte == b'"';
            if *byte < b' ' && !quoted {
                let literal = literals.next().expect("a literal per marker");
                rebuilt.push(b' ');
                rebuilt.extend_from_slice(&text.as_bytes()[literal.start as usize..literal.end as usize]);
                rebuilt.push(b' ');
            } else {
                rebuilt.push(*byte);
            }
        }
        let tokens = |bytes: &[u8]| -> Vec<Vec<u8>> {
            Lexer::new(bytes, LexOptions::default()).filter(|t| !t.kind.is_trivia())
                .map(|t| t.bytes(bytes).to_vec()).collect()
        };
        prop_assert_eq!(tokens(text.as_bytes()), tokens(&rebuilt));
    }
}

//! Whether a text has a `*` that stands for columns.
//!
//! Asked by the session for prepared statements: the columns of such an answer change with those of its tables.

use super::lexer::LexOptions;
use super::tokens::Tokens;

/// What may stand behind the last item of a list of columns.
const BEHIND: [&str; 14] = [
    "from",
    "into",
    "where",
    "group",
    "having",
    "window",
    "union",
    "intersect",
    "except",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
];

/// Not that of `count(*)`, of a multiplication, of a string or of a comment. True where the text is not looked into.
pub fn stands_for_columns(text: &[u8], options: LexOptions) -> bool {
    let Some(t) = Tokens::new(text, options) else { return true };
    (0..t.len()).any(|at| {
        let is_star = t.operator(at, "*") || t.punctuation(at, b'*');
        let is_last = at + 1 == t.len()
            || [b',', b')', b';'].iter().any(|byte| t.punctuation(at + 1, *byte))
            || t.is_any(at + 1, &BEHIND);
        is_star && is_last && !(at > 0 && t.punctuation(at - 1, b'('))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stars_that_stand_for_columns_are_found() {
        let options = LexOptions { standard_conforming_strings: true };
        for text in [
            "SELECT * FROM t",
            "SELECT *",
            "select a, t.* from t",
            "SELECT DISTINCT *, b FROM t",
            "SELECT DISTINCT ON (a) * FROM t",
            "SELECT (SELECT count(*) FROM (SELECT * FROM u) v)",
            "INSERT INTO t VALUES (1) RETURNING *",
            "SELECT */**/ from t",
            "SELECT * UNION SELECT 1",
        ] {
            assert!(stands_for_columns(text.as_bytes(), options), "{text}");
        }
        for text in [
            "SELECT count(*) FROM t",
            "SELECT a * b, c*2 FROM t",
            "SELECT '*' FROM t /* all * */ -- *",
            "SELECT sum(a * (b)) FROM t WHERE a * 2 = $1",
        ] {
            assert!(!stands_for_columns(text.as_bytes(), options), "{text}");
        }
    }
}

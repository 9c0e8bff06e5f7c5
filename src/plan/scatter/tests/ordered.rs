//! ORDER BY and LIMIT: hidden columns, names and ordinals, bounds.
//!
//! Each case looks at the text for the shards or at the values of one execution: keys become hidden columns under
//! names of our own, limits are pushed down with their offset, text is merged only in byte order, and parameters of
//! LIMIT are read in text and binary with PostgreSQL's own errors.

use std::sync::Arc;

use super::fixture::{compile, plan, shard};
use crate::merge::types::oid;
use crate::plan::scatter::{BoundLimits, Combine, LimitValue, Limits, Scatter};
use crate::sql::arguments::{Arguments, NoParameters, Parameters};
use crate::sql::lexer::LexOptions;
use crate::sql::parse::parse;

#[test]
fn plain_rows_are_forwarded_as_they_come() {
    assert_eq!(
        plan("SELECT * FROM rides WHERE tip > 5"),
        "each shard: the statement as it is\ncombine: rows as they come"
    );
}

#[test]
fn limit_without_order_is_pushed_down_with_its_offset() {
    assert_eq!(
        plan("SELECT id FROM rides LIMIT 5 OFFSET 2"),
        "each shard: SELECT id FROM rides LIMIT $1::bigint\ncombine: rows as they come\noffset: 2\nlimit: 5"
    );
    assert_eq!(shard("SELECT id FROM rides OFFSET 2"), "SELECT id FROM rides");
}

#[test]
fn keys_become_hidden_columns() {
    assert_eq!(
        plan("SELECT city FROM rides ORDER BY at DESC, fare + 1 NULLS FIRST LIMIT 3"),
        "each shard: SELECT city, at AS meridian__k1, fare + 1 AS meridian__k2 FROM rides \
         ORDER BY meridian__k1 DESC NULLS FIRST, meridian__k2 ASC NULLS FIRST LIMIT $1::bigint\n\
         combine: merge in order by 2 hidden columns\n\
         combine: by one server if a key is text not in byte order\n\
         limit: 3"
    );
}

#[test]
fn a_bare_name_means_the_output_column_first() {
    assert!(shard("SELECT tip + 1 AS fare FROM rides ORDER BY fare").contains(", tip + 1 AS meridian__k1"));
    assert!(
        shard("SELECT tip + 1 AS fare FROM rides ORDER BY fare + 0").contains(", fare + 0 AS meridian__k1")
    );
    assert!(shard("SELECT abs(tip) FROM rides ORDER BY abs").contains(", abs(tip) AS meridian__k1"));
    assert!(shard("SELECT id, tip FROM rides ORDER BY 2").contains(", tip AS meridian__k1"));
    for other in
        ["CASE WHEN ok THEN 1 END", "extract(hour FROM at)", "'a'::text", "tip::int8", "NOT ok", "true"]
    {
        let sql = format!("SELECT {other}, id AS x FROM rides ORDER BY x");
        assert!(shard(&sql).contains(", id AS meridian__k1"), "{}", plan(&sql));
    }
    assert!(shard("SELECT * FROM rides ORDER BY 1").contains(", \"rides\".\"id\" AS meridian__k1"));
}

#[test]
fn text_is_merged_only_in_byte_order() {
    let kind = |sql: &str| match compile(sql).unwrap().combine {
        Combine::Ordered { otherwise: None, .. } => "merged",
        Combine::Ordered { otherwise: Some(_), .. } => "merged or finished",
        Combine::Finish(_) => "finished",
        Combine::Concat | Combine::Distinct => "as they come",
        Combine::Parts(_) => "in parts",
        Combine::Scratch(_) => "gathered",
    };
    assert_eq!(kind("SELECT id FROM rides ORDER BY c_text"), "merged");
    assert_eq!(kind("SELECT id FROM rides ORDER BY city COLLATE \"C\""), "merged");
    assert_eq!(kind("SELECT id FROM rides ORDER BY city COLLATE \"de-x-icu\""), "finished");
    assert_eq!(kind("SELECT id FROM rides ORDER BY city"), "finished");
    assert_eq!(kind("SELECT id FROM rides ORDER BY lower(city)"), "merged or finished");
}

/// The merge sees UTF-8, whatever the servers store and sort by.
#[test]
fn text_in_another_encoding_is_never_merged_by_bytes() {
    let mut ctx = super::fixture::context();
    Arc::get_mut(&mut ctx.catalog).unwrap().other_encoding = true;
    let finished = |key: &str| {
        let sql = format!("SELECT id FROM rides ORDER BY {key}");
        let parsed = parse(sql.as_bytes(), LexOptions::default());
        matches!(Scatter::merge(&parsed, &ctx).unwrap().combine, Combine::Finish(_))
    };
    assert!(finished("c_text") && finished("city COLLATE \"C\""));
    assert!(!finished("tip"));
}

#[test]
fn types_without_a_comparator_are_refused_at_run_time() {
    let scatter = compile("SELECT id FROM rides ORDER BY tip, lower(city)").unwrap();
    assert_eq!(scatter.hidden_columns(), 2);
    assert_eq!(scatter.visible_columns, Some(1));
    assert!(scatter.sort_keys(&[oid::INT4, oid::INT8]).is_ok());
    assert_eq!(scatter.sort_keys(&[oid::INT4, oid::TEXT]).unwrap_err().code, "S025");
    assert!(scatter.sort_keys(&[oid::INT4]).is_err());
}

#[test]
fn columns_of_a_star_are_counted_by_the_catalog() {
    assert_eq!(compile("SELECT * FROM stops").unwrap().visible_columns, Some(3));
    assert_eq!(compile("SELECT *, 1 FROM stops, riders").unwrap().visible_columns, Some(6));
    assert_eq!(compile("SELECT stops.* FROM stops, riders").unwrap().visible_columns, None);
}

#[test]
fn parameters_that_leave_the_text_are_declared() {
    let scatter = compile("SELECT id FROM rides WHERE tip = $1 LIMIT $2 OFFSET $3::int").unwrap();
    assert_eq!(scatter.undeclared, [(1, oid::INT8), (2, oid::INT4)]);
    assert_eq!(scatter.pushed_limit, Some(3));
    assert!(!scatter.learn_parameters);
    assert!(compile("SELECT id FROM rides ORDER BY tip + $1").unwrap().learn_parameters);
}

struct Bind(Vec<(Option<&'static [u8]>, bool, u32)>);

impl Parameters for Bind {
    fn value(&self, index: usize) -> Option<Option<&[u8]>> {
        self.0.get(index).map(|(value, ..)| *value)
    }

    fn is_binary(&self, index: usize) -> bool {
        self.0[index].1
    }

    fn declared_type(&self, index: usize) -> u32 {
        self.0[index].2
    }
}

fn bind(limit: LimitValue, offset: LimitValue, parameters: &dyn Parameters) -> Result<BoundLimits, String> {
    let arguments = Arguments { text: b"", literals: &[], parameters };
    Limits { limit, offset }.bind(&arguments).map_err(|refusal| refusal.sqlstate.to_owned())
}

#[test]
fn bounds_are_added_and_saturate_to_none() {
    use LimitValue::{Absent, Constant};
    let bound = |limit, offset| bind(limit, offset, &NoParameters).map(|b| (b.offset, b.limit, b.pushed));
    assert_eq!(bound(Constant(5), Constant(2)), Ok((2, Some(5), Some(7))));
    assert_eq!(bound(Absent, Constant(2)), Ok((2, None, None)));
    assert_eq!(bound(Constant(i64::MAX), Constant(1)), Ok((1, Some(i64::MAX as u64), None)));
    assert_eq!(bound(Constant(-1), Absent), Err("2201W".to_owned()));
    assert_eq!(bound(Constant(-1), Constant(-1)), Err("2201X".to_owned()));
}

#[test]
fn bound_parameters_are_read_in_text_and_binary() {
    let param = LimitValue::Param { index: 0, type_oid: oid::INT8 };
    let value = |bytes, binary, declared| {
        bind(param, LimitValue::Absent, &Bind(vec![(bytes, binary, declared)])).map(|bound| bound.limit)
    };
    assert_eq!(value(Some(b" 12 "), false, 0), Ok(Some(12)));
    assert_eq!(value(Some(&[0, 3]), true, oid::INT2), Ok(Some(3)));
    assert_eq!(value(Some(&[0, 0, 0, 3]), true, oid::INT4), Ok(Some(3)));
    assert_eq!(value(Some(&[0, 0, 0, 0, 0, 0, 0, 3]), true, 0), Ok(Some(3)));
    assert_eq!(value(None, true, 0), Ok(None));
    assert_eq!(value(Some(b"x"), false, 0), Err("22P02".to_owned()));
    assert_eq!(value(Some(&[0, 0, 0, 3]), true, 0), Err("22P03".to_owned()));
    assert_eq!(value(Some(b"1"), false, oid::NUMERIC), Err("0A000".to_owned()));
    assert_eq!(bind(param, LimitValue::Absent, &NoParameters), Err("08P01".to_owned()));
}

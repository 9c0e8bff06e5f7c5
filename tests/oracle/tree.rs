//! Statements as trees: printed in one go, and made smaller node by node.
//!
//! The tree knows nothing of SQL but where something may be left out or replaced: an item of a list, an optional
//! clause, an expression by one of its parts. A smaller statement may be nonsense; PostgreSQL then refuses it, and the
//! shrinking goes on elsewhere.
//!
//! Marks say what the comparison must know of the outermost query: they are collected while printing, so that a
//! statement that lost its ORDER BY in shrinking is compared as one without.

use std::borrow::Cow;

/// What a part of the outermost query means for the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A sort key; the output column that shows its value, if one does.
    OrderKey(Option<String>),
    /// Sort keys that leave no ties.
    Unique,
    /// LIMIT, OFFSET or FETCH.
    Limit,
    /// FETCH … WITH TIES.
    Ties,
    /// Rows are chosen among equals: DISTINCT ON.
    Choice,
}

#[derive(Debug, Clone)]
pub enum Node {
    Text(Cow<'static, str>),
    Value(Value),
    Seq(Vec<Node>),
    /// Nothing at all when no item is left.
    List {
        head: &'static str,
        between: &'static str,
        tail: &'static str,
        items: Vec<Node>,
        least: usize,
    },
    Optional(Box<Node>),
    /// Printed as the first; the others make sense in its place.
    Either(Vec<Node>),
    Marked(Mark, Box<Node>),
}

/// A value, written out or sent as a parameter.
#[derive(Debug, Clone)]
pub struct Value {
    /// As SQL.
    pub literal: String,
    /// As the text of a parameter, and None for NULL.
    pub raw: Option<String>,
    /// The cast behind `$1`, if any.
    pub cast: &'static str,
    /// What may be declared in Parse instead.
    pub type_oid: u32,
    pub is_parameter: bool,
}

impl From<&'static str> for Node {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// One node of several, in their order.
macro_rules! seq {
    ($($part:expr),+ $(,)?) => { $crate::tree::Node::Seq(vec![$($crate::tree::Node::from($part)),+]) };
}
pub(crate) use seq;

/// A statement as it is sent.
#[derive(Debug, Clone, Default)]
pub struct Printed {
    pub text: String,
    pub parameters: Vec<Option<String>>,
    /// A type for each parameter; zero: the server is to find it.
    pub types: Vec<u32>,
    pub marks: Vec<Mark>,
}

impl Printed {
    pub fn has(&self, mark: &Mark) -> bool {
        self.marks.contains(mark)
    }
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    AsIs,
    /// Values of parameters written out.
    Literals,
    /// Without LIMIT, OFFSET and FETCH.
    Unlimited,
    UnlimitedLiterals,
}

impl Style {
    fn is_unlimited(self) -> bool {
        matches!(self, Self::Unlimited | Self::UnlimitedLiterals)
    }

    fn has_parameters(self) -> bool {
        matches!(self, Self::AsIs | Self::Unlimited)
    }
}

impl Node {
    /// Nothing.
    pub fn empty() -> Self {
        Self::Seq(Vec::new())
    }

    pub fn optional(self) -> Self {
        Self::Optional(Box::new(self))
    }

    pub fn marked(self, mark: Mark) -> Self {
        Self::Marked(mark, Box::new(self))
    }

    /// This, or in its place one of the simpler ones.
    pub fn or(self, simpler: Vec<Node>) -> Self {
        Self::Either([vec![self], simpler].concat())
    }

    pub fn print(&self, style: Style) -> Printed {
        let mut printed = Printed::default();
        self.print_to(style, &mut printed);
        printed
    }

    fn print_to(&self, style: Style, to: &mut Printed) {
        match self {
            Self::Text(text) => to.text.push_str(text),
            Self::Value(value) if value.is_parameter && style.has_parameters() => {
                to.parameters.push(value.raw.clone());
                to.types.push(value.type_oid);
                to.text.push_str(&format!("${}{}", to.parameters.len(), value.cast));
            }
            Self::Value(value) => to.text.push_str(&value.literal),
            Self::Seq(parts) => parts.iter().for_each(|part| part.print_to(style, to)),
            Self::List { items, .. } if items.is_empty() => {}
            Self::List { head, between, tail, items, .. } => {
                to.text.push_str(head);
                for (index, item) in items.iter().enumerate() {
                    to.text.push_str(if index == 0 { "" } else { between });
                    item.print_to(style, to);
                }
                to.text.push_str(tail);
            }
            Self::Optional(node) => node.print_to(style, to),
            Self::Either(nodes) => nodes[0].print_to(style, to),
            Self::Marked(Mark::Limit | Mark::Ties, _) if style.is_unlimited() => {}
            Self::Marked(mark, node) => {
                to.marks.push(mark.clone());
                node.print_to(style, to);
            }
        }
    }

    /// Makes the simplification that `left` counts down to; false: it is none of this tree's.
    pub fn simplify(&mut self, left: &mut usize) -> bool {
        let mut is_due = || {
            let due = *left == 0;
            *left = left.wrapping_sub(1);
            due
        };
        match self {
            Self::Text(_) => false,
            Self::Value(value) if value.is_parameter => {
                let due = is_due();
                value.is_parameter &= !due;
                due
            }
            Self::Value(_) => false,
            Self::Seq(parts) => parts.iter_mut().any(|part| part.simplify(left)),
            Self::List { items, least, .. } => {
                for index in 0..if items.len() > *least { items.len() } else { 0 } {
                    if is_due() {
                        items.remove(index);
                        return true;
                    }
                }
                items.iter_mut().any(|item| item.simplify(left))
            }
            Self::Optional(node) => {
                if is_due() {
                    *self = Self::empty();
                    return true;
                }
                node.simplify(left)
            }
            Self::Either(nodes) => {
                for index in 1..nodes.len() {
                    if is_due() {
                        *self = nodes.swap_remove(index);
                        return true;
                    }
                }
                nodes[0].simplify(left)
            }
            Self::Marked(_, node) => node.simplify(left),
        }
    }
}

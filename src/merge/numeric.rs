//! PostgreSQL's binary `numeric`, compared exactly at any number of digits.
//!
//! The form (`numeric_send`): four 16-bit words — number of digits, weight, sign, display scale — and that many
//! base-10000 digits, the first of which counts 10000^weight. The order is PostgreSQL's (`cmp_numerics`):
//! -Infinity, the numbers, Infinity, and NaN above all; the display scale does not count, so 1.0 = 1.00.

use std::cmp::Ordering;

use super::error::MergeError;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// Checks that the bytes are a numeric; after that [`compare`] is exact on them.
pub fn check(bytes: &[u8]) -> Result<(), MergeError> {
    let malformed = Err(MergeError::Malformed("numeric"));
    if bytes.len() < 8 || bytes.len() != 8 + 2 * usize::from(word(bytes, 0)) {
        return malformed;
    }
    match word(bytes, 4) {
        POSITIVE | NEGATIVE | NAN | INFINITY | NEGATIVE_INFINITY => {}
        _ => return malformed,
    }
    match digits(bytes).all(|digit| digit < 10_000) {
        true => Ok(()),
        false => malformed,
    }
}

/// Orders two checked numerics.
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (class_a, class_b) = (class(a), class(b));
    class_a.cmp(&class_b).then_with(|| match class_a {
        Class::Negative => magnitude(b, a),
        Class::Positive => magnitude(a, b),
        Class::NegativeInfinity | Class::Zero | Class::Infinity | Class::NotANumber => Ordering::Equal,
    })
}

/// In PostgreSQL's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    NegativeInfinity,
    Negative,
    Zero,
    Positive,
    Infinity,
    NotANumber,
}

fn class(bytes: &[u8]) -> Class {
    match word(bytes, 4) {
        NAN => Class::NotANumber,
        INFINITY => Class::Infinity,
        NEGATIVE_INFINITY => Class::NegativeInfinity,
        _ if digits(bytes).all(|digit| digit == 0) => Class::Zero,
        NEGATIVE => Class::Negative,
        _ => Class::Positive,
    }
}

/// Orders the absolute values of two numbers that are not zero.
fn magnitude(a: &[u8], b: &[u8]) -> Ordering {
    let (weight_a, skip_a) = leading(a);
    let (weight_b, skip_b) = leading(b);
    weight_a.cmp(&weight_b).then_with(|| {
        let mut left = digits(a).skip(skip_a);
        let mut right = digits(b).skip(skip_b);
        loop {
            match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                // Trailing zero digits count nothing.
                (x, y) => match x.unwrap_or(0).cmp(&y.unwrap_or(0)) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
            }
        }
    })
}

/// The weight of the first digit that is not zero, and how many zero digits stand before it.
fn leading(bytes: &[u8]) -> (i32, usize) {
    let zeros = digits(bytes).take_while(|digit| *digit == 0).count();
    let weight = i32::from(word(bytes, 2) as i16);
    // A count of digits is at most a u16.
    (weight - zeros as i32, zeros)
}

fn word(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(pair) => u16::from_be_bytes([pair[0], pair[1]]),
        None => 0,
    }
}

fn digits(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.get(8..).unwrap_or_default().chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// numeric_send of `value / 10000^scale_digits`, with `lead` needless zero digits in front.
    pub(crate) fn encode(value: i128, scale_digits: u16, lead: usize) -> Vec<u8> {
        let mut rest = value.unsigned_abs();
        let mut digits = Vec::new();
        while rest > 0 {
            digits.push((rest % 10_000) as u16);
            rest /= 10_000;
        }
        digits.extend(std::iter::repeat_n(0, lead));
        digits.reverse();
        let weight = digits.len() as i32 - 1 - i32::from(scale_digits);
        let mut out = Vec::new();
        out.extend((digits.len() as u16).to_be_bytes());
        out.extend((weight as i16).to_be_bytes());
        out.extend((if value < 0 { NEGATIVE } else { POSITIVE }).to_be_bytes());
        out.extend((scale_digits * 4).to_be_bytes());
        for digit in digits {
            out.extend(digit.to_be_bytes());
        }
        out
    }

    fn special(sign: u16) -> Vec<u8> {
        let mut out = vec![0; 4];
        out.extend(sign.to_be_bytes());
        out.extend([0, 0]);
        out
    }

    #[test]
    fn special_values_stand_at_the_ends() {
        let rising = [
            special(NEGATIVE_INFINITY),
            encode(-5, 0, 0),
            encode(-5, 1, 0),
            encode(0, 0, 0),
            encode(5, 1, 2),
            encode(5, 0, 0),
            special(INFINITY),
            special(NAN),
        ];
        for (i, a) in rising.iter().enumerate() {
            assert!(check(a).is_ok());
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{i} {j}");
            }
        }
    }

    #[test]
    fn malformed_numerics_are_refused() {
        assert!(check(&[]).is_err());
        assert!(check(&special(0x1234)).is_err());
        assert!(check(&[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10]).is_err());
        assert!(check(&[0, 2, 0, 0, 0, 0, 0, 0, 0, 1]).is_err());
    }

    proptest! {
        /// a / 10000^s against b / 10000^t is a * 10000^t against b * 10000^s.
        #[test]
        fn order_is_that_of_rationals(
            a in -(1i128 << 80)..(1i128 << 80), s in 0u16..3, x in 0usize..3,
            b in -(1i128 << 80)..(1i128 << 80), t in 0u16..3, y in 0usize..3,
        ) {
            let expected = (a * 10_000i128.pow(t.into())).cmp(&(b * 10_000i128.pow(s.into())));
            let (left, right) = (encode(a, s, x), encode(b, t, y));
            prop_assert!(check(&left).is_ok() && check(&right).is_ok());
            prop_assert_eq!(compare(&left, &right), expected);
        }

        #[test]
        fn small_values_meet_often(a in -30i128..30, s in 0u16..2, b in -30i128..30, t in 0u16..2) {
            let (a, b) = (a * 10_000, b * 10_000);
            let expected = (a * 10_000i128.pow(t.into())).cmp(&(b * 10_000i128.pow(s.into())));
            prop_assert_eq!(compare(&encode(a, s, 0), &encode(b, t, 1)), expected);
        }
    }
}

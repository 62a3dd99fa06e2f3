// SPDX-License-Identifier: Apache-2.0
//! Sine and cosine, correctly rounded: the double nearest to the true value. Solutions are compared bit by bit with
//! values that other programs have computed, and the C library of components is often off by the last bit.
//!
//! Numbers are sums of two doubles here, which together have about 100 bits.

/// A sum of two doubles, the second one far smaller than the first.
type Pair = (f64, f64);

/// π/2 in parts.
const HALF_PI: [f64; 4] = [
    f64::from_bits(0x3ff9_21fb_5440_0000),
    f64::from_bits(0x3dd0_b461_1a60_0000),
    f64::from_bits(0x3ba3_198a_2e00_0000),
    f64::from_bits(0x397b_839a_2520_49c1),
];

/// Beyond this the parts of π/2 are too few.
const LARGEST: f64 = 1_000_000.0;

/// The sine of an angle in radians.
pub(crate) fn sin(x: f64) -> f64 {
    // The sine of a tiny angle is just below it.
    if x.abs() > LARGEST || x.abs() < 1e-8 || x.is_nan() {
        return x.sin();
    }
    let (quarter, rest) = reduce(x);
    rounded(quarter, rest)
}

/// The cosine of an angle in radians.
pub(crate) fn cos(x: f64) -> f64 {
    if x.abs() > LARGEST || x.abs() < 1e-8 || x.is_nan() {
        return x.cos();
    }
    let (quarter, rest) = reduce(x);
    rounded((quarter + 1) & 3, rest)
}

/// The sine of so many quarters of a circle and a rest.
fn rounded(quarter: u8, rest: Pair) -> f64 {
    let (high, low) = if quarter & 1 == 0 { series(rest, rest, 1) } else { series((1.0, 0.0), rest, 0) };
    let value = high + low;
    if quarter & 2 == 0 { value } else { -value }
}

/// How many quarters of a circle, modulo 4, and what is left: at most an eighth of a circle.
fn reduce(x: f64) -> (u8, Pair) {
    let quarters = (x / std::f64::consts::FRAC_PI_2).round();
    let mut rest = (x, 0.0);
    for part in HALF_PI {
        rest = add(rest, negated(product(quarters, part)));
    }
    // Below 2^20, so nothing is lost.
    (((quarters as i64) & 3) as u8, rest)
}

/// The sum of the Taylor series whose first term has this power: each term is the one before by -x²/((n+1)(n+2)).
fn series(first: Pair, x: Pair, first_power: u32) -> Pair {
    let square = times(x, x);
    let mut term = first;
    let mut sum = first;
    // The last term is less than 1e-31 of the first.
    for step in 0..14 {
        let power = f64::from(first_power + 2 * step);
        term = over(negated(times(term, square)), (power + 1.0) * (power + 2.0));
        sum = add(sum, term);
    }
    sum
}

fn negated((high, low): Pair) -> Pair {
    (-high, -low)
}

/// The sum of two doubles, exactly.
fn exact_sum(a: f64, b: f64) -> Pair {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// The product of two doubles, exactly.
fn product(a: f64, b: f64) -> Pair {
    let high = a * b;
    (high, a.mul_add(b, -high))
}

fn add(a: Pair, b: Pair) -> Pair {
    let (high, low) = exact_sum(a.0, b.0);
    let (low, lowest) = exact_sum(low, a.1 + b.1);
    let (high, low) = exact_sum(high, low);
    exact_sum(high, low + lowest)
}

fn times(a: Pair, b: Pair) -> Pair {
    let (high, low) = product(a.0, b.0);
    exact_sum(high, low + (a.0 * b.1 + a.1 * b.0))
}

fn over(a: Pair, by: f64) -> Pair {
    let high = a.0 / by;
    let (back, lost) = product(high, by);
    let low = ((a.0 - back) - lost + a.1) / by;
    exact_sum(high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_nearest_doubles() {
        // Computed with 200 bits and rounded once.
        for (x, sine, cosine) in CASES {
            assert_eq!((sin(x).to_bits(), cos(x).to_bits()), (sine.to_bits(), cosine.to_bits()), "{x}");
        }
    }

    #[test]
    fn signs_and_limits_are_those_of_the_functions() {
        assert_eq!(sin(0.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(sin(-0.0).to_bits(), (-0.0_f64).to_bits());
        assert_eq!(cos(0.0), 1.0);
        assert_eq!(sin(1e-300), 1e-300);
        assert!(sin(f64::NAN).is_nan() && cos(f64::INFINITY).is_nan());
        for tenths in -5_000_i32..5_000 {
            let x = f64::from(tenths) / 10.0;
            assert_eq!((sin(-x), cos(-x)), (-sin(x), cos(x)));
            assert!((sin(x) - x.sin()).abs() < 3e-16 && (cos(x) - x.cos()).abs() < 3e-16, "{x}");
        }
    }

    /// Angle, sine, cosine.
    #[allow(clippy::approx_constant, reason = "the angles are those floats, whatever they are near to")]
    const CASES: [(f64, f64, f64); 17] = [
        (-559.8598876217351, -0.610265176106119, 0.792197207033809),
        (90449.00255077466, 0.5576389563471067, -0.8300836068518096),
        (-96.67528535262177, -0.6549276743890434, -0.7556915649386059),
        (-25.996340737635506, -0.760186102833739, 0.6497053863548093),
        (-26.26, -0.903239220699218, 0.4291374024606445),
        (1.0, 0.8414709848078965, 0.5403023058681398),
        (0.5, 0.479425538604203, 0.8775825618903728),
        (3.14, 0.0015926529164868282, -0.9999987317275395),
        (22.0, -0.008851309290403876, -0.9999608263946371),
        (355.0, -3.014435335948845e-05, -0.999999999545659),
        (-1000.0, -0.8268795405320025, 0.5623790762907029),
        (999999.0, -0.9773520315382229, 0.21161995758460128),
        (0.7853981633974483, 0.7071067811865475, 0.7071067811865476),
        (1.5707963267948966, 1.0, 6.123233995736766e-17),
        (3.141592653589793, 1.2246467991473532e-16, -1.0),
        (123456.789, -0.9986640823432246, 0.05167253271870138),
        (0.001, 0.0009999998333333417, 0.9999995000000417),
    ];
}

// SPDX-License-Identifier: Apache-2.0
//! Confidence intervals of means by Student's distribution.

/// The 95 % interval around a mean with this standard error; none for fewer than two values.
pub(super) fn interval_95(mean: f64, error: f64, count: usize) -> Option<(f64, f64)> {
    if count < 2 {
        return None;
    }
    if error == 0.0 {
        return Some((mean, mean));
    }
    let width = quantile_975(count - 1) * error;
    Some((mean - width, mean + width))
}

/// The quantiles for 1 to 63 degrees of freedom, with the last digits that SciPy computes, which are not always the nearest:
/// NeMo Gym's intervals are SciPy's, and those over repeats have few degrees of freedom.
const FEW: [f64; 63] = [
    12.706_204_736_174_694,
    4.302_652_729_749_462,
    3.182_446_305_283_707_8,
    2.776_445_105_197_793_4,
    2.570_581_835_636_314_6,
    2.446_911_851_144_978_6,
    2.364_624_251_592_784,
    2.306_004_135_204_166,
    2.262_157_162_798_205,
    2.228_138_851_986_274,
    2.200_985_160_091_639,
    2.178_812_829_667_228_4,
    2.160_368_656_462_791_3,
    2.144_786_687_917_804,
    2.131_449_545_559_776,
    2.119_905_299_221_254_6,
    2.109_815_577_833_315_6,
    2.100_922_040_241_038_2,
    2.093_024_054_408_308_7,
    2.085_963_447_265_864,
    2.079_613_844_727_679_5,
    2.073_873_067_904_025_4,
    2.068_657_610_419_048_6,
    2.063_898_561_628_024_5,
    2.059_538_552_753_297_2,
    2.055_529_438_642_873_5,
    2.051_830_516_480_284_6,
    2.048_407_141_795_245_4,
    2.045_229_642_132_703,
    2.042_272_456_301_237_8,
    2.039_513_446_396_408,
    2.036_933_343_460_101_6,
    2.034_515_297_449_338_3,
    2.032_244_509_317_718_6,
    2.030_107_928_250_343,
    2.028_094_000_980_450_2,
    2.026_192_463_029_109_3,
    2.024_394_163_911_969_4,
    2.022_690_920_036_761,
    2.021_075_390_306_273,
    2.019_540_970_441_376,
    2.018_081_702_818_444_3,
    2.016_692_199_227_824,
    2.015_367_574_443_763_6,
    2.014_103_388_880_846,
    2.012_895_598_919_429,
    2.011_740_513_729_765_5,
    2.010_634_757_624_232,
    2.009_575_237_129_239_2,
    2.008_559_112_100_761,
    2.007_583_770_315_836,
    2.006_646_805_061_688,
    2.005_745_995_317_868_7,
    2.004_879_288_188_056_4,
    2.004_044_783_289_145_5,
    2.003_240_718_847_872,
    2.002_465_459_291_007,
    2.001_717_484_145_235_6,
    2.000_995_378_088_267,
    2.000_297_822_014_260_4,
    1.999_623_584_994_939,
    1.998_971_517_033_378_8,
    1.998_340_542_520_741,
];

/// The value that Student's distribution with so many degrees of freedom exceeds in 2.5 % of all cases.
fn quantile_975(freedom: usize) -> f64 {
    // What is asked for is the number next to 0.975, which lies 2.2e-17 below; the density there is 0.058.
    const SHIFT: f64 = 2.2e-17 / 0.058;
    match freedom.checked_sub(1).and_then(|index| FEW.get(index)) {
        Some(known) => *known,
        None => computed_975(freedom) - SHIFT,
    }
}

/// The same, computed.
fn computed_975(freedom: usize) -> f64 {
    // The normal distribution's.
    const Z: f64 = 1.959_963_984_540_054;
    let n = freedom as f64;
    // The expansion in powers of 1/n around the normal distribution; what it leaves out is below the last digit for a
    // thousand degrees of freedom and more, and a good place to start from for fewer.
    let power = |exponent: i32| Z.powi(exponent);
    let terms = [
        (power(3) + Z) / 4.0,
        (5.0 * power(5) + 16.0 * power(3) + 3.0 * Z) / 96.0,
        (3.0 * power(7) + 19.0 * power(5) + 17.0 * power(3) - 15.0 * Z) / 384.0,
        (79.0 * power(9) + 776.0 * power(7) + 1482.0 * power(5) - 1920.0 * power(3) - 945.0 * Z) / 92160.0,
    ];
    let expansion = Z + terms.iter().rev().fold(0.0, |sum, term| (sum + term) / n);
    if freedom >= 1000 {
        return expansion;
    }
    // Bisection ends at neighbouring numbers, so it always ends. The inside grows with the value.
    let (mut low, mut high) = (1.9_f64, 13.0_f64);
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return high;
        }
        if inside(middle, freedom) < 0.95 { low = middle } else { high = middle }
    }
}

/// How much of the distribution lies between -t and t: the finite series for whole degrees of freedom.
fn inside(t: f64, freedom: usize) -> f64 {
    let n = freedom as f64;
    let sine = t / (n + t * t).sqrt();
    let cosine_squared = n / (n + t * t);
    let (first, start) = if freedom.is_multiple_of(2) { (1.0, 1) } else { (cosine_squared.sqrt(), 2) };
    let mut sum = 0.0;
    let mut term = first;
    let mut k = start;
    while k < freedom {
        sum += term;
        term *= cosine_squared * k as f64 / (k + 1) as f64;
        k += 2;
    }
    if freedom.is_multiple_of(2) {
        sine * sum
    } else {
        2.0 / std::f64::consts::PI * ((t / n.sqrt()).atan() + sine * sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of printed tables with more digits from the closed forms: for 1 it is tan(0.475 π), for 2 it is
    /// 0.95 √2 / √(1 - 0.95²).
    #[test]
    fn quantiles_are_those_of_the_tables() {
        let one = (0.475 * std::f64::consts::PI).tan();
        let two = 0.95 * 2.0_f64.sqrt() / (1.0 - 0.95_f64 * 0.95).sqrt();
        for (freedom, expected, tolerance) in [
            (1, one, 1e-12),
            (2, two, 1e-13),
            (3, 3.182_446_305, 1e-8),
            (4, 2.776_445_105, 1e-8),
            (9, 2.262_157_163, 1e-8),
            (30, 2.042_272_456, 1e-8),
            (100, 1.983_971_519, 1e-8),
            (1000, 1.962_339_081, 1e-8),
        ] {
            for found in [quantile_975(freedom), computed_975(freedom)] {
                assert!((found - expected).abs() < tolerance, "{freedom}: {found} {expected}");
            }
        }
        for freedom in 1..64 {
            let (known, computed) = (quantile_975(freedom), computed_975(freedom));
            assert!((known - computed).abs() < 2e-14, "{freedom}: {known} {computed}");
        }
        // Both ways of computing agree where one ends and the other begins.
        let (low, high) = (computed_975(999), computed_975(1000));
        assert!(low > high && low - high < 3e-6, "{low} {high}");
    }

    #[test]
    fn equal_values_have_an_interval_without_width() {
        assert_eq!(interval_95(0.5, 0.0, 3), Some((0.5, 0.5)));
        assert_eq!(interval_95(0.5, 0.0, 1), None);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Small statistics.

/// The mean; none of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation of a sample (n-1); 0 for a single value, none of nothing.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    if values.len() == 1 {
        return Some(0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The value below which a share `at` (0 to 1) of the sorted values lies, between two values in proportion.
pub(crate) fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = at.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

/// Pearson's correlation; none if one side does not vary or there are fewer than two pairs.
pub(crate) fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0, y + pair.1));
    let (x, y) = (x / count, y / count);
    let (mut both, mut of_x, mut of_y) = (0.0, 0.0, 0.0);
    for pair in pairs {
        let (from_x, from_y) = (pair.0 - x, pair.1 - y);
        both += from_x * from_y;
        of_x += from_x * from_x;
        of_y += from_y * from_y;
    }
    (pairs.len() > 1 && of_x > 0.0 && of_y > 0.0).then(|| (both / (of_x * of_y).sqrt()).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_worked_out_by_hand() {
        assert_eq!(mean(&[]), None);
        assert_eq!(deviation(&[2.0]), Some(0.0));
        assert_eq!(deviation(&[1.0, 3.0]), Some(2.0_f64.sqrt()));
        assert_eq!(quantile(&[0.0, 10.0], 0.25), Some(2.5));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(correlation(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some(1.0));
        assert_eq!(correlation(&[(0.0, 1.0), (1.0, 1.0)]), None);
        // x: -1 0 1, y: 1 -1 0 around their means; the products add up to -1, the squares to 2 and 2.
        assert_eq!(correlation(&[(0.0, 2.0), (1.0, 0.0), (2.0, 1.0)]), Some(-0.5));
    }
}

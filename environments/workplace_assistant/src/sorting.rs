// SPDX-License-Identifier: Apache-2.0
//! Sorts as pandas sorts by default, which is not stable: what is equal may change places, always in the same way.

/// Parts this small are sorted by insertion.
const SMALL: usize = 16;

/// The places of the values from the largest to the smallest.
pub(crate) fn places_descending<T: Ord>(values: &[T]) -> Vec<usize> {
    // From the smallest to the largest of the values in reverse, and that in reverse.
    let mut places: Vec<usize> = (0..values.len()).rev().collect();
    let is_less = |left: usize, right: usize| values[left] < values[right];
    let mut parts = vec![(0, places.len(), 2 * usize::BITS.saturating_sub(values.len().leading_zeros()))];
    while let Some((start, end, depth)) = parts.pop() {
        if end - start <= SMALL || depth == 0 {
            insert(&mut places[start..end], is_less);
            continue;
        }
        let middle = divide(&mut places[start..end], is_less) + start;
        parts.extend([(start, middle, depth - 1), (middle + 1, end, depth - 1)]);
    }
    places.reverse();
    places
}

fn insert(places: &mut [usize], is_less: impl Fn(usize, usize) -> bool) {
    for end in 1..places.len() {
        let mut at = end;
        while at > 0 && is_less(places[at], places[at - 1]) {
            places.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Puts what is less than the median of first, middle and last in front of it, and the rest behind. Gives its place.
fn divide(places: &mut [usize], is_less: impl Fn(usize, usize) -> bool) -> usize {
    let last = places.len() - 1;
    let middle = last / 2;
    for (low, high) in [(0, middle), (middle, last), (0, middle)] {
        if is_less(places[high], places[low]) {
            places.swap(high, low);
        }
    }
    let pivot = places[middle];
    let (mut left, mut right) = (0, last - 1);
    places.swap(middle, right);
    // First and last are on their sides already, so that both walks end.
    loop {
        left += 1;
        while is_less(places[left], pivot) {
            left += 1;
        }
        right -= 1;
        while is_less(pivot, places[right]) {
            right -= 1;
        }
        if left >= right {
            break;
        }
        places.swap(left, right);
    }
    places.swap(left, last - 1);
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_comes_first() {
        let mut state = 5_u64;
        for length in [0, 1, 2, 16, 17, 18, 40, 500] {
            let values: Vec<u64> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) % 50
                })
                .collect();
            let places = places_descending(&values);
            assert!(places.windows(2).all(|pair| values[pair[0]] >= values[pair[1]]), "{length}");
            let mut all = places.clone();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..values.len()), "{length}");
        }
    }

    #[test]
    fn equal_values_stay_in_order_in_small_lists_only() {
        assert_eq!(places_descending(&[1, 2, 2]), [1, 2, 0]);
        let rising = |count: u64| (0..count - 2).chain([1000, 1000]).collect::<Vec<_>>();
        assert_eq!(places_descending(&rising(16))[..3], [14, 15, 13]);
        // As pandas 2.3 with NumPy 2 gives it.
        assert_eq!(places_descending(&rising(17))[..3], [16, 15, 14]);
        assert_eq!(places_descending(&rising(100))[..2], [99, 98]);
    }
}

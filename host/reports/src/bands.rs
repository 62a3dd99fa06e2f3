// SPDX-License-Identifier: Apache-2.0
//! How hard a task is, by its mean reward.

use serde::Serialize;

/// One band of difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Every reward is 0 or less: nothing to learn from yet.
    Unsolved,
    /// Rarely solved.
    Hard,
    /// Solved about half of the time.
    Medium,
    /// Mostly solved.
    Easy,
    /// Every reward is 1 or more: nothing to learn any more.
    Solved,
}

impl Band {
    /// All bands, the hardest first.
    pub const ALL: [Self; 5] = [Self::Unsolved, Self::Hard, Self::Medium, Self::Easy, Self::Solved];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsolved => "unsolved",
            Self::Hard => "hard",
            Self::Medium => "medium",
            Self::Easy => "easy",
            Self::Solved => "solved",
        }
    }

    /// The band of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|band| band.name() == name)
    }
}

/// Where bands begin and end: hard up to the first mean, medium up to the second, easy above.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bands {
    /// Means up to this one are hard.
    pub hard: f64,
    /// Means above `hard` and up to this one are medium.
    pub medium: f64,
}

/// The text names no bands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` are no two means, the smaller first, for example `0.25,0.75`")]
pub struct BandsError(String);

impl Default for Bands {
    fn default() -> Self {
        Self { hard: 0.25, medium: 0.75 }
    }
}

impl std::str::FromStr for Bands {
    type Err = BandsError;

    fn from_str(text: &str) -> Result<Self, BandsError> {
        let wrong = || BandsError(text.to_owned());
        let (hard, medium) = text.split_once(',').ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let bands = Self { hard: number(hard).ok_or_else(wrong)?, medium: number(medium).ok_or_else(wrong)? };
        (bands.hard < bands.medium).then_some(bands).ok_or_else(wrong)
    }
}

impl Bands {
    /// The band of these rewards; none without any.
    pub(crate) fn of(self, rewards: &[f64]) -> Option<Band> {
        let mean = crate::statistics::mean(rewards)?;
        Some(if rewards.iter().all(|reward| *reward <= 0.0) {
            Band::Unsolved
        } else if rewards.iter().all(|reward| *reward >= 1.0) {
            Band::Solved
        } else if mean <= self.hard {
            Band::Hard
        } else if mean <= self.medium {
            Band::Medium
        } else {
            Band::Easy
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_go_by_the_mean_but_for_the_ends() {
        let bands: Bands = "0.25, 0.75".parse().unwrap();
        for (rewards, expected) in [
            (&[0.0, 0.0][..], Some(Band::Unsolved)),
            (&[1.0, 0.0, 0.0, 0.0], Some(Band::Hard)),
            (&[1.0, 0.0], Some(Band::Medium)),
            (&[1.0, 1.0, 1.0, 0.0], Some(Band::Medium)),
            (&[1.0, 0.6], Some(Band::Easy)),
            (&[0.001], Some(Band::Hard)),
            (&[0.999], Some(Band::Easy)),
            (&[1.0], Some(Band::Solved)),
            (&[], None),
        ] {
            assert_eq!(bands.of(rewards), expected, "{rewards:?}");
        }
        for bad in ["", "0.5", "0.8,0.2", "a,b", "nan,1"] {
            assert!(bad.parse::<Bands>().is_err(), "{bad}");
        }
    }
}

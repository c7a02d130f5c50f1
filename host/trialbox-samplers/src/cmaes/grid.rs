//! A coordinate that takes the values of a grid.

/// Evenly spaced values, at least two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    pub(super) low: f64,
    pub(super) step: f64,
    /// The number of values.
    pub(super) n: usize,
}

impl Grid {
    /// Returns the i-th value.
    pub(super) fn value(&self, i: usize) -> f64 {
        self.low + i as f64 * self.step
    }

    /// Returns the distance of the first and the last value.
    pub(super) fn width(&self) -> f64 {
        (self.n - 1) as f64 * self.step
    }

    /// Returns the border between the i-th value and the next.
    pub(super) fn limit(&self, i: usize) -> f64 {
        (self.value(i) + self.value(i + 1)) / 2.0
    }

    /// Returns the index of the nearest value; on a border, of the lower one.
    pub(super) fn nearest(&self, x: f64) -> usize {
        // A conversion saturates, and takes NaN to 0.
        let guess = ((x - self.low) / self.step + 0.5).floor() as usize;
        let guess = guess.min(self.n - 1);
        if guess > 0 && x <= self.limit(guess - 1) {
            guess - 1
        } else if guess + 1 < self.n && x > self.limit(guess) {
            guess + 1
        } else {
            guess
        }
    }

    /// Returns the borders below and above a point; at an end of the grid both are the outermost one.
    pub(super) fn limits(&self, x: f64) -> (f64, f64) {
        let nearest = self.nearest(x);
        let last = self.n - 2;
        (self.limit(nearest.saturating_sub(1).min(last)), self.limit(nearest.min(last)))
    }

    /// Returns the borders as in `CatCMAwM`, which fills up the rows of its grids to `longest` values by repeating the
    /// last one: above the last value of a shorter grid lies a border at that value.
    pub(super) fn padded_limits(&self, x: f64, longest: usize) -> (f64, f64) {
        let last = self.value(self.n - 1);
        let above = if x > last { longest - self.n } else { 0 };
        let place = self.nearest(x) + above;
        let limit = |i: usize| if i + 1 < self.n { self.limit(i) } else { last };
        (limit(place.saturating_sub(1).min(longest - 2)), limit(place.min(longest - 2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_value_is_the_lower_one_on_a_border() {
        let grid = Grid { low: 0.0, step: 0.25, n: 5 };
        for (x, want) in [(-9.0, 0), (0.125, 0), (0.126, 1), (0.9, 4), (9.0, 4), (f64::NAN, 0)] {
            assert_eq!(grid.nearest(x), want, "{x}");
        }
        assert_eq!(grid.limits(0.5), (0.375, 0.625));
        assert_eq!(grid.limits(-3.0), (0.125, 0.125));
        assert_eq!(grid.limits(3.0), (0.875, 0.875));
        assert_eq!(grid.padded_limits(0.9, 5), (0.875, 0.875));
        assert_eq!(grid.padded_limits(0.9, 7), (0.875, 1.0));
        assert_eq!(grid.padded_limits(3.0, 7), (1.0, 1.0));
    }
}

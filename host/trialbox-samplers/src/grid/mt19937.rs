//! NumPy's legacy generator, as far as shuffling a grid as Python's workers do needs it.

const N: usize = 624;
const M: usize = 397;

/// The Mersenne twister: Matsumoto and Nishimura 1998, "Mersenne Twister: A 623-Dimensionally Equidistributed
/// Uniform Pseudo-Random Number Generator".
pub(super) struct Mt19937 {
    state: [u32; N],
    next: usize,
}

impl Mt19937 {
    /// Creates the generator of `numpy.random.RandomState(seed)`.
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [seed; N];
        for i in 1..N {
            let before = state[i - 1];
            state[i] = (before ^ before >> 30).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Mt19937 { state, next: N }
    }

    /// Reorders the items as `RandomState.shuffle` reorders a list: exchanges from the end (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.at_most(i as u32) as usize);
        }
    }

    /// Returns a number in [0, `max`]: as many random bits as `max` has, drawn again while they are above it.
    fn at_most(&mut self, max: u32) -> u32 {
        let mask = u32::MAX.checked_shr(max.leading_zeros()).unwrap_or(0);
        loop {
            let bits = self.next_u32() & mask;
            if bits <= max {
                return bits;
            }
        }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= y << 7 & 0x9D2C_5680;
        y ^= y << 15 & 0xEFC6_0000;
        y ^ y >> 18
    }

    fn twist(&mut self) {
        for i in 0..N {
            let joined = self.state[i] & 0x8000_0000 | self.state[(i + 1) % N] & 0x7FFF_FFFF;
            let odd = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ joined >> 1 ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seed: u32, n: u32, want: &[u32]) {
        let mut items: Vec<u32> = (0..n).collect();
        Mt19937::new(seed).shuffle(&mut items);
        assert_eq!(&items[..want.len()], want);
    }

    /// `items = list(range(n)); numpy.random.RandomState(seed).shuffle(items)`, NumPy 2.4.
    #[test]
    fn a_list_is_shuffled_as_numpy_shuffles_it() {
        check(0, 7, &[6, 2, 1, 3, 0, 5, 4]);
        check(0, 100, &[26, 86, 2, 55, 75, 93, 16, 73, 54, 95, 53, 92]);
        check(5, 1, &[0]);
        check(u32::MAX, 12, &[11, 8, 5, 9, 1, 10, 6, 0, 4, 7, 2, 3]);
        check(42, 40, &[19, 16, 15, 26, 4, 12, 37, 27, 39, 6, 25, 9]);
    }

    /// The first numbers for the reference implementation's seed, 5489.
    #[test]
    fn the_numbers_are_those_of_the_reference_implementation() {
        let mut found = Mt19937::new(5489);
        let want = [3_499_211_612, 581_869_302, 3_890_346_734, 3_586_334_585];
        assert_eq!([(); 4].map(|()| found.next_u32()), want);
    }
}

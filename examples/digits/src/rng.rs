//! Random numbers from a seed, the same on every machine. Not for cryptography.

/// The generator SplitMix64: Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number
/// Generators", figure 16.
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    /// Creates a generator whose numbers follow from `seed` alone. A [state](Rng::state) is a seed, too.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// Returns the state, from which all further numbers follow.
    pub fn state(&self) -> u64 {
        self.0
    }

    /// Returns a number from -1 up to 1, without 1.
    pub fn uniform(&mut self) -> f32 {
        // An `f32` has 24 bits of precision.
        let unit = (self.next() >> 40) as f32 / (1_u32 << 24) as f32;
        2.0 * unit - 1.0
    }

    /// Puts `items` in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // The remainder favours small indices, by one part in 2^50 for slices such as ours.
            let other = self.next() % (last as u64 + 1);
            items.swap(last, other as usize);
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffle_keeps_every_item_and_moves_most() {
        let mut items: Vec<usize> = (0..100).collect();
        Rng::new(1).shuffle(&mut items);
        let unmoved = items.iter().enumerate().filter(|&(place, &item)| place == item).count();
        assert!(unmoved < 10, "{unmoved} of 100 stayed");
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
    }

    #[test]
    fn uniform_fills_its_range_evenly() {
        let mut rng = Rng::new(1);
        let numbers: Vec<f32> = (0..10_000).map(|_| rng.uniform()).collect();
        assert!(numbers.iter().all(|number| (-1.0..1.0).contains(number)));
        // The standard error of the mean is 0.58 / 100; five of them.
        let mean = numbers.iter().sum::<f32>() / 10_000.0;
        assert!(mean.abs() < 0.029, "mean {mean}");
    }
}

//! SIMD vectors of any width, for kernels that are written only once: a thin layer on the crate [`fearless_simd`].
//!
//! A kernel is a type with a method [`Kernel::run`], generic over [`Simd`]. [`dispatch_on`] runs it at a given
//! [`SimdLevel`], whatever the program was compiled for. [`SimdLevel::best`] is the widest level that the processor
//! supports.
//!
//! `run`, and every function and closure that a kernel calls in it, must be `#[inline(always)]`: only what is inlined
//! into the function that enables the instructions is compiled with them.
//!
//! All levels but [`SimdLevel::Portable`] have a fused multiply-add. Kernels should give the same bits with all of these:
//! what is summed across lanes must not depend on their number.

use std::ops::{Add, Div, Mul, Neg, Sub};

use fearless_simd::{Level, prelude::*};

/// A computation that is written for any SIMD level.
pub trait Kernel {
    /// The result.
    type Output;
    /// Computes the result. Mark it `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A set of SIMD instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// Supported by every processor of the architecture: 128 bits on x86-64 (SSE2), no vectors elsewhere.
    Portable,
    /// ARM64: 128 bits and fused multiply-add.
    Neon,
    /// x86-64-v3: 256 bits and fused multiply-add.
    Avx2,
    /// x86-64 since Intel's Ice Lake and AMD's Zen 4: 512 bits and fused multiply-add.
    Avx512,
}

impl SimdLevel {
    /// The levels that this processor supports, the narrowest first. There is always at least one.
    ///
    /// ```
    /// use hhnet::simd::SimdLevel;
    /// assert!(SimdLevel::available().contains(&SimdLevel::best()));
    /// ```
    pub fn available() -> Vec<SimdLevel> {
        let levels = [SimdLevel::Portable, SimdLevel::Neon, SimdLevel::Avx2, SimdLevel::Avx512];
        levels.into_iter().filter(|level| level.is_available()).collect()
    }

    /// The widest level that this processor supports.
    pub fn best() -> SimdLevel {
        *SimdLevel::available().last().unwrap_or(&SimdLevel::Portable)
    }

    fn is_available(self) -> bool {
        match self {
            SimdLevel::Portable => !cfg!(target_arch = "aarch64"),
            SimdLevel::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 => Level::new().as_avx2().is_some(),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 => Level::new().as_avx512().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            SimdLevel::Avx2 | SimdLevel::Avx512 => false,
        }
    }

    /// The level's name in messages and in the output of benchmarks.
    pub fn name(self) -> &'static str {
        match self {
            SimdLevel::Portable => "portable",
            SimdLevel::Neon => "NEON",
            SimdLevel::Avx2 => "AVX2",
            SimdLevel::Avx512 => "AVX-512",
        }
    }
}

/// Runs a kernel at a level, or at the narrowest one if the processor does not support this level.
#[cfg(target_arch = "x86_64")]
pub fn dispatch_on<K: Kernel>(level: SimdLevel, kernel: K) -> K::Output {
    let found = Level::new();
    // The crate's `dispatch!` would also compile each kernel for SSE4.2.
    match (level, found.as_avx512(), found.as_avx2(), found.as_sse2()) {
        (SimdLevel::Avx512, Some(simd), ..) => run_in(simd, kernel),
        (SimdLevel::Avx2, _, Some(simd), _) => run_in(simd, kernel),
        (.., Some(simd)) => run_in(simd, kernel),
        _ => unreachable!("every x86-64 processor has SSE2"),
    }
}

/// Runs a kernel at the only level of this architecture.
#[cfg(not(target_arch = "x86_64"))]
pub fn dispatch_on<K: Kernel>(_: SimdLevel, kernel: K) -> K::Output {
    fearless_simd::dispatch!(Level::baseline(), simd => kernel.run(simd))
}

/// Runs a kernel in a function that enables the instructions.
#[cfg(target_arch = "x86_64")]
fn run_in<S: Simd, K: Kernel>(simd: S, kernel: K) -> K::Output {
    simd.vectorize(
        #[inline(always)]
        || kernel.run(simd),
    )
}

/// A vector of double-precision numbers, made of `N` native vectors. Operations work on these in turn: while one waits
/// for a result, the processor computes those of the others.
#[derive(Debug, Clone, Copy)]
pub struct Doubles<S: Simd, const N: usize>([S::f64s; N]);

impl<S: Simd, const N: usize> Doubles<S, N> {
    /// Number of lanes.
    pub const LEN: usize = N * S::f64s::LEN;

    /// The same number in each lane.
    #[inline(always)]
    pub fn splat(simd: S, value: f64) -> Self {
        Doubles([S::f64s::splat(simd, value); N])
    }

    /// Loads the first `LEN` numbers of a slice. Panics if it is shorter.
    #[inline(always)]
    pub fn load(simd: S, from: &[f64]) -> Self {
        let mut vectors = [S::f64s::splat(simd, 0.0); N];
        for i in 0..N {
            vectors[i] = S::f64s::from_slice(simd, &from[i * S::f64s::LEN..(i + 1) * S::f64s::LEN]);
        }
        Doubles(vectors)
    }

    /// Stores to the first `LEN` numbers of a slice. Panics if it is shorter.
    #[inline(always)]
    pub fn store(self, to: &mut [f64]) {
        for i in 0..N {
            self.0[i].store_slice(&mut to[i * S::f64s::LEN..(i + 1) * S::f64s::LEN]);
        }
    }

    /// The value that stands for the level in [`fearless_simd`].
    #[inline(always)]
    pub fn token(self) -> S {
        self.0[0].token()
    }

    /// The number in one lane.
    pub fn lane(&self, lane: usize) -> f64 {
        self.0[lane / S::f64s::LEN][lane % S::f64s::LEN]
    }

    /// Sets the number in one lane.
    pub fn set_lane(&mut self, lane: usize, value: f64) {
        self.0[lane / S::f64s::LEN][lane % S::f64s::LEN] = value;
    }

    /// `self * factor + addend`, with a single rounding if the level has a fused multiply-add.
    #[inline(always)]
    pub fn mul_add(mut self, factor: impl SimdInto<Self, S>, addend: impl SimdInto<Self, S>) -> Self {
        let simd = self.token();
        let (factor, addend) = (factor.simd_into(simd), addend.simd_into(simd));
        for i in 0..N {
            self.0[i] = self.0[i].mul_add(factor.0[i], addend.0[i]);
        }
        self
    }

    /// The larger of the two numbers in each lane.
    #[inline(always)]
    pub fn max(mut self, other: Self) -> Self {
        for i in 0..N {
            self.0[i] = self.0[i].max(other.0[i]);
        }
        self
    }

    /// The lanes in which `self < limit`, as a mask with lane 0 in the lowest bit. NaN is not below any limit.
    #[inline(always)]
    pub fn lanes_below(self, limit: f64) -> u64 {
        let mut lanes = 0;
        for i in 0..N {
            lanes |= self.0[i].simd_lt(limit).to_bitmask() << (i * S::f64s::LEN);
        }
        lanes
    }

    /// 2 to the power of each lane, which must hold a whole number from -1022 to 1023.
    #[inline(always)]
    pub fn exp2_whole(mut self) -> Self {
        // 1.5 * 2^52 + 1023: added to a whole number, it leaves that number's biased exponent in the lowest bits.
        const TO_EXPONENT: f64 = 6_755_399_441_055_744.0 + 1023.0;
        for i in 0..N {
            self.0[i] = S::f64s::from_bits((self.0[i] + TO_EXPONENT).to_bits() << 52);
        }
        self
    }
}

impl<S: Simd, const N: usize> SimdFrom<f64, S> for Doubles<S, N> {
    #[inline(always)]
    fn simd_from(simd: S, value: f64) -> Self {
        Doubles::splat(simd, value)
    }
}

impl<S: Simd, const N: usize> Neg for Doubles<S, N> {
    type Output = Self;
    #[inline(always)]
    fn neg(mut self) -> Self {
        for i in 0..N {
            self.0[i] = -self.0[i];
        }
        self
    }
}

/// Implements an operator between two vectors, and between a vector and a number.
macro_rules! operator {
    ($operator:ident, $method:ident) => {
        impl<S: Simd, const N: usize> $operator for Doubles<S, N> {
            type Output = Self;
            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
                for i in 0..N {
                    self.0[i] = self.0[i].$method(other.0[i]);
                }
                self
            }
        }

        impl<S: Simd, const N: usize> $operator<f64> for Doubles<S, N> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                let other = Doubles::splat(self.token(), other);
                self.$method(other)
            }
        }
    };
}
operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

#[cfg(test)]
mod tests {
    use super::*;

    /// Operations of [`Doubles`] on two lists of numbers, vector by vector.
    struct Operations<'a>(&'a [f64], &'a [f64]);

    impl<'a> Operations<'a> {
        #[inline(always)]
        fn run_wide<S: Simd, const N: usize>(&self, simd: S, results: &mut [Vec<f64>; 6]) {
            let lanes = Doubles::<S, N>::LEN;
            for (a, b) in self.0.chunks_exact(lanes).zip(self.1.chunks_exact(lanes)) {
                let (a, b) = (Doubles::<S, N>::load(simd, a), Doubles::load(simd, b));
                let below = (0..lanes).map(|lane| (b.lanes_below(7.0) >> lane & 1) as f64);
                results[5].extend(below);
                for (i, result) in
                    [a.max(b), a.mul_add(b, a) / b, -a - b * 2.0, (b + 0.0).exp2_whole(), a.mul_add(3.0, 1.0)]
                        .into_iter()
                        .enumerate()
                {
                    let start = results[i].len();
                    results[i].resize(start + lanes, 0.0);
                    result.store(&mut results[i][start..]);
                }
            }
        }
    }

    impl Kernel for Operations<'_> {
        type Output = [[Vec<f64>; 6]; 2];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let mut results = <Self::Output>::default();
            self.run_wide::<S, 1>(simd, &mut results[0]);
            self.run_wide::<S, 2>(simd, &mut results[1]);
            results
        }
    }

    #[test]
    fn every_level_computes_what_its_names_say() {
        // With small whole numbers, results are exact with and without a fused multiply-add.
        let a: Vec<f64> = (0..64).map(|i| f64::from(i * 37 % 64) - 20.0).collect();
        let b: Vec<f64> = (0..64).map(|i| 2_f64.powi(i % 5)).collect();
        let expected = |f: fn(f64, f64) -> f64| a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect::<Vec<f64>>();
        let expected = [
            expected(f64::max),
            expected(|a, b| (a * b + a) / b),
            expected(|a, b| -a - b * 2.0),
            expected(|_, b| b.exp2()),
            expected(|a, _| a * 3.0 + 1.0),
            expected(|_, b| f64::from(u8::from(b < 7.0))),
        ];
        for level in SimdLevel::available() {
            for found in dispatch_on(level, Operations(&a, &b)) {
                assert_eq!(found, expected, "{level:?}");
            }
        }
    }

    #[test]
    fn powers_of_two_are_exact_in_the_whole_range() {
        let wholes: Vec<f64> = (-1022..=1017).map(f64::from).collect();
        let powers: Vec<f64> = wholes.iter().map(|whole| whole.exp2()).collect();
        for level in SimdLevel::available() {
            for found in dispatch_on(level, Operations(&wholes, &wholes)) {
                assert_eq!(found[3][..], powers[..found[3].len()], "{level:?}");
            }
        }
    }

    #[test]
    fn nan_is_not_below_any_limit() {
        let values = vec![f64::NAN; 32];
        for level in SimdLevel::available() {
            for found in dispatch_on(level, Operations(&values, &values)) {
                assert!(found[5].iter().all(|&below| below == 0.0), "{level:?}");
            }
        }
    }
}

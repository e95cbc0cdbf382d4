//! Vectors as wide as the processor has, for kernels that are written once.
//!
//! A kernel is a type with [`Kernel::run`], generic over the [`Isa`]. [`dispatch`] runs it with the widest instructions that
//! the processor has; [`dispatch_on`] with a given set, for tests and benches. How the program was compiled does not matter.
//!
//! `run`, and every function of a kernel below it, must be `#[inline(always)]`: only what is inlined into the function that
//! enables the instructions is compiled with them. For the same reason no closure may hold the work of an inner loop,
//! unless it is inlined too.
//!
//! The sets differ in rounding: all but [`SimdLevel::Portable`] fuse multiplication and addition. The same set gives the same
//! bits everywhere.

use std::ops::{Add, Div, Mul, Sub};

/// A vector of `LANES` floating point numbers.
pub trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Send + Sync
{
    /// `f32` or `f64`.
    type Element: Copy;
    /// How many.
    const LANES: usize;

    /// The same number in each lane.
    fn splat(value: Self::Element) -> Self;
    /// The first `LANES` numbers of a slice; panics if it is shorter.
    fn load(from: &[Self::Element]) -> Self;
    /// Writes to the first `LANES` numbers of a slice; panics if it is shorter.
    fn store(self, to: &mut [Self::Element]);
    /// `self * factor + addend`, in one rounding where the set has it.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `addend - self * factor`, in one rounding where the set has it.
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger number in each lane.
    fn max(self, other: Self) -> Self;
    /// The smaller number in each lane.
    fn min(self, other: Self) -> Self;
    /// `self` in the lanes in which `a > b`, 0 in the others.
    fn where_greater(self, a: Self, b: Self) -> Self;
    /// Whether `self > other` in any lane.
    fn any_greater(self, other: Self) -> bool;

    /// The sum of all lanes, in an order that depends on the set of instructions alone.
    fn sum(self) -> Self::Element;
}

/// Two vectors that are worked on in turn, as one of twice the length: while one waits for a result, the processor computes
/// the other's.
#[derive(Debug, Clone, Copy)]
pub struct Pair<V>(V, V);

impl<V: Vector> Vector for Pair<V> {
    type Element = V::Element;
    const LANES: usize = 2 * V::LANES;

    #[inline(always)]
    fn splat(value: V::Element) -> Self {
        Pair(V::splat(value), V::splat(value))
    }
    #[inline(always)]
    fn load(from: &[V::Element]) -> Self {
        Pair(V::load(from), V::load(&from[V::LANES..]))
    }
    #[inline(always)]
    fn store(self, to: &mut [V::Element]) {
        self.0.store(to);
        self.1.store(&mut to[V::LANES..]);
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Pair(self.0.mul_add(factor.0, addend.0), self.1.mul_add(factor.1, addend.1))
    }
    #[inline(always)]
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
        Pair(self.0.neg_mul_add(factor.0, addend.0), self.1.neg_mul_add(factor.1, addend.1))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Pair(self.0.max(other.0), self.1.max(other.1))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Pair(self.0.min(other.0), self.1.min(other.1))
    }
    #[inline(always)]
    fn where_greater(self, a: Self, b: Self) -> Self {
        Pair(self.0.where_greater(a.0, b.0), self.1.where_greater(a.1, b.1))
    }
    #[inline(always)]
    fn any_greater(self, other: Self) -> bool {
        self.0.any_greater(other.0) | self.1.any_greater(other.1)
    }
    #[inline(always)]
    fn sum(self) -> V::Element {
        (self.0 + self.1).sum()
    }
}

impl<V: Exp2> Exp2 for Pair<V> {
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        Pair(self.0.exp2_whole(), self.1.exp2_whole())
    }
}

macro_rules! pair {
    ($operator:ident, $method:ident) => {
        impl<V: Vector> $operator for Pair<V> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Pair(self.0.$method(other.0), self.1.$method(other.1))
            }
        }
    };
}
pair!(Add, add);
pair!(Sub, sub);
pair!(Mul, mul);
pair!(Div, div);

/// What an exponential needs beside arithmetic.
pub trait Exp2: Vector {
    /// 2 to the power of each lane, which must hold a whole number from -1022 to 1023.
    fn exp2_whole(self) -> Self;
}

/// A set of instructions.
pub trait Isa: Copy + Send + Sync + 'static {
    /// Its vector of single-precision numbers.
    type F32: Vector<Element = f32>;
    /// Its vector of double-precision numbers.
    type F64: Exp2<Element = f64>;
}

/// Work that is written for any set of instructions.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// Does the work. Mark it `#[inline(always)]`.
    fn run<I: Isa>(self) -> Self::Output;
}

/// The sets of instructions, the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// What every processor of the architecture has.
    Portable,
    /// ARM64: 128 bits.
    Neon,
    /// x86-64: 256 bits and fused multiply-add.
    Avx2,
    /// x86-64: 512 bits.
    Avx512,
}

impl SimdLevel {
    /// The sets that this processor has, the narrowest first.
    ///
    /// ```
    /// use hhnet::simd::SimdLevel;
    /// assert_eq!(SimdLevel::available()[0], SimdLevel::Portable);
    /// ```
    pub fn available() -> Vec<SimdLevel> {
        let mut levels = vec![SimdLevel::Portable];
        #[cfg(target_arch = "aarch64")]
        levels.push(SimdLevel::Neon);
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(SimdLevel::Avx2);
                if is_x86_feature_detected!("avx512f") {
                    levels.push(SimdLevel::Avx512);
                }
            }
        }
        levels
    }

    /// The widest set that this processor has.
    pub fn best() -> SimdLevel {
        *SimdLevel::available().last().unwrap_or(&SimdLevel::Portable)
    }

    /// Its name, as `cargo xtask bench` prints it.
    pub fn name(self) -> &'static str {
        match self {
            SimdLevel::Portable => "portable",
            SimdLevel::Neon => "NEON",
            SimdLevel::Avx2 => "AVX2",
            SimdLevel::Avx512 => "AVX-512",
        }
    }
}

/// Runs a kernel with the widest instructions that this processor has.
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    dispatch_on(SimdLevel::best(), kernel)
}

/// Runs a kernel with the given instructions; with portable ones if the processor does not have them.
pub fn dispatch_on<K: Kernel>(level: SimdLevel, kernel: K) -> K::Output {
    match level {
        // SAFETY: the processor has been asked.
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512 if SimdLevel::best() >= SimdLevel::Avx512 => unsafe { x86::run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2 if SimdLevel::best() >= SimdLevel::Avx2 => unsafe { x86::run_avx2(kernel) },
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon => kernel.run::<arm::Neon>(),
        _ => kernel.run::<Portable>(),
    }
}

/// What every processor has.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

impl Isa for Portable {
    type F32 = Lanes<f32, 4>;
    type F64 = Lanes<f64, 2>;
}

/// A vector without special instructions: the compiler uses those that every processor of the architecture has.
#[derive(Debug, Clone, Copy)]
pub struct Lanes<T, const N: usize>([T; N]);

macro_rules! portable {
    ($element:ty) => {
        impl<const N: usize> Vector for Lanes<$element, N> {
            type Element = $element;
            const LANES: usize = N;

            #[inline(always)]
            fn splat(value: $element) -> Self {
                Lanes([value; N])
            }
            #[inline(always)]
            fn load(from: &[$element]) -> Self {
                let mut lanes = [0.0; N];
                lanes.copy_from_slice(&from[..N]);
                Lanes(lanes)
            }
            #[inline(always)]
            fn store(self, to: &mut [$element]) {
                to[..N].copy_from_slice(&self.0);
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // Two roundings: one would be a slow call where the processor has no instruction for it.
                self * factor + addend
            }
            #[inline(always)]
            fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
                addend - self * factor
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                Lanes(std::array::from_fn(|i| if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] }))
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                Lanes(std::array::from_fn(|i| if self.0[i] < other.0[i] { self.0[i] } else { other.0[i] }))
            }
            #[inline(always)]
            fn where_greater(self, a: Self, b: Self) -> Self {
                Lanes(std::array::from_fn(|i| if a.0[i] > b.0[i] { self.0[i] } else { 0.0 }))
            }
            #[inline(always)]
            fn any_greater(self, other: Self) -> bool {
                let mut any = false;
                for i in 0..N {
                    any |= self.0[i] > other.0[i];
                }
                any
            }
            #[inline(always)]
            fn sum(self) -> $element {
                self.0[1..].iter().fold(self.0[0], |sum, &lane| sum + lane)
            }
        }
        portable!(@operator $element, Add, add, +);
        portable!(@operator $element, Sub, sub, -);
        portable!(@operator $element, Mul, mul, *);
        portable!(@operator $element, Div, div, /);
    };
    (@operator $element:ty, $operator:ident, $method:ident, $sign:tt) => {
        impl<const N: usize> $operator for Lanes<$element, N> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Lanes(std::array::from_fn(|i| self.0[i] $sign other.0[i]))
            }
        }
    };
}
portable!(f32);
portable!(f64);

/// 1.5 * 2^52 + 1023: added to a whole number, it leaves that number's biased exponent in the lowest bits.
const TO_EXPONENT: f64 = 6_755_399_441_055_744.0 + 1023.0;

impl<const N: usize> Exp2 for Lanes<f64, N> {
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        Lanes(self.0.map(|whole| f64::from_bits((whole + TO_EXPONENT).to_bits() << 52)))
    }
}

/// A vector in one register, from the names of its intrinsics. Each is called only inside of [`dispatch_on`], which has asked
/// the processor whether it has them.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! register {
    (
        $(#[$doc:meta])* $name:ident($register:ty) of $element:ty, $lanes:literal;
        $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $max:ident, $min:ident;
        mul_add: |$a:ident, $b:ident, $c:ident| $mul_add:expr, $neg_mul_add:expr;
        where_greater: |$x:ident, $g:ident, $h:ident| $where_greater:expr;
        any_greater: |$p:ident, $q:ident| $any_greater:expr;
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name($register);

        impl Vector for $name {
            type Element = $element;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(value: $element) -> Self {
                // SAFETY: see the macro.
                Self(unsafe { $splat(value) })
            }
            #[inline(always)]
            fn load(from: &[$element]) -> Self {
                assert!(from.len() >= $lanes);
                // SAFETY: see the macro; the slice is long enough.
                Self(unsafe { $load(from.as_ptr()) })
            }
            #[inline(always)]
            fn store(self, to: &mut [$element]) {
                assert!(to.len() >= $lanes);
                // SAFETY: see the macro; the slice is long enough.
                unsafe { $store(to.as_mut_ptr(), self.0) }
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                let ($a, $b, $c) = (self.0, factor.0, addend.0);
                // SAFETY: see the macro.
                Self(unsafe { $mul_add })
            }
            #[inline(always)]
            fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
                let ($a, $b, $c) = (self.0, factor.0, addend.0);
                // SAFETY: see the macro.
                Self(unsafe { $neg_mul_add })
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: see the macro.
                Self(unsafe { $max(self.0, other.0) })
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                // SAFETY: see the macro.
                Self(unsafe { $min(self.0, other.0) })
            }
            #[inline(always)]
            fn where_greater(self, a: Self, b: Self) -> Self {
                let ($x, $g, $h) = (self.0, a.0, b.0);
                // SAFETY: see the macro.
                Self(unsafe { $where_greater })
            }
            #[inline(always)]
            fn any_greater(self, other: Self) -> bool {
                let ($p, $q) = (self.0, other.0);
                // SAFETY: see the macro.
                unsafe { $any_greater }
            }
            #[inline(always)]
            fn sum(self) -> $element {
                let mut lanes = [0.0; $lanes];
                self.store(&mut lanes);
                lanes[1..].iter().fold(lanes[0], |sum, &lane| sum + lane)
            }
        }
        register!(@operator $name, Add, add, $add);
        register!(@operator $name, Sub, sub, $sub);
        register!(@operator $name, Mul, mul, $mul);
        register!(@operator $name, Div, div, $div);
    };
    (@operator $name:ident, $operator:ident, $method:ident, $intrinsic:ident) => {
        impl $operator for $name {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: see the macro.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Add, Div, Exp2, Isa, Kernel, Mul, Sub, TO_EXPONENT, Vector};
    use std::arch::x86_64::*;

    #[derive(Debug, Clone, Copy)]
    pub struct Avx2;

    impl Isa for Avx2 {
        type F32 = Avx2F32;
        type F64 = Avx2F64;
    }

    #[derive(Debug, Clone, Copy)]
    pub struct Avx512;

    impl Isa for Avx512 {
        type F32 = Avx512F32;
        type F64 = Avx512F64;
    }

    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx2>()
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx512>()
    }

    register! {
        Avx2F32(__m256) of f32, 8;
        _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_max_ps, _mm256_min_ps;
        mul_add: |a, b, c| _mm256_fmadd_ps(a, b, c), _mm256_fnmadd_ps(a, b, c);
        where_greater: |x, a, b| _mm256_and_ps(x, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b));
        any_greater: |a, b| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) != 0;
    }

    register! {
        Avx2F64(__m256d) of f64, 4;
        _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd, _mm256_max_pd, _mm256_min_pd;
        mul_add: |a, b, c| _mm256_fmadd_pd(a, b, c), _mm256_fnmadd_pd(a, b, c);
        where_greater: |x, a, b| _mm256_and_pd(x, _mm256_cmp_pd::<_CMP_GT_OQ>(a, b));
        any_greater: |a, b| _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(a, b)) != 0;
    }

    impl Exp2 for Avx2F64 {
        #[inline(always)]
        fn exp2_whole(self) -> Self {
            let biased = self + Self::splat(TO_EXPONENT);
            // SAFETY: see the macro.
            Self(unsafe { _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(biased.0))) })
        }
    }

    register! {
        Avx512F32(__m512) of f32, 16;
        _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps, _mm512_max_ps, _mm512_min_ps;
        mul_add: |a, b, c| _mm512_fmadd_ps(a, b, c), _mm512_fnmadd_ps(a, b, c);
        where_greater: |x, a, b| _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), x);
        any_greater: |a, b| _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) != 0;
    }

    register! {
        Avx512F64(__m512d) of f64, 8;
        _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd, _mm512_div_pd, _mm512_max_pd, _mm512_min_pd;
        mul_add: |a, b, c| _mm512_fmadd_pd(a, b, c), _mm512_fnmadd_pd(a, b, c);
        where_greater: |x, a, b| _mm512_maskz_mov_pd(_mm512_cmp_pd_mask::<_CMP_GT_OQ>(a, b), x);
        any_greater: |a, b| _mm512_cmp_pd_mask::<_CMP_GT_OQ>(a, b) != 0;
    }

    impl Exp2 for Avx512F64 {
        #[inline(always)]
        fn exp2_whole(self) -> Self {
            let biased = self + Self::splat(TO_EXPONENT);
            // SAFETY: see the macro.
            Self(unsafe { _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_castpd_si512(biased.0))) })
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Add, Div, Exp2, Isa, Mul, Sub, TO_EXPONENT, Vector};
    use std::arch::aarch64::*;

    #[derive(Debug, Clone, Copy)]
    pub struct Neon;

    impl Isa for Neon {
        type F32 = NeonF32;
        type F64 = NeonF64;
    }

    register! {
        NeonF32(float32x4_t) of f32, 4;
        vdupq_n_f32, vld1q_f32, vst1q_f32, vaddq_f32, vsubq_f32, vmulq_f32, vdivq_f32, vmaxq_f32, vminq_f32;
        mul_add: |a, b, c| vfmaq_f32(c, a, b), vfmsq_f32(c, a, b);
        where_greater: |x, a, b| vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), vcgtq_f32(a, b)));
        any_greater: |a, b| vmaxvq_u32(vcgtq_f32(a, b)) != 0;
    }

    register! {
        NeonF64(float64x2_t) of f64, 2;
        vdupq_n_f64, vld1q_f64, vst1q_f64, vaddq_f64, vsubq_f64, vmulq_f64, vdivq_f64, vmaxq_f64, vminq_f64;
        mul_add: |a, b, c| vfmaq_f64(c, a, b), vfmsq_f64(c, a, b);
        where_greater: |x, a, b| vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(x), vcgtq_f64(a, b)));
        any_greater: |a, b| vmaxvq_u32(vreinterpretq_u32_u64(vcgtq_f64(a, b))) != 0;
    }

    impl Exp2 for NeonF64 {
        #[inline(always)]
        fn exp2_whole(self) -> Self {
            let biased = self + Self::splat(TO_EXPONENT);
            // SAFETY: every ARM64 processor has these.
            Self(unsafe { vreinterpretq_f64_s64(vshlq_n_s64::<52>(vreinterpretq_s64_f64(biased.0))) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each operation on the lanes of two lists, one after the other.
    struct Operations<'a>(&'a [f64], &'a [f64]);

    impl Kernel for Operations<'_> {
        type Output = Vec<Vec<f64>>;

        #[inline(always)]
        fn run<I: Isa>(self) -> Self::Output {
            let Operations(a_list, b_list) = self;
            let mut results = vec![Vec::new(); 12];
            for (a, b) in a_list.chunks_exact(I::F32::LANES).zip(b_list.chunks_exact(I::F32::LANES)) {
                let single = |list: &[f64]| list.iter().map(|&x| x as f32).collect::<Vec<f32>>();
                let (single_a, single_b) = (I::F32::load(&single(a)), I::F32::load(&single(b)));
                let mut keep = |i: usize, vector: I::F32| {
                    let mut lanes = vec![0.0_f32; I::F32::LANES];
                    vector.store(&mut lanes);
                    results[i].extend(lanes.into_iter().map(f64::from));
                };
                keep(0, single_a.max(single_b) - single_a.min(single_b));
                keep(1, single_a.where_greater(single_a, single_b));
                keep(2, I::F32::splat(single_a.sum() / I::F32::LANES as f32));
                keep(3, single_a.mul_add(single_b, single_a) / single_b);
                keep(9, single_a.neg_mul_add(single_b, single_a));
            }
            for (a, b) in a_list.chunks_exact(I::F64::LANES).zip(b_list.chunks_exact(I::F64::LANES)) {
                let (a, b) = (I::F64::load(a), I::F64::load(b));
                let mut keep = |i: usize, vector: I::F64| {
                    let start = results[i].len();
                    results[i].resize(start + I::F64::LANES, 0.0);
                    vector.store(&mut results[i][start..]);
                };
                keep(4, a.max(b) - a.min(b));
                keep(5, a.where_greater(a, b));
                keep(6, a.mul_add(b, a) / b);
                keep(10, a.neg_mul_add(b, a));
                keep(7, (a * I::F64::splat(0.0) + b).exp2_whole());
                keep(8, I::F64::splat(f64::from(u8::from(a.any_greater(b)))));
            }
            results
        }
    }

    #[test]
    fn every_set_computes_what_its_names_say() {
        let a: Vec<f64> = (0..64).map(|i| f64::from(i * 37 % 64) - 20.0).collect();
        let b: Vec<f64> = (0..64).map(|i| f64::from(i - 32) + 0.0).map(|x| if x == 0.0 { 40.0 } else { x }).collect();
        let pairs = || a.iter().copied().zip(b.iter().copied());
        for level in SimdLevel::available() {
            let found = dispatch_on(level, Operations(&a, &b));
            for i in [0, 4] {
                assert!(pairs().map(|(a, b)| (a - b).abs()).eq(found[i].iter().copied()), "{level:?} {i}");
            }
            for i in [1, 5] {
                assert!(
                    pairs().map(|(a, b)| if a > b { a } else { 0.0 }).eq(found[i].iter().copied()),
                    "{level:?} {i}"
                );
            }
            for i in [3, 6] {
                let expected = pairs().map(|(a, b)| (a * b + a) / b);
                let worst = expected.zip(&found[i]).map(|(e, f)| (e - f).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-5, "{level:?} {i}: {worst}");
            }
            for i in [9, 10] {
                assert!(pairs().map(|(a, b)| a - a * b).eq(found[i].iter().copied()), "{level:?} {i}");
            }
            assert_eq!(found[2].len(), 64);
            assert!(b.iter().map(|&b| b.exp2()).eq(found[7].iter().copied()), "{level:?}");
            let lanes = found[8].len() / 64 * 64;
            assert_eq!(lanes, 64);
            // A group of lanes answers as one: true if any of its lanes is greater.
            assert!(pairs().zip(&found[8]).all(|((a, b), &any)| a <= b || any == 1.0), "{level:?}");
            assert!(dispatch_on(level, Operations(&b, &b))[8].iter().all(|&any| any == 0.0), "{level:?}");
        }
    }

    #[test]
    fn powers_of_two_reach_from_end_to_end() {
        let wholes: Vec<f64> = (-1022..=1017).map(f64::from).collect();
        for level in SimdLevel::available() {
            let powers = &dispatch_on(level, Operations(&wholes, &wholes))[7];
            assert!(powers.iter().zip(&wholes).all(|(power, whole)| *power == whole.exp2()), "{level:?}");
        }
    }
}

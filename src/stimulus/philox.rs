//! A counter-based random stream: Philox4x32-10, with normal deviates by the inverse of the normal distribution.
//!
//! The deviates are the same on every machine. They are computed by additions, multiplications, divisions and square
//! roots in a fixed order, each of which IEEE 754 specifies to the last bit. The logarithm comes from `libm`, which
//! computes it in this way too; those of the systems' libraries differ in the last bits.

use super::StandardNormal;

/// Philox4x32-10: turns a counter into random bits in ten rounds.
///
/// Source: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, Proc. SC11 (2011), doi 10.1145/2063384.2063405.
///
/// ```
/// use hhnet::stimulus::philox4x32;
/// assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let products = [u64::from(counter[0]) * 0xD251_1F53, u64::from(counter[2]) * 0xCD9E_8D57];
        let [high, low] = [products.map(|p| (p >> 32) as u32), products.map(|p| p as u32)];
        counter = [high[1] ^ counter[1] ^ key[0], low[1], high[0] ^ counter[3] ^ key[1], low[0]];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// The random numbers of one trial. They depend only on its seed, split and sample, and on how many trials of this
/// sample were dropped before.
///
/// The key of [`philox4x32`] is (seed, split). Its counter is (block, dropped before, low half of sample, high half). A block
/// gives two deviates, each from 52 bits by the inverse of the normal distribution.
///
/// ```
/// use hhnet::stimulus::{OrnsteinUhlenbeck, PhiloxRandom};
/// // The current of sample 7 of `X` in every data set of this seed, whatever its size.
/// let current_pa = OrnsteinUhlenbeck::default().trace(1000, &mut PhiloxRandom::trial(1234, 0, 7, 0));
/// assert_eq!(current_pa.len(), 1000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PhiloxRandom {
    key: [u32; 2],
    /// The counter of the next block.
    counter: [u32; 4],
    /// The bits of the second deviate of a block, until it is drawn.
    spare: Option<u64>,
}

impl PhiloxRandom {
    /// The random numbers of one trial. `split` is 0 for `X` and 1 for `X_test`. `sample` is counted from 0. `dropped_before`
    /// is the number of trials already dropped for this sample.
    pub fn trial(seed: u32, split: u32, sample: u64, dropped_before: u32) -> Self {
        PhiloxRandom {
            key: [seed, split],
            counter: [0, dropped_before, sample as u32, (sample >> 32) as u32],
            spare: None,
        }
    }

    /// The next number from the standard normal distribution.
    pub fn standard_normal(&mut self) -> f64 {
        let bits = self.spare.take().unwrap_or_else(|| {
            let [a, b, c, d] = philox4x32(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            let join = |high: u32, low: u32| u64::from(high) << 20 | u64::from(low >> 12);
            self.spare = Some(join(c, d));
            join(a, b)
        });
        // This is above 0 and below 1.
        normal_quantile((bits as f64 + 0.5) * f64::EPSILON)
    }
}

impl StandardNormal for PhiloxRandom {
    fn standard_normal(&mut self) -> f64 {
        PhiloxRandom::standard_normal(self)
    }
}

/// The number below which a standard normal deviate lies with probability `p`, which must be above 0 and below 1.
///
/// Source: M. J. Wichura, algorithm AS 241 (PPND16), J. R. Stat. Soc. C 37, 477 (1988), doi 10.2307/2347330.
#[allow(clippy::excessive_precision, reason = "as published")]
fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * quotient(
            0.180625 - q * q,
            [
                2.509_080_928_730_122_672_7e3,
                3.343_057_558_358_812_810_5e4,
                6.726_577_092_700_870_085_3e4,
                4.592_195_393_154_987_145_7e4,
                1.373_169_376_550_946_112_5e4,
                1.971_590_950_306_551_442_7e3,
                1.331_416_678_917_843_774_5e2,
                3.387_132_872_796_366_608_0,
            ],
            [
                5.226_495_278_852_854_561_0e3,
                2.872_908_573_572_194_267_4e4,
                3.930_789_580_009_271_061_0e4,
                2.121_379_430_158_659_586_7e4,
                5.394_196_021_424_751_107_7e3,
                6.871_870_074_920_579_083_0e2,
                4.231_333_070_160_091_125_2e1,
                1.0,
            ],
        );
    }
    let r = (-libm::log(if q < 0.0 { p } else { 1.0 - p })).sqrt();
    let value = if r <= 5.0 {
        quotient(
            r - 1.6,
            [
                7.745_450_142_783_414_076_40e-4,
                2.272_384_498_926_918_458_33e-2,
                2.417_807_251_774_506_117_70e-1,
                1.270_458_252_452_368_382_58,
                3.647_848_324_763_204_605_04,
                5.769_497_221_460_691_405_50,
                4.630_337_846_156_545_295_90,
                1.423_437_110_749_683_577_34,
            ],
            [
                1.050_750_071_644_416_843_24e-9,
                5.475_938_084_995_344_946_00e-4,
                1.519_866_656_361_645_719_66e-2,
                1.481_039_764_274_800_745_90e-1,
                6.897_673_349_851_000_045_50e-1,
                1.676_384_830_183_803_849_40,
                2.053_191_626_637_758_821_87,
                1.0,
            ],
        )
    } else {
        quotient(
            r - 5.0,
            [
                2.010_334_399_292_288_132_65e-7,
                2.711_555_568_743_487_578_15e-5,
                1.242_660_947_388_078_438_60e-3,
                2.653_218_952_657_612_309_30e-2,
                2.965_605_718_285_048_912_30e-1,
                1.784_826_539_917_291_335_80,
                5.463_784_911_164_114_369_90,
                6.657_904_643_501_103_777_20,
            ],
            [
                2.044_263_103_389_939_785_64e-15,
                1.421_511_758_316_445_888_70e-7,
                1.846_318_317_510_054_681_80e-5,
                7.868_691_311_456_132_591_00e-4,
                1.487_536_129_085_061_485_25e-2,
                1.369_298_809_227_358_053_10e-1,
                5.998_322_065_558_879_376_90e-1,
                1.0,
            ],
        )
    };
    if q < 0.0 { -value } else { value }
}

/// A quotient of two polynomials, with the coefficients of the highest powers first.
fn quotient(x: f64, over: [f64; 8], under: [f64; 8]) -> f64 {
    let polynomial = |coefficients: [f64; 8]| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    polynomial(over) / polynomial(under)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that Random123, the authors' own implementation, is tested with.
    #[test]
    fn philox_gives_the_known_answers() {
        let ones = u32::MAX;
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([ones; 4], [ones; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let found = philox4x32(pi, [0xa409_3822, 0x299f_31d0]);
        assert_eq!(found, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    /// The quantiles of published tables and of Python's `statistics.NormalDist`.
    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (p, expected) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.25, -0.674_489_750_196_081_7),
            (1e-3, -3.090_232_306_167_813_5),
            (1e-20, -9.262_340_089_798_408),
        ] {
            assert!((normal_quantile(p) - expected).abs() < 1e-14 * expected.abs().max(1.0), "{p}");
        }
        let ends = [0.5, (1u64 << 52) as f64 - 0.5].map(|x| normal_quantile(x * f64::EPSILON));
        assert!(ends[0] < -8.0 && ends[1] == -ends[0]);
    }

    #[test]
    fn deviates_are_normal_and_trials_are_uncorrelated() {
        const N: usize = 200_000;
        let draw = |seed, split, sample, dropped_before| -> Vec<f64> {
            let mut random = PhiloxRandom::trial(seed, split, sample, dropped_before);
            (0..N).map(|_| random.standard_normal()).collect()
        };
        let first = draw(1, 0, 0, 0);
        let moment = |power: i32| first.iter().map(|x| x.powi(power)).sum::<f64>() / N as f64;
        for (power, expected, tolerance) in [(1, 0.0, 0.01), (2, 1.0, 0.015), (3, 0.0, 0.05), (4, 3.0, 0.1)] {
            assert!((moment(power) - expected).abs() < tolerance, "moment {power}: {}", moment(power));
        }
        let others = [draw(2, 0, 0, 0), draw(1, 1, 0, 0), draw(1, 0, 1, 0), draw(1, 0, 1 << 32, 0), draw(1, 0, 0, 1)];
        for other in &others {
            let correlation = first.iter().zip(other).map(|(a, b)| a * b).sum::<f64>() / N as f64;
            assert!(correlation.abs() < 0.01, "{correlation}");
        }
        let neighbours = first.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / N as f64;
        assert!(neighbours.abs() < 0.01, "{neighbours}");
    }
}

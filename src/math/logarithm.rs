//! The natural logarithm with the bits of glibc, on every platform.
//!
//! NumPy's legacy stream takes the logarithm of the C library. The original study was computed with glibc's; other
//! libraries round some logarithms, and with them currents, differently (the crate `libm`: 7 in 100). So this is glibc's
//! algorithm with its constants, and with the fused multiply-adds of its builds for x86-64 and ARM64.
//!
//! Source: Arm Optimized Routines, `math/log.c` and `math/log_data.c`, which are part of glibc since version 2.28.

#[cfg(target_arch = "x86_64")]
use fearless_simd::{Level, Simd};

/// The natural logarithm of a positive, normal number, to within 0.52 units in the last place.
pub fn ln(x: f64) -> f64 {
    #[cfg(target_arch = "x86_64")]
    return match Level::new().as_avx2() {
        Some(simd) => simd.vectorize(
            #[inline(always)]
            move || ln_by(x, f64::mul_add),
        ),
        // On processors from before 2013: slower, with the same bits.
        None => ln_by(x, libm::fma),
    };
    #[cfg(not(target_arch = "x86_64"))]
    ln_by(x, f64::mul_add)
}

/// [`ln`] with the given function for `a * b + c` in a single rounding.
#[inline(always)]
fn ln_by(x: f64, fma: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let bits = x.to_bits();
    if (NEAR_1[0].to_bits()..NEAR_1[1].to_bits()).contains(&bits) {
        return ln_near_1(x - 1.0, fma);
    }
    // x = 2^k z, with z from 0.6875 to 1.375, in one of 128 intervals of equal length. Near the middle of each is c.
    let offset = bits.wrapping_sub(0x3fe6_0000_0000_0000);
    let z = f64::from_bits(bits.wrapping_sub(offset & 0xfff << 52));
    let k = (offset as i64 >> 52) as f64;
    let (inverse_c, ln_c) = INTERVALS[(offset >> 45) as usize % 128];
    let r = fma(z, inverse_c, -1.0);
    // ln(x) = high + low + (ln(1 + r) - r), where high + low = k ln(2) + ln(c) + r.
    let ln_2_k_c = fma(k, LN_2_HIGH, ln_c);
    let high = ln_2_k_c + r;
    let low = fma(k, LN_2_LOW, ln_2_k_c - high + r);
    let [a0, a1, a2, a3, a4] = NARROW.map(f64::from_bits);
    let r2 = r * r;
    let rest = fma(fma(a4, r, a3), r2, fma(a2, r, a1));
    fma(r * r2, rest, fma(a0, r2, low)) + high
}

/// ln(1 + r) for 1 + r in [`NEAR_1`].
#[inline(always)]
fn ln_near_1(r: f64, fma: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let [b1, b2, b3, b4, b5, b6, b7, b8, b9, b10] = WIDE.map(f64::from_bits);
    let r2 = r * r;
    let r3 = r * r2;
    let rest = fma(b10, r3, fma(b9, r2, fma(b8, r, b7)));
    let rest = fma(rest, r3, fma(b6, r2, fma(b5, r, b4)));
    let rest = fma(rest, r3, fma(b3, r2, fma(b2, r, b1)));
    // high + low = r - r^2 / 2, where r^2 is taken from the upper and the lower half of r.
    let upper = fma(-r, SPLIT, fma(r, SPLIT, r));
    let high = fma(upper * upper, -0.5, r);
    let low = fma(upper * upper, -0.5, r - high);
    let low = fma(-0.5 * (r - upper), upper + r, low);
    high + fma(rest, r3, low)
}

/// From here to there, the logarithm has a polynomial of its own.
const NEAR_1: [f64; 2] = [1.0 - 0.0625, 1.0 + 0.064_697_265_625];

/// 2^27.
const SPLIT: f64 = 134_217_728.0;

/// ln(2) in two parts. The first one ends in zeros, so that its multiples are exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fefa_3800);
const LN_2_LOW: f64 = f64::from_bits(0x3d2e_f357_93c7_6730);

/// The bits of the coefficients of (ln(1 + r) - r) / r^2, for |r| below 1/256.
const NARROW: [u64; 5] =
    [0xbfe0_0000_0000_0001, 0x3fd5_5555_5551_305b, 0xbfcf_ffff_ffeb_4590, 0x3fc9_99b3_24f1_0111, 0xbfc5_5575_e506_c89f];

/// The bits of the coefficients of (ln(1 + r) - r + r^2 / 2) / r^3, for 1 + r in [`NEAR_1`].
const WIDE: [u64; 10] = [
    0x3fd5_5555_5555_5577,
    0xbfcf_ffff_ffff_fdcb,
    0x3fc9_9999_9995_dd0c,
    0xbfc5_5555_5567_45a7,
    0x3fc2_4924_a344_de30,
    0xbfbf_ffff_a442_3d65,
    0x3fbc_7184_282a_d6ca,
    0xbfb9_99eb_43b0_68ff,
    0x3fb7_8182_f7af_d085,
    0xbfb5_5213_75d1_45cd,
];

/// 1 / c and ln(c) of each interval.
static INTERVALS: [(f64, f64); 128] = {
    let mut intervals = [(0.0, 0.0); 128];
    let mut i = 0;
    while i < 128 {
        let inverse_c = f64::from_bits(INVERSE_C[i]);
        intervals[i] = (inverse_c, -rounded_ln(inverse_c));
        i += 1;
    }
    intervals
};

/// ln(x) for x from 0.7 to 1.5, rounded to a multiple of 2^-43: so a multiple of ln(2) is added without an error.
const fn rounded_ln(x: f64) -> f64 {
    // 2 atanh(s), as a series.
    let s = (x - 1.0) / (x + 1.0);
    let (mut sum, mut power, mut n) = (0.0, s, 1.0);
    while n < 30.0 {
        sum += power / n;
        power *= s * s;
        n += 2.0;
    }
    // Numbers close to this one are multiples of 2^-43.
    const ROUND: f64 = 768.0;
    2.0 * sum + ROUND - ROUND
}

/// The bits of 1 / c. Arm searched around the middle of each interval for a c whose logarithm is almost a multiple of
/// 2^-43.
const INVERSE_C: [u64; 128] = [
    0x3ff7_34f0_c3e0_de9f,
    0x3ff7_1378_6a2c_e91f,
    0x3ff6_f260_08fa_b5a0,
    0x3ff6_d1a6_1f13_8c7d,
    0x3ff6_b149_0bc5_b4d1,
    0x3ff6_9147_332f_0cba,
    0x3ff6_719f_1822_4223,
    0x3ff6_524f_99a5_1ed9,
    0x3ff6_3356_aa8f_24c4,
    0x3ff6_14b3_6b9d_dc14,
    0x3ff5_f664_52c6_5c4c,
    0x3ff5_d867_b591_2c4f,
    0x3ff5_babc_cb5b_90de,
    0x3ff5_9d61_f2d9_1a78,
    0x3ff5_8056_1246_5687,
    0x3ff5_6397_cee7_6bd3,
    0x3ff5_4725_e2a7_7f93,
    0x3ff5_2aff_4206_4583,
    0x3ff5_0f22_dbb2_bddf,
    0x3ff4_f38f_4734_ded7,
    0x3ff4_d843_cfde_2840,
    0x3ff4_bd3e_c078_a3c8,
    0x3ff4_a27f_c3e0_258a,
    0x3ff4_8805_24d4_8434,
    0x3ff4_6dce_1b19_2d0b,
    0x3ff4_53d9_d339_1854,
    0x3ff4_3a27_44b4_845a,
    0x3ff4_20b5_4115_f8fb,
    0x3ff4_0782_da3e_f4b1,
    0x3ff3_ee8f_5d57_fe8f,
    0x3ff3_d5d9_a00b_4ce9,
    0x3ff3_bd60_c010_c12b,
    0x3ff3_a524_2b75_dab8,
    0x3ff3_8d22_cd9f_d002,
    0x3ff3_755b_c584_7a1c,
    0x3ff3_5dce_49ad_36e2,
    0x3ff3_4679_984d_d440,
    0x3ff3_2f5c_ceff_cb24,
    0x3ff3_1877_75a1_0d49,
    0x3ff3_01c8_373e_3990,
    0x3ff2_eb4e_bb95_f841,
    0x3ff2_d50a_0219_a9d1,
    0x3ff2_bef9_a8b7_fd2a,
    0x3ff2_a91c_7a0c_1bab,
    0x3ff2_9372_6014_b530,
    0x3ff2_7dfa_5757_a1f5,
    0x3ff2_68b3_9b1d_3bbf,
    0x3ff2_539d_838f_f5bd,
    0x3ff2_3eb7_aac9_083b,
    0x3ff2_2a01_2ba9_40b6,
    0x3ff2_1579_96cc_4132,
    0x3ff2_0120_1dd2_fc9b,
    0x3ff1_ecf4_494d_480b,
    0x3ff1_d8f5_528f_6569,
    0x3ff1_c523_1157_7e7c,
    0x3ff1_b17c_74cb_26e9,
    0x3ff1_9e01_0c2c_1ab6,
    0x3ff1_8ab0_7bb6_70bd,
    0x3ff1_778a_25ef_bcb6,
    0x3ff1_648d_354c_31da,
    0x3ff1_51b9_9027_5fdd,
    0x3ff1_3f0e_a432_d24c,
    0x3ff1_2c8b_7210_f9da,
    0x3ff1_1a30_28ec_b531,
    0x3ff1_07fb_da84_34af,
    0x3ff0_f5ee_0f4e_6bb3,
    0x3ff0_e406_5d2a_9fce,
    0x3ff0_d244_632c_a521,
    0x3ff0_c0a7_7ce2_981a,
    0x3ff0_af2f_83c6_36d1,
    0x3ff0_9ddb_98a0_1339,
    0x3ff0_8cab_af52_e7df,
    0x3ff0_7b9f_2f4e_28fb,
    0x3ff0_6ab5_8c35_8f19,
    0x3ff0_59ee_a5ec_f92c,
    0x3ff0_4949_cdd1_2c90,
    0x3ff0_38c6_c6f0_ada9,
    0x3ff0_2865_1379_32a9,
    0x3ff0_1824_27ea_7348,
    0x3ff0_0804_0614_b195,
    0x3fef_e01f_f726_fa1a,
    0x3fef_a11c_c261_ea74,
    0x3fef_6310_b081_992e,
    0x3fef_25f6_3cee_adcd,
    0x3fee_e9c8_0391_13e7,
    0x3fee_ae80_78cb_b1ab,
    0x3fee_741a_a29d_0c9b,
    0x3fee_3a91_830a_99b5,
    0x3fee_01e0_0960_9a56,
    0x3fed_ca01_e577_bb98,
    0x3fed_92f2_0b7c_9103,
    0x3fed_5cac_66fb_5cce,
    0x3fed_272c_aa5e_de9d,
    0x3fec_f26e_3e6b_2ccd,
    0x3fec_be6d_a2a7_7902,
    0x3fec_8b26_6d37_086d,
    0x3fec_5894_bd5d_5804,
    0x3fec_26b5_33bb_9f8c,
    0x3feb_f583_eeec_e73f,
    0x3feb_c4fd_75db_96c1,
    0x3feb_951e_0c86_4a28,
    0x3feb_65e2_c5ef_3e2c,
    0x3feb_3748_67c9_888b,
    0x3feb_094b_211d_304a,
    0x3fea_dbe8_85f2_ef7e,
    0x3fea_af1d_3160_3da2,
    0x3fea_82e6_3fd3_58a7,
    0x3fea_5740_ef09_738b,
    0x3fea_2c2a_90ab_4b27,
    0x3fea_01a0_1393_f2d1,
    0x3fe9_d79f_24db_3c1b,
    0x3fe9_ae25_05c7_b190,
    0x3fe9_852e_f297_ce2f,
    0x3fe9_5cba_eea4_4b75,
    0x3fe9_34c6_9de7_4838,
    0x3fe9_0d4f_2f67_52e6,
    0x3fe8_e652_8eff_d79d,
    0x3fe8_bfce_9fcc_007c,
    0x3fe8_99c0_dabe_c30e,
    0x3fe8_7427_aa23_17fb,
    0x3fe8_4f00_acb3_9a08,
    0x3fe8_2a49_e865_3e55,
    0x3fe8_0601_95f4_0260,
    0x3fe7_e225_63e0_a329,
    0x3fe7_beb3_77dc_b5ad,
    0x3fe7_9baa_6797_25c2,
    0x3fe7_7907_f217_0657,
    0x3fe7_56ca_dbd6_130c,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers as the stream takes logarithms of, around 1, and of every exponent.
    fn numbers() -> impl Iterator<Item = f64> {
        let mut random = crate::stimulus::NumpyRandom::seed(1);
        (0..300_000).map(move |i| {
            let u = random.random_sample() + f64::EPSILON / 4.0;
            match i % 3 {
                0 => u,
                1 => 1.0 + (0.2 * u - 0.1) * 0.5_f64.powi(i % 50),
                _ => f64::from_bits(((1 + i as u64 % 2046) << 52) + (u * 0.5_f64.powi(-52)) as u64),
            }
        })
    }

    #[test]
    fn logarithms_are_right_on_every_platform() {
        for x in numbers() {
            let (found, expected) = (ln(x), libm::log(x));
            assert!((found - expected).abs() <= 2.0 * f64::EPSILON * expected.abs(), "{x:e}: {found:e}, {expected:e}");
            assert_eq!(found.to_bits(), ln_by(x, libm::fma).to_bits(), "{x:e}");
        }
    }

    /// glibc's other build, for x86-64 without fused multiply-add, rounds one logarithm in 10 000 differently.
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn logarithms_have_the_bits_of_glibc() {
        #[cfg(target_arch = "x86_64")]
        if Level::new().as_avx2().is_none() {
            return;
        }
        for x in numbers() {
            assert_eq!(ln(x).to_bits(), x.ln().to_bits(), "{x:e}");
        }
    }
}

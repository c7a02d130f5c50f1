//! The normal distribution cut to an interval: mass, quantiles.
//!
//! Everything is in units of the standard normal: φ is its density, Φ its distribution function.

use libm::erfc;
use std::f64::consts::FRAC_1_SQRT_2;
use trialbox_core::space::transform::into_range;

/// ½·ln(2π).
pub(crate) const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_8;

/// Returns Φ(x), with full relative precision in the lower tail.
pub(crate) fn cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// Returns ln Φ(x), to a few ulp; 0 at +∞ and −∞ at −∞.
pub(crate) fn log_cdf(x: f64) -> f64 {
    if x > 6.0 {
        (-cdf(-x)).ln_1p()
    } else if x > -20.0 {
        cdf(x).ln()
    } else if x == f64::NEG_INFINITY {
        x
    } else {
        // Abramowitz and Stegun 1964, eq. 26.2.12; at 20 the terms fall below 1e-16 before they rise.
        let r = 1.0 / (x * x);
        let series =
            1.0 - r * (1.0 - 3.0 * r * (1.0 - 5.0 * r * (1.0 - 7.0 * r * (1.0 - 9.0 * r))));
        -0.5 * x * x - (-x).ln() - LN_SQRT_2PI + series.ln()
    }
}

/// Returns ln(Φ(b) − Φ(a)) for a <= b; −∞ if they are equal.
pub(crate) fn log_mass(a: f64, b: f64) -> f64 {
    if a > 0.0 {
        return log_mass(-b, -a);
    }
    let (width, middle) = (b - a, 0.5 * (a + b));
    if width <= 0.1 && (width * middle).abs() <= 0.2 {
        return log_mass_of_narrow(width, middle);
    }
    if b <= -30.0 {
        let (log_a, log_b) = (log_cdf(a), log_cdf(b));
        log_b + (-(log_a - log_b).exp()).ln_1p()
    } else if b <= 0.0 {
        // The interval is not narrow, so that Φ(a) is well below Φ(b); here it is below every digit.
        let is_alone = width * middle < -40.0;
        (cdf(b) - if is_alone { 0.0 } else { cdf(a) }).ln()
    } else {
        (-cdf(a) - cdf(-b)).ln_1p()
    }
}

/// Returns the mass of a narrow interval, where differences of Φ would lose all digits: the Taylor series of
/// ∫φ around the middle, with φ⁽²ᵏ⁾ = He₂ₖ·φ. The first term left out is below 1e-13.
fn log_mass_of_narrow(width: f64, middle: f64) -> f64 {
    let (h2, m2) = (width * width, middle * middle);
    let he2 = m2 - 1.0;
    let he4 = m2 * (m2 - 6.0) + 3.0;
    let he6 = m2 * (m2 * (m2 - 15.0) + 45.0) - 15.0;
    let more = h2 * (he2 / 24.0 + h2 * (he4 / 1920.0 + h2 * he6 / 322_560.0));
    width.ln() - 0.5 * m2 - LN_SQRT_2PI + more.ln_1p()
}

/// Returns the point of [a, b] below which a share `q` of the interval's mass lies; a <= b, 0 <= q <= 1.
///
/// Relative error about 1e-15, from the far tails on 1e-9.
pub(crate) fn truncated_quantile(q: f64, a: f64, b: f64) -> f64 {
    if a > 0.0 {
        return -truncated_quantile(1.0 - q, -b, -a);
    }
    if q <= 0.0 || b <= a {
        return a;
    }
    if q >= 1.0 {
        return b;
    }
    let (below, above) = (cdf(a), cdf(-b));
    let x = if b > -30.0 {
        let mass = if b <= 0.0 { cdf(b) - below } else { 1.0 - below - above };
        let (lower, upper) = (below + q * mass, above + (1.0 - q) * mass);
        // Whichever tail is the smaller one has the digits.
        if lower <= upper { quantile(lower) } else { -quantile(upper) }
    } else {
        let (log_below, log_part) = (log_cdf(a), q.ln() + log_mass(a, b));
        let (small, large) = (log_below.min(log_part), log_below.max(log_part));
        quantile_of_log(large + (small - large).exp().ln_1p())
    };
    into_range(x, a, b)
}

/// Returns Φ⁻¹(p) for 0 < p < 1, with full relative precision in the lower tail.
pub(crate) fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(r, &CENTRE);
    }
    if q < 0.0 { quantile_of_log(p.ln()) } else { -quantile_of_log((-p).ln_1p()) }
}

/// Returns the x with ln Φ(x) = `log_p`, for log_p below ln 0.075.
fn quantile_of_log(log_p: f64) -> f64 {
    let r = (-log_p).sqrt();
    if r <= 5.0 {
        -ratio(r - 1.6, &TAIL)
    } else if r <= 27.0 {
        -ratio(r - 5.0, &FAR_TAIL)
    } else {
        // Beyond the approximation, Newton's method on ln Φ, whose derivative there is nearly −x.
        let mut x = -(2.0 * (-log_p - LN_SQRT_2PI)).sqrt();
        for _ in 0..20 {
            let log_cdf = log_cdf(x);
            let step = (log_cdf - log_p) * (log_cdf + 0.5 * x * x + LN_SQRT_2PI).exp();
            x -= step;
            if step.abs() < 1e-15 * x.abs() {
                break;
            }
        }
        x
    }
}

/// Numerator and denominator of a rational approximation, from the constant on.
type Rational = ([f64; 8], [f64; 8]);

fn ratio(x: f64, (numerator, denominator): &Rational) -> f64 {
    polynomial(x, numerator) / polynomial(x, denominator)
}

fn polynomial(x: f64, terms: &[f64; 8]) -> f64 {
    terms.iter().rev().fold(0.0, |sum, term| sum * x + term)
}

// Wichura 1988, "Algorithm AS 241: The Percentage Points of the Normal Distribution", PPND16: relative
// error about 1e-16. The last two are functions of √(−ln p).
const CENTRE: Rational = (
    [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946_e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
);
const TAIL: Rational = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
const FAR_TAIL: Rational = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

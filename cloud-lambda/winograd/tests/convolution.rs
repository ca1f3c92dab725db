//! Every size against a direct convolution in double precision.

use fogline_winograd::{Backend, Convolution, Finish, Size};
use proptest::prelude::*;

/// The exact outputs and, for each, the convolution of absolute values, which bounds its error.
fn direct(
    maps: &[f32],
    kernels: &[f32],
    bias: &[f32],
    [samples, inputs, height, width]: [usize; 4],
) -> Vec<(f64, f64)> {
    let mut outputs = vec![];
    for sample in 0..samples {
        for (output, &bias) in bias.iter().enumerate() {
            for y in 0..height {
                for x in 0..width {
                    let (mut sum, mut absolute) = (f64::from(bias), f64::from(bias.abs()));
                    for at in 0..inputs * 9 {
                        let (input, row, column) = (at / 9, y + at % 9 / 3, x + at % 3);
                        // The border's width is one, so that row 1 of a bordered map is row 0 of the map.
                        if (1..=height).contains(&row) && (1..=width).contains(&column) {
                            let place = ((sample * inputs + input) * height + row - 1) * width;
                            let value = f64::from(maps[place + column - 1]);
                            let product = value * f64::from(kernels[output * inputs * 9 + at]);
                            sum += product;
                            absolute += product.abs();
                        }
                    }
                    outputs.push((sum, absolute));
                }
            }
        }
    }
    outputs
}

fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-1.0_f32..1.0, count)
}

/// A shape, maps, kernels, bias and addend.
type Case = ([usize; 5], Vec<f32>, Vec<f32>, Vec<f32>, Vec<f32>);

fn case() -> impl Strategy<Value = Case> {
    // Fewer channels than lanes, as many, and more; maps that tiles fill and that they reach beyond; fewer tiles than are
    // computed together, and more.
    let shape = (1..4_usize, 1..40_usize, 1..40_usize, 1..10_usize, 1..10_usize);
    shape.prop_flat_map(|(samples, inputs, outputs, height, width)| {
        let area = height * width;
        (
            Just([samples, inputs, outputs, height, width]),
            values(samples * inputs * area),
            values(outputs * inputs * 9),
            values(outputs),
            values(samples * outputs * area),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_the_convolution(
        ([samples, inputs, _, height, width], maps, kernels, bias, addend) in case(),
        relu in any::<bool>(),
        with_addend in any::<bool>(),
        pool in any::<bool>(),
    ) {
        let exact = direct(&maps, &kernels, &bias, [samples, inputs, height, width]);
        let largest = exact.iter().map(|(_, absolute)| absolute).fold(0.0, |a, &b| f64::max(a, b));
        let pool = pool && height % 2 + width % 2 == 0;
        let mut expected: Vec<f64> = exact.iter().map(|(sum, _)| *sum).collect();
        if with_addend {
            for (sum, &addend) in expected.iter_mut().zip(&addend) {
                *sum += f64::from(addend);
            }
        }
        if relu {
            for sum in &mut expected {
                *sum = sum.max(0.0);
            }
        }
        if pool {
            expected = pooled(&expected, [height, width]);
        }
        for size in [Size::Two, Size::Four] {
            let convolution = Convolution::new(size, &kernels, &bias);
            for backend in Backend::all() {
                let mut output = vec![f32::NAN; expected.len()];
                let finish = Finish { addend: with_addend.then_some(&addend), relu, pool };
                convolution.run_on(backend, &maps, [height, width], finish, &mut output);
                for (&found, &expected) in output.iter().zip(&expected) {
                    prop_assert!(
                        (f64::from(found) - expected).abs() <= f64::from(size.error(inputs)) * largest,
                        "{size:?} on {backend}: {found} instead of {expected}, with sums up to {largest}"
                    );
                }
            }
        }
    }
}

/// The largest of each 2x2 values of maps.
fn pooled(maps: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let of = |map: &[f64]| -> Vec<f64> {
        let place = |at: usize| 2 * (at / (width / 2) * width + at % (width / 2));
        let largest = |at: usize| {
            [0, 1, width, width + 1].map(|next| map[at + next]).into_iter().fold(f64::MIN, f64::max)
        };
        (0..height * width / 4).map(|at| largest(place(at))).collect()
    };
    maps.chunks_exact(height * width).flat_map(of).collect()
}

/// Nothing cancels out, so that errors add up as far as they can.
#[test]
fn many_channels_of_one_sign_stay_within_the_bound() {
    let [inputs, outputs, side] = [256, 16, 6];
    let numbers = |count: usize, factor: usize| -> Vec<f32> {
        (0..count).map(|i| (i * factor % 10_007) as f32 / 10_007.0).collect()
    };
    let maps = numbers(inputs * side * side, 4_099);
    let kernels = numbers(outputs * inputs * 9, 5_003);
    let bias = vec![0.0; outputs];
    let exact = direct(&maps, &kernels, &bias, [1, inputs, side, side]);
    let largest = exact.iter().map(|(sum, _)| *sum).fold(0.0, f64::max);
    for size in [Size::Two, Size::Four] {
        let convolution = Convolution::new(size, &kernels, &bias);
        for backend in Backend::all() {
            let mut output = vec![f32::NAN; exact.len()];
            convolution.run_on(backend, &maps, [side; 2], Finish::default(), &mut output);
            let errors = output.iter().zip(&exact).map(|(&found, (sum, _))| f64::from(found) - sum);
            let error = errors.map(f64::abs).fold(0.0, f64::max);
            let bound = f64::from(size.error(inputs)) * largest;
            assert!(error <= bound, "{size:?} on {backend}: off by {error}, which exceeds {bound}");
        }
    }
}

#[test]
fn no_maps_have_no_outputs() {
    let convolution = Convolution::new(Size::Two, &[1.0; 9], &[0.0]);
    convolution.run(&[], [4, 4], Finish::default(), &mut []);
    convolution.run(&[], [0, 4], Finish::default(), &mut []);
}

#[test]
fn small_maps_get_small_tiles_unless_there_are_many() {
    assert_eq!(Size::best(1, 4, 4), Size::Two);
    assert_eq!(Size::best(16, 4, 4), Size::Four);
    assert_eq!(Size::best(1, 8, 8), Size::Two);
    assert_eq!(Size::best(4, 8, 8), Size::Four);
    assert_eq!(Size::best(1, 2, 2), Size::Two);
}

#[test]
fn the_transformed_kernels_take_the_stated_memory() {
    let kernels = vec![0.0; 9 * 32 * 16];
    for size in [Size::Two, Size::Four] {
        let convolution = Convolution::new(size, &kernels, &[0.0; 32]);
        assert_eq!(convolution.untransformed_bytes(), 9 * 32 * 16 * 4);
        assert_eq!(convolution.bytes_of_both(), (16 + 36) * 32 * 16 * 4);
    }
}

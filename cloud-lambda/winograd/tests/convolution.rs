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
        ([samples, inputs, outputs, height, width], maps, kernels, bias, addend) in case(),
        relu in any::<bool>(),
        with_addend in any::<bool>(),
    ) {
        let exact = direct(&maps, &kernels, &bias, [samples, inputs, height, width]);
        let largest = exact.iter().map(|(_, absolute)| absolute).fold(0.0, |a, &b| f64::max(a, b));
        for (size, backend) in [Size::Two, Size::Four].into_iter().flat_map(|size| Backend::all().into_iter().map(move |each| (size, each))) {
            let convolution = Convolution::new(size, &kernels, &bias);
            let mut output = vec![f32::NAN; samples * outputs * height * width];
            let finish = Finish { addend: with_addend.then_some(&addend), relu };
            convolution.run_on(backend, &maps, [height, width], finish, &mut output);
            for (i, (&found, (sum, _))) in output.iter().zip(&exact).enumerate() {
                let sum = sum + if with_addend { f64::from(addend[i]) } else { 0.0 };
                let expected = if relu { sum.max(0.0) } else { sum };
                let error = (f64::from(found) - expected).abs();
                prop_assert!(
                    error <= f64::from(size.error()) * largest,
                    "{size:?} on {backend}: {found} instead of {expected}, with sums up to {largest}"
                );
            }
        }
    }
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
    let bytes = |size| Convolution::new(size, &kernels, &[0.0; 32]).bytes();
    assert_eq!(bytes(Size::Two), 16 * 32 * 16 * 4);
    assert_eq!(bytes(Size::Four), 36 * 32 * 16 * 4);
}

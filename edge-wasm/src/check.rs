//! What must hold of a packed model before it runs: its shapes, its numbers, and the memory that it takes.

use crate::conv::Conv;
use crate::fog::{FogError, Model, Program};
use crate::op::{Kind, Op, Shape};

const MAX_OPS: usize = 4096;
const MAX_WAYS: u8 = 8;
/// The most that results and laid-out weights may take together. A file may name the same bytes as the weights of
/// thousands of convolutions, and each has a copy of its own in the order of its kernel: 2 MB would become 600.
/// The committed model takes a tenth; a phone's tab has this much to give.
pub const MAX_MEMORY: u64 = 256 << 20;

/// Checks a program against the length of its data; returns the shape of every result.
pub fn program(program: &Program, data: usize) -> Result<Vec<Shape>, FogError> {
    let refuse = |why: &str| Err(FogError::Program(why.to_owned()));
    if program.ops.is_empty() || program.ops.len() > MAX_OPS {
        return refuse("it has no or too many operations");
    }
    if !matches!(program.ops[0], Op::Input { .. }) {
        return refuse("its first operation is not the input");
    }
    let mut shapes = Vec::with_capacity(program.ops.len());
    for (index, op) in program.ops.iter().enumerate() {
        shapes.push(op.shape(&shapes, data).map_err(|why| FogError::Op { index, why })?);
    }
    if program.exits.is_empty() || !program.exits.is_sorted_by(|a, b| a < b) {
        return refuse("its exits are missing or out of order");
    }
    ways(program).map_err(FogError::Program)?;
    if program.split != program.ops.len() - 1 || shapes[program.split].kind == Kind::Real {
        return refuse("its last operation is not the split");
    }
    let classes = |&exit: &usize| match shapes.get(exit) {
        Some(Shape { kind: Kind::Real, h: 1, w: 1, c }) if *c >= 2 => Some(*c),
        _ => None,
    };
    let first = program.exits.first().and_then(classes);
    if first.is_none() || program.exits.iter().any(|exit| classes(exit) != first) {
        return refuse("its exits do not all give the same number of scores");
    }
    if memory(program, &shapes) > MAX_MEMORY {
        return refuse("its results and laid-out weights together are too large");
    }
    Ok(shapes)
}

/// Whoever takes a way must find there what it reads.
fn ways(program: &Program) -> Result<(), String> {
    let mut end = 0;
    for stretch in &program.stretches {
        if stretch.from < end || stretch.to <= stretch.from || stretch.way >= MAX_WAYS {
            return Err("its stretches overlap, are empty, or go too many ways".into());
        }
        end = stretch.to;
    }
    // All samples begin with the first operation and may end with the last.
    if program.way_of(0).is_some() || program.way_of(program.split).is_some() {
        return Err("its input or its split lies on one way only".into());
    }
    for (index, op) in program.ops.iter().enumerate() {
        let own = program.way_of(index);
        let met = match op {
            Op::Either { of } => {
                let each = (0..program.ways()).map(Some);
                own.is_none() && of.iter().map(|&input| program.way_of(input)).eq(each)
            }
            op => op
                .inputs()
                .iter()
                .all(|&input| program.way_of(input).is_none_or(|way| Some(way) == own)),
        };
        if !met {
            return Err(format!("operation {index} reads what lies on another way"));
        }
    }
    Ok(())
}

/// Checks the numbers of a model whose program was checked.
pub fn numbers(model: &Model) -> Result<(), FogError> {
    for (index, op) in model.program.ops.iter().enumerate() {
        numbers_of(model, op).map_err(|why| FogError::Op { index, why })?;
    }
    Ok(())
}

fn numbers_of(model: &Model, op: &Op) -> Result<(), String> {
    let [first, second, third] = match op {
        Op::Conv { x, conv, scale, bias } => {
            signs(model, model.shapes[*x], conv)?;
            [Some((scale, "scales")), Some((bias, "biases")), None]
        }
        Op::ConvSign { x, conv, .. } => return signs(model, model.shapes[*x], conv),
        Op::Sign { threshold, .. } => [Some((threshold, "thresholds")), None, None],
        Op::Affine { scale, bias, .. } => [Some((scale, "scales")), Some((bias, "biases")), None],
        Op::Prelu { slope, .. } => [Some((slope, "slopes")), None, None],
        Op::Dense { bits, weights, scale, bias, .. } => {
            let weights = (*bits == 32).then_some((weights, "weights"));
            [weights, Some((scale, "scales")), Some((bias, "biases"))]
        }
        // A quantiser's scale is checked with its shape.
        Op::Input { .. }
        | Op::Quantise { .. }
        | Op::Add { .. }
        | Op::AveragePool { .. }
        | Op::MaxPool { .. }
        | Op::Either { .. }
        | Op::Concat { .. } => return Ok(()),
    };
    // Nothing that follows from a number that is none is an answer, and engines may differ in it.
    for (blob, what) in [first, second, third].into_iter().flatten() {
        let numbers: &[f32] = model.tensor(*blob);
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(format!("number {at} of its {what} is {}", numbers[at]));
        }
    }
    Ok(())
}

/// Signs beyond the channels must be 0: kernels that count whole words would count them, others not.
fn signs(model: &Model, x: Shape, conv: &Conv) -> Result<(), String> {
    let beyond = u64::MAX.checked_shl((x.c % 64) as u32).filter(|_| !x.c.is_multiple_of(64));
    let (Some(beyond), (1, 0, 0)) = (beyond, (conv.bits, conv.nested, conv.share)) else {
        return Ok(()); // other weights become signs of as many channels as there are
    };
    let words: &[u64] = model.tensor(conv.weights);
    let last = words.iter().skip(x.words() - 1).step_by(x.words());
    if last.into_iter().any(|word| word & beyond != 0) {
        return Err(format!("its weights have signs beyond the {} channels", x.c));
    }
    Ok(())
}

/// Bytes that an engine takes for a program at most, beside the file's: results, as if none lay where another
/// has lain, and what each convolution keeps.
pub fn memory(program: &Program, shapes: &[Shape]) -> u64 {
    let results = shapes.iter().map(|shape| 4 * shape.len() as u64);
    let convs = program.ops.iter().filter_map(Op::conv).map(|(x, conv)| laid_out(shapes[x], conv));
    results.chain(convs).sum()
}

/// Bytes that a convolution takes on the backend that needs most.
fn laid_out(x: Shape, conv: &Conv) -> u64 {
    let (outputs, taps) = (u64::from(conv.outputs), u64::from(conv.k).pow(2));
    let (channels, pixels) = (x.c as u64, (x.h * x.w) as u64);
    let weights = if conv.bits == 1 {
        let words = outputs * channels.div_ceil(64) * 8;
        words.max(outputs.next_multiple_of(64) * channels.div_ceil(8)) * taps
    } else {
        // Pairs of 16 bits, and as many of the map; or quads of bytes and a sum beside each pixel's.
        let (pairs, quads) = (4 * channels.div_ceil(2), 4 * channels.div_ceil(4));
        outputs.next_multiple_of(16) * taps * pairs.max(quads) + pixels * pairs.max(quads + 4)
    };
    // To unfold shared or nested signs takes time by the weight.
    let unfolded = if conv.share + conv.nested > 0 { outputs * taps * channels } else { 0 };
    // Runs of taps, and thresholds with two sets of limits.
    weights + unfolded + 24 * taps + 13 * outputs.next_multiple_of(64)
}

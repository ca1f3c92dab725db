//! The checks of a packed model: shapes, numbers, and the memory that it needs.

use fogline::coding::Coder;

use super::error::FogError;
use super::program::Program;
use crate::ops::{Earlier, Either, Op};
use crate::tensor::{Data, Kind, Shape};

const MAX_OPS: usize = 4096;
const MAX_WAYS: u8 = 8;
/// The limit of results and laid-out weights together, in bytes. A file may refer to the same bytes as the weights of
/// thousands of convolutions, and each keeps its own copy in its kernel's layout: 2 MB would become 600. The committed
/// model needs a tenth of the limit, which a phone's tab can still afford.
pub const MAX_MEMORY: u64 = 256 << 20;

/// Checks a program against the length of its data. Returns the shape of each result.
pub fn program(program: &Program, data: usize) -> Result<Vec<Shape>, FogError> {
    let refuse = |why: &str| Err(FogError::Program(why.to_owned()));
    if program.ops.is_empty() || program.ops.len() > MAX_OPS {
        return refuse("it has no or too many operations");
    }
    if !matches!(program.ops[0], Op::Input(_)) {
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
    if shapes.get(program.split).is_none_or(|shape| shape.kind == Kind::Real) {
        return refuse("its split is not an operation that gives signs or levels");
    }
    let classes = |&exit: &usize| match shapes.get(exit) {
        Some(Shape { kind: Kind::Real, h: 1, w: 1, c }) if *c >= 2 => Some(*c),
        _ => None,
    };
    let first = program.exits.first().and_then(classes);
    if first.is_none() || program.exits.iter().any(|exit| classes(exit) != first) {
        return refuse("its exits do not all give the same number of scores");
    }
    if let Some(coder) = program.coder {
        let data = Earlier { shapes: &shapes, data };
        data.holds(coder, coder.len.into(), "coder").map_err(FogError::Program)?;
    }
    if memory(program, &shapes) > MAX_MEMORY {
        return refuse("its results and laid-out weights together are too large");
    }
    Ok(shapes)
}

/// Checks that every operation finds its inputs on the way that it is on.
fn ways(program: &Program) -> Result<(), String> {
    let mut end = 0;
    for stretch in &program.stretches {
        if stretch.from < end || stretch.to <= stretch.from || stretch.way >= MAX_WAYS {
            return Err("its stretches overlap, are empty, or go too many ways".into());
        }
        end = stretch.to;
    }
    // Every sample runs the first operation, and any sample may run the last.
    if program.way_of(0).is_some() || program.way_of(program.split).is_some() {
        return Err("its input or its split lies on one way only".into());
    }
    for (index, op) in program.ops.iter().enumerate() {
        let own = program.way_of(index);
        let met = match op {
            Op::Either(Either { of }) => {
                let each = (0..program.ways()).map(Some);
                own.is_none() && of.iter().map(|&input| program.way_of(input)).eq(each)
            }
            op => op
                .inputs()
                .iter()
                .all(|&input| program.way_of(input).is_none_or(|way| Some(way) == own)),
        };
        if !met {
            return Err(format!("operation {index} reads from another way"));
        }
    }
    Ok(())
}

/// Checks the numbers of a program whose shapes are valid.
pub fn numbers(program: &Program, data: &Data, shapes: &[Shape]) -> Result<(), FogError> {
    for (index, op) in program.ops.iter().enumerate() {
        op.check(data, shapes).map_err(|why| FogError::Op { index, why })?;
    }
    Ok(())
}

/// The coder of a program whose shapes are valid.
pub fn coder(program: &Program, data: &Data, shapes: &[Shape]) -> Result<Option<Coder>, FogError> {
    let Some(blob) = program.coder else { return Ok(None) };
    let coder = Coder::read(data.tensor(blob))
        .map_err(|error| FogError::Program(format!("its coder: {error}")))?;
    let (split, quantiser) = (shapes[program.split], Op::quantiser(&program.ops, program.split));
    let shape = [split.c, split.h, split.w].map(|side| side as u32);
    let bits = program.ops[quantiser].bits();
    if (coder.shape(), coder.bits()) == (shape, bits) {
        Ok(Some(coder))
    } else {
        let ([c, h, w], [channels, height, width]) = (coder.shape(), shape);
        Err(FogError::Program(format!(
            "its coder is for maps of {c}x{h}x{w} at {} bits, not {channels}x{height}x{width} at {bits}",
            coder.bits()
        )))
    }
}

/// The memory, in bytes, that an engine allocates for a program at most, besides the file's: all results, as if none
/// shared a buffer, and the laid-out weights of each convolution.
pub fn memory(program: &Program, shapes: &[Shape]) -> u64 {
    let results = shapes.iter().map(|shape| 4 * shape.len() as u64);
    let filters = program.ops.iter().filter_map(Op::filter);
    results.chain(filters.map(|(x, filter)| filter.memory(shapes[x]))).sum()
}

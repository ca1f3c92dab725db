//! What runs together, and where results lie: decided once, when a model is loaded.
//!
//! A *step* is an operation with the element-wise ones behind it (affine, sum, PReLU, and the quantisers
//! that read it, on whatever way). It runs row by row, so that a row meets all of them while it is in the fastest memory,
//! and what only they read is never stored. Results that are stored lie in a few buffers: one is used
//! again as soon as nothing reads what it holds.

use crate::fog::Program;
use crate::op::{Kind, Op, Shape};

/// The steps of a model, and the memory that they need.
pub struct Plan {
    /// In the order in which they run; the first is the input alone.
    pub steps: Vec<Step>,
    /// The buffer of each operation's result; `None` where it only passes through a step.
    pub places: Vec<Option<usize>>,
    /// Words of each buffer.
    pub buffers: Vec<usize>,
    /// The step that gives each exit, then the one that gives the split.
    pub stops: Vec<usize>,
}

/// Operations that run together, a row at a time.
pub struct Step {
    /// The first operation.
    pub head: usize,
    /// Element-wise operations on its rows, in their order; quantisers write maps of their own.
    pub tail: Vec<usize>,
    /// The last operation that changes the row: what the step gives.
    pub result: usize,
    /// The way whose runs take the step; none where all do.
    pub way: Option<u8>,
}

impl Plan {
    /// The plan of a checked program.
    pub fn new(program: &Program, shapes: &[Shape]) -> Self {
        let steps = steps(program);
        let mut step_of = vec![0; program.ops.len()];
        for (index, step) in steps.iter().enumerate() {
            step.members().for_each(|op| step_of[op] = index);
        }
        let stops = program.exits.iter().chain([&program.split]).map(|&op| step_of[op]).collect();
        let (places, buffers) = places(program, shapes, &steps, &step_of);
        Self { steps, places, buffers, stops }
    }
}

impl Step {
    fn members(&self) -> impl Iterator<Item = usize> {
        core::iter::once(self.head).chain(self.tail.iter().copied())
    }
}

/// The operations that read each operation's result.
fn readers(program: &Program) -> Vec<Vec<usize>> {
    let mut readers = vec![vec![]; program.ops.len()];
    for (index, op) in program.ops.iter().enumerate() {
        for input in op.inputs() {
            if readers[input].last() != Some(&index) {
                readers[input].push(index);
            }
        }
    }
    readers
}

fn steps(program: &Program) -> Vec<Step> {
    let readers = readers(program);
    let mut placed = vec![false; program.ops.len()];
    let mut steps = vec![];
    for head in 0..program.ops.len() {
        if placed[head] {
            continue;
        }
        let mut step = Step { head, tail: vec![], result: head, way: program.way_of(head) };
        placed[head] = true;
        loop {
            let quantiser =
                |&&op: &&usize| matches!(program.ops[op], Op::Sign { .. } | Op::Quantise { .. });
            let (own, others): (Vec<usize>, Vec<usize>) =
                readers[step.result].iter().partition(|op| quantiser(op));
            step.tail.extend(own.iter().inspect(|&&op| placed[op] = true));
            // The row may be changed in place if nobody else wants it as it is.
            let next = match others[..] {
                [next]
                    if !program.exits.contains(&step.result)
                        && program.way_of(next) == step.way =>
                {
                    next
                }
                _ => break,
            };
            let follows = match program.ops[next] {
                Op::Affine { .. } | Op::Prelu { .. } => true,
                Op::Add { a, b } => a != b && placed[if a == step.result { b } else { a }],
                _ => false,
            };
            if !follows {
                break;
            }
            placed[next] = true;
            step.tail.push(next);
            step.result = next;
        }
        steps.push(step);
    }
    steps
}

/// The buffer of each result, and the words of each buffer.
fn places(
    program: &Program,
    shapes: &[Shape],
    steps: &[Step],
    step_of: &[usize],
) -> (Vec<Option<usize>>, Vec<usize>) {
    let readers = readers(program);
    // The operations whose results each step is the last to read.
    let mut last_read = vec![vec![]; steps.len()];
    for (op, readers) in readers.iter().enumerate() {
        let last = readers.iter().map(|&reader| step_of[reader]).max();
        last_read[last.unwrap_or(step_of[op])].push(op);
    }
    // Exits and split are read when the run stops there.
    let kept = |op: usize| op == program.split || program.exits.contains(&op);
    let mut places = vec![None; program.ops.len()];
    let mut buffers: Vec<usize> = vec![];
    let mut free: Vec<usize> = vec![];
    for (index, step) in steps.iter().enumerate() {
        let stored = step.members().filter(|&op| {
            let passes_through = last_read[index].contains(&op) && !kept(op);
            shapes[op].kind != Kind::Real || (op == step.result && !passes_through)
        });
        for op in stored {
            let words = words(shapes[op]);
            // The smallest that is large enough, else the largest.
            let fit = |&(_, &buffer): &(usize, &usize)| {
                let has = buffers[buffer];
                (has < words, if has < words { usize::MAX - has } else { has })
            };
            let free_one = free.iter().enumerate().min_by_key(fit).map(|(at, _)| at);
            let place = free_one.map_or(buffers.len(), |at| free.swap_remove(at));
            buffers.resize(buffers.len().max(place + 1), 0);
            buffers[place] = buffers[place].max(words);
            places[op] = Some(place);
        }
        // What this step was the last to read makes room for the steps behind it.
        free.extend(last_read[index].iter().filter(|&&op| !kept(op)).filter_map(|&op| places[op]));
    }
    (places, buffers)
}

/// u64 words that a result takes.
fn words(shape: Shape) -> usize {
    match shape.kind {
        Kind::Real => shape.len().div_ceil(2),
        Kind::Level => shape.len().div_ceil(8),
        Kind::Sign => shape.h * shape.w * shape.words(),
    }
}

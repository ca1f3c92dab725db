//! Grouping of operations into steps.

use crate::model::Program;
use crate::ops::operation::Role;

/// Operations that run together, one row at a time.
pub struct Step {
    /// The first operation.
    pub head: usize,
    /// Element-wise operations on the head's rows, in order; quantisers write maps of their own.
    pub tail: Vec<usize>,
    /// The last operation that changes the row, whose result is the step's.
    pub result: usize,
    /// The way whose samples run the step, or `None` if all do.
    pub way: Option<u8>,
}

impl Step {
    /// All operations of the step, the first one first.
    pub fn members(&self) -> impl Iterator<Item = usize> {
        core::iter::once(self.head).chain(self.tail.iter().copied())
    }
}

/// For each operation, the operations that read its result.
pub fn readers(program: &Program) -> Vec<Vec<usize>> {
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

/// The steps of a checked program.
pub fn steps(program: &Program) -> Vec<Step> {
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
            let quantises = |&&op: &&usize| program.ops[op].role() == Role::Quantiser;
            let (own, others): (Vec<usize>, Vec<usize>) =
                readers[step.result].iter().partition(|op| quantises(op));
            step.tail.extend(own.iter().inspect(|&&op| placed[op] = true));
            // The row may be changed in place if no other operation needs it unchanged.
            let next = match others[..] {
                [next]
                    if !program.exits.contains(&step.result)
                        && program.way_of(next) == step.way =>
                {
                    next
                }
                _ => break,
            };
            // The operation must read the row exactly once, and its other inputs must be ready.
            let (own, others): (Vec<usize>, Vec<usize>) =
                program.ops[next].inputs().into_iter().partition(|&input| input == step.result);
            let ready = own.len() == 1 && others.iter().all(|&other| placed[other]);
            if program.ops[next].role() != Role::Elementwise || !ready {
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

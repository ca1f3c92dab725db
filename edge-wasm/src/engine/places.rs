//! The assignment of results to buffers.

use super::steps::{Step, readers};
use crate::model::Program;
use crate::tensor::{Kind, Shape};

/// The buffer of each result, and the length of each buffer in words.
pub fn places(
    program: &Program,
    shapes: &[Shape],
    steps: &[Step],
    step_of: &[usize],
) -> (Vec<Option<usize>>, Vec<usize>) {
    let readers = readers(program);
    // For each step, the operations whose results no later step reads.
    let mut last_read = vec![vec![]; steps.len()];
    for (op, readers) in readers.iter().enumerate() {
        let last = readers.iter().map(|&reader| step_of[reader]).max();
        last_read[last.unwrap_or(step_of[op])].push(op);
    }
    // The results of exits and split are read when the run stops there.
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
            let words = (shapes[op].h * shapes[op].row_bytes()).div_ceil(8);
            // The smallest buffer that is large enough, or else the largest.
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
        // What no later step reads makes room for the steps after this one.
        free.extend(last_read[index].iter().filter(|&&op| !kept(op)).filter_map(|&op| places[op]));
    }
    (places, buffers)
}

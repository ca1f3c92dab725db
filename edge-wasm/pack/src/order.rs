//! The order of operations, and which samples run them.

use std::collections::BTreeSet;

use fogline_edge::model::{Program, Stretch};
use fogline_edge::ops::Op;

/// Orders operations so that each exit comes before any operation that it does not need. Returns the program, and for each
/// operation whether only exits need it.
pub fn in_order_of_need(ops: Vec<Op>, exits: &[usize], split: usize) -> (Program, Vec<bool>) {
    /// Adds an operation to `order`, after all operations that it reads.
    fn visit(index: usize, ops: &[Op], visited: &mut [bool], order: &mut Vec<usize>) {
        if !visited[index] {
            visited[index] = true;
            for input in ops[index].inputs() {
                visit(input, ops, visited, order);
            }
            order.push(index);
        }
    }
    let (mut order, mut visited) = (vec![], vec![false; ops.len()]);
    for &output in exits.iter().chain([&split]) {
        visit(output, &ops, &mut visited, &mut order);
    }
    let mut in_trunk = vec![false; ops.len()];
    visit(split, &ops, &mut in_trunk, &mut vec![]);
    let mut places = vec![0; ops.len()];
    order.iter().enumerate().for_each(|(place, &old)| places[old] = place);
    let place = |old: usize| places[old];
    let heads = order.iter().map(|&old| !in_trunk[old]).collect();
    let mut ops: Vec<Option<Op>> = ops.into_iter().map(Some).collect();
    let reordered = order.iter().map(|&old| {
        let mut op = ops[old].take().expect("every operation stands once in the order");
        op.for_each_input(|input| *input = place(*input));
        op
    });
    let ops = reordered.collect();
    let exits = exits.iter().map(|&exit| place(exit)).collect();
    (Program { ops, exits, split: place(split), stretches: vec![], coder: None }, heads)
}

/// The operations that only some samples run: those of an extension, which is way 1, and those of one of several ways.
pub fn stretches(program: &Program, extension: Option<usize>) -> Vec<Stretch> {
    let outputs = program.exits.iter().chain([&program.split]);
    // The ways on which each operation's result is read; `None` for all samples.
    let mut read: Vec<BTreeSet<Option<u8>>> = vec![BTreeSet::new(); program.ops.len()];
    for &output in outputs {
        read[output].insert((Some(output) == extension).then_some(1));
    }
    let mut ways = vec![None; program.ops.len()];
    for (index, op) in program.ops.iter().enumerate().rev() {
        let all: Vec<Option<u8>> = read[index].iter().copied().collect();
        ways[index] = if let [way] = all[..] { way } else { None };
        for (at, input) in op.inputs().into_iter().enumerate() {
            let either = matches!(op, Op::Either(_)).then_some(at as u8);
            read[input].insert(either.or(ways[index]));
        }
    }
    let mut found: Vec<Stretch> = vec![];
    for (index, way) in ways.iter().enumerate().filter_map(|(index, way)| Some((index, (*way)?))) {
        match found.last_mut().filter(|last| last.way == way && last.to == index) {
            Some(last) => last.to += 1,
            None => found.push(Stretch { way, from: index, to: index + 1 }),
        }
    }
    found
}

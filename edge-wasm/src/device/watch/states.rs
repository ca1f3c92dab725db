//! From answers to states: a class becomes the state once it was the answer several times in a row.

/// The state of a source, which a single wrong answer does not change.
#[derive(Debug, Clone)]
pub struct States {
    equal: u32,
    state: Option<usize>,
    latest: Option<usize>,
    in_a_row: u32,
}

/// A new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state before, if there was one.
    pub before: Option<usize>,
    /// The state now.
    pub now: usize,
}

impl States {
    /// No state yet. A class becomes the state after `equal` equal answers in a row, at least one.
    pub fn new(equal: u32) -> Self {
        Self { equal: equal.max(1), state: None, latest: None, in_a_row: 0 }
    }

    /// Counts an answer of class `class`.
    pub fn answer(&mut self, class: usize) -> Option<Change> {
        self.in_a_row =
            if self.latest == Some(class) { self.in_a_row.saturating_add(1) } else { 1 };
        self.latest = Some(class);
        if self.in_a_row < self.equal || self.state == Some(class) {
            return None;
        }
        let before = self.state.replace(class);
        Some(Change { before, now: class })
    }

    /// Whether the latest answer is the state, so that an equal frame would change nothing.
    pub fn is_settled(&self) -> bool {
        self.state.is_some() && self.state == self.latest
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    /// The answers, one digit each, at which the state changes.
    fn changes(equal: u32, answers: &str) -> Vec<(usize, usize)> {
        let mut states = States::new(equal);
        let classes = answers.bytes().map(|digit| usize::from(digit - b'0'));
        let change = |(at, class)| states.answer(class).map(|change| (at, change.now));
        classes.enumerate().filter_map(change).collect()
    }

    #[test]
    fn a_state_takes_several_equal_answers_and_no_flapping_changes_it() {
        assert_eq!(changes(3, "0001112122211"), [(2, 0), (5, 1), (10, 2)]);
        assert_eq!(changes(3, "0102010201"), []);
        assert_eq!(changes(1, "00110"), [(0, 0), (2, 1), (4, 0)]);
        assert_eq!(changes(0, "01"), [(0, 0), (1, 1)]);
    }

    #[test]
    fn it_is_settled_while_answers_are_its_state() {
        let mut states = States::new(2);
        let mut settled = vec![];
        for class in [4, 4, 5, 4, 5, 5] {
            states.answer(class);
            settled.push(states.is_settled());
        }
        assert_eq!(settled, [false, true, false, true, false, true]);
    }
}

//! A wake-up call between tasks of one thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Wakes all tasks that wait for it. One that does not wait at that moment misses nothing if it looks at the state first: there is one
/// thread, and tasks only change places where they wait.
#[derive(Default)]
pub struct Signal {
    raised: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// Wakes everybody who waits.
    pub fn raise(&self) {
        self.raised.set(self.raised.get() + 1);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Waits for the next call of [`Self::raise`].
    pub async fn wait(&self) {
        let before = self.raised.get();
        poll_fn(|context| {
            if self.raised.get() != before {
                return Poll::Ready(());
            }
            // One for each task, however often it began to wait.
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

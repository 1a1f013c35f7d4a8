//! Counts what a source does to be answered: requests over the network, and programs that are started.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

tokio::task_local! {
    /// The count of the source for which the present task works.
    static COUNT: Arc<AtomicU32>;
}

/// Counts one call, for the source that is being asked.
pub(super) fn one() {
    // What is done outside of a count, such as a login to the engine's machine, is no source's.
    let _ = COUNT.try_with(|count| count.fetch_add(1, Ordering::Relaxed));
}

/// Does something, and says how many calls that took.
pub async fn counted<F: Future>(work: F) -> (F::Output, u32) {
    let count = Arc::new(AtomicU32::new(0));
    let done = COUNT.scope(count.clone(), work).await;
    (done, count.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_counts_at_the_same_time_do_not_mix() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let calls = async |number: u32| {
            for _ in 0..number {
                one();
                tokio::task::yield_now().await;
            }
        };
        let (((), a), ((), b)) =
            runtime.block_on(async { tokio::join!(counted(calls(2)), counted(calls(5))) });
        one();
        assert_eq!((a, b), (2, 5));
    }
}

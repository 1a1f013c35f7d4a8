//! How long a test has computed: unlike the time that passes, a busy machine does not stretch it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A stopwatch that runs only while this thread computes.
pub(crate) struct Computed(Duration);

impl Computed {
    pub(crate) fn start() -> Self {
        Self(now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        now().saturating_sub(self.0)
    }
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
}

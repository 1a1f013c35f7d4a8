//! What Compose prints of values by itself.

//! What others can see of the running program.

//! A service that prints its secrets while it dies.

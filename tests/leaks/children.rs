//! What children of the program get: no value in any argument or variable.

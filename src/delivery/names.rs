//! Names of ours among other names: each as it is wished, unless something else has that name.

use std::collections::{BTreeMap, BTreeSet};

/// Gives each thing the name that is wished for it, or that name with underscores behind it where it is `taken`, or an
/// earlier thing has it. The outcome depends on nothing else, and no two things have one name. A name that another thing
/// wishes for is given to no third one.
pub fn free<K: Ord>(wishes: Vec<(K, String)>, taken: &BTreeSet<String>) -> BTreeMap<K, String> {
    let preferred: BTreeSet<String> = wishes.iter().map(|(_, wish)| wish.clone()).collect();
    let mut used = taken.clone();
    let mut all = BTreeMap::new();
    for (thing, wish) in wishes {
        let mut name = wish;
        if used.contains(&name) {
            while used.contains(&name) || preferred.contains(&name) {
                name.push('_');
            }
        }
        used.insert(name.clone());
        all.insert(thing, name);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_as_wished_unless_something_else_has_it() {
        let taken = BTreeSet::from(["own".to_owned()]);
        let wishes = ["a", "own", "a", "a_", "b"].map(str::to_owned).into_iter().enumerate().collect();
        let names: Vec<String> = free(wishes, &taken).into_values().collect();
        assert_eq!(names, ["a", "own_", "a__", "a_", "b"]);
    }
}

//! Which of many values a text contains, without a look at each of them.

use std::collections::{BTreeSet, HashSet};

/// A shorter value (bytes) occurs in texts by chance, and is not looked for.
const SHORTEST: usize = 6;

/// Values to look for in texts. It has no `Debug`: it borrows secrets.
pub struct Holding<'v> {
    /// Sorted, each once.
    values: Vec<&'v [u8]>,
    /// For each, the longest other one that it begins with.
    parents: Vec<Option<usize>>,
    /// How they begin.
    beginnings: HashSet<&'v [u8]>,
}

impl<'v> Holding<'v> {
    /// Takes the values.
    pub fn new(values: impl IntoIterator<Item = &'v [u8]>) -> Self {
        let long = values.into_iter().filter(|value| value.len() >= SHORTEST);
        let values: Vec<&[u8]> = long.collect::<BTreeSet<_>>().into_iter().collect();
        let mut parents = Vec::with_capacity(values.len());
        let mut open: Vec<usize> = Vec::new();
        for (index, value) in values.iter().enumerate() {
            while open.pop_if(|other| !value.starts_with(values[*other])).is_some() {}
            parents.push(open.last().copied());
            open.push(index);
        }
        let beginnings = values.iter().map(|value| &value[..SHORTEST]).collect();
        Self { values, parents, beginnings }
    }

    /// Whether the text contains any of the values.
    pub fn is_any_in(&self, text: &[u8]) -> bool {
        self.places(text).any(|at| self.longest_at(&text[at..]).is_some())
    }

    /// The values that the text contains, sorted.
    pub fn all_in(&self, text: &[u8]) -> BTreeSet<&'v [u8]> {
        let mut found = BTreeSet::new();
        for at in self.places(text) {
            let mut next = self.longest_at(&text[at..]);
            while let Some(index) = next {
                found.insert(self.values[index]);
                next = self.parents[index];
            }
        }
        found
    }

    /// Where in the text a value may begin.
    fn places(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let windows = text.windows(SHORTEST).enumerate();
        windows.filter(|(_, window)| self.beginnings.contains(window)).map(|(at, _)| at)
    }

    /// The longest value that the text begins with: the last one that is not greater, or one that this begins with.
    fn longest_at(&self, text: &[u8]) -> Option<usize> {
        let mut candidate = self.values.partition_point(|value| *value <= text).checked_sub(1);
        while let Some(index) = candidate {
            if text.starts_with(self.values[index]) {
                return Some(index);
            }
            candidate = self.parents[index];
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_finds_what_a_search_for_each_value_finds(
            values in proptest::collection::vec("[ab]{0,12}", 0..20),
            text in "[ab]{0,60}",
        ) {
            let holding = Holding::new(values.iter().map(String::as_bytes));
            let expected: BTreeSet<&[u8]> = values
                .iter()
                .filter(|value| value.len() >= SHORTEST && text.contains(value.as_str()))
                .map(String::as_bytes)
                .collect();
            prop_assert_eq!(holding.is_any_in(text.as_bytes()), !expected.is_empty());
            prop_assert_eq!(holding.all_in(text.as_bytes()), expected);
        }
    }
}

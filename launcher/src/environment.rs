//! The environment of the program: ours, with variables taken away and set.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt as _;

use crate::file;
use crate::interface::Asked;
use crate::message::Message;

/// Every variable of this process and those that are asked for, as `NAME=VALUE`. What is taken away is taken away
/// first. Fails with every value that cannot be read.
pub(crate) fn with(asked: &Asked) -> Result<Vec<CString>, Vec<Message>> {
    let mut faults = Vec::new();
    let mut set = Vec::new();
    for pair in &asked.variables {
        let mut entry = [pair.name.as_slice(), b"="].concat();
        match file::append(&pair.path, &mut entry) {
            // Neither the name nor the value holds a NUL.
            Ok(()) => set.extend(CString::new(entry)),
            Err(fault) => faults.push(file::message(pair, &fault)),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let goes = |name: &[u8]| {
        asked.unset.iter().any(|unset| unset == name) || asked.variables.iter().any(|pair| pair.name == name)
    };
    let inherited = std::env::vars_os()
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .filter(|(name, _)| !goes(name))
        .filter_map(|(name, value)| CString::new([name.as_slice(), b"=", &value].concat()).ok());
    Ok(inherited.chain(set).collect())
}

/// The value of a variable in such an environment.
pub(crate) fn get<'a>(variables: &'a [CString], name: &[u8]) -> Option<&'a [u8]> {
    variables.iter().find_map(|entry| entry.as_bytes().strip_prefix(name)?.strip_prefix(b"="))
}

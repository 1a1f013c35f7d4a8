//! Reads the tree into the types of the document, and collects every problem instead of stopping at the first.
//!
//! This is a serde deserializer of its own, so that the types are the only list of keys. A problem in a field of type
//! [`At`] is reported with its place, and reading goes on after it. No message contains text of the file other than keys
//! that are [`harmless`](super::finding::harmless).

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::value::{StrDeserializer, StringDeserializer, U64Deserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::at::{AT, At};
use super::fault::Fault;
use super::finding::{Finding, Origin, choice, harmless, list, named};
use super::tree::{Kind, Mark, Node};
use crate::error::Code;
use crate::nearest::meant;

/// What the types themselves do not say about how they are written.
pub(super) struct Grammar {
    /// The type whose map form may be written as a list of one of its fields: the type's name and the field.
    pub(super) shorthand: (&'static str, &'static str),
    /// The type that is most often confused with a value, and the hint for that.
    pub(super) no_values: (&'static str, &'static str),
}

/// Reads a tree as a `T`; whatever is wrong is added to the findings.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(
    tree: &Node,
    origin: &Origin<'_>,
    grammar: &Grammar,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    let sink = Sink { origin, grammar, findings: RefCell::new(Vec::new()), path: RefCell::new(Vec::new()) };
    let whole = At::<T>::deserialize(Reader { node: tree, sink: &sink });
    findings.append(&mut sink.findings.into_inner());
    whole.ok()?.value
}

/// Where problems go, and the path to the node that is being read.
struct Sink<'a> {
    origin: &'a Origin<'a>,
    grammar: &'a Grammar,
    findings: RefCell<Vec<Finding>>,
    path: RefCell<Vec<String>>,
}

impl Sink<'_> {
    fn report(&self, mark: Mark, fault: Fault) {
        let path = self.path.borrow();
        let subject = if path.is_empty() { "the file".to_owned() } else { format!("`{}`", path.join(".")) };
        let mut finding = Finding::new(Code::ManifestInvalid, format!("{subject} {}", fault.fact));
        finding.what.help = fault.help;
        self.findings.borrow_mut().push(self.origin.locate(finding, fault.mark.unwrap_or(mark)));
    }

    fn report_key(&self, key: &Node, finding: Finding) {
        self.findings.borrow_mut().push(self.origin.locate(finding, key.mark));
    }
}

/// A node that is being read.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    sink: &'a Sink<'a>,
}

impl<'a> Reader<'a> {
    fn expected(self, what: &str) -> Fault {
        let is = match &self.node.kind {
            Kind::Null => "it is empty",
            Kind::Bool(_) => "it is `true` or `false`",
            Kind::Number(_) => "it is a number",
            Kind::Text(_) => "it is text",
            Kind::List(_) => "it is a list",
            Kind::Map(_) => "it is a map",
        };
        let mut fault = Fault::new(format!("must be {what}; {is}"));
        fault.mark = Some(self.node.mark);
        fault
    }

    /// The spelling of a scalar.
    fn spelling(self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Bool(true) => Some("true"),
            Kind::Bool(false) => Some("false"),
            Kind::Number(text) | Kind::Text(text) => Some(text),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The entries of a map that are read: those whose keys are not duplicates and, for a struct, known. The others are
    /// reported.
    fn entries(self, entries: &'a [(Node, Node)], known: Option<&[&'static str]>) -> Vec<Entry<'a>> {
        let mut kept: Vec<Entry<'a>> = Vec::new();
        let mut first_lines: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, value) in entries {
            let reader = Reader { node: key, sink: self.sink };
            let Some(name) = reader.spelling() else {
                let fact = "a key must be plain text";
                self.sink.report_key(key, Finding::new(Code::ManifestInvalid, fact));
                continue;
            };
            if let Some(fields) = known
                && !fields.contains(&name)
            {
                self.sink.report_key(key, unknown_key(name, fields));
                continue;
            }
            if let Some(first) = first_lines.get(name) {
                let fact = format!("duplicate {}; first in line {first}", key_named(name));
                self.sink.report_key(
                    key,
                    Finding::new(Code::ManifestInvalid, fact).help("Remove one of the two."),
                );
                continue;
            }
            first_lines.insert(name, key.mark.line);
            kept.push(Entry { name, key, value });
        }
        kept
    }
}

fn unknown_key(name: &str, fields: &[&'static str]) -> Finding {
    let known = fields.iter().copied();
    let fact = format!("unknown {}", key_named(name));
    match meant(name, known.clone()) {
        Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::ManifestInvalid, fact)
            .help(format!("The keys allowed here are {}.", list(known))),
    }
}

fn key_named(name: &str) -> String {
    if harmless(name) { format!("key `{name}`") } else { format!("key, {}", named(name)) }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Number(text) | Kind::Text(text) => visitor.visit_str(text),
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.expected("`true` or `false`, without quotes")),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        const WHAT: &str = "a non-negative integer";
        match &self.node.kind {
            Kind::Number(text) => match text.parse() {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => Err(Fault::new(format!("must be {WHAT}, written in digits only"))),
            },
            _ => Err(self.expected(WHAT)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.spelling() {
            Some(text) => visitor.visit_str(text),
            None if matches!(self.node.kind, Kind::Map(_)) => Err(self.expected("text").help(
                "A colon followed by a space starts a map: remove the space, or put the text in quotes.",
            )),
            None => Err(self.expected("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == AT {
            return visitor.visit_seq(AtAccess { reader: self, step: 0 });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::List(items) => visitor.visit_seq(ListAccess { items: items.iter(), sink: self.sink }),
            Kind::Map(_) | Kind::Null => Err(self.expected("a list")),
            _ => Err(self.expected("a list").help("Put brackets around it: `[…]`.")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::Map(entries) => visitor.visit_map(EntryAccess::new(self.entries(entries, None), self.sink)),
            Kind::List(_) => Err(self
                .expected("a map")
                .help("Write each entry as `NAME:`, with a colon and without a dash.")),
            _ => Err(self.expected("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (short_name, short_field) = self.sink.grammar.shorthand;
        let (no_values, values_go_elsewhere) = self.sink.grammar.no_values;
        match &self.node.kind {
            Kind::Map(entries) => {
                let entries = self.entries(entries, Some(fields));
                visitor.visit_map(EntryAccess::new(entries, self.sink))
            }
            Kind::List(_) if name == short_name => {
                let only = Entry { name: short_field, key: self.node, value: self.node };
                visitor.visit_map(EntryAccess::new(vec![only], self.sink))
            }
            _ if name == short_name => Err(self.expected(&format!("a list, or a map with `{short_field}`"))),
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) if name == no_values => {
                Err(self.expected("a map").help(values_go_elsewhere))
            }
            _ => Err(self.expected("a map")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.spelling() {
            Some(text) => visitor.visit_enum(Word(text)),
            None => Err(self.expected(&choice(variants.iter().copied()))),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        ignored_any
    }
}

/// A word that names a variant without data.
struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        Err(Fault::new("must be a word"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::new("must be a word"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Fault> {
        Err(Fault::new("must be a word"))
    }
}

struct ListAccess<'a> {
    items: std::slice::Iter<'a, Node>,
    sink: &'a Sink<'a>,
}

impl<'de> SeqAccess<'de> for ListAccess<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.items.next().map(|node| seed.deserialize(Reader { node, sink: self.sink })).transpose()
    }
}

/// An entry of a map whose key is text.
struct Entry<'a> {
    name: &'a str,
    key: &'a Node,
    value: &'a Node,
}

struct EntryAccess<'a> {
    entries: std::vec::IntoIter<Entry<'a>>,
    current: Option<Entry<'a>>,
    sink: &'a Sink<'a>,
}

impl<'a> EntryAccess<'a> {
    fn new(entries: Vec<Entry<'a>>, sink: &'a Sink<'a>) -> Self {
        Self { entries: entries.into_iter(), current: None, sink }
    }
}

impl<'de> MapAccess<'de> for EntryAccess<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.entries.next();
        let Some(entry) = &self.current else {
            return Ok(None);
        };
        seed.deserialize(KeyReader { name: entry.name, mark: entry.key.mark }).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some(entry) = self.current.take() else {
            return Err(Fault::new("has a value without a key"));
        };
        let shown = if harmless(entry.name) { entry.name.to_owned() } else { "…".to_owned() };
        self.sink.path.borrow_mut().push(shown);
        let value = seed.deserialize(Reader { node: entry.value, sink: self.sink });
        self.sink.path.borrow_mut().pop();
        value
    }
}

/// A key: text, and for [`At`] its place.
struct KeyReader<'a> {
    name: &'a str,
    mark: Mark,
}

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.name)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == AT {
            return visitor.visit_seq(KeyAccess { key: self, step: 0 });
        }
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Line, column, text.
struct KeyAccess<'a> {
    key: KeyReader<'a>,
    step: u8,
}

impl<'de> SeqAccess<'de> for KeyAccess<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.step += 1;
        match self.step {
            1 => number(seed, self.key.mark.line),
            2 => number(seed, self.key.mark.column),
            3 => {
                let text: StringDeserializer<Fault> = self.key.name.to_owned().into_deserializer();
                seed.deserialize(text).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Line, column, node. A problem with the node is reported here.
struct AtAccess<'a> {
    reader: Reader<'a>,
    step: u8,
}

impl<'de> SeqAccess<'de> for AtAccess<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Reader { node, sink } = self.reader;
        self.step += 1;
        match self.step {
            1 => number(seed, node.mark.line),
            2 => number(seed, node.mark.column),
            3 => match seed.deserialize(self.reader) {
                Ok(value) => Ok(Some(value)),
                Err(fault) => {
                    sink.report(node.mark, fault);
                    Ok(None)
                }
            },
            _ => Ok(None),
        }
    }
}

fn number<'de, T: DeserializeSeed<'de>>(seed: T, n: usize) -> Result<Option<T::Value>, Fault> {
    let n: U64Deserializer<Fault> = (n as u64).into_deserializer();
    seed.deserialize(n).map(Some)
}

//! Interprets the instructions of a pickle.

use super::{Fault, Result, problem};
use std::collections::HashMap;

/// Dictionary types of Python's standard library, which are read as dictionaries.
const DICTIONARIES: [&str; 3] =
    ["collections.OrderedDict", "collections.defaultdict", "collections.Counter"];

/// One object, which refers to others by index.
#[derive(Clone, Debug)]
pub(super) enum Object<'a> {
    None,
    Integer(i64),
    /// A float, or an integer beyond 64 bits.
    Number,
    Bytes(&'a [u8]),
    Text(&'a str),
    List(Vec<usize>),
    Tuple(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    /// A dictionary made of a list of pairs.
    Pairs(usize),
    Global(String),
    /// What calling a function with these arguments would make, and the state it would be given.
    Made {
        function: usize,
        arguments: usize,
        state: Option<usize>,
    },
    /// An object stored outside of the pickle, by its ID.
    Elsewhere(usize),
}

struct Reader<'a, 'k> {
    rest: &'a [u8],
    known: &'k dyn Fn(&str) -> bool,
    objects: Vec<Object<'a>>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: HashMap<u32, usize>,
}

/// Returns all objects, the index of the top-level one, and the bytes after the pickle.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    known: &dyn Fn(&str) -> bool,
) -> Result<(Vec<Object<'a>>, usize, &'a [u8])> {
    if bytes.first() != Some(&0x80) {
        let found = format!("{} bytes of something else", bytes.len());
        return problem("a Python pickle of protocol 2 or later", found, Fault::Damaged);
    }
    let mut reader = Reader {
        rest: bytes,
        known,
        objects: vec![],
        stack: vec![],
        marks: vec![],
        memo: HashMap::new(),
    };
    while reader.step()? {}
    let root = reader.pop()?;
    Ok((reader.objects, root, reader.rest))
}

impl<'a> Reader<'a, '_> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => problem(format!("{count} more bytes"), self.rest.len().to_string(), Fault::Cut),
        }
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many bytes"))
    }

    fn length(&mut self) -> Result<usize> {
        Ok(u32::from_le_bytes(self.number()?) as usize)
    }

    fn line(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let Some(end) = end else { return problem("a line", "one without an end", Fault::Cut) };
        let line = self.take(end + 1)?;
        Ok(std::str::from_utf8(&line[..end]).unwrap_or("?"))
    }

    fn utf8(&mut self, size: usize) -> Result<Object<'a>> {
        let bytes = self.take(size)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Object::Text(text)),
            Err(_) => problem("UTF-8 text", "other bytes", Fault::Damaged),
        }
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<usize> {
        match self.stack.pop() {
            Some(place) => Ok(place),
            None => problem("an object on the stack", "none", Fault::Damaged),
        }
    }

    fn last(&self) -> Result<usize> {
        self.stack
            .last()
            .copied()
            .map_or_else(|| problem("an object on the stack", "none", Fault::Damaged), Ok)
    }

    fn since_mark(&mut self) -> Result<Vec<usize>> {
        match self.marks.pop().filter(|mark| *mark <= self.stack.len()) {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => problem("a mark", "none", Fault::Damaged),
        }
    }

    fn tuple(&mut self, size: usize) -> Result<()> {
        let Some(start) = self.stack.len().checked_sub(size) else {
            return problem("a tuple", "too few objects", Fault::Damaged);
        };
        let items = self.stack.split_off(start);
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn global(&mut self, name: String) -> Result<()> {
        if !(self.known)(&name) {
            return problem(
                "only numbers, strings and arrays",
                format!("a call of {name}"),
                Fault::Program,
            );
        }
        self.push(Object::Global(name));
        Ok(())
    }

    /// A call of a function. A call of a dictionary type becomes a dictionary; Python 2 passes its
    /// first items as a list of pairs.
    fn call(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let is_dictionary = matches!(&self.objects[function], Object::Global(name) if DICTIONARIES.contains(&name.as_str()));
        let first = match &self.objects[arguments] {
            Object::Tuple(items) => items.first().copied(),
            _ => None,
        };
        self.push(match first.filter(|first| matches!(self.objects[*first], Object::List(_))) {
            Some(pairs) if is_dictionary => Object::Pairs(pairs),
            _ if is_dictionary => Object::Dict(vec![]),
            _ => Object::Made { function, arguments, state: None },
        });
        Ok(())
    }

    fn extend(&mut self, items: Vec<usize>) -> Result<()> {
        let list = self.last()?;
        match &mut self.objects[list] {
            Object::List(list) => list.extend(items),
            _ => return problem("a list to append to", "another object", Fault::Damaged),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[usize]) -> Result<()> {
        let dict = self.last()?;
        match &mut self.objects[dict] {
            Object::Dict(entries) => {
                entries.extend(items.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value)))
            }
            _ => return problem("a dictionary to write into", "another object", Fault::Damaged),
        }
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<()> {
        self.memo.insert(key, self.last()?);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let Some(place) = self.memo.get(&key) else {
            return problem(format!("object {key} seen before"), "none", Fault::Damaged);
        };
        self.stack.push(*place);
        Ok(())
    }

    /// Executes one instruction; returns whether more follow.
    fn step(&mut self) -> Result<bool> {
        let [code] = self.number()?;
        match code {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'.' => return Ok(false),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Object::None),
            0x88 => self.push(Object::Integer(1)),
            0x89 => self.push(Object::Integer(0)),
            b'K' => {
                let [value] = self.number()?;
                self.push(Object::Integer(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.number()?);
                self.push(Object::Integer(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.number()?);
                self.push(Object::Integer(value.into()));
            }
            0x8a => {
                let [size] = self.number()?;
                let bytes = self.take(size.into())?;
                let mut wide =
                    [if bytes.last().is_some_and(|byte| *byte > 127) { 255 } else { 0 }; 8];
                self.push(match wide.get_mut(..bytes.len()) {
                    Some(low) => {
                        low.copy_from_slice(bytes);
                        Object::Integer(i64::from_le_bytes(wide))
                    }
                    None => Object::Number,
                });
            }
            b'G' => {
                self.take(8)?;
                self.push(Object::Number);
            }
            b'U' | b'C' => {
                let [size] = self.number()?;
                let bytes = self.take(size.into())?;
                self.push(Object::Bytes(bytes));
            }
            b'T' | b'B' => {
                let size = self.length()?;
                let bytes = self.take(size)?;
                self.push(Object::Bytes(bytes));
            }
            0x8c => {
                let [size] = self.number()?;
                let text = self.utf8(size.into())?;
                self.push(text);
            }
            b'X' => {
                let size = self.length()?;
                let text = self.utf8(size)?;
                self.push(text);
            }
            b']' => self.push(Object::List(vec![])),
            b'}' => self.push(Object::Dict(vec![])),
            b')' => self.push(Object::Tuple(vec![])),
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let items = self.since_mark()?;
                self.push(Object::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.insert(&items)?;
            }
            b'q' => {
                let [key] = self.number()?;
                self.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.number()?);
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let [key] = self.number()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.number()?);
                self.recall(key)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(format!("{module}.{name}"))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |place: usize| match &self.objects[place] {
                    Object::Text(text) => *text,
                    _ => "?",
                };
                self.global(format!("{}.{}", text(module), text(name)))?;
            }
            b'R' | 0x81 => self.call()?,
            b'Q' => {
                let name = self.pop()?;
                self.push(Object::Elsewhere(name));
            }
            b'b' => {
                let given = self.pop()?;
                let made = self.last()?;
                match &mut self.objects[made] {
                    Object::Made { state, .. } => *state = Some(given),
                    // Attributes of a dictionary are not entries.
                    Object::Dict(_) | Object::Pairs(_) => {}
                    _ => return problem("an object to give a state to", "another", Fault::Damaged),
                }
            }
            other => {
                return problem(
                    "an instruction of data",
                    format!("instruction {other:#04x}"),
                    Fault::Damaged,
                );
            }
        }
        Ok(true)
    }
}

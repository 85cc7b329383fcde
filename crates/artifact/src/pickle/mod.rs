//! Reads Python pickles as data: numbers, strings, lists, dictionaries, and the calls that would
//! make other objects. A pickle is a program that names functions to call. Nothing is called here,
//! and a pickle that names a function its reader does not [know](Pickle::parse) is refused.
//!
//! Objects refer to each other by index, so shared objects are stored once and memory grows only
//! linearly with the length of the pickle.

mod reader;

use reader::Object;
use std::borrow::Cow;

/// Why a pickle was rejected.
#[derive(Debug)]
pub struct Problem {
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// The kind of fault.
    pub fault: Fault,
}

/// The kind of fault in a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The pickle is truncated.
    Cut,
    /// It is damaged, or not a pickle of the expected kind.
    Damaged,
    /// It names a function its reader does not know.
    Program,
}

/// The result type of this module.
pub type Result<T> = std::result::Result<T, Problem>;

fn problem<T>(expected: impl Into<String>, found: impl Into<String>, fault: Fault) -> Result<T> {
    Err(Problem { expected: expected.into(), found: found.into(), fault })
}

/// A parsed pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: usize,
}

/// An object in a pickle.
#[derive(Clone, Copy, Debug)]
pub struct Item<'p, 'a> {
    pickle: &'p Pickle<'a>,
    place: usize,
}

impl<'a> Pickle<'a> {
    /// Parses a pickle and returns it with the bytes that follow. `known` says which functions
    /// (`numpy.dtype`) it may name.
    ///
    /// # Errors
    /// Returns [`Problem`] if the pickle is truncated or damaged, has a protocol below 2, or names
    /// another function.
    pub fn parse(bytes: &'a [u8], known: impl Fn(&str) -> bool) -> Result<(Self, &'a [u8])> {
        let (objects, root, rest) = reader::read(bytes, &known)?;
        Ok((Self { objects, root }, rest))
    }

    /// The top-level object.
    pub fn root(&self) -> Item<'_, 'a> {
        self.item(self.root)
    }

    /// Every object, including nested ones.
    pub fn all(&self) -> impl Iterator<Item = Item<'_, 'a>> {
        (0..self.objects.len()).map(|place| self.item(place))
    }

    fn item(&self, place: usize) -> Item<'_, 'a> {
        Item { pickle: self, place }
    }

    fn items<'p>(
        &'p self,
        places: &'p [usize],
    ) -> impl ExactSizeIterator<Item = Item<'p, 'a>> + Clone {
        places.iter().map(|place| self.item(*place))
    }
}

impl<'p, 'a> Item<'p, 'a> {
    fn object(self) -> &'p Object<'a> {
        &self.pickle.objects[self.place]
    }

    /// Keys and values of a dictionary in the order written; `None` for any other object.
    pub fn entries(self) -> Option<Vec<(Item<'p, 'a>, Item<'p, 'a>)>> {
        match self.object() {
            Object::Dict(entries) => Some(
                entries
                    .iter()
                    .map(|(key, value)| (self.pickle.item(*key), self.pickle.item(*value)))
                    .collect(),
            ),
            Object::Pairs(list) => {
                let pair = |pair: Item<'p, 'a>| {
                    let mut parts = pair.items().ok()?;
                    Some((parts.next()?, parts.next()?))
                };
                Some(self.pickle.item(*list).items().ok()?.filter_map(pair).collect())
            }
            _ => None,
        }
    }

    /// The value of a key in a dictionary.
    ///
    /// # Errors
    /// Returns [`Problem`] if this is not a dictionary or lacks the key.
    pub fn entry(self, key: &str) -> Result<Item<'p, 'a>> {
        let Some(entries) = self.entries() else {
            return problem("a dictionary", self.describe(), Fault::Damaged);
        };
        // The last value written counts.
        match entries.iter().rev().find(|(name, _)| name.text() == Some(key)) {
            Some((_, value)) => Ok(*value),
            None => {
                let keys: Vec<&str> =
                    entries.iter().filter_map(|(name, _)| name.text()).take(6).collect();
                let found =
                    if keys.is_empty() { "none with a name".to_owned() } else { keys.join(", ") };
                problem(format!("an entry {key:?}"), found, Fault::Damaged)
            }
        }
    }

    /// The items of a list or tuple.
    ///
    /// # Errors
    /// Returns [`Problem`] for any other object.
    pub fn items(self) -> Result<impl ExactSizeIterator<Item = Item<'p, 'a>> + Clone> {
        match self.object() {
            Object::List(items) | Object::Tuple(items) => Ok(self.pickle.items(items)),
            _ => problem("a list", self.describe(), Fault::Damaged),
        }
    }

    /// An integer, or a boolean as 0 or 1.
    pub fn integer(self) -> Option<i64> {
        match self.object() {
            Object::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The integers in a list.
    ///
    /// # Errors
    /// Returns [`Problem`] if this is not a list of integers.
    pub fn integers(self) -> Result<Vec<i64>> {
        let integer = |item: Item| match item.integer() {
            Some(value) => Ok(value),
            None => problem("whole numbers", item.describe(), Fault::Damaged),
        };
        self.items()?.map(integer).collect()
    }

    /// A string. Python 2 stores it as bytes; Python 3 stores such bytes as a call that encodes a
    /// string.
    pub fn text(self) -> Option<&'p str> {
        match self.object() {
            Object::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Object::Text(text) => Some(text),
            _ => match self.call()? {
                ("_codecs.encode", arguments) => match arguments.items().ok()?.next()?.object() {
                    Object::Text(text) => Some(text),
                    _ => None,
                },
                _ => None,
            },
        }
    }

    /// The strings in a list.
    ///
    /// # Errors
    /// Returns [`Problem`] if this is not a list of strings.
    pub fn texts(self) -> Result<Vec<&'p str>> {
        let text = |item: Item<'p, 'a>| match item.text() {
            Some(text) => Ok(text),
            None => problem("texts", item.describe(), Fault::Damaged),
        };
        self.items()?.map(text).collect()
    }

    /// Bytes. Protocol 2 of Python 3 stores them as a string with one character per byte.
    ///
    /// # Errors
    /// Returns [`Problem`] for any other object.
    pub fn bytes(self) -> Result<Cow<'a, [u8]>> {
        if let Object::Bytes(bytes) = self.object() {
            return Ok(Cow::Borrowed(bytes));
        }
        let bytes = match self.call() {
            Some(("_codecs.encode", _)) => {
                let letters = self.text().unwrap_or_default().chars();
                letters
                    .map(|letter| u8::try_from(u32::from(letter)).ok())
                    .collect::<Option<Vec<u8>>>()
            }
            _ => None,
        };
        bytes.map_or_else(
            || problem("bytes", self.describe(), Fault::Damaged),
            |bytes| Ok(Cow::Owned(bytes)),
        )
    }

    /// The name of a function or type, such as `numpy.dtype`.
    pub fn global(self) -> Option<&'p str> {
        match self.object() {
            Object::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The function that would make this object, with its arguments.
    pub fn call(self) -> Option<(&'p str, Item<'p, 'a>)> {
        match self.object() {
            Object::Made { function, arguments, .. } => {
                Some((self.pickle.item(*function).global()?, self.pickle.item(*arguments)))
            }
            _ => None,
        }
    }

    /// The state that the object would be given after it is made.
    pub fn state(self) -> Option<Item<'p, 'a>> {
        match self.object() {
            Object::Made { state: Some(state), .. } => Some(self.pickle.item(*state)),
            _ => None,
        }
    }

    /// The ID of a persistent object, which is stored outside of the pickle.
    pub fn elsewhere(self) -> Option<Item<'p, 'a>> {
        match self.object() {
            Object::Elsewhere(name) => Some(self.pickle.item(*name)),
            _ => None,
        }
    }

    /// A description for messages.
    pub fn describe(self) -> String {
        match self.object() {
            Object::None => "None".into(),
            Object::Integer(value) => value.to_string(),
            Object::Number => "another number".into(),
            Object::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Object::Text(text) => format!("a string of {} characters", text.chars().count()),
            Object::List(items) => format!("a list of {}", items.len()),
            Object::Tuple(items) => format!("a tuple of {}", items.len()),
            Object::Dict(_) | Object::Pairs(_) => "a dictionary".into(),
            Object::Global(name) => name.clone(),
            Object::Made { .. } => {
                format!("an object made by {}", self.call().map_or("a call", |(name, _)| name))
            }
            Object::Elsewhere(_) => "an object outside of the pickle".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Result<Pickle<'_>> {
        Pickle::parse(bytes, |name| name == "_codecs.encode").map(|(pickle, _)| pickle)
    }

    #[test]
    fn a_program_is_refused_by_the_name_of_what_it_would_call() {
        // pickle.dumps of an object whose __reduce__ is (os.getcwd, ()), protocol 2. The function
        // is harmless and not called.
        let error = parse(b"\x80\x02cposix\ngetcwd\nq\x00)Rq\x01.").unwrap_err();
        assert_eq!((error.found.as_str(), error.fault), ("a call of posix.getcwd", Fault::Program));
        let error =
            parse(b"\x80\x04\x95\x14\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06getcwd\x94\x93\x94)R\x94.").unwrap_err();
        assert_eq!(error.found, "a call of os.getcwd");
    }

    #[test]
    fn numbers_lists_and_texts_come_with_their_keys() {
        // pickle.dumps({"labels": [6, 300, -1], "filenames": ["a"]}, 2)
        let bytes = b"\x80\x02}q\x00(X\x06\x00\x00\x00labelsq\x01]q\x02(K\x06M,\x01J\xff\xff\xff\xffeX\t\x00\x00\x00filenamesq\x03]q\x04X\x01\x00\x00\x00aq\x05au.";
        let pickle = parse(bytes).unwrap();
        assert_eq!(pickle.root().entry("labels").unwrap().integers().unwrap(), [6, 300, -1]);
        assert_eq!(pickle.root().entry("filenames").unwrap().texts().unwrap(), ["a"]);
        let error = pickle.root().entry("data").unwrap_err();
        assert_eq!(
            (error.expected.as_str(), error.found.as_str()),
            ("an entry \"data\"", "labels, filenames")
        );
        assert_eq!(parse(&bytes[..40]).unwrap_err().fault, Fault::Cut);
    }

    #[test]
    fn keys_that_python_3_read_as_bytes_are_found() {
        // pickle.dumps({b"labels": [1]}, 2): bytes become a string and the call that encodes it.
        let bytes = b"\x80\x02}q\x00c_codecs\nencode\nq\x01X\x06\x00\x00\x00labelsq\x02X\x06\x00\x00\x00latin1q\x03\x86q\x04Rq\x05]q\x06K\x01as.";
        let pickle = parse(bytes).unwrap();
        assert_eq!(pickle.root().entry("labels").unwrap().integers().unwrap(), [1]);
    }

    #[test]
    fn numbers_beyond_64_bits_are_passed_over() {
        // pickle.dumps({"seed": 2**70, "epoch": -2}, 2)
        let bytes = b"\x80\x02}q\x00(X\x04\x00\x00\x00seedq\x01\x8a\t\x00\x00\x00\x00\x00\x00\x00\x00@X\x05\x00\x00\x00epochq\x02J\xfe\xff\xff\xffu.";
        let pickle = parse(bytes).unwrap();
        assert_eq!(pickle.root().entry("seed").unwrap().integer(), None);
        assert_eq!(pickle.root().entry("epoch").unwrap().integer(), Some(-2));
    }

    /// Each pair holds the previous one twice; expanded, the last would have 2^200 parts.
    #[test]
    fn what_is_shared_is_kept_once() {
        let mut bytes = b"\x80\x02)q\x00".to_vec();
        for depth in 0..200u8 {
            bytes.extend([b'h', depth, 0x86, b'q', depth + 1]);
        }
        bytes.push(b'.');
        let pickle = parse(&bytes).unwrap();
        assert_eq!((pickle.objects.len(), pickle.root().items().unwrap().len()), (201, 2));
    }

    #[test]
    fn a_call_of_what_calls_made_is_described_without_going_down() {
        let mut bytes = b"\x80\x02c_codecs\nencode\n".to_vec();
        bytes.extend(b")R".repeat(100_000));
        bytes.push(b'.');
        assert_eq!(parse(&bytes).unwrap().root().describe(), "an object made by a call");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[0x80, 2][..], &bytes].concat();
            if let Ok(pickle) = parse(&bytes) {
                let root = pickle.root();
                let _ = (root.describe(), root.bytes(), root.entry("x").map(Item::describe), root.texts(), root.integers());
            }
        }
    }
}

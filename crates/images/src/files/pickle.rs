//! Python pickles, as data: numbers, text, lists, dictionaries and arrays of NumPy are read. A pickle is a program that names functions
//! to call; nothing is called here, and one that names other than those that rebuild an array is refused.

use std::borrow::Cow;

/// Functions and types that a pickled array names. What they would do is done here.
const KNOWN: [&str; 5] = [
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",
];

const AGAIN: &str = "the file is damaged or of another kind: fetch it again";
const CUT: &str = "the file is cut short: fetch it again";

/// What is wrong with a pickle.
#[derive(Debug)]
pub(super) struct Problem {
    pub expected: String,
    pub found: String,
    pub advice: &'static str,
}

type Result<T> = std::result::Result<T, Problem>;

fn problem<T>(expected: impl Into<String>, found: impl Into<String>, advice: &'static str) -> Result<T> {
    Err(Problem { expected: expected.into(), found: found.into(), advice })
}

/// One object, which names others by their places.
#[derive(Clone, Debug)]
enum Object<'a> {
    None,
    Integer(i64),
    Float,
    Bytes(&'a [u8]),
    Text(&'a str),
    List(Vec<usize>),
    Tuple(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    Global(String),
    /// What calling a function with these arguments would make, and the state that it would be given.
    Made {
        function: usize,
        arguments: usize,
        state: Option<usize>,
    },
}

/// All objects of a pickle.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: usize,
}

struct Reader<'a> {
    rest: &'a [u8],
    objects: Vec<Object<'a>>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: std::collections::HashMap<u32, usize>,
}

impl<'a> Pickle<'a> {
    /// Of the bytes of a file.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.first() != Some(&0x80) {
            let found = format!("{} bytes that begin otherwise", bytes.len());
            return problem("a Python pickle of protocol 2 or later", found, AGAIN);
        }
        let mut reader =
            Reader { rest: bytes, objects: vec![], stack: vec![], marks: vec![], memo: std::collections::HashMap::new() };
        while reader.step()? {}
        let root = reader.pop()?;
        Ok(Self { objects: reader.objects, root })
    }

    /// What stands in the dictionary of the pickle under a key.
    pub(super) fn entry(&self, key: &str) -> Result<usize> {
        let Object::Dict(entries) = &self.objects[self.root] else {
            return problem("a dictionary", self.describe(self.root), AGAIN);
        };
        let found = entries.iter().rev().find(|(name, _)| self.text(*name) == Some(key));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let keys: Vec<&str> = entries.iter().filter_map(|(name, _)| self.text(*name)).take(6).collect();
            let found = if keys.is_empty() { "none of a name".to_owned() } else { keys.join(", ") };
            Problem { expected: format!("an entry {key:?}"), found, advice: AGAIN }
        })
    }

    /// Whole numbers of a list.
    pub(super) fn integers(&self, place: usize) -> Result<Vec<i64>> {
        self.items(place)?
            .iter()
            .map(|item| match &self.objects[*item] {
                Object::Integer(value) => Ok(*value),
                _ => problem("whole numbers", self.describe(*item), AGAIN),
            })
            .collect()
    }

    /// Texts of a list.
    pub(super) fn texts(&self, place: usize) -> Result<Vec<String>> {
        let text = |item: &usize| match self.text(*item) {
            Some(text) => Ok(text.to_owned()),
            None => problem("texts", self.describe(*item), AGAIN),
        };
        self.items(place)?.iter().map(text).collect()
    }

    /// Shape and bytes of an array of NumPy of type `u1`, the last axis running fastest.
    pub(super) fn bytes_array(&self, place: usize) -> Result<(Vec<usize>, Vec<u8>)> {
        let other = || problem("an array of NumPy of type u1", self.describe(place), AGAIN);
        let Object::Made { function, state: Some(state), .. } = &self.objects[place] else { return other() };
        let Object::Global(name) = &self.objects[*function] else { return other() };
        let state = self.items(*state)?;
        let ([_, shape, dtype, fortran, data], true) = (state, name.ends_with("multiarray._reconstruct")) else {
            return other();
        };
        let sizes = self.integers(*shape)?;
        let shape: Vec<usize> = sizes.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect();
        let of_type = match &self.objects[*dtype] {
            Object::Made { arguments, .. } => self.items(*arguments)?.first().and_then(|first| self.text(*first)),
            _ => None,
        };
        if !matches!(of_type, Some("u1" | "|u1" | "uint8")) {
            return problem("an array of type u1", format!("type {}", of_type.unwrap_or("unknown")), AGAIN);
        }
        let data = self.raw(*data)?;
        let size = shape.iter().try_fold(1usize, |size, axis| size.checked_mul(*axis));
        if size != Some(data.len()) {
            return problem(format!("{size:?} bytes for shape {shape:?}").replace("Some", ""), data.len().to_string(), CUT);
        }
        let columns_first = matches!(self.objects[*fortran], Object::Integer(value) if value != 0);
        match (columns_first, &shape[..]) {
            (false, _) => Ok((shape, data.into_owned())),
            (true, [rows, columns]) => {
                let row = |row: usize| (0..*columns).map(move |column| (row, column));
                let values = (0..*rows).flat_map(row).map(|(row, column)| data[column * rows + row]).collect();
                Ok((shape, values))
            }
            (true, _) => problem("two axes", format!("shape {shape:?}"), AGAIN),
        }
    }

    fn items(&self, place: usize) -> Result<&[usize]> {
        match &self.objects[place] {
            Object::List(items) | Object::Tuple(items) => Ok(items),
            _ => problem("a list", self.describe(place), AGAIN),
        }
    }

    /// Text, which Python 2 keeps as bytes, and Python 3 as a call that makes bytes of it where it was read as such.
    fn text(&self, place: usize) -> Option<&str> {
        match &self.objects[place] {
            Object::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Object::Text(text) => Some(text),
            Object::Made { function, arguments, .. } if self.is_global(*function, "_codecs.encode") => {
                match self.objects[*self.items(*arguments).ok()?.first()?] {
                    Object::Text(text) => Some(text),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Bytes, which protocol 2 of Python 3 keeps as text, a letter for each.
    fn raw(&self, place: usize) -> Result<Cow<'a, [u8]>> {
        match &self.objects[place] {
            Object::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Object::Made { function, arguments, .. } if self.is_global(*function, "_codecs.encode") => {
                let text = self.items(*arguments)?.first().and_then(|first| self.text(*first)).unwrap_or_default();
                let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
                bytes.map(Cow::Owned).map_or_else(|| problem("bytes", "letters beyond them", AGAIN), Ok)
            }
            _ => problem("bytes", self.describe(place), AGAIN),
        }
    }

    fn is_global(&self, place: usize, name: &str) -> bool {
        matches!(&self.objects[place], Object::Global(found) if found == name)
    }

    fn describe(&self, place: usize) -> String {
        match &self.objects[place] {
            Object::None => "None".into(),
            Object::Integer(value) => value.to_string(),
            Object::Float => "a fraction".into(),
            Object::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Object::Text(text) => format!("a text of {} letters", text.len()),
            Object::List(items) => format!("a list of {}", items.len()),
            Object::Tuple(items) => format!("a tuple of {}", items.len()),
            Object::Dict(entries) => format!("a dictionary of {}", entries.len()),
            Object::Global(name) => name.clone(),
            Object::Made { function, .. } => format!("what {} makes", self.describe(*function)),
        }
    }
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => problem(format!("{count} further bytes"), self.rest.len().to_string(), CUT),
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
        let Some(end) = end else { return problem("a line", "no end of it", CUT) };
        let line = self.take(end + 1)?;
        Ok(std::str::from_utf8(&line[..end]).unwrap_or("?"))
    }

    fn utf8(&mut self, size: usize) -> Result<Object<'a>> {
        let bytes = self.take(size)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Object::Text(text)),
            Err(_) => problem("text in UTF-8", "other bytes", AGAIN),
        }
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<usize> {
        match self.stack.pop() {
            Some(place) => Ok(place),
            None => problem("an object on the stack", "none", AGAIN),
        }
    }

    fn last(&self) -> Result<usize> {
        self.stack.last().copied().map_or_else(|| problem("an object on the stack", "none", AGAIN), Ok)
    }

    fn since_mark(&mut self) -> Result<Vec<usize>> {
        match self.marks.pop().filter(|mark| *mark <= self.stack.len()) {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => problem("a mark", "none", AGAIN),
        }
    }

    fn tuple(&mut self, size: usize) -> Result<()> {
        let Some(start) = self.stack.len().checked_sub(size) else { return problem("a tuple", "too few objects", AGAIN) };
        let items = self.stack.split_off(start);
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn global(&mut self, name: String) -> Result<()> {
        if !KNOWN.contains(&name.as_str()) {
            let advice = "a pickle is a program: fetch the set from where it is published, or save its arrays in another format";
            return problem("numbers, text and arrays alone", format!("a call of {name}"), advice);
        }
        self.push(Object::Global(name));
        Ok(())
    }

    fn extend(&mut self, items: Vec<usize>) -> Result<()> {
        let list = self.last()?;
        match &mut self.objects[list] {
            Object::List(list) => list.extend(items),
            _ => return problem("a list to append to", "another object", AGAIN),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[usize]) -> Result<()> {
        let dict = self.last()?;
        match &mut self.objects[dict] {
            Object::Dict(entries) => entries.extend(items.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value))),
            _ => return problem("a dictionary to write into", "another object", AGAIN),
        }
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<()> {
        self.memo.insert(key, self.last()?);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let Some(place) = self.memo.get(&key) else { return problem(format!("object {key} seen before"), "none", AGAIN) };
        self.stack.push(*place);
        Ok(())
    }

    /// One instruction; whether others follow.
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
                let mut wide = [if bytes.last().is_some_and(|byte| *byte > 127) { 255 } else { 0 }; 8];
                if bytes.len() > 8 {
                    return problem("whole numbers of 64 bits", format!("one of {} bytes", bytes.len()), AGAIN);
                }
                wide[..bytes.len()].copy_from_slice(bytes);
                self.push(Object::Integer(i64::from_le_bytes(wide)));
            }
            b'G' => {
                self.take(8)?;
                self.push(Object::Float);
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
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.push(Object::Made { function, arguments, state: None });
            }
            b'b' => {
                let given = self.pop()?;
                let made = self.last()?;
                match &mut self.objects[made] {
                    Object::Made { state, .. } => *state = Some(given),
                    _ => return problem("an object to give a state to", "another", AGAIN),
                }
            }
            other => return problem("an instruction of data", format!("instruction {other:#04x}"), AGAIN),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_program_is_refused_by_the_name_of_what_it_would_call() {
        // pickle.dumps of an object whose __reduce__ is (os.getcwd, ()), protocol 2: the function is harmless, and not called.
        let error = Pickle::parse(b"\x80\x02cposix\ngetcwd\nq\x00)Rq\x01.").unwrap_err();
        assert_eq!(error.found, "a call of posix.getcwd");
        let error = Pickle::parse(b"\x80\x04\x95\x14\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06getcwd\x94\x93\x94)R\x94.")
            .unwrap_err();
        assert_eq!(error.found, "a call of os.getcwd");
    }

    #[test]
    fn numbers_lists_and_texts_come_with_their_keys() {
        // pickle.dumps({"labels": [6, 300, -1], "filenames": ["a"]}, 2)
        let bytes = b"\x80\x02}q\x00(X\x06\x00\x00\x00labelsq\x01]q\x02(K\x06M,\x01J\xff\xff\xff\xffeX\t\x00\x00\x00filenamesq\x03]q\x04X\x01\x00\x00\x00aq\x05au.";
        let pickle = Pickle::parse(bytes).unwrap();
        assert_eq!(pickle.integers(pickle.entry("labels").unwrap()).unwrap(), [6, 300, -1]);
        assert_eq!(pickle.texts(pickle.entry("filenames").unwrap()).unwrap(), ["a"]);
        let error = pickle.entry("data").unwrap_err();
        assert_eq!((error.expected.as_str(), error.found.as_str()), ("an entry \"data\"", "labels, filenames"));
        assert!(Pickle::parse(&bytes[..40]).unwrap_err().advice.contains("cut short"));
    }

    #[test]
    fn keys_that_python_3_read_as_bytes_are_found() {
        // pickle.dumps({b"labels": [1]}, 2): bytes are a text and the call that makes them of it.
        let bytes = b"\x80\x02}q\x00c_codecs\nencode\nq\x01X\x06\x00\x00\x00labelsq\x02X\x06\x00\x00\x00latin1q\x03\x86q\x04Rq\x05]q\x06K\x01as.";
        let pickle = Pickle::parse(bytes).unwrap();
        assert_eq!(pickle.integers(pickle.entry("labels").unwrap()).unwrap(), [1]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[0x80, 2][..], &bytes].concat();
            if let Ok(pickle) = Pickle::parse(&bytes) {
                let _ = pickle.bytes_array(pickle.root);
            }
        }
    }
}

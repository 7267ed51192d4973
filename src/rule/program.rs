//! The compiled form of a rule: straight-line code, published beside the text it comes from.
//!
//! Lists have a stated longest length, so macros over them are written out when a rule is compiled: a program has no
//! loop and no jump, each step reads only steps before it, and the last one is the answer. Little-endian, [`VERSION`] 1:
//!
//! | section | entry |
//! |---|---|
//! | header | 16 bytes: magic, version, checksum, u16 strings, u16 sets, u16 steps |
//! | strings | u16 length, UTF-8 |
//! | sets | u16 length, 8 bytes a number, ascending |
//! | steps | u8 operation, then its operands: u16 steps, strings or sets, u32 variables (CRC-32 of the name), u8 items, 8 bytes of a number |
//!
//! Decoding checks every step's operands and types, so that evaluating a program that was read cannot fail.

use super::variable::{Scope, Type, VARIABLES, Variable, Words};
use crate::wire::{DecodeError, Reader, seal};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Version of the layout.
pub const VERSION: u16 = 1;
/// Steps of one program.
pub const MAX_STEPS: usize = 2048;
/// Strings of one program.
pub const MAX_STRINGS: usize = 1024;
/// Bytes of one string.
pub const MAX_STRING: usize = 1024;
/// Sets of one program.
pub const MAX_SETS: usize = 64;
/// Numbers of one set.
pub const MAX_SET: usize = 1000;
/// Bytes of one program; checked before anything is read or allocated.
pub const MAX_BYTES: usize = 64 << 10;

const MAGIC: [u8; 4] = *b"FRRU";
const CHECKSUM_AT: usize = 6;
const PART: &str = "rule program";

/// A step, by its place in the program.
pub type Step = u32;

/// One step of a program. Doubles and words are kept as their 64 bits, so that equal operations are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A constant.
    Bool(bool),
    /// A constant.
    Int(i64),
    /// A constant, by its bits.
    Double(u64),
    /// A constant: which string of the program.
    Text(u32),
    /// A constant: the number of a word of a list.
    Word(Words, u64),
    /// A variable's value; an error where it is unknown.
    Read(u8),
    /// Whether a variable is known.
    Known(u8),
    /// An item of a variable that is a list; an error past its end. Cuisines count in the map of the fingerprint given.
    Item(u8, u8, u32),
    /// Whether a list has that item.
    Present(u8, u8, u32),
    /// Of a bool.
    Not(Step),
    /// False where either is, whatever the other; else an error where either is.
    And(Step, Step),
    /// True where either is, whatever the other; else an error where either is.
    Or(Step, Step),
    /// The second where the first holds, the third where it does not.
    If(Step, Step, Step),
    /// The first; an error where the second is one.
    Guard(Step, Step),
    /// Of two values of a kind, or two numbers.
    Equal(Step, Step),
    /// Of two strings, bools or numbers.
    Less(Step, Step),
    /// Of two strings, bools or numbers.
    AtMost(Step, Step),
    /// Whether an int or a word is one of a set of the program.
    Among(Step, u32),
    /// Two ints, two doubles, or two strings that are the same for all candidates; as the rest of arithmetic, an error on overflow.
    Add(Step, Step),
    /// Two ints or two doubles.
    Subtract(Step, Step),
    /// Two ints or two doubles.
    Multiply(Step, Step),
    /// Two ints or two doubles; an error where an int is divided by 0.
    Divide(Step, Step),
    /// Two ints.
    Remainder(Step, Step),
    /// An int or a double.
    Negate(Step),
    /// A double, cut off; an error beyond 64 bits.
    ToInt(Step),
    /// An int, rounded to the nearest.
    ToDouble(Step),
    /// Characters of a string.
    Size(Step),
    /// Whether the first string starts with the second.
    StartsWith(Step, Step),
    /// Whether the first string ends with the second.
    EndsWith(Step, Step),
    /// Whether the first string contains the second.
    Contains(Step, Step),
}

/// What is known of a step without running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What its value is.
    pub kind: Type,
    /// The same for every candidate.
    pub uniform: bool,
    /// Whether it can be an error value.
    pub fallible: bool,
}

/// A compiled rule.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Program {
    pub(super) strings: Vec<String>,
    /// Each ascending, by the bits of the numbers.
    pub(super) sets: Vec<Vec<u64>>,
    pub(super) steps: Vec<Operation>,
}

impl Operation {
    /// The steps it reads.
    #[must_use]
    pub fn operands(self) -> [Option<Step>; 3] {
        use Operation as O;
        match self {
            O::Bool(_) | O::Int(_) | O::Double(_) | O::Text(_) | O::Word(..) => [None; 3],
            O::Read(_) | O::Known(_) | O::Item(..) | O::Present(..) => [None; 3],
            O::Not(a) | O::Negate(a) | O::ToInt(a) | O::ToDouble(a) | O::Size(a) | O::Among(a, _) => {
                [Some(a), None, None]
            }
            O::If(a, b, c) => [Some(a), Some(b), Some(c)],
            O::And(a, b) | O::Or(a, b) | O::Guard(a, b) | O::Equal(a, b) | O::Less(a, b) | O::AtMost(a, b) => {
                [Some(a), Some(b), None]
            }
            O::Add(a, b) | O::Subtract(a, b) | O::Multiply(a, b) | O::Divide(a, b) | O::Remainder(a, b) => {
                [Some(a), Some(b), None]
            }
            O::StartsWith(a, b) | O::EndsWith(a, b) | O::Contains(a, b) => [Some(a), Some(b), None],
        }
    }

    /// The same with other steps, and another string or set.
    #[must_use]
    pub(super) fn moved(
        self,
        step: impl Fn(Step) -> Step,
        string: impl FnOnce(u32) -> u32,
        set: impl FnOnce(u32) -> u32,
    ) -> Self {
        use Operation as O;
        match self {
            O::Text(i) => O::Text(string(i)),
            O::Among(a, i) => O::Among(step(a), set(i)),
            O::Bool(_) | O::Int(_) | O::Double(_) | O::Word(..) => self,
            O::Read(_) | O::Known(_) | O::Item(..) | O::Present(..) => self,
            O::Not(a) => O::Not(step(a)),
            O::Negate(a) => O::Negate(step(a)),
            O::ToInt(a) => O::ToInt(step(a)),
            O::ToDouble(a) => O::ToDouble(step(a)),
            O::Size(a) => O::Size(step(a)),
            O::If(a, b, c) => O::If(step(a), step(b), step(c)),
            O::And(a, b) => O::And(step(a), step(b)),
            O::Or(a, b) => O::Or(step(a), step(b)),
            O::Guard(a, b) => O::Guard(step(a), step(b)),
            O::Equal(a, b) => O::Equal(step(a), step(b)),
            O::Less(a, b) => O::Less(step(a), step(b)),
            O::AtMost(a, b) => O::AtMost(step(a), step(b)),
            O::Add(a, b) => O::Add(step(a), step(b)),
            O::Subtract(a, b) => O::Subtract(step(a), step(b)),
            O::Multiply(a, b) => O::Multiply(step(a), step(b)),
            O::Divide(a, b) => O::Divide(step(a), step(b)),
            O::Remainder(a, b) => O::Remainder(step(a), step(b)),
            O::StartsWith(a, b) => O::StartsWith(step(a), step(b)),
            O::EndsWith(a, b) => O::EndsWith(step(a), step(b)),
            O::Contains(a, b) => O::Contains(step(a), step(b)),
        }
    }

    /// What its value is, given what the steps before it are; `None` where its operands do not fit.
    #[must_use]
    pub(super) fn shape(self, before: &[Shape]) -> Option<Shape> {
        use Operation as O;
        use Type::{Bool, Double, Int, Text, Word};
        let at = |step: Step| before.get(step as usize).copied();
        let fixed = |kind| Some(Shape { kind, uniform: true, fallible: false });
        let operands = self.operands().into_iter().flatten();
        let (mut uniform, mut fallible) = (true, false);
        for step in operands {
            let shape = at(step)?;
            (uniform, fallible) = (uniform && shape.uniform, fallible || shape.fallible);
        }
        let of = |kind, own: bool| Some(Shape { kind, uniform, fallible: fallible || own });
        let two = |a, b| Some((at(a)?.kind, at(b)?.kind));
        match self {
            O::Bool(_) => fixed(Bool),
            O::Int(_) => fixed(Int),
            O::Double(_) => fixed(Double),
            O::Text(_) => fixed(Text),
            O::Word(words, _) => fixed(Word(words)),
            O::Read(v) => {
                let variable = scalar(v)?;
                let uniform = variable.scope == Scope::Moment;
                Some(Shape { kind: variable.kind, uniform, fallible: variable.nullable })
            }
            O::Known(v) => Some(Shape { kind: Bool, uniform: scalar(v)?.scope == Scope::Moment, fallible: false }),
            O::Item(v, k, _) => {
                let variable = list(v, k)?;
                Some(Shape { kind: variable.kind, uniform: variable.scope == Scope::Moment, fallible: true })
            }
            O::Present(v, k, _) => {
                Some(Shape { kind: Bool, uniform: list(v, k)?.scope == Scope::Moment, fallible: true })
            }
            O::Not(a) => (at(a)?.kind == Bool).then(|| of(Bool, false))?,
            O::And(a, b) | O::Or(a, b) => (two(a, b)? == (Bool, Bool)).then(|| of(Bool, false))?,
            O::If(c, a, b) => {
                let (then, other) = two(a, b)?;
                (at(c)?.kind == Bool && then == other).then(|| of(then, false))?
            }
            O::Guard(a, _) => of(at(a)?.kind, false),
            O::Equal(a, b) => match two(a, b)? {
                (Int | Double, Int | Double) => of(Bool, false),
                (a, b) => (a == b).then(|| of(Bool, false))?,
            },
            O::Less(a, b) | O::AtMost(a, b) => match two(a, b)? {
                // What is no number has no order.
                (Double, Int | Double) | (Int, Double) => of(Bool, true),
                (Int, Int) | (Text, Text) | (Bool, Bool) => of(Bool, false),
                _ => None,
            },
            O::Among(a, _) => matches!(at(a)?.kind, Int | Word(_)).then(|| of(Bool, false))?,
            // A string for each candidate would have to be allocated.
            O::Add(a, b) if two(a, b)? == (Text, Text) => uniform.then(|| of(Text, true))?,
            O::Add(a, b) | O::Subtract(a, b) | O::Multiply(a, b) | O::Divide(a, b) => match two(a, b)? {
                (Int, Int) => of(Int, true),
                (Double, Double) => of(Double, false),
                _ => None,
            },
            O::Remainder(a, b) => (two(a, b)? == (Int, Int)).then(|| of(Int, true))?,
            O::Negate(a) => match at(a)?.kind {
                Int => of(Int, true),
                Double => of(Double, false),
                _ => None,
            },
            O::ToInt(a) => (at(a)?.kind == Double).then(|| of(Int, true))?,
            O::ToDouble(a) => (at(a)?.kind == Int).then(|| of(Double, false))?,
            O::Size(a) => (at(a)?.kind == Text).then(|| of(Int, false))?,
            O::StartsWith(a, b) | O::EndsWith(a, b) | O::Contains(a, b) => {
                (two(a, b)? == (Text, Text)).then(|| of(Bool, false))?
            }
        }
    }
}

fn scalar(variable: u8) -> Option<&'static Variable> {
    VARIABLES.get(usize::from(variable)).filter(|variable| variable.list == 0)
}

fn list(variable: u8, item: u8) -> Option<&'static Variable> {
    VARIABLES.get(usize::from(variable)).filter(|variable| item < variable.list)
}

impl Program {
    /// The steps, the answer last.
    #[must_use]
    pub fn steps(&self) -> &[Operation] {
        &self.steps
    }

    /// What the answer is; a rule's is a bool.
    #[must_use]
    pub fn kind(&self) -> Option<Type> {
        Some(shapes(&self.steps)?.last()?.kind)
    }

    /// The bytes [`Program::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend((self.strings.len() as u16).to_le_bytes());
        bytes.extend((self.sets.len() as u16).to_le_bytes());
        bytes.extend((self.steps.len() as u16).to_le_bytes());
        for string in &self.strings {
            bytes.extend((string.len() as u16).to_le_bytes());
            bytes.extend(string.as_bytes());
        }
        for set in &self.sets {
            bytes.extend((set.len() as u16).to_le_bytes());
            set.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        }
        for step in &self.steps {
            write(*step, &mut bytes);
        }
        seal(&mut bytes, CHECKSUM_AT);
        bytes
    }

    /// Reads and checks a program.
    ///
    /// # Errors
    /// Names the part that is cut off, over a limit, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(PART, bytes);
        r.limit("bytes", bytes.len(), MAX_BYTES)?;
        r.magic(MAGIC, VERSION)?;
        r.checksum()?;
        let n_strings = usize::from(r.u16("the number of strings")?);
        let n_strings = r.limit("strings", n_strings, MAX_STRINGS)?;
        let n_sets = usize::from(r.u16("the number of sets")?);
        let n_sets = r.limit("sets", n_sets, MAX_SETS)?;
        let n_steps = usize::from(r.u16("the number of steps")?);
        let n_steps = r.limit("steps", n_steps, MAX_STEPS)?;
        let value = |what, at, found, expected| DecodeError::Value { part: PART, what, at, found, expected };

        let mut strings = Vec::with_capacity(n_strings);
        for i in 0..n_strings {
            let length = usize::from(r.u16("a string's length")?);
            let length = r.limit("bytes in a string", length, MAX_STRING)?;
            let string = core::str::from_utf8(r.take("a string", length)?);
            strings.push(string.map_err(|_| value("string", i, length as i64, "UTF-8"))?.into());
        }
        let mut sets: Vec<Vec<u64>> = Vec::with_capacity(n_sets);
        for i in 0..n_sets {
            let length = usize::from(r.u16("a set's length")?);
            let length = r.limit("numbers in a set", length, MAX_SET)?;
            let (numbers, _) = r.take("a set", length * 8)?.as_chunks();
            let set: Vec<u64> = numbers.iter().map(|number| u64::from_le_bytes(*number)).collect();
            if let Some(pair) = set.windows(2).find(|pair| pair[0] >= pair[1]) {
                return Err(value("number of a set", i, pair[1] as i64, "ascending numbers, each once"));
            }
            sets.push(set);
        }
        let (mut steps, mut known): (Vec<Operation>, Vec<Shape>) = (Vec::with_capacity(n_steps), Vec::new());
        for i in 0..n_steps {
            let code = r.u8("a step")?;
            let step = read(code, &mut r)?.ok_or(value("operation", i, i64::from(code), "one this release knows"))?;
            if let Operation::Text(string) = step
                && string as usize >= n_strings
            {
                return Err(value("string", i, i64::from(string), "one of the program's strings"));
            }
            if let Operation::Among(_, set) = step
                && set as usize >= n_sets
            {
                return Err(value("set", i, i64::from(set), "one of the program's sets"));
            }
            let shape = step.shape(&known);
            known.push(shape.ok_or(value("operation", i, i64::from(code), "operands that fit it"))?);
            steps.push(step);
        }
        r.end()?;
        if steps.is_empty() {
            return Err(value("number of steps", 0, 0, "at least 1"));
        }
        Ok(Self { strings, sets, steps })
    }
}

/// What every step is; `None` where one does not fit.
pub(super) fn shapes(steps: &[Operation]) -> Option<Vec<Shape>> {
    let mut shapes = Vec::with_capacity(steps.len());
    for step in steps {
        let shape = step.shape(&shapes)?;
        shapes.push(shape);
    }
    Some(shapes)
}

/// One line an operation: its code, what it is, what it carries.
macro_rules! layout {
    ($($code:literal $name:ident($($operand:ident: $form:ident),*);)*) => {
        fn write(step: Operation, bytes: &mut Vec<u8>) {
            match step {
                $(Operation::$name($($operand),*) => {
                    bytes.push($code);
                    $(put::$form($operand, bytes);)*
                })*
            }
        }

        /// `None` for a code or a word this release does not know.
        fn read(code: u8, r: &mut Reader<'_>) -> Result<Option<Operation>, DecodeError> {
            Ok(match code {
                $($code => {
                    $(let Some($operand) = get::$form(r)? else { return Ok(None) };)*
                    Some(Operation::$name($($operand),*))
                })*
                _ => None,
            })
        }
    };
}

layout! {
    0 Bool(value: flag);
    1 Int(value: int);
    2 Double(value: bits);
    3 Text(string: index);
    4 Word(words: words, value: bits);
    5 Read(variable: variable);
    6 Known(variable: variable);
    7 Item(variable: variable, k: byte, map: map);
    8 Present(variable: variable, k: byte, map: map);
    9 Not(a: index);
    10 And(a: index, b: index);
    11 Or(a: index, b: index);
    12 If(c: index, a: index, b: index);
    13 Guard(a: index, b: index);
    14 Equal(a: index, b: index);
    15 Less(a: index, b: index);
    16 AtMost(a: index, b: index);
    17 Add(a: index, b: index);
    18 Subtract(a: index, b: index);
    19 Multiply(a: index, b: index);
    20 Divide(a: index, b: index);
    21 Remainder(a: index, b: index);
    22 Negate(a: index);
    23 ToInt(a: index);
    24 ToDouble(a: index);
    25 Size(a: index);
    26 StartsWith(a: index, b: index);
    27 EndsWith(a: index, b: index);
    28 Contains(a: index, b: index);
    29 Among(a: index, set: index);
}

mod put {
    use super::{VARIABLES, Variable, Vec, Words};

    pub fn flag(value: bool, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(value));
    }
    pub fn byte(value: u8, bytes: &mut Vec<u8>) {
        bytes.push(value);
    }
    pub fn variable(value: u8, bytes: &mut Vec<u8>) {
        bytes.extend(VARIABLES.get(usize::from(value)).map_or(0, Variable::code).to_le_bytes());
    }
    pub fn words(value: Words, bytes: &mut Vec<u8>) {
        bytes.push(value as u8);
    }
    pub fn index(value: u32, bytes: &mut Vec<u8>) {
        bytes.extend((value as u16).to_le_bytes());
    }
    pub fn map(value: u32, bytes: &mut Vec<u8>) {
        bytes.extend(value.to_le_bytes());
    }
    pub fn int(value: i64, bytes: &mut Vec<u8>) {
        bytes.extend(value.to_le_bytes());
    }
    pub fn bits(value: u64, bytes: &mut Vec<u8>) {
        bytes.extend(value.to_le_bytes());
    }
}

mod get {
    use super::{DecodeError, Reader, VARIABLES, Words};

    type Got<T> = Result<Option<T>, DecodeError>;

    pub fn flag(r: &mut Reader<'_>) -> Got<bool> {
        Ok(match r.u8("a bool")? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }
    pub fn byte(r: &mut Reader<'_>) -> Got<u8> {
        r.u8("an operand").map(Some)
    }
    pub fn variable(r: &mut Reader<'_>) -> Got<u8> {
        let code = r.u32("a variable")?;
        Ok(VARIABLES.iter().position(|variable| variable.code() == code).map(|at| at as u8))
    }
    pub fn words(r: &mut Reader<'_>) -> Got<Words> {
        Ok(Words::ALL.get(usize::from(r.u8("a word's list")?)).copied())
    }
    pub fn index(r: &mut Reader<'_>) -> Got<u32> {
        r.u16("an operand").map(|index| Some(u32::from(index)))
    }
    pub fn map(r: &mut Reader<'_>) -> Got<u32> {
        r.u32("a cuisine map").map(Some)
    }
    pub fn int(r: &mut Reader<'_>) -> Got<i64> {
        r.u64("an int").map(|bits| Some(bits.cast_signed()))
    }
    pub fn bits(r: &mut Reader<'_>) -> Got<u64> {
        r.u64("a number").map(Some)
    }
}

impl Program {
    /// Reads base64url, as a campaign document carries it.
    ///
    /// # Errors
    /// A sentence with the part that is damaged.
    pub fn read(text: &str) -> Result<Self, String> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| format!("{PART}: {error}"))?;
        Self::decode(&bytes).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Program {
    /// Base64url, as a campaign document carries it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Program {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

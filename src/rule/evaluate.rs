//! Runs programs over the candidates of a decision, 64 at a time: a bool is two machine words, a number 64 lanes.
//!
//! The programs of all rules are linked into one, in which equal steps are one step. What is the same for every candidate
//! runs once a decision; what depends on the merchant runs once a merchant, however many rules ask. After the first block
//! nothing is allocated.

use super::program::{Operation, Program, Shape, Step, shapes};
use super::variable::{Moment, Pair, Read, Type, VARIABLES, Words};
use crate::retrieve::Candidate;
use crate::sorted::Map;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// Candidates of one block.
pub(super) const LANES: usize = 64;
/// Steps of all rules of one policy together; what comes after is not linked.
pub const MAX_LINKED: usize = 8192;

/// A bool of each candidate of a block: it holds, it is an error, or neither. Never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Truth {
    pub holds: u64,
    pub errs: u64,
}

/// A value of each candidate of a block.
type Lanes = [u64; LANES];

/// Programs as one.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Linked {
    steps: Vec<Operation>,
    shapes: Vec<Shape>,
    strings: Vec<String>,
    sets: Vec<Vec<u64>>,
}

/// The answer of a program without a candidate.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// 64 bits with a sign.
    Int(i64),
    /// IEEE 754, 64 bits.
    Double(f64),
    /// UTF-8.
    Text(String),
    /// A word of a list, by its number.
    Word(Words, u64),
}

impl Linked {
    /// Links programs; the second list has their answers, `None` where there is no program, none that answers yes or no,
    /// or no room for one more.
    pub fn new<'a>(programs: impl IntoIterator<Item = Option<&'a Program>>) -> (Self, Vec<Option<Step>>) {
        let mut linked = Self::default();
        let mut seen = Map::new();
        let answers = programs.into_iter().map(|program| {
            let program = program.filter(|program| program.kind() == Some(Type::Bool))?;
            if linked.steps.len() + program.steps.len() > MAX_LINKED {
                return None;
            }
            Some(linked.link(program, &mut seen))
        });
        let answers: Vec<_> = answers.collect();
        // Each part was checked when it was read, and moving it changes no type.
        match shapes(&linked.steps) {
            Some(shapes) => (Self { shapes, ..linked }, answers),
            None => (Self::default(), vec![None; answers.len()]),
        }
    }

    fn link(&mut self, program: &Program, seen: &mut Map<Operation, Step>) -> Step {
        let strings: Vec<u32> = program.strings.iter().map(|string| interned(&mut self.strings, string)).collect();
        let sets: Vec<u32> = program.sets.iter().map(|set| interned(&mut self.sets, set)).collect();
        let mut moved: Vec<Step> = Vec::with_capacity(program.steps.len());
        for step in &program.steps {
            let step = step.moved(
                |step| moved.get(step as usize).copied().unwrap_or(0),
                |string| strings.get(string as usize).copied().unwrap_or(0),
                |set| sets.get(set as usize).copied().unwrap_or(0),
            );
            let at = *seen.or_insert_with(step, || {
                self.steps.push(step);
                self.steps.len() as Step - 1
            });
            moved.push(at);
        }
        moved.last().copied().unwrap_or(0)
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Runs everything over all candidates; `each` is given a block's first candidate, how many it has, and the answers.
    pub fn run(&self, moment: &Moment<'_>, candidates: &[Candidate], mut each: impl FnMut(usize, usize, &[Truth])) {
        let mut machine = Machine::new(self, moment);
        machine.run(true, &[]);
        for (block, candidates) in candidates.chunks(LANES).enumerate() {
            machine.run(false, candidates);
            each(block * LANES, candidates.len(), &machine.truths);
        }
    }
}

/// The answer of a program that asks nothing of a merchant; `None` where it does, or where it is an error value.
#[must_use]
pub fn answer(program: &Program, moment: &Moment<'_>) -> Option<Value> {
    let shapes = shapes(&program.steps)?;
    let last = *shapes.last().filter(|last| last.uniform)?;
    let linked =
        Linked { steps: program.steps.clone(), shapes, strings: program.strings.clone(), sets: program.sets.clone() };
    let mut machine = Machine::new(&linked, moment);
    machine.run(true, &[]);
    let at = linked.len() - 1;
    let (truth, bits) = (machine.truths[at], machine.lanes[at][0]);
    (truth.errs & 1 == 0).then(|| match last.kind {
        Type::Bool => Value::Bool(truth.holds & 1 == 1),
        Type::Int => Value::Int(bits.cast_signed()),
        Type::Double => Value::Double(f64::from_bits(bits)),
        Type::Text => Value::Text(machine.string(bits).to_string()),
        Type::Word(words) => Value::Word(words, bits),
    })
}

struct Machine<'a> {
    linked: &'a Linked,
    moment: &'a Moment<'a>,
    /// The programs' own, then what this decision adds; equal strings are one string.
    strings: Vec<Cow<'a, str>>,
    /// One a step; of a number, only whether it is an error.
    truths: Vec<Truth>,
    /// One a step; of a bool, nothing.
    lanes: Vec<Lanes>,
}

impl<'a> Machine<'a> {
    fn new(linked: &'a Linked, moment: &'a Moment<'a>) -> Self {
        let strings = linked.strings.iter().map(|string| Cow::Borrowed(string.as_str())).collect();
        let n = linked.steps.len();
        Self { linked, moment, strings, truths: vec![Truth::default(); n], lanes: vec![[0; LANES]; n] }
    }

    fn string(&self, id: u64) -> &str {
        self.strings.get(id as usize).map_or("", |string| string)
    }

    fn intern(&mut self, string: String) -> u64 {
        let known = self.strings.iter().position(|known| *known == string);
        known.unwrap_or_else(|| {
            self.strings.push(Cow::Owned(string));
            self.strings.len() - 1
        }) as u64
    }

    /// Runs what is the same for all candidates, or what is not over one block.
    fn run(&mut self, uniform: bool, candidates: &[Candidate]) {
        for at in 0..self.linked.steps.len() {
            if self.linked.shapes[at].uniform == uniform {
                self.step(at, candidates);
            }
        }
    }

    fn step(&mut self, at: usize, candidates: &[Candidate]) {
        use Operation as O;
        let uniform = self.linked.shapes[at].uniform;
        match self.linked.steps[at] {
            O::Bool(value) => self.truths[at] = Truth { holds: splat(value), errs: 0 },
            O::Int(value) => self.lanes[at] = [value.cast_unsigned(); LANES],
            O::Double(bits) | O::Word(_, bits) => self.lanes[at] = [bits; LANES],
            O::Text(string) => self.lanes[at] = [u64::from(string); LANES],
            O::Read(variable) => self.read(at, variable, candidates),
            O::Known(variable) => {
                self.read(at, variable, candidates);
                self.truths[at] = Truth { holds: !self.truths[at].errs, errs: 0 };
            }
            O::Item(variable, k, map) => {
                self.item(at, variable, k, map, candidates);
            }
            O::Present(variable, k, map) => {
                let other_map = self.item(at, variable, k, map, candidates);
                let absent = self.truths[at].errs;
                self.truths[at] = Truth { holds: !absent & !other_map, errs: other_map };
            }
            O::Not(a) => {
                let a = self.truth(a);
                self.truths[at] = Truth { holds: !(a.holds | a.errs), errs: a.errs };
            }
            O::And(a, b) => {
                let (a, b) = (self.truth(a), self.truth(b));
                let holds = a.holds & b.holds;
                self.truths[at] = Truth { holds, errs: !(holds | a.fails() | b.fails()) };
            }
            O::Or(a, b) => {
                let (a, b) = (self.truth(a), self.truth(b));
                let holds = a.holds | b.holds;
                self.truths[at] = Truth { holds, errs: !(holds | a.fails() & b.fails()) };
            }
            O::If(c, a, b) => {
                let (c, x, y) = (self.truth(c), self.truth(a), self.truth(b));
                self.truths[at] = Truth {
                    holds: c.holds & x.holds | c.fails() & y.holds,
                    errs: c.errs | c.holds & x.errs | c.fails() & y.errs,
                };
                if self.linked.shapes[at].kind != Type::Bool {
                    self.zip(at, a, b, |i, x, y| if c.holds >> i & 1 == 1 { x } else { y });
                }
            }
            O::Guard(a, b) => {
                let errs = self.errs(a, b);
                self.truths[at] = Truth { holds: self.truth(a).holds & !errs, errs };
                self.zip(at, a, a, |_, x, _| x);
            }
            O::Equal(a, b) => self.compare(at, a, b, |order| order == Some(Ordering::Equal)),
            O::Less(a, b) => {
                self.compare(at, a, b, |order| order == Some(Ordering::Less));
                self.unordered(at, a, b);
            }
            O::AtMost(a, b) => {
                self.compare(at, a, b, |order| matches!(order, Some(Ordering::Less | Ordering::Equal)));
                self.unordered(at, a, b);
            }
            O::Add(a, b) => match self.linked.shapes[at].kind {
                Type::Int => self.checked(at, a, b, i64::checked_add),
                Type::Double => self.doubles(at, a, b, |x, y| x + y),
                _ => self.concat(at, a, b),
            },
            O::Subtract(a, b) => match self.linked.shapes[at].kind {
                Type::Int => self.checked(at, a, b, i64::checked_sub),
                _ => self.doubles(at, a, b, |x, y| x - y),
            },
            O::Multiply(a, b) => match self.linked.shapes[at].kind {
                Type::Int => self.checked(at, a, b, i64::checked_mul),
                _ => self.doubles(at, a, b, |x, y| x * y),
            },
            O::Divide(a, b) => match self.linked.shapes[at].kind {
                Type::Int => self.checked(at, a, b, i64::checked_div),
                _ => self.doubles(at, a, b, |x, y| x / y),
            },
            O::Remainder(a, b) => self.checked(at, a, b, i64::checked_rem),
            O::Negate(a) => match self.linked.shapes[at].kind {
                Type::Int => self.checked(at, a, a, |x, _| x.checked_neg()),
                _ => self.doubles(at, a, a, |x, _| -x),
            },
            O::ToInt(a) => self.checked(at, a, a, |bits, _| whole(f64::from_bits(bits.cast_unsigned()))),
            O::ToDouble(a) => {
                self.truths[at].errs = self.truth(a).errs;
                self.zip(at, a, a, |_, x, _| (x.cast_signed() as f64).to_bits());
            }
            O::Size(a) => {
                let source = self.lanes[a as usize];
                let width = if uniform { 1 } else { candidates.len() };
                let mut sizes = [0; LANES];
                for (size, id) in sizes.iter_mut().zip(source).take(width) {
                    *size = self.string(id).chars().count() as u64;
                }
                self.lanes[at] = if uniform { [sizes[0]; LANES] } else { sizes };
                self.truths[at].errs = self.truth(a).errs;
            }
            O::Among(a, set) => {
                let errs = self.truth(a).errs;
                let set = self.linked.sets.get(set as usize).map_or(&[][..], |set| set);
                let holds = self.mask(a, a, |x, _| set.binary_search(&x).is_ok());
                self.truths[at] = Truth { holds: holds & !errs, errs };
            }
            O::StartsWith(a, b) => self.strings(at, a, b, candidates.len(), |x, y| x.starts_with(y)),
            O::EndsWith(a, b) => self.strings(at, a, b, candidates.len(), |x, y| x.ends_with(y)),
            O::Contains(a, b) => self.strings(at, a, b, candidates.len(), |x, y| x.contains(y)),
        }
    }

    fn truth(&self, step: Step) -> Truth {
        self.truths[step as usize]
    }

    fn kind(&self, step: Step) -> Type {
        self.linked.shapes[step as usize].kind
    }

    fn errs(&self, a: Step, b: Step) -> u64 {
        self.truth(a).errs | self.truth(b).errs
    }

    /// Fills a step's lanes from those of two steps before it.
    #[inline(always)]
    fn zip(&mut self, at: usize, a: Step, b: Step, f: impl Fn(usize, u64, u64) -> u64) {
        let (before, rest) = self.lanes.split_at_mut(at);
        let (a, b, out) = (&before[a as usize], &before[b as usize], &mut rest[0]);
        for i in 0..LANES {
            out[i] = f(i, a[i], b[i]);
        }
    }

    /// The lanes of two steps for which something holds.
    #[inline(always)]
    fn mask(&self, a: Step, b: Step, f: impl Fn(u64, u64) -> bool) -> u64 {
        let (a, b) = (&self.lanes[a as usize], &self.lanes[b as usize]);
        let mut mask = 0;
        for i in 0..LANES {
            mask |= u64::from(f(a[i], b[i])) << i;
        }
        mask
    }

    #[inline(always)]
    fn compare(&mut self, at: usize, a: Step, b: Step, f: impl Fn(Option<Ordering>) -> bool) {
        let (int, double) = (u64::cast_signed, f64::from_bits);
        let holds = match (self.kind(a), self.kind(b)) {
            (Type::Int, Type::Int) => self.mask(a, b, |x, y| f(Some(int(x).cmp(&int(y))))),
            (Type::Double, Type::Double) => self.mask(a, b, |x, y| f(double(x).partial_cmp(&double(y)))),
            (Type::Int, Type::Double) => self.mask(a, b, |x, y| f(order(int(x), double(y)))),
            (Type::Double, Type::Int) => self.mask(a, b, |x, y| f(order(int(y), double(x)).map(Ordering::reverse))),
            (Type::Text, _) => self.mask(a, b, |x, y| f(Some(self.order(x, y)))),
            (Type::Bool, _) => {
                let (x, y) = (self.truth(a).holds, self.truth(b).holds);
                let pick = |order, mask: u64| if f(Some(order)) { mask } else { 0 };
                pick(Ordering::Less, !x & y) | pick(Ordering::Equal, !(x ^ y)) | pick(Ordering::Greater, x & !y)
            }
            (Type::Word(_), _) | (_, Type::Text | Type::Bool | Type::Word(_)) => {
                self.mask(a, b, |x, y| f(Some(x.cmp(&y))))
            }
        };
        let errs = self.errs(a, b);
        self.truths[at] = Truth { holds: holds & !errs, errs };
    }

    /// What is no number has no order: an error, as in other interpreters of CEL.
    fn unordered(&mut self, at: usize, a: Step, b: Step) {
        for step in [a, b] {
            if self.kind(step) != Type::Double {
                continue;
            }
            let nan = self.mask(step, step, |x, _| f64::from_bits(x).is_nan());
            let truth = self.truths[at];
            self.truths[at] = Truth { holds: truth.holds & !nan, errs: truth.errs | nan };
        }
    }

    /// Equal strings are one string.
    fn order(&self, a: u64, b: u64) -> Ordering {
        if a == b { Ordering::Equal } else { self.string(a).cmp(self.string(b)) }
    }

    #[inline(always)]
    fn checked(&mut self, at: usize, a: Step, b: Step, f: impl Fn(i64, i64) -> Option<i64>) {
        let of = |x: u64, y: u64| f(x.cast_signed(), y.cast_signed());
        let failed = self.mask(a, b, |x, y| of(x, y).is_none());
        self.truths[at].errs = self.errs(a, b) | failed;
        self.zip(at, a, b, |_, x, y| of(x, y).unwrap_or(0).cast_unsigned());
    }

    #[inline(always)]
    fn doubles(&mut self, at: usize, a: Step, b: Step, f: impl Fn(f64, f64) -> f64) {
        self.truths[at].errs = self.errs(a, b);
        self.zip(at, a, b, |_, x, y| f(f64::from_bits(x), f64::from_bits(y)).to_bits());
    }

    /// Both are the same for all candidates, or the program would have been refused.
    fn concat(&mut self, at: usize, a: Step, b: Step) {
        let (x, y) = (self.lanes[a as usize][0], self.lanes[b as usize][0]);
        let (x, y) = (self.string(x), self.string(y));
        let errs = self.errs(a, b) | splat(x.len() + y.len() > MAX_CONCAT);
        let joined = if errs == 0 { [x, y].concat() } else { String::new() };
        self.truths[at].errs = errs;
        self.lanes[at] = [self.intern(joined); LANES];
    }

    fn strings(&mut self, at: usize, a: Step, b: Step, n: usize, f: impl Fn(&str, &str) -> bool) {
        let width = if self.linked.shapes[at].uniform { 1 } else { n };
        let (x, y) = (&self.lanes[a as usize], &self.lanes[b as usize]);
        let mut holds = 0;
        for i in 0..width {
            holds |= u64::from(f(self.string(x[i]), self.string(y[i]))) << i;
        }
        let holds = if self.linked.shapes[at].uniform { splat(holds == 1) } else { holds };
        let errs = self.errs(a, b);
        self.truths[at] = Truth { holds: holds & !errs, errs };
    }

    /// A variable's value; unknown ones are errors.
    fn read(&mut self, at: usize, variable: u8, candidates: &[Candidate]) {
        let moment = self.moment;
        let once = match VARIABLES[usize::from(variable)].read {
            Read::Moment(value) => value(moment),
            Read::Text(value) => value(moment).map(|text| self.intern(text)),
            Read::Pair(value) => return self.fill(at, candidates, value),
            // Lists are read by item.
            Read::Moments(_) | Read::Pairs(_) => None,
        };
        self.lanes[at] = [once.unwrap_or(0); LANES];
        self.truths[at] = Truth { holds: splat(once == Some(1)), errs: splat(once.is_none()) };
    }

    /// An item of a list; what is past its end, or counts in another cuisine map, is an error. The latter are returned.
    fn item(&mut self, at: usize, variable: u8, k: u8, map: u32, candidates: &[Candidate]) -> u64 {
        let (moment, k) = (self.moment, usize::from(k));
        match VARIABLES[usize::from(variable)].read {
            Read::Moments(value) => {
                let same = moment.profile.cuisine_map == map;
                let once = value(moment, k).filter(|_| same);
                self.lanes[at] = [once.unwrap_or(0); LANES];
                self.truths[at].errs = splat(once.is_none());
                splat(!same)
            }
            Read::Pairs(value) => {
                self.fill(at, candidates, |pair| value(pair, k).filter(|_| pair.candidate.cuisine_map == map));
                let other = candidates.iter().enumerate();
                other.fold(0, |mask, (i, candidate)| mask | u64::from(candidate.cuisine_map != map) << i)
            }
            _ => 0,
        }
    }

    #[inline(always)]
    fn fill(&mut self, at: usize, candidates: &[Candidate], value: impl Fn(&Pair<'_>) -> Option<u64>) {
        let (mut holds, mut errs) = (0, 0);
        for (i, (candidate, lane)) in candidates.iter().zip(&mut self.lanes[at]).enumerate() {
            let found = value(&Pair { moment: self.moment, candidate });
            *lane = found.unwrap_or(0);
            holds |= u64::from(found == Some(1)) << i;
            errs |= u64::from(found.is_none()) << i;
        }
        self.truths[at] = Truth { holds, errs };
    }
}

/// Bytes of a string that a rule puts together.
const MAX_CONCAT: usize = 4096;

impl Truth {
    fn fails(self) -> u64 {
        !(self.holds | self.errs)
    }
}

/// Where something stands in a list, after adding it if it does not.
pub(super) fn interned<T: Clone + PartialEq>(list: &mut Vec<T>, item: &T) -> u32 {
    let known = list.iter().position(|known| known == item);
    known.unwrap_or_else(|| {
        list.push(item.clone());
        list.len() - 1
    }) as u32
}

fn splat(value: bool) -> u64 {
    if value { u64::MAX } else { 0 }
}

/// An int is compared with a double as the double next to it, as the conformance suite wants; `None` for no number.
fn order(int: i64, double: f64) -> Option<Ordering> {
    (int as f64).partial_cmp(&double)
}

/// A double without what comes after the point, where 64 bits hold it.
fn whole(double: f64) -> Option<i64> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    (double > -BEYOND && double < BEYOND).then(|| libm::trunc(double) as i64)
}

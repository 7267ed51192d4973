//! What a condition may say, and what it becomes: types, names and costs are checked on the way to a program.
//!
//! The parser expands CEL's macros into loops; here they are recognized again and written out over a list's items, so
//! that a program has no loop.

use super::compile::{Labels, RuleError, places};
use super::evaluate::{Value, answer, interned};
use super::program::{MAX_SET, MAX_SETS, MAX_STEPS, MAX_STRING, MAX_STRINGS, Operation, Program, Shape, Step};
use super::variable::{Moment, TIME_FUNCTIONS, Type, VARIABLES, Variable, Words};
use crate::context::Context;
use crate::id::{ChainId, MerchantId};
use crate::locate::{Place, Source};
use crate::profile::Profile;
use crate::sorted::Map;
use crate::suggest::nearest;
use crate::time::{DAY_MINUTES, Local, civil_from_days, days_from_civil};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators};

/// Items of one list that is written out; more than [`MAX_COST`] only where all are constants, after `in`.
pub const MAX_LIST: usize = MAX_SET;
/// Items that macros within each other go through: the product of their lists' lengths.
pub const MAX_COST: usize = 512;

/// Operators, calls and names within each other. A chain as 1 + 1 + ... has as many levels as items, and a module's stack is small;
/// one of && or || is balanced, and may have as many as its text has room for.
pub const MAX_LEVELS: usize = 200;

/// Checks one condition.
pub(super) struct Checker<'a> {
    text: &'a str,
    /// Where the parts stand, asked for where one is wrong.
    source: Option<Arc<SourceInfo>>,
    labels: &'a Labels,
    code: Code,
    errors: Vec<RuleError>,
    /// What macros have named, the innermost last.
    names: Vec<(&'a str, Step)>,
    /// Items of the macros around, multiplied.
    cost: usize,
    /// What is around the part that is checked.
    levels: usize,
}

/// What a part of a condition is.
enum Part {
    Value(Step),
    List(List),
    /// Something that was already complained about.
    Bad,
}

/// A list is never a value: it is the steps of its items.
#[derive(Default)]
struct List {
    items: Vec<Item>,
    /// Where one of these is an error, the whole list is.
    guards: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Item {
    value: Step,
    /// Whether there is such an item; always, where there is no such step.
    present: Option<Step>,
}

/// A program being written; equal steps are one step, constants are computed.
#[derive(Default)]
struct Code {
    program: Program,
    shapes: Vec<Shape>,
    seen: Map<Operation, Step>,
}

impl Code {
    fn shape(&self, step: Step) -> Shape {
        self.shapes[step as usize]
    }

    fn kind(&self, step: Step) -> Type {
        self.shape(step).kind
    }

    fn operation(&self, step: Step) -> Operation {
        self.program.steps[step as usize]
    }

    fn text(&mut self, text: &str) -> Operation {
        let at = interned(&mut self.program.strings, &text.to_string());
        Operation::Text(at)
    }

    fn constant(&self, step: Step) -> bool {
        use Operation as O;
        matches!(self.operation(step), O::Bool(_) | O::Int(_) | O::Double(_) | O::Text(_) | O::Word(..))
    }

    /// `None` where the operands do not fit.
    fn push(&mut self, operation: Operation) -> Option<Step> {
        if let Some(step) = self.seen.get(&operation) {
            return Some(*step);
        }
        let shape = operation.shape(&self.shapes)?;
        if let Some(same) = self.same(operation) {
            return Some(same);
        }
        let mut operands = operation.operands().into_iter().flatten().peekable();
        if operands.peek().is_some()
            && operands.all(|step| self.constant(step))
            && let Some(folded) = self.fold(operation)
        {
            let step = self.push(folded)?;
            self.seen.insert(operation, step);
            return Some(step);
        }
        self.program.steps.push(operation);
        self.shapes.push(shape);
        let step = self.shapes.len() as Step - 1;
        self.seen.insert(operation, step);
        Some(step)
    }

    /// The operand that an `&&` or `||` with a constant comes to, errors included.
    fn same(&self, operation: Operation) -> Option<Step> {
        let (a, b, neutral) = match operation {
            Operation::And(a, b) => (a, b, true),
            Operation::Or(a, b) => (a, b, false),
            _ => return None,
        };
        let constant = |step, value| self.operation(step) == Operation::Bool(value);
        match () {
            () if constant(a, neutral) || constant(b, !neutral) => Some(b),
            () if constant(b, neutral) || constant(a, !neutral) => Some(a),
            () => None,
        }
    }

    /// What an operation on constants gives; an error value is left to whoever reads the rule's counts.
    fn fold(&mut self, operation: Operation) -> Option<Operation> {
        let mut alone = Program { steps: Vec::new(), ..self.program.clone() };
        let operands: Vec<Step> = operation.operands().into_iter().flatten().collect();
        alone.steps.extend(operands.iter().map(|step| self.operation(*step)));
        let place = |step: Step| operands.iter().position(|own| *own == step).unwrap_or(0) as Step;
        alone.steps.push(operation.moved(place, |string| string, |set| set));
        let (profile, context) = (Profile::default(), Context::default());
        let place = Place {
            point: None,
            certainty: 0.0,
            source: Source::Unknown,
            travelling: false,
            posterior: Vec::new(),
            elsewhere: 1.0,
        };
        let local = Local { minutes: 0 };
        let nowhere = Moment { profile: &profile, place: &place, context: &context, local, slots: 0, language: "" };
        Some(match answer(&alone, &nowhere)? {
            Value::Bool(value) => Operation::Bool(value),
            Value::Int(value) => Operation::Int(value),
            Value::Double(value) => Operation::Double(value.to_bits()),
            Value::Text(text) if text.len() <= MAX_STRING => self.text(&text),
            Value::Text(_) => return None,
            Value::Word(words, number) => Operation::Word(words, number),
        })
    }

    /// Only what the answer needs, the answer last.
    fn finish(self, answer: Step) -> Program {
        let mut needed = vec![false; self.program.steps.len()];
        let mut open = vec![answer];
        while let Some(step) = open.pop() {
            if !core::mem::replace(&mut needed[step as usize], true) {
                open.extend(self.operation(step).operands().into_iter().flatten());
            }
        }
        let mut program = Program::default();
        let mut moved = vec![0; needed.len()];
        for (at, operation) in self.program.steps.iter().enumerate().filter(|(at, _)| needed[*at]) {
            let (strings, sets) = (&mut program.strings, &mut program.sets);
            program.steps.push(operation.moved(
                |step| moved[step as usize],
                |string| interned(strings, &self.program.strings[string as usize]),
                |set| interned(sets, &self.program.sets[set as usize]),
            ));
            moved[at] = program.steps.len() as Step - 1;
        }
        program
    }
}

impl<'a> Checker<'a> {
    pub fn new(text: &'a str, labels: &'a Labels) -> Self {
        let (code, errors, names) = (Code::default(), Vec::new(), Vec::new());
        Self { text, source: None, labels, code, errors, names, cost: 1, levels: 0 }
    }

    /// The whole condition.
    pub fn program(mut self, tree: &'a IdedExpr) -> Result<Program, Vec<RuleError>> {
        let answer = self.value(tree);
        if let Some(step) = answer
            && self.errors.is_empty()
        {
            let program = self.code.finish(step);
            let (steps, strings) = (program.steps.len(), program.strings.len());
            if steps <= MAX_STEPS && strings <= MAX_STRINGS {
                return Ok(program);
            }
            let message = format!(
                "the condition takes {steps} steps and {strings} strings, at most {MAX_STEPS} and {MAX_STRINGS} are run"
            );
            let hint = Some("split the rule".into());
            self.errors = vec![RuleError { line: 1, column: 1, message, hint }];
        }
        self.errors.sort();
        self.errors.dedup();
        Err(self.errors)
    }

    /// A complaint about a place in the text.
    fn fail<T>(&mut self, at: &IdedExpr, message: String, hint: impl Into<Option<String>>) -> Option<T> {
        let at = leftmost(at);
        let source = self.source.get_or_insert_with(|| places(self.text));
        let start = source.offset_for(at.id).map_or(0, |(start, _)| start as usize);
        let before = self.text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.errors.push(RuleError { line, column, message, hint: hint.into() });
        None
    }

    /// A step that fits, since the operands' types were checked before.
    fn push(&mut self, operation: Operation) -> Option<Step> {
        self.code.push(operation)
    }

    fn text_step(&mut self, text: &str) -> Option<Step> {
        let operation = self.code.text(text);
        self.push(operation)
    }

    fn value(&mut self, tree: &'a IdedExpr) -> Option<Step> {
        match self.part(tree) {
            Part::Value(step) => Some(step),
            Part::List(_) => {
                let hint = "ask `\"pizza\" in list`, `list.exists(x, ...)`, `list.all(x, ...)` or `size(list)`";
                self.fail(tree, "a list is no value here".into(), hint.to_string())
            }
            Part::Bad => None,
        }
    }

    fn of(&mut self, tree: &'a IdedExpr, expected: Type) -> Option<Step> {
        let step = self.value(tree)?;
        let found = self.code.kind(step);
        if found == expected {
            return Some(step);
        }
        let hint = match (expected, found) {
            (Type::Text, Type::Word(_)) => {
                Some("this one is a word of a list: compare it with ==, != or in".to_string())
            }
            _ => None,
        };
        self.fail(tree, format!("found {}, expected {}", found.name(), expected.name()), hint)
    }

    fn list(&mut self, tree: &'a IdedExpr) -> Option<List> {
        match self.part(tree) {
            Part::List(list) => Some(list),
            Part::Value(step) => {
                let found = self.code.kind(step).name();
                self.fail(tree, format!("found {found}, expected a list"), None)
            }
            Part::Bad => None,
        }
    }

    fn part(&mut self, tree: &'a IdedExpr) -> Part {
        if self.levels == MAX_LEVELS {
            let hint = "split the rule".to_string();
            let _: Option<()> = self.fail(tree, format!("more than {MAX_LEVELS} levels within each other"), hint);
            return Part::Bad;
        }
        self.levels += 1;
        let part = self.part_within(tree);
        self.levels -= 1;
        part
    }

    fn part_within(&mut self, tree: &'a IdedExpr) -> Part {
        let value = match &tree.expr {
            Expr::Literal(literal) => self.literal(tree, literal),
            Expr::Ident(name) => self.name(tree, name),
            Expr::Select(select) => return self.select(tree, select),
            Expr::List(list) => {
                if !list.optional_indices.is_empty() {
                    return self.refuse(tree, "optional items", None);
                }
                return self.items(tree, &list.elements).map_or(Part::Bad, Part::List);
            }
            Expr::Call(call) if call.func_name == operators::ADD && call.args.len() == 2 => {
                return self.add(tree, &call.args[0], &call.args[1]);
            }
            Expr::Call(call) => self.call(tree, call),
            Expr::Comprehension(comprehension) => self.comprehension(tree, comprehension),
            Expr::Map(_) => return self.refuse(tree, "a map", None),
            Expr::Struct(_) => return self.refuse(tree, "a message", None),
            Expr::Unspecified => self.fail(tree, "nothing stands here".into(), None),
        };
        value.map_or(Part::Bad, Part::Value)
    }

    fn refuse(&mut self, at: &IdedExpr, what: &str, hint: Option<&str>) -> Part {
        let _: Option<()> = self.fail(at, format!("{what} is not accepted in a rule"), hint.map(ToString::to_string));
        Part::Bad
    }

    fn literal(&mut self, tree: &IdedExpr, literal: &LiteralValue) -> Option<Step> {
        let operation = match literal {
            LiteralValue::Boolean(value) => Operation::Bool(*value.inner()),
            LiteralValue::Int(value) => Operation::Int(*value.inner()),
            LiteralValue::Double(value) => Operation::Double(value.inner().to_bits()),
            LiteralValue::String(value) if value.inner().len() > MAX_STRING => {
                let message = format!("the string has {} bytes, at most {MAX_STRING} are read", value.inner().len());
                return self.fail(tree, message, None);
            }
            LiteralValue::String(value) => self.code.text(value.inner()),
            LiteralValue::UInt(_) => {
                self.refuse(tree, "an unsigned number", Some("leave out the u"));
                return None;
            }
            LiteralValue::Bytes(_) => {
                self.refuse(tree, "a string of bytes", Some("leave out the b"));
                return None;
            }
            LiteralValue::Null => {
                self.refuse(tree, "null", Some("ask `has(merchant.rating)` whether a fact is known"));
                return None;
            }
        };
        self.push(operation)
    }

    fn named(&self, name: &str) -> Option<Step> {
        self.names.iter().rev().find(|(own, _)| *own == name).map(|(_, step)| *step)
    }

    fn name(&mut self, tree: &IdedExpr, name: &str) -> Option<Step> {
        if let Some(step) = self.named(name) {
            return Some(step);
        }
        let fields = VARIABLES.iter().filter(|variable| variable.root == name);
        let fields: Vec<String> = fields.map(|variable| format!("{name}.{}", variable.field)).collect();
        if !fields.is_empty() {
            return self.fail(tree, format!("{name} is a group of facts"), format!("one of {}", fields.join(", ")));
        }
        let own = self.names.iter().map(|(own, _)| *own);
        let known: Vec<&str> = VARIABLES.iter().map(|variable| variable.root).chain(own).collect();
        let of_field = VARIABLES.iter().find(|variable| variable.field == name);
        let hint = match (of_field, nearest(name, known)) {
            (Some(variable), _) => Some(format!("did you mean {}.{}?", variable.root, variable.field)),
            (None, near) => near.map(|near| format!("did you mean {near}?")),
        };
        self.fail(tree, format!("nothing is called {name:?}"), hint)
    }

    fn select(&mut self, tree: &'a IdedExpr, select: &'a SelectExpr) -> Part {
        let field = &select.field;
        let root = match &select.operand.expr {
            Expr::Ident(root) if self.named(root).is_none() => root,
            _ => {
                let _: Option<()> = self.fail(tree, format!("nothing here has a field {field:?}"), None);
                return Part::Bad;
            }
        };
        let Some((at, variable)) = Variable::find(root, field) else {
            if VARIABLES.iter().all(|variable| variable.root != root) {
                self.name(&select.operand, root);
                return Part::Bad;
            }
            let fields = VARIABLES.iter().filter(|variable| variable.root == root).map(|variable| variable.field);
            let elsewhere = VARIABLES.iter().find(|variable| variable.field == field);
            let hint = match (nearest(field, fields.clone()), elsewhere) {
                (Some(near), _) => format!("did you mean {root}.{near}?"),
                (None, Some(other)) => format!("did you mean {}.{field}?", other.root),
                (None, None) => format!("{root} has {}", fields.collect::<Vec<_>>().join(", ")),
            };
            let _: Option<()> = self.fail(tree, format!("{root} has no fact {field:?}"), hint);
            return Part::Bad;
        };
        if select.test {
            let known = if variable.nullable { Operation::Known(at) } else { Operation::Bool(true) };
            return self.push(known).map_or(Part::Bad, Part::Value);
        }
        if variable.list == 0 {
            return self.push(Operation::Read(at)).map_or(Part::Bad, Part::Value);
        }
        let map = self.labels.map;
        let mut list = List::default();
        for k in 0..variable.list {
            let (value, present) = (self.push(Operation::Item(at, k, map)), self.push(Operation::Present(at, k, map)));
            list.items.extend(value.map(|value| Item { value, present }));
            if k == 0 {
                list.guards.extend(present);
            }
        }
        Part::List(list)
    }

    fn items(&mut self, tree: &'a IdedExpr, elements: &'a [IdedExpr]) -> Option<List> {
        if elements.len() > MAX_LIST {
            let message = format!("the list has {} items, at most {MAX_LIST} are read", elements.len());
            return self.fail(tree, message, None);
        }
        let mut list = List::default();
        let mut whole = true;
        let mut first = None;
        for element in elements {
            let Some(value) = self.value(element) else {
                whole = false;
                continue;
            };
            let kind = self.code.kind(value);
            if *first.get_or_insert(kind) != kind {
                let expected = first.map_or("", Type::name);
                let message = format!("found {} in a list of {expected}", kind.name());
                whole = self.fail::<()>(element, message, "the items of a list are of one type".to_string()).is_some();
                continue;
            }
            if self.code.shape(value).fallible {
                list.guards.push(value);
            }
            list.items.push(Item { value, present: None });
        }
        whole.then_some(list)
    }

    fn add(&mut self, tree: &'a IdedExpr, a: &'a IdedExpr, b: &'a IdedExpr) -> Part {
        match (self.part(a), self.part(b)) {
            (Part::List(mut first), Part::List(second)) => {
                let same = match (first.items.first(), second.items.first()) {
                    (Some(a), Some(b)) => self.code.kind(a.value) == self.code.kind(b.value),
                    _ => true,
                };
                if !same {
                    return self.refuse(tree, "a list of several types", None);
                }
                first.items.extend(second.items);
                first.guards.extend(second.guards);
                Part::List(first)
            }
            (Part::Value(x), Part::Value(y)) => {
                let uniform = self.code.shape(x).uniform && self.code.shape(y).uniform;
                if self.code.kind(x) == Type::Text && self.code.kind(y) == Type::Text && !uniform {
                    let hint = Some("compare its parts");
                    return self.refuse(tree, "a string put together for each merchant", hint);
                }
                self.arithmetic(tree, operators::ADD, x, y).map_or(Part::Bad, Part::Value)
            }
            (Part::Bad, _) | (_, Part::Bad) => Part::Bad,
            _ => self.refuse(tree, "the sum of a list and something else", None),
        }
    }

    fn arithmetic(&mut self, tree: &IdedExpr, operator: &str, x: Step, y: Step) -> Option<Step> {
        let operation = match operator {
            operators::ADD => Operation::Add(x, y),
            operators::SUBSTRACT => Operation::Subtract(x, y),
            operators::MULTIPLY => Operation::Multiply(x, y),
            operators::DIVIDE => Operation::Divide(x, y),
            _ => Operation::Remainder(x, y),
        };
        if let Some(step) = self.push(operation) {
            return Some(step);
        }
        let (a, b) = (self.code.kind(x), self.code.kind(y));
        let hint = match (a, b) {
            (Type::Int, Type::Double) | (Type::Double, Type::Int) => {
                Some("CEL does not mix them: write 2.0 for 2, or double(...)".to_string())
            }
            _ => None,
        };
        let sign = operator.trim_matches('_');
        self.fail(tree, format!("no {sign} of {} and {}", a.name(), b.name()), hint)
    }

    fn call(&mut self, tree: &'a IdedExpr, call: &'a CallExpr) -> Option<Step> {
        if let Some(target) = &call.target {
            return self.method(tree, target, call);
        }
        let args = &call.args;
        match (call.func_name.as_str(), args.as_slice()) {
            (operators::LOGICAL_NOT, [a]) => {
                let a = self.of(a, Type::Bool)?;
                self.push(Operation::Not(a))
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [a, b]) => {
                let (a, b) = (self.of(a, Type::Bool), self.of(b, Type::Bool));
                let and = call.func_name == operators::LOGICAL_AND;
                self.push(if and { Operation::And(a?, b?) } else { Operation::Or(a?, b?) })
            }
            (operators::CONDITIONAL, [c, a, b]) => {
                let c = self.of(c, Type::Bool);
                let (x, y) = (self.value(a), self.value(b));
                let (c, x, y) = (c?, x?, y?);
                let (x, y) = self.alike(tree, x, y)?;
                match self.push(Operation::If(c, x, y)) {
                    Some(step) => Some(step),
                    None => {
                        let (x, y) = (self.code.kind(x).name(), self.code.kind(y).name());
                        self.fail(tree, format!("either {x} or {y}: both sides of ?: are of one type"), None)
                    }
                }
            }
            (operators::NEGATE, [a]) => {
                let x = self.value(a)?;
                let kind = self.code.kind(x).name();
                match self.push(Operation::Negate(x)) {
                    Some(step) => Some(step),
                    None => self.fail(tree, format!("no - of {kind}"), None),
                }
            }
            (operators::EQUALS | operators::NOT_EQUALS, [a, b]) => {
                let (x, y) = (self.part(a), self.part(b));
                let equal = match (x, y) {
                    (Part::Value(x), Part::Value(y)) => self.equal(tree, x, y)?,
                    (Part::List(x), Part::List(y)) => self.equal_lists(tree, &x, &y)?,
                    (Part::Bad, _) | (_, Part::Bad) => return None,
                    _ => return self.fail(tree, "a list is compared with something else".into(), None),
                };
                if call.func_name == operators::EQUALS { Some(equal) } else { self.push(Operation::Not(equal)) }
            }
            (operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS, [a, b]) => {
                let (x, y) = (self.value(a), self.value(b));
                let (x, y) = (x?, y?);
                let operation = match call.func_name.as_str() {
                    operators::LESS => Operation::Less(x, y),
                    operators::LESS_EQUALS => Operation::AtMost(x, y),
                    operators::GREATER => Operation::Less(y, x),
                    _ => Operation::AtMost(y, x),
                };
                match self.push(operation) {
                    Some(step) => Some(step),
                    None => {
                        let (x, y) = (self.code.kind(x), self.code.kind(y));
                        let word = matches!(x, Type::Word(_)) || matches!(y, Type::Word(_));
                        let hint = word.then(|| "words of a list have no order: compare them with ==, != or in".into());
                        self.fail(tree, format!("no order of {} and {}", x.name(), y.name()), hint)
                    }
                }
            }
            (
                operator @ (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO),
                [a, b],
            ) => {
                let (x, y) = (self.value(a), self.value(b));
                self.arithmetic(tree, operator, x?, y?)
            }
            (operators::IN, [a, b]) => {
                let (x, list) = (self.value(a), self.list(b));
                self.among(tree, x?, &list?)
            }
            (operators::INDEX, [a, k]) => {
                let list = self.list(a);
                self.item(&list?, k)
            }
            ("size", [a]) => self.size(tree, a),
            // Nothing to a compiler that knows every type; the suite writes it wherever numbers are mixed.
            ("dyn", [a]) => self.value(a),
            ("double", [a]) => {
                let x = self.value(a)?;
                match self.code.kind(x) {
                    Type::Double => Some(x),
                    Type::Int => self.push(Operation::ToDouble(x)),
                    other => self.fail(tree, format!("no double of {}", other.name()), None),
                }
            }
            ("int", [a]) => {
                let x = self.value(a)?;
                match self.code.kind(x) {
                    Type::Int => Some(x),
                    Type::Double => self.push(Operation::ToInt(x)),
                    other => self.fail(tree, format!("no int of {}", other.name()), None),
                }
            }
            (name, _) => self.unknown_function(tree, name),
        }
    }

    fn unknown_function(&mut self, tree: &IdedExpr, name: &str) -> Option<Step> {
        const KNOWN: [&str; 10] =
            ["has", "size", "int", "double", "startsWith", "endsWith", "contains", "all", "exists", "exists_one"];
        let hint = match name {
            "matches" => "regular expressions are left out: startsWith, endsWith or contains".into(),
            "timestamp" | "duration" | "getHours" | "getDayOfWeek" | "getDate" => {
                "local.hour, local.weekday, local.date, local.between(\"11:00\", \"14:00\")".into()
            }
            _ => match nearest(name, KNOWN) {
                Some(near) if near == name => format!("{name} takes other arguments"),
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", KNOWN.join(", ")),
            },
        };
        self.fail(tree, format!("no function {name:?} is accepted here"), hint)
    }

    fn method(&mut self, tree: &'a IdedExpr, target: &'a IdedExpr, call: &'a CallExpr) -> Option<Step> {
        if matches!(&target.expr, Expr::Ident(name) if name == "local" && self.named(name).is_none()) {
            return self.time(tree, &call.func_name, &call.args);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (name @ ("startsWith" | "endsWith" | "contains"), [part]) => {
                let (x, y) = (self.of(target, Type::Text), self.of(part, Type::Text));
                self.push(match name {
                    "startsWith" => Operation::StartsWith(x?, y?),
                    "endsWith" => Operation::EndsWith(x?, y?),
                    _ => Operation::Contains(x?, y?),
                })
            }
            ("size", []) => self.size(tree, target),
            (name, _) => self.unknown_function(tree, name),
        }
    }

    /// Two values of one kind where there is a way: a string that is written out takes the number of a word.
    fn alike(&mut self, tree: &IdedExpr, x: Step, y: Step) -> Option<(Step, Step)> {
        match (self.code.kind(x), self.code.kind(y)) {
            (Type::Word(words), Type::Text) => Some((x, self.word(tree, words, y, x)?)),
            (Type::Text, Type::Word(words)) => Some((self.word(tree, words, x, y)?, y)),
            _ => Some((x, y)),
        }
    }

    /// A string as a word of a list; `beside` is what it is compared with.
    fn word(&mut self, tree: &IdedExpr, words: Words, text: Step, beside: Step) -> Option<Step> {
        let Operation::Text(string) = self.code.operation(text) else {
            let hint = "the engine has only numbers for these words: write the string out".to_string();
            return self.fail(tree, "a word of a list is compared with a computed string".into(), hint);
        };
        let text = self.code.program.strings[string as usize].clone();
        let number = match words {
            Words::Merchant => MerchantId::of(&text).0,
            Words::Chain if text.is_empty() => u64::from(ChainId::NONE.0),
            Words::Chain => u64::from(ChainId::of(&text).0),
            Words::Cuisine => {
                let taste = match self.code.operation(beside) {
                    Operation::Item(variable, ..) => VARIABLES[usize::from(variable)].root == "reader",
                    _ => false,
                };
                if taste && self.labels.sensitive.contains(&text) {
                    let hint = "ask about merchant.cuisines instead".to_string();
                    let message = format!("a taste for {text:?} can reveal religion or health, and is not asked about");
                    return self.fail(tree, message, hint);
                }
                match self.labels.cuisines.get(&text) {
                    Some(label) => u64::from(*label),
                    None => {
                        let near = nearest(&text, self.labels.cuisines.keys().map(String::as_str));
                        let hint = near.map(|near| format!("did you mean {near:?}?"));
                        return self.fail(tree, format!("no cuisine of the map is called {text:?}"), hint);
                    }
                }
            }
            _ => {
                let list = words.list().unwrap_or_default();
                match list.iter().position(|word| *word == text) {
                    Some(at) => at as u64,
                    None => {
                        let hint = match nearest(&text, list.iter().copied()) {
                            Some(near) => format!("did you mean {near:?}?"),
                            None => format!("one of {}", list.join(", ")),
                        };
                        let named = self.fact(beside).unwrap_or_else(|| "this".into());
                        return self.fail(tree, format!("{named} is never {text:?}"), hint);
                    }
                }
            }
        };
        self.push(Operation::Word(words, number))
    }

    /// The name of the fact that a step reads.
    fn fact(&self, step: Step) -> Option<String> {
        match self.code.operation(step) {
            Operation::Read(at) | Operation::Item(at, ..) => {
                let variable = &VARIABLES[usize::from(at)];
                Some(format!("{}.{}", variable.root, variable.field))
            }
            _ => None,
        }
    }

    fn equal(&mut self, tree: &IdedExpr, x: Step, y: Step) -> Option<Step> {
        let (x, y) = self.alike(tree, x, y)?;
        match self.push(Operation::Equal(x, y)) {
            Some(step) => Some(step),
            None => {
                let (x, y) = (self.code.kind(x).name(), self.code.kind(y).name());
                let message = if x == y {
                    "two words of different lists are never equal".into()
                } else {
                    format!("{x} and {y} are never equal")
                };
                self.fail(tree, message, None)
            }
        }
    }

    /// Of lists whose lengths are known.
    fn equal_lists(&mut self, tree: &IdedExpr, x: &List, y: &List) -> Option<Step> {
        if x.items.iter().chain(&y.items).any(|item| item.present.is_some()) {
            let hint = "ask `in`, `exists` or `all`".to_string();
            return self.fail(tree, "lists of unknown length are not compared".into(), hint);
        }
        let mut equal = self.push(Operation::Bool(x.items.len() == y.items.len()))?;
        if x.items.len() == y.items.len() {
            for (x, y) in x.items.iter().zip(&y.items) {
                let both = self.equal(tree, x.value, y.value)?;
                equal = self.push(Operation::And(equal, both))?;
            }
        }
        let guards: Vec<Step> = x.guards.iter().chain(&y.guards).copied().collect();
        self.guarded(equal, &guards)
    }

    /// An error wherever one of the guards is.
    fn guarded(&mut self, mut step: Step, guards: &[Step]) -> Option<Step> {
        for guard in guards {
            step = self.push(Operation::Guard(step, *guard))?;
        }
        Some(step)
    }

    fn among(&mut self, tree: &IdedExpr, x: Step, list: &List) -> Option<Step> {
        if list.items.iter().all(|item| item.present.is_none() && self.code.constant(item.value)) {
            let mut words = Vec::with_capacity(list.items.len());
            for item in &list.items {
                words.push(self.alike(tree, x, item.value)?.1);
            }
            if let Some(step) = self.among_set(x, &words) {
                return Some(step);
            }
        }
        self.afford(tree, list.items.len())?;
        let mut any = self.push(Operation::Bool(false))?;
        for item in &list.items {
            let equal = self.equal(tree, x, item.value)?;
            let equal = match item.present {
                Some(present) => self.push(Operation::And(present, equal))?,
                None => equal,
            };
            any = self.push(Operation::Or(any, equal))?;
        }
        let own = self.code.shape(x).fallible.then_some(x);
        let guards: Vec<Step> = list.guards.iter().copied().chain(own).collect();
        self.guarded(any, &guards)
    }

    /// One look into a set instead of a comparison with each, where there are several constants that are told apart by
    /// their bits.
    fn among_set(&mut self, x: Step, constants: &[Step]) -> Option<Step> {
        let kind = self.code.kind(x);
        let number = |step: &Step| match self.code.operation(*step) {
            Operation::Int(value) if kind == Type::Int => Some(value.cast_unsigned()),
            Operation::Word(words, number) if kind == Type::Word(words) => Some(number),
            _ => None,
        };
        let mut set: Vec<u64> = constants.iter().map(number).collect::<Option<_>>()?;
        set.sort_unstable();
        set.dedup();
        if set.len() < 3 || self.code.program.sets.len() >= MAX_SETS {
            return None;
        }
        let set = interned(&mut self.code.program.sets, &set);
        self.push(Operation::Among(x, set))
    }

    fn item(&mut self, list: &List, k: &'a IdedExpr) -> Option<Step> {
        let index = self.of(k, Type::Int)?;
        let Operation::Int(index) = self.code.operation(index) else {
            return self.fail(k, "the place in a list is not written out".into(), None);
        };
        let item = usize::try_from(index).ok().and_then(|index| list.items.get(index));
        match item {
            Some(item) => self.guarded(item.value, &list.guards),
            None => {
                let message = format!("item {index} of a list of at most {}, counted from 0", list.items.len());
                self.fail(k, message, None)
            }
        }
    }

    fn size(&mut self, tree: &IdedExpr, of: &'a IdedExpr) -> Option<Step> {
        match self.part(of) {
            Part::Bad => None,
            Part::Value(x) if self.code.kind(x) == Type::Text => self.push(Operation::Size(x)),
            Part::Value(x) => {
                let kind = self.code.kind(x).name();
                self.fail(tree, format!("no size of {kind}"), None)
            }
            Part::List(list) => {
                let (zero, one) = (self.push(Operation::Int(0))?, self.push(Operation::Int(1))?);
                let mut size = zero;
                for item in &list.items {
                    let own = match item.present {
                        Some(present) => self.push(Operation::If(present, one, zero))?,
                        None => one,
                    };
                    size = self.push(Operation::Add(size, own))?;
                }
                self.guarded(size, &list.guards)
            }
        }
    }

    /// Whether a list may be gone through here.
    fn afford(&mut self, tree: &IdedExpr, items: usize) -> Option<()> {
        let cost = self.cost * items.max(1);
        if cost <= MAX_COST {
            return Some(());
        }
        let message = format!("lists within each other come to {cost} items, at most {MAX_COST} are gone through");
        self.fail(tree, message, None)
    }

    /// `all`, `exists` or `exists_one`, as the parser has expanded them.
    fn comprehension(&mut self, tree: &'a IdedExpr, loops: &'a ComprehensionExpr) -> Option<Step> {
        enum Macro {
            All,
            Exists,
            ExistsOne,
        }
        let form = match (&loops.accu_init.expr, &loops.loop_step.expr) {
            (Expr::Literal(LiteralValue::Boolean(_)), Expr::Call(call)) if call.args.len() == 2 => {
                let all = call.func_name == operators::LOGICAL_AND;
                Some((if all { Macro::All } else { Macro::Exists }, &call.args[1]))
            }
            (Expr::Literal(LiteralValue::Int(_)), Expr::Call(call)) if call.args.len() == 3 => {
                Some((Macro::ExistsOne, &call.args[0]))
            }
            _ => None,
        };
        let Some((form, body)) = form.filter(|_| loops.iter_var2.is_none()) else {
            self.refuse(tree, "map or filter", Some("all, exists or exists_one"));
            return None;
        };
        let list = self.list(&loops.iter_range)?;
        self.afford(&loops.iter_range, list.items.len())?;
        let around = self.cost;
        self.cost *= list.items.len().max(1);
        let mut bodies = Vec::with_capacity(list.items.len());
        for item in &list.items {
            self.names.push((&loops.iter_var, item.value));
            bodies.push(self.of(body, Type::Bool).map(|holds| (holds, item.present)));
            self.names.pop();
        }
        self.cost = around;

        let (no, zero, one) =
            (self.push(Operation::Bool(false))?, self.push(Operation::Int(0))?, self.push(Operation::Int(1))?);
        let mut sum = self.push(match form {
            Macro::All => Operation::Bool(true),
            Macro::Exists => Operation::Bool(false),
            Macro::ExistsOne => Operation::Int(0),
        })?;
        for body in bodies {
            let (holds, present) = body?;
            sum = match (&form, present) {
                (Macro::All, None) => self.push(Operation::And(sum, holds))?,
                (Macro::All, Some(present)) => {
                    let absent = self.push(Operation::Not(present))?;
                    let either = self.push(Operation::Or(absent, holds))?;
                    self.push(Operation::And(sum, either))?
                }
                (Macro::Exists, None) => self.push(Operation::Or(sum, holds))?,
                (Macro::Exists, Some(present)) => {
                    let both = self.push(Operation::And(present, holds))?;
                    self.push(Operation::Or(sum, both))?
                }
                (Macro::ExistsOne, present) => {
                    let both = match present {
                        Some(present) => self.push(Operation::If(present, holds, no))?,
                        None => holds,
                    };
                    let count = self.push(Operation::If(both, one, zero))?;
                    self.push(Operation::Add(sum, count))?
                }
            };
        }
        if matches!(form, Macro::ExistsOne) {
            sum = self.push(Operation::Equal(sum, one))?;
        }
        self.guarded(sum, &list.guards)
    }

    /// `local.between`, `local.on`, `local.during`.
    fn time(&mut self, tree: &'a IdedExpr, name: &str, args: &'a [IdedExpr]) -> Option<Step> {
        let read = |field| Variable::find("local", field).map(|(at, _)| Operation::Read(at));
        let texts: Option<Vec<String>> = args
            .iter()
            .map(|arg| match &arg.expr {
                Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_string()),
                _ => self.fail(arg, format!("local.{name} takes strings that are written out"), None),
            })
            .collect();
        match (name, texts?.as_slice()) {
            ("between", [from, to]) => {
                let (from, to) = (self.clock(&args[0], from), self.clock(&args[1], to));
                let (from, to) = (from?, to?);
                if from == to {
                    return self.fail(tree, "from a time of the day until the same".into(), "leave it out".to_string());
                }
                let now = self.push(read("minute")?)?;
                let (a, b) = (self.push(Operation::Int(from))?, self.push(Operation::Int(to))?);
                let (since, before) = (self.push(Operation::AtMost(a, now))?, self.push(Operation::Less(now, b))?);
                self.push(if from < to { Operation::And(since, before) } else { Operation::Or(since, before) })
            }
            ("on", days) if !days.is_empty() => {
                let today = self.push(read("weekday")?)?;
                let mut any = self.push(Operation::Bool(false))?;
                for (day, arg) in days.iter().zip(args) {
                    let text = self.text_step(day)?;
                    let same = self.equal(arg, today, text)?;
                    any = self.push(Operation::Or(any, same))?;
                }
                Some(any)
            }
            ("during", [first, last]) => {
                let (first, last) = (self.date(&args[0], first), self.date(&args[1], last));
                let (first, last) = (first?, last?);
                if first > last {
                    return self.fail(tree, format!("{first} is after {last}"), None);
                }
                let today = self.push(read("date")?)?;
                let (first, last) = (self.text_step(first)?, self.text_step(last)?);
                let since = self.push(Operation::AtMost(first, today))?;
                let until = self.push(Operation::AtMost(today, last))?;
                self.push(Operation::And(since, until))
            }
            _ => {
                let known = TIME_FUNCTIONS.iter().map(|(name, ..)| *name);
                let own = TIME_FUNCTIONS.iter().find(|(own, ..)| Some(*own) == nearest(name, known.clone()));
                let hint = match own {
                    Some((name, args, _)) => format!("local.{name}({args})"),
                    None => format!("local has {}", known.collect::<Vec<_>>().join(", ")),
                };
                self.fail(tree, format!("local.{name} is not called so"), hint)
            }
        }
    }

    /// Minutes of the day.
    fn clock(&mut self, at: &IdedExpr, text: &str) -> Option<i64> {
        let number = |text: &str| text.parse::<i64>().ok().filter(|_| text.len() == 2);
        let minute = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
        match minute {
            Some((24, 0)) => Some(DAY_MINUTES),
            Some((hour @ 0..24, minute @ 0..60)) => Some(hour * 60 + minute),
            _ => self.fail(at, format!("found {text:?}, expected a time of the day, as \"11:00\""), None),
        }
    }

    fn date<'t>(&mut self, at: &IdedExpr, text: &'t str) -> Option<&'t str> {
        let number = |from: usize, to: usize| {
            text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse::<i64>().ok()
        };
        let parts = (number(0, 4), number(5, 7), number(8, 10));
        let dashes = text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        match parts {
            (Some(year), Some(month), Some(day))
                if dashes && civil_from_days(days_from_civil(year, month, day)) == (year, month, day) =>
            {
                Some(text)
            }
            _ => self.fail(at, format!("found {text:?}, expected a date, as \"2026-12-01\""), None),
        }
    }
}

/// Where an expression begins, rather than where its operator stands.
fn leftmost(tree: &IdedExpr) -> &IdedExpr {
    match &tree.expr {
        Expr::Select(select) => leftmost(&select.operand),
        Expr::Call(CallExpr { target: Some(target), .. }) => leftmost(target),
        Expr::Call(call) if call.func_name.starts_with('_') || call.func_name == operators::IN => {
            call.args.first().map_or(tree, leftmost)
        }
        Expr::Comprehension(loops) => leftmost(&loops.iter_range),
        _ => tree,
    }
}

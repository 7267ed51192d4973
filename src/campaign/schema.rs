//! What each key may hold: one table, from which layers are read, checked and described.

/// The form of a value, and its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// `true` or `false`.
    Flag,
    /// A flag that, once true, stays.
    Stays,
    /// Any text, up to [`MAX_TEXT`] bytes.
    Text,
    /// RFC 3339.
    Time,
    /// A whole number from the first to the second.
    Whole(u32, u32),
    /// A number from the first to the second.
    Real(f64, f64),
    /// A number above zero, up to this.
    Above0(f64),
    /// A compiled rule in base64url.
    Program,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts, each once.
    Texts,
    /// A list of these words, each once.
    Words(&'static [&'static str]),
    /// A list in which texts may come again and which is therefore only set whole.
    Sequence,
    /// Texts to whole numbers.
    Table(u32, u32),
    /// These fields.
    Record(&'static [Field]),
    /// Things by their id, each with these fields.
    Things {
        /// What each has.
        fields: &'static [Field],
        /// A thing without an id goes by its merchant's, and one without a merchant is of the one that it is called.
        by_merchant: bool,
    },
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// As layers write it.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What it may hold.
    pub form: Form,
    /// Whom it follows; only the keys of a layer have a choice.
    pub follows: Follows,
}

/// Whose layers a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Those that cover the decided place.
    Place,
    /// Those that cover the reader's market.
    Market,
}

/// Bytes of one text.
pub const MAX_TEXT: usize = 4000;

const fn field(name: &'static str, about: &'static str, form: Form) -> Field {
    Field { name, about, form, follows: Follows::Place }
}

const SPONSORED: Field =
    field("sponsored", "Paid for: the card says so, and no deeper layer takes that back", Form::Stays);
const FROM: Field = field("from", "RFC 3339; holds from then on", Form::Time);
const UNTIL: Field = field("until", "RFC 3339; holds until then", Form::Time);
const FACTOR: Form = Form::Real(0.01, 100.0);
const SLOT: Form = Form::Whole(0, 23);

pub(super) const BOOST: &[Field] = &[
    field("merchant", "merchant_id, or chain: and a chain_id", Form::Text),
    field("factor", "above 1 lifts, below 1 buries", FACTOR),
    SPONSORED,
    FROM,
    UNTIL,
];
pub(super) const PIN: &[Field] = &[
    field("slot", "from 0", SLOT),
    field("merchant", "merchant_id, or chain: and a chain_id", Form::Text),
    SPONSORED,
    FROM,
    UNTIL,
];
pub(super) const RULE: &[Field] = &[
    field("when", "a condition in CEL", Form::Text),
    field("program", "`when`, compiled: publishing writes it", Form::Program),
    field("then", "what follows", Form::Word(&["include", "exclude", "boost", "bury", "pool", "badge"])),
    field("factor", "of a boost or bury", FACTOR),
    field("pool", "of a pool", Form::Text),
    field("badge", "of a badge", Form::Text),
    field("reason", "for whoever reads the explanation", Form::Text),
    SPONSORED,
    FROM,
    UNTIL,
];
pub(super) const RANGE: &[Field] = &[
    field("first", "from 0", SLOT),
    field("last", "inclusive", SLOT),
    field("pool", "a built-in pool, or one that a rule fills", Form::Text),
];
pub(super) const ARM: &[Field] = &[
    field("share", "of the readers", Form::Real(0.0, 1.0)),
    field("holdout", "these readers are sent nothing", Form::Flag),
];
pub(super) const EXPLORE: &[Field] = &[
    field("share", "probability that a slot is drawn at random", Form::Real(0.0, 1.0)),
    field("among", "from how many of the best", Form::Whole(1, 255)),
];
pub(super) const FALLBACK: &[Field] =
    &[field("text", "on the card", Form::Text), field("url", "where a click goes", Form::Text)];

/// The built-in pools.
pub const POOLS: [&str; 4] = ["reorder", "relevant", "offer", "inspire"];

/// The form of a leaf by its path, `boosts.anna.factor`; an entry of a list has its list's.
#[must_use]
pub fn form(keys: &'static [Field], path: &str) -> Option<Form> {
    let key = path.split(['.', '[']).next().unwrap_or_default();
    let field = keys.iter().find(|field| field.name == key)?;
    let rest = path.get(key.len() + 1..);
    match (field.form, rest) {
        (form, None) => Some(form),
        (Form::Record(fields), Some(name)) => fields.iter().find(|field| field.name == name).map(|field| field.form),
        (Form::Table(least, most), Some(_)) => Some(Form::Whole(least, most)),
        (form @ Form::Things { fields, .. }, Some(rest)) => match rest.rsplit_once('.') {
            Some((_, name)) => fields.iter().find(|field| field.name == name).map(|field| field.form).or(Some(form)),
            None => Some(form),
        },
        (form @ (Form::Texts | Form::Words(_) | Form::Sequence), Some(_)) => Some(form),
        _ => None,
    }
}

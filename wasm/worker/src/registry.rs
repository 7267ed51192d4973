//! Who changed a campaign, when and why: one Durable Object a campaign, so that two teams never write at once.
//!
//! Every version of every layer stays. A change is one transaction of the object's own database, written once the whole
//! campaign was checked: that is where it happens or does not. What readers are answered with is the document in KV, always
//! made anew of what the database holds, and put there as one value; the document before it stays beside it as the last one
//! known to be good. A KV that takes nothing at the moment leaves readers with the version before, whole, and an alarm puts
//! the document there once it does.

use crate::object::{self, number, text};
use crate::problem::{Problem, respond};
use crate::store::{self, BINDING};
#[cfg(not(feature = "cel"))]
use freshrank::campaign::Edit;
use freshrank::campaign::author::{self, Node};
use freshrank::campaign::{self, Campaign, DEFAULTS, Layer, Severity};
use freshrank::sorted::Set;
use freshrank::{Hash, time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::Duration;
use worker::kv::KvStore;
use worker::{DurableObject, Env, Request, Response, ResponseBody, SqlStorageValue, State, Storage, durable_object};

/// The binding in wrangler.toml.
pub const REGISTRY: &str = "REGISTRY";
/// Versions of one layer that are told of.
const HISTORY: i64 = 50;
/// Bytes of one layer with its programs; SQLite here takes no text over 2 MB.
const MAX_PUBLISHED: usize = 2_000_000;
/// How long until a KV that took nothing is asked again.
const AGAIN: Duration = Duration::from_secs(20);
/// The version of a layer that is not there.
const NONE: &str = "none";
/// What is said of a change that nobody stands for.
pub const UNSIGNED: &str = "a layer that is published says its `author` and the `reason` of the change";

/// What is asked of a campaign's registry.
#[derive(Debug, Serialize, Deserialize)]
pub struct Command {
    /// The campaign's name.
    pub campaign: String,
    /// The layer's path, `fi/helsinki` or `defaults/fi`; empty for the campaign as a whole.
    pub path: String,
    /// What to do.
    pub what: What,
    /// Whose key it was: the path that it is scoped to.
    pub scope: String,
    /// The version that the author started from; another in its place is a conflict.
    pub if_match: Option<String>,
}

/// What to do with a layer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Replace it, for this share of the readers; below 1 it is staged beside the one that holds.
    Put {
        /// As its author wrote it.
        layer: Value,
        /// 0 to 1.
        share: f64,
    },
    /// Go back one version; a staged one is taken back first.
    Rollback {
        /// Who.
        author: String,
        /// Why.
        reason: String,
    },
    /// Take it away.
    Remove {
        /// Who.
        author: String,
        /// Why.
        reason: String,
    },
    /// Replace all layers by those of a document.
    Import {
        /// As `freshrank campaign publish` writes it.
        document: Value,
    },
    /// Tell the versions.
    Show,
}

/// Sends a command to the campaign's own object.
///
/// # Errors
/// What the object answers with, and 503 where it cannot be reached.
pub async fn send(env: &Env, command: &Command) -> Result<Response, Problem> {
    let body = serde_json::to_string(command).map_err(Problem::bad_request)?;
    let failed = |error: worker::Error| Problem::unavailable(format!("the registry did not answer: {error}"));
    object::ask(env, REGISTRY, &command.campaign, &body).await.map_err(failed)
}

/// Whether this deployment has a registry; without one, whole campaigns can be published and layers cannot.
pub fn is_bound(env: &Env) -> bool {
    env.durable_object(REGISTRY).is_ok()
}

/// One version of one layer.
#[derive(Debug, Clone)]
struct Version {
    path: String,
    n: i64,
    version: String,
    at: String,
    author: String,
    reason: String,
    scope: String,
    share: f64,
    /// Absent where the layer was taken away.
    layer: Option<String>,
}

impl Version {
    /// A row of the table, its columns as they were made.
    fn read(row: Vec<SqlStorageValue>) -> Option<Self> {
        let [path, n, version, at, author, reason, scope, share, layer] = <[_; 9]>::try_from(row).ok()?;
        Some(Self {
            path: text(path)?,
            n: number(&n)? as i64,
            version: text(version)?,
            at: text(at)?,
            author: text(author)?,
            reason: text(reason)?,
            scope: text(scope)?,
            share: number(&share)?,
            layer: text(layer),
        })
    }
}

/// A campaign's versions.
#[durable_object(alarm)]
pub struct Registry {
    state: State,
    env: Env,
}

impl DurableObject for Registry {
    fn new(state: State, env: Env) -> Self {
        Self { state, env }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        // Neither `Request::json` nor a text: each would bring a reader of JSON of its own along.
        let command: Command = serde_json::from_slice(&request.bytes().await?)?;
        let (storage, env) = (self.state.storage(), self.env.clone());
        // Nobody else's command runs between reading what holds and writing what shall, nor overtakes it on the way to KV.
        let answered =
            self.state.block_concurrency_while(async move { Ok(run(&storage, &env, &command).await) }).await?;
        Ok(match answered {
            Ok(value) => answer(&value),
            Err(problem) => problem.response(),
        })
    }

    /// Readers are behind: KV took nothing when they were to be told.
    async fn alarm(&self) -> worker::Result<Response> {
        let (storage, env) = (self.state.storage(), self.env.clone());
        let told = async move {
            if Versions::open(&storage)?.behind()?.is_some() {
                wake(&storage).await?;
            }
            catch_up(&storage, &env).await
        };
        match self.state.block_concurrency_while(async move { Ok(told.await) }).await? {
            Ok(()) => Response::ok("readers are told"),
            Err(problem) => Ok(problem.response()),
        }
    }
}

/// The answer, with the layer's version as the tag that an author sends back in `If-Match`.
fn answer(value: &Value) -> Response {
    let tag = value["version"].as_str().map(|version| format!("\"{version}\""));
    let header = tag.as_deref().map(|tag| ("ETag", tag));
    let status = if value.get("pending").is_some() { 202 } else { 200 };
    respond(status, "application/json", ResponseBody::Body(value.to_string().into_bytes()), header)
}

async fn run(storage: &Storage, env: &Env, command: &Command) -> Result<Value, Problem> {
    let versions = Versions::open(storage)?;
    if matches!(command.what, What::Show) {
        return versions.history(&command.path);
    }
    // A deployment without KV has no readers: nothing is written for them.
    kv(env)?;
    let mut told = versions.commit(storage, command).await?;
    if let Err(problem) = catch_up(storage, env).await
        && let Some(told) = told.as_object_mut()
    {
        let soon = format!("on record; readers have the version before until KV takes it: {}", problem.detail);
        told.insert("pending".into(), soon.into());
    }
    Ok(told)
}

/// Puts what the database holds into KV, if it is not there yet; where KV does not take it, asks again later.
async fn catch_up(storage: &Storage, env: &Env) -> Result<(), Problem> {
    let versions = Versions::open(storage)?;
    let Some(campaign) = versions.behind()? else { return Ok(()) };
    let (document, _) = assemble(&campaign, &versions.newest()?)?;
    store::replace_campaign(&kv(env)?, &campaign, document.as_bytes()).await?;
    versions.caught_up()
}

async fn wake(storage: &Storage) -> Result<(), Problem> {
    let failed = |error: worker::Error| Problem::unavailable(format!("no alarm could be set: {error}"));
    storage.set_alarm(AGAIN).await.map_err(failed)
}

fn kv(env: &Env) -> Result<KvStore, Problem> {
    env.kv(BINDING).map_err(|error| Problem::unavailable(format!("KV binding {BINDING}: {error}")))
}

struct Versions {
    sql: worker::SqlStorage,
}

impl Versions {
    fn open(storage: &Storage) -> Result<Self, Problem> {
        let versions = Self { sql: storage.sql() };
        versions.query(
            "CREATE TABLE IF NOT EXISTS versions (path TEXT, n INTEGER, version TEXT, at TEXT, author TEXT, reason TEXT, \
             scope TEXT, share REAL, layer TEXT, PRIMARY KEY (path, n))",
            Vec::new(),
        )?;
        versions.query("CREATE TABLE IF NOT EXISTS behind (campaign TEXT PRIMARY KEY)", Vec::new())?;
        Ok(versions)
    }

    /// Checks a change and records it, whole or not at all.
    async fn commit(&self, storage: &Storage, command: &Command) -> Result<Value, Problem> {
        let last = self.last(&command.path)?;
        if let Some(expected) = command.if_match.as_deref().filter(|_| !command.path.is_empty()) {
            let found = last.as_ref().map_or(NONE, |version| version.version.as_str());
            if expected.trim().trim_matches('"') != found {
                return Err(Problem::new(412, format!("layer {} is at version {found}, not {expected}", command.path)));
            }
        }
        let mut rows = self.newest()?;
        let changes = self.changes(command, last.as_ref(), &rows)?;
        for change in &changes {
            rows.retain(|row| row.path != change.path || (change.share < 1.0 && row.share >= 1.0));
            rows.push(change.clone());
        }
        let (_, campaign) = assemble(&command.campaign, &rows)?;
        // Whoever stops this object after that line and before readers are told does not stop the alarm.
        wake(storage).await?;
        let (sql, rows, id) = (storage.sql(), changes.clone(), command.campaign.clone());
        let write = move || -> Result<(), Problem> {
            let versions = Self { sql };
            rows.iter().try_for_each(|row| versions.insert(row))?;
            versions.query("INSERT OR IGNORE INTO behind VALUES (?)", [id.into()]).map(|_| ())
        };
        let whole = |_| async move { write().map_err(|problem| worker::Error::RustError(problem.detail)) };
        storage.transaction(whole).await.map_err(|error| Problem::unavailable(error.to_string()))?;
        let version = changes.last().filter(|_| !command.path.is_empty()).map(|change| change.version.clone());
        let warnings: Vec<String> =
            campaign.check().iter().map(ToString::to_string).chain(store::warning(&command.campaign)).collect();
        Ok(json!({
            "id": command.campaign,
            "hash": campaign.hash,
            "layers": campaign.layers().len(),
            "path": command.path,
            "version": version,
            "warnings": warnings,
        }))
    }

    /// The campaign's name, where its readers have not been told of everything.
    fn behind(&self) -> Result<Option<String>, Problem> {
        let rows = object::rows(&self.sql, "SELECT campaign FROM behind", Vec::new())?;
        Ok(rows.into_iter().flatten().next().and_then(text))
    }

    fn caught_up(&self) -> Result<(), Problem> {
        self.query("DELETE FROM behind", Vec::new()).map(|_| ())
    }

    /// The rows that a command adds.
    fn changes(&self, command: &Command, last: Option<&Version>, newest: &[Version]) -> Result<Vec<Version>, Problem> {
        let at = time::format(store::now());
        let row = |path: &str,
                   layer: Option<String>,
                   author: String,
                   reason: String,
                   share: f64|
         -> Result<Version, Problem> {
            let version = layer.as_ref().map_or_else(|| NONE.into(), |layer| Hash::of(layer.as_bytes()).to_string());
            let n = self.last(path)?.map_or(0, |row| row.n) + 1;
            Ok(Version {
                path: path.into(),
                n,
                version,
                at: at.clone(),
                author,
                reason,
                scope: command.scope.clone(),
                share,
                layer,
            })
        };
        match &command.what {
            What::Put { layer, share } => {
                let said = |key: &str| layer[key].as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
                let (Some(author), Some(reason)) = (said("author"), said("reason")) else {
                    return Err(Problem::new(422, UNSIGNED));
                };
                let layer = published(&command.path, layer)?;
                Ok(Vec::from([row(&command.path, Some(layer), author, reason, *share)?]))
            }
            What::Remove { author, reason } => {
                let there = last.is_some_and(|row| row.layer.is_some());
                if !there {
                    return Err(Problem::new(404, format!("no layer {} was published", command.path)));
                }
                Ok(Vec::from([row(&command.path, None, author.clone(), reason.clone(), 1.0)?]))
            }
            What::Rollback { author, reason } => {
                let (layer, what) = match (self.before(&command.path)?, last) {
                    (Some(before), _) => (before.layer, format!("back to version {} of {}", before.version, before.at)),
                    (None, Some(staged)) if staged.share < 1.0 => (None, "taken back while staged".to_owned()),
                    _ => return Err(Problem::new(409, format!("layer {} has no earlier version", command.path))),
                };
                Ok(Vec::from([row(&command.path, layer, author.clone(), format!("{reason} ({what})"), 1.0)?]))
            }
            What::Import { document } => {
                if document.get("staged").is_some() {
                    let message = "layers are staged one by one: PUT /v1/campaigns/ID/layers/PATH?share=0.1";
                    return Err(Problem::new(422, message));
                }
                let mut changes = Vec::new();
                let mut gone: Set<&str> =
                    newest.iter().filter(|row| row.layer.is_some()).map(|row| row.path.as_str()).collect();
                for (key, prefix) in [("defaults", DEFAULTS), ("layers", "")] {
                    for (path, layer) in document[key].as_object().into_iter().flatten() {
                        let path = format!("{prefix}{path}");
                        let text = published(&path, layer)?;
                        gone.remove(path.as_str());
                        let mut known = newest.iter().filter(|row| row.path == path);
                        // What is as it was gets no version, so that the history tells changes.
                        if known.next_back().is_some_and(|row| row.share >= 1.0 && row.layer.as_ref() == Some(&text)) {
                            continue;
                        }
                        let said = |key: &str| layer[key].as_str().unwrap_or("published as a whole").to_owned();
                        changes.push(row(&path, Some(text), said("author"), said("reason"), 1.0)?);
                    }
                }
                for path in gone {
                    let why = "published as a whole, without this layer".to_owned();
                    changes.push(row(path, None, "published as a whole".into(), why, 1.0)?);
                }
                Ok(changes)
            }
            What::Show => Ok(Vec::new()),
        }
    }

    /// Where a rollback goes: to what holds if something is staged beside it, else to what held before.
    fn before(&self, path: &str) -> Result<Option<Version>, Problem> {
        let below = self.last(path)?.map_or(0, |row| row.n);
        let rows = self.query(
            "SELECT * FROM versions WHERE path = ? AND share >= 1 AND n < ? ORDER BY n DESC LIMIT 1",
            [path.into(), below.into()],
        )?;
        Ok(rows.into_iter().next())
    }

    /// Of every layer what holds, and what is staged beside it.
    fn newest(&self) -> Result<Vec<Version>, Problem> {
        let rows = self.query(
            "SELECT * FROM versions AS v WHERE \
             n = (SELECT MAX(n) FROM versions WHERE path = v.path) OR \
             n = (SELECT MAX(n) FROM versions WHERE path = v.path AND share >= 1) ORDER BY path, n",
            Vec::new(),
        )?;
        Ok(rows)
    }

    /// The last version of a layer, staged or not.
    fn last(&self, path: &str) -> Result<Option<Version>, Problem> {
        let rows = self.query("SELECT * FROM versions WHERE path = ? ORDER BY n DESC LIMIT 1", [path.into()])?;
        Ok(rows.into_iter().next())
    }

    fn history(&self, path: &str) -> Result<Value, Problem> {
        let rows =
            self.query("SELECT * FROM versions WHERE path = ? ORDER BY n DESC LIMIT ?", [path.into(), HISTORY.into()])?;
        if rows.is_empty() {
            return Err(Problem::new(404, format!("no layer {path:?} was published")));
        }
        let told = rows.iter().map(|row| {
            let Version { path, n, version, at, author, reason, scope, share, layer } = row;
            let layer = layer.as_deref().and_then(|text| serde_json::from_slice::<Value>(text.as_bytes()).ok());
            json!({ "path": path, "n": n, "version": version, "at": at, "author": author, "reason": reason,
                "scope": scope, "share": share, "layer": layer })
        });
        Ok(json!({ "version": rows[0].version, "versions": told.collect::<Vec<_>>() }))
    }

    fn insert(&self, row: &Version) -> Result<(), Problem> {
        let values = Vec::from([
            row.path.clone().into(),
            row.n.into(),
            row.version.clone().into(),
            row.at.clone().into(),
            row.author.clone().into(),
            row.reason.clone().into(),
            row.scope.clone().into(),
            row.share.into(),
            row.layer.clone().into(),
        ]);
        self.query("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values).map(|_| ())
    }

    fn query(&self, sql: &str, values: impl Into<Vec<SqlStorageValue>>) -> Result<Vec<Version>, Problem> {
        let versions = object::rows(&self.sql, sql, values)?.into_iter().map(Version::read).collect::<Option<_>>();
        versions.ok_or_else(|| Problem::unavailable("the registry has a version that cannot be read"))
    }
}

/// The document of what holds and what is staged, checked as a whole.
fn assemble(id: &str, rows: &[Version]) -> Result<(String, Campaign), Problem> {
    let (mut layers, mut defaults, mut staged) = (Map::new(), Map::new(), Map::new());
    for row in rows {
        let Some(text) = &row.layer else { continue };
        let layer: Value =
            serde_json::from_slice(text.as_bytes()).map_err(|error| Problem::unavailable(error.to_string()))?;
        match row.path.strip_prefix(DEFAULTS) {
            _ if row.share < 1.0 => {
                staged.insert(row.path.clone(), json!({ "share": row.share, "salt": row.version, "layer": layer }));
            }
            Some(path) => {
                defaults.insert(path.into(), layer);
            }
            None => {
                layers.insert(row.path.clone(), layer);
            }
        }
    }
    let mut document = json!({ "id": id, "layers": layers });
    for (key, map) in [("defaults", defaults), ("staged", staged)] {
        if !map.is_empty() {
            document[key] = Value::Object(map);
        }
    }
    let document = document.to_string();
    let campaign = Campaign::parse(document.as_bytes())?;
    let errors: Vec<_> = campaign.check().into_iter().filter(|problem| problem.severity == Severity::Error).collect();
    if errors.is_empty() { Ok((document, campaign)) } else { Err(Problem::unprocessable(errors)) }
}

/// A layer as readers are answered with it: right by itself, and with the program of every rule.
fn published(path: &str, written: &Value) -> Result<String, Problem> {
    let (mut layer, mut problems) = author::read(path, &Node::from_json(written));
    problems.extend(compile(&mut layer)?);
    if !problems.is_empty() {
        return Err(Problem::unprocessable(problems));
    }
    let text = serde_json::to_string(&layer).map_err(Problem::bad_request)?;
    let too_large =
        || Problem::too_large(&format!("layer {path} has {} bytes with its programs", text.len()), MAX_PUBLISHED);
    if text.len() <= MAX_PUBLISHED { Ok(text) } else { Err(too_large()) }
}

/// Says every program again from its condition, whatever came along.
#[cfg(feature = "cel")]
fn compile(layer: &mut Layer) -> Result<Vec<campaign::Problem>, Problem> {
    const LABELS: &[u8] = include_bytes!("../../../models/cuisine-labels.json");
    let labels = freshrank::rule::Labels::read(LABELS).map_err(Problem::unavailable)?;
    Ok(layer.compile(&labels))
}

/// This module has no compiler: a condition that comes without its program would never hold.
#[cfg(not(feature = "cel"))]
fn compile(layer: &mut Layer) -> Result<Vec<campaign::Problem>, Problem> {
    let rules = layer.body.children().and_then(|children| children.get("rules")?.children());
    let alone = rules.into_iter().flatten().filter(|(_, rule)| {
        let said = |key: &str| rule.children().is_some_and(|fields| matches!(fields.get(key), Some(Edit::Set { .. })));
        said("when") && !said("program")
    });
    let problem = |(id, rule): (&String, &Edit)| campaign::Problem {
        layer: layer.path.to_string(),
        line: rule.mark().map_or(0, |mark| mark.line),
        column: rule.mark().map_or(0, |mark| mark.column),
        key: format!("rules.{id}.when"),
        message: "a condition without its program, and this module has no compiler".into(),
        hint: Some("publish with `freshrank campaign publish`, or through the full module".into()),
        severity: Severity::Error,
    };
    Ok(alone.map(problem).collect())
}

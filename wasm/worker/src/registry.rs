//! Who changed a campaign, when and why: one Durable Object a campaign, so that two teams never write at once.
//!
//! Every version of every layer stays. What readers are answered with is the document in KV, written here after the whole
//! campaign was checked; the document before it stays beside it as the last one known to be good.

use crate::problem::Problem;
use crate::store::{self, BINDING};
use freshrank::campaign::{Campaign, DEFAULTS, Severity};
use freshrank::{Hash, time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use worker::{DurableObject, Env, Method, Request, RequestInit, Response, SqlStorageValue, State, durable_object};

/// The binding in wrangler.toml.
pub const REGISTRY: &str = "REGISTRY";
/// Versions of one layer that are told of.
const HISTORY: i64 = 50;

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
    let failed = |error: worker::Error| Problem::unavailable(format!("the registry did not answer: {error}"));
    let stub = env.durable_object(REGISTRY).and_then(|namespace| namespace.get_by_name(&command.campaign));
    let body = serde_json::to_string(command).map_err(|error| Problem::bad_request(error))?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(body.into()));
    let request = Request::new_with_init("https://registry/", &init).map_err(failed)?;
    stub.map_err(failed)?.fetch_with_request(request).await.map_err(failed)
}

/// Whether this deployment has a registry; without one, whole campaigns can be published and layers cannot.
pub fn is_bound(env: &Env) -> bool {
    env.durable_object(REGISTRY).is_ok()
}

/// One version of one layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// A campaign's versions.
#[durable_object]
pub struct Registry {
    state: State,
    env: Env,
}

impl DurableObject for Registry {
    fn new(state: State, env: Env) -> Self {
        Self { state, env }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let command: Command = request.json().await?;
        let versions = Versions { sql: self.state.storage().sql() };
        let kv = self.env.kv(BINDING)?;
        // Nobody else's command runs between reading what holds and writing what shall: that is what "atomic" means here.
        let answered = self.state.block_concurrency_while(async move { Ok(versions.run(&kv, command).await) }).await?;
        Ok(match answered {
            Ok(value) => crate::json_response(&value),
            Err(problem) => problem.response(),
        })
    }
}

struct Versions {
    sql: worker::SqlStorage,
}

impl Versions {
    async fn run(&self, kv: &worker::kv::KvStore, command: Command) -> Result<Value, Problem> {
        self.query(
            "CREATE TABLE IF NOT EXISTS versions (path TEXT, n INTEGER, version TEXT, at TEXT, author TEXT, reason TEXT, \
             scope TEXT, share REAL, layer TEXT, PRIMARY KEY (path, n))",
            Vec::new(),
        )?;
        if matches!(command.what, What::Show) {
            return Ok(self.history(&command.path)?);
        }
        let held = self.held(&command.path)?;
        if let Some(expected) = command.if_match.as_deref() {
            let found = held.as_ref().map_or("none", |version| version.version.as_str());
            if expected.trim_matches('"') != found {
                return Err(Problem::new(412, format!("layer {} is at version {found}, not {expected}", command.path)));
            }
        }
        let changes = self.changes(&command, held.as_ref())?;
        let mut rows = self.newest()?;
        for change in &changes {
            rows.retain(|row| row.path != change.path || (change.share < 1.0 && row.share >= 1.0));
            rows.push(change.clone());
        }
        let (document, campaign) = assemble(&command.campaign, &rows)?;
        // Readers first: a version that KV did not take never was.
        store::replace_campaign(kv, &command.campaign, document.as_bytes()).await?;
        for change in &changes {
            self.insert(change)?;
        }
        let version = changes.last().map(|change| change.version.clone());
        let warnings: Vec<String> = campaign.check().iter().map(ToString::to_string).collect();
        Ok(json!({
            "id": command.campaign,
            "hash": campaign.hash,
            "layers": campaign.layers().len(),
            "path": command.path,
            "version": version,
            "warnings": warnings,
        }))
    }

    /// The rows that a command adds.
    fn changes(&self, command: &Command, held: Option<&Version>) -> Result<Vec<Version>, Problem> {
        let at = time::format((store::now_ms() / 1000).cast_signed());
        let row = |path: &str,
                   layer: Option<String>,
                   author: String,
                   reason: String,
                   share: f64|
         -> Result<Version, Problem> {
            let version = layer.as_ref().map_or_else(|| "none".into(), |layer| Hash::of(layer.as_bytes()).to_string());
            let n = self.last(path)? + 1;
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
                    return Err(Problem::new(
                        422,
                        "a layer that is published says its `author` and the `reason` of the change",
                    ));
                };
                Ok(Vec::from([row(&command.path, Some(layer.to_string()), author, reason, *share)?]))
            }
            What::Remove { author, reason } => {
                held.ok_or_else(|| Problem::new(404, format!("no layer {} was published", command.path)))?;
                Ok(Vec::from([row(&command.path, None, author.clone(), reason.clone(), 1.0)?]))
            }
            What::Rollback { author, reason } => {
                let before = self.before(&command.path)?;
                let before = before
                    .ok_or_else(|| Problem::new(409, format!("layer {} has no earlier version", command.path)))?;
                let reason = format!("{reason} (back to version {} of {})", before.version, before.at);
                Ok(Vec::from([row(&command.path, before.layer, author.clone(), reason, 1.0)?]))
            }
            What::Import { document } => {
                let mut changes = Vec::new();
                let mut gone: Vec<String> = self.newest()?.into_iter().map(|row| row.path).collect();
                for (key, prefix) in [("defaults", DEFAULTS), ("layers", "")] {
                    for (path, layer) in document[key].as_object().into_iter().flatten() {
                        let path = format!("{prefix}{path}");
                        gone.retain(|known| *known != path);
                        let said = |key: &str| layer[key].as_str().unwrap_or("published as a whole").to_owned();
                        changes.push(row(&path, Some(layer.to_string()), said("author"), said("reason"), 1.0)?);
                    }
                }
                for path in gone {
                    let why = "published as a whole, without this layer".to_owned();
                    changes.push(row(&path, None, "published as a whole".into(), why, 1.0)?);
                }
                Ok(changes)
            }
            What::Show => Ok(Vec::new()),
        }
    }

    /// What holds of a layer: its last version that all readers have.
    fn held(&self, path: &str) -> Result<Option<Version>, Problem> {
        let rows =
            self.query("SELECT * FROM versions WHERE path = ? AND share >= 1 ORDER BY n DESC LIMIT 1", [path.into()])?;
        Ok(rows.into_iter().next().filter(|row| row.layer.is_some()))
    }

    /// Where a rollback goes: to what holds if something is staged beside it, else to what held before.
    fn before(&self, path: &str) -> Result<Option<Version>, Problem> {
        let newest = self.query("SELECT * FROM versions WHERE path = ? ORDER BY n DESC LIMIT 1", [path.into()])?;
        let newest = newest.into_iter().next();
        let below = newest.as_ref().map_or(0, |row| row.n);
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

    fn last(&self, path: &str) -> Result<i64, Problem> {
        let rows = self.query("SELECT * FROM versions WHERE path = ? ORDER BY n DESC LIMIT 1", [path.into()])?;
        Ok(rows.first().map_or(0, |row| row.n))
    }

    fn history(&self, path: &str) -> Result<Value, Problem> {
        let rows = if path.is_empty() {
            self.newest()?
        } else {
            self.query("SELECT * FROM versions WHERE path = ? ORDER BY n DESC LIMIT ?", [path.into(), HISTORY.into()])?
        };
        if rows.is_empty() {
            return Err(Problem::new(404, format!("no layer {path:?} was published")));
        }
        let told = rows.iter().map(|row| {
            let Version { path, n, version, at, author, reason, scope, share, layer } = row;
            let layer = layer.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
            json!({ "path": path, "n": n, "version": version, "at": at, "author": author, "reason": reason,
                "scope": scope, "share": share, "layer": layer })
        });
        Ok(json!({ "versions": told.collect::<Vec<_>>() }))
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
        let cursor = self.sql.exec(sql, values.into());
        let rows = cursor.and_then(|cursor| cursor.to_array::<Version>());
        rows.map_err(|error| Problem::unavailable(format!("the registry cannot be read or written: {error}")))
    }
}

/// The document of what holds and what is staged, checked as a whole.
fn assemble(id: &str, rows: &[Version]) -> Result<(String, Campaign), Problem> {
    let (mut layers, mut defaults, mut staged) = (Map::new(), Map::new(), Map::new());
    for row in rows {
        let Some(text) = &row.layer else { continue };
        let layer: Value = serde_json::from_str(text).map_err(|error| Problem::unavailable(error.to_string()))?;
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
    let mut document = Map::from_iter([("id".to_owned(), json!(id)), ("layers".to_owned(), Value::Object(layers))]);
    for (key, map) in [("defaults", defaults), ("staged", staged)] {
        if !map.is_empty() {
            document.insert(key.into(), Value::Object(map));
        }
    }
    let document = Value::Object(document).to_string();
    let campaign = Campaign::parse(document.as_bytes()).map_err(|error| Problem::new(422, error.to_string()))?;
    let errors: Vec<String> = campaign
        .check()
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    if errors.is_empty() { Ok((document, campaign)) } else { Err(Problem::new(422, errors.join("\n"))) }
}

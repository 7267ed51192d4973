//! `tract`: any ONNX ranker, natively and in the full module.
//!
//! Its kernels differ between targets in the last bits (fused multiply-add here, none there), so decisions rest on
//! `dense` wherever its family suffices; [`Tract::plan`] compiles that plan from the graph tract decluttered.

use super::dense::{Dense, Layer};
use super::{ModelError, Scorer, check_fingerprint};
use crate::feature::{N_FEATURES, Rows};
use crate::id::Hash;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;

/// Where ONNX metadata appears in tract's model.
const FINGERPRINT: &str = "onnx.metadata_props.freshrank.fingerprint";
const CARD: &str = "onnx.metadata_props.freshrank.card";
/// Bytes of an ONNX file.
pub const MAX_BYTES: usize = 16 << 20;

/// An ONNX ranker, optimized for this target.
pub struct Tract {
    model: Hash,
    fingerprint: Hash,
    card: Option<String>,
    graph: TypedModel,
    runnable: Arc<TypedRunnableModel>,
}

impl core::fmt::Debug for Tract {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tract").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Tract {
    /// Reads an ONNX file whose input is `[rows, columns]` and whose output is one score a row.
    ///
    /// # Errors
    /// What is wrong with the file, its columns or its graph.
    pub fn load(onnx: &[u8]) -> Result<Self, ModelError> {
        let Parsed { graph, fingerprint, card } = parse(onnx)?;
        check_fingerprint(&fingerprint)?;
        let optimized = graph.clone().into_optimized().map_err(|error| graph_error("graph", &error))?;
        let runnable = optimized.into_runnable().map_err(|error| graph_error("graph", &error))?;
        let fingerprint = Hash::parse(&fingerprint).unwrap_or_default();
        Ok(Self { model: Hash::of(onnx), fingerprint, card, graph, runnable })
    }

    /// What the file says of its own training, in JSON.
    #[must_use]
    pub fn card(&self) -> Option<&str> {
        self.card.as_deref()
    }

    /// As [`Tract::load`], of a file that must be the one expected.
    ///
    /// # Errors
    /// As [`Tract::load`], and where a single bit differs.
    pub fn load_pinned(onnx: &[u8], expected: Hash) -> Result<Self, ModelError> {
        let found = Hash::of(onnx);
        if found != expected {
            let found = format!("{found}, not the pinned {expected}");
            return Err(ModelError::Graph {
                what: "file's hash",
                found,
                expected: "the bytes the plan was compiled from",
            });
        }
        Self::load(onnx)
    }

    /// Compiles the plan for `dense` from the decluttered graph: weights are dequantized and folded there.
    ///
    /// # Errors
    /// [`ModelError::Graph`] with the first operator outside `dense`'s family: normalization, clip, dense layers with relu.
    pub fn plan(&self) -> Result<Dense, ModelError> {
        Compiler::new(&self.graph).compile(self.fingerprint, self.model)
    }
}

impl Scorer for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn model(&self) -> Hash {
        self.model
    }

    fn features(&self) -> Hash {
        self.fingerprint
    }

    fn score(&self, rows: &Rows) -> Result<Vec<f32>, ModelError> {
        let error = |error: TractError| graph_error("run", &error);
        let input = Tensor::from_shape(&[rows.len(), N_FEATURES], &rows.values).map_err(error)?;
        let outputs = self.runnable.run(tvec!(input.into())).map_err(error)?;
        let Some(scores) = outputs.first() else {
            return Ok(Vec::new());
        };
        let scores = scores.cast_to::<f32>().map_err(error)?;
        Ok(scores.to_plain_array_view::<f32>().map_err(error)?.iter().copied().collect())
    }
}

/// A file's graph, decluttered, and what stands in its metadata.
struct Parsed {
    graph: TypedModel,
    fingerprint: String,
    card: Option<String>,
}

fn parse(onnx: &[u8]) -> Result<Parsed, ModelError> {
    if onnx.len() > MAX_BYTES {
        let found = format!("{} bytes", onnx.len());
        return Err(ModelError::Graph { what: "file", found, expected: "at most 16 MiB" });
    }
    let error = |error: TractError| graph_error("file", &error);
    let mut bytes = onnx;
    let model = tract_onnx::onnx().with_ignore_value_info(true).model_for_read(&mut bytes).map_err(error)?;
    let said = |property: &str| -> Option<String> {
        model.properties.get(property)?.to_plain_array_view::<String>().ok()?.iter().next().cloned()
    };
    let fingerprint = said(FINGERPRINT).unwrap_or_else(|| "none".to_string());
    let card = said(CARD);
    let n = model.symbols.sym("n");
    let fact = f32::fact([n.to_dim(), N_FEATURES.to_dim()]);
    let graph = model
        .with_input_fact(0, fact.into())
        .and_then(tract_onnx::prelude::InferenceModelExt::into_typed)
        .and_then(TypedModel::into_decluttered)
        .map_err(error)?;
    Ok(Parsed { graph, fingerprint, card })
}

fn graph_error(what: &'static str, error: &TractError) -> ModelError {
    ModelError::Graph { what, found: format!("{error:#}"), expected: "an ONNX ranker over this release's columns" }
}

/// Walks the one path from input to output, an operator at a time.
struct Compiler<'g> {
    graph: &'g TypedModel,
    mean: Vec<f32>,
    scale: Vec<f32>,
    clamp: f32,
    layers: Vec<Layer>,
    relu: bool,
}

impl<'g> Compiler<'g> {
    fn new(graph: &'g TypedModel) -> Self {
        let (mean, scale) = (vec![0.0; N_FEATURES], vec![1.0; N_FEATURES]);
        Self { graph, mean, scale, clamp: f32::MAX, layers: Vec::new(), relu: false }
    }

    fn compile(mut self, fingerprint: Hash, model: Hash) -> Result<Dense, ModelError> {
        let mut previous = None;
        for node in self.graph.nodes() {
            if node.op_is::<Const>() {
                continue;
            }
            if node.op_is::<TypedSource>() {
                previous = Some(node.id);
                continue;
            }
            let flow = node.inputs.iter().position(|input| Some(input.node) == previous);
            let constant = node.inputs.iter().find_map(|input| self.constant(input.node));
            match (flow, constant, node.inputs.len()) {
                (Some(side), Some(constant), 2) => self.operator(node, side, &constant)?,
                _ => return Err(beyond(&node.name, &node.op.name())),
            }
            previous = Some(node.id);
        }
        if self.relu {
            return Err(beyond("output", "relu"));
        }
        Ok(Dense { fingerprint, model, clamp: self.clamp, mean: self.mean, scale: self.scale, layers: self.layers })
    }

    fn operator(&mut self, node: &TypedNode, side: usize, constant: &[f32]) -> Result<(), ModelError> {
        let name = node.op.name().to_string();
        let refuse = || Err(beyond(&node.name, &name));
        if node.op_is::<EinSum>() {
            let inputs = self.layers.last().map_or(N_FEATURES, |layer| layer.biases.len());
            // A layer after another one without relu between them would be one layer; training exports none.
            if side != 0 || !constant.len().is_multiple_of(inputs) || !(self.layers.is_empty() || self.relu) {
                return refuse();
            }
            self.relu = false;
            let biases = vec![0.0; constant.len() / inputs];
            self.layers.push(Layer { weights: constant.to_vec(), biases });
            return Ok(());
        }
        if !node.op_is::<TypedBinOp>() {
            return refuse();
        }
        let spread = |n: usize| -> Option<Vec<f32>> {
            match constant {
                [one] => Some(vec![*one; n]),
                _ => (constant.len() == n).then(|| constant.to_vec()),
            }
        };
        let single = (constant.len() == 1).then(|| constant[0]);
        match (name.as_str(), side, self.layers.last_mut(), single) {
            ("Sub", 0, None, _) if self.clamp == f32::MAX && self.mean.iter().all(|m| *m == 0.0) => {
                let Some(mean) = spread(N_FEATURES) else {
                    return refuse();
                };
                self.mean = mean;
            }
            ("Mul", _, None, _) if self.clamp == f32::MAX && self.scale.iter().all(|s| *s == 1.0) => {
                let Some(scale) = spread(N_FEATURES) else {
                    return refuse();
                };
                self.scale = scale;
            }
            ("Max", _, None, Some(low)) if low < 0.0 => self.clamp = -low,
            ("Min", _, None, Some(high)) if high == self.clamp => {}
            ("Add", _, Some(layer), _) if !self.relu && layer.biases.iter().all(|b| *b == 0.0) => {
                let Some(biases) = spread(layer.biases.len()) else {
                    return refuse();
                };
                layer.biases = biases;
            }
            ("Max", _, Some(_), Some(0.0)) if !self.relu => self.relu = true,
            _ => return refuse(),
        }
        Ok(())
    }

    fn constant(&self, node: usize) -> Option<Vec<f32>> {
        let tensor = self.graph.nodes().get(node)?.op_as::<Const>()?.val();
        let tensor = tensor.cast_to::<f32>().ok()?;
        Some(tensor.to_plain_array_view::<f32>().ok()?.iter().copied().collect())
    }
}

fn beyond(node: &str, operator: &str) -> ModelError {
    let found = format!("{operator} at {node}");
    ModelError::Graph { what: "operator", found, expected: "normalization, clip, and dense layers with relu between" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONNX: &[u8] = include_bytes!("../../models/ltr.onnx");
    const PLAN: &[u8] = include_bytes!("../../models/ltr.plan");
    const PROBE: &str = include_str!("../../models/ltr.probe.json");

    /// Validation rows and what onnxruntime made of them when the model was trained.
    #[derive(serde::Deserialize)]
    struct Probe {
        rows: Vec<Vec<f32>>,
        scores: Vec<f32>,
    }

    fn apart(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f32::max)
    }

    #[test]
    fn tract_and_dense_score_as_onnxruntime_does() {
        let probe: Probe = serde_json::from_str(PROBE).unwrap();
        let rows = Rows { values: probe.rows.concat() };
        let tract = Tract::load(ONNX).unwrap();
        let by_tract = tract.score(&rows).unwrap();
        assert!(apart(&probe.scores, &by_tract) < 1e-5);
        assert!(apart(&by_tract, &tract.plan().unwrap().score(&rows).unwrap()) < 1e-5);
    }

    #[test]
    fn the_shipped_plan_is_compiled_from_the_shipped_model() {
        let plan = Tract::load_pinned(ONNX, Dense::load(PLAN).unwrap().model).unwrap().plan().unwrap();
        assert!(plan.encode() == PLAN, "run `cargo xtask train`, or `freshrank model compile`");
    }

    #[test]
    fn a_graph_outside_the_family_is_left_to_tract() {
        let mut onnx = ONNX.to_vec();
        while let Some(at) = onnx.windows(4).position(|word| word == b"Relu") {
            onnx[at..at + 4].copy_from_slice(b"Tanh");
        }
        let tract = Tract::load(&onnx).unwrap();
        let why = tract.plan().unwrap_err().to_string();
        let (start, end) =
            ("model operator: found ", ", expected normalization, clip, and dense layers with relu between");
        let found = why.strip_prefix(start).and_then(|why| why.strip_suffix(end));
        assert!(found.is_some_and(|found| found.starts_with("Tanh at layer1")), "operator and node are named: {why}");
        let row = Rows { values: vec![0.0; N_FEATURES] };
        assert!(tract.score(&row).unwrap()[0].is_finite());
    }

    #[test]
    fn one_changed_bit_is_not_the_pinned_file() {
        let pinned = Hash::of(ONNX);
        let mut onnx = ONNX.to_vec();
        onnx[ONNX.len() / 2] ^= 1;
        assert!(matches!(Tract::load_pinned(&onnx, pinned), Err(ModelError::Graph { what: "file's hash", .. })));
    }
}

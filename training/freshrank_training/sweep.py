"""A random search over recipes with a small fixed budget: a sample of the queries, chosen on valid only."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from . import teacher
from .examples import Queries
from .fit import Recipe, fit
from .progress import Progress

N_TRAIN, N_VALID = 4000, 2000
MAX_EPOCHS, PATIENCE = 20, 3
# What a field may be; each is drawn evenly (Bergstra and Bengio 2012).
SPACE: dict[str, tuple] = {
    "loss": ("softmax", "softmax", "approx_ndcg", "lambdarank"),
    "start": ("prior", "prior", "random"),
    "transform": ("moments", "quantiles"),
    "clip": (3.0, 5.0, 8.0),
    "learning_rate": (3e-4, 1e-3, 3e-3),
    "weight_decay": (1e-4, 1e-3, 1e-2, 1e-1),
    "average": (0.0, 0.99, 0.998),
    "teacher_share": (0.0, 0.0, 0.3, 0.5),
}


@dataclass(frozen=True)
class Trial:
    """One recipe, and what it came to on the sample's valid queries."""

    recipe: Recipe
    said: str
    ndcg_at_10: float
    best_epoch: int


def sweep(
    train: Queries, valid: Queries, recipe: Recipe, n: int, report: Callable[[str], None] = lambda line: None
) -> list[Trial]:
    """Tries the recipe itself and n - 1 drawn ones; the best last. The winner keeps the epochs and patience of `recipe`."""
    rng = np.random.default_rng(recipe.seed)
    some_train, some_valid = train.sample(N_TRAIN, recipe.seed), valid.sample(N_VALID, recipe.seed)
    drawn = [
        {name: values[rng.integers(len(values))] for name, values in SPACE.items()} for _ in range(n - 1)
    ]
    candidates = [recipe, *(replace(recipe, **fields) for fields in drawn)]
    # One teacher for all: it does not depend on what is drawn.
    taught_by = None
    if any(candidate.teacher_share > 0 for candidate in candidates):
        taught_by = teacher.fit(some_train, some_valid, recipe.teacher_queries, recipe.seed)
    trials, bar = [], Progress("recipes", n)
    for candidate in candidates:
        short = replace(candidate, max_epochs=MAX_EPOCHS, patience=PATIENCE)
        fitted = fit(some_train, some_valid, short, taught_by=taught_by)
        best = fitted.curve[fitted.best_epoch].valid_ndcg_at_10
        said = ", ".join(f"{name} {asdict(candidate)[name]}" for name in SPACE)
        trials.append(Trial(candidate, said, best, fitted.best_epoch))
        report(f"{best:.4f}  epoch {fitted.best_epoch:2}  {said}")
        bar.advance()
    bar.end()
    # The first of equals: a simpler recipe is not left for nothing.
    return sorted(reversed(trials), key=lambda trial: trial.ndcg_at_10)

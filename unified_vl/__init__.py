"""One encoder-decoder model for every vision-language and language task.

Ask a saved model:

>>> from unified_vl import UnifiedVL
>>> model = UnifiedVL.from_pretrained("runs/demo/model")  # doctest: +SKIP
>>> model.tasks, model.languages  # doctest: +SKIP
>>> model.predict("emoji_caption", image="cat.png", language="de").text  # doctest: +SKIP
>>> model.predict("emoji_caption", image="cat.png", language=["de", "ja"])  # doctest: +SKIP

Many inputs, as they come: `model.predict_many(rows, "emoji_caption", batch_size=64)`. In a notebook
models, answers and specs show themselves. `transformers`' Auto classes and pipelines know saved
models, too (docs/transformers.md), and `model.push_to_hub` uploads one (docs/hub.md).

Train one, and score it:

>>> from unified_vl import evaluate, load_run, train
>>> run = load_run("run.yaml", ["steps=1000"])  # doctest: +SKIP
>>> model = UnifiedVL.from_pretrained(train(run))  # doctest: +SKIP
>>> specs = run.loaded_mixture.specs  # doctest: +SKIP
>>> evaluate(model, specs, "test", run.data).report["tasks"]  # doctest: +SKIP

Score anybody's model by the same specs: `other_model` (docs/scoring_others.md):

>>> from unified_vl import other_model
>>> model = other_model("hf:HuggingFaceTB/SmolVLM-256M-Instruct")  # doctest: +SKIP
>>> evaluate(model, specs, "test", run.data).report["tasks"]  # doctest: +SKIP

Specs need no files (docs/python.md):

>>> from unified_vl import Mixture, Run, TaskSpec, check
>>> task = TaskSpec(task="caption", version=1, ...)  # doctest: +SKIP
>>> mixture = Mixture(mixture="captions", version=1, tasks=[{"spec": task}])  # doctest: +SKIP
>>> run = Run(run="captions", version=1, mixture=mixture, ...)  # doctest: +SKIP
>>> print(check(run).summary())  # doctest: +SKIP
>>> model = UnifiedVL.from_pretrained(train(run))  # doctest: +SKIP

Find images by a sentence: `Retriever`. Parts of your own, which specs then name, are made known by
`register_kind`, `register_metric`, `register_reader`, `register_encoder`, `register_objective`,
`register_schedule`, `register_balance`, `register_optimizer`, `register_augmentation` and
`register_perturbation` (docs/extending.md).

Boxes, points and polygons of a `Prediction` are in pixels of the image that was given, its score is
a mean log-probability (natural, 0 is certain), metrics of a report are in the units that
docs/metrics.md says. What is wrong with an input is a `UserError`; a training that ends early for a
known reason is a `TrainingEnded` (`unified_vl.errors`). The command line, `unified-vl --help`, does
all of this and more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unified_vl.auto_classes import CLASSES, prepare_transformers
from unified_vl.torchvision_compat import prepare_torchvision

if TYPE_CHECKING:
    from unified_vl.augmentation.augmentation import Augmentation
    from unified_vl.errors import UserError
    from unified_vl.evaluation.evaluate import evaluate
    from unified_vl.hugging_face.processor import UnifiedVLProcessor
    from unified_vl.hugging_face.tokenizer import UnifiedVLTokenizer
    from unified_vl.inference.prediction import Prediction
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.inference.retrieval.retriever import Retriever
    from unified_vl.kinds.kind import Kind
    from unified_vl.kinds.places import PlaceKind
    from unified_vl.kinds.registry import register as register_kind
    from unified_vl.metrics.answers import Answers
    from unified_vl.metrics.metric import Metric
    from unified_vl.metrics.registry import register as register_metric
    from unified_vl.model.configuration import UnifiedVLConfig
    from unified_vl.model.image_encoders.image_encoder import EncoderKind
    from unified_vl.model.image_encoders.registry import register as register_encoder
    from unified_vl.model.unified import UnifiedVLForConditionalGeneration
    from unified_vl.other_models.opening import other_model
    from unified_vl.perturbation.perturbation import InputPerturbation
    from unified_vl.perturbation.registry import register as register_perturbation
    from unified_vl.readers.reader import Reader
    from unified_vl.readers.registry import register as register_reader
    from unified_vl.specs.load import load_mixture, load_run, load_task
    from unified_vl.specs.mixture import Mixture
    from unified_vl.specs.run import Run
    from unified_vl.specs.runs.augment import register as register_augmentation
    from unified_vl.specs.task import TaskSpec
    from unified_vl.training.balancing.balance import Balance, BalanceKind
    from unified_vl.training.balancing.registry import register as register_balance
    from unified_vl.training.checking import check
    from unified_vl.training.objectives.objective import Objective, ObjectiveKind
    from unified_vl.training.objectives.registry import register as register_objective
    from unified_vl.training.optimizers.optimizer import OptimizerKind
    from unified_vl.training.optimizers.registry import register as register_optimizer
    from unified_vl.training.schedules.registry import register as register_schedule
    from unified_vl.training.schedules.schedule import Schedule, ScheduleKind
    from unified_vl.training.trainer import train

prepare_torchvision()
prepare_transformers()

__version__ = "0.2.0"
__all__ = [
    "Answers",
    "Augmentation",
    "Balance",
    "BalanceKind",
    "EncoderKind",
    "InputPerturbation",
    "Kind",
    "Metric",
    "Mixture",
    "Objective",
    "ObjectiveKind",
    "OptimizerKind",
    "PlaceKind",
    "Prediction",
    "Reader",
    "Retriever",
    "Run",
    "Schedule",
    "ScheduleKind",
    "TaskSpec",
    "UnifiedVL",
    "UnifiedVLConfig",
    "UnifiedVLForConditionalGeneration",
    "UnifiedVLProcessor",
    "UnifiedVLTokenizer",
    "UserError",
    "__version__",
    "check",
    "evaluate",
    "load_mixture",
    "load_run",
    "load_task",
    "other_model",
    "register_augmentation",
    "register_balance",
    "register_encoder",
    "register_kind",
    "register_metric",
    "register_objective",
    "register_optimizer",
    "register_perturbation",
    "register_reader",
    "register_schedule",
    "train",
]

# loaded when they are asked for: `--help` stays quick, and specs need no torch
_HOMES = {
    "Answers": "unified_vl.metrics.answers",
    "Augmentation": "unified_vl.augmentation.augmentation",
    "Balance": "unified_vl.training.balancing.balance",
    "BalanceKind": "unified_vl.training.balancing.balance",
    "EncoderKind": "unified_vl.model.image_encoders.image_encoder",
    "InputPerturbation": "unified_vl.perturbation.perturbation",
    "Kind": "unified_vl.kinds.kind",
    "Metric": "unified_vl.metrics.metric",
    "Mixture": "unified_vl.specs.load",
    "Objective": "unified_vl.training.objectives.objective",
    "ObjectiveKind": "unified_vl.training.objectives.objective",
    "OptimizerKind": "unified_vl.training.optimizers.optimizer",
    "PlaceKind": "unified_vl.kinds.places",
    "Prediction": "unified_vl.inference.prediction",
    "Reader": "unified_vl.readers.reader",
    "Retriever": "unified_vl.inference.retrieval.retriever",
    "Run": "unified_vl.specs.load",
    "Schedule": "unified_vl.training.schedules.schedule",
    "ScheduleKind": "unified_vl.training.schedules.schedule",
    "TaskSpec": "unified_vl.specs.load",
    "UnifiedVL": "unified_vl.inference.predictor",
    "UnifiedVLConfig": CLASSES,
    "UnifiedVLForConditionalGeneration": CLASSES,
    "UnifiedVLProcessor": CLASSES,
    "UnifiedVLTokenizer": CLASSES,
    "UserError": "unified_vl.errors",
    "check": "unified_vl.training.checking",
    "evaluate": "unified_vl.evaluation.evaluate",
    "load_mixture": "unified_vl.specs.load",
    "load_run": "unified_vl.specs.load",
    "load_task": "unified_vl.specs.load",
    "other_model": "unified_vl.other_models.opening",
    "register_augmentation": "unified_vl.specs.runs.augment:register",
    "register_balance": "unified_vl.training.balancing.registry:register",
    "register_encoder": "unified_vl.model.image_encoders.registry:register",
    "register_kind": "unified_vl.kinds.registry:register",
    "register_metric": "unified_vl.metrics.registry:register",
    "register_objective": "unified_vl.training.objectives.registry:register",
    "register_optimizer": "unified_vl.training.optimizers.registry:register",
    "register_perturbation": "unified_vl.perturbation.registry:register",
    "register_reader": "unified_vl.readers.registry:register",
    "register_schedule": "unified_vl.training.schedules.registry:register",
    "train": "unified_vl.training.trainer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, _, attribute = _HOMES[name].partition(":")
        return getattr(import_module(module), attribute or name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

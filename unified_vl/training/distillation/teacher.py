"""A trained model that stays as it is and shows a student what it makes of each batch.

Each rank holds the teacher whole: it has no gradients and no optimiser, and is not DeepSpeed's.
Its lesson is an input of the student's one forward pass, where ZeRO sees all use of weights.

Legend: B batch, T target length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unified_vl.authoring.checking.teachers import refuse_unfit_teacher
from unified_vl.authoring.checking.tokens import sizes_of
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.batching import Batch
from unified_vl.data.order import draw_seed
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.model.backbone import Backbone, UnifiedVLOutput
from unified_vl.model.learning.lessons import Lesson, Student, Watch
from unified_vl.model.learning.packed_batches import PackedBatch, packed_states
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.run import Run
from unified_vl.specs.runs.teacher import LOSSES, TeacherSpec
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective


class Teacher:
    """Shows what it makes of batches.

    Args:
        model: trained, of this project's architecture.
        spec: what of it is learnt.
        student: whose device and precision it computes in.
        digest: of its files.
        tasks: that it was trained on.
    """

    def __init__(
        self, model: Any, spec: TeacherSpec, student: Backbone, digest: str, tasks: frozenset[str]
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.spec, self.digest, self.tasks = spec, digest, tasks
        self._student = student
        self._watch = Watch(model, hidden=bool(spec.hidden), attention=bool(spec.attention))

    @torch.no_grad()
    def lesson(self, batch: Batch) -> Lesson:
        """What it makes of a batch."""
        self.model.to(device=batch.input_ids_BS.device, dtype=self._student.dtype)
        assert batch.labels_BT is not None, "rows of training have targets"
        ids_BS, ids_BT = (
            batch.input_ids_BS,
            self.model.prepare_decoder_input_ids_from_labels(batch.labels_BT),
        )
        self._watch.begin()
        if batch.packing is not None:
            packed = PackedBatch(batch.packing)
            seen = (batch.pixel_values_NCHW, False, batch.region_values_XV)
            _, last = packed_states(self.model, packed, ids_BS, ids_BT, *seen)
        else:
            encoder, mask_BS = self.model.encoder, batch.attention_mask_BS
            pixels_NCHW, regions_XV = batch.pixel_values_NCHW, batch.region_values_XV
            memory_BSM = encoder(ids_BS, mask_BS, pixels_NCHW, region_values=regions_XV)[0]
            embedded_BTM = encoder.embed_target(ids_BT, 0)
            last = self.model.decoder(embedded_BTM, memory_BSM, mask_BS, None, None)
        logits = self.spec.logits > 0
        return Lesson(
            seen=self._watch.end(),
            last=last if logits else None,
            head=self.model.head() if logits else None,
            temperature=self.spec.temperature,
            labels_BT=batch.labels_BT,
            mask_BS=batch.attention_mask_BS,
            packing=batch.packing,
        )


class Taught(Objective):
    """One of the losses of a lesson.

    Args:
        name: of `LOSSES`.
        weight: what it is multiplied by.
        teacher: gives the lesson; None where an objective before it asks for that.
    """

    reads_logits = False

    def __init__(self, name: str, weight: float, teacher: Teacher | None) -> None:
        super().__init__(weight)
        self.name, self.teacher = name, teacher
        self.per = "token" if name == "logits" else "row"

    def inputs(self, batch: Batch) -> Mapping[str, Any]:
        return {} if self.teacher is None else {"lesson": self.teacher.lesson(batch)}

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        assert output.taught is not None, "the model has a `student`"
        return output.taught[self.name]


def teacher_of(run: Run, model: Backbone, vocabulary: Vocabulary) -> Teacher | None:
    """The teacher of a run, if it has one; the model learns from it from now on.

    Args:
        run: names it.
        model: whose weights are known, and which of them are trained.
        vocabulary: of the run.

    Raises:
        UserError: at the run's `teacher`, where it cannot teach this model.
    """
    spec = run.teacher
    if spec is None:
        return None
    refuse_unfit_teacher(run, vocabulary, sizes_of(run))
    assert isinstance(model, UnifiedVLForConditionalGeneration), "others are refused"
    saved = load_model(spec.model)
    torch.manual_seed(draw_seed(run.seed, "teacher") % 2**63)
    width = saved.model.config.d_model
    learns = {key: bool(getattr(spec, key)) for key in ("hidden", "attention")}
    model.student = Student(model, width, **learns)
    return Teacher(saved.model, spec, model, digest_of(spec.model), frozenset(saved.specs))


def digest_of(folder: Path) -> str:
    """Of the files of a saved model that decide what it computes."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in (".safetensors", ".json") and path.is_file():
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def objectives_of_teacher(teacher: Teacher | None, weight: float) -> dict[str, Objective]:
    """The losses of a task's lessons, by the name that a run's record calls them.

    Args:
        teacher: of the run, if it has one.
        weight: of the task.
    """
    if teacher is None:
        return {}
    asked = [name for name in LOSSES if getattr(teacher.spec, name)]
    return {
        f"teacher_{name}": Taught(
            name, weight * getattr(teacher.spec, name), None if place else teacher
        )
        for place, name in enumerate(asked)
    }


def fingerprint_of(teacher: Teacher) -> dict[str, object]:
    """What has to be the same for a checkpoint to be continued."""
    return {"files": teacher.digest, **teacher.spec.model_dump(mode="json", exclude={"model"})}


def untaught(teacher: Teacher | None, tasks: Mapping[str, object]) -> str | None:
    """What to say of tasks that the teacher was not trained on; else None."""
    unknown = [] if teacher is None else [name for name in tasks if name not in teacher.tasks]
    if not unknown:
        return None
    return f"the teacher was not trained on {', '.join(unknown)}, and teaches it all the same"

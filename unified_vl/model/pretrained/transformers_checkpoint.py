"""A checkpoint of `transformers` as something to start from: its own modules compute.

Legend: V rows of the vocabulary, M width.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from unified_vl.codecs.row_names import row_names
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.codecs.texts.published import PublishedText, has_text, published_text
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import IMAGE_TAG, Vocabulary, frame_ids, region_ids
from unified_vl.errors import UserError, nearest
from unified_vl.files import read_json_object
from unified_vl.model.backbones.adapter import TransformersBackbone
from unified_vl.model.backbones.checkpoint import image_settings, load_backbone, refuse_others
from unified_vl.model.backbones.configuration import OWN, TransformersConfig, family_of
from unified_vl.model.backbones.saved import saved_backbone
from unified_vl.model.image_encoders.registry import settled
from unified_vl.model.pretrained.pretrained import InMemory
from unified_vl.model.pretrained.rows import NOISE_OF_OUTPUTS, RowPlan, fill_rows, plan_rows
from unified_vl.model.pretrained.starting import Start
from unified_vl.model.pretrained.tensor_files import TensorFiles, weight_files
from unified_vl.model.saved_configuration import CONFIG, TOKENIZER
from unified_vl.specs.run import Run

KEY = "model"
SPARE = 256  # rows that a checkpoint may have behind those of its tokenizer
FREE = ("from", "dropout_rate")  # keys that a run may give of any such model


class TransformersCheckpoint:
    """What `save_pretrained` wrote, or this project's saved model of such an architecture.

    Args:
        directory: of it.

    Raises:
        UserError: naming the file that is missing or broken, or of another kind.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.about = f"the model {directory}"
        self._path = directory / CONFIG
        self._values = read_json_object(self._path)
        self._own = OWN in self._values
        try:
            self.family = family_of(self._values)
            if self._own:
                saved_backbone(self._values, self._path)
            self._images = {} if self._own else image_settings(directory)
        except UserError as error:
            if error.file is None:
                error.file = str(self._path)
            raise

    def settled(self, run: Run) -> Run:
        """The run, whose model keys are all of use and contradict nothing.

        Raises:
            UserError: at a key that only this project's own architecture reads.
        """
        given = run.model.model_dump(mode="json", exclude_unset=True)
        vision = given.pop("vision", {})
        own_branch = not self.family.reads_images
        for key in given:
            if key not in FREE:
                raise self._idle(run, (KEY, key), [*FREE, "vision"])
        for key in () if own_branch else vision:
            if key != "image_size":
                raise self._idle(run, (KEY, "vision", key), ["image_size"])
        return run

    def _idle(self, run: Run, path: tuple[str, ...], known: Sequence[str]) -> UserError:
        return run.error(
            path,
            f"a {self.family.model_type} model does not read this",
            expected=f"one of {', '.join(known)}, or no such key: {self.about} decides it",
            nearest=nearest(path[-1], known),
        )

    def configuration(
        self, run: Run, vocabulary: Vocabulary, text: TextCodec
    ) -> TransformersConfig:
        """That of a run's model, whose embedding has the rows of a vocabulary. Ids that the modules
        know by their number are those that mean the same there.

        Raises:
            UserError: for images that the model cannot take, also those in codes, special ids that
                are not its own, or sequences that are longer than its positions.
        """
        if vocabulary.image_tokenizer is not None:
            raise run.error(
                ("tokenizer",),
                f"a {self.family.model_type} model reads and writes no images in codes",
                expected="a tokenizer without an image tokenizer",
            )
        beyond = (("videos", frame_ids(vocabulary)), ("regions", region_ids(vocabulary)))
        for what in (name for name, ids in beyond if ids):
            raise run.error(
                ("tokenizer",),
                f"a {self.family.model_type} model reads no {what}",
                expected="a tokenizer of tasks without them, or a model of this project's own",
            )
        keys = self._own_keys(run)
        vision = run.model.vision
        if self.family.reads_images and "image_size" in vision.model_fields_set:
            keys["image_size"] = tuple(vision.image_size)
        config = TransformersConfig(
            self._values,
            **keys,
            image_token_id=vocabulary.tag_id(IMAGE_TAG),
            dropout_rate=run.model.dropout_rate,
            task_tags=run.loaded_mixture.tags,
            vocabulary_fingerprint=vocabulary.fingerprint,
        )
        self._refuse_other_ids(run, config, vocabulary)
        plan = self._plan(row_names(vocabulary, text), len(text), config.vocab_size)
        config.family.move_ids(config.theirs, self._numbers(config, plan))
        config.family.set_rows(config.theirs, vocabulary.size)
        _ = config.image_tokens  # sizes that do not fit show here
        _refuse_long(run, config)
        return config

    def _own_keys(self, run: Run) -> dict[str, Any]:
        if self._own:
            saved = saved_backbone(self._values, self._path)
            keys: dict[str, Any] = {"mean": saved.mean, "std": saved.std, "vision": saved.vision}
            if self.family.reads_images:
                keys["image_size"] = saved.image_size
            if not (run.model.vision.model_fields_set and saved.vision is not None):
                return keys
            given = run.model.vision.model_dump(mode="json", exclude_unset=True)
            for key, value in given.items():
                if key != "freeze" and saved.vision.get(key) != value:
                    raise run.error(
                        (KEY, "vision", key),
                        f"found {value!r}, but {self.about} has {saved.vision.get(key)!r}",
                        expected="that, or no such key: it is known from the weights",
                    )
            return keys
        if self.family.reads_images:
            return dict(self._images)
        return {"vision": settled(run.model.vision.model_dump(mode="json"))}

    def _refuse_other_ids(
        self, run: Run, config: TransformersConfig, vocabulary: Vocabulary
    ) -> None:
        own = {"pad_id": config.pad_token_id, "eos_id": config.eos_token_id}
        for key, theirs in own.items():
            if (found := getattr(vocabulary, key)) != theirs:
                raise run.error(
                    ("tokenizer",),
                    f"its {key} is {found}, that of {self.about} {theirs}",
                    expected="the checkpoint's own tokenizer (unified-vl tokenizer adopt)",
                )

    def model(
        self, config: TransformersConfig, names: Sequence[str | None], pieces: int, seed: int
    ) -> tuple[TransformersBackbone, Start]:
        """The model with the checkpoint's weights, and rows for a vocabulary.

        Args:
            config: of `configuration`.
            names: what the rows of its embedding stand for (`codecs.row_names`).
            pieces: how many of them are the text tokenizer's, which is the checkpoint's.
            seed: of the run.

        Raises:
            UserError: naming the weight that is missing, too much, or of another shape.
        """
        torch.manual_seed(seed)
        rows = config.vocab_size
        count = TransformersConfig(self._values).vocab_size
        config.family.set_rows(config.theirs, count)
        backbone = self._load(config)
        plan = self._plan(names, pieces, count)
        with torch.no_grad():
            before = {table: weight.clone() for table, weight in backbone.tables().items()}
            biases = backbone.biases()
            backbone.resize(rows)
            backbone.set_biases(biases, plan.taken)
            for table, weight_VM in backbone.tables().items():
                source = InMemory(self.directory, {table: before[table]})
                fill_rows(weight_VM, source, table, plan, seed=seed, noise=NOISE_OF_OUTPUTS)
        taken = Counter(str(names[i]).partition(":")[0] for i in plan.taken)
        fresh = backbone.vision is not None and not self._own
        return backbone, Start(
            about=self.about,
            fingerprint=self.fingerprint,
            rows=dict(taken),
            new=[str(names[i]) for i in plan.new],
            between=len(plan.between),
            fresh=["the image branch"] if fresh else [],
            resized=[],
            unused=[],
        )

    def _load(self, config: TransformersConfig) -> TransformersBackbone:
        """The model as it lies there."""
        return load_backbone(self.directory, config, check=True, fresh_vision=not self._own)

    def in_memory(self) -> InMemory:
        """All weights that are there, by the names of a `TransformersBackbone`.

        Raises:
            UserError: as `model`.
        """
        if self._own:
            config = saved_backbone(self._values, self._path)
        else:
            config = TransformersConfig(self._values)
        return InMemory(self.directory, self._load(config).state_dict(), self.fingerprint)

    def _plan(self, names: Sequence[str | None], pieces: int, count: int) -> RowPlan:
        """Where each row is from: by what it stands for in the checkpoint's tokenizer; where none
        lies beside the weights, the ids of pieces mean the same."""
        if self._own:
            saved = row_names(*load_tokenizer(self.directory / TOKENIZER))
            return plan_rows(names, saved, count)
        if has_text(self.directory):
            published = self._published
            pieces, theirs = len(published.text), published.names[:count]
        elif count - pieces <= SPARE:
            theirs = list(names[:pieces])
        else:
            raise UserError(
                f"its text tokenizer has {pieces} pieces, {self.about} {count} rows and no "
                "tokenizer beside them",
                field="tokenizer",
                expected="the checkpoint's own tokenizer files in its directory",
            )
        if pieces > count:
            raise UserError(
                f"its tokenizer has {pieces} pieces, its embedding {count} rows",
                file=self.directory,
                expected="the tokenizer that its weights were trained with",
            )
        return plan_rows(names, [*theirs, *[None] * (count - len(theirs))], count)

    @cached_property
    def _published(self) -> PublishedText:
        return published_text(self.directory)

    def _numbers(self, config: TransformersConfig, plan: RowPlan) -> dict[int, int]:
        """The ids that the modules know by their number, and what number each has in the run.

        Raises:
            UserError: where the run's tokenizer has none that means the same.
        """
        new_of = {row: i for i, row in plan.taken.items()}
        known = config.family.known_ids(config.theirs)
        for i in known:
            if i not in new_of:
                raise UserError(
                    f"it has nothing that id {i} of {self.about} stands for, which the model's "
                    "modules need",
                    field="tokenizer",
                    expected="the checkpoint's tokenizer (unified-vl tokenizer adopt)",
                )
        return {i: new_of[i] for i in known}

    @cached_property
    def fingerprint(self) -> str:
        refuse_others(self.directory)
        files = TensorFiles(weight_files(self.directory))
        said = hashlib.sha256(self._path.read_bytes()).hexdigest()
        return hashlib.sha256(f"{files.fingerprint()} {said}".encode()).hexdigest()[:16]


def _refuse_long(run: Run, config: TransformersConfig) -> None:
    most = config.most_positions
    for key in ("max_source_tokens", "max_target_tokens"):
        if most is not None and getattr(run, key) > most:
            raise run.error(
                (key,),
                f"found {getattr(run, key)}, but the model has {most} positions",
                expected=f"at most {most}",
            )

"""The parts of a run, put together as its run file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from unified_vl.authoring.checking.runs import (
    refuse_other_vocabulary,
    refuse_own_computing,
    refuse_two_streams,
)
from unified_vl.codecs.image_codes import ImageCodec
from unified_vl.codecs.model_codec import model_codec
from unified_vl.codecs.row_names import row_names
from unified_vl.codecs.sequence import SequenceCodec, load_tokenizer
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import IMAGE_TAG, Vocabulary, frame_ids, region_ids
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.code_cache import cache_directory
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.closed_answers import learn_choices
from unified_vl.data.rows.other_rows import train_rows
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.shards.shard_stream import ShardStream
from unified_vl.data.shards.sharded_rows import ShardedRows
from unified_vl.data.streams import KEPT_ROWS, WINDOW_BATCHES, TaskStream
from unified_vl.data.workers import Workers
from unified_vl.image_tokenizer.image_tokenizer import load_image_tokenizer
from unified_vl.kinds.detected.regions import PLACE_TAG
from unified_vl.model.backbone import Backbone, BackboneConfig
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.image_encoders.registry import settled, start_encoder
from unified_vl.model.initialization import start_codes_from_codebook
from unified_vl.model.pretrained.starting import Start, start_from
from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.run import Run
from unified_vl.specs.runs.augment_rules import taken
from unified_vl.specs.runs.run_paths import refuse_unusable_paths, told_at_its_key
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName
from unified_vl.specs.tasks.example import IMAGE_MASK_TAG
from unified_vl.training.beginning import Beginning, backbone_config, backbone_model
from unified_vl.training.course.uncounted import refuse_uncounted
from unified_vl.training.distillation.teacher import (
    Teacher,
    objectives_of_teacher,
    teacher_of,
)
from unified_vl.training.objectives.masked_regions import guesses_regions
from unified_vl.training.objectives.objective import Objective
from unified_vl.training.objectives.registry import objectives_of
from unified_vl.training.schedules.registry import make_schedule
from unified_vl.training.schedules.schedule import Schedule
from unified_vl.training.tuning.trained import choose_trained


@dataclass(frozen=True)
class Parts:
    """What a run trains, on what, in which order.

    Attributes:
        specs: the tasks by name, in the order of the mixture.
        weights: what each task's loss is multiplied by.
        objectives: of each task, by name, beside the loss of its target tokens.
        validation: streams of the tasks that have a validation split, whose first window
            is what is validated on; none when the run asks for no validation rows.
        teacher: that the model learns from, where the run names one.
        start: what the weights are from, where they do not start at random.
    """

    model: Backbone
    codec: SequenceCodec
    specs: dict[str, TaskSpec]
    weights: dict[str, float]
    objectives: dict[str, dict[str, Objective]]
    schedule: Schedule
    streams: dict[str, TaskStream]
    validation: dict[str, TaskStream]
    start: Start | None = None
    teacher: Teacher | None = None

    @property
    def reads_momentum(self) -> bool:
        """Whether any objective reads a momentum copy of the weights."""
        return any(each.reads_momentum for of in self.objectives.values() for each in of.values())


def build(beginning: Run | Beginning) -> Parts:
    """Everything but the engine; the weights are a function of the run's seed, and of what it
    starts from.

    Args:
        beginning: a run that starts at random, or how one begins.

    Raises:
        UserError: for a tokenizer, model key, data file or spec that does not fit.
    """
    if not isinstance(beginning, Beginning):
        beginning = Beginning(beginning)
    run = beginning.run
    refuse_unusable_paths(run)
    refuse_uncounted(run)
    vocabulary, text = load_tokenizer(run.tokenizer)
    image_tokenizer = load_image_tokenizer(run.tokenizer, vocabulary)
    theirs = backbone_config(beginning, vocabulary, text)
    config = model_config(run, vocabulary, image_tokenizer) if theirs is None else theirs
    codec = make_codec(run, config, vocabulary, text, image_tokenizer)
    mixture = run.loaded_mixture
    specs = {spec.task: spec for spec in mixture.specs}
    refuse_other_vocabulary(run, vocabulary)
    reading = _Reading(run, codec, ImageLoader(run.data, config.image_size, fit=config.image_fit))
    validated = [s for s in specs.values() if run.validation_rows and "validation" in s.data.splits]
    streams = {name: reading.stream(spec, "train") for name, spec in specs.items()}
    specs = {name: learn_choices(spec, run.data) for name, spec in specs.items()}
    codebook = None if image_tokenizer is None else image_tokenizer.codebook
    names = row_names(vocabulary, text)
    model, start = _model_of(beginning, config, names, codebook, len(text))
    teacher = teacher_of(run, model, vocabulary)
    with told_at_its_key(run):
        objectives = {
            task: objectives_of(entry, mixture, config, codec)
            | objectives_of_teacher(teacher, entry.weight)
            for task, entry in zip(specs, mixture.tasks, strict=True)
        }
    return Parts(
        model=model,
        codec=codec,
        specs=specs,
        weights=dict(zip(specs, (entry.weight for entry in mixture.tasks), strict=True)),
        objectives=objectives,
        schedule=make_schedule(mixture, rows_of(streams), run.seed),
        streams=streams,
        validation={
            spec.task: reading.stream(spec, "validation", streams[spec.task].data)
            for spec in validated
        },
        start=start,
        teacher=teacher,
    )


class _Reading:
    """How the tasks of a run are read: with one loader of images and the same threads for all.

    Args:
        run: the run.
        codec: gives the ids.
        images: loads the images.
    """

    def __init__(self, run: Run, codec: SequenceCodec, images: ImageLoader) -> None:
        self._run, self._codec, self._images = run, codec, images
        self._workers = Workers(run.workers)
        tasks = run.loaded_mixture.tasks
        specs = run.loaded_mixture.specs
        guesses = zip(specs, (entry.masked_region_classes for entry in tasks), strict=True)
        self._guessing = {spec.task for spec, weight in guesses if weight}

    def stream(self, spec: TaskSpec, split: SplitName, train: TaskData | None = None) -> TaskStream:
        """The batches of a split.

        Args:
            spec: the task.
            split: to train on, or to validate on.
            train: the rows of the train split, where they are known; shots come from them.
        """
        run, codec, mixture = self._run, self._codec, self._run.loaded_mixture
        data: TaskData
        if spec.data.stream and split == "train":
            data = ShardedRows(spec, run.data, run.rows, run.seed)
        else:
            data = TaskData(spec, split, run.data)
        builder = ExampleBuilder(
            spec,
            self._images,
            mixture.tags,
            codec=codec,
            rows=data,
            train=train_rows(spec, run.data, data if train is None else train),
            code_cache=cache_directory(),
            augment=taken(run.augment, spec) if split == "train" else (),
            region_labels=split == "train" and spec.task in self._guessing,
        )
        if isinstance(data, ShardedRows):
            return ShardStream(
                data, builder, codec, seed=run.seed, packed=run.packing, workers=self._workers
            )
        rows = min(run.validation_rows, len(data))
        return TaskStream(
            data,
            builder,
            codec,
            seed=run.seed,
            batch_size=run.rows,
            batch_tokens=run.batch_tokens,
            random_picks=split == "train",
            window=WINDOW_BATCHES if split == "train" else -(-rows // run.rows),
            packed=run.packing,
            sketch=builder.unread(),
            kept=KEPT_ROWS // len(mixture.specs),
            workers=self._workers,
        )


def rows_of(streams: Mapping[str, TaskStream]) -> dict[str, int]:
    """The rows of each task's train split, of those that have been counted."""
    return {task: len(each.data) for task, each in streams.items() if not each.data.streamed}


def _model_of(
    beginning: Beginning,
    config: UnifiedVLConfig | TransformersConfig,
    names: Sequence[str | None],
    codebook: torch.Tensor | None,
    pieces: int,
) -> tuple[Backbone, Start | None]:
    """The model, what of it is trained, and what it started from, if from anything."""
    run = beginning.run
    model: Backbone
    if isinstance(config, TransformersConfig):
        refuse_own_computing(run)
        model, start = backbone_model(beginning, config, names, pieces)
    else:
        model, start = _own_model(beginning, config, names, codebook)
    branch = model.image_branch
    if branch is not None and (start is None or start.has_fresh_images):
        with told_at_its_key(run):
            start_encoder(branch.features, run.model.vision.model_dump(mode="json"))
    if run.activation_checkpointing:
        model.checkpoint_activations()
    choose_trained(model, run)
    return model, start


def _own_model(
    beginning: Beginning,
    config: UnifiedVLConfig,
    names: Sequence[str | None],
    codebook: torch.Tensor | None,
) -> tuple[UnifiedVLForConditionalGeneration, Start | None]:
    """A model of this project's architecture, and what it started from, if from anything."""
    run, pretrained = beginning.run, beginning.pretrained
    refuse_two_streams(run, two_streams=config.two_streams)
    if pretrained is not None:
        assert not isinstance(pretrained, TransformersCheckpoint)
        with told_at_its_key(run):
            return start_from(pretrained, config, names, run.seed, codebook)
    torch.manual_seed(run.seed)
    model = UnifiedVLForConditionalGeneration(config)
    if codebook is not None:
        start_codes_from_codebook(model, codebook)
    return model, beginning.start


def model_config(
    run: Run, vocabulary: Vocabulary, image_tokenizer: ImageCodec | None = None
) -> UnifiedVLConfig:
    """The configuration that the run's `model` keys ask for, at the tokenizer's size.

    Raises:
        UserError: at the key, for images that a backbone or an image tokenizer cannot take.
    """
    codes = vocabulary.image_codes
    masks = IMAGE_MASK_TAG in vocabulary.tags
    regions = PLACE_TAG in vocabulary.tags
    keys = run.model.model_dump(mode="json", exclude={"from_"})
    with told_at_its_key(run):
        keys["vision"] = settled(keys["vision"])
        config = UnifiedVLConfig(
            vocab_size=vocabulary.size,
            image_token_id=vocabulary.tag_id(IMAGE_TAG),
            frame_token_ids=list(frame_ids(vocabulary)) or None,
            regions_token_id=vocabulary.tag_id(PLACE_TAG) if regions else None,
            region_heads=regions and any(map(guesses_regions, run.loaded_mixture.tasks)),
            region_token_ids=list(region_ids(vocabulary)) or None,
            location_token_ids=[vocabulary.locations.start, vocabulary.locations.stop],
            code_token_ids=None if image_tokenizer is None else [codes.start, codes.stop],
            code_mask_id=vocabulary.tag_id(IMAGE_MASK_TAG) if masks else None,
            code_downsampling=None if image_tokenizer is None else image_tokenizer.downsampling,
            vocabulary_fingerprint=vocabulary.fingerprint,
            pad_token_id=vocabulary.pad_id,
            eos_token_id=vocabulary.eos_id,
            decoder_start_token_id=vocabulary.pad_id,  # as in T5
            matching_head=any(task.matching for task in run.loaded_mixture.tasks),
            task_tags=run.loaded_mixture.tags,
            **keys,
        )
        _ = config.image_tokens, config.code_grid  # sizes that do not fit each other show here
    return config


def make_codec(
    run: Run,
    config: BackboneConfig,
    vocabulary: Vocabulary,
    text: TextCodec,
    image_tokenizer: ImageCodec | None = None,
) -> SequenceCodec:
    """The codec with the run's limits and the model's images."""
    codec = model_codec(
        config,
        vocabulary,
        text,
        image_tokenizer,
        max_source=run.max_source_tokens,
        max_target=run.max_target_tokens,
    )
    if codec.code_images is not None:
        places = codec.code_images.places
        written = any(spec.answer_form.image for spec in run.loaded_mixture.specs)
        if written and run.max_target_tokens <= places:
            raise run.error(
                ("max_target_tokens",),
                f"an image alone takes {places} codes",
                expected=f"more than {places}",
            )
    if run.max_source_tokens <= config.image_tokens:
        raise run.error(
            ("max_source_tokens",),
            f"an image alone takes {config.image_tokens} tokens",
            expected=f"more than {config.image_tokens}",
        )
    return codec

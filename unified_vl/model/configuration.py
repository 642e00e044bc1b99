"""The sizes and choices of a model, saved beside its weights as `config.json`."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from unified_vl.auto_classes import AUTO_MAP, MODEL_TYPE
from unified_vl.codecs.image_codes import code_grid
from unified_vl.codecs.region_values import RegionSizes
from unified_vl.codecs.strips import HEAD
from unified_vl.errors import UserError, nearest
from unified_vl.kinds.hooks.fits import Fit, Pack, fit_of
from unified_vl.model.image_encoders.registry import grid_size
from unified_vl.specs.runs.vision import ENCODERS, OF_TRAINING, VisionSpec
from unified_vl.specs.task import TaskTags


class UnifiedVLConfig(PretrainedConfig):
    """Sizes of the encoder-decoder and of its image branch.

    The text path is that of T5 v1.1 (arXiv 2002.05202, 1910.10683).

    Args:
        vocab_size: rows of the embedding (`Vocabulary.size`).
        d_model, d_kv, d_ff: width of the model, of a head, of the feed-forward layer.
        num_layers, num_decoder_layers, num_heads: depth and heads.
        relative_attention_num_buckets, relative_attention_max_distance: T5's
            relative position buckets.
        bias_per_layer: every layer has position biases of its own (umT5), not only
            the first (T5, mT5).
        scale_attention: divide scores by the square root of d_kv (arXiv 1706.03762, section
            3.2.1). False for T5, which folds this into small initial queries: Adafactor's
            relative updates suit them, Adam's, all of one size, are too rough.
        scale_decoder_output: multiply by d_model ** -0.5 before the head (T5 with a
            tied head).
        activation: of the feed-forward layer, or of its gate: `gelu_new` (tanh form), `gelu`,
            `silu` or `relu`.
        gated: the feed-forward layer is a gated linear unit (arXiv 2002.05202), as in T5 v1.1; two
            products without a gate in T5 v1.0 (arXiv 1910.10683).
        tie_word_embeddings: the head is the embedding.
        image_token_id: the id that holds an image's places in a source.
        frame_token_ids: the ids that hold the places of a video's first frame, of its second, ...;
            their embeddings say which frame it is. None where no video is read.
        regions_token_id: the id that holds a region's place in a source; None where no tokenizer
            knows regions.
        region_token_ids: the ids that name an image's first region, its second, ...; their
            embeddings are added to the regions.
        region_features: numbers of a region's feature; None where no regions are read.
        region_classes: classes of the detector that the model reads; None for none.
        region_attributes: attributes, likewise.
        region_heads: whether there are heads that guess what is hidden of regions.
        location_token_ids: first location id and the one behind the last; they start alike
            where they are near.
        code_token_ids: first id of the image codes and the one behind the last; None where
            images are neither read nor written as codes.
        code_mask_id: the id that stands for a masked code.
        code_downsampling: pixels of a side of what one code stands for.
        code_image_size: (height, width) in pixels of all images in codes; that of the image
            branch unless given.
        encoder: `kind` is `joint`, or `two_streams`, of whose layers the last `cross_layers` are
            cross-modal.
        vision: the image branch; keys of `VisionSpec`. `kind` is one of `image_encoders.registry`.
        matching_head: whether a head tells if an image and a text belong together.
        task_tags: what told tasks apart in training (a mixture's `tags`); sources for this
            model are built in the same way.

    Raises:
        UserError: for an unknown key or kind in `vision`, or a size that the downsampling of
            codes does not divide.
    """

    model_type = MODEL_TYPE
    attribute_map = {  # noqa: RUF012 (transformers reads a plain class attribute)
        "hidden_size": "d_model",
        "num_attention_heads": "num_heads",
        "num_hidden_layers": "num_layers",
        "head_dim": "d_kv",
    }

    def __init__(
        self,
        vocab_size: int = 32128,
        d_model: int = 512,
        d_kv: int = 64,
        d_ff: int = 1024,
        num_layers: int = 8,
        num_decoder_layers: int | None = None,
        num_heads: int = 6,
        relative_attention_num_buckets: int = 32,
        relative_attention_max_distance: int = 128,
        bias_per_layer: bool = False,
        dropout_rate: float = 0.0,
        layer_norm_epsilon: float = 1e-6,
        scale_attention: bool = True,
        scale_decoder_output: bool = False,
        activation: str = "gelu_new",
        gated: bool = True,
        tie_word_embeddings: bool = False,
        image_token_id: int | None = None,
        frame_token_ids: list[int] | None = None,
        regions_token_id: int | None = None,
        region_token_ids: list[int] | None = None,
        region_features: int | None = None,
        region_classes: int | None = None,
        region_attributes: int | None = None,
        region_heads: bool = False,
        location_token_ids: list[int] | None = None,
        code_token_ids: list[int] | None = None,
        code_mask_id: int | None = None,
        code_downsampling: int | None = None,
        code_image_size: list[int] | None = None,
        encoder: dict[str, Any] | None = None,
        vision: dict[str, Any] | None = None,
        vocabulary_fingerprint: str | None = None,
        matching_head: bool = False,
        task_tags: TaskTags = "task",
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.d_model = d_model
        self.d_kv = d_kv
        self.d_ff = d_ff
        self.num_layers = num_layers
        self.num_decoder_layers = num_decoder_layers or num_layers
        self.num_heads = num_heads
        self.relative_attention_num_buckets = relative_attention_num_buckets
        self.relative_attention_max_distance = relative_attention_max_distance
        self.bias_per_layer = bias_per_layer
        self.dropout_rate = dropout_rate
        self.layer_norm_epsilon = layer_norm_epsilon
        self.scale_attention = scale_attention
        self.scale_decoder_output = scale_decoder_output
        self.activation = activation
        self.gated = gated
        self.image_token_id = image_token_id
        self.frame_token_ids = frame_token_ids
        self.regions_token_id = regions_token_id
        self.region_token_ids = region_token_ids
        self.region_features = region_features
        self.region_classes = region_classes
        self.region_attributes = region_attributes
        self.region_heads = region_heads
        self.location_token_ids = location_token_ids
        self.code_token_ids = code_token_ids
        self.code_mask_id = code_mask_id
        self.code_downsampling = code_downsampling
        self.code_image_size = code_image_size
        self.encoder = {"kind": "joint", "cross_layers": None, **(encoder or {})}
        if self.two_streams and self.encoder["cross_layers"] is None:
            self.encoder["cross_layers"] = -(-num_layers // 2)
        self.vision = _complete_vision(vision)
        self.vocabulary_fingerprint = vocabulary_fingerprint
        self.matching_head = matching_head
        self.task_tags = task_tags
        kwargs["tie_word_embeddings"] = tie_word_embeddings
        kwargs["auto_map"] = dict(AUTO_MAP)
        kwargs.setdefault("is_encoder_decoder", True)
        kwargs.setdefault("pad_token_id", 0)
        kwargs.setdefault("eos_token_id", 1)
        kwargs.setdefault("decoder_start_token_id", 0)
        super().__init__(**kwargs)

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoConfig") -> None:
        """Nothing: a saved model names the package, and no copy of a file of it."""

    @property
    def two_streams(self) -> bool:
        """Whether the encoder reads text and images in streams of their own."""
        return bool(self.encoder["kind"] == "two_streams")

    def refuse_two_streams(self, field: str, done: str) -> None:
        """What is only done to a joint encoder.

        Args:
            field: that asks for it.
            done: what it asks for.

        Raises:
            UserError: for an encoder of two streams.
        """
        if self.two_streams:
            raise UserError(
                f"a model whose encoder has two streams cannot be {done}",
                field=field,
                expected="a model of a joint encoder",
            )

    @property
    def cross_layers(self) -> int:
        """Layers of the encoder in which two streams meet."""
        return int(self.encoder["cross_layers"] or 0)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the network reads."""
        height, width = self.vision["image_size"]
        return int(height), int(width)

    @property
    def image_fit(self) -> Fit:
        """How images are brought to that size."""
        return fit_of(self.vision)

    @property
    def pixels_size(self) -> tuple[int, int]:
        """(height, width) of the tensors that images come in: strips, where they are packed."""
        fit = self.image_fit
        if isinstance(fit, Pack):
            return fit.side, (HEAD + self.image_tokens) * fit.side
        return self.image_size

    @property
    def code_grid(self) -> tuple[int, int] | None:
        """Rows and columns of an image's codes; None where there are no codes."""
        if self.code_token_ids is None or self.code_downsampling is None:
            return None
        side = self.code_downsampling
        try:
            height, width = self.code_image_size or self.image_size
            return code_grid(height, width, side)
        except ValueError as error:
            key, expected = "model.code_image_size", f"multiples of {side}, the side of a code"
            raise UserError(str(error), field=key, expected=expected) from error

    @property
    def around_image(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids that stand before and behind an image's places: none."""
        return (), ()

    @property
    def region_sizes(self) -> RegionSizes | None:
        """Of the regions that the model reads; None where it reads none."""
        if self.region_features is None or self.regions_token_id is None:
            return None
        return RegionSizes(self.region_features, self.region_classes, self.region_attributes)

    @property
    def image_tokens(self) -> int:
        """Tokens of one image in a source; the most, where images are packed."""
        rows, columns = grid_size(self.vision)
        return rows * columns


def _complete_vision(vision: dict[str, Any] | None) -> dict[str, Any]:
    given = vision or {}
    defaults: dict[str, Any] = VisionSpec().model_dump(mode="json")
    of_training = {key: defaults.pop(key) for key in OF_TRAINING}
    given = {key: v for key, v in given.items() if (key, v) not in of_training.items()}
    for key in given:
        if key not in defaults:
            raise UserError(
                f"unknown key {key!r}",
                field="model.vision",
                expected=f"one of {', '.join(defaults)}",
                nearest=nearest(key, defaults),
            )
    merged = {**defaults, **given}
    if merged["kind"] not in ENCODERS:
        raise UserError(
            f"unknown kind {merged['kind']!r}",
            field="model.vision.kind",
            expected=f"one of {', '.join(ENCODERS)}",
            nearest=nearest(str(merged["kind"]), ENCODERS),
        )
    return merged

"""The `config.json` of a saved model: that of its run, and what tokenizer and mixture decided."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from unified_vl.auto_classes import AUTO_MAP
from unified_vl.parts import FOLLOWERS
from unified_vl.specs.reading.document import Document, Problem, refuse
from unified_vl.specs.runs.model import Architecture
from unified_vl.specs.task import TaskTags

Id = Annotated[int, Field(ge=0, lt=1 << 22)]
Tokens = Annotated[int, Field(ge=2, le=1 << 20)]
Text = Annotated[str, Field(min_length=1)]
Attention = Literal["eager", "sdpa"] | None  # what else `transformers` knows loads foreign code
DType = Literal["float32", "bfloat16", "float16"] | None


class SavedModelSpec(Architecture, Document):
    """Every key that a saved model's configuration may have.

    A model directory is input: whatever is not a key of this model, or a known remark of
    `transformers`, is refused and not passed on to its loaders.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_type: Literal["unified_vl"]
    vocab_size: Annotated[int, Field(ge=1, le=1 << 22)]
    image_token_id: Id | None = None
    frame_token_ids: tuple[Id, ...] | None = None
    regions_token_id: Id | None = None
    region_token_ids: tuple[Id, ...] | None = None
    region_heads: bool = False
    location_token_ids: tuple[Id, Id] | None = None
    code_token_ids: tuple[Id, Id] | None = None
    code_mask_id: Id | None = None
    code_downsampling: Annotated[int, Field(ge=1, le=1 << 13)] | None = None
    vocabulary_fingerprint: Text
    text_fingerprint: Text
    matching_head: bool = False
    task_tags: TaskTags = "task"
    int8: bool = False
    max_source_tokens: Tokens
    max_target_tokens: Tokens
    pad_token_id: Id = 0
    eos_token_id: Id = 1
    decoder_start_token_id: Id = 0
    # remarks of transformers, which change nothing
    architectures: tuple[str, ...] | None = None
    attn_implementation: Attention = None
    attention: Attention = Field(default=None, alias="_attn_implementation")
    dtype: DType = None
    torch_dtype: DType = None
    transformers_version: str | None = None
    is_encoder_decoder: bool = True
    use_cache: bool = True
    name_or_path: str | None = Field(default=None, alias="_name_or_path")
    auto_map: dict[str, str] | None = None

    @model_validator(mode="after")
    def _obey_rules(self) -> SavedModelSpec:
        refuse([*self.problems(), *_ids(self), *_code(self)])
        return self


REMARKS = (
    *("architectures", "attn_implementation", "attention", "dtype", "torch_dtype"),
    *(
        "transformers_version",
        "is_encoder_decoder",
        "use_cache",
        "name_or_path",
        "model_type",
        "auto_map",
    ),
)


SINGLE = ("pad_token_id", "eos_token_id", "image_token_id", "regions_token_id", "code_mask_id")
RANGES = ("location_token_ids", "code_token_ids")
LISTS = ("frame_token_ids", "region_token_ids")


def _code(saved: SavedModelSpec) -> Iterator[Problem]:
    if saved.auto_map is not None and saved.auto_map != dict(AUTO_MAP):
        yield Problem(("auto_map",), "names other code", expected="what this project writes")


def _ids(saved: SavedModelSpec) -> Iterator[Problem]:
    for key in (*SINGLE, "decoder_start_token_id"):
        number = getattr(saved, key)
        if number is not None and number >= saved.vocab_size:
            yield Problem((key,), f"found {number}", expected=f"below {saved.vocab_size}")
    for key in RANGES:
        pair = getattr(saved, key)
        if pair is not None and not pair[0] < pair[1] <= saved.vocab_size:
            found, ends = f"found {list(pair)}", f"two ascending ids up to {saved.vocab_size}"
            yield Problem((key,), found, expected=ends)
    for key in LISTS:
        for number in getattr(saved, key) or ():
            if number >= saved.vocab_size:
                found, expected = f"found {number}", f"below {saved.vocab_size}"
                yield Problem((key,), found, expected=expected)
    yield from _shared_ids(saved)


def _shared_ids(saved: SavedModelSpec) -> Iterator[Problem]:
    """Special ids that are those of another: an end that is padding is never written."""
    taken = [
        (key, *((number, number + 1) if key in SINGLE else number))
        for key in (*SINGLE, *RANGES)
        if (number := getattr(saved, key)) is not None
    ]
    taken += [(key, n, n + 1) for key in LISTS for n in getattr(saved, key) or ()]
    for place, (key, first, end) in enumerate(taken):
        for other, its_first, its_end in taken[:place]:
            if first < its_end and its_first < end:
                found = f"found {[first, end]}" if key in RANGES else f"found {first}"
                yield Problem((key,), found, expected=f"another id than that of {other}")
                break


FOLLOWERS.append(partial(SavedModelSpec.model_rebuild, force=True))

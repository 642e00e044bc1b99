"""Examples of one task to tensors.

Legend: B batch, S source length, T target length, N images of the batch in the order
of their rows, C channels, H height, W width, X regions of the batch, V numbers of a region, Y
hidden ones whose classes are known, L numbers of such.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from unified_vl.codecs.region_values import joined_labels
from unified_vl.codecs.sequence import Encoded, SequenceCodec
from unified_vl.data.counts import Counts, counts_of
from unified_vl.data.example import Example
from unified_vl.data.packing import Change, Packing, pack
from unified_vl.errors import BadRow

IGNORED = -100  # a label without a target, as torch's cross-entropy has it
LENGTH_MULTIPLE = 4  # batch times length fills matrix units; rounder lengths are mostly padding


@dataclass(frozen=True)
class EncodedExample:
    """An example with its ids; what a batch is put together from.

    Attributes:
        example: where it came from.
        source: ids and images of the source.
        target: ids of the target; None where the example has none.
        without: ids and images of the source that guidance compares with; None where there is
            none.
    """

    example: Example
    source: Encoded
    target: Encoded | None
    without: Encoded | None = None

    @property
    def length(self) -> int:
        """Ids of source and target together: what the example costs in a batch."""
        return len(self.source.ids) + (0 if self.target is None else len(self.target.ids))


def length_of(example: Example, codec: SequenceCodec) -> int:
    """`EncodedExample.length` of an example whose images need not be decoded.

    Raises:
        BadRow: as `encode_example` does.
        UserError: likewise.
    """
    asked = example.has_target or bool(example.target)
    try:
        target = codec.target_length(example.target) if asked else 0
        return target + codec.source_length(example.source)
    except BadRow as error:  # in place of `naming`, which costs every row more
        raise named(error, example) from error


def encode_example(
    example: Example, codec: SequenceCodec, *, with_target: bool = True
) -> EncodedExample:
    """Ids of one example; a target of nothing is the end alone, unless it was not asked for.

    Args:
        example: the example.
        codec: gives the ids.
        with_target: whether the target is learnt from; an answer may be longer than any that fits.

    Raises:
        BadRow: when the source or the target does not fit even without its text.
        UserError: for a tag that the tokenizer does not know.
    """
    asked = with_target and (example.has_target or bool(example.target))
    with naming(example):
        target = codec.encode_target(example.target) if asked else None
        without = codec.encode_source(example.without) if example.without else None
        return EncodedExample(example, codec.encode_source(example.source), target, without)


@contextmanager
def naming(example: Example) -> Iterator[None]:
    """Say of which row it is that its sequence does not fit.

    Raises:
        BadRow: as the codec does, with the row's place.
    """
    try:
        yield
    except BadRow as error:
        raise named(error, example) from error


def named(error: BadRow, example: Example) -> BadRow:
    """What does not fit, with the place of its row."""
    return BadRow(error.message, file=example.where, expected=error.expected)


@dataclass(frozen=True)
class Found:
    """What was found of rows when they were read, not before: by one rank, or by all.

    Attributes:
        bad: rows that could not be read, in whose place others are: `file:row` to what is wrong.
        truncated: rows that were read though an image of theirs ends early.
        begun: of a streamed task, which files began to be read: the lane, and where
            (`data.shards.sharded_rows`).
    """

    bad: Mapping[str, str] = field(default_factory=dict)
    truncated: tuple[str, ...] = ()
    begun: tuple[tuple[int, tuple[int, int, int]], ...] = ()

    @classmethod
    def merged(cls, several: Iterable[Found]) -> Found:
        """All of it, in an order that does not depend on who found it."""
        found = tuple(several)
        bad = {row: problem for each in found for row, problem in each.bad.items()}
        truncated = {row for each in found for row in each.truncated}
        begun = {begin for each in found for begin in each.begun}
        return cls(dict(sorted(bad.items())), tuple(sorted(truncated)), tuple(sorted(begun)))

    def __bool__(self) -> bool:
        return bool(self.bad or self.truncated or self.begun)


@dataclass(frozen=True)
class Batch:
    """Tensors of one task.

    Attributes:
        task: name of the task of every row.
        input_ids_BS: int64, 0 where padded.
        attention_mask_BS: int64, 1 for an id and 0 for padding.
        pixel_values_NCHW: uint8, the images in the order of the rows and, within a
            row, of its source; None when no row has one.
        labels_BT: int64, -100 where padded; None when the examples have no targets.
        region_values_XV: float32, the regions in the order of their places, as
            `codecs.region_values` has them; None when no row has any.
        region_labels_YL: float32, what hidden ones are to be guessed as, likewise; the model does
            not read it.
        images_in_rows: how many of the images are each row's; a video's frames are as many.
        examples: B examples, in the order of the rows.
        target_tokens: labels that are not padding.
        global_rows: of the batch that this is a share of.
        counts: its ids, images and pairs of ids.
        places: ids that are computed: with padding, unless they are packed.
        packing: how it is computed without padding, where it shall be.
        skipped: bad rows left out where these rows were chosen, which every rank knows:
            `file:row` to what is wrong with it.
        found: what else was found when the rows of this rank's share were read.
    """

    task: str
    input_ids_BS: torch.Tensor
    attention_mask_BS: torch.Tensor
    pixel_values_NCHW: torch.Tensor | None
    labels_BT: torch.Tensor | None
    examples: tuple[Example, ...]
    target_tokens: int
    global_rows: int = 0
    counts: Counts = field(default_factory=Counts)
    places: int = 0
    packing: Packing | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    found: Found = field(default_factory=Found)
    region_values_XV: torch.Tensor | None = None
    images_in_rows: tuple[int, ...] = ()
    region_labels_YL: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device; from pinned memory, it may still be under way."""
        return self.changed(lambda tensor: tensor.to(device, non_blocking=True))

    def changed(self, change: Change) -> Batch:
        """The same batch with something done to each of its tensors."""
        pixels_NCHW, labels_BT = self.pixel_values_NCHW, self.labels_BT
        regions_XV, labels_YL = self.region_values_XV, self.region_labels_YL
        return replace(
            self,
            input_ids_BS=change(self.input_ids_BS),
            attention_mask_BS=change(self.attention_mask_BS),
            pixel_values_NCHW=None if pixels_NCHW is None else change(pixels_NCHW),
            labels_BT=None if labels_BT is None else change(labels_BT),
            packing=None if self.packing is None else self.packing.changed(change),
            region_values_XV=None if regions_XV is None else change(regions_XV),
            region_labels_YL=None if labels_YL is None else change(labels_YL),
        )

    def model_inputs(self) -> dict[str, torch.Tensor | None]:
        """What the encoder reads: `input_ids`, `attention_mask`, `pixel_values` and, where there
        are regions, `region_values`."""
        regions_XV = self.region_values_XV
        return {
            **({} if regions_XV is None else {"region_values": regions_XV}),
            "input_ids": self.input_ids_BS,
            "attention_mask": self.attention_mask_BS,
            "pixel_values": self.pixel_values_NCHW,
        }


def collate_encoded(
    rows: Sequence[EncodedExample],
    pad_to_multiple: int = LENGTH_MULTIPLE,
    *,
    packed: bool = False,
) -> Batch:
    """Pad examples that are encoded already; both lengths become multiples.

    Few distinct shapes keep kernels and position biases reusable.

    Args:
        rows: of one task.
        pad_to_multiple: of which lengths are.
        packed: whether training computes them without that padding.
    """
    tasks = {row.example.task for row in rows}
    if len(tasks) != 1:
        raise ValueError(f"a batch holds rows of one task, not of {sorted(tasks)}")
    input_ids_BS, mask_BS = pad(
        [row.source.ids for row in rows], rows[0].source.pad_id, pad_to_multiple
    )
    labels_BT, target_tokens, packing = None, 0, None
    lengths_B = [len(row.source.ids) for row in rows]
    places = input_ids_BS.size
    targets = [row.target.ids for row in rows if row.target is not None]
    if len(targets) == len(rows):
        labels_BT, _ = pad(targets, IGNORED, pad_to_multiple)
        target_tokens = sum(map(len, targets))
        places += labels_BT.size
        if packed:
            widths = input_ids_BS.shape[1], labels_BT.shape[1]
            packing = pack(lengths_B, [len(ids) for ids in targets], *widths)
            places = sum(lengths_B) + target_tokens
    elif targets:
        raise ValueError("some examples of the batch have a target and some have none")
    images_HWC = [image for row in rows for image in row.source.images]
    pixels_NCHW = None
    if images_HWC:
        # numpy, not torch: outside the main thread torch would start threads of its own
        images_CHW = [image_HWC.transpose(2, 0, 1) for image_HWC in images_HWC]
        stacked_NCHW = np.empty((len(images_CHW), *images_CHW[0].shape), np.uint8)
        pixels_NCHW = torch.from_numpy(np.stack(images_CHW, out=stacked_NCHW))
    regions = [values_RV for row in rows for values_RV in row.source.regions]
    labels_YL = joined_labels(
        (sum(map(len, row.source.regions)), row.source.region_labels) for row in rows
    )
    return Batch(
        task=tasks.pop(),
        input_ids_BS=torch.from_numpy(input_ids_BS),
        attention_mask_BS=torch.from_numpy(mask_BS.astype(np.int64)),
        pixel_values_NCHW=pixels_NCHW,
        labels_BT=None if labels_BT is None else torch.from_numpy(labels_BT),
        examples=tuple(row.example for row in rows),
        target_tokens=target_tokens,
        counts=counts_of(lengths_B, [len(ids) for ids in targets], len(images_HWC)),
        places=places,
        packing=packing,
        region_values_XV=torch.from_numpy(np.concatenate(regions)) if regions else None,
        images_in_rows=tuple(len(row.source.images) for row in rows),
        region_labels_YL=None if labels_YL is None else torch.from_numpy(labels_YL),
    )


def pad(
    sequences: Sequence[Sequence[int]], filler: int, multiple: int
) -> tuple[np.ndarray, np.ndarray]:
    """(B, L) int64, L a multiple of `multiple`, and the mask of what is not padding."""
    lengths_B = np.fromiter(map(len, sequences), np.int64, len(sequences))
    longest = -(-int(lengths_B.max()) // multiple) * multiple
    mask_BL = np.arange(longest) < lengths_B[:, None]
    ids_BL = np.full((len(sequences), longest), filler, dtype=np.int64)
    ids_BL[mask_BL] = np.concatenate([np.asarray(s, dtype=np.int64) for s in sequences])
    return ids_BL, mask_BL

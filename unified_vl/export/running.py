"""Exported graphs in onnxruntime, compared with the model that they came from.

Legend: B sources, S source length, T target length, N images, M width (d_model), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unified_vl.errors import UserError
from unified_vl.export.onnx_files import ENCODER, FIRST, NEXT
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

LIMIT = 1e-3  # of float32; of logits, whose spread is about 1 to 10
LEAST_COSINE = 0.95  # of int8 on made-up input: far less means broken graphs, not rough ones
CASES = ((1, 1, 0), (1, 5, 1), (3, 40, 2))  # sources, ids of text, images
SPLITS = ((1, 2), (2, 5), (5, 6))  # positions that later steps read


@dataclass(frozen=True)
class Agreement:
    """How near graphs are to their model.

    Attributes:
        greatest: difference of hidden states and of logits.
        cosine: between the logits of a position, the mean of all.
        same_ids: the share of positions whose likeliest id is the same.
    """

    greatest: Mapping[str, float]
    cosine: float
    same_ids: float


class Sessions:
    """The three graphs of a folder."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._graphs = {
            name: onnxruntime.InferenceSession(
                str(folder / name), options, providers=["CPUExecutionProvider"]
            )
            for name in (ENCODER, FIRST, NEXT)
        }

    def encode(
        self, ids_BS: np.ndarray, mask_BS: np.ndarray, pixels_NCHW: np.ndarray | None
    ) -> np.ndarray:
        """Hidden states (B, S, M)."""
        given = {"input_ids": ids_BS, "attention_mask": mask_BS}
        if pixels_NCHW is not None:
            given["pixel_values"] = pixels_NCHW
        return self._run(ENCODER, given)["last_hidden_state"]

    def steps(
        self, memory_BSM: np.ndarray, mask_BS: np.ndarray, ids_BT: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Logits (B, t, V) of parts of a target, one behind the other."""
        found = self._run(
            FIRST,
            {
                "input_ids": ids_BT[:, :1],
                "encoder_attention_mask": mask_BS,
                "encoder_hidden_states": memory_BSM,
            },
        )
        yield found["logits"]
        kept = dict(found)
        for start, stop in SPLITS:
            past = {
                name.replace("present", "past_key_values"): value
                for name, value in kept.items()
                if name != "logits"
            }
            read = {"input_ids": ids_BT[:, start:stop], "encoder_attention_mask": mask_BS}
            found = self._run(NEXT, {**read, **past})
            kept |= found
            yield found["logits"]

    def _run(self, name: str, given: Mapping[str, np.ndarray]) -> dict[str, Any]:
        session = self._graphs[name]
        names = [each.name for each in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(given)), strict=True))


@torch.no_grad()
def compare(model: UnifiedVLForConditionalGeneration, folder: Path) -> Agreement:
    """Run graphs beside their model, on made-up sources and targets of several sizes.

    Args:
        model: in float32, as it was before it was exported.
        folder: of the graphs.
    """
    sessions = Sessions(folder)
    hidden, logits, cosines, same = 0.0, 0.0, [], []
    for number, (rows, words, images) in enumerate(CASES):
        ids_BS, mask_BS, pixels_NCHW, ids_BT = _made_up(model, number, rows, words, images)
        expected_BSM = model.encode(ids_BS, mask_BS, pixels_NCHW)
        expected_BTV = model(
            encoder_outputs=(expected_BSM,), attention_mask=mask_BS, decoder_input_ids=ids_BT
        ).logits
        pixels = None if pixels_NCHW is None else pixels_NCHW.numpy()
        found_BSM = sessions.encode(ids_BS.numpy(), mask_BS.numpy(), pixels)
        parts = sessions.steps(found_BSM, mask_BS.numpy(), ids_BT.numpy())
        found_BTV = torch.from_numpy(np.concatenate(list(parts), 1))
        read_BS1 = mask_BS[..., None]
        away_BSM = (torch.from_numpy(found_BSM) - expected_BSM) * read_BS1
        hidden = max(hidden, float(away_BSM.abs().max()))
        logits = max(logits, float((found_BTV - expected_BTV).abs().max()))
        cosines += torch.cosine_similarity(found_BTV, expected_BTV, dim=-1).flatten().tolist()
        same += (found_BTV.argmax(-1) == expected_BTV.argmax(-1)).flatten().tolist()
    found = {"hidden states": hidden, "logits": logits}
    return Agreement(found, sum(cosines) / len(cosines), sum(same) / len(same))


def refuse_far(found: Agreement, limit: float, *, int8: bool) -> None:
    """Raise where graphs are not near enough to their model.

    Raises:
        UserError: then.
    """
    greatest = max(found.greatest.values())
    if not int8 and not greatest <= limit:
        raise UserError(
            f"the graphs differ from the model by {greatest:.2e}",
            field="--limit",
            expected=f"at most {limit:g}",
        )
    if int8 and not found.cosine >= LEAST_COSINE:
        raise UserError(
            f"the int8 graphs' logits have a mean cosine of {found.cosine:.4f} with the model's",
            field="--int8",
            expected=f"at least {LEAST_COSINE}",
        )


def _made_up(
    model: UnifiedVLForConditionalGeneration, seed: int, rows: int, words: int, images: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Ids (B, S), mask, pixels (N, 3, H, W) and target ids (B, T)."""
    config = model.config
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        found = torch.randint(3, config.vocab_size, shape, generator=generator)
        return found.masked_fill(found.eq(image_id), 3)

    sees = model.encoder.vision is not None
    image_id = int(config.image_token_id or 0) if sees else 0
    places = config.image_tokens if sees else 0
    ids_BS = draw(rows, words + places * bool(images))
    pixels_NCHW = None
    if sees:
        shape = (max(images, 1), 3, *config.image_size)
        pixels_NCHW = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        ids_BS[:images, :places] = image_id
    mask_BS = torch.ones_like(ids_BS)
    mask_BS[-1, len(mask_BS[0]) - words // 3 :] = 0
    return ids_BS, mask_BS, pixels_NCHW, draw(rows, SPLITS[-1][1])

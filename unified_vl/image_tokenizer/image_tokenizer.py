"""Images to a grid of codes and back: a quantised autoencoder (VQGAN, arXiv 2012.09841).

    tokenizers/image/NAME/config.json          what it is made of
    tokenizers/image/NAME/model.safetensors    its weights

Legend: B batch, H height, W width, h and w those of the grid of codes, N = h * w,
C channels of a vector.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from unified_vl.codecs.image_codes import code_grid
from unified_vl.codecs.sequence import IMAGE_TOKENIZER
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import UserError
from unified_vl.files import read_json_object, write_atomically
from unified_vl.image_tokenizer.convolutions import Decoder, Encoder, LocalEncoder
from unified_vl.image_tokenizer.quantizer import Quantizer
from unified_vl.specs.image_tokenizer import ConvolutionSpec, QuantizerSpec

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


class ImageTokenizer(nn.Module):
    """Encoder, quantiser and decoder.

    Args:
        model: the convolutions.
        quantizer: the codes.
        projected: whether 1 x 1 convolutions stand on both sides of the quantiser, as in
            VQGAN's weights.
    """

    def __init__(
        self, model: ConvolutionSpec, quantizer: QuantizerSpec, *, projected: bool = False
    ) -> None:
        super().__init__()
        self.model_spec = model
        self.quantizer_spec = quantizer
        self.projected = projected
        self.encoder = Encoder(model) if model.local_encoder is None else LocalEncoder(model)
        self.decoder = Decoder(model)
        inside = nn.Conv2d if projected else nn.Identity
        self.before = inside(model.latent, model.latent, 1)
        self.after = inside(model.latent, model.latent, 1)
        self.quantizer = Quantizer(quantizer, model.latent)

    @property
    def downsampling(self) -> int:
        """Pixels of a side of what one code stands for."""
        return self.model_spec.downsampling

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    @property
    def codes(self) -> int:
        """Number of different codes."""
        return self.quantizer_spec.size

    @property
    def codebook(self) -> torch.Tensor:
        """The vectors (K, C) that all codes stand for."""
        codes_1K = torch.arange(self.codes, device=self.device)[None]
        with torch.no_grad():
            return self.quantizer.vectors(codes_1K)[0]

    def forward(self, pixels_B3HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What comes back of images in -1 to 1, their codes (B, N), and the quantiser's loss."""
        z_BChw = self.before(self.encoder(pixels_B3HW))
        vectors_BNC, codes_BN, loss = self.quantizer(z_BChw.flatten(2).transpose(1, 2))
        return self._decoded(vectors_BNC.to(z_BChw.dtype), *z_BChw.shape[2:]), codes_BN, loss

    @torch.no_grad()
    def encode(self, pixels_BHW3: np.ndarray) -> np.ndarray:
        """Codes (B, h, w) of uint8 RGB images.

        Raises:
            ValueError: when a side is no multiple of `downsampling`.
        """
        _, height, width, _ = pixels_BHW3.shape
        code_grid(height, width, self.downsampling)
        pixels = torch.from_numpy(np.array(pixels_BHW3)).to(self.device)
        z_BChw = self.before(self.encoder(to_floats(pixels)))
        codes_BN = self.quantizer.codes(z_BChw.flatten(2).transpose(1, 2))
        return codes_BN.view(-1, *z_BChw.shape[2:]).cpu().numpy()

    @torch.no_grad()
    def decode(self, codes_Bhw: np.ndarray) -> np.ndarray:
        """Images (B, H, W, 3) in uint8 RGB of grids of codes.

        Raises:
            ValueError: for a code that there is none of.
        """
        if codes_Bhw.size and not 0 <= codes_Bhw.min() <= codes_Bhw.max() < self.codes:
            raise ValueError(f"codes are 0 to {self.codes - 1}")
        codes = torch.from_numpy(codes_Bhw.astype(np.int64)).to(self.device)
        vectors_BNC = self.quantizer.vectors(codes.flatten(1))
        return to_bytes(self._decoded(vectors_BNC, *codes.shape[1:])).cpu().numpy()

    def _decoded(self, vectors_BNC: torch.Tensor, height: int, width: int) -> torch.Tensor:
        grid_BChw = vectors_BNC.transpose(1, 2).unflatten(2, (height, width))
        return self.decoder(self.after(grid_BChw))

    @property
    def fingerprint(self) -> str:
        """Changes whenever a code would mean something else."""
        return hashlib.sha256(self._weights()).hexdigest()[:16]

    def _weights(self) -> bytes:
        state = self.state_dict().items()
        return save({name: value.detach().cpu().clone().contiguous() for name, value in state})

    def save_pretrained(self, directory: Path, facts: Mapping[str, Any] | None = None) -> None:
        """Write `config.json` and `model.safetensors`; `facts` say how it came to be."""
        config = {
            "model": self.model_spec.model_dump(mode="json"),
            "quantizer": self.quantizer_spec.model_dump(mode="json"),
            "projected": self.projected,
            "facts": dict(facts or {}),
        }
        write_atomically(directory / WEIGHTS, self._weights())
        write_atomically(directory / CONFIG, json.dumps(config, indent=1))

    @classmethod
    def from_pretrained(cls, directory: Path) -> ImageTokenizer:
        """Read what `save_pretrained` wrote, in evaluation mode; nothing is unpickled.

        Raises:
            UserError: when a part is missing, broken, or does not fit the other.
        """
        config = directory / CONFIG
        weights = directory / WEIGHTS
        for path in (config, weights):
            if not path.is_file():
                raise UserError("there is no image tokenizer here", file=path)
        values = read_json_object(config)
        try:
            tokenizer = cls(
                ConvolutionSpec.model_validate(values["model"]),
                QuantizerSpec.model_validate(values["quantizer"]),
                projected=bool(values["projected"]),
            )
        except (KeyError, ValidationError) as error:
            raise UserError("this is no image tokenizer's configuration", file=config) from error
        try:
            tokenizer.load_state_dict(load(weights.read_bytes()))
        except (SafetensorError, RuntimeError) as error:
            said = str(error).strip().split("\n")[0]
            raise UserError(f"these are not its weights: {said}", file=weights) from error
        return tokenizer.eval()


def load_image_tokenizer(directory: Path, vocabulary: Vocabulary) -> ImageTokenizer | None:
    """The image tokenizer of a vocabulary with image codes; None for one without.

    Args:
        directory: of the vocabulary; the image tokenizer is in a folder of it.
        vocabulary: names the tokenizer that its codes are of.

    Raises:
        UserError: when it is missing, broken, or another one.
    """
    if vocabulary.image_tokenizer is None:
        return None
    tokenizer = ImageTokenizer.from_pretrained(directory / IMAGE_TOKENIZER)
    if tokenizer.fingerprint != vocabulary.image_tokenizer:
        raise UserError(
            f"this image tokenizer (fingerprint {tokenizer.fingerprint}) is not the one of the "
            "vocabulary beside it",
            file=directory / IMAGE_TOKENIZER,
            expected=f"fingerprint {vocabulary.image_tokenizer}",
        )
    return tokenizer


def to_floats(pixels_BHW3: torch.Tensor) -> torch.Tensor:
    """uint8 RGB (B, H, W, 3) to -1 to 1, (B, 3, H, W)."""
    return pixels_BHW3.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_bytes(pixels_B3HW: torch.Tensor) -> torch.Tensor:
    """-1 to 1, (B, 3, H, W), to uint8 RGB (B, H, W, 3)."""
    return ((pixels_B3HW.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

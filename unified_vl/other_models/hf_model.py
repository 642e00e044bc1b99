"""Models of transformers: image-text-to-text, sequence-to-sequence and causal ones.

Code of a model's directory is never run unless that is asked for, weights are read from safetensors
alone, and a chat template (Jinja) is rendered by transformers in its sandbox
(`ImmutableSandboxedEnvironment`: no files, no imports, no attributes of Python's own).

Legend: B rows, T tokens.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from unified_vl.errors import UserError, nearest
from unified_vl.inference.saved_models.model_directory import find_device
from unified_vl.model.backbones.checkpoint import quiet_transformers
from unified_vl.other_models.asking import Question
from unified_vl.other_models.hf_choices import score_choices
from unified_vl.other_models.hf_inputs import ENDS_ITS_PROMPTS, HfInputs, Refused, size_seen
from unified_vl.other_models.other_model import How, Respondent
from unified_vl.other_models.reading import Said

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class HfOptions:
    """How a model is loaded and asked.

    Attributes:
        device: cpu, cuda, ...; auto.
        dtype: of the weights, one of `Dtype`; auto is what they are saved in.
        chat_template: whether the model's own is used, where it has one.
        trust_remote_code: whether Python files of the model's directory are run.
    """

    device: str = "auto"
    dtype: str = "auto"
    chat_template: bool = True
    trust_remote_code: bool = False


class HfModel(Respondent):
    """A model of transformers, by its directory or its name on the Hub.

    Args:
        name: a directory, or NAME or OWNER/NAME on the Hub, with @REVISION where that is wished.
        options: how it is loaded.

    Raises:
        UserError: when there is none, it is of no such kind, needs code of its own, or lacks
            weights.
    """

    def __init__(self, name: str, options: HfOptions = HfOptions()) -> None:
        if options.dtype not in get_args(Dtype):
            raise UserError(
                f"found {options.dtype!r}",
                field="dtype",
                expected=f"one of {', '.join(get_args(Dtype))}",
                nearest=nearest(options.dtype, get_args(Dtype)),
            )
        directory, revision = _place(name)
        self._where: dict[str, Any] = {
            "pretrained_model_name_or_path": directory,
            "revision": revision,
            "trust_remote_code": options.trust_remote_code,
            "local_files_only": Path(directory).is_dir(),
        }
        self._name = name
        self._options = options
        device = find_device(options.device)
        config = self._loaded("AutoConfig")
        self.model_type = str(config.model_type)
        self.scores_choices = self.model_type not in ENDS_ITS_PROMPTS
        self._auto = _auto_class(config, name)
        self.model = self._with_weights(options).to(device).eval()
        images = self._auto == "AutoModelForImageTextToText"
        processor = self._loaded("AutoProcessor" if images else "AutoTokenizer")
        self._inputs = HfInputs(processor, self.model, reads_images=images, options=options)
        self._revision = getattr(config, "_commit_hash", None)

    @property
    def identity(self) -> Mapping[str, Any]:
        found = {
            "kind": "hf",
            "name": self._name,
            "revision": self._revision,
            "architecture": type(self.model).__name__,
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
            "weights": _fingerprint(self.model),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "chat_template": self._inputs.chats,
            "transformers": version("transformers"),
        }
        return {key: value for key, value in found.items() if value is not None}

    @torch.inference_mode()
    def respond(
        self, questions: Sequence[Question], how: How, batch_size: int
    ) -> Iterator[tuple[int, Said]]:
        self._inputs.refuse_images(questions)
        if how.choices:
            for place, question in enumerate(questions):
                with _refused() as said:
                    said.append(score_choices(self.model, self._inputs, question, how, batch_size))
                yield place, said[0]
            return
        # of one number of images, and of like length
        order = sorted(
            range(len(questions)),
            key=lambda i: (len(questions[i].images), len(questions[i].text)),
        )
        for batch in _batches(order, batch_size, lambda i: len(questions[i].images)):
            asked = [questions[place] for place in batch]
            yield from zip(batch, self._answered(asked, how), strict=True)

    def _answered(self, questions: Sequence[Question], how: How) -> list[Said]:
        """What the model writes; a question that its processor refuses has that as its error."""
        side: Literal["left", "right"] = "left"  # of what a causal model goes on with
        if self.model.config.is_encoder_decoder:
            side = "right"
        with _refused() as said:
            inputs = self._inputs.of(questions, bare=how.bare, padding_side=side)
            return self._written(questions, inputs, how)
        if len(questions) == 1:
            return said
        return [one for question in questions for one in self._answered([question], how)]

    def _written(
        self, questions: Sequence[Question], inputs: Mapping[str, Any], how: How
    ) -> list[Said]:
        settings = _generation(self.model, how, self._inputs.tokenizer)
        if how.generate.method == "sample":
            torch.manual_seed(how.generate.seed or 0)
        ids_BT = self.model.generate(**inputs, generation_config=settings)
        ids_BT = self._new(ids_BT, inputs["input_ids"])
        ends = _ends(settings)
        seen = size_seen(self._inputs.processor, inputs, questions)
        said = []
        for place, ids_T in enumerate(ids_BT.tolist()):
            ended = any(token in ends for token in ids_T)
            text = self._inputs.text(ids_T, ends, raw=how.raw_tokens)
            cut = not ended and len(ids_T) >= how.max_tokens
            said.append(Said(text, cut=cut, seen=seen[place]))
        return said

    def _new(self, ids_BT: torch.Tensor, prompt_BT: torch.Tensor) -> torch.Tensor:
        """What was written, without the start of a decoder, or the prompt, where it is repeated."""
        if self.model.config.is_encoder_decoder:
            return ids_BT[:, 1:]
        length = prompt_BT.shape[1]
        return ids_BT[:, length:] if torch.equal(ids_BT[:, :length], prompt_BT) else ids_BT

    def _with_weights(self, options: HfOptions) -> Any:
        """The model, all of whose weights its files have."""
        model, info = self._loaded(
            self._auto, dtype=options.dtype, use_safetensors=True, output_loading_info=True
        )
        lacking = sorted(info.get("missing_keys", ()))
        if lacking:
            raise UserError(
                f"{len(lacking)} weights are missing, the first {lacking[0]!r}",
                file=self._name,
                expected=f"all weights of {type(model).__name__}",
            )
        return model

    def _loaded(self, kind: str, **more: Any) -> Any:
        """A part of the model by its class of transformers, or one message of what is wrong."""
        import transformers

        # which transformers imports, and which otherwise says that it looks for a GPU
        os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
        try:
            with quiet_transformers():
                return getattr(transformers, kind).from_pretrained(**self._where, **more)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            first = next((line for line in str(error).splitlines() if line.strip()), kind)
            expected = None
            if "trust_remote_code" in str(error):
                first = "it is computed by code of its own directory"
                expected = "--trust-remote-code, where you have read that code and trust it"
            elif "safetensors" in str(error):
                expected = "weights in safetensors; pickles are not opened"
            raise UserError(first, file=self._name, expected=expected) from error


@contextmanager
def _refused() -> Iterator[list[Said]]:
    """Say in the list that a question is refused, where what is done inside does not take it.

    Raises:
        UserError: when there is no room for it.
    """
    said: list[Said] = []
    try:
        yield said
    except Refused as error:
        said.append(Said(error=str(error)))
    except torch.OutOfMemoryError as error:
        raise UserError(
            "a batch does not fit into memory",
            field="batch_size",
            expected="a smaller --batch-size, or --dtype bfloat16",
        ) from error


def _place(name: str) -> tuple[str, str | None]:
    """A directory, or a name of the Hub and its revision.

    Raises:
        UserError: for what is neither.
    """
    if Path(name).is_dir():
        return name, None
    hub_name, _, revision = name.partition("@")
    if not HUB_NAME.fullmatch(hub_name) or hub_name.startswith("."):
        raise UserError(
            "there is no such directory",
            file=f"hf:{name}",
            expected="the directory of a model, or OWNER/NAME on the Hub",
        )
    return hub_name, revision or None


def _auto_class(config: Any, name: str) -> str:
    """What loads a model for texts with images, or for texts alone.

    Raises:
        UserError: for a model that writes no text.
    """
    from transformers.models.auto import modeling_auto as auto

    own = getattr(config, "auto_map", None) or {}
    for kind, mapping in (
        ("AutoModelForImageTextToText", auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING),
        ("AutoModelForSeq2SeqLM", auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING),
        ("AutoModelForCausalLM", auto.MODEL_FOR_CAUSAL_LM_MAPPING),
    ):
        if kind in own or type(config) in mapping:
            return kind
    raise UserError(
        f"a {config.model_type!r} model writes no text",
        file=name,
        expected="an image-text-to-text, sequence-to-sequence or causal language model",
    )


def _generation(model: Any, how: How, tokenizer: Any) -> Any:
    """The spec's way of decoding in words of transformers."""
    from transformers import GenerationConfig

    given, own = how.generate, model.generation_config
    sampled = given.method == "sample"
    settings: dict[str, Any] = {
        "max_new_tokens": how.max_tokens,
        "do_sample": sampled,
        "num_beams": given.beams if given.method == "beam" else 1,
        "bos_token_id": own.bos_token_id,
        "eos_token_id": own.eos_token_id,
        "decoder_start_token_id": own.decoder_start_token_id,
        "forced_bos_token_id": getattr(own, "forced_bos_token_id", None),
        "pad_token_id": tokenizer.pad_token_id if own.pad_token_id is None else own.pad_token_id,
    }
    if settings["eos_token_id"] is None:
        settings["eos_token_id"] = tokenizer.eos_token_id
    if sampled:
        settings |= {"temperature": given.temperature or 1.0, "top_k": given.top_k or 0}
        settings |= {"top_p": given.top_p or 1.0}
    if given.length_penalty is not None:
        settings["length_penalty"] = given.length_penalty
    if given.repetition_penalty is not None:
        settings["repetition_penalty"] = given.repetition_penalty
    if given.no_repeat_ngram is not None:
        settings["no_repeat_ngram_size"] = given.no_repeat_ngram
    if given.min_tokens is not None:
        settings["min_new_tokens"] = given.min_tokens
    return GenerationConfig(**settings)


def _ends(settings: Any) -> frozenset[int]:
    ends = settings.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [ends])


def _batches(order: Sequence[int], size: int, group: Any) -> Iterator[list[int]]:
    """Places in batches whose members have one `group`."""
    batch: list[int] = []
    for place in order:
        if batch and (len(batch) == size or group(place) != group(batch[0])):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _fingerprint(model: Any) -> str:
    """Differs where weights do."""
    import hashlib

    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        digest.update(f"{name} {weight.sum(dtype=torch.float64).item()!r}".encode())
    return digest.hexdigest()[:16]

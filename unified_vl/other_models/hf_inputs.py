"""Questions as tensors, through a model's own chat template, processor and tokenizer.

Legend: B rows, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from unified_vl.errors import UserError
from unified_vl.other_models.asking import Question

if TYPE_CHECKING:
    from unified_vl.other_models.hf_model import HfOptions

PLACES_ITS_IMAGES = ("blip-2", "instructblip", "florence2", "kosmos-2", "pix2struct")
"""Families whose processor puts images before a text by itself, where there is no template."""
ENDS_ITS_PROMPTS = ("paligemma",)
"""Families whose processor writes an end behind a prompt: nothing may be written behind it, and all
of it is read in both directions, so no choice can be scored there."""
ANSWER = "\nAnswer:"  # behind a prompt that a base model goes on with


class Refused(Exception):
    """A question that a processor does not take."""


class HfInputs:
    """Makes inputs of a model.

    Args:
        processor: of images and texts, or a tokenizer.
        model: the model.
        reads_images: whether it does.
        options: how it is asked.
    """

    def __init__(
        self, processor: Any, model: Any, *, reads_images: bool, options: HfOptions
    ) -> None:
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self._model = model
        self._reads_images = reads_images
        holders = (processor, self.tokenizer)
        self._template = next((h for h in holders if getattr(h, "chat_template", None)), None)
        if not options.chat_template:
            self._template = None
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.truncation_side = "left"

    @property
    def chats(self) -> bool:
        """Whether questions go through a chat template."""
        return self._template is not None

    def refuse_images(self, questions: Iterable[Question]) -> None:
        """That a model of texts alone is not asked about images.

        Raises:
            UserError: where it is.
        """
        if not self._reads_images and any(question.images for question in questions):
            raise UserError(
                f"a {self._model.config.model_type!r} model reads no images",
                field="source",
                expected="an image-text-to-text model, or a task of texts",
            )

    def prompt(self, question: Question, *, bare: bool) -> str:
        """The whole text of a prompt, as the tokenizer gets it.

        Raises:
            UserError: for a template that cannot be rendered.
        """
        if self._template is None:
            return self._plain(question, bare)
        content: Any = [
            {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
            for part in question.parts
        ]
        if not self._reads_images:
            content = question.text  # what templates of language models expect
        asked = [{"role": "user", "content": content}]
        try:
            render = self._template.apply_chat_template
            found = str(render(asked, add_generation_prompt=True, tokenize=False))
            if not found.strip():
                raise ValueError("it writes nothing")
            return found
        except Exception as error:  # whatever a template of somebody else does
            raise UserError(
                f"the model's chat template cannot be rendered: {error}",
                expected="--no-chat-template, for a plain prompt",
            ) from error

    def of(
        self,
        questions: Sequence[Question],
        *,
        bare: bool,
        padding_side: Literal["left", "right"],
        behind: Sequence[str] = ("",),
    ) -> Mapping[str, Any]:
        """The tensors (B, ...) of questions, on the model's device.

        Args:
            questions: all with as many images.
            bare: whether a prompt is complete as it is.
            padding_side: where texts are filled up.
            behind: texts behind each prompt; of several every prompt is there with each.

        Raises:
            Refused: for what the processor does not take, such as the token of an image in a text.
            UserError: for a template that cannot be rendered.
        """
        texts = [
            self.prompt(question, bare=bare) + text for question in questions for text in behind
        ]
        images = [question.images for question in questions for _ in behind]
        self.tokenizer.padding_side = padding_side
        first = self.tokenizer.bos_token
        encoder = self._model.config.is_encoder_decoder
        options: dict[str, Any] = {"padding": True, "return_tensors": "pt"}
        if self.chats and not encoder:  # a template writes the first token itself
            options["add_special_tokens"] = bool(first and not texts[0].startswith(first))
        if self._reads_images:
            if any(images):
                options["images"] = images
            try:
                inputs = self.processor(text=texts, **options)
            except (ValueError, IndexError, RuntimeError) as error:
                raise Refused(f"its processor refuses it: {error}") from error
            return inputs.to(self._model.device, dtype=self._model.dtype)
        inputs = self.tokenizer(texts, **options)
        inputs.pop(
            "token_type_ids", None
        )  # which some tokenizers write and no model of texts reads
        return inputs.to(self._model.device)

    def text(self, ids: Sequence[int], ends: frozenset[int], *, raw: bool) -> str:
        """The text of generated ids, up to their end; with special tokens where they are part of
        it, as places in tokens are."""
        if not raw:
            return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()
        aside = {*ends, self.tokenizer.pad_token_id, self.tokenizer.bos_token_id}
        kept = [token for token in ids if token not in aside]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False)).strip()

    def _plain(self, question: Question, bare: bool) -> str:
        """A prompt without a template: images first, where the family wants to be told of them."""
        texts = [part for part in question.parts if isinstance(part, str)]
        family = self._model.config.model_type
        marks = ""
        if question.images and family not in PLACES_ITS_IMAGES:
            mark = getattr(self.processor, "image_token", None) or "<image>"
            after = "" if family in ENDS_ITS_PROMPTS else "\n"
            marks = f"{mark}{after}" * len(question.images)
        asks = bare or self._model.config.is_encoder_decoder or family in ENDS_ITS_PROMPTS
        return marks + "\n".join(texts) + ("" if asks else ANSWER)


def size_seen(
    processor: Any, inputs: Mapping[str, Any], questions: Sequence[Question]
) -> list[tuple[int, int] | None]:
    """(width, height) of each question's first image as the processor resized it, where it says."""
    grids = inputs.get("image_grid_thw")
    side = getattr(getattr(processor, "image_processor", None), "patch_size", None)
    if grids is None or not isinstance(side, int):
        return [None] * len(questions)
    found: list[tuple[int, int] | None] = []
    place = 0
    for question in questions:
        if question.images:
            _, down, across = (int(v) for v in grids[place])
            found.append((across * side, down * side))
        else:
            found.append(None)
        place += len(question.images)
    return found

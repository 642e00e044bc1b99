"""A saved model's tasks as a processor of `transformers`: values to tensors, and ids to answers.

Legend: B inputs, S source length, N images, C channels, H height, W width, T target length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BatchFeature, LogitsProcessorList, ProcessorMixin

from unified_vl.data.batching import EncodedExample, collate_encoded, encode_example
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.decoding.answer_rules import AnswerRules
from unified_vl.decoding.grammar_processor import GrammarProcessor
from unified_vl.errors import UserError
from unified_vl.hugging_face.asked import asked_fields, chosen_spec
from unified_vl.hugging_face.chat import last_question
from unified_vl.hugging_face.folders import settings_folder
from unified_vl.hugging_face.pixels import inputs_for
from unified_vl.hugging_face.post_processing import read_generated, unseen_examples
from unified_vl.hugging_face.tokenizer import UnifiedVLTokenizer
from unified_vl.inference.inputs import input_language, input_row, split_inputs
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.saved_models.model_directory import write_parts
from unified_vl.inference.saved_models.parts import SavedParts, load_parts
from unified_vl.inference.written.answer_reader import AnswerReader
from unified_vl.model.saved_configuration import CONFIG
from unified_vl.specs.task import TaskSpec


class TaskInputs(BatchFeature):
    """Tensors for a model: `input_ids` (B, S), `attention_mask` (B, S) and, where there are images,
    `pixel_values` (N, C, H, W).

    Attributes:
        spec: the task.
        examples: what is asked, B of them.
    """

    spec: TaskSpec
    examples: tuple[Example, ...]


class UnifiedVLProcessor(ProcessorMixin):
    """What `AutoProcessor` gives for a saved model.

    Args:
        tokenizer: the model's.
        parts: all of the model but its weights.
    """

    def __init__(self, tokenizer: UnifiedVLTokenizer, parts: SavedParts) -> None:
        super().__init__(tokenizer)  # type: ignore[no-untyped-call]
        self.parts = parts
        self._rules: dict[tuple[TaskSpec, torch.device], AnswerRules] = {}

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, name: str | Path, **options: Any
    ) -> UnifiedVLProcessor:
        """That of a saved model.

        Args:
            name: its folder, or its repository on the Hub.
            options: `revision`, `cache_dir`, `token`, ... of the Hub.

        Raises:
            UserError: naming the file, when a part is missing or broken.
        """
        parts = load_parts(settings_folder(name, options))
        codec = parts.codec
        return cls(UnifiedVLTokenizer(codec.vocabulary, codec.text, codec.max_source), parts)

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, **_: Any
    ) -> list[str]:
        """Write all of a model directory but its weights; with those that the model's own
        `save_pretrained` writes there, `UnifiedVL` loads it again."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        parts = self.parts
        write_parts(folder, parts.codec, parts.specs.values(), parts.shots, parts.facts)
        if not (folder / CONFIG).is_file():
            (folder / CONFIG).write_text(parts.config.to_json_string(), encoding="utf-8")
        return [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoProcessor") -> None:
        """Nothing: a saved model names the package, and no copy of a file of it."""

    def to_dict(self) -> dict[str, Any]:
        return {"processor_class": type(self).__name__}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: tasks {', '.join(self.tasks)}>"

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that the model was trained on."""
        return tuple(self.parts.specs)

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "pixel_values"]

    def __call__(
        self,
        images: Any = None,
        text: Any = None,
        *,
        task: str | TaskSpec | None = None,
        language: str | list[str] | None = None,
        return_tensors: str | None = None,
        **fields: Any,
    ) -> TaskInputs:
        """What the model reads, by the task's own templates; equal to `UnifiedVL.predict`'s.

        Args:
            images: one or a list, each a path, the bytes of a file, a `PIL.Image` or a uint8 array.
            text: what goes into the task's one field of text, one or a list.
            task: its name; may be left out where one task alone reads what is given.
            language: tag of the language, one for each input or one for all; may be left out
                where the task has one.
            return_tensors: "pt" or "np"; lists otherwise.
            fields: other fields of the task by name, and those that `text` leaves open.

        Raises:
            UserError: for an unknown task, field or language, a missing field, or an image that
                cannot be read.
        """
        spec = chosen_spec(self.parts.specs, task, images, text)
        named = asked_fields(spec, images, text, fields)
        inputs, _ = split_inputs(spec, named, language)
        rows = [input_row(spec, one, tag, index=i) for i, (one, tag) in enumerate(inputs)]
        builder = self._builder(spec)
        encoded = [self._encoded(builder.build(r, seed=None, with_target=False)) for r in rows]
        return self._tensors(spec, encoded, return_tensors)

    def _builder(self, spec: TaskSpec) -> ExampleBuilder:
        parts = self.parts
        return ExampleBuilder(
            spec,
            ImageLoader(None, parts.codec.image_size, fit=parts.codec.fit),
            parts.config.task_tags,
            codec=parts.codec,
            shots=parts.shots.get(spec.task) if parts.specs.get(spec.task) is spec else None,
        )

    def _encoded(self, example: Example) -> EncodedExample:
        return encode_example(example, self.parts.codec, with_target=False)

    def _tensors(
        self, spec: TaskSpec, encoded: Sequence[EncodedExample], kind: str | None
    ) -> TaskInputs:
        batch = collate_encoded(encoded)
        ids_BS, pixels_NCHW = batch.input_ids_BS, batch.pixel_values_NCHW
        if pixels_NCHW is not None:
            ids_BS, pixels_NCHW = inputs_for(self.parts.config, ids_BS, pixels_NCHW)
        found: dict[str, Any] = {"input_ids": ids_BS, "attention_mask": batch.attention_mask_BS}
        if pixels_NCHW is not None:
            found["pixel_values"] = pixels_NCHW
        if batch.region_values_XV is not None:
            found["region_values"] = batch.region_values_XV
        if kind == "np":
            found = {key: tensor.numpy() for key, tensor in found.items()}
        elif kind is None:
            found = {key: tensor.tolist() for key, tensor in found.items()}
        inputs = TaskInputs(found)
        inputs.spec, inputs.examples = spec, batch.examples
        return inputs

    def apply_chat_template(self, conversation: Any, *_: Any, **options: Any) -> Any:
        """The inputs of a chat's last question, as their pipelines and servers ask for them.

        Args:
            conversation: messages of `role` and `content`, or a list of such lists.
            options: `task`, `language`, `return_tensors`, fields, here or in `processor_kwargs`.

        Raises:
            UserError: where there are several questions, or a system's message: no task reads one.
        """
        chats = [conversation] if conversation and "role" in conversation[0] else conversation
        questions = [last_question(chat) for chat in chats]
        fields = {**options, **(options.get("processor_kwargs") or {})}
        for key in (
            "tokenize",
            "add_generation_prompt",
            "continue_final_message",
            "processor_kwargs",
        ):
            fields.pop(key, None)
        images = [images for images, _ in questions]
        return self(
            images=images if any(images) else None, text=[text for _, text in questions], **fields
        )

    def generation_arguments(self, inputs: TaskInputs) -> dict[str, Any]:
        """The spec's `generate` as arguments of `model.generate`: method, lengths, and its grammar,
        which lets an answer be what the task allows. `generate(**inputs, **these)` then writes the
        ids of `UnifiedVL.predict`; draws are others, and choices that `predict` ranks are searched.

        Args:
            inputs: of this processor, on the model's device.

        Raises:
            UserError: for a task with guidance, which `generate` has not.
        """
        how = inputs.spec.generate
        if how.guidance not in (None, 1.0):
            raise UserError(
                "guidance is not among what `generate` does",
                field="generate.guidance",
                expected="`UnifiedVL.predict`",
            )
        device = torch.as_tensor(inputs["input_ids"]).device
        rules = self._rules_of(inputs.spec, device)
        start = int(self.parts.config.decoder_start_token_id)
        grammar = GrammarProcessor(rules.grammar(), 1 + len(rules.prefix), inputs.examples)
        found: dict[str, Any] = {
            "max_new_tokens": how.max_tokens,
            "num_beams": how.beams,
            "do_sample": how.method == "sample",
            "length_penalty": 1.0 if how.length_penalty is None else how.length_penalty,
            "logits_processor": LogitsProcessorList([grammar]),
        }
        if how.method == "sample":
            found |= {"temperature": how.temperature or 1.0, "top_k": how.top_k or 0}
            found |= {"top_p": how.top_p or 1.0, "num_return_sequences": how.best_of or 1}
        if rules.prefix:
            ids = torch.tensor([[start, *rules.prefix]], device=device)
            found["decoder_input_ids"] = ids.expand(len(inputs.examples), -1)
        return found

    def _rules_of(self, spec: TaskSpec, device: torch.device) -> AnswerRules:
        if (spec, device) not in self._rules:
            parts = self.parts
            self._rules[spec, device] = AnswerRules(
                spec.generate,
                parts.codec,
                parts.config,
                device,
                spec.choices,
                spec.answer_form,
                spec.data.languages,
            )
        return self._rules[spec, device]

    def post_process(
        self,
        generated: Any,
        inputs: TaskInputs | None = None,
        *,
        task: str | TaskSpec | None = None,
        language: str | None = None,
        target_sizes: Sequence[tuple[int, int]] | None = None,
    ) -> list[Prediction]:
        """What generated ids say: words, shapes in pixels of the images, pictures.

        Args:
            generated: ids (B * K, T), the start id first, or what `generate` returns with
                `return_dict_in_generate`, whose scores are kept.
            inputs: what was asked; else
            task: its name,
            language: its tag where the task has several, and
            target_sizes: (height, width) of each input's image in pixels.

        Returns:
            K answers to each input, one after the other.

        Raises:
            UserError: for an unknown task or language, or where K is no whole number.
        """
        rows = [list(map(int, row)) for row in getattr(generated, "sequences", generated)]
        scores = getattr(generated, "sequences_scores", None)
        if inputs is None:
            spec = chosen_spec(self.parts.specs, task, None, None)
            tag = input_language(spec, language or spec.data.languages[0])
            examples = unseen_examples(spec, tag, target_sizes or [(1, 1)] * len(rows))
        else:
            spec, examples = inputs.spec, list(inputs.examples)
        rules = self._rules_of(spec, torch.device("cpu"))
        reader = AnswerReader(spec, self.parts.codec, rules)
        return read_generated(reader, self.parts.config, examples, rows, scores)

    def post_process_image_text_to_text(
        self, generated_outputs: Any, skip_special_tokens: bool = True, **options: Any
    ) -> list[str]:
        """The words of answers, as their pipelines ask for them.

        Ids that do not begin as a decoder's output does are a question's; a pipeline would take
        these words away from an answer's beginning, which here never repeats the question.
        """
        start = int(self.parts.config.decoder_start_token_id)
        rows = [list(map(int, row)) for row in generated_outputs]
        return [
            self.tokenizer.decode(row, skip_special_tokens=skip_special_tokens, **options)
            if row[:1] == [start]
            else ""
            for row in rows
        ]

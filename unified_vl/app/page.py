"""The page: a task, what it needs, and what the model says. Gradio draws it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from unified_vl.app.answer import MOST_ANSWERS, Ask, answer
from unified_vl.app.examples import PageExample
from unified_vl.app.inputs import MOST_CHARACTERS, Input, all_inputs, inputs_of
from unified_vl.evaluation.languages import language_of
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.kinds.registry import kind_of, names_where
from unified_vl.specs.task import TaskSpec

TITLE = "unified_vl"
WAITING = 32  # questions that may queue; one is answered at a time
KEPT_SECONDS = 3600  # uploads and answers, in the page's own folder
RELOAD = "The page is of an earlier model: reload it."
# of the answer; no field may have this name
LANGUAGE = Input("language", names_where(lambda kind: kind.names_language)[0])


def build_page(
    predictor: UnifiedVL,
    name: str,
    examples: Mapping[str, list[PageExample]],
    ask: Ask | None = None,
) -> gr.Blocks:
    """The page of a model.

    Tasks share the inputs of one name and kind, so that an image stays when the task changes.

    Args:
        predictor: the model.
        name: of the model, for the title.
        examples: by task; their images are in the page's own folder.
        ask: gives the answers; None asks the model itself.
    """
    specs = predictor.specs
    first = next(iter(specs.values()))
    with gr.Blocks(
        title=f"{TITLE}: {name}",
        analytics_enabled=False,
        delete_cache=(KEPT_SECONDS, KEPT_SECONDS),
    ) as page:
        gr.Markdown(f"# {TITLE}: {name}")
        with gr.Row():
            with gr.Column(scale=2):
                task = gr.Dropdown(list(specs), value=first.task, label="task", elem_id="task")
                about = gr.Markdown(first.about, elem_id="about")
                wanted = (LANGUAGE, *all_inputs(specs.values()))
                inputs = {one: _component(one, first) for one in wanted}
                count = gr.Slider(
                    1, MOST_ANSWERS, 1, step=1, label="answers to rank", elem_id="count"
                )
                button = gr.Button("Ask", variant="primary", elem_id="ask")
            with gr.Column(scale=3):
                picture = _drawing()
                said = gr.HTML(elem_id="said")
        tables = {t: _table(examples[t], specs[t], inputs, t == first.task) for t in examples}
        texts = [
            c.submit for one, c in inputs.items() if not one.has_pixels and not one.names_language
        ]
        gr.on(
            [button.click, *texts],  # the button, and Enter in a text
            partial(_answered, predictor, ask, list(inputs)),
            [task, count, *inputs.values()],
            [picture, said],
            # a file that is no image, or a value of an earlier model's page, would end before
            # us in a bare "Error"; ours is a message in the answer's place
            preprocess=False,
        )
        task.change(
            partial(_chosen, specs, list(inputs), list(tables)),
            task,
            [about, *inputs.values(), *tables.values()],
            show_progress="hidden",
            preprocess=False,
        )
        for of, table in tables.items():
            fill = partial(_filled, examples[of], list(inputs))
            table.click(fill, table, list(inputs.values()), show_progress="hidden")
    page.queue(max_size=WAITING, default_concurrency_limit=1)
    return page


def _drawing() -> gr.Image:
    return gr.Image(
        label="where",
        visible=False,
        interactive=False,
        format="png",
        buttons=["download", "fullscreen"],
        elem_id="picture",
    )


def _component(one: Input, first: TaskSpec) -> Any:
    """The widget of an input, as the first task has it."""
    state = _state(one, first)
    name = "language" if one is LANGUAGE else f"input-{one.name}-{one.kind}"
    name += "-many" if one.many else ""
    if one.is_image and one.many:
        return gr.Gallery(
            label=f"{one.label} (several)",
            type="filepath",
            format="png",
            file_types=["image"],
            sources=["upload", "clipboard"],
            columns=3,
            height=320,
            interactive=True,
            elem_id=name,
            **state,
        )
    if one.is_image:
        return gr.Image(
            label=one.label,
            type="filepath",
            image_mode=None,  # the file as it is: its reading is ours
            sources=["upload", "clipboard"],
            buttons=["fullscreen"],
            height=320,
            elem_id=name,
            **state,
        )
    if one.is_video:
        return gr.File(
            label=f"{one.label} (a video, or its frames)",
            file_count="multiple",
            file_types=["video", "image"],
            type="filepath",
            height=120,
            elem_id=name,
            **state,
        )
    if one.names_language:
        return gr.Dropdown(label=one.label, elem_id=name, **state)
    return gr.Textbox(
        label=f"{one.label} (a line each)" if one.many else one.label,
        lines=3 if one.many else 1,
        max_length=MOST_CHARACTERS,
        placeholder=kind_of(one.kind).page_hint,
        elem_id=name,
        **state,
    )


def _state(one: Input, spec: TaskSpec) -> dict[str, Any]:
    """What of a widget depends on the task."""
    if not one.names_language:
        return {"visible": one in inputs_of(spec)}
    tags = spec.data.languages
    needed = len(tags) > 1 if one == LANGUAGE else one in inputs_of(spec)
    names = [(_named(tag), tag) for tag in tags]
    return {"visible": needed, "choices": names, "value": tags[0]}


def _named(tag: str) -> str:
    language = language_of(tag)
    return (
        f"{language.own} ({language.english})" if language.own != language.english else language.own
    )


def _table(
    examples: list[PageExample], spec: TaskSpec, inputs: Mapping[Input, Any], visible: bool
) -> gr.Dataset:
    """The examples of a task as a table to click on."""
    shown = inputs_of(spec)
    if len(spec.data.languages) > 1:
        shown = (*shown, LANGUAGE)

    def cell(example: PageExample, one: Input) -> Any:
        value = example.language if one == LANGUAGE else example.values[one]
        return _named(str(value)) if one.names_language else value

    return gr.Dataset(
        label="examples",
        components=[inputs[one] if one.is_image else gr.Textbox(render=False) for one in shown],
        headers=[one.label for one in shown],
        samples=[[cell(example, one) for one in shown] for example in examples],
        type="index",
        visible=visible,
        elem_id=f"examples-{spec.task}",
    )


def _chosen(
    specs: Mapping[str, TaskSpec], inputs: list[Input], tables: list[str], task: str
) -> list[Any]:
    """What changes when a task is chosen."""
    if task not in specs:
        return [RELOAD, *(gr.skip() for _ in (*inputs, *tables))]
    spec = specs[task]
    return [
        spec.about,
        *(gr.update(**_state(one, spec)) for one in inputs),
        *(gr.update(visible=of == task) for of in tables),
    ]


def _filled(examples: list[PageExample], inputs: list[Input], index: int) -> list[Any]:
    """The values of an example; other inputs stay."""
    chosen = examples[index]
    values = {LANGUAGE: chosen.language, **chosen.values}
    return [values.get(one, gr.skip()) for one in inputs]


def _answered(
    predictor: UnifiedVL,
    ask: Ask | None,
    inputs: list[Input],
    task: str,
    count: float,
    *values: Any,
) -> tuple[Any, str]:
    given = dict(zip(inputs, values, strict=True))
    for one in inputs:
        if one.is_image and one.many:
            given[one] = [_path(each) for each in given[one] or ()]
        elif one.is_image:
            given[one] = _path(given[one])
    found = answer(predictor, task, given.pop(LANGUAGE), given, int(count), ask)
    return gr.update(value=found.picture, visible=found.picture is not None), found.html


def _path(value: Any) -> str | None:
    """The path of an uploaded file; a gallery has it within an item with a caption."""
    if isinstance(value, Mapping):
        return _path(value["image"]) if "image" in value else value.get("path")
    return None


def style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")

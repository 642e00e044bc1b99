"""What a run file names and asks for, before its training."""

from __future__ import annotations

from unified_vl.authoring.checking.findings import Findings, Severity
from unified_vl.authoring.checking.teachers import refuse_unfit_teacher
from unified_vl.authoring.checking.tokens import sizes_of, started
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.templates import task_tags
from unified_vl.errors import UserError
from unified_vl.model.image_encoders.registry import settled
from unified_vl.specs.run import Run
from unified_vl.specs.runs.run_paths import told_at_its_key, unusable_paths


def check_run(run: Run, findings: Findings, missing: Severity) -> None:
    """Find what would keep a run from training.

    Args:
        run: of `load_run`.
        findings: takes what is found.
        missing: what a folder is that is not there yet.
    """
    for error in unusable_paths(run):
        findings.add(error, missing)
    try:
        run, theirs = started(run)
    except UserError as error:
        findings.add(error, missing if error.field == "model.from" else "error")
        return
    try:
        if theirs is not None:
            refuse_own_computing(run)
        if run.tokenizer.is_dir():
            refuse_other_vocabulary(run, load_tokenizer(run.tokenizer)[0])
        with told_at_its_key(run):
            if theirs is None:
                settled(run.model.vision.model_dump(mode="json"))
        sizes = sizes_of(run, theirs)
        image_tokens = sizes.image_tokens
        if run.tokenizer.is_dir():
            refuse_unfit_teacher(run, load_tokenizer(run.tokenizer)[0], sizes)
    except UserError as error:
        findings.add(error)
        return
    if run.max_source_tokens <= image_tokens:
        findings.add(
            run.error(
                ("max_source_tokens",),
                f"an image alone takes {image_tokens} tokens",
                expected=f"more than {image_tokens}",
            )
        )


def refuse_other_vocabulary(run: Run, vocabulary: Vocabulary) -> None:
    """That a tokenizer's vocabulary has the tags that the tasks of a run write.

    Raises:
        UserError: at the run's `tokenizer`.
    """
    for spec in run.loaded_mixture.specs:
        for name in task_tags(spec, run.loaded_mixture.tags):
            try:
                vocabulary.tag_id(name)
            except UserError as error:
                raise run.error(
                    ("tokenizer",),
                    f"{error.message}, which the task {spec.task!r} writes",
                    expected="a tokenizer trained on the specs of the mixture; `unified-vl "
                    f"tokenizer extend {run.tokenizer} --spec ... --output ...` adds tags, and "
                    "all ids stay",
                ) from error


def refuse_two_streams(run: Run, *, two_streams: bool) -> None:
    """That a run whose encoder has two streams asks for nothing that only a joint one can do.

    Args:
        run: of a model of this project.
        two_streams: whether its encoder has.

    Raises:
        UserError: at the key that asks for it.
    """
    for key in ("packing", "compile") if two_streams else ():
        if getattr(run, key):
            said = "an encoder of two streams reads padded rows, by plain layers"
            raise run.error((key,), said, expected="false, or model.encoder.kind: joint")


def refuse_own_computing(run: Run) -> None:
    """That a run whose backbone `transformers` computes asks for nothing that only blocks of this
    project can do.

    Raises:
        UserError: at the key that asks for it.
    """
    reasons = {"packing": "which pads", "compile": "whose blocks are not compiled here"}
    if run.teacher is not None:
        said = "the backbone is computed by `transformers`, whose blocks learn from no teacher here"
        raise run.error(("teacher",), said, expected="a model of this project's architecture")
    for key, reason in reasons.items():
        if getattr(run, key):
            said = f"the backbone is computed by `transformers`, {reason}"
            raise run.error((key,), said, expected="false")

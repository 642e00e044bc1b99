"""Whatever a name stands for that can be scored beside models of this project."""

from __future__ import annotations

from pathlib import Path

from unified_vl.errors import UserError, nearest
from unified_vl.other_models.answer_log import AnswerLog
from unified_vl.other_models.answerer import OtherAnswerer
from unified_vl.other_models.answers_file import AnswersFile
from unified_vl.other_models.hf_model import HfModel, HfOptions
from unified_vl.other_models.other_model import OtherModel, Respondent
from unified_vl.other_models.place_conventions import CONVENTIONS
from unified_vl.other_models.server_model import ServerModel, ServerOptions


def other_model(
    name: str | Path,
    *,
    places: str | None = None,
    bare: bool = False,
    max_tokens: int | None = None,
    cache: str | Path | AnswerLog | None = None,
    device: str = "auto",
    dtype: str = "auto",
    chat_template: bool = True,
    trust_remote_code: bool = False,
    served_model: str | None = None,
    api_key_env: str = "OPENAI_API_KEY",
    timeout: float = 120.0,
    retries: int = 5,
    partial: bool = False,
) -> OtherAnswerer:
    """What `evaluate` can ask in place of a `UnifiedVL` (docs/scoring_others.md).

    >>> from unified_vl import evaluate, load_task, other_model
    >>> model = other_model("hf:HuggingFaceTB/SmolVLM-256M-Instruct")  # doctest: +SKIP
    >>> evaluate(model, [load_task("gqa.yaml")], "test", data).report  # doctest: +SKIP

    Args:
        name: `hf:DIR_OR_ID`, `openai:URL`, or a file of answers.
        places: how answers say where something is; None for what the model's family writes, or
            pixels.
        bare: ask by the source of a spec alone.
        max_tokens: room for an answer; None for what the spec says and more.
        cache: a file that keeps all answers, so that nothing is asked twice.
        device: of an `hf:` model.
        dtype: of its numbers; auto is what its files have.
        chat_template: whether an `hf:` model is asked through its own.
        trust_remote_code: whether Python code of its directory is run.
        served_model: what an `openai:` server calls the model.
        api_key_env: the environment variable with the key for it.
        timeout: seconds that it has for an answer.
        retries: how often it is asked again.
        partial: whether rows that a file lacks count as wrong, and are no error.

    Raises:
        UserError: when there is no such model, or no such convention.
    """
    name = str(name)
    if places is not None and places not in CONVENTIONS:
        raise UserError(
            f"found {places!r}",
            field="places",
            expected=f"one of {', '.join(CONVENTIONS)}",
            nearest=nearest(places, CONVENTIONS),
        )
    scheme, colon, rest = name.partition(":")
    respondent: Respondent
    if colon and scheme == "hf":
        respondent = HfModel(rest, HfOptions(device, dtype, chat_template, trust_remote_code))
    elif colon and scheme == "openai":
        respondent = ServerModel(rest, ServerOptions(served_model, api_key_env, timeout, retries))
    else:
        return AnswersFile(Path(name), places=places, partial=partial)
    log = cache if isinstance(cache, AnswerLog) or cache is None else AnswerLog(Path(cache))
    return OtherModel(respondent, places=places, max_tokens=max_tokens, log=log, bare=bare)

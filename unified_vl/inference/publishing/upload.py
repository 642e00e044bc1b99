"""A saved model to a repository of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.inference.publishing.card import model_card
from unified_vl.inference.publishing.contents import Content, contents
from unified_vl.run_record import ADAPTER

Say = Callable[[str], None]


def push(
    directory: str | Path,
    repository: str,
    *,
    private: bool = False,
    report: Path | None = None,
    licence: str | None = None,
    dry_run: bool = False,
    say: Say = print,
) -> str:
    """Upload a saved model and its card, in one commit.

    Args:
        directory: of the saved model. Only what a model is made of is uploaded: weights, tokenizer,
            specs, its record without this machine's folders, and the card.
        repository: `USER/NAME`; made where there is none.
        private: make it so that others do not see it.
        report: of `evaluate`, for the card; that beside the directory unless given.
        licence: of the model, for the card.
        dry_run: say what would be uploaded, and end there.
        say: is told each file and its size before anything is sent.

    Returns:
        The address of the repository.

    Raises:
        UserError: when a part is missing or names a person's folder; when the Hub refuses, or a
            repository that is there is public and shall be private.
    """
    directory = Path(directory)
    card = model_card(directory, repository, report=report, licence=licence)
    _refuse_adapter(directory)
    files, others = contents(directory, card)
    for file in files:
        say(f"{file.size:>13,} bytes  {file.name}")
    if others:
        shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        say(f"not uploaded: {len(others)} other files ({shown})")
    total = sum(file.size for file in files)
    whose = "private" if private else "public"
    if dry_run:
        say(f"would upload {len(files)} files, {total:,} bytes, to {repository} ({whose})")
        return ""
    say(f"uploading {len(files)} files, {total:,} bytes, to {repository} ({whose})")
    return _send(files, repository, private)


def _send(files: list[Content], repository: str, private: bool) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    try:
        url = api.create_repo(repository, repo_type="model", private=private, exist_ok=True)
        # one that was there keeps who may see it, whatever was asked
        if private and api.repo_info(repository, repo_type="model").private is False:
            raise UserError(
                f"{repository} is there already, and public",
                field="private",
                expected="another name, or to make it private on the Hub first",
            )
        operations = [
            CommitOperationAdd(
                path_in_repo=file.name,
                path_or_fileobj=str(file.path) if file.data is None else file.data,
            )
            for file in files
        ]
        api.create_commit(
            repository,
            operations,
            commit_message="Upload a model of unified_vl",
            repo_type="model",
        )
    except (OSError, ValueError) as error:  # the Hub's own errors are OSErrors
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"the Hub did not take the model: {reason}",
            field="repository",
            expected="USER/NAME of somebody who is logged in (`hf auth login`)",
        ) from error
    return str(url)


def _refuse_adapter(directory: Path) -> None:
    """An adapter whose base lies on this machine is of use to nobody else."""
    path = directory / ADAPTER
    if not path.is_file():
        return
    base = str(read_json_object(path).get("base"))
    if Path(base).is_absolute() or Path(base).exists():
        raise UserError(
            f"these are adapters of a model on this machine, {Path(base).name!r}",
            file=path,
            field="base",
            expected="the whole model (docs/fine_tuning.md), or adapters of a model of the Hub",
        )

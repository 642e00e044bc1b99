"""Where the rows of a task are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from unified_vl.errors import BadRow
from unified_vl.languages.tags import canonical, find
from unified_vl.parts import FOLLOWERS, key_of
from unified_vl.readers.keys import ReaderKeys
from unified_vl.readers.reader import Reader
from unified_vl.readers.registry import READERS
from unified_vl.specs.reading.document import LanguageTag, Name, Part, one_of
from unified_vl.specs.reading.ranges import shielded

SplitName = Literal["train", "validation", "test"]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class SplitsSpec(Part):
    """What each split is called in the files, or its share of the rows."""

    train: str | None = Field(
        default=None, description="What the files call the train split.", examples=["train"]
    )
    validation: str | None = Field(
        default=None, description="What they call the validation split.", examples=["dev"]
    )
    test: str | None = Field(
        default=None, description="What they call the test split.", examples=["test"]
    )
    fraction: dict[SplitName, Share] | None = Field(
        default=None,
        min_length=1,
        description="In place of names, for rows that nobody has split: the share of each split, "
        "together 1. A hash of the row decides, the same for ever (docs/own_data.md).",
        examples=[{"train": 0.8, "validation": 0.1, "test": 0.1}],
    )
    by: str | None = Field(
        default=None,
        min_length=1,
        description="With `fraction`: the column that decides; rows of one value are in one split. "
        "Unless given, that of the image, or else key_column.",
        examples=["image"],
    )


def _known_reader(name: object) -> object:
    """The name of a reader, as it is."""
    if isinstance(name, str) and name not in READERS:
        context = {"expected": one_of(READERS), "names": tuple(READERS)}
        raise PydanticCustomError("unknown_name", "{expected}", context)
    return name


def _name_readers(schema: JsonDict) -> None:
    schema["enum"] = list(READERS)


class DataSpec(Part):
    """Where the rows are."""

    reader: Annotated[str, BeforeValidator(_known_reader)] = Field(
        description="The format of the files; docs/readers.md says what each one reads and gives.",
        json_schema_extra=_name_readers,
        examples=["jsonl"],
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="The file, relative to the data root; {split} and {language} are filled in, "
        "and * stands for any part of a name: several files then are read one after the other, "
        "sorted, and {000..127} for that many numbered ones. For some readers a folder, or the id "
        "of a data set. It may be a URL (docs/remote_data.md).",
        examples=["photos/{split}_{language}.jsonl"],
    )
    files: dict[Name, str] | None = Field(
        default=None,
        description="In place of `path`, for a reader of several files: each by its name.",
        examples=[{"source": "wmt/{split}.en", "target": "wmt/{split}.de"}],
    )
    columns: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Names of the columns, in their order, of a csv, tsv or ofa_tsv file that has "
        "no line of names.",
        examples=[["id", "image", "caption"]],
    )
    images: str | None = Field(
        default=None,
        min_length=1,
        description="The folder that image paths of the rows are relative to, below the data "
        "root, or a URL; {split} and {language} are filled in.",
        examples=["photos/{split}"],
    )
    images_from: Literal["root", "file"] = Field(
        default="root",
        description="Whether image paths, and `images`, are relative to the data root or to the "
        "folder of the file that names them.",
        examples=["file"],
    )
    image_prefix: str | None = Field(
        default=None,
        min_length=1,
        description="The folder, of whatever machine, that absolute image paths of the rows begin "
        "with; what follows it is relative to `images`, as paths that are not absolute are. "
        "Without it an absolute path has to lie in the data root.",
        examples=["/home/ann/coco"],
    )
    splits_: SplitsSpec = Field(
        alias="splits",
        description="What each split is called in the path, or in split_column; or how large each "
        "one is.",
        examples=[{"train": "train", "validation": "dev", "test": "test"}],
    )
    split_column: str | None = Field(
        default=None,
        description="The column that names a row's split, where all splits are in one file.",
        examples=["split"],
    )
    licence: str | None = Field(
        default=None,
        min_length=1,
        description="Under which the data may be used; a model card says it.",
        examples=["CC BY 4.0"],
    )
    languages: tuple[LanguageTag, ...] = Field(
        min_length=1,
        description="Tags of all languages of the rows, in any spelling (zh-CN, zh_CN, zho_Hans, "
        "sr@latin): paths, columns and reports keep it, and every other one is understood.",
        examples=[["en", "de", "pt-BR"]],
    )
    language_names: dict[LanguageTag, str] = Field(
        default_factory=dict,
        description="What the files call a language, where that is not its tag: in {language} of "
        "paths, in language_column and in fields of kind `language`.",
        examples=[{"de": "German"}],
    )
    language_column: str | None = Field(
        default=None,
        description="The column that names a row's language; otherwise it is the {language} of "
        "the path, or the only one.",
        examples=["language"],
    )
    unpivot: bool = Field(
        default=False,
        description="Whether the files have a column a language: each row then is one in each of "
        "the languages, with the cells of the columns that fields name by {language} (what the "
        "files call it). Rows without these cells are left out in that language, and counted.",
        examples=[True],
    )
    language_temperature: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="In training, languages are drawn in proportion to their rows to the power of "
        "this: 1 as they are, 0 all alike (mT5 has 0.3). Unless given, every row comes once an "
        "epoch.",
        examples=[0.3],
    )
    key_column: str | None = Field(
        default=None,
        description="The column that names a row in predictions and reports, alone among the rows "
        "of its language.",
        examples=["id"],
    )
    exclude: str | None = Field(
        default=None,
        min_length=1,
        description="A JSONL file below the data root whose lines name rows by `key`, and by "
        "`task` where it serves several: the train split is without them. "
        "`unified-vl check --write-leaks FILE` writes one there.",
        examples=["leaks.jsonl"],
    )
    stream: bool = Field(
        default=False,
        description="Whether training opens the files of the train split one after the other, as "
        "their turn comes, and lets them go: for more than the disk holds, or anybody wants to "
        "count (docs/remote_data.md).",
        examples=[True],
    )
    shuffle_shards: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="With `stream`: how many files of a lane are open at once, their rows mixed.",
        examples=[4],
    )
    file_parts: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="With `stream`, of files that are few and large: in how many parts each is "
        "dealt to lanes, as if they were files. Of jsonl parts are lines, of as many bytes each; "
        "of parquet row groups.",
        examples=[64],
    )
    on_bad_row: Literal["stop", "skip"] = Field(
        default="stop",
        description="Whether a row that breaks the spec stops the work or is skipped and counted.",
        examples=["skip"],
    )
    truncated_images: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="Whether a row is bad whose image file (JPEG, PNG, GIF or BMP) ends early, or "
        "is read with the pixels that there are and counted; a JPEG often lacks only its end mark.",
        examples=["allow"],
    )

    @property
    def own(self) -> ReaderKeys:
        """The keys of its reader."""
        keys = READERS[self.reader].keys
        return keys.model_construct(**{name: getattr(self, name) for name in keys.model_fields})

    @property
    def foreign(self) -> tuple[str, ...]:
        """Keys that have no effect with its reader, though with another, and are given."""
        fields = DataSpec.model_fields
        known = GENERAL | set(READERS[self.reader].keys.model_fields)
        others = [name for name in fields if name not in known]
        return tuple(name for name in others if getattr(self, name) != fields[name].default)

    @property
    def splits(self) -> dict[SplitName, str]:
        """What the files call each split; of shares, where all are in one: train."""
        if self.splits_.fraction is not None:
            return {name: "train" for name in SPLITS if name in self.splits_.fraction}
        said = {name: getattr(self.splits_, name) for name in SPLITS}
        return {name: text for name, text in said.items() if text is not None}

    @property
    def shares(self) -> dict[SplitName, float] | None:
        """The share of each split, where they are not told apart by names."""
        return self.splits_.fraction

    @property
    def templates(self) -> dict[str, str]:
        """The path templates by the name of the file; "path" for that of a single one."""
        said = {"path": self.path} if self.path is not None else dict(self.files or {})
        return {name: shielded(text) for name, text in said.items()}

    @property
    def own_templates(self) -> dict[str, str]:
        """Keys of the reader that have slots, as paths have."""
        found = {key: getattr(self.own, key) for key in self.own.templates}
        return {key: text for key, text in found.items() if text is not None}

    _tags: dict[str, str | None] = PrivateAttr(default_factory=dict)

    def stop_or_skip(self, error: BadRow) -> None:
        """Let a bad row be skipped, if that is what the spec says.

        Raises:
            BadRow: the row's own error, where `on_bad_row` is `stop`.
        """
        if self.on_bad_row == "stop":
            raise error

    def language_name(self, tag: str) -> str:
        """What the files call a language."""
        return self.language_names.get(find(tag, self.language_names) or "", tag)

    def tag_of(self, said: str) -> str | None:
        """The one of `languages` that a file or a person means, None where it is none of them.

        What `language_names` says comes first; then tags count in any spelling.
        """
        if said not in self._tags:
            tags = {name: tag for tag, name in self.language_names.items()}
            found = tags.get(said) or find(said, self.languages)
            if found is None:
                called = {canonical(name): tag for name, tag in tags.items()}
                found = called.get(canonical(said))
            self._tags[said] = None if found is None else find(found, self.languages)
        return self._tags[said]


GENERAL = frozenset(DataSpec.model_fields)


def _own_keys(reader: Reader) -> Mapping[str, FieldInfo]:
    for name in reader.keys.model_fields:
        if name in GENERAL:
            raise ValueError(f"{key_of(reader.keys, name)} is one of all readers already")
    return reader.keys.model_fields


def _follow_readers() -> None:
    """Let `data` have the keys of the readers that there are now, and of no others."""
    fields = DataSpec.__pydantic_fields__
    found: dict[str, FieldInfo] = {}
    for name in [name for name in fields if name in GENERAL]:
        found[name] = fields[name]
        if name == "columns":  # as these, they say how files are read
            for reader in READERS.values():
                found.update(_own_keys(reader))
    fields.clear()
    fields.update(found)
    DataSpec.model_rebuild(force=True)


FOLLOWERS.append(_follow_readers)
_follow_readers()

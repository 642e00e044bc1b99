"""The readers: which files each reads and, where its format fixes them, which columns it gives.

What reads them is `data/readers/`; here is what a spec can be checked against before there
is a file.
"""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from unified_vl.specs.annotation_readers import ANNOTATIONS
from unified_vl.specs.benchmarks import BENCHMARKS
from unified_vl.specs.multilingual_benchmarks import MULTILINGUAL
from unified_vl.specs.reader_info import Column, ReaderInfo
from unified_vl.specs.reading.document import one_of
from unified_vl.specs.reasoning_benchmarks import REASONING

TABLES = {
    "parquet": ReaderInfo(
        "Parquet files of any size. A row group is read when a row of it is asked for, and the "
        "last 256 MB of them are kept: for training, which takes rows in a random order, write "
        "groups of about 100 images (`row_group_size=100`), and of at most 64 MB."
    ),
    "jsonl": ReaderInfo(
        "A JSON object a line, in a file of any size: a line is read when its row is asked for. "
        "Values may be of any kind, also different ones in a column; columns that the spec does "
        "not name do not count."
    ),
    "json": ReaderInfo(
        "One JSON list of objects, a row each; for what else JSON files hold there are readers of "
        "their own. Values may be of any kind; the columns that the spec names are held in memory."
    ),
    "csv": ReaderInfo(
        "Comma-separated values below a line of names, or without one where `data.columns` names "
        "them; every value is text. `data.delimiter` says what stands between them in place of "
        "commas, `data.encoding` what the file is in place of UTF-8. `on_bad_row: skip` also "
        "leaves out rows with more or fewer values.",
        named="sometimes",
        keys=("delimiter", "encoding"),
    ),
    "tsv": ReaderInfo(
        "Values between tabs below a line of names, or without one where `data.columns` names "
        "them; every value is text, and a quotation mark is one. `data.encoding` says what the "
        "file is in place of UTF-8. `on_bad_row: skip` also leaves out lines with more or fewer "
        "values.",
        named="sometimes",
        keys=("encoding",),
    ),
    "ofa_tsv": ReaderInfo(
        "The files of OFA (arXiv 2202.03052): values between tabs without a line of names, so "
        "`data.columns` names them. What a field of the spec says decides how its column is read: "
        "an image is base64 and stays in the file until it is asked for, the texts of `many: true` "
        "stand between `&&` (without the confidence before `|!+` of OFA's answers), the four "
        "numbers of a box between commas; all others are text.",
        named="always",
        images="never",
    ),
    "arrow": ReaderInfo(
        "Arrow IPC files and streams (`.arrow`, `.feather`), or a folder that `save_to_disk` of "
        "`datasets` wrote; the rows stay on disk.",
        path="either",
    ),
    "hub": ReaderInfo(
        "A data set of the Hugging Face hub by its id, or a folder below the data root that "
        "`datasets.load_dataset` can load: `data.config` names its configuration, `data.splits` "
        "its splits, `data.take` how many rows to take, and with `data.streaming` only these are "
        "downloaded. What is downloaded lies in the cache of `datasets`. Code of a data set is "
        "never run.",
        path="id",
        images="never",
    ),
}
FOLDERS = {
    "webdataset": ReaderInfo(
        "Shards of WebDataset, `.tar` files: neighbouring members whose names are the same "
        "up to the first dot are a row. A column is `__key__` (that name), the rest of a member's "
        "name (`jpg`, `txt`, `cls`), several of which the row has one (`jpg;png`), or a key of a "
        "JSON member (`json.caption`). Images stay in the file until they are asked for; nothing "
        "is unpacked. Of a compressed shard (`.tar.gz`, `.tgz`, `.tar.bz2`, `.tar.xz`), which must "
        "be read from its beginning, texts and images are held in memory, at most 2 GiB.",
        images="never",
    ),
    "imagefolder": ReaderInfo(
        "A folder of images, as `datasets` reads it: columns `image`, `file_name` (its path below "
        "the folder) and `label` (the folder right above the image), in the order of the names; "
        "where there are files `metadata.jsonl` or `metadata.csv`, their rows, which name images "
        "beside them in `file_name`: columns `image` and those of the files.",
        path="folder",
        images="never",
    ),
    "image_texts": ReaderInfo(
        "A folder of images, and below it too, with a text file beside each: `a.jpg` and `a.txt`, "
        "or a file a language, `a.en.txt` and `a.de.txt`, each of which is a row. `a.txt` counts "
        "where the spec has one language. Images without a text, and texts that are not used, are "
        "left out and counted.",
        columns={
            "key": Column("text", "the image's path below the folder, without its suffix"),
            "image": Column("image", "the image"),
            "file_name": Column("text", "its path below the folder"),
            "caption": Column("text", "the text, whole"),
            "captions": Column("texts", "its lines, where each is a caption"),
            "language": Column("text", "what the file calls the language"),
        },
        path="folder",
        images="never",
    ),
}
PAIRS = {
    "source": Column("text", "a sentence"),
    "target": Column("text", "its translation"),
}
DIRECTED = {
    "key": Column("text", "the number of the unit, or the ids of both sentences"),
    **PAIRS,
    "source_language": Column("text", "the language of the sentence"),
    "language": Column("text", "the language of its translation"),
}
PARALLEL_TEXT = {
    "moses": ReaderInfo(
        "Two text files, as OPUS and WMT have them: line n of one is a translation of line n of "
        "the other.",
        files=("source", "target"),
        columns=PAIRS,
    ),
    "iwslt": ReaderInfo(
        "Two files of IWSLT (WIT3) or WMT's SGM: the lines without a tag, or within `<seg>`, "
        "translate each other.",
        files=("source", "target"),
        columns=PAIRS,
    ),
    "tmx": ReaderInfo(
        "A translation memory (TMX 1.4): a row for each two languages of a unit, in each "
        "direction, among those that the spec lists; where it lists one language, all that is "
        "translated into it. Documents that define entities are refused.",
        columns=DIRECTED,
    ),
    "tatoeba": ReaderInfo(
        "Tatoeba's `sentences.csv` (or `sentences_detailed.csv`) and `links.csv`: a row for each "
        "link, in each direction, among the languages that the spec lists; where it lists one "
        "language, all that is translated into it. Tatoeba's codes of languages (`deu`) need no "
        "`data.language_names`.",
        files=("sentences", "links"),
        columns=DIRECTED,
    ),
}
IMAGE_LIST = {
    "key": Column("text", "the line, counted from 0"),
    "image": Column("image", "the file of the image, below `data.images`"),
    "caption": Column("text", "its caption"),
    "url": Column("text", "where the image was"),
}
NUMBERED = (
    "The image of line n, counted from 0, is `data.images`/SSSSS/NNNNNNNNN.jpg (or .png, .webp): n "
    "with nine digits, in the folder of n // 10,000 with five, as img2dataset writes files. "
    "Lines whose image is not there are left out and counted: dead links are normal here."
)
IMAGE_LISTS = {
    "cc3m": ReaderInfo(
        f"Conceptual Captions' lists, a caption and a URL between tabs. {NUMBERED}",
        columns=IMAGE_LIST,
        images="always",
    ),
    "cc12m": ReaderInfo(
        f"Conceptual 12M's list, a URL and a caption between tabs. {NUMBERED}",
        columns=IMAGE_LIST,
        images="always",
    ),
    "sbu": ReaderInfo(
        "SBU's two lists, line n of one being the URL of line n of the other. The image is "
        "`data.images`/NAME, the last part of its URL. Lines whose image is not there are left "
        "out and counted: dead links are normal here.",
        files=("captions", "urls"),
        columns=IMAGE_LIST,
        images="always",
    ),
}
QUESTIONS = {
    "squad": ReaderInfo(
        "SQuAD's JSON, which TyDi QA's gold passages, XQuAD and MLQA share: a row a question.",
        columns={
            "key": Column("text", "the question's id"),
            "title": Column("text", "the title of the article; empty where it has none"),
            "context": Column("text", "the passage"),
            "question": Column("text", "the question"),
            "answers": Column(
                "texts", "the answers that people gave, each once; none, an empty list"
            ),
            "language": Column(
                "text", "what the id begins with, up to the first `-`: the language, in TyDi QA's"
            ),
        },
    ),
}
CONVERSATIONS = {
    "conversations": ReaderInfo(
        "Conversations as LLaVA, ShareGPT and OpenAI's chats have them: a JSON list, or an object "
        "a line, with the turns under `conversations` (or `messages`), each of somebody (`from` or "
        "`role`: human, user, gpt, assistant, system) who says something (`value` or `content`). A "
        "row an answer, with what was said before. Paths of images stand under `image`, `images` "
        "or a similar name, or among the contents; marks such as `<image>` are taken out of the "
        "texts. A conversation need not have an image: `missing: allow` of the field.",
        columns={
            "key": Column("text", "the conversation's id, and the number of the answer"),
            "conversation": Column("text", "its id, or its number from 0"),
            "image": Column("image", "its first image; none where it has none"),
            "images": Column("images", "all of its images so far"),
            "system": Column("text", "what the system was told, where anything was"),
            "question": Column("text", "what was said last"),
            "answer": Column("text", "the answer to it"),
            "questions": Column("texts", "what was said before that, the oldest first"),
            "answers": Column("texts", "the answers to these"),
            "turn": Column("whole", "the number of the answer, from 1"),
        },
    ),
}
GRIT = {
    "grit": ReaderInfo(
        "GRIT's pairs of image and caption, whose phrases have boxes: JSON as img2dataset writes "
        "it beside each image, an object a line. Of phrases that overlap the longest is kept, and "
        "of several boxes of a phrase the surest; the others are counted.",
        columns={
            "key": Column("text", "the image's key"),
            "image": Column("image", "its file: 00000/000000012.jpg for the key 000000012"),
            "caption": Column("text", "the caption, whole"),
            "pieces": Column("texts", "the caption up to the end of each phrase with a box"),
            "boxes": Column("boxes", "of each piece: [x1, y1, x2, y2] between 0 and 1"),
            "rest": Column("texts", "what follows the last of them: one text, or none"),
        },
    ),
}
READERS: dict[str, ReaderInfo] = {
    **TABLES,
    **FOLDERS,
    **PARALLEL_TEXT,
    **IMAGE_LISTS,
    **QUESTIONS,
    **CONVERSATIONS,
    **BENCHMARKS,
    **MULTILINGUAL,
    **REASONING,
    **GRIT,
    **ANNOTATIONS,
}


def stated_size(reader: str) -> tuple[str, ...]:
    """The columns in which a reader says how large the annotations say that an image is."""
    sides = ("width", "height")
    return sides if set(sides) <= set(READERS[reader].columns or ()) else ()


def known_reader(name: object) -> object:
    """The name of a reader, as it is.

    Raises:
        PydanticCustomError: for another, with the nearest name.
    """
    if isinstance(name, str) and name not in READERS:
        context = {"expected": one_of(READERS), "names": tuple(READERS)}
        raise PydanticCustomError("unknown_name", "{expected}", context)
    return name

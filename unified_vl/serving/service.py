"""A model as a service: all that its paths share."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image as PILImage

from unified_vl.errors import UserError
from unified_vl.extras import require
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.retriever import Hit, Retriever
from unified_vl.serving.asking import Asker
from unified_vl.serving.door import Keys
from unified_vl.serving.faults import Fault, without_place
from unified_vl.serving.limits import Limits
from unified_vl.serving.metrics import Metrics
from unified_vl.serving.wire.replies import hit_row
from unified_vl.serving.wire.requests import RetrieveRequest, parsed
from unified_vl.serving.wire.schemas import described
from unified_vl.serving.wire.values import Fetch, ValueReader


@dataclass(frozen=True)
class Search:
    """What a request looks for in the index."""

    retriever: Retriever
    asked: RetrieveRequest
    image: PILImage.Image | None

    def __call__(self) -> list[Hit]:
        asked = self.asked
        try:
            return self.retriever.search(
                asked.text,
                asked.language,
                image=self.image,
                top=asked.top,
                candidates=asked.candidates,
            )
        except UserError as error:
            without_place(error)
            raise


class Service:
    """A model that answers over HTTP.

    Args:
        predictor: the model.
        name: of it.
        limits: what is refused.
        keys: who may ask.
        retriever: of an index of this model; None for none.
        fetch: gives the files behind http(s) addresses; None refuses addresses.

    Raises:
        UserError: when a package is missing.
    """

    def __init__(
        self,
        predictor: UnifiedVL,
        name: str,
        limits: Limits | None = None,
        keys: Keys | None = None,
        retriever: Retriever | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        require("fastapi", "uvicorn", "python_multipart", "prometheus_client")
        self.predictor = predictor
        self.name = name
        self.started = int(time.time())
        self.limits = limits or Limits()
        self.keys = keys or Keys()
        self.retriever = retriever
        self.metrics = Metrics(lambda: self.asker.waiting)
        self.asker = Asker(predictor, self.limits, self.metrics)
        self.reader = ValueReader(self.limits, fetch)
        # files from elsewhere are waited for; all else takes a core
        count = 16 if fetch is not None else max(2, os.cpu_count() or 2)
        self.threads = ThreadPoolExecutor(count, thread_name_prefix="reads")

    @cached_property
    def tasks(self) -> dict[str, Any]:
        """What `GET /tasks` says."""
        specs = self.predictor.specs.values()
        return {"model": self.name, "tasks": [described(spec) for spec in specs]}

    def search(self, body: bytes) -> Search:
        """What a request to `/retrieve` looks for.

        Raises:
            UserError: for what is wrong with it.
        """
        asked = parsed(RetrieveRequest, body)
        if (asked.text is None) == (asked.image is None):
            raise Fault("the query is a text or an image", expected="one of 'text' and 'image'")
        image = None if asked.image is None else self.reader.image(asked.image, "image")
        if asked.text is not None and len(asked.text) > self.limits.characters:
            raise Fault("the text is too long", status=413, field="text")
        assert self.retriever is not None
        return Search(self.retriever, asked, image)

    def hits(self, search: Search, found: Sequence[Hit]) -> list[dict[str, Any]]:
        """What was found as the response says it."""
        rows = []
        for hit in found:
            picture = None
            if search.asked.pictures and hit.path is not None:
                picture = _picture(hit, self.reader)
            rows.append(hit_row(hit, picture))
        return rows

    def close(self) -> None:
        """Answer what is taken on, and end."""
        self.asker.close()
        self.threads.shutdown()


def _picture(hit: Hit, reader: ValueReader) -> PILImage.Image | None:
    """The picture that was found; None when its file is gone or changed since."""
    from unified_vl.serving.wire.images import read_image

    assert hit.path is not None
    try:
        with hit.path.open("rb") as file:
            return read_image(file, hit.path.stat().st_size, hit.key, reader.limits)
    except (OSError, UserError):
        return None

"""Rows that read alike and write something else: one of them cannot be learnt."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from unified_vl.authoring.checking.findings import Findings, share
from unified_vl.codecs.segments import Image, ImageCodes, Segment
from unified_vl.data.example import Example
from unified_vl.specs.task import TaskSpec


class SameSources:
    """Takes in the examples of one split, and says at its end how many contradict others."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self._examples = 0
        self._targets: dict[bytes, dict[bytes, str]] = {}  # source to target to first row
        self._rows: dict[bytes, int] = {}  # source to its rows

    def add(self, example: Example) -> None:
        self._examples += 1
        source, target = _digest(example.source), _digest(example.target)
        self._rows[source] = self._rows.get(source, 0) + 1
        self._targets.setdefault(source, {}).setdefault(target, example.where)

    def report(self, split: str, findings: Findings) -> None:
        several = [source for source, targets in self._targets.items() if len(targets) > 1]
        if not several:
            return
        rows = sum(self._rows[source] for source in several)
        first, second = list(self._targets[several[0]].values())[:2]
        error = self.spec.error(
            ("example", "source"),
            f"{share(rows, self._examples)} of {split} read the same as another and write "
            f"something else (first: {first} and {second})",
        )
        remedy = (
            "put into the source what tells them apart, or all right answers of a source into "
            "one row (many: true)"
        )
        findings.add(error, "warning", remedy=remedy, rate=rows / self._examples)


def _digest(segments: Sequence[Segment]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for segment in segments:
        if isinstance(segment, Image | ImageCodes) and segment.image is not None:
            digest.update(segment.image.pixels_HWC.tobytes())
        else:
            digest.update(repr(segment).encode())
    return digest.digest()

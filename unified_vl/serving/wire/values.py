"""The fields of a task as a request has them: JSON values, or the parts of a form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image as PILImage

from unified_vl.errors import nearest
from unified_vl.inference.inputs import source_fields
from unified_vl.kinds.registry import kind_of
from unified_vl.serving.faults import Fault, TooLarge
from unified_vl.serving.limits import MOST_IMAGES, Limits
from unified_vl.serving.wire.images import WANTED, bytes_of, decoded
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.fields import FieldSpec

Fetch = Callable[[str, str], bytes]  # the file behind an address, for a field


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came as a part of a form."""

    content: bytes


class ValueReader:
    """Reads the values of requests within limits; of images it takes nothing but their bytes.

    Args:
        limits: `file`, `pixels` and `characters` count.
        fetch: gives the file behind an http(s) address; None refuses addresses.
    """

    def __init__(self, limits: Limits, fetch: Fetch | None = None) -> None:
        self.limits = limits
        self.fetch = fetch

    def values(self, spec: TaskSpec, given: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a task by name, images decoded.

        Args:
            spec: the task.
            given: what a request has; an image as a data URL, an `Upload`, or, of a field in
                codes, a list of numbers.

        Raises:
            Fault: for a field that the task does not read, or a value above a limit.
            UserError: for what is no image.
        """
        known = source_fields(spec)
        found: dict[str, Any] = {}
        count = 0
        for name, value in given.items():
            if name not in known:
                shown = name[:100]
                raise Fault(
                    f"the task {spec.task!r} reads no field {shown!r}",
                    field=f"fields.{shown}",
                    expected=" or ".join(map(repr, known)),
                    nearest=nearest(shown, known),
                )
            field = spec.fields[name]
            if value is None:
                continue
            if kind_of(field.kind).is_video:
                frames = len(value) if isinstance(value, list) else 1
                count += frames
                if count > MOST_IMAGES:
                    raise _too_many(count, name)
                found[name] = self.video(value, name)
                continue
            if not kind_of(field.kind).is_image:
                found[name] = self._text(value, field, name)
                continue
            several = value if field.many and isinstance(value, list) else [value]
            count += len(several)
            if count > MOST_IMAGES:
                raise _too_many(count, name)
            images = [self.image(one, name, field) for one in several]
            found[name] = images if field.many else images[0]
        return found

    def image(self, value: Any, name: str, field: FieldSpec | None = None) -> Any:
        """An image, decoded; or codes of one, where a field is written in codes.

        Args:
            value: an `Upload`, a data URL, or an address where these are fetched.
            name: what the request calls it.
            field: of a task.

        Raises:
            UserError: for what is no image, or one above a limit.
        """
        if isinstance(value, list) and field is not None and field.writing == "codes":
            return value
        holes = field is not None and kind_of(field.kind).reads_holes
        return decoded(self._file(value, name), name, self.limits, holes=holes)

    def video(self, value: Any, name: str) -> Any:
        """A video: its frames, decoded, or the bytes of its file; never a path of the server's.

        Args:
            value: a list of images as `image` takes them, or one file.
            name: what the request calls it.

        Raises:
            UserError: for what is neither, or is above a limit.
        """
        if isinstance(value, list):
            return [self.image(one, name) for one in value]
        content = self._file(value, name)
        if len(content) > self.limits.file:
            raise TooLarge(
                f"the file has {len(content):,} bytes",
                field=name,
                expected=f"at most {self.limits.file:,}",
            )
        return content

    def _file(self, value: Any, name: str) -> bytes:
        if isinstance(value, Upload):
            return value.content
        if not isinstance(value, str):
            raise Fault(
                f"found {type(value).__name__} in place of an image", field=name, expected=WANTED
            )
        if value[:8].lower().startswith(("http://", "https://")):
            if self.fetch is None:
                raise Fault(
                    "this server fetches no addresses (--allow-urls)", field=name, expected=WANTED
                )
            return self.fetch(value, name)
        return bytes_of(value, name)

    def _text(self, value: Any, field: FieldSpec, name: str) -> Any:
        """A value of another kind as it is; a text out of a form as a person types it."""
        for text in _texts(value):
            if len(text) > self.limits.characters:
                raise TooLarge(
                    f"the text has {len(text):,} characters",
                    field=name,
                    expected=f"at most {self.limits.characters:,}",
                )
        try:
            if isinstance(value, str) and not field.many:
                return kind_of(field.kind).typed(value)
            if isinstance(value, list) and field.many:
                typed = kind_of(field.kind).typed
                return [typed(one) if isinstance(one, str) else one for one in value]
        except ValueError as error:
            raise Fault(f"found {value!r:.60}", field=name, expected=str(error)) from error
        return value


def _too_many(count: int, name: str) -> TooLarge:
    return TooLarge(f"found {count} images", field=name, expected=f"at most {MOST_IMAGES}")


def first_image(values: Mapping[str, Any], spec: TaskSpec) -> PILImage.Image | None:
    """The image in which a task's shapes are measured."""
    value = values.get(spec.image_field or "")
    if isinstance(value, Sequence):
        value = value[0] if value else None
    return value if isinstance(value, PILImage.Image) else None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    return [text for one in value for text in _texts(one)] if isinstance(value, list) else []

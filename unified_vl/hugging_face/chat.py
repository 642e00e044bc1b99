"""A chat of `transformers` as one question: a model of tasks answers, and does not talk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unified_vl.errors import UserError

ABOUT_CHATS = frozenset(  # settings of templates, of which there are none here
    ("tokenize", "add_generation_prompt", "continue_final_message", "processor_kwargs")
)
_IMAGE_KEYS = ("image", "url", "path", "base64")


def last_question(chat: Sequence[Mapping[str, Any]]) -> tuple[list[Any], str]:
    """The images and the text of a chat's only message.

    Args:
        chat: messages of `role` and `content`, which is a text, or a list of parts of the `type`
            `text` or `image`.

    Raises:
        UserError: for more than one message, or a part of another type.
    """
    if len(chat) != 1 or chat[0].get("role") != "user":
        raise UserError(
            f"a chat of {', '.join(str(message.get('role')) for message in chat)}",
            field="messages",
            expected="one message of a user: the model answers a question and keeps no chat",
        )
    content = chat[0].get("content")
    if isinstance(content, str):
        return [], content
    images, texts = [], []
    for part in content or ():
        said = part.get("type")
        found = [part[key] for key in _IMAGE_KEYS if part.get(key) is not None]
        if said == "text":
            texts.append(str(part.get("text", "")))
        elif said == "image" and found:
            images.append(_loaded(found[0]))
        else:
            raise UserError(f"a part of type {said!r}", field="content", expected="text or image")
    return images, " ".join(texts)


def _loaded(image: Any) -> Any:
    """An image; one of a URL is fetched, as their pipelines do for whoever names it."""
    if isinstance(image, str) and image.startswith(("http://", "https://", "data:image/")):
        from transformers.image_utils import load_image

        return load_image(image)
    return image

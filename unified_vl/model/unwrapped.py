"""Models saved by `transformers` without a look at what might wrap them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from transformers import modeling_utils


@contextlib.contextmanager
def never_wrapped() -> Iterator[None]:
    """Let a model that saves itself be taken as it is.

    `save_pretrained` asks accelerate for the model within a wrapper, which imports DeepSpeed to
    know its wrapper: seconds, and a line of log that says nothing to who converts a model.
    """
    unwrap = modeling_utils.unwrap_model
    modeling_utils.unwrap_model = lambda model, recursive=False: model
    try:
        yield
    finally:
        modeling_utils.unwrap_model = unwrap

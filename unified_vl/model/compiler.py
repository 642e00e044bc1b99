"""The C++ compiler that makes a model's programs, in training and in answering."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from torch._inductor.exc import CppCompileError, InductorError, InvalidCxxCompiler

from unified_vl.errors import UserError

EXPECTED = "a C++ compiler (on Debian the package g++), or no compiled model"


def refuse_missing_compiler() -> None:
    """That there is a C++ compiler.

    Raises:
        UserError: at `compile`.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        message = f"a model is compiled with {compiler}, which is not there"
        raise UserError(message, field="compile", expected=EXPECTED)


@contextmanager
def telling_compiler_faults() -> Iterator[None]:
    """A compiler that does not work inside is one message.

    Raises:
        UserError: at `compile`.
    """
    try:
        yield
    except InductorError as error:
        reason = error.__context__
        if not isinstance(reason, CppCompileError | InvalidCxxCompiler):
            raise
        message = f"the model cannot be compiled: {str(reason).splitlines()[0]}"
        raise UserError(message, field="compile", expected=EXPECTED) from error

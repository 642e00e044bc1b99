"""Which encodings a file of text may have."""

from __future__ import annotations

import codecs
from encodings.aliases import aliases

WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
_ASCII = "".join(map(chr, range(32, 127))) + "\\u0041 +AGE- ~{a xn--a-b"
"""With what encodings that give ASCII another meaning take for their own."""


def is_text_encoding(name: str) -> bool:
    """Whether Python knows an encoding in which ASCII stands for itself, or a wide one."""
    try:
        info = codecs.lookup(name)
        if info.name in WIDE:
            return True
        if info.name == "idna":  # of names of hosts alone
            return False
        # that of `codecs` also names compressions and ciphers, which `bytes.decode` refuses
        return _ASCII.encode("ascii").decode(info.name) == _ASCII
    except (LookupError, ValueError):
        return False


def text_encodings() -> list[str]:
    """The names of all of them."""
    names = {*aliases, *aliases.values(), "utf-8", "latin-1", *WIDE}
    return sorted(name for name in names if is_text_encoding(name))

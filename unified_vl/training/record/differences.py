"""What is not as it was when a checkpoint was written, in words."""

from __future__ import annotations

from collections.abc import Mapping

TASK = "task "  # how the fingerprints of task specs are called
OF_TASK = " of task "  # in the names of what belongs to one
ROWS = "the number of rows"  # how the fingerprints of tasks' lengths begin
FIRST = ("the vocabulary", "the text tokenizer")  # they change what every task is made of


def differences(saved: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Each difference of two runs' fingerprints, causes before what follows from them.

    A task that is new or gone is said once, not also through its rows and its mixture.
    """
    tasks = {key.removeprefix(TASK) for key in {*saved, *now} if key.startswith(TASK)}
    new = sorted(name for name in tasks if TASK + name not in saved)
    gone = sorted(name for name in tasks if TASK + name not in now)
    told = [f"the task {name!r} is new" for name in new]
    told += [f"the task {name!r} is gone" for name in gone]
    named = {*new, *gone}
    differ = [
        key
        for key in sorted({*saved, *now}, key=lambda key: (key not in FIRST, key))
        if saved.get(key) != now.get(key)
        and key.removeprefix(TASK) not in named
        and key.rpartition(OF_TASK)[2] not in named
        and not (named and key == "the mixture")
    ]
    first = [f"{key} is not what it was" for key in differ if key in FIRST]
    return first + told + [f"{key} is not what it was" for key in differ if key not in FIRST]

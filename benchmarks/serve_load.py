"""A served model under load: `python benchmarks/serve_load.py MODEL IMAGES`.

Starts `unified-vl serve MODEL` twice: as it is, and with batches of one. 200 clients on loopback
ask the first for 60 seconds, each the next question once it has its answer; one client asks the
second for 30 seconds before and 30 after. Questions take turns between a caption in each of the
task's languages and, where the model has it, a box; images are those of the folder. A question is
lost when its answer is no 200. `--quick` takes a tenth of the time and records nothing.

The clients share the machine with the servers, so they are written to cost little.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from record import machine, record
from tables import processor_name

COMMAND = "python benchmarks/serve_load.py MODEL IMAGES"
QUICK = "--quick" in sys.argv
CLIENTS, SECONDS, ALONE = (200, 6, 3) if QUICK else (200, 60, 30)
IMAGES = 200


@dataclass
class Found:
    """What clients met.

    Attributes:
        seconds: that each answer took.
        lost: questions without one.
        span: seconds from the first question to the last answer.
    """

    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    span: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.span

    def quantile(self, part: float) -> float:
        """Milliseconds within which a part of the answers came."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@contextmanager
def server(model: Path, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "unified_vl.cli.main", "serve", str(model), "--port", "0"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://[\d.:]+", line)
    assert found, line + process.stderr.read()
    try:
        yield found[0]
    finally:
        process.terminate()
        process.communicate()


def questions(model: Path, images: Path) -> list[bytes]:
    """Bodies of requests, from the model's own tasks."""
    from unified_vl.specs.load import load_task

    files = sorted(images.glob("*.png"))[:IMAGES]
    urls = ["data:image/png;base64," + base64.b64encode(f.read_bytes()).decode() for f in files]
    caption = load_task(model / "specs/emoji_caption.yaml")
    asked = []
    for number, url in enumerate(urls):
        language = caption.data.languages[number % len(caption.data.languages)]
        fields = {"image": url}
        body = {"task": "emoji_caption", "language": language, "fields": fields}
        if number % 2 and (model / "specs/emoji_ground.yaml").exists():
            fields = {"image": url, "phrase": "key"}
            body = {"task": "emoji_ground", "language": "en", "fields": fields}
        asked.append(json.dumps(body).encode())
    return asked


async def client(host: str, port: int, bodies: Iterator[bytes], until: float, found: Found) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while (started := time.monotonic()) < until:
        body = next(bodies)
        head = (
            f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        try:
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", answer, re.I)[1])  # type: ignore[index]
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            found.lost += 1
            return
        if answer.startswith(b"HTTP/1.1 200"):
            found.seconds.append(time.monotonic() - started)
        else:
            found.lost += 1
    writer.close()


async def load(url: str, asked: list[bytes], clients: int, seconds: float) -> Found:
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    found, bodies = Found(), itertools.cycle(asked)
    started = time.monotonic()
    until = started + seconds
    await asyncio.gather(*(client(host, port, bodies, until, found) for _ in range(clients)))
    found.span = time.monotonic() - started
    return found


def main() -> None:
    model, images = (Path(word) for word in sys.argv[1:] if not word.startswith("--"))
    asked = questions(model, images)
    with server(model) as together, server(model, "--batch-size", "1") as single:
        for url in (together, single):  # the first answers of a process are slower
            asyncio.run(load(url, asked, 4, 2))
        before = asyncio.run(load(single, asked, 1, ALONE))
        many = asyncio.run(load(together, asked, CLIENTS, SECONDS))
        after = asyncio.run(load(single, asked, 1, ALONE))
    alone = Found(
        before.seconds + after.seconds, before.lost + after.lost, before.span + after.span
    )
    ratio = many.rate / alone.rate
    rows = []
    for name, one, clients in (("one at a time", alone, 1), ("in batches", many, CLIENTS)):
        rows.append(
            {
                "command": COMMAND,
                "what": name,
                "clients": clients,
                "requests": len(one.seconds),
                "lost": one.lost,
                "requests_per_second": round(one.rate, 1),
                "p50_ms": round(one.quantile(0.5), 1),
                "p95_ms": round(one.quantile(0.95), 1),
                "mean_ms": round(1000 * statistics.mean(one.seconds), 1),
                "ratio": round(one.rate / alone.rate, 2),
            }
        )
    table = "\n".join(
        f"| {r['what']} | {r['clients']} | {r['requests']:,} | {r['lost']} "
        f"| {r['requests_per_second']} | {r['p50_ms']:,} | {r['p95_ms']:,} | {r['ratio']} |"
        for r in rows
    )
    section = f"""# A served model under load

`{COMMAND}` (the demo's model; {processor_name()}, {machine()}; clients on the same machine)

Captions in 14 languages and boxes, by turns; {CLIENTS} clients for {SECONDS} s on a server as it
is, and one client for {2 * ALONE} s on the same server with `--batch-size 1`: {ratio:.1f} times the
requests a second.

| how | clients | requests | lost | requests/s | p50, ms | p95, ms | ratio |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{table}"""
    print(section)
    if not QUICK:
        record(section, rows)


if __name__ == "__main__":
    main()

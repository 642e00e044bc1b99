"""What a service counts, in the text format of Prometheus."""

from __future__ import annotations

import os
from collections.abc import Callable

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
OF_SEVERAL = "PROMETHEUS_MULTIPROC_DIR"  # where several workers keep what each counts


class Metrics:
    """The counts of one process; where several share a folder, `text` adds them up.

    Args:
        waiting: how many questions wait for the model.
    """

    def __init__(self, waiting: Callable[[], int] = lambda: 0) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._several = bool(os.environ.get(OF_SEVERAL))
        self.requests = Counter(
            "unified_vl_requests",
            "Requests by path and status.",
            ["path", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "unified_vl_request_seconds",
            "From the first byte of a request to the end of its response.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.batches = Histogram(
            "unified_vl_batch_size",
            "Requests that the model answered together.",
            ["task"],
            buckets=SIZES,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "unified_vl_requests_in_flight",
            "Requests that were taken on and have no answer yet.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "unified_vl_questions_waiting",
            "Questions that wait for the model.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        if not self._several:  # a gauge that calls is of one process only
            self._waiting.set_function(waiting)

    def batch(self, task: str, size: int) -> None:
        """Count a batch."""
        self.batches.labels(task).observe(size)

    def text(self) -> tuple[bytes, str]:
        """The page, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if self._several:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST

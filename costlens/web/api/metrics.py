"""GET /metrics: figures of the server as text for Prometheus, for who holds the token of the settings.

Nobody else learns whether they are there. They are sums over all organizations and name none. The format is a few
lines, and no counter has to be shared by processes, so no library makes it.
"""

from __future__ import annotations

import hmac
import os
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from flask import Blueprint, Response, request

from costlens import __version__
from costlens.domain.errors import NotFound, Unauthorized
from costlens.services.metrics import ServerFigures, server_figures
from costlens.web.context import context

TYPE = "text/plain; version=0.0.4; charset=utf-8"


def blueprint() -> Blueprint:
    """The route of the metrics."""
    routes = Blueprint("metrics", __name__)
    routes.get("/metrics")(get_metrics)
    return routes


def get_metrics() -> Response:
    """The figures of now. Raises NotFound where they are off, Unauthorized without their token."""
    token = context().settings.metrics_token
    if token is None:
        raise NotFound("No such page or route")
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Unauthorized("Unauthorized - Invalid metrics token")
    figures = server_figures(context().store, context().queue)
    return Response("".join(_lines(figures)), content_type=TYPE)


def _lines(found: ServerFigures) -> Iterator[str]:
    yield from _gauge(
        "costlens_info", "Which program answers", 1, version=__version__, python=platform.python_version()
    )
    yield from _gauge("costlens_organizations", "Organizations of this server", found.organizations)
    yield from _gauge("costlens_runs", "Runs that are stored", found.runs)
    yield from _gauge("costlens_queue_up", "Whether the job queue answers", int(found.jobs is not None))
    if found.jobs is not None:
        jobs = found.jobs
        states = {"waiting": jobs.waiting, "scheduled": jobs.scheduled, "running": jobs.running, "failed": jobs.failed}
        yield from _by("costlens_jobs", "Jobs of the queue; failed ones are kept for a week", "state", states)
    if found.workers is not None:
        yield from _gauge("costlens_workers", "Workers that live", found.workers)
    if found.checked_at is not None:
        at = found.checked_at.timestamp()
        yield from _gauge("costlens_rollup_checked_timestamp_seconds", "Last comparison of sums with runs", at)
        yield from _gauge("costlens_rollup_drift_rows", "Rows of sums that were wrong then", found.drift)
    if found.sync:
        yield from _by("costlens_github_repositories", "Repositories read from GitHub", "state", found.sync)
    if found.oldest_sync is not None:
        age = max(0.0, time.time() - found.oldest_sync.timestamp())
        yield from _gauge("costlens_github_sync_age_seconds", "Since the repository read longest ago was read", age)
    yield from _process()


def _process() -> Iterator[str]:
    """Of the web process that answers; with several, each scrape may reach another."""
    pid = str(os.getpid())
    name = "costlens_process_cpu_seconds_total"
    yield from _metric(name, "counter", "Processor time of the process that answers", {f'{{pid="{pid}"}}': _cpu()})
    memory = _resident_bytes()
    if memory is not None:
        yield from _gauge("costlens_process_resident_memory_bytes", "Memory of the same", memory, pid=pid)


def _cpu() -> float:
    return time.process_time()


def _resident_bytes() -> int | None:
    """None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _gauge(name: str, about: str, value: float, **labels: str) -> Iterator[str]:
    shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
    yield from _metric(name, "gauge", about, {f"{{{shown}}}" if shown else "": value})


def _by(name: str, about: str, label: str, values: Mapping[str, float]) -> Iterator[str]:
    rows = {f'{{{label}="{key}"}}': value for key, value in sorted(values.items())}
    yield from _metric(name, "gauge", about, rows)


def _metric(name: str, kind: str, about: str, values: Mapping[str, float]) -> Iterator[str]:
    """One family; `values` by labels in braces. Labels here are words of ours, so nothing has to be escaped."""
    yield f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
    for labels, value in values.items():
        yield f"{name}{labels} {value}\n"

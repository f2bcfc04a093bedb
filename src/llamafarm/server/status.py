"""What the gateway says of itself to an operator: what is served, how busy it is, how its targets fare."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from llamafarm import __version__

if TYPE_CHECKING:
    from llamafarm.health import Health
    from llamafarm.server.gateway import Gateway
    from llamafarm.types import Target

__all__ = ["status_of"]


def status_of(gateway: Gateway) -> dict[str, Any]:
    """Give the figures as a JSON document; holds no content and no secret."""
    reloader = gateway.reloader
    served = reloader.serving.served
    return {
        "program": __version__,
        "pid": os.getpid(),
        "ready": gateway.ready,
        "uptime_seconds": round(time.time() - gateway.started),
        "file": str(served.path) if served.path is not None else None,
        "version": served.version,
        "generation": reloader.generation,
        "last_reload_error": reloader.failure,
        "requests_in_flight": gateway.in_flight,
        "requests_answered": gateway.answered,
        "tasks": len(asyncio.all_tasks()),
        **({"workers": gateway.crew.figures()} if gateway.crew is not None else {}),
        "strategies": [
            {
                "name": name,
                "targets": [_target(target, gateway.health) for target in farm.routing.targets],
            }
            for name, farm in reloader.serving.farms.items()
        ],
    }


def _target(target: Target, health: Health) -> dict[str, Any]:
    figures = health.figures(target)
    latency = figures.latency
    return {
        "name": target.name,
        "provider": target.provider,
        "model": target.model,
        "eligible": not target.barred,
        "reasons": list(target.barred),
        "available": figures.available,
        "in_flight": figures.in_flight,
        "latency_ms": None if latency is None else round(latency * 1e3, 1),
    }

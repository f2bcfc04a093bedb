"""``status`` and ``reload``: asks a gateway that runs how it fares, or to load its strategy file anew."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click
import msgspec

from llamafarm.cli.columns import columns
from llamafarm.cli.printing import document, say, write
from llamafarm.cli.settings import common_options_but, settings_of
from llamafarm.errors import ConfigError, ConnectError, LlamaFarmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.cli.settings import Settings
    from llamafarm.spec.strategy import ServerSettings

__all__ = ["reload", "status"]

_KEY = "LLAMAFARM_KEY"
_PATIENCE = 30.0
_OK = 200


def _address(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--url", metavar="URL", help="The gateway's address; else where the strategy file has it listen."
    )(command)


@click.command
@_address
@common_options_but("--strategy")
@click.pass_context
def status(context: click.Context, /, url: str | None) -> None:
    """Say what a running gateway serves, how busy it is and how its targets fare.

    Where the gateway has keys, $LLAMAFARM_KEY holds one made with --admin.
    """
    settings = settings_of(context)
    found = asyncio.run(_ask(settings, url, "GET", "admin/status"))
    if settings.json:
        document(found)
        return
    write(_figures(found))


@click.command
@_address
@common_options_but("--strategy")
@click.pass_context
def reload(context: click.Context, /, url: str | None) -> None:
    """Have a running gateway load its strategy file anew; an invalid file changes nothing, and exits 2.

    Where the gateway has keys, $LLAMAFARM_KEY holds one made with --admin.
    """
    settings = settings_of(context)
    found = asyncio.run(_ask(settings, url, "POST", "admin/reload"))
    if settings.json:
        document(found)
        return
    what = "changed" if found.get("changed") else "as before"
    write(f"loaded ({what}): {', '.join(found.get('strategies', []))}\n")


async def _ask(settings: Settings, url: str | None, method: str, path: str) -> dict[str, Any]:
    """Ask the gateway. Raises ConfigError for what it refuses, ConnectError where nobody is there."""
    from llamafarm.transport import Endpoint, HttpTransport

    try:
        endpoint = Endpoint.parse(url or _listens_at(settings)).join(path)
    except ValueError as error:
        raise click.UsageError(f"--url: {error}") from None
    key = os.environ.get(_KEY)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = HttpTransport(proxies=False)
    try:
        async with asyncio.timeout(_PATIENCE):
            if method == "GET":
                response = await transport.get(endpoint, headers)
            else:
                response = await transport.post(endpoint, {**headers, "Content-Type": "application/json"}, b"{}")
            body = await response.read(1 << 24)
    except TimeoutError:
        raise ConnectError(f"the gateway at {endpoint.shown} did not answer within {_PATIENCE:g} s") from None
    finally:
        await transport.aclose()
    return _understood(response.status, body, endpoint.shown)


def _understood(status: int, body: bytes, where: str) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = None
    if not isinstance(said, dict):
        raise ConnectError(f"what answers at {where} (status {status}) is no gateway of llamafarm: name its --url")
    error = said.get("error")
    if status == _OK and error is None:
        return said
    message = error.get("message") if isinstance(error, dict) else None
    kind: type[LlamaFarmError] = ConfigError if status < 500 else ConnectError  # noqa: PLR2004 - whose fault it is
    raise kind(f"the gateway at {where} answered {status}: {message or 'without a reason'}")


def _listens_at(settings: Settings) -> str:
    served = _server_settings(settings)
    scheme = "https" if served.tls_certificate else "http"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(served.host, served.host)  # noqa: S104 - compared, not bound
    return f"{scheme}://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{served.port}"


def _server_settings(settings: Settings) -> ServerSettings:
    """Give where the gateway listens by its file, of one with mistakes too: that is when one wants to know."""
    from llamafarm.farm.locate import find_file
    from llamafarm.spec import examine_file
    from llamafarm.spec.strategy import ServerSettings

    path = find_file(settings.strategy_file, os.environ)
    if path is None:
        return ServerSettings()
    try:
        return examine_file(path, env=os.environ).file.server
    except ConfigError:
        return ServerSettings()


def _figures(found: dict[str, Any]) -> str:
    draining = "" if found.get("ready") else ", draining"
    version = f" version {found['version']}" if found.get("version") else ""
    busy = max(0, found.get("requests_in_flight", 1) - 1)
    lines = [
        f"llamafarm {found.get('program')}, process {found.get('pid')}, up {found.get('uptime_seconds')} s{draining}",
        f"{found.get('file') or 'the shipped strategies'}{version}, load {found.get('generation')}",
        f"{busy} requests in flight beside this one, {found.get('requests_answered')} answered",
    ]
    workers = found.get("workers")
    if workers:
        figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in workers.items())
        lines.append(f"all workers: {figures}")
    if found.get("last_reload_error"):
        say(f"the last reload was refused: {found['last_reload_error']}")
    rows = [
        (
            strategy["name"],
            target["name"],
            target["model"],
            _state(target),
            str(target["in_flight"]),
            "-" if target["latency_ms"] is None else f"{target['latency_ms']:g} ms",
        )
        for strategy in found.get("strategies", [])
        for target in strategy["targets"]
    ]
    head = ("STRATEGY", "TARGET", "MODEL", "STATE", "AT WORK", "LATENCY")
    return "\n".join([*lines, "", columns(head, rows, right={4, 5})])


def _state(target: dict[str, Any]) -> str:
    if not target["eligible"]:
        return "; ".join(target["reasons"])
    return "well" if target["available"] else "left out"

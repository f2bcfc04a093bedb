"""`keys`: makes, lists and revokes the keys that a gateway's callers need."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli import printing
from llamafarm.cli.columns import columns
from llamafarm.cli.settings import common_options, common_options_but, settings_of
from llamafarm.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from llamafarm.cli.settings import Settings
    from llamafarm.server.keys import Key, Keys

__all__ = ["keys"]

_MOST_DAYS = 36_500
_LONGEST_ID = 32
_in_file = click.option(
    "--file",
    metavar="PATH",
    help="The file of keys; else the strategy file's server.keys, else keys.json in the program's folder.",
)


@click.group(invoke_without_command=True)
@common_options
@click.pass_context
def keys(context: click.Context, /) -> None:
    """Make, list and revoke the gateway's keys.

    A gateway that is running follows within a second. Without any key it listens to this machine alone.
    """
    if context.invoked_subcommand is None:
        printing.write(context.get_help() + "\n")


@keys.command()
@click.argument("tenant")
@click.option("--strategy", "strategies", metavar="NAME", multiple=True, help="Allow this strategy; repeatable.")
@click.option("--admin", is_flag=True, help="Allow what an operator needs, too: reload and the like.")
@click.option("--expires", metavar="DAYS", type=click.IntRange(1, _MOST_DAYS), help="Days until it is void.")
@_in_file
@common_options_but("--strategy")
@click.pass_context
def create(
    context: click.Context,
    /,
    tenant: str,
    strategies: tuple[str, ...],
    *,
    admin: bool,
    expires: int | None,
    file: str | None,
) -> None:
    """Make a key for TENANT and print it: this once, for only its hash is kept. Without --strategy it allows all."""
    from llamafarm.server.keys import change_keys, new_key

    settings = settings_of(context)
    path = _path(settings, file)
    # One given before the command's name is meant as well: here the word has no other meaning.
    allowed = tuple(dict.fromkeys([*([settings.strategy] if settings.strategy else []), *strategies]))
    now = datetime.now(UTC).replace(microsecond=0)
    made = []

    def add(known: Keys) -> Keys:
        taken = [key.id for key in known.by_digest.values()]
        until = now + timedelta(days=expires) if expires is not None else None
        made.append(new_key(tenant, now=now, taken=taken, strategies=_proper(allowed), admin=admin, expires=until))
        return known.with_key(made[0][0])

    change_keys(path, add)
    ((key, secret),) = made
    if settings.json:
        printing.document({**_document(key), "secret": secret.reveal(), "file": str(path)})
    else:
        printing.write(secret.reveal() + "\n")
    printing.note(settings, f"key {key.id} of {tenant} is in {path}; its secret is shown this once and kept nowhere")
    for name in _unknown(settings, allowed):
        printing.note(settings, f"no strategy is called {name!r} yet: for that name the key is good for nothing")


def _proper(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not name.strip() or not name.isprintable():
            raise click.UsageError(f"--strategy {name!r}: expected a strategy's name")
    return names


@keys.command("list")
@_in_file
@common_options_but("--strategy")
@click.pass_context
def list_(context: click.Context, /, file: str | None) -> None:
    """List the keys: whose, for what, until when. Their secrets are kept nowhere."""
    from llamafarm.server.keys import load_keys

    settings = settings_of(context)
    path = _path(settings, file)
    found = load_keys(path)
    listed = sorted(found.by_digest.values(), key=lambda key: (key.tenant, key.created, key.id))
    if settings.json:
        printing.document({"file": str(path), "required": found.required, "keys": [_document(key) for key in listed]})
        return
    now = datetime.now(UTC).timestamp()
    rows = [
        (
            key.id,
            key.tenant,
            ", ".join(key.strategies) or "all",
            "admin" if key.admin else "inference",
            f"{key.created:%Y-%m-%d}",
            _until(key, now),
        )
        for key in listed
    ]
    printing.write(columns(("id", "tenant", "strategies", "access", "created", "expires"), rows))
    if not found.required:
        printing.note(settings, f"there is no {path}: the gateway listens to this machine alone and asks for no key")
    elif not listed:
        printing.note(settings, f"{path} has no key left: the gateway lets nobody in")


@keys.command()
@click.argument("key_id", metavar="ID")
@_in_file
@common_options_but("--strategy")
@click.pass_context
def revoke(context: click.Context, /, key_id: str, file: str | None) -> None:
    """Revoke the key with this ID: a running gateway refuses it within a second."""
    from llamafarm.server.keys import change_keys

    settings = settings_of(context)
    path = _path(settings, file)
    if len(key_id) > _LONGEST_ID:  # it may be a secret, which is not to be repeated on a terminal
        raise ConfigError("that is no key's id: `llamafarm keys list` shows them; in a secret lf-ID-… it is in front")
    revoked: list[Key] = []

    def remove(known: Keys) -> Keys:
        revoked.extend(key for key in known.by_digest.values() if key.id == key_id)
        return known.without(key_id)

    left = change_keys(path, remove)
    (key,) = revoked
    if settings.json:
        printing.document({"revoked": _document(key), "file": str(path), "left": len(left.by_digest)})
        return
    printing.write(f"revoked {key.id} of {key.tenant}\n")
    if not left.by_digest:
        printing.note(settings, f"{path} has no key left: the gateway lets nobody in")


def _path(settings: Settings, given: str | None) -> Path:
    """Tell which file is meant. Raises ConfigError where the strategy file does not tell."""
    from llamafarm import spec
    from llamafarm.farm import find_file
    from llamafarm.home import expanded
    from llamafarm.server.keys import keys_file
    from llamafarm.spec.strategy import ServerSettings

    if given is not None:
        if not given.strip() or "\0" in given:
            raise click.UsageError("--file: expected a path")
        try:
            return expanded(given).absolute()
        except ValueError as error:
            raise click.UsageError(f"--file {given}: {error}") from error
    file = find_file(settings.strategy_file, os.environ)
    if file is None:
        return keys_file(ServerSettings())
    document = spec.examine_file(file)
    if not document.is_read("server.keys"):
        raise ConfigError(
            f"{file}: server.keys, the file of the gateway's keys, cannot be read: correct it (see "
            "`llamafarm validate-config`), or give --file"
        )
    return keys_file(document.file.server)


def _unknown(settings: Settings, names: tuple[str, ...]) -> list[str]:
    """Give the names that no strategy has, neither of the file nor a shipped one."""
    from llamafarm import spec, strategies
    from llamafarm.farm import find_file

    if not names:
        return []
    known = set(strategies.names())
    try:
        file = find_file(settings.strategy_file, os.environ)
        if file is not None:
            known |= {strategy.name for strategy in spec.examine_file(file).file.strategies}
    except ConfigError:  # the key was wanted for a --file: what is wrong with the strategies is not today's question
        return []
    return [name for name in names if name not in known]


def _until(key: Key, now: float) -> str:
    if key.expires is None:
        return "never"
    day = f"{key.expires:%Y-%m-%d}"
    return f"{day} (over)" if key.is_expired(now) else day


def _document(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "strategies": list(key.strategies),
        "admin": key.admin,
        "created": key.created,
        "expires": key.expires,
    }

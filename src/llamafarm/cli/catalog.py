"""`catalog`: which vendors there are and whether their keys are set, what models cost and can do, which are here."""

from __future__ import annotations

import datetime as dt
import os
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from llamafarm import catalog as rows
from llamafarm.cli import printing
from llamafarm.cli.amounts import per_million, size, tokens
from llamafarm.cli.columns import columns
from llamafarm.cli.local_models import known_models
from llamafarm.cli.settings import common_options_but, settings_of
from llamafarm.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamafarm.types import Price

__all__ = ["catalog"]

_NEAR = 0.7
"""How alike a name must be to be suggested: a slip or two, not another word."""


@click.group(invoke_without_command=True)
@common_options_but("--strategy")
@click.pass_context
def catalog(context: click.Context, /) -> None:
    """Look up vendors, models and prices."""
    if context.invoked_subcommand is None:
        printing.write(context.get_help() + "\n")


@catalog.command("list")
@click.option("--vendor", metavar="NAME", help="List a vendor's models instead.")
@common_options_but("--strategy")
@click.pass_context
def list_(context: click.Context, /, vendor: str | None) -> None:
    """List vendors and the models of this machine, or with --vendor the models of one."""
    settings = settings_of(context)
    if vendor is not None:
        models = [_model(vendor, row) for row in rows.models_of(_vendor(vendor).name)]
        _show_models(models, as_json=settings.json)
        return
    vendors = [_vendor_document(row) for row in rows.all_vendors() if not row.local]
    local = known_models()
    if settings.json:
        printing.document({"date": _date(), "vendors": vendors, "local_models": local})
        return
    table = [
        (
            entry["name"],
            entry["title"],
            str(entry["models"] or "-"),
            entry["key_variable"] or "-",
            _yes(entry["key_set"]),
        )
        for entry in vendors
    ]
    printing.write(columns(("vendor", "", "models", "key variable", "set"), table, right=(2,)))
    printing.write("\n" + _local_table(local))
    printing.write(f"\nprices as of {_date()}; `llamafarm catalog list --vendor NAME` lists a vendor's models\n")


@catalog.command()
@click.argument("text", nargs=-1, required=True)
@common_options_but("--strategy")
@click.pass_context
def search(context: click.Context, /, text: tuple[str, ...]) -> None:
    """Find models whose vendor and names have every word of TEXT."""
    found = [_model(vendor, row) for vendor, row in rows.search(" ".join(text))]
    settings = settings_of(context)
    if found or settings.json:
        _show_models(found, as_json=settings.json)
    else:
        printing.note(settings, f"no model has {' '.join(text)!r} in its vendor or names, as of {_date()}")


@catalog.command()
@click.argument("name")
@common_options_but("--strategy")
@click.pass_context
def info(context: click.Context, /, name: str) -> None:
    """Say all that is known about a model (NAME or VENDOR/NAME) or a vendor."""
    found = _info(name)
    if settings_of(context).json:
        printing.document(found)
        return
    for entry in (*found["vendors"], *found["models"], *found["local_models"]):
        width = max(map(len, entry))
        printing.write("".join(f"{key:<{width}}  {_plain(value)}\n" for key, value in entry.items()) + "\n")
    printing.write(f"prices in dollars per million tokens, as of {_date()}\n")


def _info(name: str) -> dict[str, Any]:
    """Look a name up among vendors and models. Raises ConfigError with the nearest name where it is neither."""
    vendor, slash, model = name.partition("/")
    given = [(vendor, model)] if slash and rows.find_vendor(vendor) is not None else []
    wanted = [*given, *((row.name, name) for row in rows.all_vendors())]
    found = {(place, row.id): _model(place, row) for place, name in wanted if (row := rows.find_model(place, name))}
    vendor_row = rows.find_vendor(name)
    local = [entry for entry in known_models() if entry["name"] == name]
    if not found and vendor_row is None and not local:
        raise ConfigError(f"neither a vendor nor a model is called {name!r}: {_meant(name)}")
    return {
        "date": _date(),
        "vendors": [_vendor_document(vendor_row)] if vendor_row else [],
        "models": list(found.values()),
        "local_models": local,
    }


def _meant(name: str) -> str:
    known = {*rows.vendor_names(), *(row.id for vendor in rows.vendor_names() for row in rows.models_of(vendor))}
    near = get_close_matches(name, known, 1, _NEAR)
    return f"did you mean {near[0]}?" if near else "`llamafarm catalog search TEXT` finds names by a part"


def _vendor(name: str) -> rows.Vendor:
    vendor = rows.find_vendor(name)
    if vendor is None:
        near = get_close_matches(name, rows.vendor_names(), 1, _NEAR)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(rows.vendor_names())}"
        raise ConfigError(f"no vendor is called {name!r}: {hint}")
    return vendor


def _vendor_document(vendor: rows.Vendor) -> dict[str, Any]:
    given = next((name for name in vendor.key_variables if os.environ.get(name)), None)
    return {
        "name": vendor.name,
        "title": vendor.title,
        "base_url": vendor.base_url or vendor.example_url,
        "key_variable": given or next(iter(vendor.key_variables), None),
        "key_set": given is not None,
        "models": len(rows.models_of(vendor.name)),
        "docs": vendor.docs,
        "checked": vendor.checked.isoformat(),
    }


def _model(vendor: str, row: rows.ModelRow) -> dict[str, Any]:
    return {
        "vendor": vendor,
        "id": row.id,
        "names": list(row.names),
        "price": _price(row.price_on(dt.datetime.now(dt.UTC).date())),
        "price_is_ceiling": row.ceiling,
        "context_window": row.context_window,
        "max_output": row.max_output,
        "supports": sorted(row.supports) if row.supports is not None else None,
        "retired": row.deprecated,
    }


def _price(price: Price | None) -> dict[str, float] | None:
    if price is None:
        return None
    amounts = {
        "input": price.input,
        "output": price.output,
        "cached_input": price.cached_input,
        "cache_write": price.cache_write,
    }
    return {name: amount / 1e9 for name, amount in amounts.items() if amount is not None}


def _show_models(models: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        printing.document({"date": _date(), "models": list(models)})
        return
    table = [
        (
            model["vendor"],
            model["id"],
            *per_million(model["price"], ceiling=model["price_is_ceiling"]),
            tokens(model["context_window"]),
            "retired" if model["retired"] else ", ".join(model["supports"] or ("-",)),
        )
        for model in models
    ]
    printing.write(columns(("vendor", "model", "in $/M", "out $/M", "window", "abilities"), table, right=(2, 3, 4)))
    printing.write(f"\nprices as of {_date()}\n")


def _local_table(models: Iterable[dict[str, Any]]) -> str:
    table = [
        (entry["name"], size(entry["bytes"]) if entry["bytes"] else "-", _yes(entry["present"]), entry["description"])
        for entry in models
    ]
    return columns(("local model", "size", "here", ""), table, right=(1,))


def _date() -> str:
    return rows.snapshot().date.isoformat()


def _yes(given: object) -> str:
    return "yes" if given else "no"


def _plain(value: object) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return _yes(value)
        case list():
            return ", ".join(map(str, value)) or "-"
        case dict():
            return ", ".join(f"{name} {amount:g}" for name, amount in value.items())
        case _:
            return str(value)

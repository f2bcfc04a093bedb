"""`validate-config` and `schema`: what is wrong with strategy files, and what they may hold."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llamafarm.cli import printing
from llamafarm.cli.settings import common_options_but, settings_of
from llamafarm.errors import ConfigError, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.hardware import Hardware
    from llamafarm.models import ModelStore
    from llamafarm.spec import Document

__all__ = ["schema", "validate_config"]

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
_SEVERITY = re.compile(r": (error|warning|info)(\[[a-z0-9-]+\]): ")


@click.command("validate-config")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), help="How findings are shown.")
@click.option("--strict", is_flag=True, help="Warnings fail, too.")
@click.option("--ignore", metavar="CODE", multiple=True, help="Leave out warnings and infos of a code; repeatable.")
@click.option("--any-machine", is_flag=True, help="Don't judge this machine's hardware: the file is for another.")
@common_options_but("--strategy")
@click.pass_context
def validate_config(
    context: click.Context, /, files: tuple[str, ...], form: str | None, ignore: tuple[str, ...], **flags: bool
) -> None:
    """Check strategy files: every problem of each, with its place.

    Without FILE: the one the other commands would use. Exit code 2 where a file has an error.
    """
    settings = settings_of(context)
    form = form or ("json" if settings.json else "text")
    findings: list[Finding] = []
    texts: dict[str, str] = {}
    for name in files or (_usual_file(settings.strategy_file),):
        found = _findings_of(name, any_machine=flags["any_machine"])
        findings += found
        texts[name] = _text_of(name) if any(finding.line for finding in found) else ""
    kept = [finding for finding in findings if finding.severity is Severity.ERROR or finding.code not in ignore]
    _show(kept, texts, form)
    fatal = {Severity.ERROR, Severity.WARNING} if flags["strict"] else {Severity.ERROR}
    context.exit(ConfigError.exit_code if any(finding.severity in fatal for finding in kept) else 0)


def _usual_file(given: str | None) -> str:
    from llamafarm.farm import find_file

    found = find_file(given, os.environ)
    if found is None:
        raise ConfigError(
            "there is no strategies.yaml here: name the file to check"
            " (`llamafarm init local_development > strategies.yaml` writes one)"
        )
    return str(found)


def _findings_of(name: str, *, any_machine: bool) -> tuple[Finding, ...]:
    from llamafarm import spec
    from llamafarm.check import check

    try:
        document = spec.examine_file(name)
    except ConfigError as error:
        return error.findings
    hardware = None if any_machine else _hardware_for(document)
    store = None if any_machine else _store_for(document)
    keys = None if any_machine else _keys_for(document)
    return document.unsilenced((*document.findings, *check(document, os.environ, hardware, store, keys)))


def _hardware_for(document: Document) -> Hardware | None:
    """Look at the machine only for a file that asks something of it: that takes a while."""
    from llamafarm.hardware import probe

    constraints = [strategy.constraints for strategy in document.file.strategies]
    asked = any(limits.requires_gpu or limits.min_gpu_memory is not None for limits in constraints)
    return probe() if asked else None


def _store_for(document: Document) -> ModelStore | None:
    """Look for model files only where the embedded engine may want some."""
    from llamafarm.models import ModelStore

    types = {part.type for strategy in document.file.strategies for part in strategy.components.values()}
    types |= {entry.type for strategy in document.file.strategies for entry in strategy.fallback_chain}
    return ModelStore() if "llamacpp" in types else None


def _keys_for(document: Document) -> Path | None:
    """Look for gateway keys only where the file says anything of a gateway."""
    from llamafarm.server.keys import keys_file
    from llamafarm.spec.strategy import ServerSettings

    server = document.file.server
    return keys_file(server) if server != ServerSettings() else None


def _text_of(name: str) -> str:
    """Give the text whose lines are shown under findings; none where it can't be read a second time, as from a pipe."""
    try:
        return Path(name).read_text(encoding="utf-8-sig", errors="replace") if Path(name).is_file() else ""
    except (OSError, ValueError):
        return ""


def _show(findings: Sequence[Finding], texts: Mapping[str, str], form: str) -> None:
    from llamafarm.spec.report import render, to_github, to_json

    if form == "json":
        printing.document(to_json(findings))
    elif form == "github":
        printing.write("".join(f"{line}\n" for line in to_github(findings).splitlines()))
    else:
        named = f"{', '.join(texts)}: " if not findings else ""
        report = named + render(findings, {name: text for name, text in texts.items() if text}) + "\n"
        colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        shown = _SEVERITY.sub(_coloured, printing.printable(report)) if colours else report
        printing.write(shown, styled=colours)


def _coloured(match: re.Match[str]) -> str:
    return f": {click.style(match[1], fg=_COLOURS[match[1]], bold=True)}{match[2]}: "


@click.command("schema")
@common_options_but("--strategy")
def schema() -> None:
    """Print the JSON Schema of strategy files, for editors."""
    import json

    from llamafarm import spec

    printing.write(json.dumps(spec.json_schema(), indent=2, ensure_ascii=False) + "\n")

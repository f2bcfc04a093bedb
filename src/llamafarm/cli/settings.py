"""The options every command takes, before its name or after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llamafarm.cli.printing import write

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Settings",
    "asking_options",
    "asking_options_but",
    "check_taken",
    "common_options",
    "common_options_but",
    "settings_of",
]

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(slots=True)
class Settings:
    """What the common options say; those after the command's name win."""

    strategy_file: str | None = None
    strategy: str | None = None
    model: str | None = None
    tag: tuple[str, ...] = ()
    output: str = "text"
    verbose: bool = False
    quiet: bool = False

    @property
    def tells_more(self) -> bool:
        """Whether stderr is to hold more than what must be said; quiet wins."""
        return self.verbose and not self.quiet

    def named(self, name: str | None) -> str | None:
        """Give the strategy that is meant by a NAME or by `strategy`; raises UsageError where they are two."""
        if name is not None and self.strategy not in (None, name):
            raise click.UsageError(f"two strategies are named, {name} and --strategy {self.strategy}: give one of them")
        return name or self.strategy

    @property
    def json(self) -> bool:
        """Whether stdout is to hold one JSON document."""
        return self.output == "json"


def settings_of(context: click.Context) -> Settings:
    """Give the settings of the running command."""
    return context.find_root().ensure_object(Settings)


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    settings = settings_of(context)
    if value is None or value is False or value == ():
        return
    name = str(parameter.name)
    setattr(settings, name, (*settings.tag, *value) if name == "tag" else value)


_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--strategy-file",),
        {"metavar": "FILE", "help": "Strategy file; else $LLAMAFARM_STRATEGIES, ./strategies.yaml, the shipped ones."},
    ),
    (("--strategy",), {"metavar": "NAME", "help": "A strategy of the file, or a shipped one; else the file's first."}),
    (
        ("--model",),
        {
            "metavar": "NAME",
            "help": "Target, alias or model of the strategy: tried first, rules skipped; STRATEGY/TARGET: it alone.",
        },
    ),
    (("--tag",), {"metavar": "TAG", "multiple": True, "help": "Tag the request for the rules; may be repeated."}),
    (("--output",), {"type": click.Choice(["text", "json"]), "help": "What stdout holds: text (default) or JSON."}),
    (("-v", "--verbose"), {"is_flag": True, "help": "Say more on stderr."}),
    (("-q", "--quiet"), {"is_flag": True, "help": "Say nothing on stderr but errors."}),
)


def _show_help(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        write(context.get_help() + "\n")
        context.exit()


_OF_A_REQUEST = ("--model", "--tag")


def asking_options(command: F) -> F:
    """Give a command that sends a request the common options, and those that say where it may go."""
    return asking_options_but()(command)


def asking_options_but(*left_out: str) -> Callable[[F], F]:
    """Give a command those without some that mean nothing to it."""
    return lambda command: _with_options(command, left_out)


def common_options(command: F) -> F:
    """Give a command the common options, without those of a request; `settings_of` has their values.

    The help is among them because click's own does not know what to do where stdout takes nothing.
    """
    return common_options_but()(command)


def common_options_but(*left_out: str) -> Callable[[F], F]:
    """Give a command the common options, without those that mean nothing to it or that it has in another meaning."""
    return lambda command: _with_options(command, (*left_out, *_OF_A_REQUEST))


def check_taken(settings: Settings, command: click.Command) -> None:
    """Refuse, with UsageError, what was given before the name of a command that it would do nothing for."""
    known = {name for parameter in command.params for name in parameter.opts}
    for option in ("--strategy", *_OF_A_REQUEST):
        if getattr(settings, option.removeprefix("--")) and option not in known:
            raise click.UsageError(f"{command.name} has no use for {option}")


def _with_options(command: F, left_out: tuple[str, ...]) -> F:
    command = click.option(
        "-h", "--help", is_flag=True, is_eager=True, expose_value=False, callback=_show_help, help="Show this message."
    )(command)
    kept = [option for option in _OPTIONS if option[0][-1] not in left_out]
    for names, attributes in reversed(kept):
        command = click.option(*names, expose_value=False, callback=_store, **attributes)(command)
    return command

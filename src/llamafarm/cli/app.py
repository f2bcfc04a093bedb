"""The program as a whole: its commands, imported when called, and the edge where errors become exit codes."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from llamafarm import __version__
from llamafarm.cli.printing import discard, say, write
from llamafarm.cli.settings import Settings, asking_options, check_taken, settings_of
from llamafarm.errors import LlamaFarmError, ResourceError

__all__ = ["run"]

COMMANDS: dict[str, tuple[str, str]] = {
    "generate": ("llamafarm.cli.ask", "Answer a prompt."),
    "chat": ("llamafarm.cli.chat", "Talk with a model."),
    "complete": ("llamafarm.cli.ask", "Continue a text."),
    "embed": ("llamafarm.cli.embed", "Turn texts into vectors."),
    "image": ("llamafarm.cli.image", "Have a picture made."),
    "compare": ("llamafarm.cli.compare", "Ask several targets the same and show them side by side."),
    "batch": ("llamafarm.cli.batch", "Answer a file of prompts."),
    "explain": ("llamafarm.cli.explain", "Say where a prompt would go and why, sending nothing."),
    "validate-config": ("llamafarm.cli.validate", "Check strategy files."),
    "schema": ("llamafarm.cli.validate", "Print the JSON Schema of strategy files."),
    "list-strategies": ("llamafarm.cli.strategies", "List the strategies of the file and the shipped ones."),
    "info": ("llamafarm.cli.strategies", "Describe a strategy."),
    "init": ("llamafarm.cli.strategies", "Print a shipped strategy as a start for your own file."),
    "health-check": ("llamafarm.cli.health", "Ask every target whether it could answer."),
    "test": ("llamafarm.cli.test", "Find out whether fallbacks and rules work: call, break, compare."),
    "catalog": ("llamafarm.cli.catalog", "Look up vendors, models and prices."),
    "pull": ("llamafarm.cli.pull", "Fetch model files."),
    "serve": ("llamafarm.cli.serve", "Put strategies behind HTTP, for OpenAI's and Anthropic's clients."),
    "status": ("llamafarm.cli.gateway", "Say what a running gateway serves and how it fares."),
    "reload": ("llamafarm.cli.gateway", "Have a running gateway load its strategy file anew."),
    "keys": ("llamafarm.cli.keys", "Make, list and revoke the gateway's keys."),
}
"""Each command's module and its line in the help; the module's function has the command's name with ``_`` for ``-``."""


class _Commands(click.Group):
    """Knows its commands by name and imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click gives it
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click gives it
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, left = super().resolve_command(ctx, args)
        if command is not None:
            check_taken(settings_of(ctx), command)
        return name, command, left

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click gives it
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        write(f"llamafarm {__version__}\n")
        context.exit()


@click.group(cls=_Commands, invoke_without_command=True)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@asking_options
@click.pass_context
def llamafarm(context: click.Context, /) -> None:
    """Answer prompts by the strategies of a file: where each goes, what it may cost, what happens on failure."""
    if context.invoked_subcommand is None:
        write(context.get_help() + "\n")


def run(arguments: list[str] | None) -> int:
    """Run the program and give its exit code; no exception passes, and none shows a traceback without --verbose."""
    _print_anything()
    settings = Settings()
    try:
        code = _run(arguments, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        return 0
    except OSError as error:  # the last of stdout did not fit
        discard(sys.stdout)
        say(f"llamafarm: standard output: {error.strerror or error}")
        return ResourceError.exit_code
    return code


def _run(arguments: list[str] | None, settings: Settings) -> int:
    try:
        return _carry_out(arguments, settings)
    except click.ClickException as error:
        return _misuse(error)
    except click.exceptions.Exit as left:  # while a failure was shown, whoever read it has gone
        return left.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except LlamaFarmError as error:  # a failure that stdout could not take, for one
        say(f"llamafarm: {' '.join(str(error).split())}")
        return error.exit_code
    except OSError as error:
        sys.stdout.flush()  # where this is what failed, it fails again, and `run` says so
        return _bug(error, settings)
    except Exception as error:  # noqa: BLE001 - the outer edge: whatever went wrong, a user gets one line
        return _bug(error, settings)


def _carry_out(arguments: list[str] | None, settings: Settings) -> int:
    """Carry the command out and show its failure. Raises what else goes wrong, also while a failure is shown."""
    try:
        code = llamafarm.main(args=arguments, prog_name="llamafarm", obj=settings, standalone_mode=False)
    except LlamaFarmError as error:
        from llamafarm.cli.failures import show

        show(error, settings)
        return error.exit_code
    return code if isinstance(code, int) else 0


def _misuse(error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "llamafarm"
    say(f"llamafarm: {' '.join(error.format_message().split())} (see {where} --help)")
    return error.exit_code


def _bug(error: Exception, settings: Settings) -> int:
    if settings.verbose:
        import traceback

        say("".join(traceback.format_exception(error)).rstrip())
    text = f"llamafarm: internal error: {type(error).__name__}: {error}"
    more = "" if settings.verbose else " (run again with --verbose for the traceback)"
    say(" ".join(text.split()) + more)
    return 70


def _print_anything() -> None:
    """Write as escapes what a terminal does not know or is no text, and let a closed stream swallow what is written."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - as above
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")

"""The command: reads turn after turn until the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli.parameters import parameter_options, request_options
from llamafarm.cli.printing import note
from llamafarm.cli.prompts import valid
from llamafarm.cli.settings import asking_options, settings_of
from llamafarm.errors import BadCallError, ConfigError, LlamaFarmError

if TYPE_CHECKING:
    from pathlib import Path

    from llamafarm.cli.chat.session import Session
    from llamafarm.cli.chat.slash import Slash
    from llamafarm.cli.chat.typing_in import Typing

__all__ = ["chat"]

_INTERRUPTED = 130


@click.command
@click.option("--system", metavar="TEXT", help="What the model is told before the conversation.")
@click.option("--load", metavar="FILE", help="Go on with a conversation saved by /save.")
@parameter_options
@asking_options
@click.pass_context
def chat(context: click.Context, /, system: str | None, load: str | None, **parameters: Any) -> int:
    """Talk with a model: each line is a turn, and the whole conversation is sent with it. /help lists the commands.

    With lines piped in it prints the answers alone, and exits with 1 where a turn failed.
    """
    settings = settings_of(context)
    options = request_options(context, **parameters)
    system = None if system is None else valid(system, "--system")

    from llamafarm.cli.chat.session import Session
    from llamafarm.cli.chat.slash import Slash
    from llamafarm.cli.chat.typing_in import Typing

    with Session(settings, options, system) as session:
        slash = Slash(session)
        if load is not None:
            slash.carry_out(f"/load {load}")
        typing = Typing(_history(session))
        if typing.is_person:
            note(settings, f"strategy {session.farm.strategy.name}; /help lists commands, Ctrl-D leaves")
        return _talk(session, slash, typing)


def _talk(session: Session, slash: Slash, typing: Typing) -> int:
    from llamafarm.cli.failures import show

    interrupted = False
    while not slash.is_over:
        try:
            turn = typing.read()
        except BadCallError as error:
            if not typing.is_person:  # of a pipe that is not text nothing more can be read
                raise
            show(error, session.settings)
            continue
        except KeyboardInterrupt:
            click.echo(err=True)
            if interrupted or not typing.is_person:
                return _INTERRUPTED
            interrupted = True
            note(session.settings, "Ctrl-C again leaves; so does /exit")
            continue
        interrupted = False
        if turn is None:
            if typing.is_person:
                click.echo(err=True)
            break
        _take(session, slash, typing, turn)
    return 1 if session.failed and not typing.is_person else 0


def _take(session: Session, slash: Slash, typing: Typing, turn: str) -> None:
    """Carry out a command or ask a question; what goes wrong is shown, and the chat goes on."""
    from llamafarm.cli.failures import show

    try:
        if turn.startswith("/") and not turn.startswith("//"):
            farm = session.farm
            slash.carry_out(turn)
            if session.farm is not farm:
                typing.history = _history(session)
        else:
            session.ask(turn.removeprefix("/") if turn.startswith("//") else turn)
    except LlamaFarmError as error:
        session.failed = True
        show(error, session.settings)


def _history(session: Session) -> Path | None:
    """Give the file in which lines are remembered; None where nothing of a user's words is to be kept, or can be."""
    from llamafarm.home import home

    if session.farm.strategy.constraints.privacy_mode != "public":
        return None
    try:
        return home() / "chat_history"
    except ConfigError as error:
        note(session.settings, f"no history is kept: {error}")
        return None

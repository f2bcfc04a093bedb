"""What a line that begins with a slash does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llamafarm.cli.chat.conversation import Conversation
from llamafarm.cli.printing import counted, say
from llamafarm.errors import BadCallError
from llamafarm.home import expanded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llamafarm.cli.chat.session import Session

__all__ = ["HELP", "Slash"]


class _Command(NamedTuple):
    argument: str
    help: str
    do: Callable[[Slash, str], None]


class Slash:
    """Carries out the commands of a chat; what they say goes to stderr, so that stdout holds answers alone."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.saved: set[Path] = set()
        """Files this chat has written or read, which it may write again."""
        self.is_over = False
        """Whether the user has asked to leave."""

    def carry_out(self, line: str) -> None:
        """Carry out a line like ``/model fast``. Raises a LlamaFarmError for what is wrong with it."""
        name, _, argument = line[1:].strip().partition(" ")
        command = _COMMANDS.get(name)
        if command is None:
            raise BadCallError(f"there is no /{name}: /help lists the commands; //{name} asks the model")
        argument = argument.strip()
        if argument and not command.argument:
            raise BadCallError(f"/{name} takes nothing behind it")
        command.do(self, argument)


def _help(_slash: Slash, _argument: str) -> None:
    say(HELP)


def _model(slash: Slash, name: str) -> None:
    session = slash.session
    if name:
        session.model = None if name == "-" else name
    say(f"model: {session.model or 'as the strategy decides'} (there are: {', '.join(session.models)})")


def _strategy(slash: Slash, name: str) -> None:
    if name:
        slash.session.change_strategy(name)
    say(f"strategy: {slash.session.farm.strategy.name}")


def _system(slash: Slash, text: str) -> None:
    conversation = slash.session.conversation
    if text:
        conversation.system = None if text == "-" else text
    say(f"system: {conversation.system or 'nothing'}")


def _tags(slash: Slash, words: str) -> None:
    if words:
        slash.session.tags = () if words == "-" else tuple(words.replace(",", " ").split())
    say(f"tags: {' '.join(slash.session.tags) or 'none'}")


def _save(slash: Slash, name: str) -> None:
    path = _path(name, "/save")
    slash.session.conversation.save(path, replace=path in slash.saved)
    slash.saved.add(path)
    say(f"saved {counted(len(slash.session.conversation.turns), 'message')} in {path}")


def _load(slash: Slash, name: str) -> None:
    path = _path(name, "/load")
    slash.session.replace(Conversation.load(path))
    slash.saved.add(path)
    say(f"loaded {counted(len(slash.session.conversation.turns), 'message')} from {path}")


def _retry(slash: Slash, _: str) -> None:
    slash.session.again()


def _clear(slash: Slash, _: str) -> None:
    slash.session.clear()
    say("forgotten")


def _history(slash: Slash, _: str) -> None:
    conversation = slash.session.conversation
    if conversation.system is not None:
        say(f"system: {conversation.system}")
    for turn in conversation.turns:
        say(f"{turn.role}: {turn.text}{f' ({turn.mark})' if turn.mark else ''}")
    if not conversation.turns:
        say("nothing has been said yet")


def _cost(slash: Slash, _: str) -> None:
    say(slash.session.spent())


def _exit(slash: Slash, _: str) -> None:
    slash.is_over = True


def _path(name: str, command: str) -> Path:
    if not name:
        raise BadCallError(f"{command} needs a file's name")
    try:
        return expanded(name)
    except ValueError as error:
        raise BadCallError(f"{command} {name}: {error}") from error


_COMMANDS = {
    "help": _Command("", "this list", _help),
    "model": _Command("[NAME]", "ask this target or model; - lets the strategy decide again", _model),
    "strategy": _Command("[NAME]", "go on with another strategy; the conversation stays", _strategy),
    "system": _Command("[TEXT]", "tell the model this before the conversation; - nothing", _system),
    "tags": _Command("[TAG …]", "tag what is asked from now on; - takes the tags off", _tags),
    "save": _Command("FILE", "save the conversation: JSON messages; in a .md file Markdown, for reading only", _save),
    "load": _Command("FILE", "go on with a conversation saved as JSON", _load),
    "retry": _Command("", "ask the last question again", _retry),
    "clear": _Command("", "forget the conversation", _clear),
    "history": _Command("", "show the conversation", _history),
    "cost": _Command("", "show tokens and cost so far", _cost),
    "exit": _Command("", "leave (also Ctrl-D, or Ctrl-C twice)", _exit),
}

HELP = (
    "\n".join(f"{f'/{name} {c.argument}'.strip():<18} {c.help}" for name, c in _COMMANDS.items())
    + '\nA line that ends in \\ goes on in the next; """ begins and ends several lines. Ctrl-C stops an answer.'
)

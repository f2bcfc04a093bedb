"""``image``: has a picture made and writes it to a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli.ask import note_detours
from llamafarm.cli.numbers import WholeNumber
from llamafarm.cli.parameters import request_options
from llamafarm.cli.printing import attempt_documents, document, dollars, say, write
from llamafarm.cli.prompts import read_prompt, valid
from llamafarm.cli.settings import asking_options, settings_of
from llamafarm.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.cli.settings import Settings
    from llamafarm.farm import Images

__all__ = ["image"]

_ENDINGS = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif"}


@click.command
@click.argument("prompt", nargs=-1, metavar="[PROMPT] [-]")
@click.option("--out", required=True, metavar="FILE", help="Where the picture goes; of several, FILE-1, FILE-2 …")
@click.option(
    "-n", "--number", type=WholeNumber(min=1, max=10), default=1, show_default=True, help="How many pictures."
)
@click.option("--size", metavar="WxH", help="Like 1024x1024; what there is depends on the model.")
@click.option("--quality", metavar="WORD", help="Like low or high; what there is depends on the model.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@asking_options
@click.pass_context
def image(context: click.Context, /, prompt: tuple[str, ...], out: str, **given: Any) -> None:
    """Have a picture made of PROMPT, by a target that can; ``-`` or no PROMPT reads it from standard input.

    Prints the path of each file.
    """
    settings = settings_of(context)
    options = request_options(context)
    for name in ("size", "quality"):
        if given[name] is not None:
            options[name] = valid(given[name], f"--{name}")
    if given["number"] > 1:
        options["n"] = given["number"]
    paths = _paths(Path(out), given["number"], force=given["force"])
    asyncio.run(_image(settings, read_prompt(prompt, settings), options, paths))


def _paths(out: Path, number: int, *, force: bool) -> list[Path]:
    """Give the files, and see that they can be written, before anything is paid for."""
    paths = [out] if number == 1 else [out.with_name(f"{out.stem}-{at}{out.suffix}") for at in range(1, number + 1)]
    if not out.parent.is_dir():
        raise click.UsageError(f"--out {out}: there is no folder {out.parent}")
    for path in paths:
        if path.is_dir():
            raise click.UsageError(f"--out {path} is a folder: name the file in it")
        if path.exists() and not force:
            raise click.UsageError(f"{path} is there already: name another file, or add --force to replace it")
    return paths


async def _image(settings: Settings, prompt: str, options: Mapping[str, Any], paths: list[Path]) -> None:
    from llamafarm.cli.opening import opened

    async with opened(settings) as farm:
        images = await farm.image(prompt, **options)
        note_detours(settings, farm, images)
        written = []
        for path, made in zip(paths, images.data, strict=False):
            written.append(_written(path, await farm.picture(made)))
    if settings.json:
        document(_document(images, written))
    else:
        write("".join(f"{path}\n" for path in written))
    if len(written) < len(paths):
        say(f"llamafarm: {images.target} made {len(written)} of {len(paths)} pictures")
    if settings.tells_more:
        cost = "unknown" if images.cost_usd is None else dollars(images.cost_usd)
        say(f"strategy {images.strategy} | target {images.target} | model {images.model} | cost {cost}")


def _written(path: Path, content: bytes) -> Path:
    """Write a file; a picture of another kind than the name says is told of, for its name was chosen before it came."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ResourceError(f"{path}: the picture cannot be written: {error.strerror or error}") from error
    ending = next((ending for start, ending in _ENDINGS.items() if content.startswith(start)), None)
    if ending is not None and path.suffix.lower() not in (ending, "" if ending != ".jpg" else ".jpeg"):
        say(f"llamafarm: {path} holds a picture of the kind {ending}")
    return path


def _document(images: Images, written: list[Path]) -> dict[str, Any]:
    return {
        "files": [str(path) for path in written],
        "revised_prompts": [made.revised_prompt for made in images.data],
        "strategy": images.strategy,
        "target": images.target,
        "model": images.model,
        "cost_usd": images.cost_usd,
        "attempts": attempt_documents(images.attempts),
    }

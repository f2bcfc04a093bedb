"""A gateway as a process of its own, for clients that nobody here wrote."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

__all__ = ["gateway", "strategy_over"]

SECONDS = 60


def strategy_over(name, provider, url, *, model="gpt-4o", key="right", retries=0, supports="", more=""):
    """Write a file's strategy with one target."""
    given = f"provider: {provider}, api_key: {key}, default_model: {model}, base_url: '{url}', max_retries: {retries}"
    given += f", supports: [{supports}]" if supports else ""
    return (
        f"  - name: {name}\n    description: d\n    components:\n"
        f"      t-{name}: {{type: openai_compatible, config: {{{given}}}}}\n{more}"
    )


@contextlib.asynccontextmanager
async def gateway(folder, *strategies, server="watch: false"):
    """Run `llamafarm serve` over these strategies; give its address."""
    file = folder / "strategies.yaml"
    file.write_text(f"server: {{keys: keys.json, {server}}}\nstrategies:\n" + "".join(strategies))
    home = folder / "home"
    arguments = [sys.executable, "-m", "llamafarm.cli", "serve", "--port", "0", "--strategy-file", str(file)]
    with (folder / "gateway.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LLAMAFARM_HOME": str(home)},
        )
    try:
        yield await _address(process, folder / "gateway.log")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _address(process, log):
    async with asyncio.timeout(SECONDS):
        while True:
            said = log.read_text()
            if " at http" in said:
                return said.split(" at ", 1)[1].split("/v1")[0]
            assert process.returncode is None, said
            await asyncio.sleep(0.05)

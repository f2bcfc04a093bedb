"""Asks through the gateway, within the namespaces, on every route, and says what came of it.

Called with the privacy mode, the servers as JSON, and a folder; prints for each request: its status, what Python looked
up or connected to elsewhere. After each it sends a mark over the wire, so that frames can be told apart.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import aiohttp

from llamafarm.server.run import Order, opened
from tests.egress.addresses import MARK_PORT, OUTSIDE, THEIRS4
from tests.egress.asking import ELSEWHERE, HERE
from tests.egress.audit import strays, watched

MESSAGES = [{"role": "user", "content": "Hello"}]
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"{OUTSIDE}/a.png"}}]}]
SOURCE = {"type": "url", "url": f"{OUTSIDE}/a.png"}
ROUTES = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES}),
    "completions": ("/v1/completions", {"prompt": "Hello"}),
    "embeddings": ("/v1/embeddings", {"input": "Hello"}),
    "images": ("/v1/images/generations", {"prompt": "Hello"}),
    "responses": ("/v1/responses", {"input": "Hello"}),
    "messages": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 50}),
    "count": ("/v1/messages/count_tokens", {"messages": MESSAGES}),
}
STREAMED = ("chat", "completions", "responses", "messages")
PICTURES = {
    "chat": ("/v1/chat/completions", {"messages": PICTURE}),
    "responses": (
        "/v1/responses",
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": f"{OUTSIDE}/a.png"}]}]},
    ),
    "messages": (
        "/v1/messages",
        {"max_tokens": 50, "messages": [{"role": "user", "content": [{"type": "image", "source": SOURCE}]}]},
    ),
}
STRATEGY = """
  - name: {name}
    description: d
    components:
{parts}    fallback_chain: [{chain}]
    constraints: {{privacy_mode: {mode}}}
{more}"""


def strategy(name, mode, more="", **targets):
    part = "      {}: {{type: openai_compatible, config: {{provider: custom, base_url: '{}', default_model: m-{}, max_retries: 0, supports: [prefill, vision]}}}}\n"
    parts = "".join(part.format(target, url, target) for target, url in targets.items())
    return STRATEGY.format(name=name, mode=mode, parts=parts, chain=", ".join(targets), more=more)


def file_of(mode, servers):
    here = HERE["ipv4"].format(**servers)
    away = ELSEWHERE["ipv4"]
    rule = "    routing_rules: [{condition: 'input.length > 0', target: away, fallback: true}]\n"
    return "strategies:" + "".join(
        (
            strategy("fallback", mode, broken=servers["broken"], away=away, moved=servers["moved"], here=here),
            strategy("rule", mode, rule, here=here, away=away),
            strategy("hedge", mode, "    optimization: {hedge_after: 0.001}\n", here=here, away=away),
            strategy("cut", mode, breaks=servers["cut"], away=away),
        )
    )


def requests():
    """Give name, path and body of each request."""
    for model in ("fallback", "rule", "hedge", "cut", "fallback/away", "m-away"):
        for route, (path, body) in ROUTES.items():
            yield f"{model}/{route}", path, {**body, "model": model}
            if route in STREAMED:
                yield f"{model}/{route}/stream", path, {**body, "model": model, "stream": True}
    for route, (path, body) in PICTURES.items():
        yield f"picture/{route}", path, {**body, "model": "fallback"}


async def main(mode, servers, folder):
    file = Path(folder) / "strategies.yaml"
    file.write_text(file_of(mode, servers))
    os.environ["LLAMAFARM_HOME"] = folder
    marker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    order = Order(str(file), None, None, 0)
    async with opened(order, order.load({})) as process, aiohttp.ClientSession(process.urls[0]) as client:
        for name, path, body in requests():
            with watched() as seen:
                async with asyncio.timeout(30), client.post(path, json=body) as response:
                    content = await response.text()
            marker.sendto(f"mark:{name}".encode(), (THEIRS4, MARK_PORT))
            print(json.dumps([name, response.status, content, strays(seen)]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]))

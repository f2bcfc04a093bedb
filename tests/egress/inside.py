"""This machine of the namespace tests: its interfaces, its names, and servers on its loopback addresses.

Started in namespaces of its own (network and mounts) with the process id of the other machine and a folder. Prints the
servers' addresses as one line of JSON; then commands come as lines on standard input: ``mark NAME``, ``lo up|down``. The
end of its input ends it, and with it the namespaces.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, events, reply
from tests.egress.addresses import (
    DEVICE_INSIDE,
    DEVICE_OUTSIDE,
    HOSTS,
    MAC_INSIDE,
    MAC_OUTSIDE,
    MARK_PORT,
    OURS4,
    OURS6,
    OUTSIDE,
    THEIRS4,
    THEIRS6,
)


def ip(command):
    subprocess.run(["ip", *command.split()], check=True)


def configure(other, folder):
    for command in (
        "link set lo up",
        f"link add {DEVICE_INSIDE} address {MAC_INSIDE} type veth peer name {DEVICE_OUTSIDE} netns {other}",
        f"link set {DEVICE_INSIDE} addrgenmode none",
        f"addr add {OURS4}/24 dev {DEVICE_INSIDE}",
        f"-6 addr add {OURS6}/64 dev {DEVICE_INSIDE} nodad",
        f"link set {DEVICE_INSIDE} up",
        f"neigh replace {THEIRS4} lladdr {MAC_OUTSIDE} dev {DEVICE_INSIDE} nud permanent",
        f"-6 neigh replace {THEIRS6} lladdr {MAC_OUTSIDE} dev {DEVICE_INSIDE} nud permanent",
        f"route add default via {THEIRS4}",
        f"-6 route add default via {THEIRS6}",
    ):
        ip(command)
    for name, text in (("resolv.conf", f"nameserver {THEIRS4}\noptions timeout:2 attempts:1\n"), ("hosts", HOSTS)):
        (folder / name).write_text(text)
        subprocess.run(["mount", "--bind", folder / name, f"/etc/{name}"], check=True)


async def ollama(request, writer):
    """An Ollama that has a model of its own and one that it hands on to another machine."""
    name = request.json.get("model", "") if request.body else ""
    match request.path:
        case "/api/version":
            said = {"version": "0.14.1"}
        case "/api/tags":
            said = {"models": [{"name": "own:1b"}, {"name": "lent:1b", "remote_host": "https://ollama.com"}]}
        case "/api/show":
            said = {"details": {"format": "gguf"}, "model_info": {}, "capabilities": ["completion"]}
            said |= {"remote_host": "https://ollama.com", "remote_model": "lent"} if name.startswith("lent") else {}
        case _:
            said = {"model": name, "message": {"role": "assistant", "content": "Hello world"}, "done": True}
            said |= {"done_reason": "stop", "prompt_eval_count": 1, "eval_count": 2}
    await reply(200, said)(request, writer)


async def main(other, folder):
    configure(other, folder)
    loop = asyncio.get_running_loop()
    begun = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hello"}}]}
    servers = {
        "good": FakeServer(answer(models=["m"])),
        "moved": FakeServer(reply(307, b"", {"location": f"{OUTSIDE}/v1/chat/completions"})),
        "found": FakeServer(reply(302, b"", {"location": f"{OUTSIDE}/v1/models", "refresh": f"0; url={OUTSIDE}/"})),
        "broken": FakeServer(reply(500, {"error": {"message": "broken"}})),
        "cut": FakeServer(events(begun, done=False)),
        "ollama": FakeServer(ollama),
        "unix": FakeServer(answer(models=["m"]), socket=folder / "socket"),
    }
    for server in servers.values():
        await server.__aenter__()
    port = int(servers["good"].base_url.rpartition(":")[2].removesuffix("/v1"))
    more = await loop.create_server(servers["good"]._protocol, ["::1", "127.7.7.7"], port)
    print(json.dumps({"port": port, **{name: server.base_url for name, server in servers.items()}}), flush=True)
    marker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["mark", name]:
                marker.sendto(f"mark:{name}".encode(), (THEIRS4, MARK_PORT))
            case ["lo", state]:
                for command in (f"link set lo {state}", *(["addr flush dev lo"] if state == "down" else [])):
                    await loop.run_in_executor(None, ip, command)
        print("done", flush=True)
    more.close()


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))

"""The other machine of the namespace tests: a resolver, servers that answer anything, and a capture of every frame.

Commands come as lines on standard input: ``start`` (once its interface is there), ``frames NAME`` (what has come in up to
the mark of that name, by mark). The end of its input ends it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import struct
import subprocess
import sys

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply
from tests.egress.addresses import (
    DEVICE_OUTSIDE,
    MAC_INSIDE,
    MAC_OUTSIDE,
    MARK_PORT,
    OURS4,
    OURS6,
    SERVED,
    THEIRS4,
    THEIRS6,
)

ETH_P_ALL = 3
PACKET_OUTGOING = 4
NAMES = {4: {6: "tcp", 17: "udp", 1: "icmp"}, 6: {6: "tcp", 17: "udp", 58: "icmpv6"}}


class Resolver(asyncio.DatagramProtocol):
    """Says of every name that it is this machine."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, sender):
        end = query.index(b"\0", 12) + 5
        kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
        address = {1: socket.inet_aton(THEIRS4), 28: socket.inet_pton(socket.AF_INET6, THEIRS6)}.get(kind)
        record = struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(address)) + address if address else b""
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(record), 0, 0)
        self.transport.sendto(head + query[12:end] + record, sender)


def told(frame):
    """Say what a frame is; None for what the kernel sends by itself when an interface comes up."""
    kind = struct.unpack("!H", frame[12:14])[0]
    body = frame[14:]
    if kind == 0x0800:
        version, protocol, to, rest = 4, body[9], body[16:20], body[(body[0] & 15) * 4 :]
    elif kind == 0x86DD:
        version, protocol, to, rest = 6, body[6], body[24:40], body[40:]
        if protocol == 0 or (protocol == 58 and rest[0] == 133):  # multicast listener reports, router solicitations
            return None
    else:
        return f"ethernet {kind:#06x}"
    name = NAMES[version].get(protocol, str(protocol))
    port = struct.unpack("!H", rest[2:4])[0] if name in ("tcp", "udp") else 0
    opens = " open" if name == "tcp" and rest[13] & 0b10010 == 0b10 else ""  # SYN without ACK
    return f"{name} {ipaddress.ip_address(to)} {port}{opens}"


def mark_of(frame, said):
    payload = frame[42:]
    return payload[5:].decode() if said == f"udp {THEIRS4} {MARK_PORT}" and payload.startswith(b"mark:") else None


async def frames_until(capture, last):
    loop = asyncio.get_running_loop()
    groups, group = {}, []
    while True:
        frame, (_, _, direction, *_) = await loop.sock_recvfrom(capture, 65536)
        said = None if direction == PACKET_OUTGOING else told(frame)
        mark = mark_of(frame, said) if said else None
        if mark is not None:
            groups.setdefault(mark, []).extend(group)
            group = []
            if mark == last:
                return groups
        elif said:
            group.append(said)


def configure():
    for command in (
        f"addr add {THEIRS4}/24 dev {DEVICE_OUTSIDE}",
        f"link set {DEVICE_OUTSIDE} address {MAC_OUTSIDE}",
        f"link set {DEVICE_OUTSIDE} up",
        f"neigh replace {OURS4} lladdr {MAC_INSIDE} dev {DEVICE_OUTSIDE} nud permanent",
        f"-6 addr add {THEIRS6}/64 dev {DEVICE_OUTSIDE} nodad",
        f"-6 neigh replace {OURS6} lladdr {MAC_INSIDE} dev {DEVICE_OUTSIDE} nud permanent",
        "link set lo up",
    ):
        subprocess.run(["ip", *command.split()], check=True)


async def anything(request, writer):
    """Answer what a model would be asked; refuse the rest: tunnels, pages of packages."""
    await (answer() if request.body.startswith(b"{") else reply(404, {}))(request, writer)


async def start():
    configure()
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    capture.bind((DEVICE_OUTSIDE, ETH_P_ALL))
    capture.setblocking(False)
    loop = asyncio.get_running_loop()
    for address in (THEIRS4, THEIRS6):
        await loop.create_datagram_endpoint(Resolver, (address, 53))
    await loop.create_datagram_endpoint(asyncio.DatagramProtocol, (THEIRS4, MARK_PORT))
    fake = FakeServer(anything)
    servers = [await loop.create_server(fake._protocol, [THEIRS4, THEIRS6], port) for port in SERVED]
    servers.append(await asyncio.start_server(lambda _, writer: writer.close(), [THEIRS4, THEIRS6], 443))  # no TLS
    return capture, servers


async def main():
    loop = asyncio.get_running_loop()
    capture, kept = None, None
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["start"]:
                capture, kept = await start()
                print("started", flush=True)
            case ["frames", name]:
                print(json.dumps(await frames_until(capture, name)), flush=True)
    del kept


asyncio.run(main())

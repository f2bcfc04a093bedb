"""Speaks Parley: POST /talk {"voice", "lines": [{"by", "says"}], "live"}, and GET /voices."""

from typing import Any

import msgspec

from llamafarm.providers.json_dialect import JsonDialect
from llamafarm.types import Attempt, Chunk, Usage

ENDS = {"done": "stop", "full": "length"}


class Said(msgspec.Struct):
    """An event, or a whole answer."""

    says: str = ""
    why: str = ""
    spent: tuple[int, int] | None = None


class Parley(JsonDialect):
    """What `provider: parley` stands for once this package is installed."""

    path = "talk"
    models_path = "voices"
    key_variables = ("PARLEY_API_KEY",)  # a `base_url` here would spare the strategy file its own
    supports = ()  # text alone: requests with pictures, tools or a schema go to other targets

    def body(self, attempt: Attempt, *, streamed: bool) -> dict[str, Any]:
        asked = attempt.body
        attempt.notes += [f"{name} left out: Parley has no such thing" for name in ("seed", "stop") if name in asked]
        lines = [{"by": message["role"], "says": message["content"]} for message in asked["messages"]]
        return {"voice": attempt.target.model, "lines": lines, "live": streamed, "most": asked.get("max_tokens")}

    def chunk(self, data: bytes) -> Chunk:
        said = msgspec.json.decode(data, type=Said)
        usage = Usage(*said.spent) if said.spent else None
        return Chunk(data, said.says, finish_reason=ENDS.get(said.why), usage=usage)

"""The table: each fault of target `a`, and what its attempts come to. Target `b`, where there is one, has no fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llamafarm.testing import Fault
from llamafarm.testing.chaos import close_after, drip, hang_after, reset_after
from llamafarm.testing.fake_server import events, reset, silence
from tests.faults import far_ends as far
from tests.faults.rig import PATIENT, SILENT, STALLED, Times

if TYPE_CHECKING:
    from llamafarm.testing.fake_server import Behaviour

__all__ = ["CUT", "ROWS", "Row"]

CUT = "cut"
"""A stream ends in its middle: what becomes of that is what `stream_recovery` says."""


@dataclass(frozen=True)
class Row:
    """One fault. Outcomes are the words of `AttemptRecord.outcome`, one for each try at `a`."""

    name: str
    plain: str
    """What a plain request's attempts at `a` come to; empty: such a request does not know this fault."""
    stream: str = "="
    """The same for a stream; `=`: as a plain one's; `cut …`: broken after its first token, as this kind of error."""
    alone: str = ""
    """The outcomes of a target that is the only one, where they are others."""
    script: tuple[Behaviour, ...] = ()
    """What the server does; without one it answers well."""
    fault: Fault = field(default_factory=Fault)
    times: Times = PATIENT
    special: str = ""
    """`refused`, `dns` or `tls`: what neither server nor proxy can do."""
    leaves: bool = False
    """Whether the connection must be given up at once."""
    body: dict[str, Any] = field(default_factory=dict)
    """Further fields of the request."""

    def outcomes(self, *, stream: bool, second: bool) -> list[str]:
        """Name what each attempt at `a` comes to."""
        given = self.plain if not stream or self.stream == "=" else self.stream
        if not second and self.alone:
            given = self.alone
        return given.removeprefix(CUT).split()

    def is_cut(self, *, stream: bool) -> bool:
        """Whether the fault shows itself only behind the first token."""
        return stream and self.stream.startswith(CUT)


_BUSY = {"message": "overloaded", "code": 503}
_RATE = {"message": "slow down", "code": "rate_limit_exceeded"}
_QUOTA = {"message": "no money left", "code": "insufficient_quota"}
_POLICY = {"message": "no", "code": "content_policy_violation"}
_JSON_HEAD = b"content-type: application/json\r\n"
_STREAM_HEAD = b"content-type: text/event-stream\r\n"

_CONNECTION = (
    Row("refused", "connect connect", special="refused"),
    Row("name unknown", "connect connect", special="dns"),
    Row("certificate not trusted", "connect connect", special="tls"),
    Row("reset before headers", "connect connect", fault=reset_after(0)),
    Row("closed before headers", "connect connect", fault=close_after(0)),
    Row("reset inside headers", "connect connect", fault=reset_after(20)),
    Row("reset by the server", "connect connect", script=(reset(),)),
    Row("reset once, then well", "connect ok", script=(reset(), far.model())),
    Row("reset in mid-body", "stream_cut", "cut stream_cut", fault=reset_after(450, of="body")),
    Row("closed in mid-body", "stream_cut", "cut stream_cut", fault=close_after(450, of="body")),
    Row("reset before the first token", "stream_cut", fault=reset_after(40, of="body")),
)
_SILENCE = (
    Row("no answer", "timeout", script=(silence(),), times=SILENT, leaves=True),
    Row("headers, then silence", "timeout", fault=hang_after(0, of="body"), times=SILENT, leaves=True),
    Row("silence before the first token", "timeout", fault=hang_after(40, of="body"), times=SILENT, leaves=True),
    Row("silence in mid-stream", "", "cut stream_cut", fault=hang_after(450, of="body"), times=STALLED, leaves=True),
    Row("keep-alives only", "", "timeout", script=(far.endless(_STREAM_HEAD, b": x\n\n"),), times=SILENT, leaves=True),
    Row("slow drip", "ok", fault=drip()),
    Row("slower drip", "ok", fault=drip(101, 0.005)),
)
_STATUS = (
    Row("500 once", "transient ok", script=(far.failing(500), far.model())),
    Row("503 once", "transient ok", script=(far.failing(503), far.model())),
    Row("529 once", "transient ok", script=(far.failing(529), far.model())),
    Row("502 all the time", "transient transient", script=(far.failing(502),)),
    Row("503 all the time", "transient transient", script=(far.failing(503),)),
    Row(
        "503 once, Retry-After 600",
        "transient",
        script=(far.failing(503, retry_after="600"), far.model()),
    ),
    Row(
        "429 once, Retry-After 1",
        "rate_limit ok",
        script=(far.failing(429, retry_after="1"), far.model()),
        times=Times(wait=1),
    ),
    Row("429, Retry-After 0.05", "rate_limit rate_limit", script=(far.failing(429, retry_after="0.05"),)),
    Row("429, Retry-After 600", "rate_limit", script=(far.failing(429, retry_after="600"),)),
    Row("429, no Retry-After", "rate_limit", alone="rate_limit rate_limit", script=(far.failing(429),)),
    Row("401", "credentials", script=(far.failing(401),)),
    Row("402", "quota", script=(far.failing(402),)),
    Row("404", "model_missing", script=(far.failing(404),)),
    Row("400", "bad_request", script=(far.failing(400),)),
    Row("413", "context_exceeded", script=(far.failing(413),)),
    Row("redirect", "bad_reply", script=(far.REDIRECT,)),
)
_FORMAT = (
    Row("malformed JSON", "bad_reply", "stream_cut", script=(far.BROKEN_JSON,)),
    Row("empty body", "bad_reply", "stream_cut", script=(far.EMPTY,)),
    Row("one malformed event", "", "ok", script=(far.malformed_event(),)),
    Row("no [DONE]", "", "ok", script=(far.no_done(ends=True),)),
    Row("no [DONE], and no end", "", "ok", script=(far.no_done(ends=False),), times=Times(wait=0.2), leaves=True),
    Row("no finish reason", "bad_reply", "cut stream_cut", script=(far.no_finish_reason(),)),
    Row("wrong content type", "bad_reply", script=(far.HTML,)),
    Row("a stream for an answer, an answer for a stream", "bad_reply", script=(far.SWAPPED,)),
    Row("no HTTP", "bad_reply", script=(far.NOT_HTTP,)),
    Row("an error inside", "transient transient", script=(far.inside(_BUSY),)),
    Row("a rate limit inside", "rate_limit", alone="rate_limit rate_limit", script=(far.inside(_RATE),)),
    Row("no money, inside", "quota", script=(far.inside(_QUOTA),)),
    Row("a refusal inside", "content_policy", script=(far.inside(_POLICY),)),
    Row("an error in mid-stream", "", "cut stream_cut", script=(far.inside(_BUSY, far.pieces()[:5]),)),
    Row("a rate limit in mid-stream", "", "cut stream_cut", script=(far.inside(_RATE, far.pieces()[:5]),)),
    Row("no money, in mid-stream", "", "cut quota", script=(far.inside(_QUOTA, far.pieces()[:5]),)),
    Row("a refusal in mid-stream", "", "cut content_policy", script=(far.inside(_POLICY, far.pieces()[:5]),)),
)
_USAGE = (
    Row("usage missing", "ok", script=(far.without_usage(),)),
    *(
        Row(f"usage {kind}", "ok", script=(far.with_usage(usage),))
        for kind, usage in (
            ("negative", '{"prompt_tokens": -9, "completion_tokens": -5, "total_tokens": -14}'),
            ("huge", '{"prompt_tokens": 9, "completion_tokens": 1e30, "total_tokens": 1e30}'),
            ("NaN", '{"prompt_tokens": NaN, "completion_tokens": NaN}'),
            ("infinite", '{"prompt_tokens": 9, "completion_tokens": Infinity}'),
            ("a string", '"a lot"'),
            ("of strings", '{"prompt_tokens": "9", "completion_tokens": "5"}'),
            ("a list", "[9, 5]"),
            ("true", '{"prompt_tokens": true, "completion_tokens": true}'),
            ("null", "null"),
        )
    ),
)
_BOMBS = (
    Row(
        "gzip bomb",
        "bad_reply",
        script=(
            far.either(
                far.bomb("application/json", b" " * 1024, 128),
                far.bomb("text/event-stream", b"data: " + b"x" * 2**16, 128),
            ),
        ),
    ),
    Row(
        "endless chunk",
        "bad_reply",
        script=(
            far.either(
                far.endless(_JSON_HEAD, b" " * 2**20, framed=False),
                far.endless(_STREAM_HEAD, b"x" * 2**20, framed=False),
            ),
        ),
        leaves=True,
    ),
    Row(
        "endless line in mid-stream",
        "",
        "cut stream_cut",
        script=(events(*far.pieces()[:5], "x" * (9 * 2**20), done=False),),
    ),
)

ROWS = (*_CONNECTION, *_SILENCE, *_STATUS, *_FORMAT, *_USAGE, *_BOMBS)

"""Reads what a vendor says went wrong out of the shapes in which vendors say it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from llamafarm.providers.decoding import loosely

__all__ = ["Complaint", "read_complaint", "read_error_body", "read_inner"]

_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_LOWEST, _HIGHEST = 400, 599


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error in a vendor's words."""

    message: str
    """Not yet masked or shortened; empty where there was none."""
    codes: tuple[str, ...] = ()
    """What it gives as code, type or status words, most telling first, in lower case."""
    status: int | None = None
    """An HTTP status given inside the body, as vLLM and OpenRouter do."""
    request_id: str = ""
    """What the vendor calls the request, for its support; not yet masked."""


def read_error_body(body: bytes) -> Complaint:
    """Read the body of an answer with an error status."""
    start = body.lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        title = _TITLE.search(body)
        name = f" titled {title[1].decode('utf-8', 'replace').strip()!r}" if title else ""
        return Complaint(f"an HTML page{name}, not an API's answer")
    return read_inner(body)


def read_inner(data: bytes) -> Complaint:
    """Read an error found inside an answer, or in its place. Text that is no JSON, or no UTF-8, is the message."""
    try:
        return read_complaint(loosely(data))
    except (ValueError, RecursionError):
        return Complaint(data.decode("utf-8", "replace").strip())


def read_complaint(value: Any) -> Complaint:
    """Read an error object: OpenAI's, or one of the flat or wrapped shapes of others.

    Known shapes: ``{"error": {message, type, code}}``, with ``details: {error_code}`` where a spend limit is hit and
    with ``request_id`` beside it (Anthropic);
    ``{"error": "text", "error_type"}`` (TGI); ``{"error": "text", "code"}`` (xAI);
    ``{"object": "error", "message", "type", "code"}`` (Mistral, older vLLM); ``{"detail": …}`` (FastAPI);
    ``[{"error": …}]`` (Gemini).
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return Complaint(value)
    if not isinstance(value, dict):
        return Complaint("" if value is None else json.dumps(value)[:1000])
    inner = value.get("error")
    if isinstance(inner, dict):
        named = value.get("request_id")
        return replace(_of_object(inner), request_id=named if isinstance(named, str) else "")
    complaint = _of_object(value)
    if isinstance(inner, str) and inner:
        return Complaint(inner, complaint.codes, complaint.status)
    return complaint


def _of_object(error: dict[str, Any]) -> Complaint:
    message = next((error[key] for key in ("message", "msg", "detail", "error_message") if error.get(key)), "")
    status, codes = None, []
    for key in ("code", "type", "error_type", "status", "error_code"):
        word = error.get(key)
        if isinstance(word, str) and word.isascii() and word.isdigit():
            codes.append(word)
            word = int(word) if len(word) == len(str(_HIGHEST)) else None
        if isinstance(word, int) and not isinstance(word, bool) and _LOWEST <= word <= _HIGHEST:
            status = word if status is None else status
        elif isinstance(word, str) and word:
            codes.append(word.lower())
    details = error.get("details")
    detailed = details.get("error_code") if isinstance(details, dict) else None
    if isinstance(detailed, str) and detailed:
        codes.insert(0, detailed.lower())  # it says which of the things that `code` and `type` stand for
    return Complaint(_as_text(message), tuple(codes), status)


def _as_text(message: Any) -> str:
    if isinstance(message, str):
        return message
    if isinstance(message, dict) and "detail" in message:
        return _as_text(message["detail"])
    if isinstance(message, list) and message and all(isinstance(item, dict) for item in message):
        return "; ".join(_of_field(item) for item in message[:5])
    return json.dumps(message)[:1000]


def _of_field(item: dict[str, Any]) -> str:
    path = item.get("loc")
    place = ".".join(str(part) for part in path if part != "body") if isinstance(path, list) else ""
    return f"{place}: {item.get('msg', 'wrong')}" if place else str(item.get("msg", "wrong"))

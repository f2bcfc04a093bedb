"""The gateway's own OpenAPI document."""

from llamafarm.server.openapi.document import document

__all__ = ["document"]

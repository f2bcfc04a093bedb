"""The APIs that clients speak: what a request means, and how an answer, its stream and an error are written."""

__all__: list[str] = []

"""HTTP/1.1 as a server speaks it: connections, their limits, requests in and answers out."""

__all__: list[str] = []

"""The addresses of the namespace tests, all of them set aside for documentation."""

from __future__ import annotations

OURS4, THEIRS4 = "198.51.100.2", "198.51.100.1"
OURS6, THEIRS6 = "2001:db8::2", "2001:db8::1"
MAC_INSIDE, MAC_OUTSIDE = "02:00:00:00:00:02", "02:00:00:00:00:01"
DEVICE_INSIDE, DEVICE_OUTSIDE = "in0", "out0"
PORT = 8080
SERVED = (80, PORT)
"""Ports on which the other machine answers anything: as a server, as a proxy, as a package index."""
MARK_PORT = 9
OUTSIDE = f"http://{THEIRS4}:{PORT}"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
HOSTS = f"""127.0.0.1 localhost friend.example
::1 localhost
{THEIRS4} here.example sneaky.localhost
{THEIRS6} here.example
"""

SURROUNDINGS = {
    **dict.fromkeys(PROXY_VARIABLES, OUTSIDE),
    "NO_PROXY": "",
    "HF_ENDPOINT": OUTSIDE,
    "PIP_INDEX_URL": f"{OUTSIDE}/simple",
}
"""Everything in the environment that could lead a program elsewhere."""

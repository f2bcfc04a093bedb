"""Gateway keys: the file that holds them, and who is let in with which."""

from llamafarm.server.keys.file import KeyFile, change_keys, keys_file, load_keys
from llamafarm.server.keys.key import Key, Keys, new_key
from llamafarm.server.keys.verdict import Access, Caller, Denied, Gate, verdict

__all__ = [
    "Access",
    "Caller",
    "Denied",
    "Gate",
    "Key",
    "KeyFile",
    "Keys",
    "change_keys",
    "keys_file",
    "load_keys",
    "new_key",
    "verdict",
]

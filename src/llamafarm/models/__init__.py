"""Model files: what a name stands for, where its file comes from, and where it lies on this machine."""

from llamafarm.home import home
from llamafarm.models.builtin import BUILTIN, DEFAULT_MODEL, BuiltinModel, builtin
from llamafarm.models.gguf import Gguf, read_gguf
from llamafarm.models.model_file import ModelFile, resolve
from llamafarm.models.patience import Patience
from llamafarm.models.progress import Progress
from llamafarm.models.sources import Source, parse_source
from llamafarm.models.store import ModelStore, StoredModel

__all__ = [
    "BUILTIN",
    "DEFAULT_MODEL",
    "BuiltinModel",
    "Gguf",
    "ModelFile",
    "ModelStore",
    "Patience",
    "Progress",
    "Source",
    "StoredModel",
    "builtin",
    "home",
    "parse_source",
    "read_gguf",
    "resolve",
]

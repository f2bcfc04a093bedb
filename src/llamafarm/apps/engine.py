"""One model in memory: how it is loaded, asked and freed. The only module that calls the inference library."""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llamafarm.apps.generation import Generation
from llamafarm.apps.probe import probe
from llamafarm.errors import EngineError, MissingExtraError, ModelFileError
from llamafarm.models.gguf import Gguf, read_gguf
from llamafarm.spec.components import EMBEDDED_CONTEXT
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llamafarm.apps.generation import Event, Work

__all__ = ["Engine", "EngineSettings", "installed"]

_DEFAULT_EMBEDDING_CONTEXT = 2048  # the whole text is one batch there, and memory grows with the batch
_CPU_BATCH = 128  # tokens: no slower than larger ones on a CPU, and a prompt can be cancelled between two batches
_GPU_BATCH = 512
_SPIN_COUNT, _SPINS = "GOMP_SPINCOUNT", "5000"
"""How long its threads spin for each other (GNU OpenMP). By default that is so long that a busy machine slows it
to a tenth and less; with this count it measured as fast on an idle machine and 2 to 3 times as fast on a busy one."""


def installed() -> bool:
    """Tell whether the inference library is there, without loading it."""
    from importlib.util import find_spec

    return find_spec("xllamacpp") is not None


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What makes two loaded models different ones."""

    path: Path
    embedding: bool = False
    context_size: int | None = None
    """Tokens; None: what the model was trained for, at most 4096 (2048 for embeddings)."""
    gpu_layers: int | None = None
    """-1 and None: as many as fit."""
    cpu_threads: int | None = None


class Engine:
    """A loaded model. It answers one request at a time; `slot` is the queue, first come, first served."""

    def __init__(self, server: Any, header: Gguf, settings: EngineSettings, context: int) -> None:
        self._server = server
        self.header = header
        self.settings = settings
        self.context = context
        """Tokens of prompt and answer together."""
        self.slot = asyncio.Lock()
        self._running: set[Generation] = set()

    @classmethod
    def load(cls, settings: EngineSettings, *, proven: bool) -> Engine:
        """Load a model; blocks for as long as that takes.

        A file that is not `proven` is first tried in another process. Raises `MissingExtraError` without the
        library, `ModelFileError` or `EngineError` where the file cannot be loaded.
        """
        xllamacpp = _library()
        header = read_gguf(settings.path)
        if not header.has_tokenizer:
            raise ModelFileError(f"{settings.path} has no tokenizer, so it is no language model")
        if not proven:
            probe(settings.path)
        params, context = _parameters(xllamacpp, settings, header)
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            probe(settings.path)  # says why, if the file is to blame
            raise EngineError(
                f"{settings.path} loads, but not with a context of {context} tokens and gpu_layers "
                f"{settings.gpu_layers}: lower context_size or gpu_layers, or free memory"
            ) from error
        # A server that is freed before its own loop runs waits for ever: an answer to anything shows that it runs.
        server.handle_metrics()
        return cls(server, header, settings, context)

    def start(self, operation: Operation, body: Event) -> Generation:
        """Begin a request; the caller holds `slot`, which is released when the engine is free again."""
        generation = Generation(self._work(operation, body), self._ended)
        self._running.add(generation)
        generation.start()
        return generation

    def _work(self, operation: Operation, body: Event) -> Work:
        server = self._server
        if operation is Operation.EMBEDDING:

            def embed(_: Callable[[Event], bool]) -> Event:
                answer: Event = server.handle_embeddings(body)
                return answer

            return embed
        handle = server.handle_completions if operation is Operation.COMPLETION else server.handle_chat_completions

        def generate(on_event: Callable[[Event], bool]) -> None:
            handle(body, on_event)

        return generate

    def _ended(self, generation: Generation) -> None:
        self._running.discard(generation)
        if self.slot.locked():
            self.slot.release()

    def close(self) -> None:
        """Stop what runs and free the memory; blocks until the engine has let go. Safe to call twice."""
        running, self._running = self._running, set()
        for generation in running:
            generation.cancel()
        for generation in running:
            generation.join()
        self._server = None


def _library() -> Any:
    """Import the inference library. Raises `MissingExtraError` where it is not installed."""
    spin = not {_SPIN_COUNT, "OMP_WAIT_POLICY"} & os.environ.keys()
    if spin:
        os.environ[_SPIN_COUNT] = _SPINS
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtraError(
            f"the embedded engine needs an optional package ({error}): run pip install 'llamafarm[embedded]'"
        ) from error
    finally:
        if spin:  # it is read once, when the library is loaded; child processes need not know
            del os.environ[_SPIN_COUNT]
    return xllamacpp


def _parameters(xllamacpp: Any, settings: EngineSettings, header: Gguf) -> tuple[Any, int]:
    """Give the library's settings and the context they come to."""
    most = _DEFAULT_EMBEDDING_CONTEXT if settings.embedding else EMBEDDED_CONTEXT
    context = settings.context_size or min(header.context_length or most, most)
    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    gpu = settings.gpu_layers != 0 and any(device["type"] != cpu for device in xllamacpp.get_device_info())
    params = xllamacpp.CommonParams()
    params.model.path = os.fspath(settings.path)
    params.model_alias = {"model"}  # else its replies show the path
    params.n_ctx = context
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = _GPU_BATCH if gpu else _CPU_BATCH
    if settings.gpu_layers is not None:
        params.n_gpu_layers = settings.gpu_layers
    if settings.cpu_threads is not None:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.cpu_threads
    if settings.embedding:
        params.embedding = True
        params.n_batch = params.n_ubatch = context
        if not header.has_pooling:
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.fit_params = gpu  # it costs half of the loading time and decides only about GPUs
    params.warmup = False
    params.cache_ram_mib = 0  # by default it keeps up to 8 GB of finished conversations
    params.offline = True
    params.verbosity = 0
    # It always listens on a port of the loopback interface: nobody knows the key, and no page is served.
    params.api_keys = [secrets.token_urlsafe(32)]
    params.ui = params.endpoint_slots = False
    params.endpoint_metrics = True  # what `load` asks to see that it runs
    return params, context

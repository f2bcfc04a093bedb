"""Finds out what this machine lends the program: processors, memory, and GPUs, with a reason where there is no GPU.

It never raises: what cannot be read counts as absent, and the reason says so. It takes a few milliseconds, at most a
fifth of a second, and up to two seconds where an NVIDIA driver has to wake its cards.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNPROBED", "Gpu", "Hardware", "probe"]

Backend = Literal["cuda", "rocm", "metal"]

_PATIENCE = 0.15
"""Seconds a tool may take to answer."""
_DRIVER_PATIENCE = 2.0
"""The same where NVIDIA's driver is loaded: without its persistence daemon it wakes each card up first."""
_MIB = 1024 * 1024
_METAL_SHARE = 0.75
"""Of an Apple machine's memory, what Metal recommends one process to use (`recommendedMaxWorkingSetSize` is about
three quarters on machines with more than 36 GB, two thirds below)."""
_METAL_SHARE_SMALL = 2 / 3
_METAL_LARGE = 36 * 1024 * _MIB
_AMD = "0x1002"
"""PCI's number for AMD."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU this process may use."""

    name: str
    memory_bytes: int
    """Its whole memory, used or not; on Apple Silicon the share of the machine's that a GPU may use."""
    backend: Backend


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this machine lends the program, limits of containers and schedulers included."""

    cpus: int
    """Processors, at least 1."""
    memory_bytes: int
    """0: unknown."""
    gpus: tuple[Gpu, ...] = ()
    reason: str = ""
    """One clause, to be shown: what was found, or why there is no GPU."""


UNPROBED = Hardware(cpus=0, memory_bytes=0, reason="nobody has looked for a GPU")
"""Stands in where a strategy asks nothing of the machine: looking takes a while."""


def probe(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> Hardware:
    """Look at the machine. `root` is where ``proc`` and ``sys`` are."""
    gpus, reason = _gpus(root, environment)
    return Hardware(_cpus(root), _memory(root), gpus, reason)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


# --- processors and memory -------------------------------------------------------------------------------------------


def _cpus(root: Path) -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [parse_cpu_max(_read(group / "cpu.max")) for group in _control_groups(root, "")]
    quotas += [
        parse_cpu_max(f"{_read(group / 'cpu.cfs_quota_us')} {_read(group / 'cpu.cfs_period_us')}")
        for group in _control_groups(root, "cpu")
    ]
    return max(1, min([allowed, *filter(None, quotas)]))


def _memory(root: Path) -> int:
    if platform.system() == "Darwin":
        return parse_int(_ask("sysctl", "-n", "hw.memsize"))
    limits = [parse_int(_read(group / "memory.max")) for group in _control_groups(root, "")]
    limits += [parse_int(_read(group / "memory.limit_in_bytes")) for group in _control_groups(root, "memory")]
    total = parse_meminfo(_read(root / "proc/meminfo")) or _physical_memory()
    return min([total, *filter(None, limits)]) if total else 0


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def _control_groups(root: Path, controller: str) -> list[Path]:
    """Give the folders whose limits hold for this process: its own group and every one above it.

    Version 2 has one tree, for the empty controller; version 1 has one for each.
    """
    base = root / "sys/fs/cgroup" / controller
    own = parse_cgroup(_read(root / "proc/self/cgroup"), controller).lstrip("/")
    # Inside a container the path may be the host's, which is not to be seen here; then the mount is the own group.
    here = base / own if own and ".." not in own.split("/") else base
    return [folder for folder in (here, *here.parents) if folder == base or base in folder.parents]


def parse_cgroup(text: str, controller: str) -> str:
    """Find this process's group in ``/proc/self/cgroup``: version 2 for the empty controller, else version 1."""
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (number == "0" and not controller and not controllers) or (
            controller and controller in controllers.split(",")
        ):
            return path
    return ""


def parse_cpu_max(text: str) -> int:
    """Read ``quota period`` in microseconds as processors, up; 0: no limit."""
    quota, _, period = text.partition(" ")
    if not quota.isdecimal() or not period.strip().isdecimal() or int(period) == 0:
        return 0
    return -(-int(quota) // int(period))


def parse_meminfo(text: str) -> int:
    """Read the total out of ``/proc/meminfo``, in bytes; 0: not there."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return parse_int(rest.split()[0] if rest.split() else "") * 1024
    return 0


def parse_int(text: str) -> int:
    """Read a whole number; 0 where it is none (like cgroup's ``max``)."""
    text = text.strip()
    return int(text) if text.isdecimal() else 0


# --- GPUs ------------------------------------------------------------------------------------------------------------


def _gpus(root: Path, environment: Mapping[str, str]) -> tuple[tuple[Gpu, ...], str]:
    found: list[Gpu] = []
    notes: list[str] = []
    for look in (_apple, _nvidia, _amd):
        gpus, note = look(root, environment)
        found += gpus
        notes += [note] if note else []
    if found:
        return tuple(found), "found " + ", ".join(f"{gpu.name} ({gpu.memory_bytes / 1e9:.1f} GB)" for gpu in found)
    return (), "no NVIDIA, AMD or Apple GPU found: " + "; ".join(notes)


def _apple(root: Path, _: Mapping[str, str]) -> tuple[list[Gpu], str]:
    if platform.system() != "Darwin":
        return [], ""
    if platform.machine() != "arm64":
        return [], "this Mac has no Apple Silicon"
    memory = _memory(root)
    share = _METAL_SHARE if memory > _METAL_LARGE else _METAL_SHARE_SMALL
    return [Gpu(_ask("sysctl", "-n", "machdep.cpu.brand_string") or "Apple GPU", int(memory * share), "metal")], ""


def _nvidia(root: Path, environment: Mapping[str, str]) -> tuple[list[Gpu], str]:
    if platform.system() == "Darwin":
        return [], ""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and hides_all(visible):
        return [], f"CUDA_VISIBLE_DEVICES={visible!r} hides NVIDIA's"
    cards, note = _nvidia_cards(has_driver=(root / "proc/driver/nvidia/version").exists())
    chosen = [card for card in cards if visible is None or is_visible(card, visible)]
    if cards and not chosen:
        note = f"CUDA_VISIBLE_DEVICES={visible!r} names none of the {len(cards)} NVIDIA GPUs here"
    return [Gpu(card.name, card.memory_bytes, "cuda") for card in chosen], "" if chosen else note


def _nvidia_cards(*, has_driver: bool) -> tuple[list[_Card], str]:
    """Give NVIDIA's cards, and why there is none."""
    query = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
    try:
        cards, note = parse_nvidia_smi(_run(*query, patience=_DRIVER_PATIENCE if has_driver else _PATIENCE)), ""
    except FileNotFoundError:
        cards, note = _nvml(), "nvidia-smi is not on the path"
    except subprocess.TimeoutExpired:
        return [], "nvidia-smi did not answer in time"
    except (OSError, subprocess.CalledProcessError) as error:
        cards, note = _nvml(), f"nvidia-smi failed ({_first_line(error)})"
    return cards, (note or "nvidia-smi lists none") + (", though NVIDIA's driver is loaded" if has_driver else "")


@dataclass(frozen=True, slots=True)
class _Card:
    index: int
    uuid: str
    name: str
    memory_bytes: int


def parse_nvidia_smi(text: str) -> list[_Card]:
    """Read ``index, uuid, name, MiB`` lines; others (a warning, a card off its bus) are left out."""
    cards = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) >= 4 and fields[0].isdecimal() and fields[-1].isdecimal():  # noqa: PLR2004 - the four columns asked for
            cards.append(_Card(int(fields[0]), fields[1], ", ".join(fields[2:-1]), int(fields[-1]) * _MIB))
    return cards


def hides_all(visible: str) -> bool:
    """Tell whether ``CUDA_VISIBLE_DEVICES`` leaves no device: CUDA stops at the first entry that names none."""
    first = visible.partition(",")[0].strip()
    return not first or first.lower() in ("-1", "none", "nodevfiles")


def is_visible(card: _Card, visible: str) -> bool:
    """Tell whether ``CUDA_VISIBLE_DEVICES`` names a card, by index or by the beginning of its uuid."""
    for entry in (entry.strip() for entry in visible.split(",")):
        if hides_all(entry):
            return False
        if entry == str(card.index) or (entry.startswith(("GPU-", "MIG-")) and card.uuid.startswith(entry)):
            return True
    return False


def _nvml() -> list[_Card]:
    """Ask NVIDIA's management library, where its tool is missing (as in many containers)."""
    name = "nvml.dll" if platform.system() == "Windows" else "libnvidia-ml.so.1"
    try:
        nvml = ctypes.CDLL(name)
    except OSError:
        return []
    if nvml.nvmlInit_v2() != 0:
        return []
    try:
        return _nvml_cards(nvml)
    finally:
        nvml.nvmlShutdown()


class _NvmlMemory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def _nvml_cards(nvml: ctypes.CDLL) -> list[_Card]:
    count = ctypes.c_uint()
    if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    cards = []
    for index in range(count.value):
        device, memory = ctypes.c_void_p(), _NvmlMemory()
        name, uuid = ctypes.create_string_buffer(96), ctypes.create_string_buffer(96)
        if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) != 0:
            continue
        nvml.nvmlDeviceGetName(device, name, 96)
        nvml.nvmlDeviceGetUUID(device, uuid, 96)
        if nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == 0:
            cards.append(
                _Card(index, uuid.value.decode(errors="replace"), name.value.decode(errors="replace"), memory.total)
            )
    return cards


def _amd(root: Path, environment: Mapping[str, str]) -> tuple[list[Gpu], str]:
    visible = environment.get("HIP_VISIBLE_DEVICES", environment.get("ROCR_VISIBLE_DEVICES"))
    cards = sorted((root / "sys/class/drm").glob("card*/device/vendor")) if platform.system() == "Linux" else []
    devices = [vendor.parent for vendor in cards if _read(vendor) == _AMD]
    gpus = [
        Gpu(_read(device / "product_name") or "AMD GPU", parse_int(_read(device / "mem_info_vram_total")), "rocm")
        for device in devices
    ]
    gpus = [gpu for gpu in gpus if gpu.memory_bytes]
    if gpus and visible is not None and hides_all(visible):
        return [], "HIP_VISIBLE_DEVICES hides AMD's"
    return gpus, "" if gpus or platform.system() != "Linux" else "/sys/class/drm has no AMD card"


def _run(*command: str, patience: float = _PATIENCE) -> str:
    return subprocess.run(  # noqa: S603 - fixed words, no shell
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=patience,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout


def _ask(*command: str) -> str:
    try:
        return _run(*command).strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _first_line(error: OSError | subprocess.CalledProcessError) -> str:
    said = error.stderr or error.stdout if isinstance(error, subprocess.CalledProcessError) else str(error)
    lines = (said or "").strip().splitlines()
    return lines[0][:200] if lines else "it said nothing"

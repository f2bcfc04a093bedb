"""The hardware probe: parsers on recorded text, a faked machine, fake tools, and the real machine."""

import os
import re
import stat
from pathlib import Path

import pytest

from llamafarm import hardware
from llamafarm.hardware import (
    hides_all,
    is_visible,
    parse_cgroup,
    parse_cpu_max,
    parse_int,
    parse_meminfo,
    parse_nvidia_smi,
    probe,
)

GIB = 1024**3
TWO_CARDS = (
    "0, GPU-8f6b1c1e-0d0e-1a2b-3c4d-5e6f7a8b9c0d, NVIDIA GeForce RTX 4090, 24564\n"
    "1, GPU-11111111-2222-3333-4444-555555555555, NVIDIA A100-SXM4-80GB, 81920\n"
)
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n"
)


@pytest.fixture
def machine(tmp_path):
    """Make an empty machine: write files below it with `write`."""

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        return tmp_path

    write("proc/meminfo", "MemTotal:       16384000 kB\nMemFree: 1 kB\n")
    return write


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Put an `nvidia-smi` on an otherwise empty path; without a call there is none."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(hardware, "_nvml", list)

    def install(script):
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return install


linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="fakes a Linux machine")


def test_nvidia_smi_output():
    cards = parse_nvidia_smi(TWO_CARDS)
    assert [(card.index, card.name, card.memory_bytes) for card in cards] == [
        (0, "NVIDIA GeForce RTX 4090", 24564 * 1024**2),
        (1, "NVIDIA A100-SXM4-80GB", 81920 * 1024**2),
    ]


@pytest.mark.parametrize(
    "text", ["", "No devices were found\n", "0, GPU-1, NVIDIA H100, [N/A]\n", "0, GPU-1, x, ²\n", "a,b\n"]
)
def test_nvidia_smi_output_without_a_card(text):
    assert parse_nvidia_smi(text) == []


def test_a_warning_before_the_cards_is_passed_over():
    assert len(parse_nvidia_smi("WARNING: infoROM is corrupted\n" + TWO_CARDS)) == 2


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [
        ("", True),
        ("-1", True),
        (" ", True),
        ("NoDevFiles", True),
        ("-1,0", True),
        ("0", False),
        ("0,-1", False),
        ("GPU-8", False),
    ],
)
def test_cuda_visible_devices_may_hide_all(visible, hidden):
    assert hides_all(visible) is hidden


@pytest.mark.parametrize(
    ("visible", "indices"),
    [("0", [0]), ("1,0", [0, 1]), ("1", [1]), ("GPU-1111", [1]), ("7", []), ("0,-1,1", [0]), (" 1 ", [1])],
)
def test_cuda_visible_devices_chooses(visible, indices):
    assert [card.index for card in parse_nvidia_smi(TWO_CARDS) if is_visible(card, visible)] == indices


@pytest.mark.parametrize(
    ("text", "processors"),
    [
        ("max 100000", 0),
        ("200000 100000", 2),
        ("50000 100000", 1),
        ("250000 100000", 3),
        ("-1 100000", 0),
        ("", 0),
        ("1 0", 0),
        ("x y", 0),
    ],
)
def test_processor_quota(text, processors):
    assert parse_cpu_max(text) == processors


@pytest.mark.parametrize(("text", "number"), [("12", 12), (" 12\n", 12), ("max", 0), ("", 0), ("-1", 0), ("²", 0)])
def test_whole_number(text, number):
    assert parse_int(text) == number


@pytest.mark.parametrize(
    ("text", "memory"), [("MemTotal:  1024 kB\n", 1024**2), ("MemFree: 1 kB", 0), ("MemTotal:", 0), ("", 0)]
)
def test_meminfo(text, memory):
    assert parse_meminfo(text) == memory


def test_own_control_group():
    text = "4:memory:/jobs/1\n3:cpu,cpuacct:/jobs/2\n1:name=systemd:/\n0::/user.slice\n"
    assert [parse_cgroup(text, name) for name in ("", "memory", "cpu", "pids")] == [
        "/user.slice",
        "/jobs/1",
        "/jobs/2",
        "",
    ]


@linux
def test_version_2_limits_hold_along_the_whole_path(machine, smi):
    machine("proc/self/cgroup", "0::/slice/job\n")
    machine("sys/fs/cgroup/slice/job/memory.max", "max\n")
    machine("sys/fs/cgroup/slice/memory.max", f"{4 * GIB}\n")
    root = machine("sys/fs/cgroup/slice/cpu.max", "100000 100000\n")
    found = probe(root, {})
    assert found.memory_bytes == 4 * GIB
    assert found.cpus == 1


@linux
def test_version_1_limits(machine, smi):
    machine("proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n")
    machine("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{2 * GIB}\n")
    machine("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n")
    root = machine("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    found = probe(root, {})
    assert found.memory_bytes == 2 * GIB
    assert found.cpus == 1


@linux
def test_no_limit_in_version_1_is_a_huge_number(machine, smi):
    machine("proc/self/cgroup", "4:memory:/\n")
    root = machine("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert probe(root, {}).memory_bytes == 16384000 * 1024


@linux
def test_a_group_outside_the_tree_is_not_followed(machine, smi):
    machine("proc/self/cgroup", "0::/../../other\n")
    root = machine("sys/fs/cgroup/memory.max", f"{GIB}\n")
    assert probe(root, {}).memory_bytes == GIB


@linux
def test_nvidia_cards_are_found(machine, smi):
    smi(f"printf '%s' '{TWO_CARDS}'")
    found = probe(machine("proc/driver/nvidia/version", "NVRM"), {})
    assert [(gpu.name, gpu.backend) for gpu in found.gpus] == [
        ("NVIDIA GeForce RTX 4090", "cuda"),
        ("NVIDIA A100-SXM4-80GB", "cuda"),
    ]
    assert found.reason == "found NVIDIA GeForce RTX 4090 (25.8 GB), NVIDIA A100-SXM4-80GB (85.9 GB)"


@linux
@pytest.mark.parametrize(
    ("script", "environment", "reason"),
    [
        (None, {}, "nvidia-smi is not on the path"),
        (f"printf '{TWO_CARDS}'", {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES='' hides NVIDIA's"),
        (f"printf '{TWO_CARDS}'", {"CUDA_VISIBLE_DEVICES": "-1"}, "CUDA_VISIBLE_DEVICES='-1' hides NVIDIA's"),
        (
            f"printf '{TWO_CARDS}'",
            {"CUDA_VISIBLE_DEVICES": "5"},
            "CUDA_VISIBLE_DEVICES='5' names none of the 2 NVIDIA GPUs here",
        ),
        (f'echo "{NO_DRIVER.strip()}"; exit 9', {}, "nvidia-smi failed (NVIDIA-SMI has failed because it couldn't"),
        ("exit 1", {}, "nvidia-smi failed (it said nothing)"),
        ("echo No devices were found", {}, "nvidia-smi lists none"),
        ("exec /bin/sleep 60", {}, "nvidia-smi did not answer in time"),
    ],
)
def test_no_gpu_has_a_reason(machine, smi, script, environment, reason):
    if script is not None:
        smi(script)
    found = probe(machine("proc/self/cgroup", ""), environment)
    assert found.gpus == ()
    assert found.reason.startswith("no NVIDIA, AMD or Apple GPU found: ")
    assert reason in found.reason
    assert "\n" not in found.reason


@linux
def test_an_amd_card_is_found_and_others_are_not(machine, smi):
    machine("sys/class/drm/card0/device/vendor", "0x8086\n")
    machine("sys/class/drm/card0/device/mem_info_vram_total", "1\n")
    machine("sys/class/drm/card1/device/vendor", "0x1002\n")
    machine("sys/class/drm/card1/device/product_name", "Radeon RX 7900 XTX\n")
    root = machine("sys/class/drm/card1/device/mem_info_vram_total", f"{24 * GIB}\n")
    assert [(gpu.name, gpu.memory_bytes, gpu.backend) for gpu in probe(root, {}).gpus] == [
        ("Radeon RX 7900 XTX", 24 * GIB, "rocm")
    ]
    hidden = probe(root, {"HIP_VISIBLE_DEVICES": ""})
    assert hidden.gpus == ()
    assert "HIP_VISIBLE_DEVICES hides AMD's" in hidden.reason


def test_apple_silicon(monkeypatch):
    answers = {"hw.memsize": str(64 * GIB), "machdep.cpu.brand_string": "Apple M4 Max"}
    monkeypatch.setattr(hardware.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(hardware, "_ask", lambda *command: answers[command[-1]])
    found = probe(environment={})
    assert found.memory_bytes == 64 * GIB
    assert [(gpu.name, gpu.memory_bytes, gpu.backend) for gpu in found.gpus] == [("Apple M4 Max", 48 * GIB, "metal")]
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    assert probe(environment={}).reason.endswith("this Mac has no Apple Silicon")


def test_an_unreadable_machine_is_no_error(tmp_path, smi):
    found = probe(tmp_path, {})
    assert found.cpus >= 1
    assert found.gpus == ()


def test_this_machine():
    found = probe()
    assert 1 <= found.cpus <= (os.cpu_count() or 1)
    assert found.memory_bytes > 64 * 1024**2
    assert re.match(r"found |no NVIDIA, AMD or Apple GPU found: .", found.reason)
    assert bool(found.gpus) is found.reason.startswith("found ")

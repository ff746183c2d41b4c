"""The machine that figures are quoted with, and the surroundings in which every library is measured."""

import os
import platform
from pathlib import Path

THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # set on some machines, where they slow numpy down


WITHOUT_AVX512 = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # as numpy names its kernels from 2.4 on
    "OPENBLAS_CORETYPE": "Haswell",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
"""What has every library take the instructions of a processor with AVX2, which has no AVX-512."""


def surroundings(threads: int) -> dict[str, str]:
    """Return the environment of a process that is measured with so many threads."""
    environment = os.environ | dict.fromkeys(THREAD_LIMITS, str(threads))
    return {name: value for name, value in environment.items() if name not in SLOWING}


def machine_line() -> str:
    """Return processor, number of cores and versions in one line."""
    from importlib.metadata import PackageNotFoundError, version

    versions = []
    for name in ("numpy", "torch", "jax", "numba", "scipy-openblas32"):
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{platform.machine()} ({processor()}), {os.cpu_count()} cores, Python {platform.python_version()}, "
        + ", ".join(versions)
    )


def processor() -> str:
    """Return the processor's name as Linux tells it, and whether it has AVX-512 or AVX2."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = told.get("flags", "").split()
    widest = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    return f"{told.get('model name', 'unknown')} {widest}".strip()


def blas_kernels() -> str:
    """Return which BLAS kernel each loaded BLAS uses; needs threadpoolctl."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown (pip install threadpoolctl)"
    found = [
        f"{pool['internal_api']} {pool.get('version')} {pool.get('architecture', '')}".strip()
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    return ", ".join(found) or "none"

"""The processor that code is made for: the one here, or what numba's NUMBA_CPU_NAME and NUMBA_CPU_FEATURES name."""

import llvmlite.binding as llvm
from numba.core import config
from numba.core.codegen import get_host_cpu_features

NAME = str(config.CPU_NAME or llvm.get_host_cpu_name())
FEATURES = str(get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES)
"""What the code may use, as LLVM writes it: "+avx2,-avx512f"."""
X86 = llvm.get_process_triple().startswith(("x86_64", "i686"))


def has(feature: str) -> bool:
    """Tell whether the code may use a feature such as "avx512f"."""
    return f"+{feature}" in FEATURES.split(",")


def multiplies_slowly() -> bool:
    """Tell whether each multiply-add is a call of a function here: on x86-64 without the instruction.

    Where NUMBA_CPU_NAME names a processor, code is made for it all the same.
    """
    return X86 and not has("fma") and not config.CPU_NAME

"""Which kernels an engine runs on: what it is given for a name, as soon as engines take one."""

import inspect

KERNELS = ("numpy", "compiled")


def engine_options(kernels: str) -> dict[str, str]:
    """Return the options of an engine; raises `ImportError` where there are no such kernels."""
    import rnnframe as rf

    if "kernels" in inspect.signature(rf.Engine).parameters:
        return {"kernels": kernels}
    if kernels != "numpy":
        raise ImportError(f"Engine has no kernels={kernels}")
    return {}

"""The ways in which a plugin can go wrong: its source, and what must be said of it. GOOD is one that is right."""

from pathlib import Path
from textwrap import dedent

import rnnframe as rf


def lay_out(folder: Path, distribution: str, source: str, point: str = "point", version: str = "1.2") -> str:
    """Lay a distribution out as an installer would, a module and its metadata; return the module's name."""
    stem = distribution.replace("-", "_")
    module = f"{stem}_module"
    metadata = folder / f"{stem}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (folder / f"{module}.py").write_text(dedent(source))
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[rnnframe]\n{point} = {module}\n")
    return module


OPTIONS = """
    from typing import ClassVar

    import attrs
    import rnnframe.plugin
    from rnnframe_cells import Elman

    @attrs.frozen(kw_only=True)
    class Copy(Elman):
        {lines}

    @rnnframe.plugin.hookimpl
    def rnnframe_cells():
        return [Copy]
"""

GOOD = """
    import attrs
    import rnnframe.plugin
    from rnnframe_cells import Elman

    @attrs.frozen(kw_only=True)
    class Copy(Elman):
        name = "{cell}"

    @rnnframe.plugin.hookimpl
    def rnnframe_cells():
        return [Copy]
"""

BROKEN = {
    "that imports what is not there": (
        "import nowhere_to_be_found",
        "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    ),
    "that ends the process when imported": (
        "raise SystemExit('no licence')",
        "SystemExit: no licence",
    ),
    "that is no Python": (
        "def rnnframe_cells(:",
        "SyntaxError: invalid syntax",
    ),
    "that misspells a hook": (
        """
        import rnnframe.plugin

        @rnnframe.plugin.hookimpl
        def rnnframe_cell():
            return []
        """,
        "unknown hook 'rnnframe_cell'; did you mean 'rnnframe_cells'? "
        "(known: rnnframe_cells, rnnframe_commands, rnnframe_kernels, rnnframe_learning_rates, rnnframe_losses, "
        "rnnframe_media, rnnframe_observers, rnnframe_optimizers, rnnframe_readouts, rnnframe_reducers, "
        "rnnframe_state_stores, rnnframe_tasks)",
    ),
    "that asks for what a hook does not give": (
        """
        import rnnframe.plugin

        @rnnframe.plugin.hookimpl
        def rnnframe_cells(network):
            return []
        """,
        "Argument(s) {'network'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "that raises when asked": (
        """
        import rnnframe.plugin

        @rnnframe.plugin.hookimpl
        def rnnframe_cells():
            return [][0]
        """,
        "IndexError: list index out of range",
    ),
    "that raises on the way": (
        """
        import rnnframe.plugin

        @rnnframe.plugin.hookimpl
        def rnnframe_cells():
            yield len(3)
        """,
        "TypeError: object of type 'int' has no len()",
    ),
    "that returns no list": (
        """
        import rnnframe.plugin

        @rnnframe.plugin.hookimpl
        def rnnframe_state_stores():
            return 3
        """,
        "rnnframe_state_stores must return an iterable of classes, not 3",
    ),
    "that forgets to return": (
        """
        import rnnframe.plugin

        @rnnframe.plugin.hookimpl
        def rnnframe_optimizers():
            [object]
        """,
        "rnnframe_optimizers must return an iterable of classes, not None",
    ),
    "that returns what is no class": (
        """
        import rnnframe.plugin

        @rnnframe.plugin.hookimpl
        def rnnframe_cells():
            return [rnnframe.cell]
        """,
        "which is no subclass of rnnframe.plugin.Layer",
    ),
    "that returns a class of another kind": (
        """
        import rnnframe.plugin
        from rnnframe_cells import Elman

        @rnnframe.plugin.hookimpl
        def rnnframe_optimizers():
            return [Elman]
        """,
        "rnnframe_optimizers returned <class 'rnnframe_cells.elman.Elman'>, which is no subclass of "
        "rnnframe.plugin.Optimizer",
    ),
    "that returns a class without options": (
        """
        import rnnframe.plugin
        from rnnframe_cells import Elman

        class Bare(Elman):
            name = "bare"

        @rnnframe.plugin.hookimpl
        def rnnframe_cells():
            return [Bare]
        """,
        "Bare must be a frozen attrs class with a class variable `name`",
    ),
    "that takes the name of a built-in": (
        GOOD.format(cell="lstm"),
        f"cell 'lstm' is already provided by plugin 'cells' of rnnframe {rf.__version__}; rename it",
    ),
    "that gives two things one name": (
        GOOD.format(cell="twin").replace("[Copy]", "[Copy, Copy]"),
        "cell 'twin' is already provided by the same plugin; rename it",
    ),
    "whose name is an option": (
        OPTIONS.format(lines="name: str = 'copy'"),
        "the name of Copy is a field; write name: ClassVar[str] = ...",
    ),
    "whose name cannot be written": (
        OPTIONS.format(lines="name: ClassVar[str] = 'copy:of=elman'"),
        "cell 'copy:of=elman' cannot be written as name:key=value; use no space, colon, comma or equals sign",
    ),
    "whose option hides a method": (
        OPTIONS.format(lines="name = 'copy'; state: int = 3"),
        "option 'state' of Copy hides what Elman defines under that name; rename it",
    ),
    "whose option has no type": (
        OPTIONS.format(lines="name = 'copy'; rate = attrs.field(default=1.0)"),
        "option 'rate' of Copy has no type; write rate: float = attrs.field(...)",
    ),
    "whose option is private": (
        OPTIONS.format(lines="name = 'copy'; _rate: float = 1.0"),
        "option '_rate' of Copy is known to attrs as 'rate'; call it 'rate'",
    ),
    "whose option is of an unknown type": (
        OPTIONS.format(lines="name = 'copy'; rate: 'Flaot' = 1.0"),
        "the types of Copy's options cannot be read: name 'Flaot' is not defined",
    ),
    "whose step cell makes its reverse an option": (
        OPTIONS.replace("Elman", "StepCell")
        .replace("rnnframe_cells import", "rnnframe.plugin import")
        .format(lines="name = 'copy'; reverse: str = 'auto'"),
        "option 'reverse' of Copy hides what StepCell defines under that name; rename it",
    ),
    "of which one half is good": (
        GOOD.format(cell="half")
        + "\n    @rnnframe.plugin.hookimpl\n    def rnnframe_optimizers():\n        return [Copy]\n",
        "which is no subclass of rnnframe.plugin.Optimizer",
    ),
}

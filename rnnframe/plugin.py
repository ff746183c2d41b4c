"""The one door for plugin authors: everything that a plugin imports.

    from rnnframe.plugin import Cell, hookimpl

What a contract asks for is in docs/reference/plugins.md; `rnnframe.testing` has the suites that check it. The built-in
plugins import nothing else of rnnframe; rnnframe_onnx, which makes and loads networks, imports `rnnframe` too.
"""

from rnnframe.arrays import (
    ALIGNMENT,
    Array,
    Arrays,
    Rounding,
    Shapes,
    Vector,
    aligned_bytes,
    aligned_empty,
    outside,
    size_of,
)
from rnnframe.arrays.products import (
    PANEL,
    PIECE,
    add_column_sums,
    add_input_product,
    add_product,
    is_lookup,
    panel_shape,
    project,
    rows,
    write_input_gradient,
)
from rnnframe.contracts.alphabet import Alphabet
from rnnframe.contracts.cell import Cell
from rnnframe.contracts.costs import Costs
from rnnframe.contracts.dataset import Choose, Dataset, Examples, Predicted
from rnnframe.contracts.forecasts import Forecasts, Origins, written_times
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import Kernels
from rnnframe.contracts.layer import START, BlockPass, Layer, Sizes, Widths, output_of
from rnnframe.contracts.learning_rate import LearningRate
from rnnframe.contracts.loss import Loss
from rnnframe.contracts.medium import Medium, SnapshotLayout, Snapshots
from rnnframe.contracts.observer import Observer, Watcher
from rnnframe.contracts.optimizer import NamedOptimizer, NamedParameter, Optimizer
from rnnframe.contracts.readout import Readout
from rnnframe.contracts.records import (
    BatchRecord,
    CheckpointRecord,
    EndRecord,
    EpochRecord,
    EvaluationRecord,
    GradientRecord,
    SkippedRecord,
    StartRecord,
)
from rnnframe.contracts.reducer import Group, Reducer
from rnnframe.contracts.retention import StoredTapes, TapeRetention
from rnnframe.contracts.step_cell import StepCell, sigmoid
from rnnframe.contracts.step_units import StepUnits
from rnnframe.contracts.steps import AdvanceStep, InputStep, LayerStep, PredictionStep, ReadoutStep, StepPart
from rnnframe.contracts.store import Problem, StateStore
from rnnframe.contracts.task import NothingLearnt, Setting, Task
from rnnframe.data.batch import Batch
from rnnframe.data.draws import Draw, MaskPlace
from rnnframe.data.foreign import as_array
from rnnframe.errors import DataError, GroupError, OptionError, PluginError, RnnframeError, ScheduleError, UsageError
from rnnframe.registry.hooks import hookimpl
from rnnframe.registry.specs import Spec, build, chosen_options, describe_type, field_types, render, required_options
from rnnframe.schedules import (
    Action,
    Drop,
    Forget,
    Forward,
    Grid,
    Load,
    Reverse,
    Save,
    Schedule,
    Simulation,
    Update,
    simulate,
    split_evenly,
    stretched,
)
from rnnframe.sizes import UNITS, ByteSize, human_bytes
from rnnframe.storage.durable import is_same_file, write_whole
from rnnframe.storage.locks import lock_now

__all__ = [
    "ALIGNMENT",
    "PANEL",
    "PIECE",
    "START",
    "UNITS",
    "Action",
    "AdvanceStep",
    "Alphabet",
    "Array",
    "Arrays",
    "Batch",
    "BatchRecord",
    "BlockPass",
    "ByteSize",
    "Cell",
    "CheckpointRecord",
    "Choose",
    "Costs",
    "DataError",
    "Dataset",
    "Draw",
    "Drop",
    "EndRecord",
    "EpochRecord",
    "EvaluationRecord",
    "Examples",
    "Forecasts",
    "Forget",
    "Forward",
    "GradientRecord",
    "Grid",
    "Group",
    "GroupError",
    "Head",
    "InputStep",
    "Kernels",
    "Layer",
    "LayerStep",
    "LearningRate",
    "Load",
    "Loss",
    "MaskPlace",
    "Medium",
    "NamedOptimizer",
    "NamedParameter",
    "NothingLearnt",
    "Observer",
    "Optimizer",
    "OptionError",
    "Origins",
    "PluginError",
    "Predicted",
    "PredictionStep",
    "Problem",
    "Readout",
    "ReadoutStep",
    "Reducer",
    "Reverse",
    "RnnframeError",
    "Rounding",
    "Save",
    "Schedule",
    "ScheduleError",
    "Setting",
    "Shapes",
    "Simulation",
    "Sizes",
    "SkippedRecord",
    "SnapshotLayout",
    "Snapshots",
    "Spec",
    "StartRecord",
    "StateStore",
    "StepCell",
    "StepPart",
    "StepUnits",
    "StoredTapes",
    "TapeRetention",
    "Task",
    "Update",
    "UsageError",
    "Vector",
    "Watcher",
    "Widths",
    "add_column_sums",
    "add_input_product",
    "add_product",
    "aligned_bytes",
    "aligned_empty",
    "as_array",
    "build",
    "chosen_options",
    "describe_type",
    "field_types",
    "hookimpl",
    "human_bytes",
    "is_lookup",
    "is_same_file",
    "lock_now",
    "output_of",
    "outside",
    "panel_shape",
    "project",
    "render",
    "required_options",
    "rows",
    "sigmoid",
    "simulate",
    "size_of",
    "split_evenly",
    "stretched",
    "write_input_gradient",
    "write_whole",
    "written_times",
]

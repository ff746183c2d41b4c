"""The parts of a strategy: actions, the grid that divides time into chunks, and the simulator that checks a schedule.

from rnnframe.schedules import Forward, Grid, Reverse, simulate
"""

from rnnframe.schedules.actions import Action, Drop, Forget, Forward, Load, Reverse, Save, Schedule, Update
from rnnframe.schedules.grid import Grid, split_evenly, stretched
from rnnframe.schedules.simulation import Simulation, simulate

__all__ = [
    "Action",
    "Drop",
    "Forget",
    "Forward",
    "Grid",
    "Load",
    "Reverse",
    "Save",
    "Schedule",
    "Simulation",
    "Update",
    "simulate",
    "split_evenly",
    "stretched",
]

"""What a run gives back: the result, and a report of what it held and did."""

import attrs

from rnnframe.arrays import Vector


@attrs.frozen(kw_only=True)
class Report:
    """What one run of the loop held and did, beside what the simulated schedule had predicted.

    Bytes count everything that depends on the number of steps, the chunk or the batch: tapes, snapshots, states,
    working arrays and old weights; parameters, gradients and the data are not among them. `predicted_bytes` is None
    where an endless schedule has no bound; `peak_bytes` is larger where buffers of an earlier, longer run were kept.
    `data_bytes` are those of the blocks of a stream that were held at once at most, each until its chunk was reversed
    for the last time; and of the copies of one chunk's data where they are split among shards, or inputs are of
    another dtype than the network; room that an earlier run needed for them counts too. They are 0 for arrays that can
    be used as they are, which are the caller's.
    `kernels` names what computed each layer.
    With lengths, steps are those of the longest sample. `forward_steps` counts each time a step was run forward, so
    `forward_steps / steps` is the price of recomputation.
    """

    store: str
    exact: bool
    steps: int
    batch: int
    kernels: tuple[str, ...]
    chunk: int
    chunks: int
    shards: int
    forward_steps: int
    reverse_steps: int
    updates: int
    predicted_bytes: int | None
    peak_bytes: int
    data_bytes: int


@attrs.frozen(kw_only=True, eq=False)
class Outcome:
    """Mean loss (nats for softmax and Bernoulli heads), the sum of the weights of the losses, and the final state.

    `state` has the names and shapes of a state of the whole batch: that after the last step.
    """

    loss: float
    count: float
    state: Vector
    report: Report


@attrs.frozen(kw_only=True, eq=False)
class Result(Outcome):
    """An outcome with gradients.

    `gradients` has the names and shapes of the parameters; `state_gradient` is dL/dstate before the first step (of the
    last window where the store truncates).
    """

    gradients: Vector
    state_gradient: Vector


@attrs.frozen(kw_only=True, eq=False)
class SweepResult:
    """What a sweep with an outside loss gives back.

    Parameters
    ----------
    state : Vector
        After the last step.
    gradients : Vector
        Of the parameters: what the caller's dL/d(outputs) make of them, neither summed nor divided any further.
    state_gradient : Vector
        dL/dstate before the first step.
    report : Report
        What the run held and did.
    """

    state: Vector
    gradients: Vector
    state_gradient: Vector
    report: Report

"""What a run gives back: the result, and a report of what it held and did."""

import attrs

from rnnframe.arrays import Vector


@attrs.frozen(kw_only=True)
class Report:
    """What one run of the loop held and did, beside the prediction of the simulated schedule.

    Bytes count everything that depends on the number of steps, the chunk or the batch: tapes, snapshots, states (those
    that the caller gets, too), working arrays and old weights. Parameters, gradients and the data are not among them,
    nor are Python's objects: some 500 bytes for each tape and snapshot that is kept at a time, and 2 KiB for each piece
    that resets and ends of samples cut the chunk at work into (half a KiB more for each layer above the first).

    Parameters
    ----------
    store : str
        The spec of the store that was used, where another one chose it.
    exact : bool
        Whether the gradient is that of the whole sequence, from states and tapes that were not rounded.
    steps : int
        Steps of the sequence; with lengths those of the longest sample.
    batch : int
        Samples.
    kernels : tuple of str
        What computed each layer.
    chunk : int
        Steps of the longest chunk.
    chunks : int
        Chunks of the sequence.
    shards : int
        Parts of the batch, each with its own thread.
    forward_steps : int
        How often a step was run forward: `forward_steps / steps` is the cost of recomputation.
    reverse_steps : int
        How often a step was reversed.
    updates : int
        Updates during the run.
    predicted_bytes : int or None
        Bytes held at the peak, as predicted; None where an endless schedule has no bound.
    peak_bytes : int
        Bytes held at the peak; more than predicted where buffers of an earlier, longer run were kept.
    data_bytes : int
        The most bytes of blocks of a stream that were held at once, each until its chunk was reversed for the last
        time, and of copies of one chunk's data: for shards, or where inputs have another dtype than the network. Memory
        that an earlier run needed for them counts too. 0 for arrays that can be used as they are.
    average_bytes : int
        Bytes of the averaged parameters, which a trainer with an average holds beside the others and beside
        `peak_bytes`; 0 without one.
    precision : str or None
        What operands of matrix products were rounded to, "bfloat16"; None where they were not.
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
    average_bytes: int = 0
    precision: str | None = None


@attrs.frozen(kw_only=True, eq=False)
class Outcome:
    """What a run gives back without its gradients.

    Parameters
    ----------
    loss : float
        The mean loss, in nats for softmax and bernoulli.
    count : float
        The sum of the weights of the losses: their number, where each counts once.
    state : Vector
        The state of the whole batch after the last step: name -> [B, width].
    report : Report
        What the run held and did.
    """

    loss: float
    count: float
    state: Vector
    report: Report


@attrs.frozen(kw_only=True, eq=False)
class Result(Outcome):
    """An outcome with gradients.

    Parameters
    ----------
    loss, count, state, report
        As `Outcome` has them.
    gradients : Vector
        Those of the mean loss, with the names and shapes of the parameters.
    state_gradient : Vector
        dL/dstate before the first step (of the last window where the store truncates): name -> [B, width].
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

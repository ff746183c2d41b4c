"""`unroll` and `unroll_loss`: a cell over a whole sequence, in the memory that a store takes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from rnnframe import Engine, TwoPassRun
from rnnframe.plugin import DataError, StateStore, UsageError
from rnnframe_torch.cells import CellModel
from rnnframe_torch.checks import refuse_gradients
from rnnframe_torch.measuring import measured_model
from rnnframe_torch.sources import Stream, Tensors, batch_of
from rnnframe_torch.surroundings import draw_from, draws_restored, untraced
from rnnframe_torch.trees import Leaves, detached, is_float, wants


@untraced
def unroll(
    cell: Callable[..., Any],
    x: Any,
    state: Any,
    store: str | StateStore = "auto",
    *,
    chunk: int | None = None,
    whole_chunks: bool = False,
    extra: Sequence[torch.Tensor] = (),
) -> tuple[Any, Any]:
    """Return the outputs of a cell at every step, and the state after the last one, ready for any loss.

    Parameters
    ----------
    cell : callable or nn.Module
        One step `(x_t, state) -> (output_t, state)`, or a chunk `(x[L], state) -> (outputs[L], state)`.
    x : pytree of tensors
        [T, ...] each, time first.
    state : pytree of tensors
        Before the first step, in the form in which the cell returns it.
    store : StateStore or str
        What is remembered for `backward`: any exact store, such as "auto:budget=64MiB".
    chunk : int or None
        Steps of a chunk; by default 64, or what the store chooses.
    whole_chunks : bool
        Whether the cell takes a chunk rather than a step.
    extra : sequence of Tensor
        Trained tensors that are not parameters of the cell's module.

    Returns
    -------
    tuple of pytrees
        Outputs [T, ...], and the state.

    Raises
    ------
    UsageError
        For a store that truncates, and a cell that cannot be run again.
    DataError
        For a cell that returns something else.
    """
    model, leaves, start = measured_model(cell, None, x, state, None, whole_chunks, extra)
    model.source = source = Tensors(detached(leaves), batch_of(leaves))
    run = _run(model, store, chunk)
    steps = source.steps or 0
    rooms = [
        torch.empty(steps, *leaf.shape, dtype=leaf.dtype, device=leaf.device)
        if isinstance(leaf, torch.Tensor)
        else leaf
        for leaf in model.measured.outputs
    ]
    source.out = rooms
    tensors = [*leaves, *pytree.tree_leaves(state), *model.trained]
    goes_back = torch.is_grad_enabled() and any(map(wants, tensors))
    results = _Unroll.apply(run, start, len(leaves), goes_back, *tensors)
    count = len(rooms)
    return (
        pytree.tree_unflatten(list(results[:count]), model.measured.output_form),
        pytree.tree_unflatten(list(results[count:]), model.state_form),
    )


@untraced
def unroll_loss(
    cell: Callable[..., Any],
    x: Any,
    y: Any,
    loss_fn: Callable[..., torch.Tensor],
    state: Any,
    store: str | StateStore = "auto",
    *,
    chunk: int | None = None,
    whole_chunks: bool = False,
    extra: Sequence[torch.Tensor] = (),
) -> tuple[torch.Tensor, Any]:
    """Return the sum of a loss over all steps, ready for `backward`, and the final state; outputs are never stored.

    Parameters
    ----------
    cell, state, chunk, whole_chunks, extra
        As `unroll` takes them. The final state is detached.
    x, y : pytrees of tensors
        [T, ...] each; or y=None and in x an iterator of pairs (x, y) of blocks, of unknown length.
    loss_fn : callable or nn.Module
        `(outputs[L], y[L]) -> loss`, summed over the steps; its parameters are trained too.
    store : StateStore or str
        Any store; one that truncates gives the sum of the gradients of its windows.

    Returns
    -------
    tuple of Tensor and pytree
        The loss, and the state after the last step.

    Raises
    ------
    UsageError
        For a cell that cannot be run again, or dL/dstate with a store that truncates.
    DataError
        For a loss that is not a sum over steps.
    """
    first_x, first_y, stream = x, y, None
    if torch.is_grad_enabled():
        refuse_gradients(y, "y", "unroll_loss gives none for targets")
    if y is None:
        stream = Stream(x, 1)
        if (pair := stream.peek()) is None:
            raise DataError("the stream is empty; expected at least one block (x, y)")
        first_x, first_y = pair
    model, leaves, start = measured_model(
        cell, loss_fn, first_x, state, first_y, whole_chunks, extra, x_is_trained=stream is None
    )
    state_leaves = pytree.tree_leaves(state)
    model.source = stream or Tensors(detached(leaves), batch_of(leaves), y)
    run = _run(model, store, chunk)
    if not run.plan.store.exact and any(map(wants, state_leaves)):
        raise UsageError(f"store {run.plan.store.name!r} truncates, so dL/dstate is not defined; detach the state")
    tensors = [*([] if stream else leaves), *state_leaves, *model.trained]
    model.goes_back = torch.is_grad_enabled() and any(map(wants, tensors))
    results = _Loss.apply(run, start, *tensors)
    return results[0], pytree.tree_unflatten(list(results[1:]), model.state_form)


def _run(cells: CellModel, store: str | StateStore, chunk: int | None) -> Any:
    model: Any = cells  # its blocks are of tensors
    engine = Engine(model, store, chunk=chunk, shards=1)
    return TwoPassRun(model, engine.plan(model.source.steps, model.source.batch), model.source)


def _again(run: Any) -> Any:
    """Return the same run, not begun."""
    return TwoPassRun(run.model, run.plan, run.source)


def _ended(run: Any, final: Any) -> Leaves:
    """Return the leaves of a final state, and let the generators go on from there."""
    if final.draws:
        draw_from(final.draws, run.model.devices)
    leaves: Leaves = final.leaves
    return leaves


def _refuse_second(name: str) -> None:
    if torch.is_grad_enabled():
        raise UsageError(f"{name} has no second derivative; call backward or grad without create_graph")


class _Unroll(torch.autograd.Function):
    """The one node of `unroll` in the caller's graph."""

    @staticmethod
    def forward(ctx: Any, run: Any, start: Leaves, inputs: int, goes_back: bool, *tensors: Any) -> tuple[Any, ...]:
        if not goes_back:
            return (*run.source.out, *_ended(run, run.forward_alone(start)))
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*(each for each in tensors if isinstance(each, torch.Tensor)))
        ctx.draws = run.memory.state.draws
        final = _ended(run, run.forward(start))
        ctx.run, ctx.start, ctx.inputs, ctx.outputs, ctx.used = run, start, inputs, len(run.source.out), False
        results = (*run.source.out, *(leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in final))
        ctx.mark_non_differentiable(
            *(leaf for leaf in results if isinstance(leaf, torch.Tensor) and not is_float(leaf))
        )
        run.source.out = []
        return results

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> tuple[Any, ...]:
        _refuse_second("unroll")
        ctx.saved_tensors  # noqa: B018 - raises where one was changed in place since
        run, source = ctx.run, ctx.run.source
        with draws_restored(run.model.devices):
            if ctx.used:  # once more, as after retain_graph=True
                if ctx.draws:
                    draw_from(ctx.draws, run.model.devices)
                run = ctx.run = _again(run)
                run.forward(ctx.start)
            ctx.used = True
            source.dout = list(slopes[: ctx.outputs])
            wanted = run.model.x_wanted
            source.dx = [torch.zeros_like(x) if want else None for x, want in zip(source.x, wanted, strict=True)]
            run.back(list(slopes[ctx.outputs :]))
        memory, dx = run.memory, source.dx
        source.dout, source.dx = None, []
        return (None, None, None, None, *dx, *memory.dstate.leaves, *memory.gradients.leaves)


class _Loss(torch.autograd.Function):
    """The one node of `unroll_loss`: its gradients are known when its loss is."""

    @staticmethod
    def forward(ctx: Any, run: Any, start: Leaves, *tensors: Any) -> tuple[Any, ...]:
        source: Any = run.source
        dx: Leaves = []
        if run.model.goes_back and isinstance(source, Tensors):
            wanted = run.model.x_wanted
            dx = source.dx = [torch.zeros_like(x) if want else None for x, want in zip(source.x, wanted, strict=True)]
        final: Any = run.whole(start) if run.model.goes_back else run.losses(start)
        _ended(run, final)
        memory: Any = run.memory
        ctx.gradients = [*dx, *memory.dstate.leaves, *memory.gradients.leaves]
        leaves = [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in final.leaves]
        ctx.mark_non_differentiable(*(leaf for leaf in leaves if isinstance(leaf, torch.Tensor)))
        like = next((each for each in (*tensors, *final.leaves) if is_float(each)), None)
        dtype, device = (torch.get_default_dtype(), None) if like is None else (like.dtype, like.device)
        return (torch.tensor(run.totals.loss, dtype=dtype, device=device), *leaves)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor, *_: Any) -> tuple[Any, ...]:
        _refuse_second("unroll_loss")
        return (None, None, *(None if each is None else each * slope.to(each.dtype) for each in ctx.gradients))

"""What `epoch` asks of a library: `python -m tests.benchmarks.epoch_worker SUBJECT THREADS CORPUS SEED`."""

import os
import sys
import time

from rnnframe.plugin import Watcher
from tests.benchmarks.epoch import BATCH, CLIP, EMBEDDING, HIDDEN, LR, STEPS
from tests.benchmarks.processes import serve


def our_options(corpus: str, seed: int, **more: object):
    """Return the setting as options of `rnnframe train`."""
    from rnnframe.training.options import TrainingOptions

    return TrainingOptions(
        task="characters",
        data=corpus,
        cell=f"lstm:hidden={HIDDEN}",
        batch=BATCH,
        steps=STEPS,
        epochs=1_000_000,
        optimizer=f"adam:lr={LR}",
        rate="constant",
        clip=CLIP,
        seed=seed,
        **more,
    )


def our_training(corpus: str, seed: int, observers=(), **more: object):
    """Return our training; its data and its starting parameters are those of the others, too."""
    from rnnframe.training.session import Training

    return Training(our_options(corpus, seed, **more), observers=observers)


class Ours:
    """`Training` with some kernels."""

    def __init__(self, kernels: str, threads: int, corpus: str, seed: int) -> None:
        if kernels == "numpy":  # as on a machine without any others
            os.environ["RNNFRAME_DISABLE_PLUGINS"] = "compiled"
        self._watch = Stopwatch()
        self._training = our_training(corpus, seed, [self._watch], shards=threads)
        used = self._training.trainer.engine.running.kernels
        if set(used) != {kernels}:
            raise ImportError(f"the training would run on {', '.join(used)}")

    def train(self, batches: int) -> dict:
        """Go on for some batches, or to the end of the epoch."""
        watch, begun = self._watch, time.perf_counter()
        watch.begin()
        self._training.fit(lambda: watch.ended or watch.batches == batches)
        return {
            "seconds": time.perf_counter() - begun - watch.validating,
            "batches": watch.batches,
            "batches_of_an_epoch": self._training.data.batches,
            "valid_loss": self._training.progress.valid_loss if watch.ended else None,
        }


class Stopwatch(Watcher):
    """Counts batches, and the seconds of the evaluation at the end of an epoch."""

    def begin(self) -> None:
        """Count from zero."""
        self.batches, self.validating, self.ended = 0, 0.0, False

    def on_batch(self, batch) -> None:
        """Count the batch."""
        self.batches += 1
        self._last = time.perf_counter()

    def on_epoch(self, epoch) -> None:
        """Take the time since the last batch."""
        self.validating, self.ended = time.perf_counter() - self._last, True


class Torch:
    """The training loop that torch's users write."""

    def __init__(self, one_hot: bool, threads: int, corpus: str, seed: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        ours = our_training(corpus, seed)
        train, valid = ours.data.train, ours.data.valid.streams
        classes = ours.data.inputs
        self._train, self._valid = (
            tuple(torch.from_numpy(part.astype("int64")) for part in streams.cut(0, len(streams)))
            for streams in (train, valid)
        )
        width = classes if one_hot else EMBEDDING
        self.embedding = None if one_hot else torch.nn.Embedding(classes, EMBEDDING)
        self.lstm, self.readout = torch.nn.LSTM(width, HIDDEN), torch.nn.Linear(HIDDEN, classes)
        self.classes, self._torch = classes, torch
        if one_hot:
            self._begin_like(ours.model.network.parameters)
        modules = [module for module in (self.embedding, self.lstm, self.readout) if module is not None]
        self._parameters = [parameter for module in modules for parameter in module.parameters()]
        self._optimizer = torch.optim.Adam(self._parameters, lr=LR)
        self._state, self._next = None, 0

    def _begin_like(self, parameters) -> None:
        torch = self._torch
        with torch.no_grad():
            for name, value in (
                ("weight_ih_l0", parameters["layer0.U"].T),
                ("weight_hh_l0", parameters["layer0.W"].T),
                ("bias_ih_l0", parameters["layer0.b"]),
            ):
                getattr(self.lstm, name).copy_(torch.from_numpy(value))
            # one bias alone, as in ours: a second one would be taught as well
            self.lstm.bias_hh_l0.zero_()
            self.lstm.bias_hh_l0.requires_grad_(False)
            self.readout.weight.copy_(torch.from_numpy(parameters["head.V"].T))
            self.readout.bias.copy_(torch.from_numpy(parameters["head.c"]))

    def _outputs(self, x, state):
        torch = self._torch
        inputs = torch.nn.functional.one_hot(x, self.classes).float() if self.embedding is None else self.embedding(x)
        h, state = self.lstm(inputs, state)
        return self.readout(h).flatten(0, 1), tuple(part.detach() for part in state)

    def train(self, batches: int) -> dict:
        """Go on for some batches, or to the end of the epoch."""
        torch, (x, y) = self._torch, self._train
        begun, done = time.perf_counter(), 0
        while done < batches and self._next < len(x):
            part = slice(self._next, self._next + STEPS)
            outputs, self._state = self._outputs(x[part], self._state)
            loss = torch.nn.functional.cross_entropy(outputs, y[part].flatten())
            self._optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._parameters, CLIP)
            self._optimizer.step()
            loss.item()  # as a training that writes its losses down
            self._next += STEPS
            done += 1
        seconds = time.perf_counter() - begun
        ended = self._next >= len(x)
        if ended:
            self._next, self._state = 0, None
        return {
            "seconds": seconds,
            "batches": done,
            "batches_of_an_epoch": -(-len(x) // STEPS),
            "valid_loss": self._evaluate() if ended else None,
        }

    def _evaluate(self) -> float:
        torch, (x, y) = self._torch, self._valid
        total, state = 0.0, None
        with torch.no_grad():
            for start in range(0, len(x), 1024):
                part = slice(start, start + 1024)
                outputs, state = self._outputs(x[part], state)
                total += torch.nn.functional.cross_entropy(outputs, y[part].flatten(), reduction="sum").item()
        return total / y.numel()


def prepare(subject: str, threads: int, corpus: str, seed: int):
    """Return what trains, of this name."""
    if subject.startswith("torch"):
        return Torch(subject == "torch one-hot", threads, corpus, seed)
    return Ours(subject, threads, corpus, seed)


if __name__ == "__main__":
    name, threads, corpus, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    subjects = []

    def answer(request: dict) -> dict:
        if not subjects:
            subjects.append(prepare(name, threads, corpus, seed))
        return subjects[0].train(request["batches"])

    serve(threads, answer)

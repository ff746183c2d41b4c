from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.arrays import Vector
from rnnframe.runs.checkpoints import Checkpoints
from rnnframe.training.averaging import BLOCK, AveragedParameters, ExponentialAverage

TEXT = "".join(f"{n}: the quick brown fox jumps over the lazy dog {n * 7 % 13} times.\n" for n in range(40))


def trainer(average: str | None = None, store: str = "full-history", **options: object) -> rf.Trainer:
    network = rf.Network(["lstm:hidden=5", "gru:hidden=4,weight_drop=0.3"], "mse:outputs=2", 3, seed=1, dtype="float64")
    return rf.Trainer(rf.Engine(network, store, chunk=3), "adam:lr=0.05", average=average, **options)


def batch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(12, 4, 3)), rng.normal(size=(12, 4, 2))


def corrected_mean(weights: list[np.ndarray], decay: float) -> np.ndarray:
    factors = decay ** np.arange(len(weights) - 1, -1, -1.0)
    return factors @ np.array(weights) / factors.sum()


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 2}, {"store": "circular-queue:k1=5,k2=5"}, {"groups": ["head.V:lr=0"]}]
)
def test_every_update_counts_less_than_the_next_one_by_the_decay(options: dict) -> None:
    averaging, plain = trainer("ema:decay=0.7", **options), trainer(**options)
    seen: list[np.ndarray] = []
    apply = plain._applied.apply
    plain._applied = type("Seen", (), {"apply": lambda _, p, *rest: (apply(p, *rest), seen.append(p.flat.copy()))})()
    assert np.array_equal(averaging.averaged.parameters.flat, plain.engine.network.parameters.flat)
    for seed in range(6):
        averaging.step(*batch(seed))
        plain.step(*batch(seed))
    assert averaging.updates == len(seen) > 2
    assert np.array_equal(averaging.engine.network.parameters.flat, plain.engine.network.parameters.flat)
    np.testing.assert_allclose(averaging.averaged.parameters.flat, corrected_mean(seen, 0.7), rtol=1e-13, atol=1e-15)


def test_it_is_the_average_of_torch_but_for_the_weight_of_its_first_update() -> None:
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    decay, size = 0.9, BLOCK + 7
    model = torch.nn.Linear(size, 1, bias=False).double()
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    ours = AveragedParameters(ExponentialAverage(decay=decay), Vector.zeros({"W": (size,)}, np.dtype("float64")))
    rng = np.random.default_rng(0)
    first = None
    for update in range(1, 8):
        weights = rng.normal(size=size)
        first = weights if first is None else first
        with torch.no_grad():
            model.weight[0] = torch.from_numpy(weights)
        theirs.update_parameters(model)
        given = Vector.zeros({"W": (size,)}, np.dtype("float64"))
        given.flat[:] = weights
        ours.add(given, update)
        # theirs begins with the first weights as if they had stood there for ever
        witness = (theirs.module.weight[0].detach().numpy() - decay**update * first) / (1 - decay**update)
        np.testing.assert_allclose(ours.values.flat, witness, rtol=1e-11, atol=1e-13)


def test_evaluation_and_prediction_use_the_average_and_training_does_not() -> None:
    averaging = trainer("ema:decay=0.9")
    for seed in range(3):
        averaging.step(*batch(seed))
    x, _ = batch(9)
    apart = trainer().engine.network
    apart.parameters.flat[:] = averaging.averaged.parameters.flat
    apart.derive()
    expected = rf.Inference(apart).predict(x)[0]
    assert np.array_equal(rf.Inference(averaging.averaged).predict(x)[0], expected)
    assert not np.allclose(averaging.engine.predict(x)[0], expected)


def test_its_bytes_are_one_array_as_large_as_the_parameters() -> None:
    averaging, plain = trainer("ema"), trainer()
    found, expected = averaging.step(*batch(0)).report, plain.step(*batch(0)).report
    assert found.average_bytes == averaging.engine.network.parameters.nbytes
    assert expected.average_bytes == 0
    assert found.peak_bytes == expected.peak_bytes
    assert plain.averaged is plain.engine.running


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("swa", "average 'swa' is invalid; expected ema, as in ema:decay=0.999"),
        ("ema:decay=1", "'decay' must be < 1"),
        ("ema:decay=-1", "'decay' must be >= 0"),
        ("ema:decay=high", "decay=high is invalid; expected number"),
        ("ema:rate=0.9", "option of average 'ema': 'rate'"),
    ],
)
def test_what_is_no_average_is_refused(text: str, message: str) -> None:
    with pytest.raises(rf.RnnframeError, match=message):
        trainer(text)
    with pytest.raises(rf.RnnframeError, match=message):
        rf.TrainingOptions(average=text)


def test_a_run_keeps_both_and_evaluates_the_average(tmp_path: Path) -> None:
    data = tmp_path / "text.txt"
    data.write_text(TEXT)
    options = rf.TrainingOptions(
        data=str(data), cell="gru:hidden=12", batch=4, steps=16, epochs=3, average="ema:decay=0.95", shards=1
    )
    with rf.Training(options, run=tmp_path / "run") as training:
        training.fit()
        last = training.evaluate()
    model, trained = training.model.network.parameters, training.trainer.engine.network.parameters
    assert not np.array_equal(model.flat, trained.flat)
    checkpoint = Checkpoints(tmp_path / "run" / "checkpoints").readable()
    for group, expected in (("parameters", model), ("trained", trained)):
        assert {name: array.tobytes() for name, array in expected.items()} == {
            name: array.tobytes() for name, array in checkpoint.groups[group].items()
        }
    kept = rf.load_model(tmp_path / "run", "last")
    assert np.array_equal(kept.network.parameters.flat, model.flat)
    held_out = tmp_path / "held.txt"
    held_out.write_text(TEXT[-len(TEXT) // 10 :])
    assert kept.evaluate(held_out).loss == training.model.evaluate(held_out).loss
    assert last.loss == training.progress.valid_loss


def test_a_checkpoint_without_the_trained_weights_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "text.txt"
    data.write_text(TEXT)
    options = rf.TrainingOptions(data=str(data), cell="gru:hidden=4", batch=4, steps=16, epochs=1, shards=1)
    with rf.Training(options, run=tmp_path / "run") as training:
        training.fit()
    config = tmp_path / "run" / "config.toml"
    config.write_text('average = "ema"\n' + config.read_text())
    with pytest.raises(rf.RnnframeError, match=r"holds the arrays \[\]; expected \['head.V'"):
        rf.Training.resume(tmp_path / "run", epochs=2)

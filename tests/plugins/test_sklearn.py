"""The estimators for scikit-learn: its own checks, ragged sequences, and what a user does with an estimator."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from blas_rows import rows_alike

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from rnnframe_sklearn import RNNClassifier, RNNRegressor

QUICK = {"hidden_size": 8, "epochs": 15, "learning_rate": 0.05, "kernels": "numpy", "random_state": 0}
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "the order of minibatches depends on the number of samples",
}
if not rows_alike():
    EXPECTED["check_methods_sample_order_invariance"] = "BLAS rounds a row of a product by its place among others"


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
def test_scikit_learns_own_checks_pass(estimator):
    quick = {**QUICK, "epochs": 40, "learning_rate": 0.02}
    results = check_estimator(estimator(**quick), expected_failed_checks=EXPECTED, on_fail=None, on_skip=None)
    failed = {each["check_name"]: str(each["exception"]) for each in results if each["status"] == "failed"}
    assert failed == {}
    assert len(results) > 40


def rises(count=60, seed=0):
    """Return sequences of different lengths with two channels, and whether the first channel rises."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    X = []
    for rising in y:
        steps = int(rng.integers(3, 12))
        slope = np.linspace(0, 1 if rising else -1, steps)
        X.append(np.stack([50 + 20 * slope + rng.normal(0, 1, steps), rng.normal(0, 0.01, steps)], axis=1))
    return X, np.array(["falls", "rises"])[y]


def test_ragged_sequences_are_cross_validated():
    X, y = rises()
    assert cross_val_score(RNNClassifier(**QUICK), X, y, cv=3).mean() > 0.9


@pytest.mark.parametrize("layers", [1, 2])
def test_two_directions_see_what_comes_first(layers):
    rng, steps = np.random.default_rng(1), 9
    X = [rng.normal(size=(int(n), 1)) for n in rng.integers(4, steps, 80)]
    y = np.array([x[0, 0] > 0 for x in X])
    fitted = RNNClassifier("bidirectional(gru:reset=before)", layers=layers, **{**QUICK, "hidden_size": 6}).fit(X, y)
    (cell, *_) = fitted.network_.specs()["cells"]
    assert cell.startswith("bidirectional(gru:hidden=6,reset=before")
    assert fitted.score(X, y) > 0.9
    alone = np.concatenate([fitted.predict_proba([x]) for x in X])
    assert np.allclose(alone, fitted.predict_proba(X), atol=1e-5)
    numbers = RNNRegressor("bidirectional(gru)", layers=layers, **QUICK).fit(X, [x[0, 0] for x in X])
    assert numbers.score(X, [x[0, 0] for x in X]) > 0.5


def test_a_list_an_object_array_and_one_length_give_the_same_numbers():
    X, y = rises()
    fitted = RNNClassifier(**QUICK).fit(X, y)
    objects = np.empty(len(X), object)
    objects[:] = X
    assert np.array_equal(fitted.predict_proba(objects), fitted.predict_proba(X))
    dense = np.stack([x[:3] for x in X])
    assert np.allclose(fitted.predict_proba(dense), fitted.predict_proba(list(dense)), atol=1e-6)


def test_a_grid_in_two_processes_over_store_width_and_rate():
    X, y = rises(30)
    grid = {"store": ["full-history", "checkpoint:slots=2"], "hidden_size": [4, 6], "learning_rate": [0.01, 0.05]}
    search = GridSearchCV(clone(RNNClassifier(**{**QUICK, "epochs": 3})), grid, cv=2, n_jobs=2).fit(X, y)
    scores = search.cv_results_
    by_store = [scores["mean_test_score"][[p["store"] == store for p in scores["params"]]] for store in grid["store"]]
    assert np.array_equal(*by_store)  # exact stores have one result


def test_a_pickle_goes_on_as_the_estimator_itself():
    X, y = rises()
    fitted = make_pipeline(RNNClassifier(**QUICK)).fit(X, y)
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    for each in (fitted, copy):
        each[-1].partial_fit(X, y)
    assert np.array_equal(copy.predict_proba(X), fitted.predict_proba(X))


def test_samples_of_weight_zero_do_not_count_and_classes_can_be_weighted():
    X, y = rises()
    wrong = np.where(y == "rises", "falls", "rises")
    weights = np.repeat([1.0, 0.0], len(X))
    fitted = RNNClassifier(**QUICK).fit(X + X, np.concatenate([y, wrong]), sample_weight=weights)
    assert fitted.score(X, y) > 0.9
    one_sided = RNNClassifier(**QUICK, class_weight={"falls": 1e-6, "rises": 1.0}).fit(X, y)
    assert (one_sided.predict(X) == "rises").mean() > 0.9


def test_early_stopping_keeps_the_parameters_of_the_best_epoch():
    X, y = rises()
    fitted = RNNClassifier(**{**QUICK, "epochs": 60}, early_stopping=True, patience=3, validation_fraction=0.3).fit(
        X, y
    )
    assert len(fitted.validation_curve_) < 60
    assert fitted.validation_curve_.index(min(fitted.validation_curve_)) == len(fitted.validation_curve_) - 4


def test_an_average_of_the_parameters_predicts_and_training_goes_on_without_it():
    X, y = rises()
    whole = {**QUICK, "batch_size": len(y), "epochs": 4}  # the order within a batch counts for rounding alone
    trained = [
        RNNClassifier(**{**whole, "epochs": epochs}).fit(X, y).network_.parameters.flat for epochs in (1, 2, 3, 4)
    ]
    averaged = RNNClassifier(**whole, average="ema:decay=0.5").fit(X, y)
    expected = np.average(trained, axis=0, weights=[0.125, 0.25, 0.5, 1])
    assert np.abs(averaged.network_.parameters.flat - expected).max() < 1e-5
    last = RNNClassifier(**whole).fit(X, y)
    assert averaged.loss_curve_ == pytest.approx(last.loss_curve_, rel=1e-5)
    assert np.abs(averaged.predict_proba(X) - last.predict_proba(X)).max() > 1e-3


def test_an_average_goes_on_in_a_pickle_and_is_what_early_stopping_judges():
    X, y = rises()
    fitted = RNNClassifier(**QUICK, average="ema:decay=0.9", early_stopping=True, patience=3).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    for each in (again, fitted):
        each.partial_fit(X, y)
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert fitted.score(X, y) > 0.9
    assert min(fitted.validation_curve_) < fitted.validation_curve_[0]


def test_an_average_that_is_none_is_refused_in_one_line():
    X, y = rises(12)
    with pytest.raises(ValueError, match=r"average 'mean' is invalid; expected ema, as in ema:decay=0\.999"):
        RNNClassifier(**QUICK, average="mean").fit(X, y)


def test_a_budget_chooses_the_store_and_several_outputs_are_regressed():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6, 2))
    y = np.stack([100 + X[:, -1, 0], X[:, -1, 1] * 7], axis=1)
    fitted = RNNRegressor(**{**QUICK, "epochs": 60}, budget="1MiB").fit(X, y)
    assert fitted.score(X, y) > 0.8
    assert fitted.predict(X).shape == (80, 2)


def test_a_frame_of_pandas_is_one_channel_by_column_and_its_names_are_checked():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(40, 5)), columns=list("abcde"))
    fitted = RNNRegressor(**QUICK).fit(frame, frame["e"])
    assert list(fitted.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame.rename(columns={"a": "z"}))


def test_the_package_and_its_command_line_do_not_import_scikit_learn():
    code = "import sys, rnnframe, rnnframe.cli; rnnframe.default_registry(); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

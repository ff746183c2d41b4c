"""Every optimizer that rnnframe brings goes through the suite that third parties use, with the paper's rule beside it.

The references are one step of each rule in the paper's letters; the sums over the whole past are in
tests/plugins/test_optimizers.py, and so is torch.
"""

import numpy as np

import rnnframe as rf
from rnnframe.testing import OptimizerTests


class TestSGD(OptimizerTests):
    optimizer = "sgd:lr=0.05"

    def reference(self, start, gradients):
        return start - 0.05 * np.cumsum(gradients, axis=0)


class TestSGDWithMomentum(OptimizerTests):
    optimizer = "sgd:lr=0.02,momentum=0.9,weight_decay=0.01"

    def reference(self, start, gradients):
        p, v, seen = start, 0.0, []
        for g in gradients:
            v = 0.9 * v + g + 0.01 * p
            p = p - 0.02 * v
            seen.append(p)
        return np.array(seen)


class TestSGDWithNesterov(OptimizerTests):
    optimizer = "sgd:lr=0.02,momentum=0.9,nesterov=true"

    def reference(self, start, gradients):
        p, v, seen = start, 0.0, []
        for g in gradients:
            v = 0.9 * v + g
            p = p - 0.02 * (g + 0.9 * v)
            seen.append(p)
        return np.array(seen)


class TestRMSProp(OptimizerTests):
    optimizer = "rmsprop:lr=0.01,alpha=0.9,weight_decay=0.01"

    def reference(self, start, gradients):
        p, v, seen = start, 0.0, []
        for gradient in gradients:
            g = gradient + 0.01 * p
            v = 0.9 * v + 0.1 * g**2
            p = p - 0.01 * g / (np.sqrt(v) + 1e-8)
            seen.append(p)
        return np.array(seen)


def adam(start, gradients, lr, l2=0.0, decoupled=0.0, b1=0.9, b2=0.999):
    p, m, v, seen = start, 0.0, 0.0, []
    for t, gradient in enumerate(gradients, start=1):
        g = gradient + l2 * p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        p = p - lr * decoupled * p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        seen.append(p)
    return np.array(seen)


class TestAdam(OptimizerTests):
    optimizer = "adam:lr=0.01"

    def reference(self, start, gradients):
        return adam(start, gradients, 0.01)


class TestAdamWithDecay(OptimizerTests):
    optimizer = "adam:lr=0.01,weight_decay=0.02"

    def reference(self, start, gradients):
        return adam(start, gradients, 0.01, l2=0.02)


class TestAdamW(OptimizerTests):
    optimizer = "adamw:lr=0.01,weight_decay=0.02"

    def reference(self, start, gradients):
        return adam(start, gradients, 0.01, decoupled=0.02)


class TestAdagrad(OptimizerTests):
    optimizer = "adagrad:lr=0.1,weight_decay=0.01"

    def reference(self, start, gradients):
        p, v, seen = start, 0.0, []
        for gradient in gradients:
            g = gradient + 0.01 * p
            v = v + g**2
            p = p - 0.1 * g / (np.sqrt(v) + 1e-10)
            seen.append(p)
        return np.array(seen)


def lamb(start, gradients):
    p, m, v, seen = start, 0.0, 0.0, []
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        r = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + 0.02 * p
        p = p - 0.01 * np.linalg.norm(p) / np.linalg.norm(r) * r
        seen.append(p)
    return np.array(seen)


class TestLAMB(OptimizerTests):
    optimizer = "lamb:lr=0.01,weight_decay=0.02"

    def reference(self, start, gradients):
        return lamb(start, gradients)

    def reference_parameter(self, name, start, gradients):
        return lamb(start, gradients)


class TestMuon(OptimizerTests):
    optimizer = "muon:lr=0.02,weight_decay=0.1,adamw_factor=0.5,others=head.V"

    def reference(self, start, gradients):
        return adam(start, gradients, 0.01, decoupled=0.1)

    def reference_parameter(self, name, start, gradients):
        if start.ndim == 1 or name == "head.V":
            return adam(start, gradients, 0.01, decoupled=0.1)
        p, B, seen = start, 0.0, []
        for g in gradients:
            B = 0.95 * B + 0.05 * g
            u, values, vt = np.linalg.svd(0.05 * g + 0.95 * B, full_matrices=False)
            s = values / np.linalg.norm(values)
            for _ in range(5):  # Newton-Schulz acts on each singular value alone
                s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
            scale = np.sqrt(max(1, p.shape[1] / p.shape[0]))
            p = p - 0.02 * 0.1 * p - 0.02 * scale * (u * s) @ vt
            seen.append(p)
        return np.array(seen)


def test_every_optimizer_that_rnnframe_brings_goes_through_the_suite():
    registry = rf.default_registry()
    brought = {n for n in registry.names("optimizer") if registry.owner("optimizer", n).distribution == "rnnframe"}
    suites = [suite for suite in OptimizerTests.__subclasses__() if suite.__module__ == __name__]
    assert {suite.optimizer.partition(":")[0] for suite in suites} == brought

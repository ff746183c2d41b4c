"""Faults in the built-in optimizers."""

import test_optimizers_conform as sound
from mutation import Mutant

RULE, DOWN = "that of the reference", "goes down"
NAMED = "named parameter is that of the reference"


def sgd(fault, old, new, caught_by=RULE, suite=sound.TestSGDWithMomentum):
    return Mutant(fault, suite, "rnnframe_optimizers.sgd", old, new, caught_by)


def adaptive(suite, fault, old, new, caught_by=RULE):
    return Mutant(fault, suite, "rnnframe_optimizers.adaptive", old, new, caught_by)


def lamb(fault, old, new, caught_by=NAMED):
    return Mutant(fault, sound.TestLAMB, "rnnframe_optimizers.lamb", old, new, caught_by)


def muon(fault, old, new, caught_by=NAMED):
    return Mutant(fault, sound.TestMuon, "rnnframe_optimizers.muon", old, new, caught_by)


def pieces(fault, old, new, caught_by):
    return Mutant(
        fault, sound.TestAdam, "rnnframe_optimizers.pieces", old, new, caught_by, "rnnframe_optimizers.adaptive"
    )


RMS = """        move_toward(v, g * g, self.alpha)
        divisor = np.sqrt(v)
        divisor += self.epsilon
        g /= divisor
        g *= lr
        p -= g
"""
ADAGRAD = RMS.replace("move_toward(v, g * g, self.alpha)", "v += g * g")
ADAM_DECAY = """            g += self.weight_decay * p
        self.adam("""

MUTANTS = [
    sgd("uphill", "        p -= g\n", "        p += g\n", DOWN),
    sgd("the velocity is replaced", "            v += g\n", "            v[...] = g\n"),
    sgd("momentum is forgotten", "            v *= self.momentum\n", ""),
    sgd("the option lr in place of the schedule's", "g *= lr\n", "g *= self.lr\n", "scheduled"),
    sgd("decay has the wrong sign", "g += self.weight_decay * p", "g -= self.weight_decay * p"),
    sgd("nesterov looks back", "g += self.momentum * v", "g -= self.momentum * v", suite=sound.TestSGDWithNesterov),
    sgd(
        "nesterov forgets the gradient",
        "g += self.momentum * v",
        "g[...] = self.momentum * v",
        suite=sound.TestSGDWithNesterov,
    ),
    sgd("a new array of parameters", "        p -= g\n", "        p = p - g\n", "in place"),
    sgd(
        "the velocity is an alias of the gradient",
        "            v += g\n",
        "            g += v\n            v = g\n",
        "every slot",
    ),
    sgd(
        "a slot that nobody uses",
        'return ("velocity",)',
        'return ("velocity", "spare")',
        "",
        suite=sound.TestSGDWithMomentum,
    ),
    adaptive(sound.TestRMSProp, "uphill", RMS, RMS.replace("p -= g", "p += g"), DOWN),
    adaptive(sound.TestRMSProp, "the mean of g, not of its square", RMS, RMS.replace("g * g", "np.abs(g)")),
    adaptive(
        sound.TestRMSProp,
        "one divisor for all",
        RMS,
        RMS.replace("g /= divisor", "g /= divisor.mean()"),
        "in parts",
    ),
    adaptive(sound.TestRMSProp, "no root", RMS, RMS.replace("np.sqrt(v)", "v.copy()")),
    adaptive(sound.TestRMSProp, "ε is forgotten", RMS, RMS.replace("        divisor += self.epsilon\n", "")),
    adaptive(sound.TestRMSProp, "the root is taken in the slot", RMS, RMS.replace("np.sqrt(v)", "np.sqrt(v, out=v)")),
    adaptive(
        sound.TestRMSProp,
        "the option lr in place of the schedule's",
        RMS,
        RMS.replace("g *= lr", "g *= self.lr"),
        "scheduled",
    ),
    adaptive(
        sound.TestAdam,
        "uphill",
        "        self.direction(g, m, v, step, lr)\n        p -= g",
        "        self.direction(g, m, v, step, lr)\n        p += g",
        DOWN,
    ),
    adaptive(sound.TestAdam, "no correction of m", "g *= lr / (1 - self.beta1**step)", "g *= lr"),
    adaptive(sound.TestAdam, "no correction of v", "        divisor *= 1 / math.sqrt(1 - self.beta2**step)\n", ""),
    adaptive(sound.TestAdam, "the correction is a step behind", "1 - self.beta1**step", "1 - self.beta1 ** (step + 1)"),
    adaptive(sound.TestAdam, "m is v", "        m, v = slots\n", "        v, m = slots\n        m, v = v, v\n"),
    adaptive(
        sound.TestAdam,
        "the square of the mean",
        "        square = g * g\n        move_toward(m, g, self.beta1)\n",
        "        move_toward(m, g, self.beta1)\n        square = m * m\n",
    ),
    adaptive(
        sound.TestAdam, "divided by the wrong slot", "np.divide(m, divisor, out=g)", "np.divide(v, divisor, out=g)"
    ),
    pieces("the mean is weighed wrongly", "    value *= 1 - rate\n", "", RULE),
    adaptive(
        sound.TestAdam,
        "the number of updates is remembered",
        "        m, v = slots\n",
        "        m, v = slots\n        globals().setdefault('seen', []).append(step)\n        step = len(seen)\n",
        "goes on bit for bit",
    ),
    adaptive(sound.TestAdamWithDecay, "decay has the wrong sign", ADAM_DECAY, ADAM_DECAY.replace("+=", "-=")),
    adaptive(
        sound.TestAdamW,
        "decay grows the parameters",
        "p *= 1 - lr * self.weight_decay",
        "p *= 1 + lr * self.weight_decay",
        "zero",
    ),
    adaptive(
        sound.TestAdamW,
        "decay without the learning rate",
        "p *= 1 - lr * self.weight_decay",
        "p *= 1 - self.weight_decay",
        "scheduled",
    ),
    adaptive(
        sound.TestAdamW,
        "decay after the step",
        "        p *= 1 - lr * self.weight_decay\n        self.adam(p, g, slots, step, lr)\n",
        "        self.adam(p, g, slots, step, lr)\n        p *= 1 - lr * self.weight_decay\n",
    ),
    adaptive(
        sound.TestAdamW,
        "decay in the gradient",
        "        p *= 1 - lr * self.weight_decay\n",
        "        g += self.weight_decay * p\n",
    ),
    adaptive(sound.TestAdamW, "no decay", "        p *= 1 - lr * self.weight_decay\n", ""),
    adaptive(
        sound.TestAdamW,
        "another rule for biases",
        "return without_decay(self, shape) if self.spare_biases else self",
        "return self if len(shape) > 1 else Adam(lr=self.lr)",
        "optimizer of a parameter",
    ),
    adaptive(sound.TestAdagrad, "uphill", ADAGRAD, ADAGRAD.replace("p -= g", "p += g"), DOWN),
    adaptive(sound.TestAdagrad, "the past is forgotten", ADAGRAD, ADAGRAD.replace("v += g * g", "v[...] = g * g")),
    adaptive(
        sound.TestAdagrad, "the sum is not kept", ADAGRAD, ADAGRAD.replace("v += g * g", "v = v + g * g"), "every slot"
    ),
    adaptive(sound.TestAdagrad, "no root", ADAGRAD, ADAGRAD.replace("np.sqrt(v)", "v.copy()")),
    adaptive(sound.TestAdagrad, "ε is forgotten", ADAGRAD, ADAGRAD.replace("        divisor += self.epsilon\n", "")),
    pieces(
        "the last piece is left out",
        "range(0, len(parameters), PIECE)",
        "range(0, max(1, len(parameters) - PIECE), PIECE)",
        "any length",
    ),
    pieces(
        "every piece uses the first part of the slots",
        "slots[name][piece] for",
        "slots[name][: len(parameters[piece])] for",
        "order of the parameters",
    ),
    pieces(
        "a piece overlaps the next",
        "piece = slice(start, start + PIECE)",
        "piece = slice(start, start + PIECE + 1)",
        "order of the parameters",
    ),
    lamb("no ratio of norms", "r *= lr * ratio", "r *= lr"),
    lamb("the ratio upside down", "math.sqrt(of_p) / math.sqrt(of_r)", "math.sqrt(of_r) / math.sqrt(of_p)"),
    lamb("norms without a root", "math.sqrt(of_p) / math.sqrt(of_r)", "of_p / of_r"),
    lamb("a ratio of zero where the parameter is zero", "else 1.0", "else math.nan", DOWN),
    lamb("decay is forgotten", "r[piece] += self.weight_decay * p[piece]", "pass"),
    lamb("the option lr in place of the schedule's", "r *= lr * ratio", "r *= self.lr * ratio", "scheduled"),
    lamb("the norm of the last piece alone", "of_p += _square_norm", "of_p = _square_norm", "order of the parameters"),
    muon("no iteration", "orthogonal(ahead if self.nesterov else B, self.iterations)", "ahead"),
    muon("no look ahead", "ahead if self.nesterov else B", "B"),
    muon("the scale of the transposed matrix", "columns / rows", "rows / columns"),
    muon("a coefficient with the wrong sign", "3.4445, -4.7750", "3.4445, 4.7750"),
    muon("a tall matrix stays transposed", "return X if X.shape == matrix.shape else X.T", "return X", "in its shape"),
    muon("decay without the learning rate", "p *= 1 - lr * self.weight_decay\n        p -= step", "p -= step"),
    muon("every matrix is orthogonal", "len(shape) == 2 and not any(", "len(shape) == 2 or not any("),
    muon("AdamW takes the rate of the matrices", "step, lr * self.adamw_factor", "step, lr"),
]

"""Faults in the built-in optimizers."""

import test_optimizers_conform as sound
from mutation import Mutant

RULE, DOWN, SHARED = "that of the reference", "goes down", "rnnframe_optimizers.pieces"


def sgd(fault, old, new, caught_by=RULE, suite=sound.TestSGDWithMomentum):
    return Mutant(fault, suite, "rnnframe_optimizers.sgd", old, new, caught_by)


def adaptive(suite, fault, old, new, caught_by=RULE):
    return Mutant(fault, suite, "rnnframe_optimizers.adaptive", old, new, caught_by)


def pieces(fault, old, new, caught_by):
    return Mutant(
        fault, sound.TestAdam, "rnnframe_optimizers.pieces", old, new, caught_by, "rnnframe_optimizers.adaptive"
    )


RMS = """        _toward(v, g * g, self.alpha)
        divisor = np.sqrt(v)
        divisor += self.epsilon
        g /= divisor
        g *= lr
        p -= g
"""
ADAGRAD = RMS.replace("_toward(v, g * g, self.alpha)", "v += g * g")
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
        "        g *= lr / (1 - self.beta1**step)\n        p -= g",
        "        g *= lr / (1 - self.beta1**step)\n        p += g",
        DOWN,
    ),
    adaptive(sound.TestAdam, "no correction of m", "g *= lr / (1 - self.beta1**step)", "g *= lr"),
    adaptive(sound.TestAdam, "no correction of v", "        divisor *= 1 / math.sqrt(1 - self.beta2**step)\n", ""),
    adaptive(sound.TestAdam, "the correction is a step behind", "1 - self.beta1**step", "1 - self.beta1 ** (step + 1)"),
    adaptive(
        sound.TestAdam, "m and v are exchanged", "        m, v = slots\n", "        v, m = slots\n        m, v = v, v\n"
    ),
    adaptive(
        sound.TestAdam,
        "the square of the mean",
        "        square = g * g\n        _toward(m, g, self.beta1)\n",
        "        _toward(m, g, self.beta1)\n        square = m * m\n",
    ),
    adaptive(
        sound.TestAdam, "divided by the wrong slot", "np.divide(m, divisor, out=g)", "np.divide(v, divisor, out=g)"
    ),
    adaptive(sound.TestAdam, "the mean is weighed wrongly", "    value *= 1 - rate\n", ""),
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
]

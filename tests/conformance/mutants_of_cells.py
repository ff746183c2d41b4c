"""Faults in the built-in cells."""

import test_cells_conform as sound
from mutation import Mutant

ELMAN, LSTM, GRU = "rnnframe_cells.elman", "rnnframe_cells.lstm", "rnnframe_cells.gru"
SLOPES, ADDS = "finite differences", "adds into"
LEAN, STATES = "lean tape", "tape of states"


def elman(fault, old, new, caught_by, suite=sound.TestElman):
    return Mutant(fault, suite, ELMAN, old, new, caught_by)


def lstm(fault, old, new, caught_by):
    return Mutant(fault, sound.TestLSTM, LSTM, old, new, caught_by)


def lstm_step(fault, old, new, caught_by):
    return Mutant(fault, sound.TestLSTM, "rnnframe_cells.lstm_steps", old, new, caught_by, home=LSTM)


def lstm_of_one(fault, old, new):
    return Mutant(fault, sound.TestLSTM, "rnnframe_cells.lstm_vectors", old, new, SLOPES, home=LSTM)


def gru(fault, old, new, caught_by, suite=sound.TestGRU):
    return Mutant(fault, suite, GRU, old, new, caught_by)


def gru_step(fault, old, new, caught_by, suite=sound.TestGRU):
    return Mutant(fault, suite, "rnnframe_cells.gru_steps", old, new, caught_by, home=GRU)


ALL_B = 'add_column_sums(dz, gradients["b"])'
LSTM_W = 'add_product(before, scratch.get("dn", dz), gradients["W"], scratch["panel"])'
WRITES_DX = 'write_input_gradient(dz, weights["U"], dx)'
DU = '        add_input_product(block.x, dz, gradients["U"], block.scratch["panel"])\n'

MUTANTS = [
    elman("a sign in the slope of tanh", "np.multiply(h, h, out=out)", "np.multiply(-h, h, out=out)", SLOPES),
    elman("the bias is forgotten", '        h[1:] += weights["b"]\n', "", SLOPES),
    elman(
        "W is not carried back",
        "            np.matmul(dz[t], WT, out=carried)\n",
        "            carried.fill(0)\n",
        SLOPES,
    ),
    elman("dh is forgotten", "            carried += dh[t]\n", "", SLOPES),
    elman("dh replaces what is carried", "carried += dh[t]", "carried[...] = dh[t]", SLOPES),
    elman("db is assigned", ALL_B, 'gradients["b"][...] = dz.sum((0, 1))', ADDS),
    elman("dW takes the state after the step", "seen(block, h[:-1], mask), dz", "seen(block, h[1:], mask), dz", SLOPES),
    elman(
        "dx adds to stale values",
        WRITES_DX,
        'dx is None or dx.__iadd__(dz @ weights["U"].T)',
        "inputs is written",
    ),
    elman(
        "dx is written unasked",
        WRITES_DX,
        'write_input_gradient(dz, weights["U"], dz if dx is None else dx)',
        "inputs is written",
    ),
    elman(
        "dx is an array of the block's size first",
        WRITES_DX,
        'dx is None or np.copyto(dx, dz @ weights["U"].T)',
        "working arrays are declared",
    ),
    elman(
        "h is another array",
        '        project(x, weights["U"], h[1:])',
        '        tape["h"] = h = h.copy()\n        project(x, weights["U"], h[1:])',
        "writes all",
    ),
    elman(
        "the slope spoils the tape",
        "slope(h[1:], dz)",
        "slope(h[1:], h[1:])\n        np.copyto(dz, h[1:])",
        "leaves tape",
    ),
    elman(
        "x is spoilt",
        "        slope(h[1:], dz)\n",
        "        slope(h[1:], dz)\n        x *= 1\n        x -= 1\n",
        "leaves tape",
    ),
    elman("too little scratch is declared", '{"dz": self.hidden, "panel"', '{"dz": self.hidden - 1, "panel"', ""),
    elman(
        "too much scratch is declared",
        '{"dz": self.hidden, "panel"',
        '{"dz": self.hidden + 3, "panel"',
        "declared working",
    ),
    elman(
        "Wᵀ is derived once",
        'weights["WT"][...] = weights["W"].T',
        'weights["WT"][...] = globals().setdefault("kept", weights["W"].T.copy())',
        SLOPES,
    ),
    elman(
        "Wᵀ is derived over what it was",
        'weights["WT"][...] = weights["W"].T',
        'weights["WT"][...] = np.where(np.isnan(weights["WT"]), weights["W"].T, weights["WT"])',
        "derive",
    ),
    elman("b is not initialised", "        fill_zero(parameters)\n", "", "initialize"),
    elman(
        "values are drawn from another generator",
        "fill_matrices(parameters, self.hidden, self.init, rng)",
        "fill_matrices(parameters, self.hidden, self.init, np.random.default_rng())",
        "initialize",
    ),
    elman(
        "the slope of relu at negative values",
        "np.greater(h, 0, out=out",
        "np.greater_equal(h, 0, out=out",
        SLOPES,
        suite=sound.TestElmanWithRelu,
    ),
    elman("the slope of sigmoid without h", "    out *= h\n", "", SLOPES, suite=sound.TestElmanWithSigmoid),
    lstm_step("a sign in dz_g", "np.subtract(1, dz_g, out=dz_g)", "np.add(1, dz_g, out=dz_g)", SLOPES),
    lstm_step("i is forgotten in dz_g", "    dz_g *= i\n", "", SLOPES),
    lstm_step("the cell state of the wrong step", "dz_f *= c[:-1]", "dz_f *= c[1:]", SLOPES),
    lstm_step("dc of later steps is dropped", "new_c += of_dc", "new_c[...] = of_dc", SLOPES),
    lstm_step("f is forgotten in dc", "        new_c *= f_t\n", "", SLOPES),
    lstm_step("f scales dc of the wrong step", "new_c *= f_t", "new_c *= f[t - 1]", SLOPES),
    lstm_step(
        "gates are exchanged",
        "dz_i, dz_f, dz_g, dz_o = np.split(dz, 4, axis=2)\n    made",
        "dz_f, dz_i, dz_g, dz_o = np.split(dz, 4, axis=2)\n    made",
        SLOPES,
    ),
    lstm("dW is assigned", LSTM_W, 'gradients["W"].fill(0)\n        ' + LSTM_W, ADDS),
    lstm("db is added twice", ALL_B, f"{ALL_B}\n        {ALL_B}", SLOPES),
    lstm_step(
        "the carried gradient is an alias of scratch",
        'np.matmul(dq, weights["WT"], out=new_h)',
        'dh_t = new_h = dstate["h"] = dq @ weights["WT"]',
        "writes nothing but",
    ),
    lstm_step(
        "tanh(c) is expected in the scratch of forward",
        '    write_tanh(block.weights, made, scratch.get("n_c", slope), slope, scratch.get("inverse_c"))\n',
        "",
        SLOPES,
    ),
    lstm_step(
        "i ∘ g is dropped at the first step", "    c += product\n", "    c += product * (c_old != 0).any()\n", SLOPES
    ),
    lstm_of_one("one sample: dc reaches i alone", "        copies[...] = dc\n", ""),
    lstm_of_one("one sample: f is forgotten in dc", "        multiply(dc, f_t, dc)\n", ""),
    lstm_of_one("one sample: the state before the block is forgotten", "c_now[...] = c[0]", "c_now[...] = 0"),
    lstm(
        "Wᵀ is stale",
        '        weights["WT"][...] = weights["W"].T\n',
        '        if not np.isfinite(weights["WT"]).all():\n            weights["WT"][...] = weights["W"].T\n',
        "derive",
    ),
    lstm("a gate fewer in the tape", '"gates": 4 * self.hidden, "c"', '"gates": 3 * self.hidden, "c"', ""),
    gru("a sign in h_t", "np.subtract(h[t], n, out=h[t + 1])", "np.subtract(n, h[t], out=h[t + 1])", SLOPES),
    gru("the bias of the candidate is forgotten", '                q += weights["bn"]\n', "", SLOPES),
    gru(
        "dbn is forgotten",
        '            add_column_sums(block.scratch["extra"], gradients["bn"])\n',
        "            pass\n",
        SLOPES,
    ),
    gru(
        "the state after the step in dW",
        'seen(block, block.tape["h"][:-1], mask)',
        'seen(block, block.tape["h"][1:], mask)',
        SLOPES,
    ),
    gru(
        "dU after dz was changed for dW",
        DU,
        '        np.copyto(np.split(dz, 3, axis=2)[2], block.scratch["extra"])\n' + DU,
        SLOPES,
    ),
    gru(
        "the halves of Wᵀ are not those of W",
        'weights["WrzT"][...], weights["WnT"][...] = Wrz.T, Wn.T',
        'weights["WrzT"][...], weights["WnT"][...] = Wrz.T, Wn',
        SLOPES,
    ),
    gru(
        "W_n is derived once",
        'weights["Wrz"][...], weights["Wn"][...] = Wrz, Wn',
        'weights["Wrz"][...] = Wrz\n        weights["Wn"][...] = np.where(np.isnan(weights["Wn"]), Wn, weights["Wn"])',
        "derive",
    ),
    gru_step(
        "r is forgotten on the way back",
        "            through *= r[t]\n",
        "",
        SLOPES,
        suite=sound.TestGRUWithResetBefore,
    ),
    gru_step(
        "dW of the candidate without r",
        "np.multiply(r, before, out=extra)",
        "np.copyto(extra, before)",
        SLOPES,
        suite=sound.TestGRUWithResetBefore,
    ),
    gru_step(
        "dW of r and z is assigned",
        "        np.multiply(r, before, out=extra)\n",
        "        np.multiply(r, before, out=extra)\n        dW[:, of_rz] = 0\n",
        ADDS,
        suite=sound.TestGRUWithResetBefore,
    ),
    gru(
        "too much scratch is declared",
        '"extra": self.hidden, "panel"',
        '"extra": 2 * self.hidden, "panel"',
        "",
    ),
    lstm(
        "a rebuilt cell state of the wrong step",
        "(f[t], c[t], out=remembered)",
        "(f[t], c[t + 1], out=remembered)",
        LEAN,
    ),
    lstm("what is not kept is not rebuilt", '"lean": ("gates",)', '"lean": ("c",)', LEAN),
    gru("a sign in the rebuilt h_t", "np.subtract(h[t], n[t], out", "np.subtract(n[t], h[t], out", LEAN),
    gru("the rebuilt q lacks its bias", '            tape["q"][...] += weights["bn"]\n', "", STATES),
]

import os

# Before numpy is imported: on small arrays, and on a machine that is busy, BLAS threads cost far more than they bring.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


import pytest
from hypothesis import settings

pytest.register_assert_rewrite("interpreter", "layout")

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

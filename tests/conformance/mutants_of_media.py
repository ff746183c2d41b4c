"""Faults in the built-in media."""

import test_media_conform as sound
from mutation import Mutant

BACK, COPY, RAM, OLD = "states come back", "saved state is a copy", "no more ram", "nothing older"


def disk(fault, old, new, caught_by):
    return Mutant(fault, sound.TestDisk, "rnnframe_disk", old, new, caught_by)


def float16(fault, old, new, caught_by):
    return Mutant(fault, sound.TestFloat16, "rnnframe_compact", old, new, caught_by)


MUTANTS = [
    disk("two slots in one place", "self._free.pop()", "self._free[-1]", BACK),
    disk("a place is freed twice", "append(self._places.pop(slot))", "extend([self._places.pop(slot)] * 2)", BACK),
    disk("the first slot in place of the one asked for", "place = self._places[slot]\n", "place = 0\n", BACK),
    disk("slots overlap", "self._bytes, place * self._size", "self._bytes, place * (self._size // 256)", BACK),
    disk(
        "a part of a place is not counted",
        "-(-layout.state_bytes // ALIGNMENT)",
        "(layout.state_bytes // ALIGNMENT)",
        "",
    ),
    disk(
        "the file stays", "tempfile.TemporaryFile(dir", "tempfile.NamedTemporaryFile(delete=False, dir", "left behind"
    ),
    disk(
        "copies stay in RAM",
        "        if not self._free:\n",
        "        self.__dict__.setdefault('copies', []).append(state.flat.copy())\n        if not self._free:\n",
        RAM,
    ),
    disk(
        "what begins like the state before is not written",
        "        self._view(self._places[slot])[:] =",
        "        if self._view(self._places[slot]).view(state.flat.dtype)[0] != state.flat[0]:\n"
        "            self._view(self._places[slot])[:] =",
        OLD,
    ),
    disk(
        "pages behind the first stay as they were",
        "self._view(self._places[slot])[:] = state.flat.view(np.uint8)",
        "self._view(self._places[slot])[: 1 << 12] = state.flat.view(np.uint8)[: 1 << 12]",
        OLD,
    ),
    disk("no room without a bound", "            self._grow(GROWTH)\n", "            pass\n", "without a bound"),
    float16("exactness is claimed", "exact: ClassVar[bool] = False", "exact: ClassVar[bool] = True", BACK),
    float16("half of the bytes are declared", "-(-state_bytes // 2)", "-(-state_bytes // 4)", RAM),
    float16("the state itself is kept", "state.flat.astype(np.float16)", "state.flat", COPY),
    float16("the last value does not come back", "state.flat[:] = packed", "state.flat[:-1] = packed[:-1]", BACK),
    float16(
        "a slot is empty once it was loaded",
        "self._unpack(self._held[slot], state)",
        "self._unpack(self._held.pop(slot), state)",
        COPY,
    ),
    float16(
        "all share their slots",
        "self._held: dict[int, P] = {}",
        "self._held = globals().setdefault('held', {})",
        "open at once",
    ),
]

"""Old versions of the weights, for strategies that reverse a step with the weights that ran it."""

from rnnframe.contracts.model import ModelWeights
from rnnframe.engine.ring import Ring


class WeightVersions:
    """Versions of the weights that live exactly as long as a tape in a ring was made with them."""

    def __init__(self) -> None:
        self._versions: list[ModelWeights] = []
        self.most = 0

    def keep(self, current: ModelWeights, rings: list[Ring]) -> None:
        """Give the tapes made with the `current` weights a copy of them, as these are about to change."""
        taped = [chunk for ring in rings for chunk in ring.made_with(current)]
        if not taped:
            return
        used = [version for version in self._versions if any(ring.made_with(version) for ring in rings)]
        free = [version for version in self._versions if version not in used]
        if free:
            version = free[0]
            version.copy_from(current)
        else:
            version = current.copy()
            self._versions.append(version)
        for chunk in taped:
            chunk.weights = version
        self.most = max(self.most, len(used) + 1)

    @property
    def peak_bytes(self) -> int:
        """Bytes of the versions that were alive at once in the last run."""
        return self.most * self._versions[0].nbytes if self.most else 0

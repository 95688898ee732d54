"""What this process' metrics have counted."""

from prometheus_client import REGISTRY


def sample(name: str, /, **labels: str) -> float:
    """The value of one sample; 0 when it was never touched."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Since:
    """How much a sample has grown since this was made, or was asked last."""

    def __init__(self, name: str, /, **labels: str) -> None:
        self._name = name
        self._labels = labels
        self._before = sample(name, **labels)

    def __call__(self) -> float:
        before, self._before = self._before, sample(self._name, **self._labels)
        return self._before - before

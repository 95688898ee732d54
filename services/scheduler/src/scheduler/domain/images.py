"""The unfinished requests to save images, and whose turn it is."""

from collections import defaultdict

from scheduler.domain.image_request import ImageRequest


class Images:
    """Requests by id and by instance; those for one template stand in one line.

    ``changed`` is what the turn has changed, as in World. A finished request is nowhere else.
    """

    def __init__(self) -> None:
        self.requests: dict[str, ImageRequest] = {}
        self.of_instance: dict[str, ImageRequest] = {}
        self.changed: dict[str, ImageRequest] = {}
        self._lines: defaultdict[str, dict[str, ImageRequest]] = defaultdict(dict)
        self._moved: set[str] = set()

    def add(self, request: ImageRequest) -> None:
        """One more that waits, or is under way."""
        self.requests[request.id] = request
        self.of_instance[request.spec.instance_id] = request
        self._lines[request.spec.target_template_id][request.id] = request
        self._moved.add(request.spec.target_template_id)

    def touch(self, request: ImageRequest) -> None:
        """The turn changed it: to be written and told; finished, it makes way for the next."""
        self.changed[request.id] = request
        if request.finished and self.requests.pop(request.id, None) is not None:
            template_id = request.spec.target_template_id
            self.of_instance.pop(request.spec.instance_id, None)
            del self._lines[template_id][request.id]
            self._moved.add(template_id)

    def due(self) -> list[ImageRequest]:
        """Those whose turn has come: the first of each line in which none is under way."""
        found: list[ImageRequest] = []
        for template_id in self._moved:
            if line := self._lines[template_id]:
                first = min(line.values(), key=lambda request: (request.waiting, request.turn))
                found += [first] if first.waiting else []
            else:
                del self._lines[template_id]
        self._moved.clear()
        return found

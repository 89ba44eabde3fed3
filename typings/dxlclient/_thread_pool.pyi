from collections.abc import Callable
from queue import Queue

class ThreadPool:
    _tasks: Queue[object]
    def add_task(self, func: Callable[..., object], *args: object) -> None: ...

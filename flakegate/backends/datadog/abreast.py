"""Several sources of items read side by side, each in a thread of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

Item = TypeVar("Item")


def abreast(sources: Sequence[Callable[[], Iterator[Item]]], *, at_once: int) -> Generator[Item]:
    """The items of all sources as they come; each source's own stay in their order.

    at_once: the most sources that are read at the same time. The others begin when the first one
    has given an item, so that what fails at once fails once. The first error of any of them is
    raised here, and ends all. The threads are daemons, and nobody waits for them: neither an error
    nor an interrupt is held up by the others, which end with the item that they are waiting for.
    """
    crew: _Crew[Item] = _Crew()
    for source in sources:
        crew.waiting.put(source)
    most = min(at_once, len(sources))
    at_work = crew.grow(min(1, most))
    try:
        while at_work:
            came = crew.came.get()
            if isinstance(came, _Done):
                at_work -= 1
                if came.error is not None:
                    raise came.error
            else:
                at_work += crew.grow(most)
                yield came
    finally:
        crew.over.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A thread has nothing left to do, or cannot go on."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crew(Generic[Item]):
    waiting: SimpleQueue[Callable[[], Iterator[Item]]] = field(default_factory=SimpleQueue)
    came: SimpleQueue[Item | _Done] = field(default_factory=SimpleQueue)
    over: Event = field(default_factory=Event)
    threads: list[Thread] = field(default_factory=list)

    def grow(self, most: int) -> int:
        """Starts what is missing of so many threads; how many that were."""
        new = [Thread(target=self.work, daemon=True) for _ in range(most - len(self.threads))]
        self.threads.extend(new)
        for thread in new:
            thread.start()
        return len(new)

    def work(self) -> None:
        """One thread: source after source, until there is none left or all is over."""
        try:
            while not self.over.is_set():
                for item in self.waiting.get_nowait()():
                    self.came.put(item)
                    if self.over.is_set():
                        return
        except Empty:
            self.came.put(_Done())
        except BaseException as error:  # noqa: BLE001 - raised again where the items are read
            self.came.put(_Done(error=error))

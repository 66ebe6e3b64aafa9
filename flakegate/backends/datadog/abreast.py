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

    at_once: the most sources that are read at the same time. The first error of any of them is
    raised here, and ends all. The threads are daemons, and nobody waits for them: neither an error
    nor an interrupt is held up by the others, which end with the item that they are waiting for.
    """
    crew: _Crew[Item] = _Crew()
    for source in sources:
        crew.waiting.put(source)
    at_work = min(at_once, len(sources))
    for _ in range(at_work):
        Thread(target=crew.work, daemon=True).start()
    try:
        while at_work:
            came = crew.came.get()
            if isinstance(came, _Done):
                at_work -= 1
                if came.error is not None:
                    raise came.error
            else:
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

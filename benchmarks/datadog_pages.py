"""A Datadog of 50,000 flaky tests on loopback, as pages that were rendered beforehand.

`python benchmarks/datadog_pages.py` prints its address and answers until it is killed, each search
after 20 ms. A process of its own, so that its work does not count as that of the client. Half of
the tests are active, and 1 % of those fail in more than 20 % of their runs.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from typing import TypedDict

TESTS, ABOVE, LATENCY = 50_000, 0.01, 0.02  # LATENCY: seconds
STATES = ("active", "quarantined", "disabled", "fixed")
SHARES = (0.5, 0.2, 0.1, 0.2)
NOW = 1_750_000_000
STACK = "\n".join(
    f"    at com.acme.shop.cart.Checkout.step{n}(Checkout.java:{n})" for n in range(9)
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
PAGE = b'{"data":[%b],"meta":{"pagination":{"next_page":%b}}}'

Key = tuple[str, str, int, int]  # state or "", sort, offset, limit


class _Test(TypedDict):
    id: str
    state: str
    rate: float
    fqn: str
    text: bytes


def made() -> list[_Test]:
    """The tests, from a fixed seed."""
    dice = random.Random(7)
    return [_test(number, dice) for number in range(TESTS)]


def _test(number: int, dice: random.Random) -> _Test:
    state = dice.choices(STATES, SHARES)[0]
    rate = 100 * dice.betavariate(1, 3) * (0.2 if dice.random() > ABOVE else 0)
    rate = rate or dice.uniform(20.001, 100)
    suite = f"com.acme.shop.area{number % 97}.Part{number % 1009}Test"
    name = f"behaviour {number} holds for every customer"
    flaked = NOW - dice.randrange(30 * 86_400)
    attributes = {
        "attempt_to_fix_id": f"{dice.getrandbits(28):07X}",
        "codeowners": [f"@acme/team-{number % 31}"],
        "envs": ["ci"],
        "first_flaked_branch": "main",
        "first_flaked_sha": f"{dice.getrandbits(160):040x}",
        "first_flaked_ts": flaked - dice.randrange(30 * 86_400),
        "flaky_category": dice.choice(["timeout", "network", "concurrency", None]),
        "flaky_state": state,
        "impact_level": dice.choice(["low", "medium", "high"]),
        "impact_score": round(dice.random(), 3),
        "last_flaked_branch": f"feature/{number % 211}",
        "last_flaked_sha": f"{dice.getrandbits(160):040x}",
        "last_flaked_ts": flaked,
        "module": f"area{number % 97}",
        "name": name,
        "pipeline_stats": {
            "failed_pipelines": dice.randrange(30),
            "total_lost_time_ms": dice.randrange(10**8),
        },
        "services": ["shop"],
        "suite": suite,
        "test_run_metadata": {
            "duration_ms": dice.randrange(60_000),
            "error_message": f"AssertionError: expected {dice.random()} to be within the limits",
            "error_stack": STACK,
            "source_end": number % 500 + 9,
            "source_file": f"src/test/java/{suite.replace('.', '/')}.java",
            "source_start": number % 500,
        },
        "test_stats": {"failure_rate_pct": round(rate, 4)},
    }
    id_ = f"{dice.getrandbits(64):016x}"
    text = json.dumps({"attributes": attributes, "id": id_, "type": "flaky_test"}).encode()
    return _Test(id=id_, state=state, rate=rate, fqn=f"{suite}.{name}", text=text)


class Pages:
    """What is answered: rendered when `warm` asks for it, and kept."""

    def __init__(self) -> None:
        self._tests = made()
        self._by_id = {test["id"]: test["text"] for test in self._tests}
        self._sorted: dict[tuple[str, str], list[bytes]] = {}
        self._rendered: dict[Key, bytes] = {}
        self.asked = 0

    def warm(self, limit: int) -> None:
        """Renders all pages of so many tests that the clients of the benchmark ask for."""
        searches = [("", "fqn"), *((state, "fqn") for state in STATES), ("active", "-failure_rate")]
        for state, sort in searches:
            for offset in range(0, len(self._listed(state, sort)), limit):
                self.page((state, sort, offset, limit))

    def page(self, key: Key) -> bytes:
        """One page."""
        if key not in self._rendered:
            state, sort, offset, limit = key
            listed = self._listed(state, sort)
            end = offset + limit
            cursor = json.dumps(str(end) if end < len(listed) else None).encode()
            data = b",".join(listed[offset:end])
            self._rendered[key] = PAGE % (data, cursor)
        return self._rendered[key]

    def some(self, ids: list[str]) -> bytes:
        """The tests with these ids, on one page."""
        return PAGE % (b",".join(self._by_id[id_] for id_ in ids), b"null")

    def _listed(self, state: str, sort: str) -> list[bytes]:
        if (state, sort) not in self._sorted:
            known = [test for test in self._tests if state in ("", test["state"])]
            if sort == "fqn":
                known.sort(key=lambda test: test["fqn"])
            else:
                known.sort(key=lambda test: -test["rate"])
            self._sorted[state, sort] = [test["text"] for test in known]
        return self._sorted[state, sort]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pages: Pages) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            await asyncio.sleep(LATENCY if body else 0)
            writer.write(_answer(head, body, pages))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _answer(head: bytes, body: bytes, pages: Pages) -> bytes:
    """The page asked for; to a GET, how many pages were asked for since the last GET."""
    if head.startswith(b"get "):
        answer, pages.asked = b"%d" % pages.asked, 0
    else:
        pages.asked += 1
        asked = json.loads(body)["data"]["attributes"]
        query, page = asked["filter"]["query"], asked["page"]
        state = re.search(r"flaky_test_state:(\w+)", query)
        key = (state[1] if state else "", asked["sort"], int(page.get("cursor", 0)), page["limit"])
        ids = re.findall(r'fingerprint_fqn:"(\w+)"', query)
        answer = pages.some(ids) if ids else pages.page(key)
    return HEAD % len(answer) + answer


async def main() -> None:
    """Renders, says where it listens, and answers."""
    pages = Pages()
    pages.warm(500)
    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, pages), "127.0.0.1", 0
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

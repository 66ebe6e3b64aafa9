"""Ten days of work on the shop: what `make_history.py` commits, and when."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """In the file at `path`, `old` stands once and becomes `new`; "" is the end of the file."""

    path: str
    old: str = ""
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """Times are "day hour:minute" of November 2026, UTC.

    pushes: the edits of each push; the first is made when it is opened.
    follow_up: when the second push is made.
    """

    number: int
    branch: str
    title: str
    opened: str
    merged: str
    pushes: tuple[tuple[Edit, ...], ...]
    follow_up: str = field(default="")


FIRST_DAY, LAST_DAY = 10, 19
NIGHTLY = ("03:00", "21:00")

MERGED = (
    PullRequest(
        number=101,
        branch="bulk-orders",
        title="Allow 24 of an article",
        opened="10 09:10",
        merged="10 13:20",
        pushes=((Edit(path="shop/cart.py", old="ONE = 20", new="ONE = 24"),),),
    ),
    PullRequest(
        number=102,
        branch="postage-2027",
        title="Postage goes up",
        opened="10 11:40",
        merged="10 16:45",
        pushes=(
            (
                Edit(path="shop/prices.py", old="SHIPPING = 490", new="SHIPPING = 520"),
                Edit(path="tests/test_smoke.py", old="86 + 490", new="86 + 520"),
                Edit(path="tests/test_smoke.py", old="10.26", new="10.56"),
            ),
        ),
    ),
    PullRequest(
        number=103,
        branch="british-pounds",
        title="Take pounds",
        opened="11 09:05",
        merged="11 12:50",
        pushes=((Edit(path="shop/sessions.py", old='"USD")', new='"GBP", "USD")'),),),
    ),
    PullRequest(
        number=104,
        branch="long-sessions",
        title="Sessions last an hour",
        opened="11 13:30",
        merged="11 17:10",
        pushes=((Edit(path="shop/sessions.py", old="1800.0", new="3600.0"),),),
    ),
    PullRequest(
        number=105,
        branch="patient-jobs",
        title="Try jobs four times",
        opened="12 08:45",
        merged="12 13:10",
        pushes=((Edit(path="shop/jobs.py", old="ATTEMPTS = 3", new="ATTEMPTS = 4"),),),
    ),
    PullRequest(
        number=106,
        branch="odd-prices",
        title="Test the price of nothing",
        opened="12 11:20",
        merged="12 17:05",
        pushes=(
            (
                Edit(
                    path="tests/test_prices.py", old='[("12", 1200)', new='[("0", 0), ("12", 1200)'
                ),
            ),
        ),
    ),
    # A real bug, found by its test: an order of exactly 60.00 pays for shipping.
    PullRequest(
        number=107,
        branch="free-shipping-60",
        title="Free shipping from 60.00",
        opened="13 09:15",
        follow_up="13 11:10",
        merged="13 14:00",
        pushes=(
            (
                Edit(path="shop/prices.py", old="FROM = 5000", new="FROM = 6000"),
                Edit(path="shop/prices.py", old="subtotal >= FREE", new="subtotal > FREE"),
            ),
            (Edit(path="shop/prices.py", old="subtotal > FREE", new="subtotal >= FREE"),),
        ),
    ),
    PullRequest(
        number=108,
        branch="cart-has",
        title="Ask a cart for an article",
        opened="13 10:40",
        merged="13 16:30",
        pushes=(
            (
                Edit(
                    path="shop/cart.py",
                    new="""
    def has(self, article: str) -> bool:
        \"\"\"Whether any of it is in the cart.\"\"\"
        return article in self.lines
""",
                ),
                Edit(
                    path="tests/test_cart.py",
                    new="""

def test_a_cart_knows_its_articles(cart: Cart) -> None:
    cart.add("tea")
    assert cart.has("tea")
    assert not cart.has("pot")
""",
                ),
            ),
        ),
    ),
    # Half a change: nearly every test of the sessions fails until the second push.
    PullRequest(
        number=109,
        branch="languages",
        title="Sessions know a language",
        opened="14 09:20",
        follow_up="14 10:05",
        merged="14 13:30",
        pushes=(
            (
                Edit(
                    path="shop/sessions.py",
                    old="    currency: str\n",
                    new="    currency: str\n    language: str\n",
                ),
            ),
            (
                Edit(
                    path="shop/sessions.py",
                    old='currency=_defaults["currency"], seen',
                    new='currency=_defaults["currency"], language="en", seen',
                ),
            ),
        ),
    ),
    PullRequest(
        number=110,
        branch="accept-text",
        title="Tell suppliers what we read",
        opened="14 11:00",
        merged="14 16:10",
        pushes=(
            (
                Edit(
                    path="shop/fetch.py",
                    old='request("GET", path)',
                    new='request("GET", path, headers={"Accept": "text/plain"})',
                ),
            ),
        ),
    ),
    PullRequest(
        number=111,
        branch="count-jobs",
        title="Count waiting jobs",
        opened="15 09:30",
        merged="15 13:45",
        pushes=(
            (
                Edit(
                    path="shop/jobs.py",
                    new="""
    def waiting(self) -> int:
        \"\"\"How many jobs wait in all lanes.\"\"\"
        return sum(len(lane.waiting) for lane in self.lanes)
""",
                ),
                Edit(
                    path="tests/test_jobs.py",
                    new="""

def test_waiting_jobs_are_counted() -> None:
    lanes = Lanes(lanes=[Lane(), Lane()])
    lanes.of("ada").put(lambda: None)
    assert lanes.waiting() == 1
""",
                ),
            ),
        ),
    ),
    PullRequest(
        number=112,
        branch="name-the-status",
        title="Use the library's name for 503",
        opened="15 11:15",
        merged="15 17:20",
        pushes=(
            (Edit(path="shop/fetch.py", old="= 503", new="= http.client.SERVICE_UNAVAILABLE"),),
        ),
    ),
    PullRequest(
        number=113,
        branch="utc-receipts",
        title="Receipts say UTC",
        opened="16 08:55",
        merged="16 12:40",
        pushes=((Edit(path="shop/orders.py", old="%H:%M:%S}  {", new="%H:%M:%S} UTC  {"),),),
    ),
    PullRequest(
        number=114,
        branch="sold-out",
        title="Say when an article is sold out",
        opened="16 10:50",
        merged="16 16:00",
        pushes=(
            (
                Edit(
                    path="shop/stock.py",
                    new="""
    def sold_out(self, article: str) -> bool:
        \"\"\"Whether none is left.\"\"\"
        return self.left.get(article, 0) == 0
""",
                ),
                Edit(
                    path="tests/test_stock.py",
                    new="""

def test_sold_out() -> None:
    assert not with_tea(1).sold_out("tea")
    assert with_tea(0).sold_out("tea")
""",
                ),
            ),
        ),
    ),
    PullRequest(
        number=115,
        branch="empty-cart",
        title="Empty a cart",
        opened="17 09:00",
        merged="17 13:15",
        pushes=(
            (
                Edit(
                    path="shop/cart.py",
                    new="""
    def empty(self) -> None:
        \"\"\"Takes everything out.\"\"\"
        self.lines.clear()
""",
                ),
                Edit(
                    path="tests/test_cart.py",
                    new="""

def test_an_emptied_cart_is_empty(cart: Cart) -> None:
    cart.add("tea", 3)
    cart.empty()
    assert cart.count() == 0
""",
                ),
            ),
        ),
    ),
    PullRequest(
        number=116,
        branch="split-among-none",
        title="Nobody cannot share a bill",
        opened="17 11:25",
        merged="17 16:50",
        pushes=(
            (
                Edit(
                    path="shop/prices.py",
                    old="    share, odd =",
                    new="""    if people < 1:
        raise ValueError("a bill is shared by one at least")
    share, odd =""",
                ),
                Edit(
                    path="tests/test_prices.py",
                    new="""

def test_nobody_cannot_share() -> None:
    with pytest.raises(ValueError, match="by one at least"):
        prices.split(1000, 0)
""",
                ),
            ),
        ),
    ),
    PullRequest(
        number=117,
        branch="close-sessions",
        title="Close a session",
        opened="18 09:25",
        merged="18 12:55",
        pushes=(
            (
                Edit(
                    path="shop/sessions.py",
                    old="    def touch(",
                    new="""    def close(self) -> None:
        \"\"\"The customer leaves.\"\"\"
        self.seen = float("-inf")

    def touch(""",
                ),
                Edit(
                    path="tests/test_sessions.py",
                    new="""

def test_a_closed_session_has_expired() -> None:
    session = sessions.open_session("ada", now=0)
    session.close()
    assert session.expired(1)
""",
                ),
            ),
        ),
    ),
    PullRequest(
        number=118,
        branch="pause-in-seconds",
        title="Say what the first pause is",
        opened="18 10:35",
        merged="18 16:25",
        pushes=((Edit(path="shop/fetch.py", old="PAUSE = 0.03", new="PAUSE = 0.03  # seconds"),),),
    ),
    PullRequest(
        number=119,
        branch="empty-queue",
        title="Test that a queue starts empty",
        opened="19 09:40",
        merged="19 13:05",
        pushes=(
            (
                Edit(
                    path="tests/test_jobs.py",
                    new="""

def test_a_new_lane_has_given_nothing_up() -> None:
    assert Lane().given_up == []
""",
                ),
            ),
        ),
    ),
    PullRequest(
        number=120,
        branch="session-words",
        title="Say what a session is",
        opened="19 11:05",
        merged="19 15:40",
        pushes=(
            (
                Edit(
                    path="shop/sessions.py",
                    old='"""Times are',
                    new='"""One customer\'s visit. Times are',
                ),
            ),
        ),
    ),
)

# The pull request that is judged today. Its first push is good. Its second breaks `put_back`,
# whose last line was copied from `reserve`, sign and all.
TODAY = PullRequest(
    number=121,
    branch="returns-desk",
    title="Returns have a reason",
    opened="20 09:00",
    follow_up="20 10:00",
    merged="",
    pushes=(
        (
            Edit(
                path="shop/stock.py",
                old="def put_back(self, article: str, quantity: int = 1)",
                new='def put_back(self, article: str, quantity: int = 1, reason: str = "")',
            ),
            Edit(
                path="shop/stock.py",
                old="        self._enter(article, quantity)\n",
                new='        self._enter(f"{article} {reason}".rstrip(), quantity)\n',
            ),
            Edit(
                path="tests/test_stock.py",
                new="""

def test_the_ledger_knows_why_pieces_came_back() -> None:
    ledger = io.StringIO()
    Stock(left={}, ledger=ledger).put_back("tea", reason="wrong tea")
    assert ledger.getvalue() == "tea wrong tea +1\\n"
""",
            ),
        ),
        (
            Edit(
                path="shop/stock.py",
                old="self.left.get(article, 0) + quantity",
                new="self.left.get(article, 0) - quantity",
            ),
        ),
    ),
)

from __future__ import annotations

from shop.jobs import ATTEMPTS, Lane, Lanes


def test_jobs_are_done_in_order() -> None:
    done: list[str] = []
    lane = Lane()
    lane.put(lambda: done.append("mail"))
    lane.put(lambda: done.append("parcel"))
    assert lane.work() == 2
    assert done == ["mail", "parcel"]


def test_an_empty_lane_has_nothing_to_do() -> None:
    assert Lane().work() == 0


def test_a_job_is_tried_again_when_the_line_breaks() -> None:
    tries: list[int] = []

    def mail() -> None:
        tries.append(1)
        if len(tries) < ATTEMPTS:
            raise ConnectionResetError

    lane = Lane()
    lane.put(mail)
    assert lane.work() == 1
    assert len(tries) == ATTEMPTS


def test_a_hopeless_job_is_given_up() -> None:
    def mail() -> None:
        raise ConnectionRefusedError

    lane = Lane()
    lane.put(mail)
    assert lane.work() == 0
    assert lane.given_up == [mail]


def test_a_customer_stays_in_one_lane() -> None:
    lanes = Lanes(lanes=[Lane(), Lane(), Lane(), Lane()])
    assert lanes.of("ada") is lanes.of("ada")


def test_customers_do_not_wait_for_each_other() -> None:
    lanes = Lanes(lanes=[Lane(), Lane(), Lane(), Lane()])
    lanes.of("ada").put(lambda: None)
    assert not lanes.of("grace").waiting

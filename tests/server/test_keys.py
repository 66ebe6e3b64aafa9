"""`flakegate keys`, and the file in which they are."""

from __future__ import annotations

import json
import re
import stat
from typing import TYPE_CHECKING

import pytest

from flakegate.errors import UsageError
from flakegate.server import keyring
from flakegate.server.admission import Doorkeeper
from flakegate.server.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller

FILE = ".flakegate/history.db.keys"


def test_keys_are_shown_once_and_kept_as_hashes(flakegate: Caller, folder: Path) -> None:
    shown = flakegate("keys", "add", "ci")
    assert shown.code == 0
    found = dict(
        re.findall(r"^(DD_API_KEY|DD_APP_KEY)=([0-9a-f]{32,40})$", shown.out, re.MULTILINE)
    )
    assert len(found) == 2
    kept = (folder / FILE).read_text()
    assert not any(key in kept for key in found.values())
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    listed = flakegate("keys", "list")
    assert listed.out == "ci  read  since 2026-11-20T12:00:00Z\n"
    assert not any(key in listed.out for key in found.values())


def test_as_json(flakegate: Caller) -> None:
    pair = json.loads(flakegate("keys", "add", "bot", "--write", "--format", "json").out)
    assert pair.keys() == {"api_key", "app_key"}
    assert pair["api_key"] != pair["app_key"]
    assert json.loads(flakegate("keys", "list", "--format", "json").out) == {
        "version": 1,
        "keys": [{"name": "bot", "write": True, "created": "2026-11-20T12:00:00Z"}],
    }


def test_a_name_is_taken_once_until_it_is_revoked(flakegate: Caller) -> None:
    flakegate("keys", "add", "ci")
    again = flakegate("keys", "add", "ci")
    assert again.code == 2
    assert "there are keys named 'ci' already" in again.err
    assert flakegate("keys", "revoke", "ci").code == 0
    assert "no keys" in flakegate("keys", "list").out
    assert flakegate("keys", "revoke", "ci").code == 2
    assert flakegate("keys", "add", "ci").code == 0


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65, "\x1b[31m"])
def test_a_name_must_be_one(flakegate: Caller, folder: Path, name: str) -> None:
    assert flakegate("keys", "add", name).code == 2
    assert not (folder / FILE).exists()


@pytest.mark.parametrize("content", ["", "{}", '{"version": 1, "keys": [{"name": "ci"}]}', "\0"])
def test_a_file_of_something_else_is_refused_and_kept(
    flakegate: Caller, folder: Path, content: str
) -> None:
    (folder / ".flakegate").mkdir()
    (folder / FILE).write_text(content)
    for call in (("add", "x"), ("list",), ("revoke", "x")):
        done = flakegate("keys", *call)
        assert (done.code, done.out) == (2, "")
        assert "does not hold keys of flakegate" in done.err
    assert (folder / FILE).read_text() == content
    assert [path.name for path in (folder / ".flakegate").iterdir()] == ["history.db.keys"]


def test_two_do_not_change_the_keys_at_once(flakegate: Caller, folder: Path) -> None:
    flakegate("keys", "add", "ci")
    before = (folder / FILE).read_bytes()
    (folder / f"{FILE}.new").write_text("")
    done = flakegate("keys", "add", "bot")
    assert done.code == 2
    assert "another `flakegate keys`" in done.err
    assert (folder / FILE).read_bytes() == before
    assert (folder / f"{FILE}.new").exists()


def headers(pair: keyring.Pair) -> dict[str, str]:
    return {"dd-api-key": pair.api, "dd-application-key": pair.app}


def test_whose_keys_are_whose(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    reader = keyring.add(path, "reader", write=False, now=0.0)
    writer = keyring.add(path, "writer", write=True, now=0.0)
    door = Doorkeeper(path, open_without=False)
    assert (door.admit(headers(reader)).name, door.admit(headers(reader)).write) == (
        "reader",
        False,
    )
    assert (door.admit(headers(writer)).name, door.admit(headers(writer)).write) == ("writer", True)
    mixed = keyring.Pair(api=reader.api, app=writer.app)
    for wrong in (
        mixed,
        keyring.Pair(api=reader.app, app=reader.api),
        keyring.Pair(api="é", app=""),
    ):
        with pytest.raises(Refusal) as refused:
            door.admit(headers(wrong))
        assert refused.value.status == 401
    keyring.revoke(path, "writer")
    with pytest.raises(Refusal):
        door.admit(headers(writer))
    assert door.admit(headers(reader)).name == "reader"


def test_a_server_that_had_keys_never_does_without(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    door = Doorkeeper(path, open_without=True)
    local = {"host": "127.0.0.1:8126"}
    assert door.admit(local).write
    keyring.add(path, "ci", write=False, now=0.0)
    keyring.revoke(path, "ci")
    with pytest.raises(Refusal) as refused:
        door.admit(local)
    assert refused.value.status == 401


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil:1"])
def test_without_keys_a_name_of_elsewhere_is_refused(tmp_path: Path, host: str) -> None:
    door = Doorkeeper(tmp_path / "keys", open_without=True)
    with pytest.raises(Refusal) as refused:
        door.admit({"host": host})
    assert refused.value.status == 403
    for own in ("localhost", "localhost:8126", "127.0.0.1:1", "[::1]:8126"):
        assert door.admit({"host": own}).write


def test_the_server_refuses_to_serve_others_without_keys(flakegate: Caller) -> None:
    done = flakegate("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - it must refuse
    assert done.code == 2
    assert "nobody has keys" in done.err
    assert "flakegate keys add NAME" in done.err
    flakegate("keys", "add", "ci")
    flakegate("keys", "revoke", "ci")
    assert flakegate("serve", "--host", "::", "--port", "0").code == 2


def test_an_address_that_is_none_is_said(flakegate: Caller) -> None:
    for host in ("256.1.1.1", "a..b", "x" * 70):
        done = flakegate("serve", "--host", host)
        assert (done.code, done.out) == (2, "")
        assert "cannot listen at" in done.err


def test_a_key_file_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("{}")
    with pytest.raises(UsageError):
        Doorkeeper(path, open_without=True).admit({"host": "localhost"})

"""The options that mean the same in every command that has them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flakegate.cli.call import Where
from flakegate.cli.publishing import Publishing
from flakegate.cli.telling import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

policy = click.option(
    "--policy",
    "policy_file",
    metavar="FILE",
    help="The policy file.  [default: flakegate.yml, then .github/flakegate.yml]",
)
backend = click.option(
    "--backend",
    "backend_kind",
    type=click.Choice(["datadog", "store"]),
    help="Where flaky tests are kept.  [default: datadog if its keys are set, else store]",
)
policy_backend = click.option(
    "--backend",
    "backend_kind",
    type=click.Choice(["datadog", "store"]),
    help="Warn of fields that this backend cannot supply.  [default: the policy's backend.kind]",
)
store = click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="The store.  [env: FLAKEGATE_STORE; default: sqlite:///.flakegate/history.db]",
)
api_url = click.option(
    "--api-url",
    metavar="URL",
    help="Datadog's address instead of the one DD_SITE gives.  [env: FLAKEGATE_API_URL]",
)
repository = click.option(
    "--repository",
    metavar="ID",
    help="For instance github.com/acme/shop.  [default: from the CI's environment, else git]",
)

only_repository = click.option(
    "--repository",
    metavar="ID",
    help="Leave out the shards of other repositories.  [default: fold in all]",
)


def _base_dir(_context: click.Context, _option: click.Parameter, given: str) -> str:
    """The same folder is always written the same: it is a part of a test's identity."""
    from flakegate.identity import base_folder

    folder = base_folder(given)
    if folder is None:
        raise click.BadParameter(
            f"{given!a} is not a folder relative to the root of the repository, with / and no .."
        )
    return folder


base_dir = click.option(
    "--base-dir",
    metavar="DIR",
    default="",
    callback=_base_dir,
    help="Where the test runner was started, relative to the repository root.",
)
output_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: one document on standard output, nothing else.",
)
summary = click.option(
    "--summary",
    "summary_file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the Markdown summary here as well.",
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="Write to no backend, store, journal or forge."
)
override = click.option(
    "--apply/--no-apply", "override", default=None, help="Change states, or do not."
)
strict = click.option(
    "--strict",
    is_flag=True,
    help="After a passing verdict, let trouble of planning or applying decide the exit code.",
)
comment = click.option(
    "--comment",
    type=click.Choice(["always", "changes", "failures", "never"]),
    help="When to comment on the pull or merge request.  [default: the policy's, else failures]",
)
comment_key = click.option(
    "--comment-key",
    metavar="KEY",
    help="One comment for each KEY.  [default: the policy's, else the job's name]",
)
status = click.option(
    "--status",
    is_flag=True,
    help="Give the commit a check named flakegate, which branch protection can require.",
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Say only the result, in one line.")
verbose = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Leave nothing out: every row, whole messages, each request.",
)
test_exit_code = click.option(
    "--test-exit-code",
    metavar="N",
    type=int,
    help="The exit code of the test command before this call.",
)
test_outcome = click.option(
    "--test-outcome",
    type=click.Choice(["success", "failure", "cancelled", "skipped"]),
    help="How the test step before this call ended.",
)


def _file(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """A variable of the CI that is empty is no file, and no reason to ask somebody else."""
    if given is not None and not given.strip():
        raise click.BadParameter("it names no file; leave it out to ask the backend")
    return given


snapshot = click.option(
    "--snapshot",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    callback=_file,
    help="Judge by this saved list (`list --format json`), not by the backend; with"
    " gate.when_unavailable: snapshot, only where that cannot be asked.",
)


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator for several options, in the order in which `--help` shows them."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def where(function: Callable[..., int]) -> Callable[..., int]:
    """Which flaky tests: four options, given to the command as one `where`."""
    return together(backend, store, api_url, repository)(_packed(function, "where", Where))


def where_or_saved(function: Callable[..., int]) -> Callable[..., int]:
    """The same for verdicts, which a saved list will do for."""
    return together(backend, store, api_url, repository, snapshot)(
        _packed(function, "where", Where)
    )


def where_store(function: Callable[..., int]) -> Callable[..., int]:
    """The same for commands that are about the store and nothing else."""
    only_store = functools.partial(Where, backend_kind="store")
    return together(store, repository)(_packed(function, "where", only_store))


def where_shards(function: Callable[..., int]) -> Callable[..., int]:
    """The same for `collect`, to which a repository is one of several whose shards are there."""
    only_store = functools.partial(Where, backend_kind="store")
    return together(store, only_repository)(_packed(function, "where", only_store))


def output(function: Callable[..., int]) -> Callable[..., int]:
    """How the result is told: four options, given to the command as one `output`."""
    return together(output_format, summary, quiet, verbose)(_packed(function, "output", Output))


def publishing(function: Callable[..., int]) -> Callable[..., int]:
    """What the forge is told, given to the command as one `publishing`."""
    return together(comment, comment_key, status)(_packed(function, "publishing", Publishing))


how_tests_ended = together(test_exit_code, test_outcome)

_PACKED = {
    "where": ("backend_kind", "store_url", "api_url", "repository", "snapshot"),
    "publishing": ("comment", "comment_key", "status"),
    "output": ("output_format", "summary_file", "quiet", "verbose"),
}


def _packed(
    function: Callable[..., int], name: str, pack: Callable[..., object]
) -> Callable[..., int]:
    """The command with some of its options gathered into one value."""

    @functools.wraps(function)
    def command(**given: Any) -> int:
        some = {key: given.pop(key) for key in _PACKED[name] if key in given}
        return function(**given, **{name: pack(**some)})

    return command

"""One job of one CI run, as one value, whatever CI it is."""

from __future__ import annotations

from dataclasses import dataclass

QUEUES = frozenset({"merge_group", "merge_train"})
CHANGE_EVENTS = frozenset(
    {
        "pull_request",
        "pull_request_target",
        "pull_request_review",
        "pull_request_review_comment",
        "issue_comment",  # the usual way to test a pull request on demand
        "merge_request_event",
        "external_pull_request_event",
        "merge_train",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitFacts:
    """What git says of a folder. None: not known (no git, no checkout, no such thing there).

    folder: the folder asked about. top: the top of its checkout. Both absolute.
    remote: the address of `origin`, or of the only remote.
    branch: None also where HEAD is detached. default_branch: what `origin/HEAD` points to.
    dirty: whether files differ from the commit, new ones included.
    """

    folder: str | None = None
    top: str | None = None
    remote: str | None = None
    commit: str | None = None
    branch: str | None = None
    default_branch: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CIContext:
    """One job of one CI run. None and "" mean not known.

    provider: "github", "gitlab", "jenkins", "circleci", "buildkite", "azure", "bitbucket", or
    "local" (no CI that is known here).
    repository: "github.com/acme/shop", or "local/<folder>" for one without a remote.
    commit: the one that was tested; on a pull request that is usually the merge commit.
    branch: of the change; None for tags. On a merge queue the queue's own branch.
    run_id: the CI's number of the run; "" where there is none. attempt: of that run.
    job, shard: which job of the run, and which part of a job that is split.
    pull_request: number of the pull or merge request.
    event: the CI's word for what started the run.
    fork: the change comes from another repository, or may come from one.
    target_branch: the branch that a pull request or a merge queue is for.
    status_commit: the one whose status the forge looks at: of a change its own last one, where
    `commit` may be its merge into the target.
    head_repository: "acme/shop" of the change on GitHub, where the event tells it.
    """

    provider: str
    repository: str
    commit: str | None = None
    branch: str | None = None
    default_branch: str | None = None
    run_id: str = ""
    attempt: str = "1"
    job: str = ""
    shard: str = ""
    pull_request: str | None = None
    event: str | None = None
    fork: bool = False
    run_url: str | None = None
    target_branch: str | None = None
    status_commit: str | None = None
    head_repository: str | None = None

    @property
    def pipeline(self) -> str:
        """One CI run with all its jobs and attempts."""
        return f"{self.provider}:{self.repository}:{self.run_id}"

    @property
    def leg(self) -> str:
        """What must be equal, beside the commit, for two runs to be comparable."""
        # A job's name may contain a colon, so the shard must not: the last one separates.
        return f"{self.job}:{self.shard.replace(':', '%3A')}"

    @property
    def key(self) -> str:
        """One job of one attempt of one CI run: what is recorded once."""
        return f"{self.pipeline}:{self.attempt}:{self.leg}"

    @property
    def of_change(self) -> bool:
        """Whether a pull or merge request started this run, or may have."""
        return self.pull_request is not None or self.event in CHANGE_EVENTS

    @property
    def brings_files(self) -> bool:
        """Whether the checkout may hold files that nobody has merged yet."""
        return self.of_change or self.fork or self.event in QUEUES | {"workflow_run"}

    @property
    def has_change(self) -> bool:
        """Whether what runs here is a change, in a pull or merge request or in the queue after it.

        A `workflow_run` is a fork's where it may follow a fork's pull request.
        """
        return self.of_change or self.fork or self.event in QUEUES

    @property
    def is_default(self) -> bool:
        """Whether the results speak for the default branch: on it, or in the queue before it.

        A fork's own `main`, and a pull request from a branch of that name, do not.
        """
        if self.default_branch is None or self.fork:
            return False
        if self.event in QUEUES:
            return self.target_branch == self.default_branch
        return self.branch == self.default_branch and not self.of_change

"""The service's own policies for a repository on the wire. Every block may be absent or null."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from flakegate.wire.flaky_tests import Strict

PATH = "/api/v2/ci/test-optimization/settings/policies"

Texts = list[str | None] | str | None


class Wanted(Strict, frozen=True, kw_only=True):
    """Of which repository."""

    repository_id: Annotated[str, Meta(min_length=1)]


class Get(Strict, frozen=True, kw_only=True):
    """The question; to be put into a Document."""

    type: Literal["test_optimization_get_flaky_tests_management_policies_request"]
    attributes: Wanted


class RateRule(Struct, omit_defaults=True):
    """threshold: 0 to 1."""

    enabled: bool | None = None
    branches: Texts = None
    min_runs: float | None = None
    threshold: float | None = None
    status: str | None = None


class BranchRule(Struct, omit_defaults=True):
    """A flake on some branch."""

    enabled: bool | None = None
    branches: Texts = None
    excluded_branches: Texts = None
    excluded_test_services: Texts = None


class AgeRule(Struct, omit_defaults=True):
    """A state for some time, in seconds."""

    enabled: bool | None = None
    window_seconds: float | None = None
    status: str | None = None


class Block(Struct, omit_defaults=True):
    """What leads into one state."""

    enabled: bool | None = None
    failure_rate_rule: RateRule | None = None
    branch_rule: BranchRule | None = None
    auto_quarantine_rule: AgeRule | None = None
    auto_disable_rule: AgeRule | None = None
    status: str | None = None


class Attributes(Struct, omit_defaults=True):
    """The policies of a repository, by the state that they lead to."""

    repository_id: str | None = None
    quarantined: Block | None = None
    disabled: Block | None = None


class Policies(Strict, frozen=True, kw_only=True):
    """The answer; to be put into a Document."""

    id: str
    type: Literal["test_optimization_flaky_tests_management_policies"]
    attributes: Attributes

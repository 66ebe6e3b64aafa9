"""Datadog's own client, unmodified but for its address, works with the server."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from tests.backends.store.build import key_of
from tests.server.running import serving
from tests.server.test_serve import fill, keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# It has types, but not everywhere.
official: Any = import_module("datadog_api_client")
models: Any = import_module("datadog_api_client.v2.models")
POLICIES = "test_optimization_get_flaky_tests_management_policies_request"


@pytest.fixture
def api(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    store = fill(folder)
    pair = keys(store, "bot", "--write", capsys=capsys)
    with serving(store) as server:
        configuration = official.Configuration(host=server.url)
        configuration.api_key["apiKeyAuth"] = pair["DD-API-KEY"]
        configuration.api_key["appKeyAuth"] = pair["DD-APPLICATION-KEY"]
        with official.ApiClient(configuration) as client:
            name = "datadog_api_client.v2.api.test_optimization_api"
            yield import_module(name).TestOptimizationApi(client)


def search(query: str, limit: int) -> Any:
    attributes = models.FlakyTestsSearchRequestAttributes(
        filter=models.FlakyTestsSearchFilter(query=query, include_history=True),
        page=models.FlakyTestsSearchPageOptions(limit=limit),
        sort=models.FlakyTestsSearchSort("-failure_rate"),
    )
    kind = models.FlakyTestsSearchRequestDataType("search_flaky_tests_request")
    data = models.FlakyTestsSearchRequestData(type=kind, attributes=attributes)
    return models.FlakyTestsSearchRequest(data=data)


def test_it_walks_changes_and_reads_policies(api: Any) -> None:
    found = list(
        api.search_flaky_tests_with_pagination(
            body=search('@git.repository.id_v2:"github.com/acme/shop"', 2)
        )
    )
    assert {test.id for test in found} == {key_of(f"test_{name}") for name in "abc"}
    assert found[0].attributes.test_stats.failure_rate_pct == 50.0
    assert str(found[0].attributes.history[0].status) == "active"
    change = models.UpdateFlakyTestsRequestTest(
        id=found[0].id, new_state=models.UpdateFlakyTestsRequestTestNewState("quarantined")
    )
    answer = api.update_flaky_tests(
        body=models.UpdateFlakyTestsRequest(
            data=models.UpdateFlakyTestsRequestData(
                type=models.UpdateFlakyTestsRequestDataType("update_flaky_test_state_request"),
                attributes=models.UpdateFlakyTestsRequestAttributes(tests=[change]),
            )
        )
    )
    assert not answer.data.attributes.has_errors
    (again,) = api.search_flaky_tests(body=search("flaky_test_state:quarantined", 2)).data
    assert again.id == found[0].id
    asked = models.TestOptimizationFlakyTestsManagementPoliciesGetRequestData(
        type=models.TestOptimizationGetFlakyTestsManagementPoliciesRequestDataType(POLICIES),
        attributes=models.TestOptimizationFlakyTestsManagementPoliciesGetRequestAttributes(
            repository_id="github.com/acme/shop"
        ),
    )
    told = api.get_flaky_tests_management_policies(
        body=models.TestOptimizationFlakyTestsManagementPoliciesGetRequest(data=asked)
    )
    assert told.data.attributes.quarantined.enabled is False


def test_it_is_told_what_is_wrong(api: Any) -> None:
    with pytest.raises(official.exceptions.ApiException) as refused:
        api.search_flaky_tests(body=search('@test.name:"open', 2))
    assert refused.value.status == 400
    assert "a quote is not closed" in str(refused.value.body)

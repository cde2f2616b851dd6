"""The tables that come with the package: every one says what its experiment claims, by the margins that it asks for."""

import pytest

from minilora.lab import NAMES, find, table

KEPT = [(name, preset) for name in NAMES for preset in ("class", "paper")]


@pytest.mark.parametrize(("name", "preset"), KEPT)
def test_what_an_experiment_claims_holds_in_its_stored_tables(name, preset):
    assert [str(finding) for finding in find(name).check(table.stored(name, preset)) if not finding.holds] == []

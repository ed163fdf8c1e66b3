"""The form of a report: frozen by its schema, which other readers go by."""

import json
from pathlib import Path

from sojourn.audit.deriving import derive
from sojourn.audit.report import FORMAT, Proof, proofs_in, schema
from sojourn.audit.verifying import to_json
from tests.unit.audit.scene import drilled, evidence

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "audit-report-1.schema.json"


def test_the_schema_is_the_published_one() -> None:
    """What is added under the same format is published anew: `sojourn audit schema > docs/reference/…`."""
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(schema()))


def test_a_report_names_its_format_first_and_says_all_that_the_schema_requires() -> None:
    plain = json.loads(to_json(derive(evidence(), drilled())))
    assert ("format", FORMAT) == next(iter(plain.items()))
    required = schema()["$defs"]["Report"]["required"]
    assert set(required) == set(plain)


def test_all_kinds_of_proof_are_used() -> None:
    told = {proof.by for proof in proofs_in(derive(evidence(), drilled())).values()}
    fields = schema()["$defs"]["Proof"]["properties"]
    assert set(fields["by"]["enum"]) == told
    assert set(fields) == set(Proof.__struct_fields__)

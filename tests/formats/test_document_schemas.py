"""The published schemas accept what the strict loader accepts, and refuse what an editor can see while one types."""

import json

import jsonschema
import pytest

from sopwith_formats.documents import load_document
from sopwith_formats.release_document import TEXT_KEYS as RELEASE_TEXT_KEYS
from sopwith_formats.rollout_document import TEXT_KEYS as ROLLOUT_TEXT_KEYS
from sopwith_formats.sop_document import read_sop_document
from tests.architecture.document_schemas import DOCUMENTS, FOLDER
from tests.formats.test_sop_document import FILLED, changed

ROLLOUT = b"""
rollout: hello-2.10-3
release: hello@2.10-3
sop: SU-SOP-001
audience: "site=berlin, ring!=vip"
waves: [{name: canary, size: 1, soak: 30m}, {name: rest, size: 100%}]
success_threshold: 95%
error_threshold: {percent: 2, count: 3, lost: 2}
max_concurrency: 10%
window: {rrule: "FREQ=WEEKLY;BYDAY=SA", start: "22:00", duration: 6h, time_zone: local, cutoff: 30m}
deadline: 14d
"""
RELEASE = b"""
release: hello
version: 2.10-3
artifacts:
  - file: hello_2.10-3_amd64.deb
    installer: deb
    when: {os: linux, arch: [x86_64]}
requires: {disk_free: 50MiB, from: ">=2.9"}
health_checks:
  - {exec: [/usr/bin/hello, --version], expect: "2.10", timeout: 10s}
settle: 5s
"""


def validator(name):
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def sop_values(data=FILLED):
    return read_sop_document(data).tree.value


def test_shipped_sop_fits_its_schema():
    assert list(validator("sop").iter_errors(sop_values())) == []


def test_rollout_and_release_of_the_contract_fit_their_schemas():
    rollout = load_document(ROLLOUT, "rollout.yaml", text_keys=ROLLOUT_TEXT_KEYS).value
    release = load_document(RELEASE, "release.yaml", text_keys=RELEASE_TEXT_KEYS).value

    assert list(validator("rollout").iter_errors(rollout)) == []
    assert list(validator("release").iter_errors(release)) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_unknown_key_breaks_the_schema(name):
    errors = [error.validator for error in validator(name).iter_errors({"nonsense": 1})]

    assert "additionalProperties" in errors
    assert "required" in errors


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("training", "grace"), 7),
        (("limits", "attempts_max"), "three"),
        (("safety", "success_threshold", "default"), "nearly all"),
        (("objectives", 0, "kpi"), "happiness"),
        (("troubleshooting", 0, "symptom"), "BAD_WEATHER"),
        (("waves", "default", 0, "size"), 0),
        (("windows", "default"), "sometimes"),
        (("change", "kind"), "cosmetic"),
    ],
)
def test_value_that_the_loader_refuses_breaks_the_schema(path, value):
    values = json.loads(json.dumps(sop_values()))
    here = values
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value

    errors = list(validator("sop").iter_errors(values))

    assert errors
    assert path[0] in {error.absolute_path[0] for error in errors}


def test_bare_value_and_window_are_as_good_as_their_long_forms():
    data = changed("attempts_max: {default: 3, min: 1, max: 10}", "attempts_max: 3")
    data = changed("  default: always", '  default: {rrule: "FREQ=DAILY", start: "22:00", duration: 2h}', data)

    assert list(validator("sop").iter_errors(sop_values(data))) == []

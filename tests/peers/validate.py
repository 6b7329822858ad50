"""Validates documents against a JSON Schema with an independent validator.

Reads {"schema": …, "documents": {name: document}} and writes {name: [error, …]}.
"""

import json
import sys

from jsonschema import Draft202012Validator

task = json.load(sys.stdin)
Draft202012Validator.check_schema(task["schema"])
validator = Draft202012Validator(task["schema"])
faults = {
    name: [f"{error.json_path}: {error.message:.300}" for error in validator.iter_errors(document)]
    for name, document in task["documents"].items()
}
json.dump(faults, sys.stdout)

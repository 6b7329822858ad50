"""Holds documents against a JSON Schema; another maker's word on what this project generates.

Reads {"schema": …, "documents": {name: document}} and writes {name: [what is wrong, …]}.
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

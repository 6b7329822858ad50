"""Takes the documents of vendors out of packages: documents.py WHEELS FOLDER. The rest of them is not needed."""

import pathlib
import re
import sys
import zipfile

# As in documents.yaml.
DOCUMENTS = re.compile(r"^googleapiclient/discovery_cache/documents/admin\.directory_v1\.json$|/openapi/[^/]*\.yaml$")

wheels, folder = map(pathlib.Path, sys.argv[1:])
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if DOCUMENTS.search(name)])
    wheel.unlink()

"""The published JSON Schemas of the documents that people write, made from the strict loader's own models.

`--write` writes them below docs/schemas (`make docs`); without it the command compares (`make check`). A schema says
what an editor can check while somebody types; what needs the whole document is `sopwith ... lint`'s.
"""

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from sopwith_formats.release_document import ReleaseDocument
from sopwith_formats.rollout_document import RolloutDocument
from sopwith_formats.sop_front_matter import FrontMatter

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
DOCUMENTS: dict[str, tuple[type[BaseModel], str]] = {
    "sop": (FrontMatter, "Front matter of a Sopwith SOP"),
    "release": (ReleaseDocument, "Release manifest of Sopwith (release.yaml)"),
    "rollout": (RolloutDocument, "Rollout file of Sopwith"),
}


def schema_of(name: str) -> dict[str, object]:
    """Return the schema of a document by its name."""
    model, title = DOCUMENTS[name]
    schema = model.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def main(arguments: list[str]) -> int:
    """Write or compare; 0 when all are fresh."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTS:
        path, text = FOLDER / f"{name}.schema.json", json.dumps(schema_of(name), indent=2, sort_keys=True) + "\n"
        if arguments == ["--write"]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"docs/schemas/{path.name} is stale. Run `make docs` and commit the result.\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

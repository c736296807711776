"""The page at `/docs`: Swagger UI, with all that it needs from this server.

No script and no style stands in the page itself, so that `security_headers` can forbid them.
All addresses are relative: they hold behind a proxy that has put Tricorn below a path.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from html import escape
from pathlib import Path

START = "start.js"
FILES = {
    "swagger-ui.css": "css/swagger-ui.css",
    "swagger-ui-bundle.js": "js/swagger-ui-bundle.js",
    "swagger.svg": "images/swagger.svg",
}
"""What the page asks for below `/docs/`, and where the package has it."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tricorn</title>
<link rel="icon" href="docs/swagger.svg{key}">
<link rel="stylesheet" href="docs/swagger-ui.css{key}">
<script src="docs/swagger-ui-bundle.js{key}" defer></script>
<script src="docs/start.js{key}" id="start" data-description="openapi.json{key}" defer></script>
</head>
<body>
<div id="swagger-ui"></div>
</body>
</html>
"""
SCRIPT = """\
const description = document.getElementById("start").dataset.description;
SwaggerUIBundle({
  url: new URL(description, document.baseURI).href,
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  filter: true,
});
"""
"""validatorUrl: null, or it would show the description to a server of others."""


def page(key: str = "") -> str:
    """key: the query that has to stand behind every address, with its question mark."""
    return _PAGE.replace("{key}", escape(key))


@cache
def folder() -> Path:
    """Where the package has Swagger UI; it need not be imported for that."""
    found = importlib.util.find_spec("flask_openapi_swagger")
    assert found is not None, "flask-openapi's [swagger] extra is one of Tricorn's dependencies"
    assert found.origin is not None
    return Path(found.origin).parent / "templates" / "swagger"

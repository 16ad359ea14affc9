"""How the documentation is made into a site. It knows the tools, and no page.

`python3 dev.py docs` builds it, with every warning an error and without a question to any network.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

import django
from django.conf import settings

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "docs")]  # what is described is what stands beside it

# Models and REST framework are imported where Django has been set up.
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "keyturn.django"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    KEYTURN={"ISSUER": "https://shop.example.com", "AUDIENCE": "shop-api"},
)
django.setup()
logging.getLogger("alembic").setLevel(logging.WARNING)

# ---------------------------------------------------------------------------------------------- project

project = "Keyturn"
author = "The Keyturn authors"
project_copyright = author
version = release = version_of("keyturn")
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "site_accessible",
    "site_docstrings",
    "site_links",
]
exclude_patterns = ["benchmarks/results.json"]

# --------------------------------------------------------------------------------------------- Markdown

myst_enable_extensions = ["attrs_block", "colon_fence", "fieldlist"]
myst_heading_anchors = 4  # the anchors that code hosts give to headings

# --------------------------------------------------------------------------------------- from docstrings

default_role = "code"  # the help of commands writes `code` as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_class_signature = "mixed"
python_display_short_literal_types = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Every reference must lead somewhere (`-n`), but for these:
nitpick_ignore_regex = [
    # other packages' types: where their pages are, only a question to their sites would tell;
    (r"py:.*", r"(?!keyturn\.).*"),
    # what signatures name and no application does: private modules, type variables, parts of parts.
    (r"py:.*", r"keyturn\.(?:\w+\.)*_.*"),
    (r"py:.*", r"keyturn\.(?:\w+\.)*(?:[A-Z]\w*T|[TPR])"),
    (
        r"py:.*",
        r"keyturn\.(?:django\.rates\.Rate|http\.places\.Places|http\.sockets\.Ending|manager_base\.ManagerBase)",
    ),
    (r"py:.*", r"keyturn\.(?:policy\.FromPolicy|results\.KeepClaims|testing\.world\.Manager)"),
    (r"py:.*", r"keyturn\.lab\.(?:coloured\.Away|held\.Holding|running\.Runner)"),
]

# ------------------------------------------------------------------------------------------------- HTML

html_theme = "furo"
html_title = "Keyturn"
html_favicon = "../src/keyturn/server/static/icon.svg"
html_logo = html_favicon
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False

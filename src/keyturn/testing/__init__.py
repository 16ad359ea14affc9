"""The test kit: what holds a store, and the whole protocol, to their promises. It knows no particular store.

Third parties test their stores with it: see `keyturn.testing.conformance.StoreConformance`.
"""

from __future__ import annotations

try:
    import hypothesis
    import pytest
except ImportError as error:
    raise ImportError("keyturn.testing needs its extra: pip install 'keyturn[testing]'") from error

# A failing assertion of the kit shows its values in a third party's run too.
pytest.register_assert_rewrite(
    f"{__name__}.conformance", f"{__name__}._duties", f"{__name__}.world", f"{__name__}._http"
)

__all__: list[str] = []
del hypothesis  # needed by the kit's histories, not here

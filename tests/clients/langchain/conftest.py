"""Assertions of the standard tests tell what they compared."""

import pytest

pytest.register_assert_rewrite("langchain_tests.integration_tests")
